"""CHANGES … EMIT CHANGES: a changelog that is watched, first from a point on, then as it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

import headwater
from headwater import Database, HeadwaterError, OutOfRange, SqlError, Subscription, Unsupported
from headwater.storage import SimulatedDisk
from tests.engine.watching import poll_all

DEFINITIONS = """
CREATE STREAM s (k INTEGER KEY, v INTEGER) WITH (partitions = 2);
CREATE TABLE t (id INTEGER PRIMARY KEY, w INTEGER);
CREATE TABLE bag (x INTEGER);
CREATE TABLE totals AS SELECT k, sum(v) AS total FROM s GROUP BY k;
CREATE STREAM big AS SELECT k, v FROM s WHERE v > 5;
CREATE VIEW some AS SELECT k FROM totals;
"""
RELATIONS = ("s", "t", "bag", "totals", "big")


@pytest.fixture
def db() -> Iterator[Database]:
    with headwater.connect(background=False) as opened:
        opened.execute(DEFINITIONS)
        yield opened


def write(db: Database, random: Random) -> None:
    db.append("s", [{"k": random.randrange(3), "v": random.randrange(10)} for _ in range(3)])
    db.append("t", [{"id": random.randrange(3), "w": random.randrange(3)}])
    db.execute(f"INSERT INTO bag VALUES ({random.randrange(3)}); DELETE FROM bag WHERE x = 0")
    if random.random() < 0.5:
        db.settle()


def rows_of(watched: Subscription) -> list[tuple[Any, ...]]:
    """All rows that come, each of which is added."""
    rows = []
    while (batch := watched.poll(0)) is not None:
        assert all(change.op == "+" for change in batch)
        assert all(change.row[1] <= batch.version for change in batch)
        rows += [change.row for change in batch]
    return rows


@pytest.mark.parametrize("relation", RELATIONS)
def test_changes_are_replayed_from_a_point_and_then_go_on_without_a_gap_or_a_repeat(
    db: Database, relation: str
) -> None:
    random = Random(2)
    for _ in range(4):
        write(db, random)
    start = random.randrange(db.version)
    points = (f"CHANGES FROM VERSION {start}", "CHANGES FROM EARLIEST", "CHANGES FROM LATEST")
    watched = {point: db.subscribe(f"SELECT * FROM {relation} {point} EMIT CHANGES") for point in points}
    begun = {point: db.version if "LATEST" in point else None for point in points}
    seen: dict[str, list[tuple[Any, ...]]] = {point: [] for point in points}
    for _ in range(6):
        write(db, random)
        if random.random() < 0.7:
            for point in points:
                seen[point] += rows_of(watched[point])
    for point in points:
        seen[point] += rows_of(watched[point])
        since = point if begun[point] is None else f"CHANGES FROM VERSION {begun[point]}"
        assert seen[point] == db.sql(f"SELECT * FROM {relation} {since}").fetchall()
        assert watched[point].is_append_only


def test_a_table_is_read_as_a_stream_from_its_beginning(db: Database) -> None:
    db.append("s", [{"k": 1, "v": 1}])
    watched = db.subscribe("SELECT _op, k, total FROM CHANGES OF totals EMIT CHANGES")
    assert rows_of_any(watched) == [("INSERT", 1, 1)]
    db.append("s", [{"k": 1, "v": 2}])
    assert rows_of_any(watched) == [("DELETE", 1, 1), ("INSERT", 1, 3)]


def rows_of_any(watched: Subscription) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    while (batch := watched.poll(0)) is not None:
        rows += [change.row for change in batch]
    return rows


@pytest.mark.parametrize(
    "query",
    [
        "SELECT k, _op FROM totals CHANGES FROM EARLIEST WHERE total > 20",
        "SELECT k, count(*) AS n, max(_version) AS last FROM CHANGES OF totals GROUP BY k",
        "SELECT count(*) AS n FROM CHANGES OF t WHERE _op = 'DELETE'",
        "SELECT c._op, c.total, t.w FROM totals CHANGES FROM EARLIEST AS c JOIN t ON c.k = t.id",
        "SELECT a._version, b.k FROM CHANGES OF t a JOIN big CHANGES FROM EARLIEST AS b ON a.id = b.k",
        "SELECT ROWOFFSET, v FROM CHANGES OF big",
        "SELECT _op FROM CHANGES OF s",
        "SELECT n, total FROM (SELECT k, count(*) AS n FROM CHANGES OF totals GROUP BY k) q JOIN totals o USING (k)",
    ],
)
def test_any_continuous_query_may_stand_on_changes(db: Database, query: str) -> None:
    random, resumed = Random(5), False
    watched, rows = db.subscribe(query), poll_all(db.subscribe("SELECT k FROM s WHERE false"))
    for number in range(8):
        write(db, random)
        batch = watched.poll(0)
        if batch is not None:
            for change in batch:
                rows[change.row] += 1 if change.op == "+" else -1
            if number > 3 and not resumed:
                watched, resumed = db.subscribe(query, from_version=batch.version), True
    poll_all(watched, rows)
    assert resumed
    asked = db.sql(query).fetchall()
    assert sorted(map(repr, rows.elements())) == sorted(map(repr, asked))


@pytest.mark.parametrize("relation", ["totals", "big"])
def test_changes_go_on_where_a_paused_query_stood(db: Database, relation: str) -> None:
    db.append("s", [{"k": 1, "v": 8}])
    watched = {"before": db.subscribe(f"SELECT * FROM CHANGES OF {relation}")}
    seen = {"before": rows_of(watched["before"])}
    db.execute(f"PAUSE {relation}")
    db.append("s", [{"k": 1, "v": 9}])
    watched["meanwhile"] = db.subscribe(f"SELECT * FROM CHANGES OF {relation}")
    seen["meanwhile"] = rows_of(watched["meanwhile"])
    assert seen["before"] == seen["meanwhile"] and rows_of(watched["before"]) == []
    db.execute(f"RESUME {relation}")
    db.append("s", [{"k": 2, "v": 7}])
    for when in watched:
        assert seen[when] + rows_of(watched[when]) == db.sql(f"SELECT * FROM CHANGES OF {relation}").fetchall()


def test_a_reader_beside_the_writer_sees_each_change_once(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "x.hw", background=False) as writer:
        writer.execute(DEFINITIONS)
        with headwater.connect(tmp_path / "x.hw", read_only=True) as reader:
            plain = reader.subscribe("SELECT * FROM totals")
            changes = reader.subscribe("SELECT * FROM CHANGES OF totals EMIT CHANGES")
            rows, seen = poll_all(plain), rows_of(changes)
            for number in range(6):
                writer.append("s", [{"k": 1, "v": number}])
                late = reader.subscribe("SELECT * FROM totals")  # before a step of the writer has read that
                late_rows = poll_all(late)
                poll_all(plain, rows)
                seen += rows_of(changes)
                writer.settle()
                assert poll_all(late, late_rows) == poll_all(plain, rows)
            writer.append("s", [{"k": 2, "v": 1}])
            writer.settle()
            writer.settle()
            reader.settle()
            seen += rows_of(changes)
            assert seen == writer.sql("SELECT * FROM CHANGES OF totals").fetchall()


@pytest.mark.parametrize("relation", ["s", "t", "d"])
def test_what_retention_took_cannot_be_replayed(relation: str) -> None:
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1_700_000_000_000_000
    with Database(disk, "db", None, background=False) as db:
        db.execute("""
            CREATE STREAM s (v INTEGER) WITH (retention = '1 hour');
            CREATE TABLE t (v INTEGER PRIMARY KEY) WITH (retention = '1 hour');
            CREATE TABLE d AS SELECT count(*) AS n FROM s;
        """)
        early = db.append("s", [{"v": 1}, {"v": 2}]).version
        for v in range(6):
            disk.clock_us += 3_600_000_000
            db.execute(f"INSERT INTO s VALUES ({v}); INSERT INTO t VALUES (1)")
        db.execute("CHECKPOINT; CHECKPOINT")
        with pytest.raises(OutOfRange, match="these changes begin at a point that is no more") as caught:
            db.subscribe(f"SELECT * FROM {relation} CHANGES FROM VERSION {early - 1}").poll(0)
        assert "the earliest is CHANGES FROM VERSION" in (caught.value.hint or "")
        assert db.subscribe(f"SELECT * FROM CHANGES OF {relation}").poll(0) is not None


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("SELECT * FROM totals CHANGES FROM VERSION 1 TO VERSION 2 EMIT CHANGES", SqlError, "TO ends the changes"),
        ("SELECT * FROM totals CHANGES FROM VERSION 999 EMIT CHANGES", SqlError, "version 999 is not there yet"),
        ("SELECT * FROM some CHANGES FROM EARLIEST EMIT CHANGES", Unsupported, "changes of a view cannot be watched"),
        ("SELECT s.v FROM s JOIN CHANGES OF t c ON s.k = c.id EMIT CHANGES", Unsupported, "changes beside a join"),
        ("WITH q AS (SELECT 1) SELECT * FROM CHANGES OF q EMIT CHANGES", SqlError, "which has no changes"),
        ("EXPLAIN ANALYZE SELECT k FROM CHANGES OF totals EMIT CHANGES", Unsupported, "EXPLAIN ANALYZE of changes"),
    ],
)
def test_what_cannot_be_watched_says_why(db: Database, sql: str, error: type[HeadwaterError], message: str) -> None:
    run = db.sql if sql.startswith(("CREATE", "EXPLAIN")) else db.subscribe
    with pytest.raises(error, match=message) as caught:
        run(sql)
    assert "^" in str(caught.value)
