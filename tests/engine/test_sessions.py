"""SESSION windows, after FROM and as a function in it, and CUMULATE."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from headwater import Database, SqlError, Unsupported, connect
from headwater.executor.operators import Stateful

START = datetime(2026, 1, 1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def click(db: Database, *some: tuple[str | None, float]) -> None:
    db.append("clicks", [{"who": who, "n": n, "at": at(seconds)} for n, (who, seconds) in enumerate(some)])


def seconds(db: Database, sql: str) -> list[tuple[Any, ...]]:
    """The rows in order, with times as seconds since the start."""
    rows = db.sql(sql).fetchall()
    found = [tuple((v - START).total_seconds() if isinstance(v, datetime) else v for v in row) for row in rows]
    return sorted(found, key=str)


@pytest.fixture
def clicks(db: Database) -> Database:
    db.execute("CREATE STREAM clicks (who VARCHAR KEY, n INTEGER, at TIMESTAMP) WITH (timestamp = 'at')")
    return db


def visits(db: Database, window: str = "SESSION (10 SECONDS)", items: str = "who, count(*) AS n") -> None:
    db.execute(f"CREATE TABLE visits AS SELECT {items} FROM clicks WINDOW {window} GROUP BY who")


def test_a_session_lasts_from_its_first_row_to_its_last(clicks: Database) -> None:
    visits(clicks)
    click(clicks, ("ann", 0), ("ann", 7), ("bob", 8), ("ann", 30))
    assert seconds(clicks, "SELECT * FROM visits") == [(0, 7, "ann", 2), (30, 30, "ann", 1), (8, 8, "bob", 1)]


@pytest.mark.parametrize(("apart", "sessions"), [(10, 1), (10.000001, 2)])
def test_a_row_that_is_just_the_gap_away_belongs_to_it(clicks: Database, apart: float, sessions: int) -> None:
    visits(clicks)
    click(clicks, ("ann", 0), ("ann", apart))
    assert len(seconds(clicks, "SELECT * FROM visits")) == sessions


def test_a_late_row_between_two_sessions_makes_them_one(clicks: Database) -> None:
    visits(clicks, items="who, count(*) AS n, median(n) AS middle, max(n) AS top")
    click(clicks, ("ann", 0), ("ann", 5), ("ann", 21))
    assert seconds(clicks, "SELECT * FROM visits") == [(0, 5, "ann", 2, 0.5, 1), (21, 21, "ann", 1, 2, 2)]
    click(clicks, ("ann", 12))
    assert seconds(clicks, "SELECT * FROM visits") == [(0, 21, "ann", 4, 0.5, 2)]


def test_null_is_a_key_like_any_other(clicks: Database) -> None:
    visits(clicks)
    click(clicks, (None, 0), ("ann", 1), (None, 2))
    assert seconds(clicks, "SELECT who, n FROM visits") == [("ann", 1), (None, 2)]


def test_a_record_is_late_once_stream_time_has_passed_the_gap_after_it_and_the_grace(clicks: Database) -> None:
    visits(clicks, "SESSION (10 SECONDS, GRACE PERIOD 5 SECONDS)")
    click(clicks, ("ann", 100), ("bob", 85), ("cid", 84.999))
    assert seconds(clicks, "SELECT who FROM visits") == [("ann",), ("bob",)]


def test_without_keys_all_rows_are_in_one_run_of_sessions(clicks: Database) -> None:
    window = "WINDOW SESSION (5 SECONDS) GROUP BY WINDOWSTART"
    clicks.execute(f"CREATE TABLE busy AS SELECT count(*) AS n FROM clicks {window}")
    click(clicks, ("ann", 0), ("bob", 4), ("ann", 8), ("bob", 20))
    assert seconds(clicks, "SELECT * FROM busy") == [(0, 8, 3), (20, 20, 1)]


def test_sessions_are_of_the_rows_that_where_leaves_and_of_expressions_too(clicks: Database) -> None:
    clicks.execute("""
        CREATE TABLE initials AS
        SELECT left(who, 1) AS initial, count(*) AS n, max(epoch(WINDOWEND - ROWTIME)) AS longest
        FROM clicks WINDOW SESSION (5 SECONDS) WHERE n <> 1 GROUP BY left(who, 1)
    """)
    click(clicks, ("ann", 0), ("ann", 4), ("abe", 6), ("ari", 8))
    assert seconds(clicks, "SELECT WINDOWSTART, initial, n, longest FROM initials") == [
        (0, "a", 1, 0),
        (6, "a", 2, 2),
    ]


@pytest.mark.parametrize("call", ["list(n)", "sum(n)"])
def test_a_session_that_no_row_can_reach_is_forgotten_and_its_result_stays(clicks: Database, call: str) -> None:
    visits(clicks, "SESSION (1 SECOND, GRACE PERIOD 0 SECONDS)", f"who, count(*) AS n, {call} AS every")
    for step in range(20):
        click(clicks, *((f"{n % 50}", step * 100 + n / 100) for n in range(500)))
        clicks.settle()
    relation = clicks.pipeline.catalog.get("visits")
    assert relation is not None and relation.plan is not None
    operators = clicks.pipeline.circuit.operators_of(relation.plan)
    kept = {type(node).__name__: held.state_rows for node, held in operators if isinstance(held, Stateful)}
    assert kept.get("SessionAssign", kept.get("SessionAggregate")) <= 500  # type: ignore[operator]
    assert clicks.sql("SELECT count(*), sum(n) FROM visits").fetchone() == (1000, 10000)


def test_a_snapshot_query_has_sessions_too(clicks: Database) -> None:
    click(clicks, ("ann", 0), ("ann", 7), ("ann", 30))
    sql = "SELECT WINDOWSTART, WINDOWEND, who, count(*) FROM clicks WINDOW SESSION (10 SECONDS) GROUP BY who"
    assert seconds(clicks, sql) == [(0, 7, "ann", 2), (30, 30, "ann", 1)]
    assert seconds(clicks, f"{sql} AS OF OFFSET 1") == [(0, 0, "ann", 1)]


@pytest.mark.parametrize("kept", [False, True])
def test_session_as_a_function_ends_the_gap_after_the_last_row(clicks: Database, kept: bool) -> None:
    click(clicks, ("ann", 0), ("bob", 7), ("ann", 12))
    by_who = "SESSION(TABLE clicks PARTITION BY who, DESCRIPTOR(at), INTERVAL '10' SECOND)"
    for name, window, expected in (
        ("one", by_who, [("ann", 0, 10), ("ann", 12, 22), ("bob", 7, 17)]),
        ("two", "SESSION(clicks, at, INTERVAL '10' SECOND)", [("ann", 0, 22), ("ann", 0, 22), ("bob", 0, 22)]),
    ):
        sql = f"SELECT who, window_start, window_end FROM {window}"
        if kept:
            clicks.execute(f"CREATE TABLE {name} AS {sql}")
            sql = f"SELECT * FROM {name}"
        assert seconds(clicks, sql) == expected


def test_sessions_over_a_table_fall_apart_when_rows_go(db: Database) -> None:
    db.execute("""
        CREATE TABLE shifts (id INTEGER PRIMARY KEY, at TIMESTAMP);
        CREATE TABLE runs AS SELECT id, window_start FROM SESSION(shifts, at, INTERVAL '5' SECOND);
    """)
    db.append("shifts", [{"id": n, "at": at(4 * n)} for n in range(5)])
    assert seconds(db, "SELECT * FROM runs") == [(n, 0) for n in range(5)]
    db.execute("DELETE FROM shifts WHERE id = 2")
    assert seconds(db, "SELECT * FROM runs") == [(0, 0), (1, 0), (3, 12), (4, 12)]


def test_the_rows_of_a_stream_in_sessions_are_a_table(clicks: Database) -> None:
    with pytest.raises(SqlError, match="its result is a table"):
        clicks.execute("CREATE STREAM x AS SELECT who, window_end FROM SESSION(clicks, at, INTERVAL '1' SECOND)")


@pytest.mark.parametrize("kept", [False, True])
def test_cumulate_gives_each_row_to_each_longer_window(clicks: Database, kept: bool) -> None:
    click(clicks, ("ann", 0), ("ann", 5), ("ann", 14), ("ann", 15))
    window = "CUMULATE(clicks, at, INTERVAL '5' SECOND, INTERVAL '15' SECOND)"
    sql = f"SELECT window_start, window_end, count(*) AS n FROM {window} GROUP BY window_start, window_end"
    if kept:
        clicks.execute(f"CREATE TABLE sums AS {sql}")
        sql = "SELECT * FROM sums"
    found = seconds(clicks, sql)
    assert sorted(found) == [(0, 5, 1), (0, 10, 2), (0, 15, 3), (15, 20, 1), (15, 25, 1), (15, 30, 1)]


@pytest.mark.parametrize(
    ("query", "message", "place"),
    [
        (
            "SELECT who, count(*) FROM clicks WINDOW SESSION (5 SECONDS) GROUP BY ROLLUP (who)",
            "several groupings of a SESSION window are not supported", "WINDOW",
        ),
        ("SELECT who FROM TUMBLE(TABLE clicks PARTITION BY who, DESCRIPTOR(at), INTERVAL '5' SECOND)",
         "TUMBLE has no PARTITION BY", "TUMBLE"),
        ("SELECT who FROM CUMULATE(clicks, at, INTERVAL '4' SECOND, INTERVAL '10' SECOND)",
         "the size of CUMULATE must be a multiple of its step", "CUMULATE"),
    ],
)  # fmt: skip
def test_what_cannot_be_says_so_at_its_place(clicks: Database, query: str, message: str, place: str) -> None:
    for sql in (f"CREATE TABLE x AS {query}", query):
        with pytest.raises((SqlError, Unsupported), match=message) as caught:
            clicks.sql(sql)
        assert caught.value.span is not None and sql[caught.value.span.start :].startswith(place)


@pytest.mark.parametrize("aggregate", ["count(*)", "median(v)"])
def test_a_session_is_final_once_no_row_can_make_it_longer(aggregate: str) -> None:
    with connect(background=False) as db:
        db.execute("CREATE STREAM s (k INTEGER KEY, v BIGINT, ts TIMESTAMP) WITH (timestamp = 'ts')")
        db.execute(f"""CREATE TABLE final AS SELECT k, {aggregate} AS c, count(*) AS n FROM s
            WINDOW SESSION (5 SECONDS, GRACE PERIOD 2 SECONDS) GROUP BY k EMIT FINAL""")
        shown = []
        for k, second in ((1, 40), (2, 47), (1, 44), (2, 56), (2, 57)):
            db.execute(f"INSERT INTO s VALUES ({k}, {second}, '2026-01-01 00:00:{second}')")
            shown.append(sorted(db.sql("SELECT k, n FROM final").fetchall()))
        assert shown == [[], [], [], [], [(1, 2)]]  # a row at 49 would be in the session until stream time is past 56
