"""Lives that all end in a crash: each goes on where the one before was cut off.

In: a workload and a seed; out: the number of lives, or a `CrashFailure` that says how to do it again. What a life was
shown after its recovery must be there in all later ones, however the recovery was interrupted, and however the disk was
left by the crashes before.
"""

from __future__ import annotations

import random
from contextlib import suppress

from headwater.storage import CRASH_MODELS, SimulatedCrash, SimulatedDisk
from tests.storage.enumerator import CrashFailure, J, S, Workload, Wrap, run

LIVES = 6
LONGEST_RECOVERY = 12  # operations; a recovery that has fewer is not interrupted


def run_chain(workload: Workload[S, J], seed: int, *, wrap: Wrap = lambda disk: disk) -> int:
    """Crash, recover and go on, `LIVES` times. The number of lives."""
    chance = random.Random(seed)
    disk, journal = SimulatedDisk(seed=seed), workload.journal()
    rehearsal = disk.fork()
    run(workload, wrap(rehearsal), workload.journal())
    for life in range(1, LIVES + 1):
        try:
            disk.crash_at = disk.operations + chance.randint(1, rehearsal.operations + 1)
            with suppress(SimulatedCrash):
                run(workload, wrap(disk), journal)
            disk = _crash(disk, chance)
            if chance.random() < 0.5:
                disk.crash_at = chance.randint(1, LONGEST_RECOVERY)
                with suppress(SimulatedCrash):
                    workload.open(wrap(disk))
                disk = _crash(disk, chance)
            workload.settle(workload.open(wrap(disk)), journal)
            disk = _crash(disk, chance)
        except Exception as error:
            raise CrashFailure(
                f"life {life} of a chain of {workload.name} with seed {seed}; to do it again: "
                f'python -m tests.storage.crashes --workload "{workload.name}" --chain {seed}'
            ) from error
    return LIVES


def _crash(disk: SimulatedDisk, chance: random.Random) -> SimulatedDisk:
    return disk.crash(chance.choice(CRASH_MODELS), chance.randrange(1 << 30))
