"""TUMBLE, HOP, CUMULATE and SESSION in FROM: the windows of each row, in snapshot queries and in continuous ones."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from headwater.engine.database import Database, connect
from headwater.errors import SqlError, TypeProblem
from tests.executor.differential import Case
from tests.executor.generator import Query as OracleQuery


@pytest.fixture(scope="module")
def db() -> Iterator[Database]:
    with connect(None, background=False) as db:
        db.execute("""
            CREATE STREAM s (k INTEGER, at TIMESTAMP) WITH (timestamp = 'at');
            CREATE TABLE t (id INTEGER PRIMARY KEY, day DATE, window_start INTEGER);
            INSERT INTO s VALUES (1, '2026-01-01 00:00:00'), (2, '2026-01-01 00:00:07'), (3, '1969-12-31 23:59:59');
            INSERT INTO t VALUES (1, '2026-01-01', 5), (2, NULL, 6);
        """)
        yield db


def seconds(rows: list[tuple[object, ...]]) -> list[tuple[object, ...]]:
    """Rows whose times are seconds since the beginning of 2026."""
    start = datetime(2026, 1, 1)
    return [tuple(int((v - start).total_seconds()) if isinstance(v, datetime) else v for v in row) for row in rows]


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("TUMBLE(s, at, INTERVAL 5 SECONDS)", [(1, 0, 5), (2, 5, 10)]),
        ("HOP(s, at, INTERVAL 2 SECONDS, INTERVAL 4 SECONDS)", [(1, -2, 2), (1, 0, 4), (2, 4, 8), (2, 6, 10)]),
        ("HOP(s, at, INTERVAL 3 SECONDS, INTERVAL 4 SECONDS)", [(1, -3, 1), (1, 0, 4), (2, 6, 10)]),
        ("CUMULATE(s, at, INTERVAL 2 SECONDS, INTERVAL 6 SECONDS)",
         [(1, 0, 2), (1, 0, 4), (1, 0, 6), (2, 6, 8), (2, 6, 10), (2, 6, 12)]),
    ],
)  # fmt: skip
def test_each_row_is_there_once_per_window_that_holds_it(db: Database, function: str, expected: list[object]) -> None:
    sql = f"SELECT k, window_start, window_end FROM {function} WHERE k < 3 ORDER BY 1, 2, 3"
    assert seconds(db.sql(sql).fetchall()) == expected


def test_windows_before_1970_start_at_multiples_too(db: Database) -> None:
    sql = "SELECT epoch(window_start), epoch(window_end) FROM TUMBLE(s, at, INTERVAL 7 SECONDS) WHERE k = 3"
    assert db.sql(sql).fetchall() == [(-7.0, 0.0)]


def test_the_columns_of_a_star_are_those_of_the_relation_and_the_bounds(db: Database) -> None:
    assert [c.name for c in db.sql("SELECT * FROM TUMBLE(s, at, INTERVAL 5 SECONDS) w").columns] == [
        "k", "at", "window_start", "window_end",
    ]  # fmt: skip
    assert db.sql("SELECT max(w.k) FROM HOP(s, at, INTERVAL 2 SECONDS, INTERVAL 4 SECONDS) w").fetchall() == [(3,)]


DAYS = "CAST(epoch_us(ts) // 10000000 * 10000000 AS BIGINT)"
HOPS = """(SELECT *, unnest([last, last - 4000000, last - 8000000]) AS ws
           FROM (SELECT *, epoch_us(ts) // 4000000 * 4000000 AS last FROM s))"""
LATEST = "(SELECT g, max(ts) AS ts FROM s GROUP BY g)"


@pytest.mark.parametrize("seed", range(9300, 9303))
def test_continuous_queries_over_windows_are_kept_up_to_date(seed: int) -> None:
    case = Case(seed, given=[
        OracleQuery(
            "SELECT g, window_start, window_end, count(*) AS n FROM TUMBLE(s, ts, INTERVAL 10 SECONDS) "
            "GROUP BY g, window_start, window_end",
            f"SELECT g, make_timestamp({DAYS}), make_timestamp({DAYS} + 10000000), count(*) FROM s GROUP BY ALL",
        ),
        OracleQuery(
            "SELECT w.k, w.window_start, sum(w.v) AS total FROM HOP(s, ts, INTERVAL 4 SECONDS, INTERVAL 10 SECONDS) w "
            "WHERE w.k > 0 GROUP BY w.k, w.window_start",
            f"SELECT k, make_timestamp(ws), sum(v) FROM {HOPS} WHERE ws + 10000000 > epoch_us(ts) AND k > 0 "
            "GROUP BY ALL",
        ),
        OracleQuery(
            "SELECT c.id, w.window_end FROM TUMBLE((SELECT k, max(ts) AS last FROM s GROUP BY k), last, "
            "INTERVAL 10 SECONDS) w JOIN t c ON w.k = c.id",
            "SELECT c.id, make_timestamp((epoch_us(q.last) // 10000000 + 1) * 10000000) "
            "FROM (SELECT k, max(ts) AS last FROM s GROUP BY k) q JOIN t c ON q.k = c.id",
        ),
        OracleQuery(
            f"SELECT a.g, b.g AS other FROM TUMBLE({LATEST}, ts, INTERVAL 10 SECONDS) a "
            f"JOIN TUMBLE({LATEST}, ts, INTERVAL 10 SECONDS) b "
            "ON a.window_start = b.window_start",
            "WITH q AS (SELECT g, epoch_us(max(ts)) // 10000000 AS w FROM s GROUP BY g) "
            "SELECT a.g, b.g FROM q a JOIN q b ON a.w = b.w",
        ),
    ])  # fmt: skip
    for _ in range(4):
        case.step()


@pytest.mark.parametrize(
    ("function", "kind", "message"),
    [
        ("TUMBLE(s, k, INTERVAL 5 SECONDS)", TypeProblem, "a window needs a time, and this is INTEGER"),
        ("TUMBLE(s, atx, INTERVAL 5 SECONDS)", SqlError, 'there is no column "atx"'),
        ("TUMBLE(t, day, INTERVAL 5 SECONDS)", SqlError, '"t" has a column window_start or window_end already'),
        ("HOP(s, at, INTERVAL 5 SECONDS, INTERVAL 2 SECONDS)", SqlError, "ADVANCE BY must not be longer than SIZE"),
        ("CUMULATE(s, at, INTERVAL 3 SECONDS, INTERVAL 4 SECONDS)", SqlError, "must be a multiple of its step"),
        ("SESSION(s, k, INTERVAL 2 SECONDS)", TypeProblem, "a window needs a time, and this is INTEGER"),
    ],
)
def test_what_cannot_be_windowed_says_why(db: Database, function: str, kind: type[SqlError], message: str) -> None:
    with pytest.raises(kind, match=message):
        db.subscribe(f"SELECT * FROM {function} EMIT CHANGES")


def test_rows_without_a_time_are_in_no_window(db: Database) -> None:
    sql = "FROM TUMBLE((SELECT id, day FROM t), day, INTERVAL 1 DAY) w"
    assert db.sql(f"SELECT w.id {sql}").fetchall() == [(1,)]
    with db.subscribe(f"SELECT w.id, window_end {sql} EMIT CHANGES") as watched:
        batch = watched.poll(0)
        assert batch is not None and [c.row for c in batch] == [(1, datetime(2026, 1, 2))]
