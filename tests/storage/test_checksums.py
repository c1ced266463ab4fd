"""What seals and checksums must notice, and what they cannot: other bytes that have the same checksum."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headwater.errors import CorruptLog
from headwater.storage import Append, Log, SimulatedDisk
from headwater.storage.frames import (
    HEADER_BYTES,
    BadFrame,
    Header,
    Kind,
    check_payload,
    crc32c,
    pack_header,
    unpack_header,
)
from headwater.storage.rows import encode_rows

PATH = "shop.hw"
SAME_CHECKSUM = 1 | 0x82F63B78 << 1  # the polynomial of CRC-32C: XORed into a message, it leaves the checksum alone

numbers_32, numbers_64 = st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 64) - 1)
headers = st.builds(
    Header,
    st.sampled_from(Kind),
    st.integers(0, 1 << 40),
    numbers_32,
    st.just(0),
    *(numbers_64, numbers_64),  # base, version
    *(numbers_32, numbers_32),  # stream, partition
    *(numbers_64, numbers_32, numbers_32),  # offset, count, schema
)


def numbers(*values: int) -> pa.RecordBatch:
    return pa.record_batch({"value": pa.array(values, pa.int64())})


@given(headers, numbers_32, st.integers(0, 8 * HEADER_BYTES - 1))
def test_any_flipped_bit_of_a_header_is_noticed(header: Header, previous: int, bit: int) -> None:
    packed, _ = pack_header(header, previous)
    damaged = bytearray(packed)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadFrame):
        unpack_header(bytes(damaged))


@given(st.binary(min_size=1, max_size=300), st.data())
def test_any_flipped_bit_of_a_payload_is_noticed(payload: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, 8 * len(payload) - 1))
    damaged = bytearray(payload)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadFrame):
        check_payload(Header(Kind.ROWS, len(payload), crc32c(payload)), bytes(damaged))


def test_a_chunk_of_an_image_is_not_taken_for_another_with_the_same_checksum() -> None:
    first, second = numbers(0), numbers(SAME_CHECKSUM)
    assert encode_rows(first).crc == encode_rows(second).crc
    log = Log.open(SimulatedDisk(), PATH)
    images = [log.save_image({"part": part}) for part in (first, second)]
    assert [log.load_image(image)["part"] for image in images] == [first, second]


@pytest.mark.parametrize("name", ["streams/0/0.seg", "images/1.img"])
def test_a_file_of_whole_frames_in_the_place_of_another_is_noticed(name: str) -> None:
    """As when a file is restored from a copy of something else: each frame is whole, and none is the one committed."""
    disk, another = SimulatedDisk(), SimulatedDisk()
    for each, value in ((disk, 1), (another, 2)):
        log = Log.open(each, PATH, inline_bytes=0)
        log.commit([Append(0, 0, numbers(value))])
        log.save_image({"part": numbers(value)})
        log.close()
    assert len(disk.files()[f"{PATH}/{name}"]) == len(another.files()[f"{PATH}/{name}"])
    disk.open(f"{PATH}/{name}").pwrite(0, another.files()[f"{PATH}/{name}"])
    log = Log.open(disk, PATH)
    with pytest.raises(CorruptLog):
        _ = list(log.scan(0)), log.load_image(log.images()[0])


def test_the_index_of_a_commit_file_with_other_commits_is_not_used() -> None:
    disk, another = SimulatedDisk(seed=1), SimulatedDisk(seed=2)
    for each, count in ((disk, 1), (another, 2)):
        log = Log.open(each, PATH, commits_bytes=1)
        while len(log._chain.files()) < 2:
            log.commit([Append(0, 0, numbers(*range(count)))])
        log.close()
    index = f"{PATH}/commits/{1:020}.idx"
    found = disk.open(index)
    found.truncate(0)
    found.pwrite(0, another.files()[index])
    log = Log.open(disk, PATH)
    assert [log.row_count(0, version) for version in range(1, log.version)] == list(range(1, log.version))
