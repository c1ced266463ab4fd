"""The commit log by itself: what is taken for true when it is read."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headwater.errors import CorruptLog
from headwater.storage import SimulatedDisk
from headwater.storage.commits import CommitLog, Placed, PlacedImage, Record

PATH = "commits.log"
ORIGIN = 7


def log_on(disk: SimulatedDisk, origin: int = ORIGIN) -> CommitLog:
    return CommitLog(disk.open(PATH, create=True), PATH, origin)


def record(version: int, note: str = "") -> Record:
    return Record(version, 1000 + version, (Placed(1, 2, 3, 4, 5, 6, 7, 8),), None, note.encode())


def disk_with(*groups: Sequence[Record]) -> SimulatedDisk:
    disk = SimulatedDisk()
    log = log_on(disk)
    for group in groups:
        log.write(group)
        log.sync()
    return disk


def found_on(disk: SimulatedDisk, origin: int = ORIGIN) -> list[Record]:
    return [record for _, record in log_on(disk, origin).read()]


def overwrite(disk: SimulatedDisk, offset: int, data: bytes) -> None:
    disk.open(PATH).pwrite(offset, data)


def test_a_record_is_read_as_it_was_written() -> None:
    written = Record(1, -5, (Placed(1, 2, 3, 4, 5, 6, 7, 8),) * 3, PlacedImage(9, 10, 11), b'{"a":1}')
    assert found_on(disk_with([written])) == [written]


def test_records_of_all_groups_are_read_in_order() -> None:
    assert found_on(disk_with([record(1)], [record(2), record(3)])) == [record(1), record(2), record(3)]


def test_a_record_that_was_cut_short_is_cut_off() -> None:
    disk = disk_with([record(1)], [record(2)])
    size = disk.open(PATH).size()
    disk.open(PATH).truncate(size - 70)
    assert found_on(disk) == [record(1)]
    assert disk.open(PATH).size() == size // 2


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"\xff" * 1000, b"HWFC" + b"\1" * 200], ids=["0", "1", "magic"])
def test_garbage_behind_the_last_record_is_cut_off(garbage: bytes) -> None:
    disk = disk_with([record(1)])
    size = disk.open(PATH).size()
    overwrite(disk, size, garbage)
    assert found_on(disk) == [record(1)]
    assert disk.open(PATH).size() == size


def test_a_torn_group_keeps_the_records_before_the_tear_only() -> None:
    disk = disk_with([record(1)], [record(2), record(3), record(4)])
    overwrite(disk, disk.open(PATH).size() // 2 + 20, b"torn")
    assert found_on(disk) == [record(1), record(2)]


def test_damage_before_a_later_group_is_refused_and_nothing_is_cut() -> None:
    disk = disk_with([record(1)], [record(2)], [record(3)])
    size = disk.open(PATH).size()
    overwrite(disk, size // 3 + 20, b"flipped")
    with pytest.raises(CorruptLog, match=f'"commits.log" is damaged at byte {size // 3}, after commit 1'):
        found_on(disk)
    assert disk.open(PATH).size() == size


def test_damage_of_the_last_record_is_refused_if_the_log_was_closed_in_order() -> None:
    disk = disk_with([record(1)])
    log = log_on(disk)
    list(log.read())
    log.write([record(2)])
    log.sync()
    log.mark_end(2)
    overwrite(disk, disk.open(PATH).size() // 2 + 50, b"flipped")
    with pytest.raises(CorruptLog, match="after commit 1"):
        found_on(disk)


def test_a_log_that_is_only_read_is_not_changed_by_closing_it() -> None:
    disk = disk_with([record(1)])
    for _ in range(2):
        log = log_on(disk)
        list(log.read())
        log.mark_end(1)
        content = disk.files()
    assert disk.files() == content
    assert found_on(disk) == [record(1)]


def test_a_record_of_an_earlier_life_does_not_follow_a_record_of_this_one() -> None:
    disk = SimulatedDisk()
    log_on(disk).write([record(1, "first try"), record(2, "first try")])
    log_on(disk).write([record(1, "other try")])
    assert found_on(disk) == [record(1, "other try")]


def test_the_commit_log_of_another_database_is_refused() -> None:
    with pytest.raises(CorruptLog, match="belongs to another database"):
        found_on(disk_with([record(1)]), origin=ORIGIN + 1)


def test_records_that_were_taken_back_are_gone() -> None:
    disk = SimulatedDisk()
    log = log_on(disk)
    log.write([record(1)])
    log.undo()
    assert found_on(disk.crash("drop")) == found_on(disk) == []
