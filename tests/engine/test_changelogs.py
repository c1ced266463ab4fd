"""CHANGES FROM … TO …: what happened between two points of the log. Changes add up to the difference of the two."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from random import Random
from typing import Any

import pytest

from headwater import Database, OutOfRange, SqlError, Unsupported
from headwater.storage import SimulatedDisk
from tests.engine.change_law import check_changes, check_versions, content, summed
from tests.executor.differential import Case

HOUR_US = 3_600_000_000
DEFINITIONS = """
CREATE STREAM bids (auction INTEGER KEY, price INTEGER) WITH (partitions = 2);
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR);
CREATE TABLE bag (x INTEGER);
CREATE TABLE totals AS SELECT auction, count(*) AS n, sum(price) AS total FROM bids GROUP BY auction;
CREATE STREAM high AS SELECT auction, price FROM bids WHERE price >= 10;
CREATE STREAM called AS SELECT b.price, p.name FROM bids b JOIN people p ON b.auction = p.id;
CREATE TABLE named AS SELECT name, sum(price) AS spent FROM bids JOIN people ON auction = id GROUP BY name;
CREATE VIEW dear AS SELECT auction, max(price) AS top FROM bids GROUP BY auction;
CREATE VIEW names (n, called) AS SELECT count(*), name FROM people GROUP BY name;
CREATE VIEW minutes AS SELECT auction, count(*) AS n FROM bids WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY auction;
CREATE VIEW low AS SELECT auction, price FROM bids WHERE price < 10;
"""
RELATIONS = ("bids", "people", "bag", "totals", "high", "called", "named", "dear", "names", "minutes", "low")
OF_BIDS = ("bids", "totals", "high", "called", "named", "dear", "minutes", "low")


@pytest.fixture
def disk() -> SimulatedDisk:
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1_767_225_600_000_000  # 2026-01-01
    return disk


@pytest.fixture
def db(disk: SimulatedDisk) -> Iterator[Database]:
    opened = Database(disk, "db", None, background=False)
    opened.execute(DEFINITIONS)
    yield opened
    opened.close()


def bid(db: Database, *some: tuple[int, int]) -> int:
    return db.append("bids", [{"auction": a, "price": p} for a, p in some]).version


def ask(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return db.sql(sql).fetchall()


def live(db: Database, random: Random, commits: int) -> None:
    """Some commits to all relations, with steps now and then; a commit of bids has several records."""
    for number in range(commits):
        bid(db, *((random.randrange(4), random.randrange(20)) for _ in range(random.choice([1, 2, 5]))))
        if random.random() < 0.5:
            db.append("people", [{"id": random.randrange(4), "name": random.choice("abc")}])
        if random.random() < 0.5:
            db.execute(f"INSERT INTO bag VALUES ({number % 3}), ({number % 2})")
        if random.random() < 0.3:
            db.execute("UPDATE bag SET x = x + 1 WHERE x < 2; DELETE FROM people WHERE id = 0")
        if random.random() < 0.4:
            db.settle()
        if random.random() < 0.1:
            db.execute("CHECKPOINT")
    db.settle()


def test_each_commit_to_a_relation_is_an_entry_with_its_version_and_time(db: Database) -> None:
    first = bid(db, (1, 10))
    db.execute("INSERT INTO people VALUES (1, 'ann'); INSERT INTO people VALUES (1, 'bob'); INSERT INTO bag VALUES (7)")
    at = datetime(2026, 1, 1)
    assert ask(db, "SELECT * FROM bids CHANGES FROM EARLIEST") == [("INSERT", first, at, 1, 10)]
    assert ask(db, "SELECT * FROM CHANGES OF people") == [
        ("INSERT", first + 1, at, 1, "ann"),
        ("DELETE", first + 2, at, 1, "ann"),
        ("INSERT", first + 2, at, 1, "bob"),
    ]
    assert ask(db, f"SELECT _op, x FROM bag CHANGES FROM VERSION {first}") == [("INSERT", 7)]


def test_an_update_is_a_removal_and_an_addition_of_one_version(db: Database) -> None:
    db.execute("INSERT INTO bag VALUES (1), (1), (2)")
    before = db.version
    db.execute("UPDATE bag SET x = 5 WHERE x = 1")
    assert ask(db, f"SELECT _op, _version > {before}, x FROM bag CHANGES FROM VERSION {before}") == [
        ("DELETE", True, 1), ("DELETE", True, 1), ("INSERT", True, 5), ("INSERT", True, 5),
    ]  # fmt: skip
    assert len(ask(db, f"SELECT DISTINCT _version FROM bag CHANGES FROM VERSION {before}")) == 1


def test_a_derived_table_has_an_entry_per_step_with_the_version_that_the_step_had_read(db: Database) -> None:
    first = bid(db, (1, 10))
    db.settle()
    bid(db, (1, 5))
    last = bid(db, (2, 20))
    assert ask(db, "SELECT _op, _version, auction, total FROM totals CHANGES FROM EARLIEST") == [
        ("INSERT", first, 1, 10), ("DELETE", last, 1, 10), ("INSERT", last, 1, 15), ("INSERT", last, 2, 20),
    ]  # fmt: skip


def test_a_point_inside_a_step_divides_its_entry(db: Database) -> None:
    middle = bid(db, (1, 10))
    last = bid(db, (1, 5))
    db.settle()
    changes = "SELECT _op, _version, total FROM totals CHANGES FROM"
    assert ask(db, f"{changes} EARLIEST TO VERSION {middle}") == [("INSERT", middle, 10)]
    assert ask(db, f"{changes} VERSION {middle}") == [("DELETE", last, 10), ("INSERT", last, 15)]


def test_offsets_count_records_also_inside_a_commit(db: Database) -> None:
    bid(db, (1, 1), (1, 10), (1, 100))
    assert ask(db, "SELECT _op, price FROM bids CHANGES FROM OFFSET 1 TO OFFSET 2") == [("INSERT", 10)]
    assert ask(db, "SELECT _op, total FROM totals CHANGES FROM OFFSET 1 TO OFFSET 2") == [
        ("DELETE", 1), ("INSERT", 11),
    ]  # fmt: skip


def test_records_of_a_stream_keep_their_places(db: Database) -> None:
    bid(db, (1, 1), (2, 20), (3, 30))
    places = ask(db, "SELECT ROWPARTITION, ROWOFFSET, price FROM bids")
    assert ask(db, "SELECT ROWPARTITION, ROWOFFSET, price FROM CHANGES OF bids") == places
    assert len(ask(db, "SELECT _op, ROWOFFSET, ROWTIME, price FROM high CHANGES FROM EARLIEST")) == 2
    assert [len(row) for row in ask(db, "SELECT *, ROWOFFSET FROM bids CHANGES FROM EARLIEST")] == [6, 6, 6]


def test_changes_are_a_relation_like_any_other(db: Database) -> None:
    db.execute("INSERT INTO people VALUES (1, 'ann'), (2, 'bob')")
    start = bid(db, (1, 10))
    db.settle()
    bid(db, (1, 5), (2, 7))
    changed = f"totals CHANGES FROM VERSION {start}"
    joined = f"SELECT p.name, c._op, c.total FROM {changed} AS c JOIN people p ON p.id = c.auction ORDER BY ALL"
    assert ask(db, joined) == [("ann", "DELETE", 10), ("ann", "INSERT", 15), ("bob", "INSERT", 7)]
    counted = f"WITH c AS (SELECT * FROM {changed}) SELECT _op, count(*) FROM c GROUP BY _op ORDER BY _op"
    assert ask(db, counted) == [("DELETE", 1), ("INSERT", 2)]
    assert ask(db, f"SELECT name FROM people WHERE id IN (SELECT auction FROM {changed} WHERE _op = 'DELETE')") == [
        ("ann",)
    ]
    assert ask(db, f"SELECT count(*) FROM {changed} a JOIN {changed} b USING (_version)") == [(9,)]


def test_without_an_end_changes_go_to_the_point_of_the_query_or_now(db: Database) -> None:
    middle = bid(db, (1, 10))
    bid(db, (1, 5))
    assert ask(db, f"SELECT max(_version) FROM bids CHANGES FROM EARLIEST b AS OF VERSION {middle}") == [(middle,)]
    assert ask(db, "SELECT count(*) FROM bids CHANGES FROM EARLIEST TO LATEST") == [(2,)]
    assert ask(db, "SELECT count(*) FROM bids CHANGES FROM LATEST") == [(0,)]


@pytest.mark.parametrize("seed", range(2))
def test_changes_between_any_two_points_add_up_to_the_difference(db: Database, seed: int) -> None:
    """Also before a query was made, inside commits and inside steps."""
    random = Random(seed)
    live(db, random, 6)
    db.execute(
        "CREATE TABLE late AS SELECT auction % 2 AS odd, sum(price) AS total, count(*) AS n FROM bids GROUP BY 1"
    )
    live(db, random, 6)
    records, found = ask(db, "SELECT count(*) FROM bids")[0][0], 0
    for relation in (*RELATIONS, "late"):
        for _ in range(3):
            a, b = sorted(random.choices(range(db.version), k=2))
            found += check_changes(db, relation, f"VERSION {a}", f"VERSION {b}")
    for relation in (*OF_BIDS, "late"):
        for _ in range(3):
            a, b = sorted(random.choices(range(records + 1), k=2))
            found += check_changes(db, relation, f"OFFSET (bids => {a})", f"OFFSET (bids => {b})")
        version = random.randrange(db.version)
        read = len(ask(db, f"SELECT price FROM bids AS OF VERSION {version}"))
        if read < records:
            found += check_changes(db, relation, f"VERSION {version}", f"OFFSET (bids => {records})")
        found += check_changes(db, relation, f"OFFSET (bids => {read})", "VERSION " + str(db.version - 1))
    assert found
    for relation in (*RELATIONS, "late"):
        check_versions(db, relation)


@pytest.mark.parametrize("seed", [7100])
def test_the_law_holds_for_any_query(seed: int) -> None:
    case, random = Case(seed), Random(seed)
    for _ in range(4):
        case.step()
    for name in (*case.made, *case.sources):
        for _ in range(3):
            a, b = sorted(random.choices(range(case.db.version), k=2))
            check_changes(case.db, name, f"VERSION {a}", f"VERSION {b}")
        check_versions(case.db, name)
    case.db.close()


def test_what_a_query_did_while_it_stood_still_is_one_change_when_it_goes_on(db: Database) -> None:
    bid(db, (1, 1))
    db.execute("PAUSE totals")
    paused = bid(db, (1, 10))
    bid(db, (1, 100))
    assert ask(db, "SELECT count(*) FROM totals CHANGES FROM EARLIEST") == [(1,)]
    db.execute("RESUME totals")
    bid(db, (2, 5))
    db.settle()
    check_versions(db, "totals")
    for a in range(paused - 2, db.version - 1):
        check_changes(db, "totals", f"VERSION {a}", f"VERSION {db.version - 1}")


def test_a_point_of_a_derived_stream_may_count_its_own_records_and_the_other_those_of_its_source(db: Database) -> None:
    last = bid(db, (1, 11), (2, 12), (3, 3))
    bid(db, (1, 14))
    assert ask(db, f"SELECT price FROM high CHANGES FROM OFFSET 1 TO VERSION {last}") == [(12,)]
    assert ask(db, "SELECT price FROM high CHANGES FROM OFFSET (bids => 2) TO OFFSET 3") == [(14,)]
    assert ask(db, f"SELECT price FROM high CHANGES FROM VERSION {last} TO OFFSET 2") == []
    with pytest.raises(OutOfRange, match="these changes end before they begin"):
        db.sql(f"SELECT price FROM high CHANGES FROM VERSION {last} TO OFFSET 1")


def test_a_record_that_changes_nothing_is_no_change(db: Database) -> None:
    db.execute("INSERT INTO people VALUES (1, 'a'), (1, 'b'); INSERT INTO people VALUES (1, 'b')")
    db.execute("DELETE FROM people WHERE id = 1; INSERT INTO people VALUES (1, 'b')")
    assert ask(db, "SELECT _op, name FROM CHANGES OF people") == [("INSERT", "b"), ("DELETE", "b"), ("INSERT", "b")]


def test_changes_of_a_table_begin_with_what_is_there_without_any_input(db: Database) -> None:
    db.execute("CREATE TABLE sums AS SELECT sum(price) AS total FROM bids")
    bid(db, (1, 1))
    assert [row[3:] for row in ask(db, "SELECT * FROM CHANGES OF sums")] == [(None,), (None,), (1,)]
    assert [row[0] for row in ask(db, "SELECT * FROM CHANGES OF sums")] == ["INSERT", "DELETE", "INSERT"]


def test_what_retention_folded_comes_first_and_what_was_before_is_no_more(disk: SimulatedDisk, db: Database) -> None:
    db.execute("""
        CREATE TABLE t (k INTEGER PRIMARY KEY, v INTEGER) WITH (retention = '1 hour');
        CREATE TABLE u (k INTEGER PRIMARY KEY, v INTEGER);
        CREATE TABLE d WITH (retention = '1 hour') AS SELECT v, count(*) AS n FROM u GROUP BY v;
        CREATE STREAM s (v INTEGER) WITH (retention = '1 hour');
    """)
    for v in range(8):
        for table in ("t", "u"):
            db.append(table, [{"k": v % 2, "v": v}])
        db.append("s", [{"v": v}])
        db.settle()
        assert disk.clock_us is not None
        disk.clock_us += HOUR_US
    db.execute("CHECKPOINT; CHECKPOINT")
    for relation in ("t", "d"):
        changes = ask(db, f"SELECT * FROM CHANGES OF {relation}")
        assert summed(changes) == content(db, relation, f"VERSION {db.version}")
        check_versions(db, relation)
    assert [row[3] for row in ask(db, "SELECT * FROM CHANGES OF s")] == [row[0] for row in ask(db, "SELECT v FROM s")]
    for relation in ("t", "s"):
        with pytest.raises(OutOfRange, match="retention has taken what it was made of") as caught:
            db.sql(f"SELECT * FROM {relation} CHANGES FROM VERSION 12")
        earliest = (caught.value.hint or "").removeprefix("the earliest is AS OF ")
        assert earliest.startswith("VERSION ")
        check_changes(db, relation, earliest, f"VERSION {db.version}")


def test_the_changelog_of_a_table_outlives_the_records_it_was_made_of(disk: SimulatedDisk, db: Database) -> None:
    """Also where retention has passed the last step that wrote something."""
    db.execute("""
        CREATE STREAM s (v INTEGER) WITH (retention = '1 hour');
        CREATE STREAM unread (v INTEGER);
        CREATE TABLE d AS SELECT v % 3 AS k, count(*) AS n FROM s GROUP BY 1;
    """)
    for v in range(6):
        db.append("s", [{"v": v}])
        db.settle()
    for v in range(3):
        assert disk.clock_us is not None
        disk.clock_us += HOUR_US
        db.append("unread", [{"v": v}])
    db.execute("CHECKPOINT; CHECKPOINT")
    assert ask(db, "SELECT count(*) FROM s") == [(0,)]
    assert summed(ask(db, "SELECT * FROM CHANGES OF d")) == {(0, 2): 1, (1, 2): 1, (2, 2): 1}


def test_changes_outlive_a_restart(disk: SimulatedDisk, db: Database) -> None:
    live(db, Random(4), 6)
    asked = [f"SELECT * FROM CHANGES OF {relation}" for relation in RELATIONS]
    before = [ask(db, sql) for sql in asked]
    db.close()
    again = Database(disk, "db", None, background=False)
    assert [ask(again, sql) for sql in asked] == before
    again.close()


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("SELECT * FROM totals CHANGES FROM VERSION 9999", OutOfRange, "version 9999 is not there yet"),
        ("SELECT * FROM bids CHANGES FROM OFFSET 2 TO OFFSET 1", OutOfRange, "these changes end before they begin"),
        ("SELECT * FROM bids CHANGES FROM LATEST TO VERSION 3", OutOfRange, "these changes end before they begin"),
        ("SELECT * FROM totals CHANGES FROM EARLIEST TO EARLIEST", OutOfRange, "these changes end before they begin"),
        ("SELECT * FROM bids CHANGES FROM OFFSET 9", OutOfRange, "offset 9 is beyond the end"),
        ("SELECT * FROM CHANGES OF nothing", SqlError, 'there is no stream or table "nothing"'),
        ("SELECT * FROM CHANGES OF bag CHANGES FROM VERSION 1", SqlError, "CHANGES is said twice here"),
        ("SELECT * FROM CHANGES OF taken", SqlError, '"taken" has a column "_op" of its own'),
        ("SELECT * FROM CHANGES OF some", Unsupported, '"some" has no changes, as no continuous query could keep it'),
        ("SELECT * FROM CHANGES OF met", Unsupported, '"met" has no changes: with now'),
        ("SELECT * FROM CHANGES OF recent", Unsupported, '"recent" has no changes: with now'),
        ("WITH q AS (SELECT 1) SELECT * FROM CHANGES OF q", SqlError, '"q" is a query, which has no changes'),
    ],
)
def test_what_cannot_be_told_says_why(db: Database, sql: str, error: type[SqlError], message: str) -> None:
    db.execute("""
        CREATE TABLE taken (_op INTEGER);
        CREATE VIEW some AS SELECT * FROM bag LIMIT 2;
        CREATE VIEW met AS SELECT b.price, p.name FROM bids b JOIN people p ON b.auction = p.id;
        CREATE VIEW recent AS SELECT price FROM bids WHERE ROWTIME > now() - INTERVAL 1 HOUR;
    """)
    bid(db, (1, 1), (1, 2))
    with pytest.raises(error, match=message) as caught:
        db.sql(sql)
    assert "^" in str(caught.value)


def test_explain_says_which_changes_a_query_reads(db: Database) -> None:
    lines = [line for (line,) in ask(db, "EXPLAIN SELECT _op FROM totals CHANGES FROM VERSION 2 TO LATEST")]
    assert '"totals$0" ← totals CHANGES FROM VERSION 2 TO LATEST' in lines
    watched = ask(db, "EXPLAIN SELECT _op FROM CHANGES OF totals EMIT CHANGES")
    assert watched[-1][0].endswith("ChangeSource totals #4 [_op] CHANGES FROM EARLIEST")
