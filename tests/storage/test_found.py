"""What random lives of a log have found, each as a plain test."""

from __future__ import annotations

import errno

import pyarrow as pa
import pytest

from headwater.errors import StorageError
from headwater.storage import Append, Fault, FaultyStorage, Log, SimulatedDisk, Storage

PATH = "shop.hw"
ROLLING = 100  # bytes of a commit file, of which any commit has more


def opened(storage: Storage, *, read_only: bool = False) -> Log:
    return Log.open(storage, PATH, commits_bytes=ROLLING, read_only=read_only)


def append(log: Log, value: str, stream: int = 0) -> None:
    log.commit([Append(stream, 0, pa.record_batch({"value": [value]}))], {"id": value})


def values(log: Log, stream: int = 0) -> list[str]:
    return [value for chunk in log.scan(stream) for value in chunk.rows.column(0).to_pylist()]


def test_a_stream_without_rows_can_be_cut_and_compacted() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    append(log, "first")
    log.retain({1: 1})
    log.compact(2, 1, [])
    for stream in range(3):
        append(log, "second", stream)
    log.close()
    log = opened(disk)
    assert [values(log, stream) for stream in range(3)] == [["first", "second"], ["second"], ["second"]]


def rolled(log: Log) -> None:
    """Commit, without rows, until the log has begun another commit file."""
    known = log._chain.current.first
    while log._chain.current.first == known:
        log.commit([], {"id": "x" * 500})


def test_a_commit_file_without_rows_is_read_again() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    rolled(log)
    version = log.version
    log.close()
    log = opened(disk)
    assert [found for found, _ in log.notes("id")] == list(range(1, version + 1))


def test_a_time_of_long_ago_is_found_in_the_first_of_many_commit_files() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    for second in range(1, 41):
        disk.clock_us = second * 1_000_000
        log.commit([], {"id": "x" * 500})
    assert len(log._chain.files()) > 3
    assert [log.version_at(second * 1_000_000 + 1) for second in range(41)] == list(range(41))
