"""What random lives of a log have found, each as a plain test."""

from __future__ import annotations

import errno

import pyarrow as pa
import pytest

from headwater.errors import MemberFenced, NoSpace, StorageError
from headwater.storage import Append, Fault, FaultyStorage, Log, SimulatedDisk, Storage
from headwater.storage.consumers import Consumers
from headwater.storage.faults import Operation

PATH = "shop.hw"
ROLLING = 100  # bytes of a commit file, of which any commit has more


def opened(storage: Storage, *, read_only: bool = False) -> Log:
    return Log.open(storage, PATH, commits_bytes=ROLLING, read_only=read_only)


def append(log: Log, value: str, stream: int = 0) -> None:
    log.commit([Append(stream, 0, pa.record_batch({"value": [value]}))], {"id": value})


def values(log: Log, stream: int = 0) -> list[str]:
    return [value for chunk in log.scan(stream) for value in chunk.rows.column(0).to_pylist()]


def fill(log: Log) -> None:
    """Commit, without rows, until the next commit begins another commit file."""
    while not log._chain.is_full:
        log.commit([], {"id": "x" * 500})


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


def test_rows_that_stand_for_none_are_read_when_history_is_cut() -> None:
    log = opened(SimulatedDisk())
    fill(log)
    append(log, "first")
    log.compact(0, 1, [Append(0, 0, pa.record_batch({"value": ["before"]}))])
    log.retain({}, history=log.version)
    assert values(log) == ["before", "first"]


def test_a_commit_file_without_rows_is_read_again() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    fill(log)
    fill(log)
    log.commit([])
    version = log.version
    log.close()
    log = opened(disk)
    assert [found for found, _ in log.notes("id")] == list(range(1, version))


def test_a_time_of_long_ago_is_found_in_the_first_of_many_commit_files() -> None:
    disk = SimulatedDisk()
    log = opened(disk)
    for second in range(1, 41):
        disk.clock_us = second * 1_000_000
        log.commit([], {"id": "x" * 500})
    assert len(log._chain.files()) > 3
    assert [log.version_at(second * 1_000_000 + 1) for second in range(41)] == list(range(41))


@pytest.mark.parametrize("operation, nth", [("sync", 1), ("sync_dir", 1), ("sync", 2)], ids=["base", "name", "mark"])
def test_no_commit_goes_into_a_commit_file_of_which_something_may_not_be_durable(
    operation: Operation, nth: int
) -> None:
    disk = SimulatedDisk()
    storage = FaultyStorage(disk)
    log = opened(storage)
    fill(log)
    storage.counts.clear()
    storage.plan = (Fault(operation, nth, errno.EIO),)
    with pytest.raises(StorageError):
        append(log, "lost")
    log.close()
    log = opened(disk)
    append(log, "second")
    log = opened(disk.crash("drop"))
    assert values(log) == ["second"]


def test_the_name_of_a_commit_file_that_a_killed_process_began_is_made_durable() -> None:
    disk = SimulatedDisk()
    storage = FaultyStorage(disk)
    log = opened(storage)
    fill(log)
    storage.counts.clear()
    storage.plan = (Fault("sync_dir", 1, errno.EMFILE),)
    append(log, "first")
    found = disk.crash("kill9")
    log = opened(found)
    append(log, "second")
    assert values(opened(found.crash("drop"))) == ["first", "second"]


def test_a_reader_follows_into_a_commit_file_that_there_was_no_space_to_point_to() -> None:
    disk = SimulatedDisk()
    storage = FaultyStorage(disk)
    log = opened(storage)
    fill(log)
    reader = opened(disk, read_only=True)
    storage.counts.clear()
    storage.plan = (Fault("pwrite", 2, errno.ENOSPC),)
    append(log, "first")
    assert reader.refresh() == log.version
    assert values(reader) == values(opened(disk, read_only=True)) == ["first"]


def test_what_was_read_before_a_seek_is_refused_also_if_a_seek_before_that_failed() -> None:
    storage = FaultyStorage(SimulatedDisk())
    log = opened(storage)
    for value in ("first", "second", "third"):
        append(log, value)
    consumers = Consumers(log)
    member = consumers.join("group", 0, 1)
    storage.counts.clear()
    storage.plan = (Fault("pwrite", 1, errno.ENOSPC, times=2),)
    with pytest.raises(NoSpace):
        consumers.seek("group", 0, {0: 2})
    storage.plan = ()
    member.rewind()
    member.fetch(2)
    consumers.seek("group", 0, "earliest")
    with pytest.raises(MemberFenced):
        member.commit()
    assert log.group_offsets("group") == {(0, 0): 0}


def test_a_segment_that_a_crash_cut_anywhere_in_the_last_commit_is_opened() -> None:
    disk = SimulatedDisk()
    log = Log.open(disk, PATH, inline_bytes=0)
    append(log, "first")
    append(log, "second")
    for missing in range(1, 65):  # some are the padding behind the rows
        found = disk.crash("kill9")
        segment = found.open(f"{PATH}/streams/0/0.seg")
        segment.truncate(segment.size() - missing)
        again = Log.open(found, PATH, inline_bytes=0)
        append(again, "third")
        again.close()
        assert values(Log.open(found, PATH)) == ["first", "third"]
