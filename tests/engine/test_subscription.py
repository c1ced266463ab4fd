"""Watching a query: first the rows there are, then what changes, at the pace of whoever asks."""

from __future__ import annotations

import random
import threading
from collections import Counter
from datetime import datetime
from pathlib import Path

import pytest

import headwater
from headwater import Database, HeadwaterError, QueryFailed, SqlError
from tests.engine.watching import Rows, fold, poll_all

TOTALS = "CREATE TABLE totals AS SELECT k, sum(v) AS total FROM s GROUP BY k"


@pytest.fixture
def shop(db: Database) -> Database:
    db.execute(f"CREATE STREAM s (k INTEGER, v INTEGER); {TOTALS};")
    return db


def add(db: Database, *rows: tuple[int, int]) -> None:
    db.append("s", [{"k": k, "v": v} for k, v in rows])


def contents(db: Database, query: str) -> Rows:
    return Counter(db.sql(query).fetchall())


def signed(batch: headwater.ChangeBatch | None) -> list[tuple[object, ...]]:
    return [] if batch is None else [(change.op, *change.row) for change in batch]


def test_first_come_the_rows_there_are_then_the_changes(shop: Database) -> None:
    add(shop, (1, 10), (2, 20))
    watched = shop.subscribe("SELECT * FROM totals EMIT CHANGES")
    assert signed(watched.poll(0)) == [("+", 1, 10), ("+", 2, 20)]
    assert watched.poll(0) is None
    add(shop, (1, 5), (3, 30))
    assert signed(watched.poll(0)) == [("-", 1, 10), ("+", 1, 15), ("+", 3, 30)]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT ROWTIME, v FROM s EMIT CHANGES",
        "SELECT ROWTIME, v FROM (SELECT k, v FROM s) EMIT CHANGES",
        "SELECT ROWTIME, v FROM (SELECT ROWTIME, k, v FROM s) EMIT CHANGES",
        "SELECT q.* FROM (SELECT ROWTIME, v FROM s) q EMIT CHANGES",
    ],
)
def test_the_event_time_can_be_watched(shop: Database, query: str) -> None:
    shop.append("s", [{"k": 1, "v": 10, "ROWTIME": datetime(2026, 1, 1)}])
    watched = shop.subscribe(query)
    assert watched.columns[0].name == "ROWTIME"
    assert signed(watched.poll(0)) == [("+", datetime(2026, 1, 1), 10)]


def test_a_change_carries_the_version_of_its_input_and_when_that_was_committed(shop: Database) -> None:
    version = shop.append("s", [{"k": 1, "v": 10}]).version
    watched = shop.subscribe("SELECT * FROM totals EMIT CHANGES")
    (change,) = list(watched.poll(0) or [])
    assert change.version == version
    assert isinstance(change.time, datetime) and change.time.tzinfo is None
    assert contents(shop, f"SELECT * FROM totals AS OF VERSION {change.version}") == {(1, 10): 1}


@pytest.mark.parametrize(
    ("query", "first", "second"),
    [
        ("SELECT k, v FROM s", [("+", 1, 1)], [("+", 1, 2), ("+", 2, 3)]),
        ("SELECT v * 2 AS w FROM s WHERE k = 1", [("+", 2)], [("+", 4)]),
        ("SELECT k, count(*) AS n FROM s GROUP BY k", [("+", 1, 1)], [("-", 1, 1), ("+", 1, 2), ("+", 2, 1)]),
        ("SELECT count(*) AS n FROM s", [("+", 1)], [("-", 1), ("+", 3)]),
        ("SELECT DISTINCT k FROM s", [("+", 1)], [("+", 2)]),
        ("SELECT total FROM totals WHERE total > 2", [], [("+", 3), ("+", 3)]),
        ("SELECT max(total) AS n FROM totals", [("+", 1)], [("-", 1), ("+", 3)]),
    ],
)
def test_any_continuous_query_can_be_watched(
    shop: Database, query: str, first: list[object], second: list[object]
) -> None:
    add(shop, (1, 1))
    watched = shop.subscribe(query)
    assert signed(watched.poll(0)) == first
    add(shop, (1, 2), (2, 3))
    assert signed(watched.poll(0)) == second


def test_emit_changes_may_be_left_out_and_only_queries_can_be_watched(shop: Database) -> None:
    assert shop.subscribe("SELECT * FROM s").columns == shop.subscribe("SELECT * FROM s EMIT CHANGES").columns
    with pytest.raises(SqlError, match="only a query can be watched"):
        shop.subscribe("CHECKPOINT")
    with pytest.raises(SqlError, match="this query does not end"):
        shop.sql("SELECT * FROM s EMIT CHANGES")


def test_a_query_of_rows_that_stay_says_so(shop: Database) -> None:
    assert shop.subscribe("SELECT k FROM s").is_append_only
    assert not shop.subscribe("SELECT * FROM totals").is_append_only


def test_limit_ends_a_subscription_after_so_many_changes(shop: Database) -> None:
    add(shop, (1, 1), (2, 2))
    watched = shop.subscribe("SELECT k FROM s EMIT CHANGES LIMIT 3")
    assert len(watched.poll(0) or ()) == 2
    assert not watched.finished
    add(shop, (3, 3), (4, 4))
    assert signed(watched.poll(0)) == [("+", 3)]
    assert watched.finished and watched.poll() is None


def test_limit_counts_each_of_several_equal_rows(db: Database) -> None:
    db.execute("CREATE TABLE bag (x INTEGER); INSERT INTO bag VALUES (7), (7), (7)")
    assert [change.row for change in db.subscribe("SELECT x FROM bag EMIT CHANGES LIMIT 2")] == [(7,), (7,)]


def test_a_limit_of_nothing_ends_at_once(shop: Database) -> None:
    assert list(shop.subscribe("SELECT k FROM s EMIT CHANGES LIMIT 0")) == []


def test_each_subscriber_has_a_place_of_its_own(shop: Database) -> None:
    add(shop, (1, 1))
    early = shop.subscribe("SELECT * FROM totals")
    seen = poll_all(early)
    add(shop, (1, 2))
    late = shop.subscribe("SELECT * FROM totals")
    assert signed(late.poll(0)) == [("+", 1, 3)]
    assert poll_all(early, seen) == {(1, 3): 1}


@pytest.mark.parametrize(
    "query", ["SELECT * FROM totals", "SELECT k, v FROM s", "SELECT max(v) AS m FROM s GROUP BY k"]
)
def test_a_slow_subscriber_sees_fewer_larger_steps_and_the_same_in_all(shop: Database, query: str) -> None:
    quick, slow = shop.subscribe(query), shop.subscribe(query)
    quick_rows, slow_rows, quick_batches, slow_batches = Rows(), Rows(), 0, 0
    for number in range(1, 21):
        add(shop, (number % 3, number))
        batch = quick.poll(0)
        assert batch is not None
        fold(batch, quick_rows)
        quick_batches += 1
        if number % 10 == 0:
            while (batch := slow.poll(0)) is not None:
                fold(batch, slow_rows)
                slow_batches += 1
    assert quick_rows == slow_rows
    assert (quick_batches, slow_batches) == (20, 2)


def test_what_cancels_before_it_is_looked_at_is_never_seen(db: Database) -> None:
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER); INSERT INTO t VALUES (1, 1)")
    watched = db.subscribe("SELECT * FROM t")
    poll_all(watched)
    db.execute("INSERT INTO t VALUES (1, 2); INSERT INTO t VALUES (1, 1)")
    assert watched.poll(0) is None


def test_a_join_of_a_table_with_what_is_derived_from_it_is_never_torn(db: Database) -> None:
    """At every change both sides stand at one point of the log, however steps and looks interleave."""
    db.execute("""
        CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER);
        CREATE TABLE d AS SELECT id, w FROM t;
        CREATE TABLE twice AS SELECT w, count(*) AS n FROM d GROUP BY w;
    """)
    torn = db.subscribe("SELECT t.id, t.w, d.w FROM t JOIN d ON t.id = d.id WHERE t.w <> d.w")
    both = db.subscribe("SELECT t.id, t.w, twice.n FROM t JOIN twice ON t.w = twice.w")
    chance, rows = random.Random(7), Rows()
    for number in range(60):
        db.append("t", [{"id": chance.randrange(5), "w": number % 4}])
        if chance.random() < 0.5:
            db.settle()
        if chance.random() < 0.7:
            assert torn.poll(0) is None
            poll_all(both, rows)
            assert rows == contents(db, "SELECT t.id, t.w, twice.n FROM t JOIN twice ON t.w = twice.w")


def test_a_stream_that_no_stored_query_reads_can_be_joined_with_a_derived_table(db: Database) -> None:
    db.execute("""
        CREATE STREAM a (k INTEGER);
        CREATE TABLE t (k INTEGER PRIMARY KEY);
        CREATE TABLE d AS SELECT k, count(*) AS n FROM t GROUP BY k;
        INSERT INTO t VALUES (1);
    """)
    query = "SELECT q.k, q.n, d.n FROM (SELECT k, count(*) AS n FROM a GROUP BY k) q JOIN d ON q.k = d.k"
    watched = db.subscribe(query)
    assert poll_all(watched) == {}
    db.append("a", [{"k": 1}])
    assert poll_all(watched) == contents(db, query) == {(1, 1, 1): 1}


def test_after_a_restart_a_table_made_just_before_it_is_seen_once(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "x.hw", background=False) as db:
        db.execute("CREATE STREAM s (k INTEGER, v INTEGER)")
        add(db, (1, 1))
        db.execute(TOTALS)
    with headwater.connect(tmp_path / "x.hw", background=False) as db:
        watched = db.subscribe("SELECT * FROM totals")
        assert signed(watched.poll(0)) == [("+", 1, 1)]
        assert watched.poll(0) is None
        add(db, (1, 1))
        assert signed(watched.poll(0)) == [("-", 1, 1), ("+", 1, 2)]


def test_a_derived_stream_is_watched_from_its_first_record(db: Database) -> None:
    db.execute("CREATE STREAM s (k INTEGER, v INTEGER); CREATE STREAM big AS SELECT k, v FROM s WHERE v > 5")
    add(db, (1, 9), (2, 1))
    watched = db.subscribe("SELECT * FROM big")
    assert signed(watched.poll(0)) == [("+", 1, 9)]
    add(db, (3, 7))
    assert signed(watched.poll(0)) == [("+", 3, 7)]


def test_a_stream_joined_with_a_derived_table_meets_it_as_it_was_at_each_record(shop: Database) -> None:
    watched = shop.subscribe("SELECT s.v, totals.total FROM s JOIN totals ON s.k = totals.k")
    rows = Rows()
    for value in (1, 2, 3):
        add(shop, (1, value))
        poll_all(watched, rows)
    assert rows == contents(shop, "SELECT v, total FROM (SELECT v, sum(v) OVER (ORDER BY v) AS total FROM s)")


def test_a_subscription_that_is_closed_gives_nothing_more(shop: Database) -> None:
    with shop.subscribe("SELECT * FROM s") as watched:
        pass
    add(shop, (1, 1))
    assert watched.poll() is None and list(watched) == []


@pytest.mark.parametrize("ended_by", ["subscription", "database"])
def test_closing_wakes_who_waits(ended_by: str) -> None:
    db = headwater.connect()
    db.execute("CREATE STREAM s (k INTEGER)")
    watched, waiting, outcome = db.subscribe("SELECT * FROM s"), threading.Event(), list[object]()

    def wait() -> None:
        waiting.set()
        outcome.append(watched.poll())

    thread = threading.Thread(target=wait)
    thread.start()
    waiting.wait()
    (watched if ended_by == "subscription" else db).close()
    thread.join()
    assert outcome == [None]
    db.close()


def test_a_waiting_subscriber_is_woken_by_a_commit() -> None:
    with headwater.connect() as db:
        db.execute(f"CREATE STREAM s (k INTEGER, v INTEGER); {TOTALS}")
        watched = db.subscribe("SELECT * FROM totals")
        changes = iter(watched)
        appender = threading.Thread(target=add, args=(db, (1, 1)))
        appender.start()
        assert next(changes).row == (1, 1)
        appender.join()


def test_a_poll_with_a_timeout_comes_back_with_nothing(shop: Database) -> None:
    watched = shop.subscribe("SELECT * FROM s")
    assert watched.poll(0.01) is None
    assert not watched.finished


def test_a_subscription_to_what_is_dropped_fails_and_ends(shop: Database) -> None:
    watched = shop.subscribe("SELECT * FROM totals")
    shop.execute("DROP TABLE totals")
    with pytest.raises(QueryFailed, match="was dropped"):
        watched.poll(0)
    assert watched.finished and watched.poll(0) is None


def test_a_closed_database_has_nothing_to_watch(shop: Database) -> None:
    shop.close()
    with pytest.raises(HeadwaterError, match="the database is closed"):
        shop.subscribe("SELECT * FROM s")


def test_the_changes_come_as_arrow_batches_with_what_happened_to_each_row(shop: Database) -> None:
    add(shop, (1, 5))
    batches = list(shop.subscribe("SELECT k, total FROM totals EMIT CHANGES LIMIT 1").arrow_batches())
    assert [batch.schema.names for batch in batches] == [["_op", "_version", "k", "total"]]
    assert batches[0].select(["_op", "k", "total"]).to_pylist() == [{"_op": "+", "k": 1, "total": 5}]
