"""Where rows come from. The law: the records that a row is said to be made of are enough to make it, and without them
it is not there, or not as often.

Random queries over random histories; DuckDB answers from the named records alone, and from all others. The law is about
what rows are made of, so it leaves out what other rows decide besides: numbers OVER them, the first of them, clocks.
HEADWATER_LINEAGE sets how many random databases are tried.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from random import Random

import pyarrow as pa
import pytest

from headwater.engine.result import python_rows
from headwater.errors import Unsupported
from headwater.executor.feed import Cut
from headwater.executor.lineage import Tracer, content_at
from headwater.planner import Plan, walk_plan
from headwater.planner.logical import (
    Aggregate,
    ChangeRows,
    Foremost,
    Over,
    Recursion,
    SemiJoin,
    SessionAssign,
    TemporalFilter,
    TopK,
    WithinOuter,
)
from tests.executor.differential import Case, canonical
from tests.executor.limits import limits_of
from tests.executor.partial import Records, answer_of

CASES = int(os.environ.get("HEADWATER_LINEAGE", "2"))
SEEDS = range(9000, 9000 + CASES)

_DECIDED_BY_OTHERS = (Over, TopK, Foremost, SessionAssign, TemporalFilter, WithinOuter, ChangeRows)


@pytest.fixture(autouse=True)
def limits(seed: int) -> Iterator[None]:
    with limits_of(seed):
        yield


def traced(case: Case, plan: Plan, row: pa.RecordBatch, cut: Cut) -> Records:
    """The records that a row is made of."""
    tracer = Tracer(case.db.log)
    found: dict[str, set[tuple[int, int]]] = {}
    for origin in tracer.trace(plan, row, cut).to_pylist():
        source = tracer.vias[origin["via"]].source
        found.setdefault(source.name, set()).add((origin["partition"], origin["offset"]))
    return found


def values_of(plan: Plan, row: pa.RecordBatch) -> tuple[object, ...]:
    """A row as the oracle has it."""
    (values,) = canonical(python_rows(plan.columns, row.columns))
    return values


def may_be_there_without(plan: Plan) -> bool:
    """Whether a row can be there for another reason once all that it is made of is gone."""
    nodes = list(walk_plan(plan))
    return any(
        (isinstance(node, Aggregate) and not node.keys)
        or isinstance(node, Recursion)
        or (isinstance(node, SemiJoin) and node.negated)
        for node in nodes
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_the_records_of_a_row_are_enough_and_are_needed(seed: int) -> None:
    case, random = Case(seed, queries=8), Random(seed)
    for _ in range(6):
        case.step()
    case.oracle.set_now(case.disk.clock_us)
    cut, tried = Cut(case.db.pipeline.circuit.version), 0
    for name, query in case.made.items():
        relation = case.db.pipeline.catalog.get(name)
        assert relation is not None and relation.query_plan is not None
        plan = relation.query_plan
        content = content_at(case.db.log, plan, cut)
        if not content.num_rows or any(isinstance(node, _DECIDED_BY_OTHERS) for node in walk_plan(plan)):
            continue
        there = case.oracle.answer(query.oracle)
        for place in random.sample(range(content.num_rows), min(2, content.num_rows)):
            batch = content.take(pa.array([place]))
            try:
                records = traced(case, plan, batch, cut)
            except Unsupported:
                continue
            row = values_of(plan, batch)
            assert row in there
            assert row in answer_of(case, query.oracle, records), f"{name}: {query.sql}: {row} of {records}"
            if records and not may_be_there_without(plan):
                others = answer_of(case, query.oracle, records, without=True)
                assert others[row] < there[row], f"{name}: {query.sql}: {row} without {records}"
            tried += 1
    case.db.close()
    if not tried:
        pytest.skip("no query has a row that the law is about")
