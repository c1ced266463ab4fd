"""The commit log by itself: what is taken for true when it is read, and how one file follows another."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from headwater.errors import CorruptLog
from headwater.storage import SimulatedDisk
from headwater.storage.chain import CommitLog
from headwater.storage.commits import Placed, Record
from headwater.storage.directory import OpenDirectory
from headwater.storage.frames import Kind, walk_frames

DIRECTORY = "shop.hw"
COMMITS = f"{DIRECTORY}/commits"
FIRST = f"{COMMITS}/{1:020}.log"
ORIGIN = 7


def empty_disk() -> SimulatedDisk:
    disk = SimulatedDisk()
    for name in (DIRECTORY, COMMITS):
        disk.mkdir(name)
    disk.sync_dir(".")
    disk.sync_dir(DIRECTORY)
    CommitLog.create(disk, COMMITS, ORIGIN)
    return disk


def log_on(disk: SimulatedDisk, origin: int = ORIGIN, *, repair: bool = True) -> CommitLog:
    log = CommitLog(disk, OpenDirectory(DIRECTORY, origin, None))
    log.open(repair=repair)
    return log


def record(version: int, note: str = "{}") -> Record:
    return Record(version, 1000 + version, (Placed(1, 2, 3, 4, 5, 6, 7, 8),), {}, note.encode())


def write(log: CommitLog, *records: Record) -> None:
    """Commit a group."""
    group = log.current.group()
    positions = [group.add_commit(one) for one in records]
    log.current.write(group)
    log.current.file.sync()
    log.current.keep(records[-1].version)
    for one, position in zip(records, positions, strict=True):
        log.add(one, position)


def disk_with(*groups: Sequence[Record]) -> SimulatedDisk:
    disk = empty_disk()
    log = log_on(disk)
    for group in groups:
        write(log, *group)
    return disk


def found_on(disk: SimulatedDisk, *, repair: bool = True) -> list[Record]:
    """The records in all files that there are."""
    log = log_on(disk, repair=repair)
    found = []
    for first in log.files():
        commits, index = log.index_at(first)
        found += [commits.record(index.position(version), version) for version in range(first, index.last + 1)]
    return found


def frames(disk: SimulatedDisk, path: str = FIRST) -> list[tuple[Kind, int]]:
    """Kinds and positions of the frames of a file, its end last."""
    content = disk.open(path).view(0, disk.open(path).size())
    previous = int.from_bytes(content.slice(8, 4).to_pybytes(), "little")
    return [(frame.header.kind, frame.position) for frame in walk_frames(content, 0, previous)]


def commit_at(disk: SimulatedDisk, number: int) -> int:
    """Where the frame of the n-th commit of the first file begins."""
    return [position for kind, position in frames(disk) if kind is Kind.COMMIT][number - 1]


def overwrite(disk: SimulatedDisk, offset: int, data: bytes, path: str = FIRST) -> None:
    disk.open(path).pwrite(offset, data)


def size(disk: SimulatedDisk, path: str = FIRST) -> int:
    return disk.open(path).size()


def test_a_record_is_read_as_it_was_written() -> None:
    effects = {"keep": True, "offsets": [["group", 1, [[1, 2, 3]]]]}
    written = Record(1, -5, (Placed(1, 2, 3, 4, 5, 6, 7, 8),) * 3, effects, b'{"a":1}')
    assert found_on(disk_with([written])) == [written]


def test_records_of_all_groups_are_read_in_order() -> None:
    assert found_on(disk_with([record(1)], [record(2), record(3)])) == [record(1), record(2), record(3)]


def test_a_record_that_was_cut_short_is_cut_off() -> None:
    disk = disk_with([record(1)], [record(2)])
    end = commit_at(disk, 2)
    disk.open(FIRST).truncate(size(disk) - 70)
    assert found_on(disk) == [record(1)]
    assert size(disk) == end


@pytest.mark.parametrize("garbage", [b"\0" * 100, b"\xff" * 1000, b"HWFC" + b"\1" * 200], ids=["0", "1", "magic"])
def test_garbage_behind_the_last_record_is_cut_off(garbage: bytes) -> None:
    disk = disk_with([record(1)])
    end = size(disk)
    overwrite(disk, end, garbage)
    assert found_on(disk) == [record(1)]
    assert size(disk) == end


def test_a_torn_group_keeps_the_records_before_the_tear_only() -> None:
    disk = disk_with([record(1)], [record(2), record(3), record(4)])
    overwrite(disk, commit_at(disk, 3) + 20, b"torn")
    assert found_on(disk) == [record(1), record(2)]


def test_damage_before_a_later_group_is_refused_and_nothing_is_cut() -> None:
    disk = disk_with([record(1)], [record(2)], [record(3)])
    before, position = size(disk), commit_at(disk, 2)
    overwrite(disk, position + 20, b"flipped")
    with pytest.raises(CorruptLog, match=f'"{FIRST}" is damaged at byte {position}, after commit 1'):
        found_on(disk)
    assert size(disk) == before


def test_damage_of_the_last_record_is_refused_if_the_log_was_closed_in_order() -> None:
    disk = disk_with([record(1)])
    log = log_on(disk)
    write(log, record(2))
    log.close()
    overwrite(disk, commit_at(disk, 2) + 70, b"flipped")
    with pytest.raises(CorruptLog, match="after commit 1"):
        found_on(disk)


def test_a_damaged_base_is_refused() -> None:
    disk = disk_with([record(1)])
    overwrite(disk, 70, b"flipped")
    with pytest.raises(CorruptLog, match=f'"{FIRST}" is damaged at byte 0'):
        found_on(disk)


def test_a_log_that_is_only_read_is_not_changed_by_closing_it() -> None:
    disk = disk_with([record(1)])
    for _ in range(2):
        log_on(disk).close()
        content = disk.files()
    assert disk.files() == content
    assert found_on(disk) == [record(1)]


def test_a_record_of_an_earlier_life_does_not_follow_a_record_of_this_one() -> None:
    disk = empty_disk()
    for group in ([record(1, '{"try":1}'), record(2, '{"try":1}')], [record(1, '{"try":2}')]):
        commits = CommitLog(disk, OpenDirectory(DIRECTORY, ORIGIN, None))._file(1)
        commits.open()
        gathered = commits.group()
        for one in group:
            gathered.add_commit(one)
        commits.write(gathered)
    assert found_on(disk) == [record(1, '{"try":2}')]


def test_the_commit_log_of_another_database_is_refused() -> None:
    with pytest.raises(CorruptLog, match="belongs to another database"):
        log_on(disk_with([record(1)]), origin=ORIGIN + 1)


def test_a_directory_without_a_commit_file_is_refused() -> None:
    disk = empty_disk()
    disk.remove(FIRST)
    with pytest.raises(CorruptLog, match=f'"{COMMITS}" has no commit file'):
        log_on(disk)


def test_a_commit_file_under_the_name_of_another_is_refused() -> None:
    disk = disk_with([record(1)])
    disk.rename(FIRST, f"{COMMITS}/{2:020}.log")
    with pytest.raises(CorruptLog, match="the file does not begin with its base"):
        log_on(disk)


def test_records_that_were_taken_back_are_gone() -> None:
    disk = empty_disk()
    log = log_on(disk)
    group = log.current.group()
    group.add_commit(record(1))
    log.current.write(group)
    log.current.undo()
    assert found_on(disk.crash("drop")) == found_on(disk) == []


# ---------------------------------------------------------------- files that follow one another

SECOND = f"{COMMITS}/{2:020}.log"


def rolled() -> tuple[SimulatedDisk, CommitLog]:
    """A log of two files: commit 1 in the first, and none in the second."""
    disk = disk_with([record(1)])
    log = log_on(disk)
    log.roll()
    return disk, log


def before_and_after_a_roll() -> tuple[bytes, dict[str, bytes]]:
    """The first file without its mark, and all files after the roll."""
    disk = disk_with([record(1)])
    before = disk.files()[FIRST]
    log_on(disk).roll()
    return before, disk.files()


def test_a_file_is_named_after_its_first_version_and_ends_with_a_mark_once_the_next_one_is_there() -> None:
    disk, log = rolled()
    write(log, record(2))
    assert [kind for kind, _ in frames(disk)] == [Kind.BASE, Kind.COMMIT, Kind.ROLLED]
    assert [kind for kind, _ in frames(disk, SECOND)] == [Kind.BASE, Kind.COMMIT]
    assert disk.listdir(COMMITS) == [f"{1:020}.idx", f"{1:020}.log", f"{2:020}.log"]


def test_the_newest_file_alone_says_what_there_is() -> None:
    disk, log = rolled()
    write(log, record(2))
    disk.remove(FIRST)
    assert log_on(disk).state.to_json() == log.state.to_json()


def test_all_records_are_found_in_the_files_that_have_them() -> None:
    disk, log = rolled()
    write(log, record(2))
    log.roll()
    write(log, record(3), record(4))
    assert found_on(disk) == [record(version) for version in (1, 2, 3, 4)]


@pytest.mark.parametrize("length", [0, 40, 64, 100])
def test_a_next_file_that_was_not_finished_is_removed(length: int) -> None:
    before, after = before_and_after_a_roll()
    disk = disk_with([record(1)])
    disk.open(SECOND, create=True).pwrite(0, after[SECOND][:length])
    assert found_on(disk, repair=False) == [record(1)]
    assert disk.exists(SECOND), "who only reads removes nothing"
    assert found_on(disk) == [record(1)]
    assert disk.files() == {FIRST: before}


def test_a_next_file_is_gone_on_with_if_it_was_finished_before_the_mark_was_made() -> None:
    before, after = before_and_after_a_roll()
    disk = disk_with([record(1)])
    disk.open(SECOND, create=True).pwrite(0, after[SECOND])
    assert disk.files()[FIRST] == before
    log = log_on(disk)
    write(log, record(2))
    assert found_on(disk) == [record(1), record(2)]
    assert Kind.COMMIT in [kind for kind, _ in frames(disk, SECOND)]


def test_a_next_file_after_which_the_one_before_went_on_is_removed() -> None:
    _, after = before_and_after_a_roll()
    disk = disk_with([record(1)], [record(2)])
    disk.open(SECOND, create=True).pwrite(0, after[SECOND])
    assert found_on(disk) == [record(1), record(2)]
    assert not disk.exists(SECOND)


def test_a_next_file_is_not_removed_if_the_one_before_is_marked() -> None:
    disk, _ = rolled()
    overwrite(disk, 70, b"flipped", SECOND)
    with pytest.raises(CorruptLog, match=f'"{SECOND}" is damaged at byte 0'):
        found_on(disk)
    assert disk.exists(SECOND)


def test_a_next_file_is_not_removed_if_it_has_a_commit() -> None:
    disk, log = rolled()
    write(log, record(2))
    disk.open(FIRST).truncate(size(disk) - 64)  # the mark
    overwrite(disk, 70, b"flipped", SECOND)
    with pytest.raises(CorruptLog, match=f'"{SECOND}" is damaged'):
        found_on(disk)
    assert disk.exists(SECOND)


def test_damage_of_an_older_file_is_found_when_somebody_looks_into_it() -> None:
    disk, log = rolled()
    write(log, record(2))
    overwrite(disk, 70, b"flipped")
    again = log_on(disk)
    assert again.index_at(2)[1].last == 2
    with pytest.raises(CorruptLog, match=f'"{FIRST}" is damaged at byte 0'):
        again.index_at(1)


def test_what_is_in_the_way_of_the_next_file_is_removed_when_the_log_is_rolled() -> None:
    disk = disk_with([record(1)])
    log = log_on(disk)
    disk.open(f"{COMMITS}/{9:020}.log", create=True)
    log.roll()
    assert log.files() == (1, 2)
    assert not disk.exists(f"{COMMITS}/{9:020}.log")


def three_files() -> SimulatedDisk:
    disk, log = rolled()
    write(log, record(2))
    log.roll()
    write(log, record(3))
    return disk


def test_a_missing_file_between_two_others_is_named() -> None:
    disk = three_files()
    disk.remove(SECOND)
    log = log_on(disk)
    for version in (1, 2):
        with pytest.raises(CorruptLog, match=f'"{SECOND}" is missing'):
            log.index_of(version)


def test_an_older_file_that_was_cut_short_does_not_pass_for_a_shorter_one() -> None:
    disk = three_files()
    disk.open(SECOND).truncate([position for kind, position in frames(disk, SECOND) if kind is Kind.COMMIT][0])
    with pytest.raises(CorruptLog, match=f'"{SECOND}" is damaged .* it ends before version 2, and the next .* with 3'):
        log_on(disk).index_of(2)


def test_the_oldest_file_may_be_missing_only_if_nothing_needs_it() -> None:
    disk = three_files()
    disk.remove(FIRST)
    log = log_on(disk)
    with pytest.raises(CorruptLog, match=f'"{COMMITS}" lacks its oldest file: version 1 is needed, .* begins with 2'):
        log.check_oldest()
    write(log, Record(4, 2000, (), {"history": 2, "starts": [[1, 1, 6, [[2, 11]], []]]}, b""))
    log.check_oldest()
