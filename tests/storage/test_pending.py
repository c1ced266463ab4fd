"""Checks of commits: each is called in its turn, sees what it comes behind, and refuses its own commit alone."""

from __future__ import annotations

import errno
import threading
from collections.abc import Callable

import pyarrow as pa
import pytest

from headwater.errors import DataError, NoSpace
from headwater.storage import Append, Fault, FaultyStorage, Log, Pending, SimulatedDisk

STREAM = 1


def row(value: int) -> list[Append]:
    return [Append(STREAM, 0, pa.record_batch({"v": [value]}))]


def values(pending: Pending) -> list[int]:
    return [value for rows in pending.rows_of(STREAM) for value in rows.column("v").to_pylist()]


def together(log: Log, commits: list[Callable[[], object]]) -> None:
    """Runs commits as one group: they gather while another one is held up in its check."""
    begun, may_go_on = threading.Event(), threading.Event()

    def hold(_: Pending) -> None:
        begun.set()
        may_go_on.wait()

    threads = [threading.Thread(target=lambda: log.commit(row(0), check=hold))]
    threads[0].start()
    begun.wait()
    for number, commit in enumerate(commits):
        threads.append(threading.Thread(target=commit))
        threads[-1].start()
        while len(log._writer._queue) <= number:  # type: ignore[union-attr]
            pass
    may_go_on.set()
    for thread in threads:
        thread.join()


def test_a_check_sees_the_commits_that_it_comes_behind_and_refuses_its_own_alone() -> None:
    log = Log.open(SimulatedDisk(), "db")
    seen: dict[int, list[int]] = {}
    groups: set[Pending] = set()

    def commit(value: int) -> None:
        def check(pending: Pending) -> None:
            groups.add(pending)
            seen[value] = values(pending)
            if value == 2:
                raise DataError("no twos")

        if value == 2:
            with pytest.raises(DataError, match="no twos"):
                log.commit(row(value), check=check)
        else:
            log.commit(row(value), check=check)

    together(log, [lambda v=v: commit(v) for v in (1, 2, 3)])  # type: ignore[misc]
    assert seen == {1: [], 2: [1], 3: [1]}, "what was refused is not there for those behind it"
    assert [chunk.rows.column("v")[0].as_py() for chunk in log.scan(STREAM)] == [0, 1, 3]
    (group,) = groups
    assert group.are_made and [version for version, _ in group.commits] == [2, 3]


def test_commits_that_fail_are_never_made() -> None:
    disk = FaultyStorage(SimulatedDisk())
    log = Log.open(disk, "db")
    groups: list[Pending] = []
    disk.plan = (Fault("pwrite", disk.counts["pwrite"] + 1, errno.ENOSPC),)
    with pytest.raises(NoSpace):
        log.commit(row(1), check=groups.append)
    disk.plan = ()
    log.commit(row(1), check=groups.append)
    assert [group.are_made for group in groups] == [False, True]
