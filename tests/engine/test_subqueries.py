"""Subqueries anywhere in an expression of a continuous query, and how rows come and go by them."""

from __future__ import annotations

from typing import Any

import pytest

from headwater import Database
from headwater.storage import SimulatedDisk


@pytest.fixture
def db() -> Database:
    db = Database(SimulatedDisk(), "db", None, background=False)
    db.execute("""
        CREATE STREAM orders (id INTEGER, item INTEGER, price INTEGER);
        CREATE TABLE items (id INTEGER PRIMARY KEY, name VARCHAR, price INTEGER);
        CREATE TABLE banned (item INTEGER, since INTEGER);
        INSERT INTO items VALUES (1, 'pen', 2), (2, 'ink', 5), (3, NULL, NULL);
    """)
    return db


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return db.sql(f"{sql} ORDER BY ALL").fetchall()


def test_a_condition_under_or_holds_and_ceases_to_hold(db: Database) -> None:
    db.execute("CREATE TABLE odd AS SELECT id FROM items i WHERE price > 4 OR EXISTS "
               "(SELECT 1 FROM banned b WHERE b.item = i.id AND b.since > i.price)")  # fmt: skip
    assert rows(db, "SELECT id FROM odd") == [(2,)]
    db.execute("INSERT INTO banned VALUES (1, 3), (1, 4), (2, 9)")
    assert rows(db, "SELECT id FROM odd") == [(1,), (2,)]
    db.execute("DELETE FROM banned WHERE since = 3")
    assert rows(db, "SELECT id FROM odd") == [(1,), (2,)]
    db.execute("UPDATE items SET price = 4 WHERE id = 1")
    assert rows(db, "SELECT id FROM odd") == [(2,)]


def test_in_is_null_where_that_is_unknown(db: Database) -> None:
    db.execute("CREATE TABLE known AS SELECT id, price IN (SELECT since FROM banned) AS there FROM items")
    assert rows(db, "SELECT * FROM known") == [(1, False), (2, False), (3, False)]
    db.execute("INSERT INTO banned VALUES (1, 5)")
    assert rows(db, "SELECT * FROM known") == [(1, False), (2, True), (3, None)]
    db.execute("INSERT INTO banned VALUES (1, NULL)")
    assert rows(db, "SELECT * FROM known") == [(1, None), (2, True), (3, None)]


def test_rows_of_a_stream_are_marked_by_what_is_there_then(db: Database) -> None:
    db.execute("""
        CREATE STREAM checked AS SELECT id,
          CASE WHEN item IN (SELECT item FROM banned) THEN 'no' ELSE 'yes' END AS ok,
          price >= ALL (SELECT price FROM items WHERE price IS NOT NULL) AS dearest FROM orders
    """)
    db.execute("INSERT INTO orders VALUES (1, 1, 4)")
    db.execute("INSERT INTO banned VALUES (1, 0)")
    db.execute("INSERT INTO orders VALUES (2, 1, 9), (3, NULL, 5)")
    assert rows(db, "SELECT * FROM checked") == [(1, "yes", False), (2, "no", True), (3, "yes", True)]


def test_a_lateral_subquery_is_asked_for_each_row(db: Database) -> None:
    db.execute("""
        CREATE TABLE latest AS SELECT i.name, q.since FROM items i
          LEFT JOIN LATERAL (SELECT since FROM banned b WHERE b.item = i.id ORDER BY since DESC LIMIT 2) q ON true;
        CREATE TABLE counts AS SELECT i.id, q.n FROM items i,
          LATERAL (SELECT count(*) AS n FROM banned b WHERE b.since > i.price) q;
        INSERT INTO banned VALUES (1, 3), (1, 4), (1, 5), (2, 6);
    """)
    assert rows(db, "SELECT * FROM latest") == [("ink", 6), ("pen", 4), ("pen", 5), (None, None)]
    assert rows(db, "SELECT * FROM counts") == [(1, 4), (2, 1), (3, 0)]
    db.execute("DELETE FROM banned WHERE since = 5; UPDATE items SET price = 4 WHERE id = 2")
    assert rows(db, "SELECT * FROM latest") == [("ink", 6), ("pen", 3), ("pen", 4), (None, None)]
    assert rows(db, "SELECT * FROM counts") == [(1, 3), (2, 1), (3, 0)]


def test_the_row_of_a_key_stands_for_a_value(db: Database) -> None:
    db.execute("""
        CREATE STREAM named AS SELECT o.id, (SELECT name FROM items i WHERE i.id = o.item) AS name FROM orders o;
        CREATE TABLE worst AS
          SELECT id, (SELECT since FROM banned b WHERE b.item = i.id ORDER BY since DESC LIMIT 1) AS w FROM items i;
        CREATE TABLE dear AS SELECT (SELECT name FROM items i WHERE i.id = b.since + 1::BIGINT) AS name FROM banned b;
        INSERT INTO orders VALUES (1, 1, 4), (2, 9, 4);
        UPDATE items SET name = 'quill' WHERE id = 1;
        INSERT INTO orders VALUES (3, 1, 4);
        INSERT INTO banned VALUES (1, 3), (1, 7);
    """)
    assert rows(db, "SELECT * FROM named") == [(1, "pen"), (2, None), (3, "quill")]
    assert rows(db, "SELECT * FROM dear") == [(None,), (None,)]
    db.execute("INSERT INTO banned VALUES (2, 0)")
    assert rows(db, "SELECT * FROM dear") == [("quill",), (None,), (None,)]
    assert rows(db, "SELECT * FROM worst WHERE id <> 2") == [(1, 7), (3, None)]
    db.execute("DELETE FROM banned WHERE item = 2")
    assert rows(db, "SELECT * FROM worst") == [(1, 7), (2, None), (3, None)]


def test_the_rows_of_a_subquery_are_an_array(db: Database) -> None:
    array = "ARRAY(SELECT since FROM banned WHERE item = id ORDER BY since DESC)"
    db.execute(f"CREATE TABLE lists AS SELECT id, {array} AS a FROM items")
    db.execute("INSERT INTO banned VALUES (1, 3), (1, 7)")
    assert rows(db, "SELECT * FROM lists") == [(1, [7, 3]), (2, []), (3, [])]
