"""No crash, chain of crashes or fault of any workload loses what was acknowledged, tears it, or keeps it shut.

With HEADWATER_THOROUGH=1 it is all of the gate that `python -m tests.storage.crashes` is. Without it there is a fifth
of its states, of its lives, and of its faults.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future
from pathlib import Path

import pytest

from tests.storage.chosen import chosen
from tests.storage.crashes import CHAINED_LIVES, PROCESSES, STATES, chain, explore, pool, shares_of, starve
from tests.storage.workloads import WORKLOADS
from tests.thoroughness import amount

PART = amount(5, 1)
WANTED = STATES // PART
SHARES = len(WORKLOADS) * PROCESSES
STATES_PER_WORKLOAD = -(-WANTED // len(WORKLOADS))
LIVES_PER_SHARE = -(-CHAINED_LIVES // (PART * SHARES))

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def processes() -> Iterator[Executor]:
    with pytest.MonkeyPatch.context() as patch, pool() as processes:
        patch.syspath_prepend(Path(__file__).parents[2])
        yield processes


@pytest.fixture(scope="module")
def explored(request: pytest.FixtureRequest, processes: Executor) -> Mapping[str, Future[int]]:
    """The crash states of the workloads that this session asks for, several workloads at once."""
    wanted = chosen(request, "workload")
    return {workload: processes.submit(explore, workload, STATES_PER_WORKLOAD) for workload in wanted}


def total(what: str, done: Iterable[Future[int]], record: Record) -> int:
    """How many of what there were, in all; that is recorded also if one went wrong."""
    number = 0
    try:
        for future in done:
            number += future.result()
    finally:
        record(what, number)
    return number


@pytest.mark.parametrize("workload", WORKLOADS)
def test_every_crash_leaves_what_was_acknowledged(
    workload: str, explored: Mapping[str, Future[int]], record_property: Record
) -> None:
    assert total("crash states", [explored[workload]], record_property) >= STATES_PER_WORKLOAD


@pytest.mark.parametrize("workload", WORKLOADS)
def test_lives_that_all_end_in_a_crash_leave_what_was_acknowledged(
    workload: str, processes: Executor, record_property: Record
) -> None:
    done = [processes.submit(chain, share, LIVES_PER_SHARE) for share in shares_of(workload, PROCESSES)]
    assert total("chained lives", done, record_property) >= LIVES_PER_SHARE * PROCESSES


@pytest.mark.parametrize("workload", WORKLOADS)
def test_no_failing_operation_loses_what_was_acknowledged(
    workload: str, processes: Executor, record_property: Record
) -> None:
    some = list(shares_of(workload, PROCESSES * PART))[:PROCESSES]
    done = [processes.submit(starve, share) for share in some]
    assert total("faults", done, record_property) > 0
