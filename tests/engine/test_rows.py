"""Rows that no relation has, in continuous queries: elements of lists, and constants."""

from __future__ import annotations

from typing import Any

import pytest

from headwater import Database, SqlError
from headwater.storage import SimulatedDisk


@pytest.fixture
def db() -> Database:
    db = Database(SimulatedDisk(), "db", None, background=False)
    db.execute("""
        CREATE STREAM posts (id INTEGER, tags VARCHAR[], at TIMESTAMP) WITH (timestamp = 'at');
        CREATE TABLE carts (id INTEGER PRIMARY KEY, items STRUCT(name VARCHAR, n INTEGER)[], pair INTEGER[2]);
    """)
    return db


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return db.sql(f"{sql} ORDER BY ALL").fetchall()


def test_the_elements_of_a_streams_lists_are_a_stream_in_their_order(db: Database) -> None:
    db.execute("CREATE STREAM tagged AS SELECT p.id, t.tag, t.n FROM posts p, UNNEST(p.tags) WITH ORDINALITY t(tag, n)")
    db.execute(
        "INSERT INTO posts VALUES (1, ['b', 'a', NULL], '2026-01-01'), (2, [], '2026-01-01'), (3, NULL, '2026-01-02')"
    )
    assert db.sql("SELECT id, tag, n FROM tagged").fetchall() == [(1, "b", 1), (1, "a", 2), (1, None, 3)]


def test_elements_can_be_counted_in_windows(db: Database) -> None:
    db.execute("CREATE TABLE hourly AS SELECT tag, count(*) AS n FROM posts, unnest(tags) t(tag) "
               "WINDOW TUMBLING (SIZE 1 HOUR) GROUP BY tag")  # fmt: skip
    db.execute("INSERT INTO posts VALUES (1, ['a', 'a'], '2026-01-01'), (2, ['a'], '2026-01-01 00:30:00')")
    assert rows(db, "SELECT tag, n FROM hourly") == [("a", 3)]


def test_a_row_that_changes_takes_its_elements_back(db: Database) -> None:
    db.execute("""
        CREATE TABLE wanted AS SELECT i.item.name AS name, sum(i.item.n) AS n
          FROM carts c, UNNEST(c.items) i(item) GROUP BY 1;
        CREATE TABLE pairs AS SELECT id, unnest(pair) AS half FROM carts;
        CREATE TABLE whole AS SELECT c.id, i.item.name AS name
          FROM carts c LEFT JOIN LATERAL UNNEST(c.items) i(item) ON true;
        INSERT INTO carts VALUES (1, [{'name': 'pen', 'n': 2}, {'name': 'ink', 'n': 1}], [1, 2]);
        INSERT INTO carts VALUES (2, [{'name': 'pen', 'n': 5}], [3, 4]);
    """)
    assert rows(db, "SELECT * FROM wanted") == [("ink", 1), ("pen", 7)]
    db.execute("UPDATE carts SET items = [{'name': 'pen', 'n': 3}] WHERE id = 1; DELETE FROM carts WHERE id = 2")
    assert rows(db, "SELECT * FROM wanted") == [("pen", 3)]
    assert rows(db, "SELECT * FROM pairs") == [(1, 1), (1, 2)]
    db.execute("UPDATE carts SET items = [] WHERE id = 1")
    assert rows(db, "SELECT * FROM whole") == [(1, None)]


def test_constants_are_there_from_the_beginning_on_and_after_a_restart() -> None:
    disk = SimulatedDisk()
    db = Database(disk, "db", None, background=False)
    db.execute("""
        CREATE TABLE sizes AS SELECT * FROM (VALUES (1, 'small'), (2, 'large')) v(n, name);
        CREATE STREAM orders (id INTEGER, size INTEGER);
        CREATE STREAM named AS SELECT o.id, s.name FROM orders o JOIN sizes s ON o.size = s.n;
        CREATE TABLE one AS SELECT 1 AS a, 'x' AS b;
    """)
    version = db.log.version
    db.execute("CHECKPOINT; INSERT INTO orders VALUES (7, 2)")
    db.close()
    db = Database(disk, "db", None, background=False)
    db.execute("INSERT INTO orders VALUES (8, 1)")
    assert rows(db, "SELECT id, name FROM named") == [(7, "large"), (8, "small")]
    assert rows(db, "SELECT * FROM sizes") == [(1, "small"), (2, "large")]
    assert rows(db, f"SELECT * FROM sizes AS OF VERSION {version}") == [(1, "small"), (2, "large")]
    assert rows(db, "SELECT * FROM one") == [(1, "x")]
    with pytest.raises(SqlError, match="have no offsets"):
        db.sql("SELECT * FROM one AS OF OFFSET 3")


def test_who_watches_constants_sees_them_once(db: Database) -> None:
    watched = db.subscribe("SELECT * FROM range(2) r(n) EMIT CHANGES")
    batch = watched.poll(0)
    assert batch is not None
    assert [change.row for change in batch] == [(0,), (1,)]
    db.execute("INSERT INTO posts VALUES (1, [], '2026-01-01')")
    assert watched.poll(0) is None
