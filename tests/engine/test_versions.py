"""IF VERSION = n: a change that is refused if what it is about was written after a version."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

import headwater


@pytest.fixture
def db(db: headwater.Database) -> headwater.Database:
    db.execute("""
        CREATE TABLE seats (seat VARCHAR, hall INTEGER, person VARCHAR, PRIMARY KEY (seat, hall));
        CREATE TABLE bag (v INTEGER);
        CREATE STREAM events (v INTEGER);
        INSERT INTO seats VALUES ('A', 1, 'Ada'), ('B', 1, 'Bo');
        INSERT INTO bag VALUES (1);
        INSERT INTO events VALUES (1);
    """)
    return db


# What is written after the version, what is to be written, and whether it is.
CASES = [
    (
        "UPDATE seats SET person = 'x' WHERE seat = 'A'",
        "UPDATE seats SET person = 'y' WHERE seat = 'A' AND hall = 1",
        0,
    ),
    (
        "UPDATE seats SET person = 'x' WHERE seat = 'B'",
        "UPDATE seats SET person = 'y' WHERE seat = 'A' AND hall = 1",
        1,
    ),
    ("UPDATE seats SET person = 'x' WHERE seat = 'B'", "UPDATE seats SET person = 'y' WHERE seat = 'A'", 0),
    ("DELETE FROM seats WHERE seat = 'A'", "UPDATE seats SET person = 'y' WHERE seat = 'A' AND hall = 1", 0),
    ("INSERT INTO seats VALUES ('C', 1, 'x')", "DELETE FROM seats WHERE seat = 'A' AND hall = 1", 1),
    ("INSERT INTO seats VALUES ('C', 1, 'x')", "DELETE FROM seats", 0),
    ("INSERT INTO seats VALUES ('C', 1, 'x')", "INSERT INTO seats VALUES ('D', 1, 'y'), ('C', 1, 'y')", 0),
    ("INSERT INTO seats VALUES ('C', 1, 'x')", "INSERT INTO seats VALUES ('D', 1, 'y'), ('C', 2, 'y')", 1),
    ("INSERT INTO seats VALUES ('C', 1, 'x')", "INSERT INTO seats SELECT 'C', 1, 'y'", 0),
    ("INSERT INTO seats VALUES ('C', 1, 'x')", "INSERT INTO events VALUES (7)", 1),
    ("INSERT INTO events VALUES (2)", "INSERT INTO events VALUES (7)", 0),
    ("DELETE FROM bag", "INSERT INTO bag VALUES (7)", 0),
    ("DELETE FROM bag WHERE v = 9", "UPDATE bag SET v = 7 WHERE v = 1", 1),
]


def held(db: headwater.Database) -> list[object]:
    return [db.sql(f"SELECT * FROM {name} ORDER BY ALL").fetchall() for name in ("seats", "bag", "events")]


@pytest.mark.parametrize("in_transaction", [False, True])
@pytest.mark.parametrize(("meanwhile", "statement", "is_done"), CASES)
def test_it_is_refused_if_that_was_written(
    db: headwater.Database, meanwhile: str, statement: str, is_done: int, in_transaction: bool
) -> None:
    statement = f"{statement} IF VERSION = {db.version}"
    db.execute(meanwhile)
    before = held(db)
    script = f"BEGIN; {statement}; COMMIT" if in_transaction else statement
    if is_done:
        db.execute(script)
        assert held(db) != before
    else:
        with pytest.raises(headwater.TransactionConflict, match="was written since version"):
            db.execute(script)
        db.rollback()
        assert held(db) == before


def test_many_can_change_one_row_and_none_is_lost(db: headwater.Database) -> None:
    db.execute("CREATE TABLE counters (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO counters VALUES (1, 0)")

    def count(_: int) -> None:
        while True:
            version = db.version
            n = db.sql(f"SELECT n FROM counters AS OF VERSION {version} WHERE id = 1").fetchall()[0][0]
            try:
                db.sql(f"UPDATE counters SET n = ? WHERE id = 1 IF VERSION = {version}", [n + 1])
                return
            except headwater.TransactionConflict:
                pass

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(count, range(12)))
    assert db.sql("SELECT n FROM counters").fetchall() == [(12,)]


def test_what_is_sent_again_is_answered_whatever_was_written_since(db: headwater.Database) -> None:
    insert = f"INSERT INTO bag VALUES (7) IF VERSION = {db.version} WITH (idempotency_key = 'a')"
    assert db.sql(insert).rowcount == 1
    message = db.sql(insert).message
    assert message is not None and "was made before" in message


def test_a_version_that_is_not_there_yet_is_an_error(db: headwater.Database) -> None:
    with pytest.raises(headwater.SqlError, match="no version 999 yet: the last is"):
        db.sql("DELETE FROM bag IF VERSION = 999")
    assert db.sql("SELECT * FROM bag").fetchall() == [(1,)]
