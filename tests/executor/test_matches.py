"""Outer, semi and anti joins and subqueries: what has a match, what begins to have one, and what ceases to."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest

from headwater.engine.database import Database, connect
from headwater.errors import SqlError
from headwater.executor.chunks import combined
from headwater.executor.matches import MatchCounts
from headwater.values import Delta

SCHEMA = pa.schema([("a", pa.int64())])


def rows(values: list[int | None], weights: list[int]) -> Delta:
    return Delta(pa.record_batch([pa.array(values, pa.int64())], schema=SCHEMA), np.array(weights, dtype=np.int64))


NONE = rows([], [])


def changes(delta: Delta) -> list[tuple[int | None, int]]:
    return list(zip(delta.rows.column("a").to_pylist(), delta.weight_array.tolist(), strict=True))


@pytest.fixture
def db() -> Iterator[Database]:
    with connect(None, background=False) as db:
        db.execute("""
            CREATE STREAM s (k INTEGER KEY, v VARCHAR);
            CREATE STREAM e (k INTEGER KEY, w VARCHAR);
            CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR);
            CREATE TABLE b (x INTEGER, y VARCHAR);
        """)
        yield db


def answer(db: Database, sql: str) -> list[tuple[object, ...]]:
    return sorted(db.sql(sql).fetchall(), key=repr)


# ---------------------------------------------------------------- counting


def test_a_row_is_without_a_match_until_the_first_one_comes_and_again_when_the_last_one_goes() -> None:
    counts = MatchCounts(SCHEMA)
    assert changes(counts.step(rows([1], [1]), NONE, matched=False)) == [(1, 1)]
    assert changes(counts.step(NONE, rows([1, 1], [1, 1]), matched=False)) == [(1, -1)]
    assert changes(counts.step(NONE, rows([1], [-1]), matched=False)) == []
    assert changes(counts.step(NONE, rows([1], [-1]), matched=False)) == [(1, 1)]


def test_a_row_that_is_there_twice_is_given_twice() -> None:
    counts = MatchCounts(SCHEMA)
    assert changes(counts.step(rows([7, 7, None], [1, 1, 1]), NONE, matched=False)) == [(7, 2), (None, 1)]
    assert changes(counts.step(rows([7], [-1]), NONE, matched=False)) == [(7, -1)]
    assert changes(counts.step(NONE, rows([7], [3]), matched=False)) == [(7, -1)]


def test_a_row_that_comes_together_with_its_match_is_only_ever_with_one() -> None:
    without, having = MatchCounts(SCHEMA), MatchCounts(SCHEMA)
    assert changes(without.step(rows([1], [1]), rows([1], [1]), matched=False)) == []
    assert changes(having.step(rows([1], [1]), rows([1], [1]), matched=True)) == [(1, 1)]


def test_counts_that_were_saved_go_on_where_they_were() -> None:
    counts, again = MatchCounts(SCHEMA), MatchCounts(SCHEMA)
    counts.step(rows([1, 2, 3], [1, 1, 2]), rows([2, 3], [1, 4]), matched=False)
    again.restore(combined(counts.save()))
    assert again.state_rows == counts.state_rows == 3
    for one in (counts, again):
        assert changes(one.step(NONE, rows([2, 3], [-1, -2]), matched=False)) == [(2, 1)]


def test_the_memory_of_rows_that_are_gone_is_given_back() -> None:
    counts = MatchCounts(SCHEMA)
    for first in range(0, 200_000, 20_000):
        values: list[int | None] = list(range(first, first + 20_000))
        counts.step(rows(values, [1] * 20_000), rows(values, [1] * 20_000), matched=False)
        counts.step(rows(values, [-1] * 20_000), rows(values, [-1] * 20_000), matched=False)
    assert counts.state_rows == 0
    assert counts.nbytes < 4_000_000


# ---------------------------------------------------------------- tables


def test_rows_with_a_null_key_have_no_match_and_stay(db: Database) -> None:
    db.execute("CREATE TABLE q AS SELECT c.x, d.y FROM b c FULL JOIN (SELECT x, y FROM b) d ON c.x = d.x")
    db.execute("INSERT INTO b VALUES (NULL, 'n'), (1, 'a')")
    assert answer(db, "SELECT * FROM q") == [(1, "a"), (None, "n"), (None, None)]


@pytest.mark.parametrize("kind", ["LEFT", "RIGHT", "FULL"])
def test_a_column_of_using_is_that_of_the_side_that_has_a_row(db: Database, kind: str) -> None:
    sql = f"SELECT *, id + 1 AS next, t.id AS own FROM t {kind} JOIN (SELECT x AS id, y FROM b) q USING (id)"
    db.execute(f"CREATE TABLE q AS {sql}")
    db.execute("INSERT INTO t VALUES (1, 'one'), (2, 'two'); INSERT INTO b VALUES (2, 'b'), (3, 'c')")
    assert answer(db, "SELECT * FROM q") == answer(db, sql)


def test_a_condition_of_an_outer_join_decides_on_matches_and_not_on_rows(db: Database) -> None:
    db.execute("CREATE TABLE q AS SELECT t.id, b.y FROM t LEFT JOIN b ON t.id = b.x AND t.id > 1 AND b.y <> t.name")
    db.execute("INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO b VALUES (1, 'z'), (2, 'b')")
    assert answer(db, "SELECT * FROM q") == [(1, None), (2, None)]
    db.execute("INSERT INTO t VALUES (2, 'c')")
    assert answer(db, "SELECT * FROM q") == [(1, None), (2, "b")]


def test_not_in_follows_nulls_as_they_come_and_go(db: Database) -> None:
    db.execute("CREATE TABLE q AS SELECT x FROM b WHERE x NOT IN (SELECT length(name) FROM t)")
    db.execute("INSERT INTO b VALUES (1, ''), (NULL, '')")
    assert answer(db, "SELECT * FROM q") == [(1,), (None,)]
    for name, expected in [("'aa'", [(1,)]), ("NULL", []), ("'a'", []), ("'aaa'", [(1,)])]:
        db.execute(f"INSERT INTO t VALUES (5, {name})")
        assert answer(db, "SELECT * FROM q") == expected


# ---------------------------------------------------------------- streams


def test_a_row_of_a_stream_without_a_match_has_nulls_for_ever(db: Database) -> None:
    db.execute("CREATE TABLE q AS SELECT s.k, t.name FROM s LEFT JOIN t ON s.k = t.id")
    db.execute("INSERT INTO s VALUES (1, 'x'); INSERT INTO t VALUES (1, 'late'); INSERT INTO s VALUES (1, 'y')")
    assert answer(db, "SELECT * FROM q") == [(1, "late"), (1, None)]


def test_a_left_join_has_the_order_of_the_stream_however_its_rows_are_cut_into_commits(db: Database) -> None:
    db.execute("INSERT INTO b VALUES (1, 'p'), (1, 'q'), (3, 'r')")
    sent = [(k, v) for k, v in zip([1, 2, 1, 1, 3, 2, 1], "xxxyxxx", strict=True)]
    db.execute("CREATE STREAM one AS SELECT s.k, s.v, b.y FROM s LEFT JOIN b ON s.k = b.x AND (s.v = 'x' OR b.y = 'p')")
    db.append("s", [{"k": k, "v": v} for k, v in sent])
    together = db.sql("SELECT k, v, y FROM one ORDER BY ROWOFFSET").fetchall()
    for k, v in sent:
        db.append("s", [{"k": k, "v": v}])
        db.settle()
    assert db.sql("SELECT k, v, y FROM one ORDER BY ROWOFFSET").fetchall() == together * 2
    assert [k for k, _, _ in together] == [1, 1, 2, 1, 1, 1, 3, 2, 1, 1]


def test_two_streams_are_joined_over_their_whole_past_and_equal_rows_count_each(db: Database) -> None:
    db.execute("CREATE TABLE q AS SELECT s.k, s.v, e.w FROM s JOIN e ON s.k = e.k")
    db.execute("CREATE TABLE n AS SELECT k, count(*) AS n FROM q GROUP BY k")
    db.execute("INSERT INTO s VALUES (1, 'a'), (1, 'a'), (NULL, 'n')")
    db.execute("INSERT INTO e VALUES (1, 'b'), (1, 'b'), (NULL, 'n')")
    assert answer(db, "SELECT * FROM q") == [(1, "a", "b")] * 4
    assert answer(db, "SELECT * FROM n") == [(1, 4)]


def test_a_third_stream_meets_the_whole_past_of_two(db: Database) -> None:
    db.execute("CREATE TABLE q AS SELECT s.v, e.w, f.w AS last FROM s, e, e f WHERE s.k = e.k AND e.k = f.k")
    db.execute("INSERT INTO e VALUES (1, 'b')")
    db.execute("INSERT INTO s VALUES (1, 'a')")
    assert answer(db, "SELECT * FROM q") == [("a", "b", "b")]


def test_a_join_of_two_streams_is_a_table(db: Database) -> None:
    with pytest.raises(SqlError, match="no order of their own, so the result is a table"):
        db.execute("CREATE STREAM q AS SELECT s.v, e.w FROM s JOIN e ON s.k = e.k")


def test_a_window_over_rows_that_meet_the_past_of_a_stream_is_refused(db: Database) -> None:
    with pytest.raises(SqlError, match="WINDOW needs a stream"):
        db.execute("CREATE TABLE q AS SELECT count(*) FROM s WINDOW TUMBLING (SIZE 1 DAY) WHERE k IN (SELECT k FROM e)")


def test_a_stream_that_is_filtered_by_a_table_stays_a_stream(db: Database) -> None:
    db.execute("CREATE STREAM known AS SELECT k, v FROM s WHERE k IN (SELECT id FROM t)")
    db.execute("INSERT INTO s VALUES (1, 'before'); INSERT INTO t VALUES (1, 'x'); INSERT INTO s VALUES (1, 'after')")
    assert db.sql("SELECT k, v, ROWOFFSET FROM known").fetchall() == [(1, "after", 0)]
