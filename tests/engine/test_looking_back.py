"""SHOW and DESCRIBE as of a point, and sessions that ask about the past."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from headwater import Database, OutOfRange, SqlError, UnknownName, Unsupported, connect


@pytest.fixture
def shop() -> Iterator[Database]:
    with connect(background=False) as db:
        db.execute("""
            CREATE STREAM s (k INTEGER KEY, v INTEGER);
            CREATE TABLE t AS SELECT k, sum(v) AS v FROM s GROUP BY k;
            CREATE VIEW w AS SELECT k FROM t;
            CREATE TYPE money AS DECIMAL(10, 2);
            CREATE FUNCTION f (x INTEGER) RETURNS INTEGER LANGUAGE python AS 'return x';
            INSERT INTO s VALUES (1, 10), (2, 20);
        """)
        db.settle()
        yield db


def changed(db: Database) -> int:
    """The version before all of it was dropped, and `s` got a column."""
    then = db.version
    db.execute("""
        DROP VIEW w; DROP TABLE t; DROP TYPE money; DROP FUNCTION f;
        ALTER STREAM s ADD COLUMN more VARCHAR; INSERT INTO s VALUES (3, 30, 'x');
    """)
    return then


@pytest.mark.parametrize("what", ["STREAMS", "TABLES", "VIEWS", "TYPES", "FUNCTIONS"])
def test_show_as_of_a_version_lists_what_there_was(shop: Database, what: str) -> None:
    listed = shop.sql(f"SHOW {what}").fetchall()
    then = changed(shop)
    assert listed and listed != shop.sql(f"SHOW {what}").fetchall()
    assert shop.sql(f"SHOW {what} AS OF VERSION {then}").fetchall() == listed
    assert shop.sql(f"SHOW {what} AS OF LATEST").fetchall() == shop.sql(f"SHOW {what}").fetchall()


def test_show_queries_as_of_a_version_tells_how_they_were(shop: Database) -> None:
    running = shop.version
    shop.sql("PAUSE t")
    paused = shop.version
    changed(shop)
    assert shop.sql(f"SHOW QUERIES AS OF VERSION {running}").fetchall()[0][:3] == ("t", "TABLE", "running")
    assert shop.sql(f"SHOW QUERIES AS OF VERSION {paused}").fetchall()[0][:3] == ("t", "TABLE", "paused")


@pytest.mark.parametrize("name", ["s", "t", "w", "FUNCTION f"])
def test_describe_as_of_a_version_tells_how_it_was_defined(shop: Database, name: str) -> None:
    described = shop.sql(f"DESCRIBE {name}").fetchall()
    then = changed(shop)
    assert shop.sql(f"DESCRIBE {name} AS OF VERSION {then}").fetchall() == described
    if name in ("s", "t"):
        facts = dict(row[:2] for row in shop.sql(f"DESCRIBE {name} EXTENDED AS OF VERSION {then}").fetchall())
        assert facts["· definition"].startswith("CREATE ")
    with pytest.raises(UnknownName):
        shop.sql(f"DESCRIBE {name} AS OF VERSION 0")


def test_what_there_was_is_a_question_about_the_database(shop: Database) -> None:
    with pytest.raises(SqlError, match="as of a point of the database"):
        shop.sql("SHOW TABLES AS OF OFFSET 1")
    with pytest.raises(Unsupported, match="SHOW GROUPS AS OF is not supported"):
        shop.sql("SHOW GROUPS AS OF VERSION 1")
    with pytest.raises(Unsupported, match="EXTENDED tells of files as they are now"):
        shop.sql("SHOW TABLES EXTENDED AS OF VERSION 1")


# ---------------------------------------------------------------- SET as_of


def test_a_session_asks_about_the_past(shop: Database) -> None:
    shown = [shop.sql(sql).fetchall() for sql in ("SELECT * FROM t", "SHOW TABLES", "DESCRIBE t")]
    then = changed(shop)
    shop.sql(f"SET as_of = 'VERSION {then}'")
    assert [shop.sql(sql).fetchall() for sql in ("SELECT * FROM t", "SHOW TABLES", "DESCRIBE t")] == shown
    assert len(shop.sql("SELECT * FROM s AS OF LATEST").fetchall()) == 3, "what a statement says itself counts"
    assert ("as_of", f"VERSION {then}", "SET") in shop.sql("SHOW PROPERTIES").fetchall()
    shop.sql("UNSET as_of")
    assert len(shop.sql("SELECT * FROM s").fetchall()) == 3


@pytest.mark.parametrize(
    ("point", "count"),
    [
        ("OFFSET 1", 1), ("OFFSET (0 => 2)", 2), ("OFFSET (s => 1)", 1), ("EARLIEST", 0), ("latest", 2), ("LATEST", 2),
        ("1 hour ago", 0), ("''1 hour ago''", 0), ("TIMESTAMP ''2001-01-01''", 0), ("2001-01-01", 0), ("version 0", 0),
    ],
)  # fmt: skip
def test_as_of_takes_what_stands_after_as_of(shop: Database, point: str, count: int) -> None:
    shop.sql(f"SET 'as_of' = '{point}'")
    assert len(shop.sql("SELECT * FROM s").fetchall()) == count


@pytest.mark.parametrize("point", ["VERSION x", "OFFSET", "VERSION 1; DROP TABLE t", "VERSION 1 EXTENDED"])
def test_as_of_takes_nothing_else(shop: Database, point: str) -> None:
    with pytest.raises(SqlError, match="as_of cannot be"):
        shop.sql(f"SET as_of = '{point}'")


@pytest.mark.parametrize(
    "sql",
    [
        "INSERT INTO s VALUES (1, 1)", "CREATE TABLE u (a INTEGER)", "CREATE VIEW u AS SELECT 1", "DROP VIEW w",
        "CREATE TYPE u AS INTEGER", "ALTER STREAM s ADD COLUMN a INTEGER", "PAUSE t", "SELECT * FROM s EMIT CHANGES",
    ],
)  # fmt: skip
def test_in_the_past_nothing_is_changed_or_watched(shop: Database, sql: str) -> None:
    shop.sql("SET as_of = '1 hour ago'")
    with pytest.raises(SqlError, match="this session asks about the past, as of 1 hour ago, and") as caught:
        shop.sql(sql)
    assert caught.value.hint == "UNSET as_of; first"


def test_a_program_appends_whatever_the_session_asks_about(shop: Database) -> None:
    shop.sql("SET as_of = 'VERSION 0'")
    shop.append("s", [{"k": 1, "v": 1}])
    with pytest.raises(SqlError, match="this session asks about the past"):
        shop.subscribe("SELECT * FROM s")


def test_an_error_says_that_the_session_asks_about_the_past(shop: Database) -> None:
    shop.sql("SET as_of = 'VERSION 999'")
    with pytest.raises(OutOfRange, match="version 999 is not there yet") as caught:
        shop.sql("SELECT * FROM s")
    assert caught.value.hint == "UNSET as_of asks about now"
