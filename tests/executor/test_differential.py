"""Random queries over random histories: incremental = DuckDB from scratch, after every step, now and at any cut.

HEADWATER_CASES sets how many random databases are tried, of six queries and ten steps each.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator

import pytest

from headwater.engine.subscription import Subscription
from headwater.planner.logical import CommitTimes, walk_plan
from tests.executor.differential import Case, Rows, canonical, insert_text
from tests.executor.limits import limits_of

CASES = int(os.environ.get("HEADWATER_CASES", "50"))
STEPS = 10


@pytest.fixture(autouse=True)
def limits(seed: int) -> Iterator[None]:
    with limits_of(seed):
        yield


def lived(seed: int) -> Case:
    case = Case(seed)
    for _ in range(STEPS):
        case.step()
    return case


@pytest.mark.parametrize("seed", range(CASES))
def test_every_table_equals_duckdb_after_every_step_and_as_of_any_offset(seed: int) -> None:
    case = lived(seed)
    total = case.oracle.records
    for records in {0, total, *(case.random.randint(0, total) for _ in range(3))}:
        case.check_offset(records)


@pytest.mark.parametrize("seed", range(CASES, CASES + CASES // 5))
def test_as_of_a_version_gives_what_was_there_then(seed: int) -> None:
    case = lived(seed)
    for version, contents in case.history:
        for name, rows in contents.items():
            then = case.as_of(name, f"VERSION {version}")
            assert then == rows, case.report(name, then, rows, f"as of version {version}")


@pytest.mark.parametrize("seed", range(2 * CASES, 2 * CASES + CASES // 5))
def test_changes_that_are_watched_add_up_to_the_table(seed: int) -> None:
    case = Case(seed, queries=4)
    for _ in range(3):
        case.step()
    watched: dict[str, tuple[Subscription, Rows]] = {}
    for _ in range(STEPS):
        for name in case.made.keys() - watched.keys():
            watched[name] = (case.watch(name), Counter())
        case.step_without_restart()
        for name, (subscription, rows) in watched.items():
            add(rows, subscription)
            assert +rows == case.contents()[name], case.report(f"watched {name}", rows, case.contents()[name])


@pytest.mark.parametrize("seed", range(3 * CASES, 3 * CASES + CASES // 50))
def test_a_transaction_sees_of_every_table_what_is_there_once_it_is_committed(seed: int) -> None:
    case = lived(seed)
    names = [name for name, query in case.made.items() if not query.own_clock and "now()" not in query.sql]
    with case.db.transaction() as t:
        for source in case.sources.values():
            rows = case.generator.new_rows(source, 200)
            t.execute("; ".join([insert_text(source, rows)] if rows else []))
        t.execute(case.generator.change(case.sources["b"]).sql)
        answers: dict[str, Rows] = {}
        for name in names:
            if not any(isinstance(node, CommitTimes) for node in walk_plan(case.relation(name).content())):
                answers[name] = canonical(t.sql(f"SELECT * FROM {name}").fetchall())
    after = case.contents()
    assert answers and {name: after[name] for name in answers} == answers


def add(rows: Rows, subscription: Subscription) -> None:
    while (batch := subscription.poll(0)) is not None:
        for change in batch:
            (row,) = canonical([change.row])
            rows[row] += 1 if change.op == "+" else -1
    assert all(weight >= 0 for weight in rows.values())
