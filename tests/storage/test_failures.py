"""What a log does when the disk is full or fails, when threads are interrupted, and when processes are killed."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

from headwater.errors import NoSpace, StorageError
from headwater.storage import CRASH_MODELS, Append, Fault, FaultyStorage, File, Log, OsStorage, SimulatedDisk, Storage
from headwater.storage.faults import Operation
from tests.storage.passing import PassingFile, PassingStorage

ROOT = Path(__file__).parents[2]
PATH = "shop.hw"


def append(value: object, stream: int = 0) -> list[Append]:
    return [Append(stream, 0, pa.record_batch({"value": [value]}))]


def values(log: Log) -> list[object]:
    return [value for chunk in log.scan(0) for value in chunk.rows.column(0).to_pylist()]


def opened(*faults: Fault) -> tuple[SimulatedDisk, FaultyStorage, Log]:
    """A log with one commit, on a disk on which faults are counted from now on. All rows go into segments."""
    disk = SimulatedDisk()
    storage = FaultyStorage(disk)
    log = Log.open(storage, PATH, inline_bytes=0)
    log.commit(append("first"))
    storage.counts.clear()
    storage.plan = faults
    return disk, storage, log


def found_after_crash(disk: SimulatedDisk) -> list[object]:
    log = Log.open(disk.crash("drop"), PATH)
    return values(log)


@pytest.mark.parametrize("nth", [1, 2], ids=["rows", "commit"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_refuses_the_commit_and_the_log_stays_usable(nth: int, code: int) -> None:
    disk, _, log = opened(Fault("pwrite", nth, "short"), Fault("pwrite", nth + 1, code))
    size = log.size_bytes()
    with pytest.raises(NoSpace, match="nothing was committed"):
        log.commit(append("lost" * 1000))
    assert (log.version, values(log), log.size_bytes()) == (1, ["first"], size)
    log.commit(append("second"))
    assert found_after_crash(disk) == values(log) == ["first", "second"]


def test_a_disk_too_full_for_a_new_segment_refuses_the_commit_and_the_log_stays_usable() -> None:
    disk, _, log = opened(Fault("mkdir", 1, errno.ENOSPC), Fault("open", 1, errno.ENOSPC))
    for _ in range(2):
        with pytest.raises(NoSpace):
            log.commit([*append("lost"), *append("lost", stream=1)])
    log.commit([*append("second"), *append("second", stream=1)])
    assert found_after_crash(disk) == values(log) == ["first", "second"]


def test_too_many_open_files_refuse_the_commit_and_the_log_stays_usable() -> None:
    _, _, log = opened(Fault("open", 1, errno.EMFILE))
    with pytest.raises(StorageError, match="too many open files; try again"):
        log.commit(append("lost", stream=1))
    log.commit(append("second"))
    assert values(log) == ["first", "second"]


def test_a_full_disk_refuses_an_image_and_the_log_stays_usable() -> None:
    _, _, log = opened(Fault("pwrite", 1, errno.ENOSPC))
    with pytest.raises(NoSpace, match="cannot write the image"):
        log.save_image({"part": pa.record_batch({"value": ["x"]})})
    assert log.images() == ()
    image = log.save_image({"part": pa.record_batch({"value": ["y"]})})
    assert log.load_image(image)["part"].column(0).to_pylist() == ["y"]


def test_short_writes_are_gone_on_with() -> None:
    disk, storage, log = opened(Fault("pwrite", 1, "short", times=10))
    log.commit(append("second"))
    assert storage.counts["pwrite"] > 10
    assert found_after_crash(disk) == ["first", "second"]


@pytest.mark.parametrize("operation, nth", [("pwrite", 1), ("pwrite", 2), ("sync", 1), ("sync", 2)])
def test_after_an_error_of_the_disk_no_commits_are_taken_and_rows_are_still_read(
    operation: Operation, nth: int
) -> None:
    _, storage, log = opened(Fault(operation, nth, errno.EIO))
    with pytest.raises(StorageError, match="takes no more commits because the disk failed"):
        log.commit(append("lost"))
    asked = storage.counts["pwrite"], storage.counts["sync"]
    with pytest.raises(StorageError, match="close it and open it again"):
        log.commit(append("refused"))
    assert (storage.counts["pwrite"], storage.counts["sync"]) == asked, "a failed sync is never tried again"
    assert values(log) == ["first"]


@pytest.mark.parametrize("nth", [1, 2], ids=["rows", "commit"])
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_what_is_committed_after_a_failed_sync_and_reopening_survives_a_power_cut(nth: int, code: int) -> None:
    disk, _, log = opened(Fault("sync", nth, code))
    with pytest.raises(StorageError):
        log.commit(append("lost"))
    log.close()
    log = Log.open(disk, PATH)
    log.commit(append("second"))
    assert found_after_crash(disk) == values(log) == ["first", "second"]


def test_a_commit_that_cannot_be_taken_back_is_an_error_of_the_disk() -> None:
    _, _, log = opened(Fault("pwrite", 2, errno.ENOSPC), Fault("truncate", 1, errno.EIO))
    with pytest.raises(StorageError, match="takes no more commits because a commit could not be taken back"):
        log.commit(append("lost"))


def test_an_error_of_the_disk_while_reading_is_quoted_and_passes() -> None:
    _, _, log = opened(Fault("view", 1, errno.EIO))
    with pytest.raises(StorageError, match='cannot read "shop.hw": input/output error'):
        values(log)
    assert values(log) == ["first"]


def commit_files(storage: Storage) -> int:
    return sum(name.endswith(".log") for name in storage.listdir(f"{PATH}/commits"))


def about_to_roll() -> tuple[SimulatedDisk, FaultyStorage, Log, int]:
    """A log whose commit file is full, so that the next commit rolls it; and how many commits it has."""
    disk = SimulatedDisk()
    storage = FaultyStorage(disk)
    log = Log.open(storage, PATH, commits_bytes=1)
    while not log._chain.is_full:
        log.commit(append(log.version))
    storage.counts.clear()
    return disk, storage, log, log.version


@pytest.mark.parametrize("operation", ["open", "pwrite", "listdir"])
def test_when_there_is_no_room_for_the_next_commit_file_the_current_one_is_gone_on_with(operation: Operation) -> None:
    disk, storage, log, count = about_to_roll()
    storage.plan = (Fault(operation, 1, errno.ENOSPC),)
    log.commit(append(count))
    assert found_after_crash(disk) == values(log) == list(range(count + 1))
    assert log.first_version == 1 and len(log._chain.files()) == 1
    storage.plan = ()
    log.commit(append(count + 1))
    assert commit_files(disk) == 2
    assert found_after_crash(disk) == values(log) == list(range(count + 2))


@pytest.mark.parametrize("operation, nth", [("sync", 1), ("sync_dir", 1), ("sync", 2)])
def test_a_failed_sync_while_a_commit_file_is_rolled_is_an_error_of_the_disk(operation: Operation, nth: int) -> None:
    disk, storage, log, count = about_to_roll()
    storage.plan = (Fault(operation, nth, errno.EIO),)
    with pytest.raises(StorageError, match="takes no more commits because the disk failed"):
        log.commit(append(count))
    assert values(log) == list(range(count))
    log.close()
    again = Log.open(disk, PATH)
    again.commit(append("next"))
    assert found_after_crash(disk) == values(again) == [*range(count), "next"]


@pytest.mark.parametrize("nth", [2, 3], ids=["mark", "index"])
def test_a_commit_file_can_do_without_its_mark_and_its_index(nth: int) -> None:
    disk, storage, log, count = about_to_roll()
    storage.plan = (Fault("pwrite", nth, errno.ENOSPC),)
    log.commit(append(count))
    assert commit_files(disk) == 2
    assert found_after_crash(disk) == values(log) == list(range(count + 1))
    log.close()
    assert values(Log.open(disk, PATH)) == list(range(count + 1))


class InterruptedStorage(PassingStorage):
    """Calls what it is given once, before the next sync of a commit log."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.before_sync: Callable[[], None] | None = None

    def open(self, path: str, *, create: bool = False) -> File:
        file = super().open(path, create=create)
        return InterruptedFile(file, self) if "/commits/" in path else file


class InterruptedFile(PassingFile):
    def __init__(self, inner: File, storage: InterruptedStorage) -> None:
        super().__init__(inner)
        self._storage = storage

    def sync(self) -> None:
        interrupt, self._storage.before_sync = self._storage.before_sync, None
        if interrupt is not None:
            interrupt()
        super().sync()


def press_ctrl_c() -> None:
    raise KeyboardInterrupt


def test_an_interrupted_commit_is_not_made_and_the_log_stays_usable() -> None:
    storage = InterruptedStorage(SimulatedDisk())
    log = Log.open(storage, PATH)
    storage.before_sync = press_ctrl_c
    with pytest.raises(KeyboardInterrupt):
        log.commit(append("interrupted"))
    assert values(log) == []
    log.commit(append("next"))
    log.close()
    assert values(Log.open(storage, PATH)) == ["next"]


@pytest.mark.parametrize("inline_bytes", [0, 1000], ids=["in segments", "inline"])
def test_a_commit_that_is_being_taken_back_is_gone_or_whole_after_every_crash(inline_bytes: int) -> None:
    """Its record was written whole when it was interrupted. It must not outlive its rows."""
    disk = SimulatedDisk()
    storage = InterruptedStorage(disk)
    log = Log.open(storage, PATH, inline_bytes=inline_bytes)
    log.commit(append("first"))
    moments: list[SimulatedDisk] = []

    def interrupt() -> None:
        disk.on_operation = lambda: moments.append(disk.fork())
        press_ctrl_c()

    storage.before_sync = interrupt
    with pytest.raises(KeyboardInterrupt):
        log.commit(append("interrupted"))
    for moment in moments:
        for model in CRASH_MODELS:
            for seed in range(10):
                assert values(Log.open(moment.crash(model, seed), PATH)) in (["first"], ["first", "interrupted"])
    disk.on_operation = None
    assert values(Log.open(disk.crash("kill9"), PATH)) == found_after_crash(disk) == ["first"]


def test_interrupting_one_thread_does_not_lose_the_commits_of_those_it_leads() -> None:
    storage = InterruptedStorage(SimulatedDisk())
    log = Log.open(storage, PATH)
    first_is_syncing, others_are_queued = threading.Event(), threading.Event()

    def wait_for_others() -> None:
        storage.before_sync = press_ctrl_c  # whoever leads the next group
        first_is_syncing.set()
        assert others_are_queued.wait(60)

    def commit(number: int) -> int:
        with suppress(KeyboardInterrupt):
            log.commit(append(number))
            return 1
        return 0

    storage.before_sync = wait_for_others
    with ThreadPoolExecutor(5) as pool:
        first = pool.submit(commit, 0)
        assert first_is_syncing.wait(60)
        others = [pool.submit(commit, number) for number in range(1, 5)]
        while len(log._writer._queue) < len(others):
            os.sched_yield()
        others_are_queued.set()
        made = first.result(60) + sum(other.result(60) for other in others)
    assert made == log.version == len(values(log)) == 4


KILLED = """
import os, sys
import pyarrow as pa
from headwater.storage import CRASH_MODELS, Append, Fault, FaultyStorage, Log, OsStorage
storage = FaultyStorage(OsStorage(), [Fault(sys.argv[2], int(sys.argv[3]), "kill")])
log = Log.open(storage, sys.argv[1], segment_bytes=2000, inline_bytes=300, commits_bytes=5000)
for number in range(1000):
    many, one = pa.record_batch({"value": [number] * 50}), pa.record_batch({"value": [number]})
    log.commit([Append(0, 0, many), Append(1, 0, one)])
    print(number, flush=True)
"""


@pytest.mark.parametrize("operation, nth", [("pwrite", 20), ("pwrite", 33), ("sync", 25), ("sync_dir", 5), ("open", 8)])
def test_a_process_that_is_killed_leaves_what_it_acknowledged(tmp_path: Path, operation: str, nth: int) -> None:
    path = str(tmp_path / PATH)
    ended = subprocess.run(
        [sys.executable, "-c", KILLED, path, operation, str(nth)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([*sys.path, str(ROOT)])},
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL
    acknowledged = [int(line) for line in ended.stdout.split()]
    log = Log.open(OsStorage(), path)
    assert len(acknowledged) <= log.version <= len(acknowledged) + 1
    assert [chunk.rows.column(0).to_pylist() for chunk in log.scan(0)] == [[n] * 50 for n in range(log.version)]
    assert [chunk.rows.column(0).to_pylist() for chunk in log.scan(1)] == [[n] for n in range(log.version)]
    log.close()
