"""Aggregates computed again, distinct values, grouping sets and set operations: what random queries do not show.

That all of them equal DuckDB at every step is in `test_differential.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from headwater.engine.database import Database, connect
from headwater.errors import Unsupported
from tests.executor.differential import canonical


@pytest.fixture
def db() -> Iterator[Database]:
    with connect(None, background=False) as db:
        db.execute("""
            CREATE STREAM s (k INTEGER, v INTEGER);
            CREATE STREAM r (k INTEGER, v INTEGER);
            CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR, w INTEGER);
        """)
        yield db


def rows(db: Database, name: str) -> list[tuple[Any, ...]]:
    return sorted(db.sql(f"SELECT * FROM {name}").fetchall(), key=str)


def test_without_rows_a_total_is_what_duckdb_says_of_no_rows(db: Database) -> None:
    items = "count(*) AS n, median(w) AS m, list(w ORDER BY w) AS l, regr_count(w, id) AS c, count(DISTINCT w) AS d"
    db.execute(f"CREATE TABLE total AS SELECT {items} FROM t")
    assert rows(db, "total") == [(0, None, None, 0, 0)]
    db.execute("INSERT INTO t VALUES (1, 'a', 5)")
    assert rows(db, "total") == [(1, 5.0, [5], 1, 1)]
    db.execute("DELETE FROM t")
    assert rows(db, "total") == [(0, None, None, 0, 0)]


def test_a_value_counts_as_long_as_one_of_its_rows_is_there(db: Database) -> None:
    db.execute("CREATE TABLE names AS SELECT count(DISTINCT name) AS n, sum(DISTINCT w) AS total FROM t")
    db.execute("INSERT INTO t VALUES (1, 'a', 5), (2, 'a', 5), (3, 'b', 7)")
    assert rows(db, "names") == [(2, 12)]
    db.execute("DELETE FROM t WHERE id = 1")
    assert rows(db, "names") == [(2, 12)]
    db.execute("DELETE FROM t WHERE id = 2")
    assert rows(db, "names") == [(1, 7)]


def test_a_group_on_whose_rows_a_function_fails_has_null_and_the_others_their_values(db: Database) -> None:
    items = "count(*) AS n, median(v) AS m, bitstring_agg(v, 1, 4) IS NULL AS failed"
    db.execute(f"CREATE TABLE bits AS SELECT k, {items} FROM s GROUP BY k")
    db.execute("INSERT INTO s VALUES (1, 2), (2, 9), (3, 4)")  # 9 is not between 1 and 4
    assert rows(db, "bits") == [(1, 1, 2.0, False), (2, 1, None, True), (3, 1, 4.0, False)]
    db.execute("INSERT INTO s VALUES (1, 1), (2, 1)")
    assert rows(db, "bits") == [(1, 2, 1.5, False), (2, 2, None, True), (3, 1, 4.0, False)]


def test_the_order_of_a_stream_is_that_of_its_log(db: Database) -> None:
    items = "list(v) AS l, first(v) AS f, latest_by_offset(v) AS latest, earliest_by_offset(v, 2) AS e"
    db.execute(f"CREATE TABLE listed AS SELECT k, {items} FROM s GROUP BY k")
    for v in (5, 3, 9, 3):
        db.execute(f"INSERT INTO s VALUES (1, {v})")
    assert rows(db, "listed") == [(1, [5, 3, 9, 3], 5, 3, [5, 3])]


def test_equal_places_in_an_order_are_decided_by_the_values(db: Database) -> None:
    db.execute("CREATE TABLE listed AS SELECT list(name ORDER BY w) AS l, arg_max(name, w) AS m FROM t")
    db.execute("INSERT INTO t VALUES (1, 'c', 1)")
    db.execute("INSERT INTO t VALUES (2, 'a', 1), (3, 'b', 1)")
    assert rows(db, "listed") == [(["a", "b", "c"], "a")]


@pytest.mark.parametrize("at_once", [True, False])
def test_a_stream_of_two_has_the_order_of_the_log_however_it_is_cut_into_steps(db: Database, at_once: bool) -> None:
    query = "CREATE STREAM both AS SELECT k, v FROM s UNION ALL SELECT k, v FROM r"
    if not at_once:
        db.execute(query)
    for n in range(3):
        db.execute(f"INSERT INTO s VALUES (1, {2 * n})")
        db.execute(f"INSERT INTO r VALUES (1, {2 * n + 1})")
    if at_once:
        db.execute(query)
    found = db.sql("SELECT ROWOFFSET, v FROM both ORDER BY ROWOFFSET").fetchall()
    assert found == [(n, n) for n in range(6)]


def test_a_stream_of_two_has_a_past_at_its_own_offsets_and_at_versions_and_none_at_those_of_its_sources(
    db: Database,
) -> None:
    db.execute("CREATE STREAM both AS SELECT v FROM s UNION ALL SELECT v FROM r")
    db.execute("INSERT INTO s VALUES (1, 0)")
    db.execute("INSERT INTO r VALUES (1, 1)")
    version = db.version
    db.settle()
    db.execute("INSERT INTO s VALUES (1, 2)")
    assert db.sql("SELECT v FROM both AS OF OFFSET 1").fetchall() == [(0,)]
    assert db.sql(f"SELECT v FROM both AS OF VERSION {version}").fetchall() == [(0,), (1,)]
    with pytest.raises(Unsupported, match="offsets of its sources are no place in it"):
        db.sql("SELECT v FROM both AS OF OFFSET (s => 2, r => 0)")


def test_a_union_of_streams_can_be_windowed(db: Database) -> None:
    both = "(SELECT k, v FROM s UNION ALL SELECT k, v FROM r) b"
    db.execute(f"CREATE TABLE w AS SELECT k, count(*) AS n FROM {both} WINDOW TUMBLING (SIZE 1000 DAYS) GROUP BY k")
    db.execute("INSERT INTO s VALUES (1, 1), (2, 1); INSERT INTO r VALUES (1, 1)")
    assert canonical(db.sql("SELECT k, n FROM w").fetchall()) == canonical([(1, 2), (2, 1)])


def test_a_row_that_goes_from_one_side_changes_what_is_left(db: Database) -> None:
    db.execute("CREATE TABLE left_over AS SELECT k FROM s EXCEPT ALL SELECT w FROM t")
    db.execute("INSERT INTO s VALUES (1, 0), (1, 0), (1, 0), (2, 0)")
    db.execute("INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 1), (3, 'c', 2)")
    assert rows(db, "left_over") == [(1,)]
    db.execute("DELETE FROM t WHERE id > 1")
    assert rows(db, "left_over") == [(1,), (1,), (2,)]


def test_the_grand_total_of_a_rollup_is_there_before_any_row(db: Database) -> None:
    items = "name, count(*) AS n, grouping(name) AS g"
    db.execute(f"CREATE TABLE totals AS SELECT {items} FROM t GROUP BY ROLLUP (name)")
    assert rows(db, "totals") == [(None, 0, 1)]
    db.execute("INSERT INTO t VALUES (1, NULL, 1), (2, 'a', 1)")
    assert canonical(rows(db, "totals")) == canonical([(None, 2, 1), (None, 1, 0), ("a", 1, 0)])
