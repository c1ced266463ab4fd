"""Views, named types, new columns, and queries in the place of extra: each one commit, and there after a restart."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import pytest

import headwater
from headwater import Database, NameTaken, QueryFailed, SqlError, UnknownName
from headwater.errors import NoSpace
from headwater.storage import SimulatedDisk
from headwater.storage.faults import Fault, FaultyStorage


def rows(db: Database, sql: str) -> list[tuple[object, ...]]:
    return sorted(db.sql(sql).fetchall(), key=repr)


SHOP = """
CREATE STREAM bids (auction INT, price DOUBLE);
CREATE TABLE people (id INT PRIMARY KEY, name VARCHAR);
CREATE TABLE notes (id INT);
INSERT INTO people VALUES (1, 'ann'), (2, 'bob');
INSERT INTO bids VALUES (1, 10), (2, 20), (1, 30);
INSERT INTO notes VALUES (1), (1);
"""


@pytest.fixture
def shop(db: Database) -> Database:
    db.execute(SHOP)
    return db


# ---------------------------------------------------------------- views


def test_a_view_stands_for_its_query_now_and_then(shop: Database) -> None:
    version = shop.version
    shop.sql("CREATE VIEW dear AS SELECT auction, price FROM bids WHERE price > 15")
    shop.sql("INSERT INTO bids VALUES (3, 40)")
    assert rows(shop, "SELECT * FROM dear") == [(1, 30), (2, 20), (3, 40)]
    assert rows(shop, f"SELECT d.price FROM dear AS OF VERSION {version} AS d") == [(20,), (30,)]
    assert rows(shop, f"SELECT count(*) FROM dear AS OF VERSION {version}") == [(2,)]


def test_a_view_gives_its_columns_names(shop: Database) -> None:
    shop.sql("CREATE VIEW v (who) AS SELECT * FROM people")
    assert shop.sql("SELECT * FROM v").names == ["who", "name"]
    assert shop.sql("SELECT * FROM v AS x (a, b)").names == ["a", "b"]
    assert rows(shop, "DESCRIBE v") == [("name", "VARCHAR", None), ("who", "INTEGER", None)]
    with shop.subscribe("SELECT * FROM v AS x (a)") as watched:
        assert [column.name for column in watched.columns] == ["a", "name"]


def test_a_view_of_views_is_kept_up_to_date_in_a_continuous_query(shop: Database) -> None:
    shop.execute("""
        CREATE VIEW dear AS SELECT auction AS a, price FROM bids WHERE price > 15;
        CREATE VIEW named AS SELECT p.name, d.price FROM dear d JOIN people p ON d.a = p.id;
        CREATE TABLE totals AS SELECT name, sum(price) AS total FROM named GROUP BY name;
        INSERT INTO bids VALUES (1, 100), (1, 1);
    """)
    assert rows(shop, "SELECT * FROM totals") == [("ann", 130), ("bob", 20)]


def test_names_in_a_view_are_those_of_the_catalog_wherever_it_is_asked(shop: Database) -> None:
    shop.sql("CREATE VIEW v AS SELECT auction FROM bids WHERE price = 20")
    query = "WITH bids AS (SELECT 7 AS auction, 20 AS price FROM people) SELECT * FROM v"
    assert rows(shop, query) == [(2,)]
    with shop.subscribe(query) as watched:
        batch = watched.poll(0)
    assert batch is not None and [change.row for change in batch] == [(2,)]


def test_a_name_of_with_hides_a_view(shop: Database) -> None:
    shop.sql("CREATE VIEW v AS SELECT * FROM bids")
    assert rows(shop, "WITH v AS (SELECT 1 AS one) SELECT * FROM v") == [(1,)]


def test_a_windowed_view_is_asked_and_kept(shop: Database) -> None:
    shop.execute("""
        CREATE VIEW minutes AS SELECT auction, count(*) AS n FROM bids WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY auction;
        CREATE TABLE kept AS SELECT auction, sum(n) AS n FROM minutes GROUP BY auction;
    """)
    asked = rows(shop, "SELECT auction, CAST(sum(n) AS BIGINT) FROM minutes GROUP BY auction")
    assert asked == rows(shop, "SELECT auction, CAST(n AS BIGINT) FROM kept") == [(1, 2), (2, 1)]


def test_the_first_rows_of_a_view_are_kept(shop: Database) -> None:
    shop.sql("CREATE VIEW best AS SELECT * FROM people ORDER BY id DESC LIMIT 1")
    shop.sql("CREATE TABLE kept AS SELECT name FROM best")
    shop.sql("INSERT INTO people VALUES (3, 'cy')")
    assert rows(shop, "SELECT * FROM kept") == rows(shop, "SELECT name FROM best") == [("cy",)]


def test_what_reads_a_view_keeps_it_from_being_dropped(shop: Database) -> None:
    shop.execute("CREATE VIEW v AS SELECT * FROM bids; CREATE VIEW w AS SELECT * FROM v")
    shop.sql("CREATE TABLE t AS SELECT auction, count(*) AS n FROM w GROUP BY auction")
    with pytest.raises(NameTaken, match='"v" is read by w, t'):
        shop.sql("DROP VIEW v")
    with pytest.raises(NameTaken, match='"bids" is read by v, w, t'):
        shop.sql("DROP STREAM bids")
    assert shop.sql("DROP VIEW v CASCADE").message == "dropped t, w, v"
    assert rows(shop, "SHOW VIEWS") == []
    shop.sql("DROP STREAM bids")


def test_a_view_that_a_continuous_query_cannot_keep_is_named_in_the_error(shop: Database) -> None:
    shop.sql(f"CREATE VIEW past AS SELECT * FROM bids AS OF VERSION {shop.version}")
    shop.sql("INSERT INTO bids VALUES (3, 40)")
    assert len(rows(shop, "SELECT * FROM past")) == 3
    with pytest.raises(SqlError, match='in view "past": AS OF asks about the past'):
        shop.sql("CREATE STREAM s AS SELECT * FROM past")


def test_a_replaced_view_is_what_extra_read_from_then_on(shop: Database) -> None:
    shop.execute("""
        CREATE VIEW v AS SELECT auction FROM bids;
        CREATE VIEW w AS SELECT auction FROM v;
        CREATE TABLE t AS SELECT auction, count(*) AS n FROM w GROUP BY auction;
    """)
    message = shop.sql("CREATE OR REPLACE VIEW v AS SELECT auction FROM bids WHERE price > 10").message
    assert message == "replaced view v, and w, t with it with 2 rows"
    assert rows(shop, "SELECT * FROM t") == [(1, 1), (2, 1)]
    shop.sql("INSERT INTO bids VALUES (1, 5), (1, 50)")
    assert rows(shop, "SELECT * FROM t") == [(1, 2), (2, 1)]


def test_if_not_exists_leaves_a_view_as_it_is(shop: Database) -> None:
    shop.sql("CREATE VIEW v AS SELECT auction FROM bids")
    assert shop.sql("CREATE VIEW IF NOT EXISTS v AS SELECT 1").message == "v exists already"
    assert shop.sql("DROP VIEW IF EXISTS nothing").message == "there is no nothing"


# ---------------------------------------------------------------- types


def test_a_named_type_stands_for_its_type_wherever_a_type_does(db: Database) -> None:
    db.execute("""
        CREATE TYPE Address AS STRUCT<street VARCHAR, zip INT>;
        CREATE TYPE pair AS STRUCT<address address, extra ADDRESS[]>;
        CREATE TABLE people (id INT, home address, all_homes MAP(VARCHAR, pair));
        INSERT INTO people (id, home) SELECT 1, CAST({'street': 'Elm', 'zip': '7'} AS address);
        CREATE TABLE zips AS SELECT TRY_CAST(home AS address).zip AS zip FROM people;
    """)
    assert rows(db, "SELECT * FROM zips") == [(7,)]
    address = "STRUCT(street VARCHAR, zip INTEGER)"
    assert rows(db, "SHOW TYPES") == [("Address", address), ("pair", f"STRUCT(address {address}, extra {address}[])")]


def test_what_was_made_with_a_type_stays_when_the_type_goes(db: Database) -> None:
    db.execute("CREATE TYPE money AS DECIMAL(10, 2); CREATE TABLE t (m money); DROP TYPE money")
    db.sql("INSERT INTO t VALUES (1.5)")
    assert rows(db, "SELECT CAST(m AS VARCHAR) FROM t") == [("1.50",)]
    with pytest.raises(SqlError, match='no type "MONEY"'):
        db.sql("CREATE TABLE u (m money)")


# ---------------------------------------------------------------- columns


def test_a_new_column_is_null_in_the_rows_there_are(shop: Database) -> None:
    shop.execute("""
        ALTER STREAM bids ADD COLUMN bidder VARCHAR, ADD tags VARCHAR[];
        ALTER TABLE people ADD COLUMN age INT; ALTER TABLE notes ADD text VARCHAR;
        INSERT INTO bids VALUES (4, 1, 'cy', ['x']); INSERT INTO people VALUES (2, 'bob', 30);
        UPDATE notes SET text = 'seen';
    """)
    assert rows(shop, "SELECT auction, bidder, tags FROM bids") == [
        (1, None, None), (1, None, None), (2, None, None), (4, "cy", ["x"]),
    ]  # fmt: skip
    assert rows(shop, "SELECT * FROM people") == [(1, "ann", None), (2, "bob", 30)]
    assert rows(shop, "SELECT * FROM notes") == [(1, "seen"), (1, "seen")]
    assert rows(shop, "SELECT tags FROM bids WHERE ROWOFFSET = 0") == [(None,)]


def test_queries_that_run_go_on_unchanged_when_a_column_is_added(shop: Database) -> None:
    shop.execute("CREATE STREAM copy AS SELECT * FROM bids; CREATE TABLE people2 AS SELECT * FROM people")
    shop.sql("CREATE TABLE named AS SELECT p.*, n.id AS note FROM people p JOIN notes n ON p.id = n.id")
    with shop.subscribe("SELECT * FROM people") as watched:
        watched.skip()
        shop.execute("""
            ALTER STREAM bids ADD COLUMN bidder VARCHAR;
            ALTER TABLE people ADD COLUMN age INT; ALTER TABLE notes ADD COLUMN text VARCHAR;
            INSERT INTO bids VALUES (4, 1, 'cy'); INSERT INTO people VALUES (1, 'al', 30);
            INSERT INTO notes VALUES (2, 'new'); DELETE FROM notes WHERE id = 1;
        """)
        batch = watched.poll(0)
    assert batch is not None and [change.row for change in batch] == [(1, "ann"), (1, "al")]
    assert rows(shop, "SELECT * FROM copy WHERE auction = 4") == [(4, 1)]
    assert rows(shop, "SELECT * FROM people2") == [(1, "al"), (2, "bob")]
    assert rows(shop, "SELECT * FROM named") == [(2, "bob", 2)]


def test_a_query_over_new_and_old_rows_reads_the_new_column(shop: Database) -> None:
    shop.execute("ALTER STREAM bids ADD COLUMN bidder VARCHAR; INSERT INTO bids VALUES (1, 5, 'cy'), (1, 6, 'cy')")
    shop.sql("CREATE TABLE bidders AS SELECT bidder, count(*) AS n FROM bids GROUP BY bidder")
    assert rows(shop, "SELECT * FROM bidders") == [("cy", 2), (None, 3)]


def test_an_assertion_goes_on_where_it_was_when_a_column_is_added(shop: Database) -> None:
    shop.execute("""
        ASSERT VALUES bids (auction, price) VALUES (1, 10);
        ALTER STREAM bids ADD COLUMN bidder VARCHAR;
        ASSERT VALUES bids (auction, price, bidder) VALUES (2, 20, NULL);
    """)


# ---------------------------------------------------------------- replacing


def test_a_replaced_table_has_the_rows_of_its_new_query_in_one_commit(shop: Database) -> None:
    shop.sql("CREATE TABLE t AS SELECT auction, count(*) AS n FROM bids GROUP BY auction")
    shop.settle()
    version = shop.version
    shop.sql("CREATE OR REPLACE TABLE t AS SELECT auction, max(price) AS top FROM bids GROUP BY auction")
    assert shop.version == version + 1
    assert rows(shop, "SELECT * FROM t") == [(1, 30), (2, 20)]
    assert rows(shop, "SELECT * FROM t AS OF OFFSET 1") == [(1, 10)]
    shop.sql("INSERT INTO bids VALUES (2, 99)")
    assert rows(shop, "SELECT * FROM t") == [(1, 30), (2, 99)]


def test_what_depends_on_a_replaced_table_is_made_anew_with_it(shop: Database) -> None:
    shop.execute("""
        CREATE TABLE t AS SELECT auction, count(*) AS n FROM bids GROUP BY auction;
        CREATE TABLE u AS SELECT n, count(*) AS c FROM t GROUP BY n;
        CREATE OR REPLACE TABLE t AS SELECT auction, count(*) * 10 AS n, 1 AS more FROM bids GROUP BY auction;
    """)
    assert rows(shop, "SELECT * FROM u") == [(10, 1), (20, 1)]


def test_a_table_is_not_replaced_when_what_depends_on_it_could_not_go_on(shop: Database) -> None:
    shop.execute("""
        CREATE TABLE t AS SELECT auction, count(*) AS n FROM bids GROUP BY auction;
        CREATE TABLE u AS SELECT n, count(*) AS c FROM t GROUP BY n;
        CREATE VIEW v AS SELECT n FROM t;
    """)
    version = shop.version
    with pytest.raises(NameTaken, match='"t" cannot be replaced by this: the table u could not go on'):
        shop.sql("CREATE OR REPLACE TABLE t AS SELECT auction FROM bids")
    with pytest.raises(SqlError, match='"t" would read itself'):
        shop.sql("CREATE OR REPLACE TABLE t AS SELECT n AS auction, c AS n FROM u")
    assert shop.version == version
    assert rows(shop, "SELECT * FROM u") == [(1, 1), (2, 1)]


def test_or_replace_of_what_is_not_there_makes_it(shop: Database) -> None:
    assert shop.sql("CREATE OR REPLACE TABLE t AS SELECT auction FROM bids").message == "created table t with 3 rows"
    assert shop.sql("CREATE OR REPLACE STREAM fresh (x INT)").message == "created stream fresh"


def test_who_watches_a_replaced_table_is_told(shop: Database) -> None:
    shop.sql("CREATE TABLE t AS SELECT auction FROM bids")
    with shop.subscribe("SELECT * FROM t") as watched:
        watched.skip()
        shop.sql("CREATE OR REPLACE TABLE t AS SELECT price FROM bids")
        with pytest.raises(QueryFailed, match="dropped or replaced"):
            watched.poll(0)


def test_explain_of_a_drop_lists_what_would_go_and_drops_nothing(shop: Database) -> None:
    shop.execute("CREATE VIEW v AS SELECT * FROM bids; CREATE TABLE t AS SELECT auction FROM v")
    version = shop.version
    expected = [("DROP TABLE t",), ("DROP VIEW v",), ("DROP STREAM bids",)]
    assert shop.sql("EXPLAIN DROP STREAM bids CASCADE").fetchall() == expected
    assert shop.version == version
    with pytest.raises(NameTaken, match="is read by v, t"):
        shop.sql("EXPLAIN DROP STREAM bids")
    with pytest.raises(UnknownName):
        shop.sql("EXPLAIN DROP STREAM nothing CASCADE")


# ---------------------------------------------------------------- restarts

STEPS = """
CREATE VIEW v AS SELECT auction AS a, price AS p FROM bids;
CREATE TYPE money AS DECIMAL(10, 2);
CREATE TABLE t AS SELECT a, sum(CAST(p AS money)) AS total FROM v GROUP BY a;
CREATE STREAM dear AS SELECT a FROM v WHERE p > 15;
INSERT INTO bids VALUES (1, 1.5);
ALTER STREAM bids ADD COLUMN bidder VARCHAR;
INSERT INTO bids VALUES (2, 16, 'cy');
ALTER TABLE people ADD COLUMN age INT;
INSERT INTO people VALUES (3, 'dot', 3);
CHECKPOINT;
CREATE OR REPLACE VIEW v AS SELECT auction AS a, price AS p FROM bids WHERE bidder IS NULL;
INSERT INTO bids VALUES (2, 17, NULL), (2, 1, 'cy');
CREATE OR REPLACE TABLE t AS SELECT a, sum(CAST(p AS DECIMAL(10, 2))) AS total, count(*) AS n FROM v GROUP BY a;
UPDATE people SET age = id WHERE age IS NULL;
DROP TYPE money;
DELETE FROM people WHERE id = 1;
CHECKPOINT;
DROP VIEW v CASCADE;
CREATE TABLE dear AS SELECT age, count(*) AS n FROM people GROUP BY age;
INSERT INTO people VALUES (4, 'eve', 3);
"""


def content(db: Database) -> dict[str, object]:
    db.settle()
    names = [relation.name for relation in db.relations()] + [name for name, _ in db.sql("SHOW VIEWS").fetchall()]
    found: dict[str, object] = {name: rows(db, f"SELECT * FROM {name}") for name in names}
    return {**found, "definitions": db.relations(), "types": rows(db, "SHOW TYPES"), "views": rows(db, "SHOW VIEWS")}


@pytest.mark.parametrize("settled", [True, False], ids=["after the step", "before the step"])
def test_every_change_is_there_after_opening_again(settled: bool) -> None:
    disk = SimulatedDisk()

    def opened() -> Database:
        return Database(disk, "db", None, background=False)

    with opened() as db:
        db.execute(SHOP)
    for step in STEPS.strip().splitlines():
        with opened() as db:
            db.execute(step)
            if settled:
                db.settle()
                expected = content(db)
        with opened() as db:
            assert not settled or content(db) == expected, step
            expected = content(db)
        with opened() as db:
            assert content(db) == expected, step


def test_a_reader_beside_the_writer_follows_every_change(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "db") as db:
        db.execute(SHOP)
        with headwater.connect(tmp_path / "db", read_only=True) as reader:
            for step in STEPS.strip().splitlines():
                db.execute(step)
                assert content(reader) == content(db), step


@pytest.mark.parametrize("change", ["define", "rename"])
def test_a_definition_that_cannot_be_committed_changes_nothing(change: str) -> None:
    statements: dict[str, Callable[[Database], object]] = {
        "define": lambda db: db.sql("CREATE OR REPLACE TABLE t AS SELECT max(price) AS m FROM bids"),
        "rename": lambda db: db.sql("DROP VIEW v"),
    }
    disk = FaultyStorage(SimulatedDisk())
    with Database(disk, "db", None, background=False) as db:
        db.execute(SHOP)
        db.execute("CREATE TABLE t AS SELECT count(*) AS n FROM bids; CREATE VIEW v AS SELECT * FROM bids")
        expected = content(db)
        disk.plan = (Fault("pwrite", disk.counts["pwrite"] + 1, errno.ENOSPC),)
        with pytest.raises(NoSpace):
            statements[change](db)
        assert content(db) == expected
        db.sql("INSERT INTO bids VALUES (1, 1)")
        assert rows(db, "SELECT * FROM t") == [(4,)]
