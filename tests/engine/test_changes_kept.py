"""CHANGES OF a table and TABLE(a stream) in queries that are kept: a table feeds a stream, and a stream is a table."""

from __future__ import annotations

import pytest

import headwater
from headwater.errors import HeadwaterError, SqlError, Unsupported

SOURCES = """
    CREATE TABLE people (id BIGINT PRIMARY KEY, city VARCHAR);
    CREATE STREAM moves (id BIGINT KEY, city VARCHAR);
    CREATE TABLE cities AS SELECT city, count(*) AS n FROM people GROUP BY city;
"""


def rows(db: headwater.Database, sql: str) -> list[tuple[object, ...]]:
    return db.sql(sql).fetchall()


def fill(db: headwater.Database) -> None:
    db.execute("""
        INSERT INTO people VALUES (1, 'Bern'), (2, 'Oslo');
        UPDATE people SET city = 'Oslo' WHERE id = 1;
        DELETE FROM people WHERE id = 2;
    """)


@pytest.mark.parametrize("is_late", [False, True])
def test_a_stream_has_the_changes_of_a_table_as_they_are_stored(db: headwater.Database, is_late: bool) -> None:
    db.execute(SOURCES)
    kept = "CREATE STREAM log AS SELECT * FROM CHANGES OF people"
    steps = [lambda: fill(db), lambda: db.execute(kept)]
    for step in steps if is_late else steps[::-1]:
        step()
    assert rows(db, "SELECT * FROM log") == rows(db, "SELECT * FROM CHANGES OF people")
    assert [row[0] for row in rows(db, "SELECT _op FROM log")] == ["INSERT", "INSERT", "DELETE", "INSERT", "DELETE"]
    assert rows(db, "SELECT count(*) FROM log WHERE ROWTIME = _time") == [(5,)]


def test_each_commit_is_told_apart_however_many_are_read_in_a_step(db: headwater.Database) -> None:
    db.execute(SOURCES)
    fill(db)  # in one step for what is made now
    db.execute("CREATE STREAM log AS SELECT _op, city, n FROM CHANGES OF cities")
    assert rows(db, "SELECT * FROM log") == [
        ("INSERT", "Bern", 1), ("INSERT", "Oslo", 1),
        ("DELETE", "Bern", 1), ("DELETE", "Oslo", 1), ("INSERT", "Oslo", 2),
        ("DELETE", "Oslo", 2), ("INSERT", "Oslo", 1),
    ]  # fmt: skip


def test_the_changes_of_a_table_go_into_a_stream_and_round_in_a_loop(db: headwater.Database) -> None:
    db.execute(f"""{SOURCES}
        CREATE TABLE seen AS SELECT id, count(*) AS times FROM moves GROUP BY id;
        INSERT INTO moves SELECT id, 'again' FROM CHANGES OF seen WHERE _op = 'INSERT' AND times < 3
            WITH (name = 'again', feedback = '1 step');
        INSERT INTO moves VALUES (1, 'Bern'), (2, 'Oslo');
    """)
    assert rows(db, "SELECT * FROM seen ORDER BY id") == [(1, 3), (2, 3)]
    with pytest.raises(SqlError, match="moves → seen → INSERTQUERY_1 → moves"):
        db.sql("INSERT INTO moves SELECT id, 'again' FROM CHANGES OF seen")
    done = db.sql("INSERT INTO moves SELECT id, city FROM people CHANGES FROM EARLIEST TO LATEST")
    assert done.message == "inserted 0 rows"


def test_a_change_is_made_of_what_its_row_was_made_of(db: headwater.Database) -> None:
    db.execute(f"{SOURCES} CREATE STREAM log AS SELECT _op, city, n FROM CHANGES OF cities")
    fill(db)
    found = rows(db, "EXPLAIN ROW log WHERE _op = 'DELETE' AND n = 2")
    assert [(row[1], row[5]) for row in found] == [
        ("people", "id = 2, city = 'Oslo'"), ("people", "id = 1, city = 'Oslo'"), (None, None),
    ]  # fmt: skip
    assert found[-1][-1] == "what removed a row is in the commit that its _version names"
    assert "not true of these changes" in str(rows(db, "EXPLAIN MISSING log WHERE city = 'Bern' AND _op = 'UPDATE'"))


def test_a_table_has_the_latest_record_of_each_key(db: headwater.Database) -> None:
    db.execute(f"""{SOURCES}
        CREATE TABLE homes AS SELECT * FROM TABLE(moves);
        CREATE STREAM visits (id BIGINT);
        CREATE STREAM seen AS SELECT v.id, h.city FROM visits v JOIN TABLE(moves) h ON v.id = h.id;
        INSERT INTO moves VALUES (1, 'Bern'), (2, 'Oslo'), (NULL, 'Rome');
        INSERT INTO visits VALUES (1);
        INSERT INTO moves VALUES (1, 'Oslo'), (1, NULL), (NULL, 'Bari');
        INSERT INTO visits VALUES (1);
    """)
    latest = [(1, None), (2, "Oslo"), (None, "Bari")]
    assert rows(db, "SELECT * FROM homes ORDER BY id NULLS LAST") == latest
    assert rows(db, "SELECT * FROM TABLE(moves) ORDER BY id NULLS LAST") == latest
    assert rows(db, "SELECT city FROM TABLE(moves) m WHERE id = 1 AS OF OFFSET (moves => 4)") == [("Oslo",)]
    assert rows(db, "SELECT * FROM seen") == [(1, "Bern"), (1, None)]


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("CREATE TABLE x AS SELECT * FROM TABLE(visits)", SqlError, '"visits" has no KEY'),
        ("SELECT * FROM TABLE(visits)", SqlError, '"visits" has no KEY'),
        ("CREATE TABLE x AS SELECT * FROM TABLE(people)", SqlError, '"people" is a table already'),
        ("CREATE TABLE x AS SELECT id FROM TABLE(moves) CHANGES FROM EARLIEST", SqlError, "has no changes of its own"),
        ("SELECT id FROM TABLE(moves) CHANGES FROM EARLIEST", SqlError, "has no changes of its own"),
        ("CREATE STREAM x AS SELECT id FROM CHANGES OF moves", SqlError, "whose records are its changes"),
        ("CREATE STREAM x AS SELECT id FROM people CHANGES FROM VERSION 3", Unsupported, "from the first one on"),
        ("CREATE STREAM x AS SELECT id FROM CHANGES OF recent", Unsupported, "passing of time alone"),
        (
            "CREATE TABLE x WITH (idle_timeout = '1 second') AS SELECT count(*) AS n FROM CHANGES OF people "
            "WINDOW TUMBLING (SIZE 1 SECOND) EMIT FINAL",
            Unsupported, "an idle_timeout is about the partitions of streams",
        ),
    ],
)  # fmt: skip
def test_what_has_no_such_reading_says_why(
    db: headwater.Database, sql: str, error: type[HeadwaterError], message: str
) -> None:
    db.execute(f"{SOURCES} CREATE STREAM visits (id BIGINT)")
    db.execute("CREATE VIEW recent AS SELECT id FROM people WHERE TIMESTAMP '2026-01-01' < now()")
    with pytest.raises(error, match=message) as caught:
        db.sql(sql)
    assert "^" in str(caught.value)
