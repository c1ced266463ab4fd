"""Every bit of a ledger of 1 MiB: one that is flipped is found, and located to its frame; in a record, to this.

A sample of bits as a rule; HEADWATER_THOROUGH=1 tries each, which takes some minutes.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pyarrow as pa
import pytest

from headwater.engine.database import Database
from headwater.executor.canonical import record_hashes
from headwater.storage import Log, SimulatedDisk
from headwater.storage.commits import INLINE, CommitFile, Placed
from headwater.storage.frames import BadFrame
from headwater.storage.verify import verified_rows
from tests.thoroughness import THOROUGH

SEGMENT_BYTES = 1 << 20
SAMPLE = 20_000  # bits that are tried frame by frame
SAMPLE_IN_SQL = 12


@pytest.fixture(scope="module")
def disk() -> SimulatedDisk:
    """A ledger with a segment of at least 1 MiB: frames of one message, and one with columns apart."""
    disk = SimulatedDisk()
    with opened(disk) as db:
        db.execute("CREATE STREAM pay (id BIGINT, who VARCHAR) WITH (ledger = true)")
        for size in [450] * 22 + [3_300]:
            db.append("pay", [{"id": i, "who": f"{i:060}"} for i in range(size)])
    assert len(disk.files()[segment(disk)]) >= SEGMENT_BYTES
    return disk


def opened(disk: SimulatedDisk) -> Database:
    return Database(disk, "memory", None, background=False)


def segment(disk: SimulatedDisk) -> str:
    (path,) = [name for name in disk.files() if name.endswith(".seg")]
    return path


class Bytes:
    """A file that is only read, whose bits are flipped in place."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)

    def size(self) -> int:
        return len(self.content)

    def read(self, position: int, size: int) -> bytes:
        return bytes(self.content[position : position + size])

    def view(self, position: int, size: int) -> pa.Buffer:
        return pa.py_buffer(memoryview(self.content)[position : position + size])


def frames(disk: SimulatedDisk) -> Iterator[tuple[int, Placed]]:
    """The frames of the segment, as the commits name them, with their versions."""
    (path,) = [name for name in disk.files() if name.endswith(".log")]
    commits = CommitFile(disk.open(path), path, 1)
    commits.open()
    for _, record in commits.read():
        yield from ((record.version, placed) for placed in record.extents if placed.segment != INLINE)


def test_every_flipped_bit_of_a_frame_is_found_by_what_verify_does_with_each(disk: SimulatedDisk) -> None:
    log = Log.open(disk, "memory", read_only=True)
    schemas = list(log.state.schemas)
    log.close()
    file = Bytes(disk.files()[segment(disk)])
    known = list(frames(disk))
    assert [placed.position for _, placed in known] == [0, *[placed.end for _, placed in known[:-1]]]
    assert known[-1][1].end == file.size()  # every byte is in a frame
    share = 1 if THOROUGH else SAMPLE / (8 * file.size())
    missed, dice, tried = list[tuple[int, int]](), random.Random(0), 0
    for version, placed in known:
        hashes = record_hashes(verified_rows(file, placed, version, schemas), 0)  # type: ignore[arg-type]
        bits = range(placed.position * 8, placed.end * 8)
        for bit in bits if THOROUGH else dice.sample(bits, int(len(bits) * share)):
            tried += 1
            file.content[bit >> 3] ^= 1 << (bit & 7)
            try:
                found = record_hashes(verified_rows(file, placed, version, schemas), 0)  # type: ignore[arg-type]
            except BadFrame:
                found = b""
            if found == hashes:
                missed.append((bit >> 3, bit & 7))
            file.content[bit >> 3] ^= 1 << (bit & 7)
    print(f"\n{tried:,} of {8 * file.size():,} bits flipped, {tried - len(missed):,} found")
    assert missed == []


def test_flipped_bits_are_located_by_verify_to_the_frame_that_they_are_in(disk: SimulatedDisk) -> None:
    path, known = segment(disk), list(frames(disk))
    dice = random.Random(1)
    with opened(disk) as db:
        for _ in range(SAMPLE_IN_SQL):
            _, placed = dice.choice(known)
            position, bit = dice.randrange(placed.position, placed.end), dice.randrange(8)
            flip(disk, path, position, bit)
            ((*_, state, offset, file, _),) = db.sql("VERIFY STREAM pay").fetchall()
            assert (state, file) == ("damaged", f"{path}:{placed.position}")
            assert placed.offset <= offset < placed.offset + placed.count
            flip(disk, path, position, bit)


def test_a_flipped_bit_of_a_record_is_located_to_the_record_and_its_offset(disk: SimulatedDisk) -> None:
    path, known = segment(disk), list(frames(disk))
    content = disk.files()[path]
    with opened(disk) as db:
        for (version, placed), number in zip((known[0], known[7], known[-1]), (0, 449, 2_345), strict=True):
            position = content.index(f"{number:060}".encode(), placed.position) + 30
            flip(disk, path, position, 1)
            ((*_, offset, file, problem),) = db.sql("VERIFY STREAM pay").fetchall()
            assert (offset, file) == (placed.offset + number, f"{path}:{placed.position}")
            assert problem.endswith(f"the record {offset} (commit {version}) is not the one that was hashed")
            flip(disk, path, position, 1)


def flip(disk: SimulatedDisk, path: str, position: int, bit: int) -> None:
    file = disk.open(path)
    (byte,) = file.read(position, 1)
    file.pwrite(position, bytes([byte ^ 1 << bit]))
    file.sync()
