"""Where missing rows were lost. The law: a reason that is planted is found.

A row that is there is made to be missing by a condition that nothing meets, put somewhere into the plan. Then that is
the step at which it was lost. And of rows that were there at another version, or never, something can always be said.
HEADWATER_LINEAGE sets how many random databases are tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pyarrow as pa
import pytest

from headwater.executor.feed import Cut
from headwater.executor.lineage import condition_of, content_at, is_writable
from headwater.executor.missing import Search
from headwater.parser import quote
from headwater.planner import Plan
from headwater.planner.logical import (
    Aggregate,
    AsofJoin,
    Expression,
    Filter,
    Foremost,
    Join,
    LookupJoin,
    OnTime,
    Over,
    Project,
    SemiJoin,
    TemporalJoin,
    TopK,
    Unnest,
    WindowAssign,
)
from headwater.planner.rewrite import with_inputs
from tests.executor.differential import Case
from tests.executor.limits import limits_of

CASES = int(os.environ.get("HEADWATER_LINEAGE", "2"))
SEEDS = range(9500, 9500 + CASES)

Place = tuple[int, ...]  # which input to go into, from the output down


@pytest.fixture(autouse=True)
def limits(seed: int) -> Iterator[None]:
    with limits_of(seed):
        yield


def never(node: Plan) -> Filter:
    """No row of a node."""
    name = quote(node.names[0])
    return Filter(node, Expression(f"{name} IS NULL AND {name} IS NOT NULL", "BOOLEAN", (node.names[0],)))


def places(node: Plan) -> Iterator[Place]:
    """Where a plan can be cut off, so that it has no row any more."""
    yield ()
    match node:
        case Filter() | Project() | WindowAssign() | OnTime() | Unnest() | Over() | TopK() | Foremost():
            below: tuple[int, ...] = (0,)
        case Aggregate(keys=keys):
            below = (0,) if keys else ()
        case Join(by_version=True) | TemporalJoin():
            below = (0,)  # the table is looked at for some rows of the stream, which may have met another reason
        case Join():
            below = (0, 1)
        case AsofJoin() | LookupJoin():
            below = (0,)
        case SemiJoin(negated=False):
            below = (0, 1)
        case _:
            below = ()
    for number in below:
        yield from ((number, *place) for place in places(node.inputs[number]))


def cut_off(node: Plan, place: Place) -> tuple[Plan, Filter]:
    """A plan with `never` at a place, and what stands there."""
    if not place:
        return never(node), never(node)
    inputs = list(node.inputs)
    inputs[place[0]], planted = cut_off(inputs[place[0]], place[1:])
    return with_inputs(node, tuple(inputs)), planted


def conditions(plan: Plan, row: pa.RecordBatch) -> list[Expression]:
    """What a row is like, in the columns that can be written."""
    return [condition_of(c.name, c.type, row.column(c.name)) for c in plan.columns if is_writable(c.type)]


def lived(seed: int) -> Case:
    case = Case(seed)
    for _ in range(8):
        case.step()
    return case


def plans(case: Case) -> Iterator[tuple[str, Plan]]:
    for name in case.made:
        relation = case.db.pipeline.catalog.get(name)
        assert relation is not None and relation.query_plan is not None
        yield name, relation.query_plan


@pytest.mark.parametrize("seed", SEEDS)
def test_a_planted_reason_is_found(seed: int) -> None:
    case, random = lived(seed), Random(seed)
    search, tried = Search(case.db.log, Cut(case.db.pipeline.circuit.version)), 0
    for name, plan in plans(case):
        content = search.rows(plan, ())
        for _ in range(min(3, content.num_rows)):
            row = content.slice(random.randrange(content.num_rows), 1)
            without, planted = cut_off(plan, random.choice(list(places(plan))))
            steps = search.why(without, conditions(plan, row))
            assert planted in [step.node for step in steps], f"{name}: {case.made[name].sql}: {steps}"
            tried += 1
    case.db.close()
    if not tried:
        pytest.skip("no query has a row")


@pytest.mark.parametrize("seed", SEEDS)
def test_of_any_row_that_is_missing_something_is_said(seed: int) -> None:
    case, random = lived(seed), Random(seed)
    version = case.db.pipeline.circuit.version
    search, tried = Search(case.db.log, Cut(version)), 0
    for _, plan in plans(case):
        asked = [[condition_of(c.name, c.type, pa.array([77_777]))] for c in plan.columns if c.type == "BIGINT"]
        for _ in range(3):
            then = content_at(case.db.log, plan, Cut(random.randint(0, version)))
            if then.num_rows:
                rows = [then.slice(random.randrange(then.num_rows), 1) for _ in range(2)]
                both = zip(*(conditions(plan, row) for row in rows), strict=True)
                asked.append([random.choice(pair) for pair in both])
        for wanted in asked:
            if not search.rows(plan, wanted).num_rows:
                steps = search.why(plan, wanted)
                assert steps and all(step.reason for step in steps)
                tried += 1
    case.db.close()
    if not tried:
        pytest.skip("no row is missing")
