"""INSERT … ON CONFLICT: what becomes of a row whose key is there already, as DuckDB has it."""

from __future__ import annotations

import random

import duckdb
import pytest

import headwater
from headwater.errors import HeadwaterError, NullRefused, SqlError, TransactionConflict

TABLE = "CREATE TABLE t (a VARCHAR, b INTEGER, n BIGINT, x DOUBLE, PRIMARY KEY (a, b));"
ACTIONS = (
    "DO NOTHING",
    "DO UPDATE SET n = excluded.n",
    "DO UPDATE SET n = t.n + excluded.n, x = excluded.b",
    "DO UPDATE SET n = n + 1 WHERE t.x IS NULL OR excluded.x > t.x",
)


def rows(asked: headwater.Database | headwater.Transaction, sql: str) -> list[tuple[object, ...]]:
    return asked.sql(sql).fetchall()


@pytest.mark.parametrize("seed", range(2))
def test_what_is_there_then_is_what_duckdb_has(db: headwater.Database, seed: int) -> None:
    chance, duck = random.Random(seed), duckdb.connect()
    for execute in (db.execute, duck.execute):
        execute(TABLE)
    for _ in range(12):
        keys = chance.sample([(a, b) for a in "xyz" for b in range(4)], chance.randint(1, 5))
        values = [f"('{a}', {b}, {chance.randint(0, 9)}, {chance.choice(['NULL', '1.5', '2.5'])})" for a, b in keys]
        source = chance.choice(["VALUES {0}", "SELECT a, b, n, x FROM (VALUES {0}) AS v(a, b, n, x)"])
        target = chance.choice(["", "(a, b) ", "(b, a) "])
        action = chance.choice(ACTIONS)
        given = "" if action != "DO NOTHING" and not target else target
        text = f"INSERT INTO t {source.format(', '.join(values))} ON CONFLICT {given}{action}"
        duck.execute(text)
        if chance.random() < 0.5:
            db.execute(text)
        else:
            with db.transaction() as t:
                t.execute(text)
                seen = rows(t, "SELECT * FROM t ORDER BY a, b")
            assert seen == duck.execute("SELECT * FROM t ORDER BY a, b").fetchall(), text
        assert rows(db, "SELECT * FROM t ORDER BY a, b") == duck.execute("SELECT * FROM t ORDER BY a, b").fetchall(), (
            text
        )


def test_it_says_what_it_did_and_queries_see_the_changes(db: headwater.Database) -> None:
    db.execute(f"{TABLE} CREATE TABLE total AS SELECT sum(n) AS n FROM t; INSERT INTO t VALUES ('x', 1, 5, NULL)")
    update = "ON CONFLICT DO UPDATE SET n = n + excluded.n"
    assert db.sql(f"INSERT INTO t VALUES ('x', 1, 2, 0), ('y', 1, 3, 0) {update}").message == (
        "inserted 1 row, and updated 1"
    )
    assert db.sql("INSERT INTO t VALUES ('x', 1, 2, 0), ('z', 1, 3, 0) ON CONFLICT DO NOTHING").message == (
        "inserted 1 row"
    )
    assert rows(db, "SELECT n FROM total") == [(13,)]
    most = "SET n = (SELECT max(n) FROM t AS other WHERE other.a <> t.a) + excluded.n"
    db.execute(f"INSERT INTO t VALUES ('z', 1, 1, 0) ON CONFLICT DO UPDATE {most}")
    assert rows(db, "SELECT n FROM t WHERE a = 'z' AND b = 1") == [(8,)]


def test_a_large_insert_reads_the_table_once(db: headwater.Database) -> None:
    db.execute("CREATE TABLE d (at DATE PRIMARY KEY, n BIGINT)")
    insert = "INSERT INTO d SELECT DATE '2026-01-01' + CAST(i AS INTEGER), i FROM range({0}, {1}) AS r(i)"
    db.execute(insert.format(0, 100))
    message = db.sql(f"{insert.format(50, 200)} ON CONFLICT DO UPDATE SET n = d.n + excluded.n").message
    assert message == "inserted 100 rows, and updated 50"
    assert rows(db, "SELECT count(*), sum(n) FROM d") == [(200, sum(range(200)) + sum(range(50, 100)))]


def test_it_is_done_once_with_a_key_and_if_its_rows_are_as_they_were(db: headwater.Database) -> None:
    db.execute(f"{TABLE} INSERT INTO t VALUES ('x', 1, 5, NULL), ('y', 1, 5, NULL)")
    version = db.version
    add = "INSERT INTO t VALUES ('x', 1, 1, NULL) ON CONFLICT DO UPDATE SET n = t.n + excluded.n"
    for _ in range(2):
        db.execute(f"{add} WITH (idempotency_key = 'one')")
    assert rows(db, "SELECT n FROM t WHERE a = 'x' AND b = 1") == [(6,)]
    with pytest.raises(TransactionConflict):
        db.execute(f"{add} IF VERSION = {version}")
    db.execute(add.replace("'x'", "'y'") + f" IF VERSION = {version}")


def test_in_a_transaction_it_reads_the_rows_of_its_keys_alone(db: headwater.Database) -> None:
    db.execute(f"{TABLE} INSERT INTO t VALUES ('x', 1, 5, NULL), ('y', 1, 5, NULL)")
    add = "INSERT INTO t VALUES ('x', 1, 1, NULL) ON CONFLICT DO UPDATE SET n = t.n + excluded.n"
    beside, against = db.transaction(), db.transaction()
    beside.execute(add.replace("'x'", "'y'"))
    against.execute(add)
    db.execute(add)
    beside.commit()
    with pytest.raises(TransactionConflict):
        against.commit()
    assert rows(db, "SELECT a, n FROM t ORDER BY a") == [("x", 6), ("y", 6)]


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("INSERT INTO t VALUES ('x', 1, 1, 1) ON CONFLICT (a) DO NOTHING", SqlError, "is its PRIMARY KEY"),
        ("INSERT INTO t VALUES ('x', 1, 1, 1) ON CONFLICT DO UPDATE SET b = 2", SqlError, "which both rows have"),
        ("INSERT INTO t VALUES ('x', 1, 1, 1) ON CONFLICT DO UPDATE SET n = excluded.m", SqlError, "no field"),
        ("INSERT INTO t VALUES ('x', 1, 1, 1) ON CONFLICT DO UPDATE SET n = max(n)", SqlError, "an aggregate"),
        ("INSERT INTO t VALUES ('q', 1, 1, 1), ('q', 1, 2, 2) ON CONFLICT DO UPDATE SET n = 1", SqlError, "once"),
        ("INSERT INTO k VALUES (1, 1) ON CONFLICT DO UPDATE SET must = NULL", NullRefused, "cannot be NULL"),
        ("INSERT INTO e VALUES (1, 1) ON CONFLICT DO UPDATE SET excluded = 2", SqlError, "was to be inserted"),
        ("INSERT INTO s VALUES (1) ON CONFLICT DO NOTHING", SqlError, '"s" is a stream'),
        ("INSERT INTO s SELECT v FROM s ON CONFLICT DO NOTHING", SqlError, '"s" is a stream'),
        ("INSERT INTO bag VALUES (1) ON CONFLICT DO NOTHING", SqlError, "table without a PRIMARY KEY"),
    ],
)
def test_what_cannot_be_is_said_and_changes_nothing(
    db: headwater.Database, sql: str, error: type[HeadwaterError], message: str
) -> None:
    db.execute(f"""{TABLE} CREATE TABLE k (id BIGINT PRIMARY KEY, must BIGINT NOT NULL); CREATE STREAM s (v BIGINT);
        CREATE TABLE e (id BIGINT PRIMARY KEY, excluded BIGINT); CREATE TABLE bag (v BIGINT);
        INSERT INTO t VALUES ('x', 1, 5, NULL); INSERT INTO k VALUES (1, 1)""")
    db.settle()
    before = db.version
    with pytest.raises(error, match=message) as caught:
        db.sql(sql)
    assert "^" in str(caught.value) and db.version == before
