"""A backup is a database of its own, as of one version, whatever the original does meanwhile."""

from __future__ import annotations

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from headwater.errors import NoSpace, NotADatabase, StorageError
from headwater.storage import (
    CRASH_MODELS,
    Append,
    CrashModel,
    Fault,
    FaultyStorage,
    Log,
    OsStorage,
    SimulatedCrash,
    SimulatedDisk,
)
from headwater.storage.backup import back_up
from headwater.storage.check import Check
from tests.storage.damaged import PATH, SIZES, copy_of, damages, database, flip, rows
from tests.thoroughness import amount

DISK = database()
COPY = "copy.hw"


def opened(disk: SimulatedDisk, path: str) -> Log:
    return Log.open(disk, path, create=False, **SIZES)


def test_a_backup_has_all_that_the_original_has() -> None:
    disk = copy_of(DISK)
    made = back_up(disk, PATH, COPY)
    assert list(Check(disk, COPY).findings()) == []
    original, copy = opened(disk, PATH), opened(disk, COPY)
    assert made.version == copy.version == original.version
    assert rows(copy) == rows(original)
    assert list(copy.notes("count")) == list(original.notes("count"))
    assert [copy.load_image(i) for i in copy.images()] == [original.load_image(i) for i in original.images()]
    copy.commit([Append(0, 0, pa.record_batch({"number": [1], "text": ["y"]}))])


def test_a_backup_survives_the_rot_of_the_original() -> None:
    disk = copy_of(DISK)
    back_up(disk, PATH, COPY)
    for name, content in DISK.files().items():
        if content:
            flip(disk, name, len(content) // 2)
    assert list(Check(disk, COPY).findings()) == []


def test_a_backup_takes_the_last_commit_of_one_who_is_still_writing() -> None:
    disk = copy_of(DISK)
    log = opened(disk, PATH)
    log.commit([Append(0, 0, pa.record_batch({"number": [1], "text": ["y"]}))])
    assert back_up(disk, PATH, COPY).version == log.version


def test_a_backup_goes_where_nothing_is() -> None:
    disk = copy_of(DISK)
    disk.mkdir("full")
    disk.open("full/photo.jpg", create=True)
    disk.mkdir("empty")
    with pytest.raises(StorageError, match="not empty"):
        back_up(disk, PATH, "full")
    with pytest.raises(StorageError, match="there is no directory"):
        back_up(disk, PATH, "no/such/place")
    with pytest.raises(NotADatabase):
        back_up(disk, "empty", COPY)
    back_up(disk, PATH, "empty")
    with pytest.raises(StorageError, match="not empty"):
        back_up(disk, PATH, "empty")


@pytest.mark.parametrize("model", CRASH_MODELS)
def test_a_backup_that_was_not_finished_is_no_database_and_one_that_was_is_whole(model: CrashModel) -> None:
    for crash_at in range(1, 10_000):
        disk = DISK.crash("kill9", crash_at=crash_at)
        try:
            back_up(disk, PATH, COPY)
        except SimulatedCrash:
            after = disk.crash(model, seed=crash_at)
            if after.exists(f"{COPY}/FORMAT"):
                assert list(Check(after, COPY).findings()) == []
            else:
                with pytest.raises(NotADatabase):
                    opened(after, COPY)
        else:
            assert list(Check(disk.crash("drop"), COPY).findings()) == []
            return
    raise AssertionError("the backup does not end")


def test_a_full_disk_is_one_clear_error() -> None:
    disk = FaultyStorage(copy_of(DISK), [Fault("pwrite", nth=5, effect=errno.ENOSPC)])
    with pytest.raises(NoSpace, match='cannot back up "shop.hw" to "copy.hw": no space left'):
        back_up(disk, PATH, COPY)


def test_a_damaged_original_makes_a_damaged_copy_that_a_check_finds() -> None:
    disk = copy_of(DISK)
    flip(disk, f"{PATH}/streams/1/1.seg", 100)
    back_up(disk, PATH, COPY)
    assert [finding.path for finding in Check(disk, COPY).findings()] == [f"{COPY}/streams/1/1.seg"]
    assert len(damages(disk)) == 1


@contextmanager
def a_busy_writer(path: str) -> Iterator[Log]:
    """Commits, rolls, saves images, and takes the oldest away, all the time."""
    log = Log.open(OsStorage(), path, **SIZES)
    stop = threading.Event()
    failures: list[BaseException] = []

    def write() -> None:
        try:
            while not stop.is_set():
                one_round(log)
        except BaseException as failure:
            failures.append(failure)

    def one_round(log: Log) -> None:
        number = log.version
        log.commit([Append(0, number % 3, pa.record_batch({"number": [number]}))], {"number": number})
        log.commit([Append(1, 0, pa.record_batch({"number": [number] * 400}))])
        if number % 10 == 0:
            log.save_image({"state": pa.record_batch({"number": list(range(number))})})
            log.retain({}, discard=log.images()[:-2])
        if number > 80 and number % 20 == 0:
            log.retain({0: number - 60, 1: number - 40}, history=number - 60)

    thread = threading.Thread(target=write)
    thread.start()
    try:
        while log.version < 120 and not failures:
            log.wait(log.version, 1)
        yield log
    finally:
        stop.set()
        thread.join()
        log.close()
    assert not failures


def test_backups_of_a_database_that_is_written_are_prefixes_of_it(tmp_path: Path) -> None:
    storage, path = OsStorage(), str(tmp_path / "busy.hw")
    versions = []
    with a_busy_writer(path) as log:
        for number in range(amount(7, 20)):
            before = log.version
            made = back_up(storage, path, f"{path}.{number}")
            assert before <= made.version <= log.version
            versions.append(made.version)
    assert versions[-1] > versions[0]
    with_numbers = dict(Log.open(storage, path).notes("number"))
    for number, version in enumerate(versions):
        assert list(Check(storage, f"{path}.{number}").findings()) == []
        copy = Log.open(storage, f"{path}.{number}", create=False)
        assert copy.version == version
        notes = dict(copy.notes("number"))
        assert all(notes[at] == with_numbers[at] for at in notes.keys() & with_numbers.keys())
        assert [c.rows.column(0)[0].as_py() for c in copy.scan(0)] == [
            value for at, value in notes.items() if at > copy.start(0).version
        ]
        assert sum(c.rows.num_rows for c in copy.scan(1)) == copy.row_count(1) - copy.start(1).rows
        copy.close()
