"""A repair loses what was named and no more; what it did is in the log; and it can be interrupted anywhere."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from headwater.errors import AlreadyOpen, StorageError
from headwater.storage import Append, CrashModel, SimulatedCrash, SimulatedDisk
from headwater.storage.chain import listed_files
from headwater.storage.check_commits import latest_state
from headwater.storage.repair import Loss, LostCommits, LostImages, LostRows, parse_loss, prospect, repair
from tests.storage.damaged import PATH, check, copy_of, damages, database, flip, numbers, open_log, rows

DISK = database()
FILES = DISK.files()
COMMITS = sorted(name for name in FILES if name.endswith(".log"))
SEGMENTS = sorted(name for name in FILES if name.endswith(".seg"))
DAMAGEABLE = sorted(name for name in FILES if not name.endswith(("LOCK", ".idx")))


def losses(disk: SimulatedDisk) -> Sequence[Loss]:
    return prospect(disk, PATH, check(disk)).losses


def rows_in(disk: SimulatedDisk) -> dict[tuple[int, int, int], int]:
    log = open_log(copy_of(disk))
    try:
        return rows(log)
    finally:
        log.close()


def repaired(disk: SimulatedDisk) -> None:
    """Accept whatever is proposed until there is no damage."""
    for _ in range(3):
        if not damages(disk):
            return
        accepted = losses(disk)
        commits = [loss for loss in accepted if isinstance(loss, LostCommits)]
        repair(disk, PATH, commits or accepted, rebuild_lossless=True)
    assert damages(disk) == []


@pytest.mark.parametrize("text", ["3/1:120..139", "after:41", "images"])
def test_a_loss_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_loss(text)) == text


@pytest.mark.parametrize("text", ["", "3/1", "3/1:9..8", "after:", "everything", "3/1:1..2 "])
def test_what_names_no_loss_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names no loss"):
        parse_loss(text)


@pytest.mark.parametrize("name", DAMAGEABLE)
def test_after_a_repair_the_database_is_whole_and_goes_on(name: str) -> None:
    chance = random.Random(name)
    for _ in range(8):
        disk = copy_of(DISK)
        flip(disk, name, chance.randrange(len(FILES[name])))
        if prospect(disk, PATH, check(disk)).beyond_repair:
            continue
        repaired(disk)
        log = open_log(disk)
        before = rows(log)
        log.commit([Append(0, 0, numbers(5)), Append(1, 0, numbers(300))])
        assert len(rows(log)) == len(before) + 2
        log.close()
        assert damages(disk) == []


def test_rows_that_are_given_up_leave_a_gap_and_a_note() -> None:
    disk = copy_of(DISK)
    flip(disk, SEGMENTS[-1], 100)
    (loss,) = losses(disk)
    assert isinstance(loss, LostRows)
    version = repair(disk, PATH, [loss])
    log = open_log(disk)
    assert list(log.kept("repair")) == [(version, {"rows": [str(loss)]})]
    assert rows_in(DISK).keys() - rows(log).keys() == {(loss.stream, loss.partition, loss.first)}
    assert log.ends(1) == open_log(copy_of(DISK)).ends(1)


def test_neighbours_are_named_together_and_can_be_given_up_one_by_one() -> None:
    disk = copy_of(DISK)
    flip(disk, SEGMENTS[-2], 100)
    flip(disk, SEGMENTS[-2], 4000)
    (both,) = losses(disk)
    assert isinstance(both, LostRows)
    first = next(finding.extent for finding in damages(disk))
    assert first is not None and first.offset == both.first and first.count < both.last - both.first + 1
    repair(disk, PATH, [LostRows(first.stream, first.partition, first.offset, first.offset + first.count - 1)])
    assert losses(disk) == (LostRows(both.stream, both.partition, first.offset + first.count, both.last),)


def test_rows_that_are_not_damaged_are_not_given_up() -> None:
    disk = copy_of(DISK)
    flip(disk, SEGMENTS[-1], 100)
    (loss,) = losses(disk)
    assert isinstance(loss, LostRows)
    before = disk.files()
    for wrong, message in [
        (LostRows(loss.stream, loss.partition, loss.first - 1, loss.last), "not damaged"),
        (LostRows(loss.stream, loss.partition, loss.first, loss.last + 1), "not damaged"),
        (LostRows(loss.stream, loss.partition + 1, loss.first, loss.last), "not damaged"),
        (LostRows(loss.stream, loss.partition, loss.first, loss.last - 1), "only be given up together"),
    ]:
        with pytest.raises(StorageError, match=message):
            repair(disk, PATH, [loss, wrong])
    assert {name: content for name, content in disk.files().items() if "LOCK" not in name} == {
        name: content for name, content in before.items() if "LOCK" not in name
    }


def test_a_repair_that_was_done_has_nothing_left_to_do() -> None:
    disk = copy_of(DISK)
    flip(disk, SEGMENTS[-1], 100)
    (loss,) = losses(disk)
    assert repair(disk, PATH, [loss]) is not None
    assert repair(disk, PATH, [loss]) is None
    assert repair(disk, PATH, [LostImages()]) is None


@pytest.mark.parametrize("name", SEGMENTS)
def test_a_missing_segment_can_be_given_up(name: str) -> None:
    disk = copy_of(DISK)
    disk.remove(name)
    repaired(disk)
    stream = int(name.split("/")[-2])
    assert {place for place in rows_in(DISK) if place[0] != stream} <= rows_in(disk).keys()


def test_damaged_images_are_discarded_and_no_others() -> None:
    disk = copy_of(DISK)
    flip(disk, f"{PATH}/images/2.img", 200)
    assert losses(disk) == (LostImages(),)
    repair(disk, PATH, [LostImages()])
    log = open_log(disk)
    assert [image.note["count"] for image in log.images()] == [15]
    log.load_image(log.images()[0])


@pytest.mark.parametrize("name", COMMITS)
def test_commits_are_given_up_from_the_damage_on_and_kept_beside(name: str) -> None:
    disk = copy_of(DISK)
    record = FILES[name].index(b"HWFC")
    flip(disk, name, record + 70)
    loss = losses(disk)[-1]
    assert isinstance(loss, LostCommits)
    with pytest.raises(StorageError, match="can be read up to version"):
        repair(disk, PATH, [LostCommits(loss.after + 1)])
    version = repair(disk, PATH, [loss])
    assert version == loss.after + 1
    assert damages(disk) == [] or all(finding.subject != "commits" for finding in damages(disk))
    later = [other for other in COMMITS if other > name]
    saved = {path: content for path, content in disk.files().items() if "/lost/1/" in path}
    for other in later:
        assert saved[f"{PATH}/lost/1/{other.removeprefix(f'{PATH}/').replace('/', '-')}.0"] == FILES[other]
    assert not any(other in disk.files() for other in later)


def test_commits_are_given_up_alone() -> None:
    with pytest.raises(StorageError, match="first and alone"):
        repair(copy_of(DISK), PATH, [LostCommits(3), LostImages()])


def test_commits_that_are_whole_are_not_given_up() -> None:
    with pytest.raises(StorageError, match="are not damaged"):
        repair(copy_of(DISK), PATH, [LostCommits(20)])


@pytest.mark.parametrize("name", [f"{PATH}/FORMAT", *COMMITS])
def test_what_can_be_told_from_the_rest_is_made_again_byte_by_byte(name: str) -> None:
    disk = copy_of(DISK)
    flip(disk, name, 70)
    assert damages(disk)
    found = prospect(disk, PATH, check(disk))
    assert [finding.path for finding in found.rebuildable] == [name] and not found.beyond_repair
    repair(disk, PATH, [], rebuild_lossless=True)
    assert disk.files()[name] == FILES[name]


@pytest.mark.parametrize("position", range(len(FILES[f"{PATH}/FORMAT"]) - 1))
def test_format_survives_any_one_flipped_bit(position: int) -> None:
    disk = copy_of(DISK)
    flip(disk, f"{PATH}/FORMAT", position, bit=position % 8)
    repair(disk, PATH, [], rebuild_lossless=True)
    assert disk.files()[f"{PATH}/FORMAT"] == FILES[f"{PATH}/FORMAT"]


def test_format_is_not_guessed() -> None:
    disk = copy_of(DISK)
    for position in (30, 40):
        flip(disk, f"{PATH}/FORMAT", position)
    found = prospect(disk, PATH, check(disk))
    assert [finding.path for finding in found.beyond_repair] == [f"{PATH}/FORMAT"]
    with pytest.raises(StorageError, match="that comes first"):
        repair(disk, PATH, [LostImages()])


def test_an_open_database_is_not_repaired() -> None:
    disk = copy_of(DISK)
    log = open_log(disk)
    with pytest.raises(AlreadyOpen):
        repair(disk, PATH, [LostImages()])
    log.close()


@pytest.mark.parametrize("model", ["kill9", "drop", "random", "names_any"])
@pytest.mark.parametrize(
    "place",
    [
        (SEGMENTS[-1], 100),
        (f"{PATH}/images/2.img", 200),
        *((name, FILES[name].index(b"HWFC") + 70) for name in COMMITS[1::4]),
    ],
)
def test_a_repair_can_be_interrupted_anywhere_and_done_again(place: tuple[str, int], model: CrashModel) -> None:
    damaged = copy_of(DISK)
    flip(damaged, *place)
    accepted = losses(damaged)[-1:]
    whole = copy_of(damaged)
    repair(whole, PATH, accepted)
    expected = rows_or_damage(whole)
    for crash_at in range(1, 10_000):
        disk = damaged.crash("kill9", crash_at=crash_at)
        try:
            repair(disk, PATH, accepted)
        except SimulatedCrash:
            after = disk.crash(model, seed=crash_at)
            again = [loss for loss in accepted if loss in losses(after) or isinstance(loss, LostCommits)]
            finish(after, again)
            assert rows_or_damage(after) == expected, f"crash at operation {crash_at}"
            notes = kept_notes(after)
            assert [note.keys() for note in notes] == [note.keys() for note in kept_notes(whole)]
            assert all(after.listdir(f"{PATH}/{note['saved']}") for note in notes if "saved" in note)
        else:
            return
    raise AssertionError("the repair does not end")


def finish(disk: SimulatedDisk, accepted: Sequence[Loss]) -> None:
    """What somebody does who was interrupted: the same command again. It may have been finished."""
    try:
        repair(disk, PATH, accepted)
    except StorageError as error:
        assert "are not damaged" in str(error)


def kept_notes(disk: SimulatedDisk) -> list[Mapping[str, Any]]:
    """The notes of repairs; the database need not be fit to be opened."""
    state = latest_state(disk, f"{PATH}/commits", listed_files(disk, f"{PATH}/commits"))
    assert state is not None
    return [note["repair"] for note in state.kept.values() if "repair" in note]


def rows_or_damage(disk: SimulatedDisk) -> object:
    """What is left: rows, and damage that is another matter."""
    found = damages(disk)
    return [str(finding) for finding in found] if found else rows_in(disk)
