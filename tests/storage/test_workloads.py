"""No crash, chain of crashes or fault of any workload loses what was acknowledged, tears it, or keeps it shut.

This is the tenth part of the gate that `python -m tests.storage.crashes` is.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from pathlib import Path

import pytest

from tests.storage.crashes import CHAINED_LIVES, PROCESSES, STATES, chain, explore, pool, shares_of, starve
from tests.storage.workloads import WORKLOADS

PART = 10
SHARES = len(WORKLOADS) * PROCESSES * PART


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with pytest.MonkeyPatch.context() as patch, pool() as processes:
        patch.syspath_prepend(Path(__file__).parents[2])
        yield processes


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_crash_leaves_what_was_acknowledged(workload: str, processes: Executor) -> None:
    done = [processes.submit(explore, share, STATES // SHARES) for share in shares_of(workload, PROCESSES)]
    assert sum(future.result() for future in done) > 100


@pytest.mark.parametrize("workload", WORKLOADS)
def test_lives_that_all_end_in_a_crash_leave_what_was_acknowledged(workload: str, processes: Executor) -> None:
    done = [processes.submit(chain, share, CHAINED_LIVES // SHARES) for share in shares_of(workload, PROCESSES)]
    assert sum(future.result() for future in done) >= CHAINED_LIVES // SHARES * PROCESSES


@pytest.mark.parametrize("workload", WORKLOADS)
def test_no_failing_operation_loses_what_was_acknowledged(workload: str, processes: Executor) -> None:
    some = list(shares_of(workload, PROCESSES * PART))[:PROCESSES]
    assert sum(future.result() for future in [processes.submit(starve, share) for share in some]) > 10
