"""Sessions that are folded: runs of time become one, and what is kept of them too, also after a restart."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater import Database, connect
from headwater.executor.session_groups import Runs, merged_runs
from headwater.planner.logical import SessionAggregate, SessionAssign, walk_plan
from headwater.storage import SimulatedDisk


@pytest.fixture
def db() -> Iterator[Database]:
    with connect(background=False) as opened:
        yield opened


intervals = st.lists(st.tuples(st.integers(0, 3), st.integers(-50, 50), st.integers(0, 30)), min_size=1, max_size=30)


@settings(max_examples=200, deadline=None)
@given(intervals, st.integers(0, 10))
def test_intervals_of_a_key_no_more_than_the_gap_apart_become_one(some: list[tuple[int, int, int]], gap: int) -> None:
    some = sorted((key, start, start + length) for key, start, length in some)
    expected: list[tuple[int, int, int]] = []
    numbers = []
    for key, start, end in some:
        last = expected[-1] if expected else None
        if last is not None and last[0] == key and start <= last[2] + gap:
            expected[-1] = (key, last[1], max(last[2], end))
        else:
            expected.append((key, start, end))
        numbers.append(len(expected) - 1)
    fields = np.array(some, dtype=np.int64).reshape(-1, 3).T
    which, found = merged_runs(Runs(*fields), gap)
    assert which.tolist() == numbers
    assert list(zip(found.keys.tolist(), found.starts.tolist(), found.ends.tolist(), strict=True)) == expected


@pytest.mark.parametrize(
    ("items", "folded"),
    [
        ("count(*), sum(v), avg(d), min(g), max(d)", True),
        ("k", True),
        ("count(*), median(v)", False),
        ("count(DISTINCT v)", False),
        ("max(epoch(WINDOWEND) - epoch(at))", False),
    ],
)
def test_what_sees_all_rows_of_a_session_is_not_folded(db: Database, items: str, folded: bool) -> None:
    db.execute("CREATE STREAM s (k INTEGER, g VARCHAR, v BIGINT, d DOUBLE, at TIMESTAMP) WITH (timestamp = 'at')")
    db.execute(f"CREATE TABLE x AS SELECT {items} FROM s WINDOW SESSION (5 SECONDS) GROUP BY k")
    relation = db.pipeline.catalog.get("x")
    assert relation is not None and relation.plan is not None
    kinds = {type(node) for node in walk_plan(relation.plan)}
    assert (SessionAggregate in kinds, SessionAssign in kinds) == (folded, not folded)


@pytest.mark.parametrize("key", ["k", "1 = 1"])
def test_sums_of_sessions_that_become_one_are_exact_also_from_an_image(key: str) -> None:
    disk = SimulatedDisk(seed=1)
    db = Database(disk, "db", None, background=False)
    db.execute(f"""
        CREATE STREAM s (k INTEGER, d DOUBLE, v DECIMAL(20, 2), at TIMESTAMP) WITH (timestamp = 'at');
        CREATE TABLE x AS
        SELECT {key} AS key, sum(d) AS total, sum(v) AS exact, avg(d) AS mean, min(d) AS low, count(d) AS n
        FROM s WINDOW SESSION (5 SECONDS) GROUP BY {key};
        INSERT INTO s VALUES (1, 1e300, 0.01, '2026-01-01 00:00:00'), (1, 1.5, 5, '2026-01-01 00:00:10'),
                             (1, -1e300, NULL, '2026-01-01 00:00:20'), (1, NULL, 1, '2026-01-01 00:00:30');
    """)
    db.settle()
    assert db.sql("SELECT total, exact, n FROM x ORDER BY WINDOWSTART").fetchall()[1][0] == 1.5
    db.execute("CHECKPOINT")
    db.close()
    db = Database(disk, "db", None, background=False)
    for second in (5, 15, 25):
        db.execute(f"INSERT INTO s VALUES (1, 0.25, 1, '2026-01-01 00:00:{second:02}')")
    found = db.sql("SELECT total, CAST(exact AS VARCHAR), mean, low, n FROM x").fetchall()
    assert found == [(2.25, "9.01", 2.25 / 6, -1e300, 6)]
