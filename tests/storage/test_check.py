"""A check finds every damage that matters, says where it is, and changes nothing."""

from __future__ import annotations

import random

import pytest

from headwater.errors import NotADatabase, StorageError
from headwater.storage import SimulatedDisk
from headwater.storage.check import Check
from headwater.storage.records import Extent
from tests.storage.damaged import PATH, check, copy_of, damages, database, flip, open_log, rows

DISK = database()
FILES = DISK.files()
COMMITS = sorted(name for name in FILES if name.endswith(".log"))
SEGMENTS = sorted(name for name in FILES if name.endswith(".seg"))


def some_positions(name: str, count: int = 40) -> list[int]:
    return random.Random(name).sample(range(len(FILES[name])), min(count, len(FILES[name])))


def everything(disk: SimulatedDisk) -> object:
    log = open_log(disk)
    try:
        found = [(s, c.version, c.offset, c.rows) for s in log.state.streams for c in log.scan(s)]
        return found, [log.load_image(image) for image in log.images()], list(log.notes("count"))
    finally:
        log.close()


def test_a_whole_database_has_no_findings() -> None:
    run = Check(DISK, PATH)
    assert list(run.findings()) == []
    log = open_log(copy_of(DISK))
    assert (run.commits, run.streams) == (log.version, 2)
    assert run.nbytes == sum(len(content) for name, content in FILES.items() if not name.endswith(("LOCK", "FORMAT")))


def test_a_check_changes_nothing_and_needs_no_lock() -> None:
    disk = copy_of(DISK)
    log = open_log(disk)
    before = disk.files()
    assert damages(disk) == []
    assert disk.files() == before
    log.close()


@pytest.mark.parametrize("name", [name for name in FILES if not name.endswith(("LOCK", ".idx"))])
def test_what_a_flipped_bit_spoils_is_found(name: str) -> None:
    for position in some_positions(name):
        disk = copy_of(DISK)
        flip(disk, name, position)
        if damages(disk):
            continue
        try:
            found = everything(disk)
        except StorageError as error:
            raise AssertionError(f"a flip at {position} is not found, and then: {error}") from error
        assert found == everything(copy_of(DISK)) or name == COMMITS[-1], f"a flip at {position}"


def test_damaged_rows_are_named_with_file_position_stream_partition_offsets_and_commit() -> None:
    disk = copy_of(DISK)
    flip(disk, f"{PATH}/streams/1/1.seg", 100)
    (found,) = damages(disk)
    log = open_log(copy_of(DISK))
    chunk = next(iter(log.scan(1)))
    assert found.extent == Extent(1, 0, chunk.offset, chunk.rows.num_rows)
    assert (found.severity, found.subject, found.place) == ("damage", "rows", f"{PATH}/streams/1/1.seg:0")
    assert found.version == chunk.version
    last = chunk.offset + chunk.rows.num_rows - 1
    assert f"offsets {chunk.offset} to {last} of stream 1, partition 0 (commit {chunk.version})" in found.message


def test_damaged_rows_of_a_small_commit_cost_no_others() -> None:
    disk = copy_of(DISK)
    name = COMMITS[-2]
    position = FILES[name].index(b"HWFD") + 100
    flip(disk, name, position)
    (found,) = damages(disk)
    assert found.subject == "rows"
    log = open_log(disk)
    assert log.version == open_log(copy_of(DISK)).version
    with pytest.raises(StorageError, match="cannot be read"):
        rows(log)


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_missing_segment_is_damage_of_all_its_rows(name: str) -> None:
    disk = copy_of(DISK)
    disk.remove(name)
    found = damages(disk)
    assert {finding.path for finding in found} == {name}
    assert any(finding.extent is not None for finding in found)


@pytest.mark.parametrize("name", COMMITS[1:])
def test_a_missing_commit_file_is_a_gap(name: str) -> None:
    disk = copy_of(DISK)
    disk.remove(name)
    found = damages(disk)[0]
    assert found.subject == "commits"
    assert found.version == int(name.split("/")[-1].removesuffix(".log")) - 1


def test_a_commit_file_of_another_place_is_noticed() -> None:
    disk = copy_of(DISK)
    other, target = FILES[COMMITS[2]], disk.open(COMMITS[1])
    target.truncate(0)
    target.pwrite(0, other)
    assert damages(disk)[0].path == COMMITS[1]


def test_a_wrong_index_file_is_a_remark() -> None:
    disk = copy_of(DISK)
    flip(disk, COMMITS[0].replace(".log", ".idx"), 80)
    (found,) = check(disk)
    assert not found.is_damage
    assert "made anew" in found.message


def test_what_a_crash_left_behind_the_last_commit_is_a_remark() -> None:
    disk = copy_of(DISK)
    last = disk.open(COMMITS[-1])
    last.pwrite(last.size(), b"half a frame")
    segment = disk.open(SEGMENTS[-1])
    segment.pwrite(segment.size(), b"rows of it")
    assert [finding.severity for finding in check(disk)] == ["remark", "remark"]


def test_a_file_that_nothing_names_is_listed() -> None:
    disk = copy_of(DISK)
    disk.open(f"{PATH}/notes.txt", create=True)
    disk.open(f"{PATH}/images/77.img", create=True)
    found = check(disk)
    assert [finding.severity for finding in found] == ["remark", "remark"]
    assert {finding.path for finding in found} == {f"{PATH}/notes.txt", f"{PATH}/images/77.img"}


def test_progress_ends_with_all_bytes() -> None:
    seen: list[tuple[int, int]] = []
    run = Check(DISK, PATH, lambda done, total: seen.append((done, total)))
    list(run.findings())
    assert seen[-1] == (run.nbytes, run.nbytes)
    assert seen == sorted(seen)


def test_what_is_no_database_is_refused() -> None:
    disk = SimulatedDisk()
    with pytest.raises(NotADatabase):
        list(Check(disk, "nowhere").findings())
