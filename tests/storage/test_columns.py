"""Rows in payloads: columns apart, each with a checksum of its own; compression."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from headwater.errors import CorruptLog
from headwater.storage import Append, Log, SimulatedDisk
from headwater.storage.rows import COLUMNS_BYTES, Codec

PATH = "shop.hw"
SEGMENT = f"{PATH}/streams/0/0.seg"
ROWS = 20_000
LARGE = pa.record_batch(
    {
        "number": pa.array(range(ROWS)),
        "text": [f"row {number}" for number in range(ROWS)],
        "part": pa.array([None if number % 3 else number / 7 for number in range(ROWS)]),
    }
)
CODECS: list[Codec | None] = [None, "lz4", "zstd"]


def committed(rows: pa.RecordBatch, codec: Codec | None = None) -> tuple[SimulatedDisk, Log]:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH, inline_bytes=0)
    log.commit([Append(0, 0, rows, codec)])
    return disk, log


def read(log: Log, columns: Sequence[str] | None = None) -> pa.RecordBatch:
    (chunk,) = log.scan(0, columns=columns)
    chunk.rows.validate(full=True)
    return chunk.rows


def places(disk: SimulatedDisk) -> list[tuple[int, int]]:
    """Where in the segment the message of each column of `LARGE` begins and ends."""
    content = disk.files()[SEGMENT]
    directory = [int.from_bytes(content[at : at + 8], "little") for at in range(72, 72 + 3 * 24, 8)]
    return [(64 + start, 64 + start + size) for start, size in zip(directory[1::3], directory[2::3], strict=True)]


def flip(disk: SimulatedDisk, position: int) -> None:
    file = disk.open(SEGMENT)
    file.pwrite(position, bytes([file.read(position, 1)[0] ^ 1]))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("columns", [["text"], ["part", "number"], ["number", "text", "part"], []], ids=str)
@pytest.mark.parametrize("rows", [LARGE, LARGE.slice(0, 10)], ids=["columns apart", "in one"])
def test_only_the_columns_that_are_asked_for_come_back_in_the_order_they_are_asked_for(
    rows: pa.RecordBatch, columns: list[str], codec: Codec | None
) -> None:
    _, log = committed(rows, codec)
    found = read(log, columns)
    assert found.equals(rows.select(columns))
    assert found.num_rows == rows.num_rows


def test_rows_older_than_a_column_come_without_it() -> None:
    _, log = committed(LARGE)
    newer = LARGE.slice(0, 2).append_column("new", pa.array([1, 2]))
    log.commit([Append(0, 0, newer)])
    older, younger = (chunk.rows for chunk in log.scan(0, columns=["new", "number"]))
    assert older.equals(LARGE.select(["number"]))
    assert younger.equals(newer.select(["new", "number"]))
    assert [chunk.rows.num_rows for chunk in log.scan(0, columns=["new"])] == [ROWS, 2]


def test_a_large_batch_has_its_columns_apart_and_a_small_one_does_not() -> None:
    assert committed(LARGE)[0].files()[SEGMENT].startswith(b"HWFW")
    assert committed(LARGE.slice(0, 100))[0].files()[SEGMENT].startswith(b"HWFD")
    assert LARGE.nbytes > COLUMNS_BYTES


def test_a_damaged_column_does_not_matter_until_it_is_read() -> None:
    disk, log = committed(LARGE)
    start, end = places(disk)[1]
    flip(disk, (start + end) // 2)
    assert read(log, ["number", "part"]).equals(LARGE.select(["number", "part"]))
    for columns in (["text"], ["number", "text"], None):
        with pytest.raises(CorruptLog, match='the checksum of column "text" does not match'):
            read(log, columns)
    flip(disk, (start + end) // 2)
    assert read(log).equals(LARGE)


def test_a_column_is_verified_when_it_is_first_read_and_not_again() -> None:
    disk, log = committed(LARGE)
    read(log, ["text"])
    for start, end in places(disk):
        flip(disk, (start + end) // 2)
    assert read(log, ["text"]).num_rows == ROWS
    with pytest.raises(CorruptLog, match='column "number"'):
        read(log)


def test_a_damaged_directory_of_columns_is_noticed_whichever_column_is_read() -> None:
    disk, log = committed(LARGE)
    for position in range(64, 64 + 8 + 3 * 24):
        flip(disk, position)
        with pytest.raises(CorruptLog, match="directory of"):
            read(log, ["part"])
        flip(disk, position)


NESTED: dict[str, pa.Array] = {
    "list": pa.array([[1, None], None, [], [2]], pa.list_(pa.int64())),
    "struct": pa.array([{"a": 1, "b": ["x"]}, None, {"a": None, "b": None}, {"a": 2, "b": []}]),
    "map": pa.array([[("k", 1)], None, [], [("l", None)]], pa.map_(pa.string(), pa.int64())),
    "time": pa.array([datetime(2024, 2, 29), None, datetime(1969, 1, 1), None], pa.timestamp("us")),
    "text": pa.array(["", None, "żółć", "x" * 1000]),
    "nothing": pa.nulls(4),
    "no null": pa.array([True, False, True, True]),
}


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("values", NESTED.values(), ids=NESTED)
@pytest.mark.parametrize("times", [1, COLUMNS_BYTES // 32], ids=["small", "large"])
def test_values_come_back_from_every_form_and_compression(values: pa.Array, codec: Codec | None, times: int) -> None:
    numbers = pa.array(range(4 * times))
    repeated = values.take(pa.array([number % 4 for number in range(4 * times)]))
    rows = pa.record_batch({"values": repeated, "number": numbers, "again": repeated})
    for part in (rows, rows.slice(1, 2), rows.slice(times, 3 * times)):
        _, log = committed(part, codec)
        assert read(log).equals(part)
        assert read(log, ["again"]).equals(part.select(["again"]))


@pytest.mark.parametrize("codec", ["lz4", "zstd"])
@pytest.mark.parametrize("rows", [LARGE, LARGE.slice(0, 3000)], ids=["columns apart", "in one"])
def test_compressed_rows_take_less_room(rows: pa.RecordBatch, codec: Any) -> None:
    sizes = [len(committed(rows, used)[0].files()[SEGMENT]) for used in (None, codec)]
    assert sizes[1] < 0.7 * sizes[0]
