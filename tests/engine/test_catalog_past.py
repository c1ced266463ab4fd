"""Names as of a version: what they meant then, whatever has been made of them since."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from headwater import Database, OutOfRange, QueryFailed, SqlError, UnknownName
from headwater.storage import SimulatedDisk

NOON_US = 1_767_268_800_000_000


@pytest.fixture
def disk() -> SimulatedDisk:
    disk = SimulatedDisk()
    disk.clock_us = NOON_US
    return disk


@pytest.fixture
def shop(disk: SimulatedDisk) -> Iterator[Database]:
    with opened(disk) as db:
        db.execute("""
            CREATE STREAM bids (auction INTEGER, price INTEGER);
            CREATE TABLE t AS SELECT auction, sum(price) AS total FROM bids GROUP BY auction;
            CREATE VIEW v AS SELECT total FROM t;
            INSERT INTO bids VALUES (1, 10), (2, 20);
        """)
        db.settle()
        yield db


def opened(disk: SimulatedDisk, **given: Any) -> Database:
    return Database(disk, "db", None, background=False, **given)


def ask(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return sorted(db.sql(sql).fetchall(), key=repr)


def test_what_was_dropped_is_answered_as_it_was(shop: Database) -> None:
    then = shop.version
    shop.execute("DROP VIEW v; DROP TABLE t")
    assert ask(shop, f"SELECT * FROM t AS OF VERSION {then}") == [(1, 10), (2, 20)]
    assert ask(shop, f"SELECT * FROM v AS OF VERSION {then}") == [(10,), (20,)]
    with pytest.raises(UnknownName, match='there is no stream or table "t"'):
        shop.sql(f"SELECT * FROM t AS OF VERSION {shop.version}")


def test_the_log_of_a_stream_outlives_its_drop(shop: Database) -> None:
    shop.execute("CREATE STREAM high AS SELECT price FROM bids WHERE price > 10")
    then = shop.version
    shop.execute("DROP STREAM high; DROP STREAM bids CASCADE")
    assert ask(shop, f"SELECT auction, ROWOFFSET FROM bids AS OF VERSION {then}") == [(1, 0), (2, 1)]
    assert ask(shop, f"SELECT price FROM high AS OF VERSION {then}") == [(20,)]


def test_what_was_replaced_has_its_old_query_and_its_old_columns(shop: Database) -> None:
    then = shop.version
    shop.sql(
        "CREATE OR REPLACE TABLE t AS SELECT auction, count(*) AS n, max(price) AS total FROM bids GROUP BY auction"
    )
    assert shop.sql(f"SELECT * FROM t AS OF VERSION {then}").columns[1].name == "total"
    joined = f"SELECT old.total, new.n FROM t AS OF VERSION {then} old JOIN t new USING (auction)"
    assert ask(shop, joined) == [(10, 1), (20, 1)]


def test_a_column_that_was_added_later_is_not_there_yet(shop: Database) -> None:
    then = shop.version
    shop.execute("ALTER STREAM bids ADD COLUMN bidder VARCHAR; INSERT INTO bids VALUES (3, 30, 'ann')")
    assert ask(shop, f"SELECT * FROM bids AS OF VERSION {then}") == [(1, 10), (2, 20)]
    assert len(shop.sql("SELECT * FROM bids AS OF OFFSET 1").columns) == 3, "an offset keeps the catalog of now"


def test_a_name_that_was_not_there_yet_means_what_it_means_now(shop: Database) -> None:
    then = shop.version
    shop.execute("INSERT INTO bids VALUES (1, 5); CREATE TABLE n AS SELECT count(*) AS n FROM bids")
    shop.execute("CREATE VIEW w AS SELECT n FROM n")
    assert ask(shop, f"SELECT * FROM n AS OF VERSION {then}") == [(2,)]
    assert ask(shop, f"SELECT * FROM w AS OF VERSION {then}") == [(2,)]


def test_functions_and_types_mean_what_they_meant(shop: Database, disk: SimulatedDisk) -> None:
    shop.execute("""
        CREATE FUNCTION f (x INTEGER) RETURNS INTEGER LANGUAGE python AS 'return x + 1';
        CREATE TYPE money AS DECIMAL(10, 1);
        CREATE TABLE more AS SELECT f(price) AS p FROM bids;
    """)
    then = shop.version
    shop.execute("""
        CREATE OR REPLACE FUNCTION f (x INTEGER) RETURNS INTEGER LANGUAGE python AS 'return x + 2';
        DROP TYPE money; DROP FUNCTION f CASCADE;
    """)
    shop.close()
    with opened(disk) as db:
        assert ask(db, f"SELECT p FROM more AS OF VERSION {then}") == [(11,), (21,)]
        assert ask(db, f"SELECT f(price)::money FROM bids AS OF VERSION {then}") == [(11,), (21,)]


def test_a_function_that_the_program_does_not_give_any_more_is_named(shop: Database, disk: SimulatedDisk) -> None:
    shop.create_function("g", lambda x: x + 1, parameters=["INTEGER"], returns="INTEGER")
    shop.sql("CREATE TABLE more AS SELECT g(price) AS p FROM bids")
    then = shop.version
    shop.sql("DROP FUNCTION g CASCADE")
    shop.close()
    with opened(disk) as db, pytest.raises(SqlError, match='"more" cannot be computed: the program has not given g'):
        db.sql(f"SELECT p FROM more AS OF VERSION {then}")
    with opened(disk, functions={"g": lambda x: x + 1}) as db:
        assert ask(db, f"SELECT p FROM more AS OF VERSION {then}") == [(11,), (21,)]


def test_a_view_of_the_past_calls_the_function_that_it_called(shop: Database, disk: SimulatedDisk) -> None:
    """Also where nothing else in the statement knows that function any more."""
    shop.execute("CREATE FUNCTION f (x INTEGER) RETURNS INTEGER LANGUAGE python AS 'return x + 1'")
    shop.execute("CREATE VIEW raised AS SELECT f(price) AS p FROM bids")
    then = shop.version
    shop.execute("DROP FUNCTION f CASCADE")
    shop.close()
    with opened(disk) as db:
        joined = f"SELECT p FROM raised AS OF VERSION {then} JOIN bids ON p = price + 1"
        assert ask(db, joined) == [(11,), (21,)]


def test_an_unknown_name_that_was_known_says_when(shop: Database) -> None:
    then = shop.version
    shop.execute("DROP VIEW v; DROP TABLE t")
    for name, version in (("t", then + 1), ("V", then)):
        with pytest.raises(UnknownName) as caught:
            shop.sql(f"SELECT * FROM {name}")
        assert caught.value.hint == f"it was there up to version {version}: AS OF VERSION {version}"
        assert len(ask(shop, f"SELECT * FROM {name} AS OF VERSION {version}")) == 2


def test_a_query_that_stood_still_is_answered_as_it_stood(shop: Database) -> None:
    shop.execute("PAUSE t; INSERT INTO bids VALUES (1, 5)")
    paused = ask(shop, "SELECT * FROM t")
    then = shop.version
    shop.execute("RESUME t")
    assert paused == [(1, 10), (2, 20)] != ask(shop, "SELECT * FROM t")
    assert ask(shop, f"SELECT * FROM t AS OF VERSION {then}") == paused


def test_a_query_that_had_failed_says_so_when_it_is_gone(shop: Database) -> None:
    shop.sql("CREATE TABLE odd AS SELECT CAST(price / 0.5 AS TINYINT) AS x FROM bids ON ERROR FAIL")
    good = shop.version
    shop.execute("INSERT INTO bids VALUES (1, 1000)")
    shop.settle()
    bad = shop.version
    shop.sql("DROP TABLE odd")
    assert ask(shop, f"SELECT * FROM odd AS OF VERSION {good}") == [(20,), (40,)]
    with pytest.raises(QueryFailed, match='"odd" stopped at version'):
        shop.sql(f"SELECT * FROM odd AS OF VERSION {bad}")


def test_earliest_and_latest_are_points(shop: Database) -> None:
    assert ask(shop, "SELECT * FROM bids AS OF EARLIEST") == []
    assert ask(shop, "SELECT * FROM t AS OF LATEST") == ask(shop, "SELECT * FROM t")
    both = "SELECT (SELECT count(*) FROM bids AS OF LATEST), count(*) FROM bids AS OF VERSION 0"
    assert ask(shop, both) == [(2, 0)]


def test_earliest_is_what_retention_left(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute("CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER) WITH (retention = '1 hour')")
        for v in range(6):
            db.append("t", [{"k": v % 2, "v": v}])
            assert disk.clock_us is not None
            disk.clock_us += 3_600_000_000
            db.sql("CHECKPOINT")
        with pytest.raises(OutOfRange, match="retention has taken") as caught:
            db.sql("SELECT * FROM t AS OF VERSION 1")
        assert caught.value.hint is not None
        named = caught.value.hint.removeprefix("the earliest is ")
        assert ask(db, "SELECT * FROM t AS OF EARLIEST") == ask(db, f"SELECT * FROM t {named}") != []


class Hurrying(SimulatedDisk):
    """A disk by whose clock each look at it takes a second."""

    def now_us(self) -> int:
        assert self.clock_us is not None
        self.clock_us += 1_000_000
        return self.clock_us


def test_all_relations_of_a_statement_stand_at_one_time() -> None:
    disk = Hurrying()
    disk.clock_us = NOON_US
    with opened(disk) as db:
        db.execute("CREATE STREAM s (v INTEGER); CREATE TABLE n AS SELECT count(*) AS n FROM s")
        for v in range(10):
            db.append("s", [{"v": v}])
        counts = "SELECT n = (SELECT count(*) FROM s) FROM n WHERE true AS OF '{} seconds ago'"
        assert [ask(db, counts.format(ago)) for ago in range(10)] == [[(True,)]] * 10


def test_the_streams_that_are_asked_can_be_counted_by_name(shop: Database) -> None:
    shop.execute("CREATE STREAM twice AS SELECT 2 * price AS p FROM bids")
    shop.settle()
    counts = "SELECT count(*), (SELECT count(*) FROM bids) FROM twice WHERE true AS OF OFFSET (twice => 1, bids => 2)"
    assert ask(shop, counts) == [(1, 2)]


# ---------------------------------------------------------------- whole histories

CHANGES = (
    "INSERT INTO bids VALUES ({a}, {b}), ({b}, {a})",
    "INSERT INTO people VALUES ({a}, 'p{b}')",
    "UPDATE people SET name = name || '{a}' WHERE id < {b}",
    "DELETE FROM people WHERE id = {a}",
    "CREATE OR REPLACE TABLE x AS SELECT auction % {b} AS k, count(*) AS n{a} FROM bids GROUP BY 1",
    "CREATE OR REPLACE TABLE x AS SELECT auction AS k, sum(price) AS s FROM bids WHERE price > {a} GROUP BY auction",
    "CREATE OR REPLACE STREAM y AS SELECT price + {a} AS p FROM bids",
    "CREATE OR REPLACE VIEW z AS SELECT k FROM x",
    "CREATE OR REPLACE VIEW z AS SELECT {a} AS one, name FROM people",
    "CREATE TABLE c{a} AS SELECT k FROM x",
    "DROP VIEW z",
    "DROP TABLE x CASCADE",
    "DROP STREAM y",
    "ALTER TABLE people ADD COLUMN more{a} INTEGER",
    "CHECKPOINT",
)


@pytest.mark.parametrize("seed", [3, 4])
def test_a_history_answers_later_what_it_answered_then(disk: SimulatedDisk, seed: int) -> None:
    dice = random.Random(seed)
    answers: dict[tuple[int, str], Any] = {}
    with opened(disk) as db:
        db.execute("CREATE STREAM bids (auction INTEGER, price INTEGER)")
        db.execute("CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR); INSERT INTO people VALUES (1, 'ann')")
        db.execute("CREATE TABLE x AS SELECT auction AS k, count(*) AS n FROM bids GROUP BY auction")
        for change in dice.choices(CHANGES, k=24):
            try:
                db.sql(change.format(a=dice.randrange(1, 6), b=dice.randrange(1, 6)))
            except SqlError:
                continue
            db.settle()
            answers |= {(db.version, name): _answer(db, name) for name in _names(db)}
        _compare(db, answers)
    with opened(disk) as db:
        _compare(db, answers)


def _names(db: Database) -> list[str]:
    shown = [*db.sql("SHOW STREAMS").fetchall(), *db.sql("SHOW TABLES").fetchall(), *db.sql("SHOW VIEWS").fetchall()]
    return [name for name, *_ in shown]


def _answer(db: Database, name: str, point: str = "") -> Any:
    result = db.sql(f"SELECT * FROM {name}{point}")
    return [column.name for column in result.columns], Counter(result.fetchall())


def _compare(db: Database, answers: dict[tuple[int, str], Any]) -> None:
    assert len({version for version, _ in answers}) > 10 and len({name for _, name in answers}) > 4
    for (version, name), answer in answers.items():
        assert _answer(db, name, f" AS OF VERSION {version}") == answer, (version, name)
