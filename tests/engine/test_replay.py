"""New queries over old events: from any position of a stream, beside what runs, and previewed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from headwater import Database, HeadwaterError, NameTaken, OutOfRange, QueryFailed, SqlError, connect
from headwater.storage import SimulatedDisk


@pytest.fixture
def shop(disk: SimulatedDisk) -> Iterator[Database]:
    """Ten commits of six bids, over two partitions, the prices 0 to 9."""
    with opened(disk) as db:
        db.execute("CREATE STREAM bids (k INTEGER KEY, price INTEGER) WITH (partitions = 2)")
        for price in range(10):
            db.append("bids", [{"k": k, "price": price} for k in (1, 2, 3, 17, 25, 99)])
        db.settle()
        yield db


@pytest.fixture
def disk() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.clock_us = 1_767_268_800_000_000
    return disk


def opened(disk: SimulatedDisk) -> Database:
    return Database(disk, "db", None, background=False)


def ask(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return sorted(db.sql(sql).fetchall())


# ---------------------------------------------------------------- from any position


COUNTS = "SELECT count(*) AS n, min(price) AS least FROM {}"


def counted(db: Database, condition: str) -> list[tuple[Any, ...]]:
    return ask(db, COUNTS.format(f"(SELECT price, ROWPARTITION AS p, ROWOFFSET AS o FROM bids) WHERE {condition}"))


@pytest.mark.parametrize(
    ("start", "condition"),
    [
        ("OFFSET (0 => 3, 1 => 5)", "o >= CASE p WHEN 0 THEN 3 ELSE 5 END"),
        ("LATEST", "false"),
        ("EARLIEST", "true"),
        ("OFFSET 0", "true"),
        ("'1 hour ago'", "true"),
        ("TIMESTAMP '2026-01-01 12:00:00'", "false"),
    ],
)
@pytest.mark.parametrize("source", ["bids", "same"])
def test_a_query_begins_at_any_position(
    disk: SimulatedDisk, shop: Database, source: str, start: str, condition: str
) -> None:
    """Also one over a derived stream, whose own offsets count."""
    shop.sql("CREATE STREAM same AS SELECT k, price FROM bids")
    expected = counted(shop, condition)
    shop.sql("CREATE TABLE made AS " + COUNTS.format(f"{source} FROM {start}"))
    assert ask(shop, "SELECT * FROM made") == expected
    shop.append("bids", [{"k": 1, "price": 100}])
    ((now, _),) = ask(shop, "SELECT * FROM made")
    assert now == expected[0][0] + 1
    shop.close()
    with opened(disk) as again:
        assert ask(again, "SELECT n FROM made") == [(now,)]
        assert ask(again, "SELECT n FROM made AS OF OFFSET 0") == [(0,)]


@pytest.mark.parametrize("source", ["bids", "same"])
def test_a_query_begins_after_what_a_version_had(shop: Database, source: str) -> None:
    """The records of a derived stream are those of the version that they come from, whenever they were committed."""
    shop.sql("CREATE STREAM same AS SELECT k, price FROM bids")
    for point, least in (("VERSION 4", 3), (f"VERSION {shop.version}", None), ("TIMESTAMP '2026-01-01'", 0)):
        shop.sql(f"CREATE OR REPLACE TABLE made AS SELECT min(price) AS least FROM {source} FROM {point}")
        assert ask(shop, "SELECT least FROM made") == [(least,)]


def test_the_point_is_resolved_once_and_kept(shop: Database) -> None:
    shop.sql("CREATE TABLE made AS SELECT count(*) AS n FROM bids FROM OFFSET 13")
    facts = dict(row[:2] for row in shop.sql("DESCRIBE made EXTENDED").fetchall())
    assert "FROM bids FROM OFFSET (0 => " in facts["· definition"]
    shop.sql(facts["· definition"].replace("made", "again"))
    assert ask(shop, "SELECT n FROM made") == ask(shop, "SELECT n FROM again") == [(47,)]


def test_what_lies_before_the_start_is_not_there_as_of_any_point(shop: Database) -> None:
    shop.sql("CREATE STREAM made AS SELECT price FROM bids FROM OFFSET 6")
    shop.settle()
    assert ask(shop, "SELECT * FROM made AS OF OFFSET (bids => 6)") == []
    assert ask(shop, "SELECT * FROM made AS OF OFFSET (bids => 7)") == [(1,)]
    assert len(ask(shop, "SELECT * FROM made")) == 54


@pytest.mark.parametrize(("start", "count"), [("'latest'", 0), ("latest", 0), ("'earliest'", 60), ("13", 47)])
def test_start_is_a_property_too(shop: Database, start: str, count: int) -> None:
    shop.sql(f"CREATE TABLE made WITH (start = {start}) AS SELECT count(*) AS n FROM bids")
    assert ask(shop, "SELECT n FROM made") == [(count,)]


def test_a_subscription_begins_at_any_position(shop: Database) -> None:
    with shop.subscribe("SELECT price FROM bids FROM OFFSET 55 EMIT CHANGES") as changes:
        batch = changes.poll(0)
        assert batch is not None and batch.rows.num_rows == 5


def test_errors_are_at_their_places_in_a_stream_that_is_begun_later(shop: Database) -> None:
    shop.sql("CREATE TABLE odd AS SELECT CAST('x' || price AS INTEGER) AS x FROM bids FROM OFFSET 58")
    shop.settle()
    places = ask(shop, 'SELECT "partition", "offset" FROM odd_errors')
    ends = dict(ask(shop, "SELECT ROWPARTITION, count(*) FROM bids GROUP BY 1"))
    begun = [(p, o) for p, o in ask(shop, "SELECT ROWPARTITION, ROWOFFSET FROM bids") if (p, o) in places]
    assert places == begun and len(places) == 2 and all(offset < ends[p] for p, offset in places)


CLOSED = """
CREATE TABLE {name} WITH (idle_timeout = '10 seconds') AS SELECT k, count(*) AS n
    FROM {source} WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 20 SECONDS) GROUP BY k EMIT FINAL
"""


def test_what_came_before_the_start_does_not_count_for_silence_either(disk: SimulatedDisk) -> None:
    """The windows of a query that begins later close as those over another stream that never had the records before."""
    stream = "CREATE STREAM {} (k INTEGER KEY, ts TIMESTAMP) WITH (timestamp = 'ts', partitions = 2);"
    row = "({k}, TIMESTAMP '2026-01-01 12:00:00' + INTERVAL ({second}) SECONDS)"
    with opened(disk) as db:
        db.execute(stream.format("s") + stream.format("later"))
        db.execute(f"INSERT INTO s VALUES {row.format(k=1, second=0)}, {row.format(k=99, second=0)}")
        assert ask(db, "SELECT ROWPARTITION FROM s") == [(0,), (1,)]
        db.execute(CLOSED.format(name="a", source="s FROM LATEST") + ";" + CLOSED.format(name="b", source="later"))
        for now, k, second in ((30, 1, 200), (33, 99, 40), (100, 1, 500), (120, 1, 900)):
            disk.clock_us = 1_767_268_800_000_000 + now * 1_000_000
            db.execute("; ".join(f"INSERT INTO {s} VALUES {row.format(k=k, second=second)}" for s in ("s", "later")))
            assert ask(db, "SELECT * FROM a") == ask(db, "SELECT * FROM b")
        assert len(ask(db, "SELECT * FROM a")) >= 2


def test_a_stream_of_which_retention_took_the_beginning(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute("CREATE STREAM s (v INTEGER) WITH (retention = '2 hours')")
        for v in range(5):
            db.append("s", [{"v": v}])
            assert disk.clock_us is not None
            disk.clock_us += 3_600_000_000
        db.sql("CHECKPOINT")
        for start in ("OFFSET 1", "OFFSET 0", "OFFSET (0 => 2)", "VERSION 2"):
            with pytest.raises(OutOfRange, match='records of "s" that this begins with are no more'):
                db.sql(f"CREATE TABLE t AS SELECT v FROM s FROM {start}")
        db.execute("CREATE TABLE t AS SELECT v FROM s FROM EARLIEST; CREATE TABLE u AS SELECT v FROM s FROM OFFSET 4")
        assert (ask(db, "SELECT v FROM t"), ask(db, "SELECT v FROM u")) == ([(3,), (4,)], [(4,)])


# ---------------------------------------------------------------- beside what runs


def test_steps_go_on_while_a_query_is_replayed() -> None:
    entered, release = threading.Event(), threading.Event()

    def slow(x: int) -> int:
        if not entered.is_set():
            entered.set()
            assert release.wait(60)
        return x

    with connect() as db:
        db.create_function("slow", slow, parameters=["INTEGER"], returns="INTEGER")
        db.execute("""
            CREATE STREAM s (v INTEGER);
            CREATE TABLE t AS SELECT sum(v) AS v FROM s;
            CREATE TABLE dependent AS SELECT v FROM t;
            INSERT INTO s VALUES (1);
        """)
        replacing = threading.Thread(
            target=db.sql, args=["CREATE OR REPLACE TABLE t AS SELECT sum(slow(v)) * 10 AS v FROM s"]
        )
        replacing.start()
        assert entered.wait(60)
        before = db.version
        for count in range(2, 6):
            db.append("s", [{"v": 1}])
            assert ask(db, "SELECT t.v, d.v FROM t, dependent d") == [(count, count)], "the old query moves"
        assert db.version >= before + 8, "each of the four commits had its step"
        db.sql("CHECKPOINT")
        waiting = threading.Thread(target=db.sql, args=["CREATE TABLE other AS SELECT v FROM t"])
        waiting.start()
        release.set()
        replacing.join()
        waiting.join()
        assert ask(db, "SELECT v FROM other") == [(50,)], "one definition waits for the other"
        assert ask(db, "SELECT t.v, d.v FROM t, dependent d") == [(50, 50)]
        assert ask(db, f"SELECT v FROM t AS OF VERSION {before}") == [(1,)]


def test_a_replay_that_fails_changes_nothing(shop: Database) -> None:
    shop.sql("CREATE TABLE t AS SELECT max(price) AS p FROM bids")
    version = shop.version
    with pytest.raises(QueryFailed, match='"t" fails on the rows there are'):
        shop.sql("CREATE OR REPLACE TABLE t AS SELECT CAST('x' || price AS INTEGER) AS p FROM bids ON ERROR FAIL")
    assert shop.version == version
    shop.append("bids", [{"k": 1, "price": 50}])
    assert ask(shop, "SELECT p FROM t") == [(50,)]


def test_the_columns_that_nobody_reads_may_change(shop: Database) -> None:
    shop.execute("""
        CREATE TABLE t AS SELECT k, max(price) AS p FROM bids GROUP BY k;
        CREATE TABLE all_of_it AS SELECT * FROM t;
        CREATE TABLE p AS SELECT max(p) AS p FROM t;
    """)
    shop.sql("CREATE OR REPLACE TABLE t AS SELECT k, max(price) AS p, count(*) AS n FROM bids GROUP BY k")
    assert [column.name for column in shop.sql("SELECT * FROM all_of_it").columns] == ["k", "p", "n"]
    with pytest.raises(NameTaken, match='the table p could not go on, as there is no column "p"') as caught:
        shop.sql("CREATE OR REPLACE TABLE t AS SELECT k, count(*) AS n FROM bids GROUP BY k")
    assert caught.value.hint is not None and "DROP TABLE p; first" in caught.value.hint


# ---------------------------------------------------------------- PREVIEW


def test_a_preview_shows_the_rows_that_would_go_and_come(shop: Database) -> None:
    shop.sql("CREATE TABLE t AS SELECT k, max(price) AS p FROM bids GROUP BY k")
    version = shop.version
    new = "SELECT k, max(price) AS p FROM bids WHERE k < 3 OR price < 9 AND k = 3 GROUP BY k"
    result = shop.sql(f"PREVIEW CREATE OR REPLACE TABLE t AS {new}")
    assert [column.name for column in result.columns] == ["_op", "k", "p"]
    gone = [("DELETE", k, 9) for k in (3, 17, 25, 99)]
    assert sorted(result.fetchall()) == [*gone, ("INSERT", 3, 8)]
    assert shop.version == version


def test_a_preview_of_other_columns_has_those_of_both(shop: Database) -> None:
    shop.sql("CREATE TABLE t AS SELECT max(price) AS p FROM bids")
    result = shop.sql("PREVIEW CREATE OR REPLACE TABLE t AS SELECT count(*) AS n FROM bids")
    assert [column.name for column in result.columns] == ["_op", "n", "p"]
    assert sorted(result.fetchall()) == [("DELETE", None, 9), ("INSERT", 60, None)]


def test_a_preview_of_a_stream_shows_records(shop: Database) -> None:
    shop.sql("CREATE STREAM high AS SELECT k, price FROM bids WHERE price > 7")
    new = "SELECT k, price FROM bids WHERE price > 8 OR k = 1 AND price = 0"
    found = sorted(shop.sql(f"PREVIEW CREATE OR REPLACE STREAM high AS {new}").fetchall())
    assert found == [*(("DELETE", k, 8) for k in (1, 2, 3, 17, 25, 99)), ("INSERT", 1, 0)]


def test_a_preview_of_what_is_not_there_yet_shows_all_of_it(shop: Database) -> None:
    assert shop.sql("PREVIEW CREATE TABLE n AS SELECT count(*) AS n FROM bids").fetchall() == [("INSERT", 60)]


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("PREVIEW CREATE TABLE t (a INTEGER)", SqlError, "only what a query makes can be previewed"),
        ("PREVIEW CREATE TABLE n AS SELECT count(*) AS n FROM bids", NameTaken, '"n" exists already'),
        ("PREVIEW CREATE OR REPLACE STREAM n AS SELECT k FROM bids", SqlError, '"n" is a table'),
        ("PREVIEW CREATE OR REPLACE TABLE n AS SELECT count(*) AS m FROM bids", NameTaken, "could not go on"),
    ],
)
def test_a_preview_fails_as_the_definition_would(
    shop: Database, sql: str, error: type[HeadwaterError], message: str
) -> None:
    shop.execute("CREATE TABLE n AS SELECT count(*) AS n FROM bids; CREATE TABLE m AS SELECT n FROM n")
    with pytest.raises(error, match=message):
        shop.sql(sql)
