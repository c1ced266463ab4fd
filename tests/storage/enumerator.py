"""Tries every crash: a harness that recovery of any part of the database can be tested with.

`enumerate_crashes` runs a workload on a simulated disk once for each of its I/O operations, with a crash at that
operation; then, for every model of what a crash leaves behind, it runs the check on what is left. It also crashes the
recovery itself, at each of its operations. In: what to do, what to check; out: the number of states checked, or a
`CrashFailure` that says which crash to look at.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import TypeVar

from headwater.storage import CrashModel, SimulatedCrash, SimulatedDisk, Storage

Journal = TypeVar("Journal")
SEEDS: Mapping[CrashModel, int] = {"kill9": 1, "drop": 1, "all_names": 2, "ops": 3, "random": 3}


class CrashFailure(AssertionError):
    """A crash after which something is wrong; the cause says what."""


def as_it_is(disk: SimulatedDisk) -> Storage:
    """The disk without anything in between."""
    return disk


def enumerate_crashes(
    workload: Callable[[Storage, Journal], None],
    check: Callable[[Storage, Journal], None],
    *,
    journal: Callable[[], Journal],
    recover: Callable[[Storage], None],
    wrap: Callable[[SimulatedDisk], Storage] = as_it_is,
    seeds: Mapping[CrashModel, int] = SEEDS,
) -> int:
    """Check the state after every crash of `workload`, and after every crash of the recovery from it.

    `journal` makes the object in which a run of the workload notes what it tries and what was acknowledged; it outlives
    the crash, and `check` reads it and leaves it as it is. `recover` opens and closes what the workload works on.
    `wrap` puts something between the disk and its users, for instance a mistake that must be found. `seeds` is how
    often each model of a crash is tried.
    """
    rehearsal = SimulatedDisk(seed=0)
    workload(wrap(rehearsal), journal())
    states = 0
    for operation in range(1, rehearsal.operations + 2):
        disk = SimulatedDisk(seed=0, crash_at=operation)
        noted = journal()
        with suppress(SimulatedCrash):
            workload(wrap(disk), noted)
        for model, count in seeds.items():
            for seed in range(count):
                place = f"crash at operation {operation}, model {model}, seed {seed}"
                _run(check, wrap(disk.crash(model, seed)), noted, place)
                states += 1 + _crash_recovery(disk, model, seed, noted, check, recover, wrap, place)
    return states


def _crash_recovery(
    disk: SimulatedDisk,
    model: CrashModel,
    seed: int,
    noted: Journal,
    check: Callable[[Storage, Journal], None],
    recover: Callable[[Storage], None],
    wrap: Callable[[SimulatedDisk], Storage],
    place: str,
) -> int:
    rehearsal = disk.crash(model, seed)
    recover(wrap(rehearsal))
    for operation in range(1, rehearsal.operations + 1):
        recovering = disk.crash(model, seed, crash_at=operation)
        with suppress(SimulatedCrash):
            recover(wrap(recovering))
        again = recovering.crash(model, seed + operation)
        _run(check, wrap(again), noted, f"{place}, then at operation {operation} of recovery")
    return rehearsal.operations


def _run(check: Callable[[Storage, Journal], None], storage: Storage, noted: Journal, place: str) -> None:
    try:
        check(storage, noted)
    except Exception as error:
        raise CrashFailure(place) from error
