"""What queries mean, now: streams and their pseudo-columns, windows, joins, derived of derived, bags."""

from __future__ import annotations

import errno
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from headwater import Database, HeadwaterError
from headwater.storage import Fault, FaultyStorage, SimulatedDisk

START = datetime(2026, 1, 1)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return db.sql(sql).fetchall()


def bag(db: Database, sql: str) -> Counter[tuple[Any, ...]]:
    return Counter(rows(db, sql))


@pytest.fixture
def bids(db: Database) -> Database:
    db.execute("CREATE STREAM bids (auction INTEGER KEY, price INTEGER, at TIMESTAMP) WITH (timestamp = 'at')")
    return db


def bid(db: Database, *some: tuple[int, int, float]) -> None:
    db.append("bids", [{"auction": a, "price": p, "at": at(seconds)} for a, p, seconds in some])


# ---------------------------------------------------------------- streams


def test_the_star_of_a_stream_leaves_out_pseudo_columns_and_each_can_be_named(bids: Database) -> None:
    bid(bids, (1, 10, 0), (2, 20, 5))
    assert bids.sql("SELECT * FROM bids").names == ["auction", "price", "at"]
    assert bids.sql("SELECT * FROM bids WHERE ROWOFFSET = 1").names == ["auction", "price", "at"]
    assert bids.sql("SELECT *, ROWOFFSET FROM bids").names == ["auction", "price", "at", "ROWOFFSET"]
    assert rows(bids, "SELECT price, ROWTIME, ROWPARTITION, ROWOFFSET FROM bids ORDER BY ROWOFFSET") == [
        (10, at(0), 0, 0),
        (20, at(5), 0, 1),
    ]
    assert rows(bids, "SELECT b.rowoffset FROM bids b WHERE b.rowtime > TIMESTAMP '2026-01-01 00:00:01'") == [(1,)]


def test_offsets_count_from_nought_in_each_partition(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER) WITH (partitions = 2)")
    for v in range(5):
        db.append("s", [{"v": v}])
    assert rows(db, "SELECT ROWPARTITION, ROWOFFSET, v FROM s ORDER BY 1, 2") == [
        (0, 0, 0), (0, 1, 2), (0, 2, 4), (1, 0, 1), (1, 1, 3)]  # fmt: skip


def test_rowtime_is_the_time_of_the_append_where_nothing_else_is_said() -> None:
    disk = SimulatedDisk()
    with Database(disk, "db", None, background=False) as db:
        db.execute("CREATE STREAM s (v INTEGER)")
        disk.clock_us = 1_767_225_605_000_000
        db.append("s", [{"v": 1}])
        assert rows(db, "SELECT ROWTIME FROM s") == [(at(5),)]


@pytest.mark.parametrize(
    ("type_", "format_", "value"),
    [
        ("TIMESTAMP", None, at(3.5)),
        ("TIMESTAMPTZ", None, "2026-01-01 01:00:03.5+01"),
        ("VARCHAR", None, "2026-01-01T00:00:03.5Z"),
        ("VARCHAR", "%d/%m/%Y %H:%M:%S.%f", "01/01/2026 00:00:03.500000"),
        ("BIGINT", None, 1767225603500),
        ("DATE", None, "2026-01-01"),
    ],
)
def test_event_time_is_read_from_a_column_of_any_time_type(
    db: Database, type_: str, format_: str | None, value: Any
) -> None:
    extra = f", timestamp_format = '{format_}'" if format_ else ""
    db.execute(f"CREATE STREAM s (at {type_}) WITH (timestamp = 'at'{extra})")
    db.execute(f"INSERT INTO s VALUES ({value if isinstance(value, int) else repr(str(value))})")
    assert rows(db, "SELECT ROWTIME FROM s") == [(at(0 if type_ == "DATE" else 3.5),)]


def test_a_stream_keeps_every_row_and_a_keyed_table_the_last_of_each_key(db: Database) -> None:
    db.execute("CREATE STREAM s (k INTEGER KEY, v INTEGER); CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER)")
    for name in ("s", "t"):
        db.append(name, [{"k": 1, "v": 1}, {"k": 1, "v": 2}])
        db.append(name, [{"k": 1, "v": 3}, {"k": 2, "v": 4}])
    assert bag(db, "SELECT * FROM s") == Counter([(1, 1), (1, 2), (1, 3), (2, 4)])
    assert bag(db, "SELECT * FROM t") == Counter([(1, 3), (2, 4)])


def test_a_table_without_a_key_is_a_bag(db: Database) -> None:
    db.execute("CREATE TABLE bag (x INTEGER, y VARCHAR); INSERT INTO bag VALUES (1, 'a'), (1, 'a'), (NULL, NULL)")
    db.execute("INSERT INTO bag VALUES (1, 'a'), (NULL, NULL)")
    db.execute("CREATE TABLE counted AS SELECT x, y, count(*) AS n FROM bag GROUP BY x, y")
    assert bag(db, "SELECT * FROM bag") == Counter({(1, "a"): 3, (None, None): 2})
    assert bag(db, "SELECT * FROM counted") == Counter([(1, "a", 3), (None, None, 2)])


# ---------------------------------------------------------------- windows


def test_a_window_takes_what_is_late_until_its_grace_is_over(bids: Database) -> None:
    bids.execute("""
        CREATE TABLE hot AS SELECT auction, count(*) AS n
        FROM bids WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY auction
    """)
    bid(bids, (1, 0, 1), (1, 0, 14))  # stream time 14: the first window is open until 15
    bid(bids, (1, 0, 9), (1, 0, 15))
    bid(bids, (1, 0, 9), (1, 0, 10))  # stream time 15: the first is closed, the second is not
    assert bids.sql("SELECT * FROM hot").names == ["WINDOWSTART", "WINDOWEND", "auction", "n"]
    assert rows(bids, "SELECT * FROM hot ORDER BY WINDOWSTART") == [(at(0), at(10), 1, 2), (at(10), at(20), 1, 3)]


def test_lateness_is_decided_by_record_not_by_append(bids: Database) -> None:
    bids.execute("""
        CREATE TABLE hot AS SELECT count(*) AS n
        FROM bids WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY WINDOWSTART
    """)
    bid(bids, (1, 0, 5), (1, 0, 12), (1, 0, 6))  # one append: its last record is late
    assert rows(bids, "SELECT * FROM hot ORDER BY 1") == [(at(0), at(10), 1), (at(10), at(20), 1)]


def test_without_a_grace_period_a_window_stays_open_for_a_day(bids: Database) -> None:
    bids.execute(
        "CREATE TABLE hot AS SELECT count(*) AS n FROM bids WINDOW TUMBLING (SIZE 10 SECONDS) GROUP BY WINDOWSTART"
    )
    day = 24 * 3600
    bid(bids, (1, 0, 5), (1, 0, day + 9), (1, 0, 6), (1, 0, day + 10), (1, 0, 7))
    assert rows(bids, "SELECT n FROM hot ORDER BY WINDOWSTART") == [(2,), (1,), (1,)]


def test_a_row_that_where_drops_moves_stream_time(bids: Database) -> None:
    bids.execute("""
        CREATE TABLE hot AS SELECT count(*) AS n FROM bids
        WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) WHERE price > 0 GROUP BY WINDOWSTART
    """)
    bid(bids, (1, 1, 5), (1, 0, 30), (1, 1, 6))
    assert rows(bids, "SELECT n FROM hot") == [(1,)]


WINDOWS = [
    "TUMBLING (SIZE 10 SECONDS)",
    "TUMBLING (SIZE 7 SECONDS, GRACE PERIOD 3 SECONDS)",
    "HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS)",
    "HOPPING (SIZE 10 SECONDS, ADVANCE BY 4 SECONDS, GRACE PERIOD 1 SECONDS)",
]


@pytest.mark.parametrize("window", WINDOWS)
@pytest.mark.parametrize("key", ["auction", "WINDOWSTART"])
def test_a_windowed_snapshot_equals_the_table_that_is_kept(bids: Database, window: str, key: str) -> None:
    columns = "WINDOWSTART AS a, WINDOWEND AS z, min(auction) AS auction, sum(price) AS total"
    query = f"SELECT {columns} FROM bids WINDOW {window} WHERE price <> 3 GROUP BY {key}"
    bids.execute(f"CREATE TABLE kept AS {query}")
    for n in range(40):
        bid(bids, (n % 3, n % 7, (n * 7) % 50), (1, n, n))
    kept = bag(bids, "SELECT * FROM kept")
    assert kept == bag(bids, query)
    assert bag(bids, f"SELECT count(*), sum(total) FROM ({query})") == bag(
        bids, "SELECT count(*), sum(total) FROM kept"
    )


# ---------------------------------------------------------------- joins


def test_a_record_meets_the_table_as_it_was_when_the_record_came(db: Database) -> None:
    db.execute("""
        CREATE STREAM visits (who INTEGER, page VARCHAR);
        CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR);
        CREATE STREAM named AS SELECT p.name, v.page FROM visits v JOIN people p ON v.who = p.id;
        INSERT INTO visits VALUES (1, 'before');
        INSERT INTO people VALUES (1, 'ann');
        INSERT INTO visits VALUES (1, 'first');
        INSERT INTO people VALUES (1, 'anna');
        INSERT INTO visits VALUES (1, 'second'), (2, 'nobody');
    """)
    expected = [("ann", "first"), ("anna", "second")]
    assert rows(db, "SELECT * FROM named ORDER BY ROWOFFSET") == expected
    db.execute("CREATE STREAM later AS SELECT p.name, v.page FROM people p JOIN visits v ON v.who = p.id")
    assert rows(db, "SELECT * FROM later ORDER BY ROWOFFSET") == expected, "a new query over old records agrees"
    now = "SELECT p.name, v.page FROM visits v JOIN people p ON v.who = p.id"
    assert bag(db, now) == Counter([("anna", "before"), ("anna", "first"), ("anna", "second")]), "a snapshot asks now"


def test_a_record_meets_its_own_derived_table_of_the_same_version(db: Database) -> None:
    """The table takes the commit first, then the stream's rows of that commit look into it."""
    db.execute("""
        CREATE STREAM s (k INTEGER, v INTEGER);
        CREATE TABLE totals AS SELECT k, sum(v) AS total FROM s GROUP BY k;
        CREATE STREAM seen AS SELECT s.v, t.total FROM s JOIN totals t ON s.k = t.k;
        INSERT INTO s VALUES (1, 1), (1, 2);
        INSERT INTO s VALUES (1, 10);
    """)
    assert rows(db, "SELECT * FROM seen ORDER BY ROWOFFSET") == [(1, 3), (2, 3), (10, 13)]


def test_both_sides_of_a_join_of_tables_move_it(db: Database) -> None:
    db.execute("""
        CREATE TABLE a (id INTEGER PRIMARY KEY, v VARCHAR);
        CREATE TABLE b (a INTEGER, w INTEGER);
        CREATE TABLE both AS SELECT a.id, a.v, b.w FROM a JOIN b ON a.id = b.a AND b.w > 0;
        CREATE TABLE used AS SELECT id, v, w FROM a JOIN b ON a.id = b.a WHERE w > 0;
    """)
    steps: list[tuple[str, dict[Any, int]]] = [
        ("INSERT INTO a VALUES (1, 'x')", {}),
        ("INSERT INTO b VALUES (1, 5), (1, 5), (1, -1), (NULL, 5)", {(1, "x", 5): 2}),
        ("INSERT INTO a VALUES (1, 'z')", {(1, "z", 5): 2}),
        ("INSERT INTO b VALUES (2, 7)", {(1, "z", 5): 2}),
        ("INSERT INTO a VALUES (2, 'n')", {(1, "z", 5): 2, (2, "n", 7): 1}),
    ]
    for statement, expected in steps:
        db.execute(statement)
        assert bag(db, "SELECT * FROM both") == bag(db, "SELECT * FROM used") == Counter(expected)


def test_a_join_can_be_written_with_using(db: Database) -> None:
    db.execute("""
        CREATE TABLE a (id BIGINT PRIMARY KEY, v INTEGER); CREATE TABLE b (id INTEGER PRIMARY KEY, w INTEGER);
        CREATE TABLE both AS SELECT * FROM a JOIN b USING (id);
        INSERT INTO a VALUES (1, 2); INSERT INTO b VALUES (1, 3);
    """)
    assert db.sql("SELECT * FROM both").names == ["id", "v", "w"]
    assert rows(db, "SELECT * FROM both") == [(1, 2, 3)], "the keys are compared in their common type"


# ---------------------------------------------------------------- derived of derived


def test_queries_over_queries_stand_at_one_point(bids: Database) -> None:
    bids.execute("""
        CREATE STREAM high AS SELECT auction, price, price * 2 AS twice FROM bids WHERE price > 10;
        CREATE TABLE best AS SELECT auction, max(price) AS top, count(*) AS n FROM high GROUP BY auction;
        CREATE TABLE classes AS SELECT n, count(*) AS auctions, min(top) AS least FROM best GROUP BY n;
        CREATE TABLE total AS SELECT sum(m) AS auctions FROM (SELECT n, count(*) AS m FROM best GROUP BY n) q;
    """)
    for n in range(30):
        bid(bids, (n % 7, n, n))
        assert bag(bids, "SELECT * FROM classes") == bag(
            bids,
            """SELECT n, count(*), min(top) FROM (SELECT auction, max(price) AS top, count(*) AS n FROM bids
               WHERE price > 10 GROUP BY auction) GROUP BY n""",
        )
        assert rows(bids, "SELECT coalesce(auctions, 0) FROM total") == rows(bids, "SELECT count(*) FROM best")
    assert bag(bids, "SELECT auction, twice FROM high") == bag(
        bids, "SELECT auction, 2 * price FROM bids WHERE price > 10"
    )


def test_a_derived_stream_has_the_time_and_partition_of_its_source_and_offsets_of_its_own(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (v INTEGER, at TIMESTAMP) WITH (partitions = 2, timestamp = 'at');
        CREATE STREAM odd AS SELECT v FROM s WHERE v % 2 = 1;
    """)
    db.append("s", [{"v": v, "at": at(v)} for v in (1, 2, 3, 4, 5, 7)])
    source = "SELECT v, ROWTIME, ROWPARTITION FROM s WHERE v % 2 = 1"
    assert bag(db, "SELECT v, ROWTIME, ROWPARTITION FROM odd") == bag(db, source)
    counted = "SELECT ROWPARTITION, count(*), max(ROWOFFSET) + 1, min(ROWOFFSET) FROM odd GROUP BY 1"
    assert all(n == end and first == 0 for _, n, end, first in rows(db, counted))


def test_a_query_made_late_has_the_rows_that_it_would_have_had(bids: Database) -> None:
    query = "SELECT auction, sum(price) AS total, max(price) AS top FROM bids GROUP BY auction HAVING count(*) > 1"
    bids.execute(f"CREATE TABLE early AS {query}")
    for n in range(20):
        bid(bids, (n % 4, n, n))
    bids.execute(f"CREATE TABLE late AS {query}")
    assert bag(bids, "SELECT * FROM late") == bag(bids, "SELECT * FROM early")
    bid(bids, (1, 1000, 99))
    assert bag(bids, "SELECT * FROM late") == bag(bids, "SELECT * FROM early")


# ---------------------------------------------------------------- no rows, and rows that fail


def test_an_aggregate_without_groups_always_has_one_row(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER); CREATE TABLE t AS SELECT count(*) AS n, sum(v) AS total, max(v) FROM s")
    assert rows(db, "SELECT * FROM t") == [(0, None, None)]
    db.append("s", [])
    assert rows(db, "SELECT * FROM t") == [(0, None, None)]
    db.execute("INSERT INTO s VALUES (5)")
    assert rows(db, "SELECT * FROM t") == [(1, 5, 5)]


def test_a_row_that_cannot_be_computed_is_left_out_counted_and_holds_nothing_up(db: Database) -> None:
    db.execute("CREATE STREAM s (text VARCHAR); CREATE TABLE t AS SELECT CAST(text AS INTEGER) AS n FROM s")
    db.execute("INSERT INTO s VALUES ('1'), ('x'), ('3'); INSERT INTO s VALUES ('y'), ('5')")
    assert bag(db, "SELECT n FROM t") == Counter([(1,), (3,), (5,)])
    shown = db.sql("SHOW QUERIES")
    assert [dict(zip(shown.names, row, strict=True))["failed rows"] for row in shown.fetchall()] == [2]


@pytest.mark.parametrize("background", [True, False])
def test_whoever_asks_is_told_that_a_step_failed_and_the_next_commit_is_the_next_try(background: bool) -> None:
    storage = FaultyStorage(SimulatedDisk())
    with Database(storage, "db", None, background=background) as db:
        db.execute("CREATE STREAM s (v INTEGER); CREATE TABLE t AS SELECT sum(v) AS n FROM s")
        db.settle()
        storage.counts.clear()
        storage.plan = (Fault("pwrite", 2, errno.ENOSPC),)  # the first is that of the INSERT
        db.execute("INSERT INTO s VALUES (1)")
        with pytest.raises(HeadwaterError, match="nothing was committed"):
            db.sql("SELECT * FROM t")
        db.execute("INSERT INTO s VALUES (2)")
        assert rows(db, "SELECT * FROM t") == [(3,)]


def test_a_table_takes_an_order_by_and_has_no_order(db: Database) -> None:
    db.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR)")
    db.execute("CREATE TABLE named AS SELECT name, count(*) AS n FROM people GROUP BY name ORDER BY n DESC, 1")
    db.execute("CREATE VIEW sorted AS SELECT * FROM people ORDER BY name")
    db.execute("CREATE TABLE few AS SELECT id FROM (SELECT * FROM sorted ORDER BY id DESC) q WHERE id > 1")
    db.execute("INSERT INTO people VALUES (1, 'a'), (2, 'b'), (3, 'b')")
    assert db.sql("SELECT * FROM named ORDER BY 1").fetchall() == [("a", 1), ("b", 2)]
    assert db.sql("SELECT * FROM few ORDER BY 1").fetchall() == [(2,), (3,)]
    explained = str(rows(db, "EXPLAIN CREATE TABLE t AS SELECT id FROM people ORDER BY id"))
    assert "ORDER BY is left out" in explained
    with pytest.raises(HeadwaterError, match='no column "nam"'):
        db.execute("CREATE TABLE t AS SELECT id FROM people ORDER BY nam")
    with pytest.raises(HeadwaterError, match="changes come as they happen"):
        db.subscribe("SELECT id FROM people ORDER BY id EMIT CHANGES")


def test_what_one_left_join_computes_as_its_key_is_not_taken_for_that_of_the_next(db: Database) -> None:
    db.execute("CREATE TABLE a (x INTEGER); CREATE TABLE b (k INTEGER); CREATE TABLE c (k INTEGER)")
    joins = "a LEFT JOIN b ON a.x + 1 = b.k LEFT JOIN c ON a.x + 1 = c.k"
    db.execute(f"CREATE TABLE q AS SELECT a.x, b.k AS b, c.k AS c FROM {joins}")
    db.execute("INSERT INTO a VALUES (1); INSERT INTO c VALUES (2)")
    assert rows(db, "SELECT * FROM q") == [(1, None, 2)]
