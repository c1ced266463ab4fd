"""Queries that stop: alone, durably, with a cause; and PAUSE, RESUME and TERMINATE."""

from __future__ import annotations

from typing import Any

import pytest

from headwater import Database, HeadwaterError, QueryFailed, SqlError
from headwater.executor.join import TableJoin
from headwater.storage import SimulatedDisk

HUGE = 10**37


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return db.sql(sql).fetchall()


def statuses(db: Database) -> dict[str, str]:
    return {row[0]: row[2] for row in rows(db, "SHOW QUERIES")}


@pytest.fixture
def disk() -> SimulatedDisk:
    return SimulatedDisk()


def opened(disk: SimulatedDisk, *, background: bool = False) -> Database:
    return Database(disk, "db", None, background=background)


DEFINITIONS = """
CREATE STREAM s (g VARCHAR, v VARCHAR);
CREATE TABLE strict AS SELECT g, CAST(v AS INTEGER) AS n FROM s ON ERROR FAIL;
CREATE TABLE sums AS SELECT g, sum(n) AS total FROM strict GROUP BY g;
CREATE TABLE counts AS SELECT g, count(*) AS n FROM s GROUP BY g;
CREATE STREAM copies AS SELECT g, v FROM s;
INSERT INTO s VALUES ('a', '1'), ('b', '2');
"""


@pytest.mark.parametrize("background", [False, True])
def test_a_query_that_fails_stops_alone_and_says_why_and_up_to_where_it_is_right(
    disk: SimulatedDisk, background: bool
) -> None:
    with opened(disk, background=background) as db:
        db.execute(DEFINITIONS)
        db.settle()
        good = db.version
        db.execute("INSERT INTO s VALUES ('a', 'x'), ('c', '3')")
        assert rows(db, "SELECT * FROM counts ORDER BY g") == [("a", 2), ("b", 1), ("c", 1)]
        assert rows(db, "SELECT count(*) FROM copies") == [(4,)]
        with pytest.raises(QueryFailed, match="could not convert string 'x' to INTEGER") as failed:
            db.sql("SELECT * FROM strict")
        assert "the record at offset 2 of partition 0 of s" in failed.value.message
        assert failed.value.hint is not None and "RESUME strict" in failed.value.hint
        with pytest.raises(QueryFailed, match='"sums" stopped at version .*: "strict", which it reads, stopped'):
            db.sql("SELECT * FROM sums")
        assert rows(db, f"SELECT * FROM strict AS OF VERSION {good} ORDER BY g") == [("a", 1), ("b", 2)]
        assert rows(db, f"SELECT * FROM sums AS OF VERSION {good} ORDER BY g") == [("a", 1), ("b", 2)]
        db.execute("INSERT INTO s VALUES ('a', '7')")
        with pytest.raises(QueryFailed, match="stopped"):
            db.sql(f"SELECT * FROM strict AS OF VERSION {good + 1}")
        assert statuses(db) == {"strict": "failed", "sums": "failed", "counts": "running", "copies": "running"}


def test_what_stopped_stays_stopped_after_a_restart_and_the_others_go_on(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute(DEFINITIONS + "INSERT INTO s VALUES ('a', 'x')")
        db.settle()
    for round in range(3):
        with opened(disk) as db:
            assert rows(db, "SELECT n FROM counts WHERE g = 'a'") == [(2 + round,)]
            with pytest.raises(QueryFailed, match="could not convert"):
                db.sql("SELECT * FROM strict")
            db.execute("INSERT INTO s VALUES ('a', '1')")
            db.settle()
            if round == 1:
                db.execute("CHECKPOINT")


def test_a_reader_beside_the_writer_sees_that_a_query_stopped(tmp_path: Any) -> None:
    import headwater

    with headwater.connect(tmp_path / "db", background=False) as db:
        db.execute(DEFINITIONS)
        db.settle()
        with headwater.connect(tmp_path / "db", read_only=True) as reader:
            assert rows(reader, "SELECT count(*) FROM strict") == [(2,)]
            db.execute("INSERT INTO s VALUES ('a', 'x')")
            for _ in range(2):  # before and after the writer has run its step
                with pytest.raises(QueryFailed, match="could not convert"):
                    reader.sql("SELECT * FROM strict")
                assert rows(reader, "SELECT sum(n) FROM counts") == [(3,)]
                db.settle()


def test_a_sum_that_is_too_large_stops_its_query(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute("""
            CREATE STREAM s (v HUGEINT);
            CREATE TABLE sums AS SELECT sum(v) AS total FROM s;
            CREATE TABLE counts AS SELECT count(*) AS n FROM s;
        """)
        db.append("s", {"v": [2**126] * 4})
        assert rows(db, "SELECT * FROM counts") == [(4,)]
        with pytest.raises(QueryFailed, match="too large for 128 bits, in Aggregate"):
            db.sql("SELECT * FROM sums")


def test_an_operator_with_a_fault_stops_what_is_made_of_it_and_nothing_else(
    disk: SimulatedDisk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(disk) as db:
        db.execute("""
            CREATE TABLE a (k INTEGER, v INTEGER); CREATE TABLE b (k INTEGER, w INTEGER);
            CREATE TABLE pairs AS SELECT a.k, v, w FROM a JOIN b ON a.k = b.k;
            CREATE TABLE sums AS SELECT k, sum(v) AS total FROM a GROUP BY k;
            INSERT INTO a VALUES (1, 1);
        """)
        db.settle()

        def step(self: TableJoin, *_: Any) -> None:
            raise RuntimeError("a bug")

        with monkeypatch.context() as patched:
            patched.setattr(TableJoin, "step", step)
            db.execute("INSERT INTO b VALUES (1, 2); INSERT INTO a VALUES (1, 5)")
            assert rows(db, "SELECT * FROM sums") == [(1, 6)]
            with pytest.raises(QueryFailed, match="RuntimeError: a bug, in Join inner"):
                db.sql("SELECT * FROM pairs")
        db.execute("INSERT INTO b VALUES (1, 3)")
        db.execute("RESUME pairs")
        assert rows(db, "SELECT * FROM pairs ORDER BY ALL") == [(1, 1, 2), (1, 1, 3), (1, 5, 2), (1, 5, 3)]


def test_a_query_that_fails_on_what_is_there_already_is_not_made(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute("CREATE STREAM s (v VARCHAR); INSERT INTO s VALUES ('x')")
        version = db.version
        with pytest.raises(QueryFailed, match='"t" fails on the rows there are: could not convert string'):
            db.execute("CREATE TABLE t AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR FAIL")
        assert db.version == version
        db.execute("CREATE TABLE t AS SELECT CAST(v AS INTEGER) AS a FROM s")
        assert rows(db, "SELECT cause FROM t_errors") == [("could not convert string 'x' to INTEGER",)]


def test_a_query_that_stopped_is_made_anew_by_replacing_it_or_dropped(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute(DEFINITIONS + "INSERT INTO s VALUES ('a', 'x')")
        with pytest.raises(QueryFailed):
            db.sql("SELECT * FROM strict")
        with pytest.raises(QueryFailed, match='"strict" stopped'):
            db.execute("CREATE TABLE more AS SELECT * FROM strict")
        with pytest.raises(QueryFailed, match="could not convert"):
            db.execute("RESUME strict")
        db.execute("CREATE OR REPLACE TABLE strict AS SELECT g, CAST(v AS INTEGER) AS n FROM s ON ERROR SKIP")
        assert rows(db, "SELECT * FROM sums ORDER BY g") == [("a", 1), ("b", 2)]
        assert set(statuses(db).values()) == {"running"}
    with opened(disk) as db:
        assert rows(db, "SELECT * FROM sums ORDER BY g") == [("a", 1), ("b", 2)]
        db.execute("DROP TABLE strict CASCADE")
        assert statuses(db) == {"counts": "running", "copies": "running"}


def test_who_watches_a_query_sees_all_it_gave_and_then_that_it_stopped(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute(DEFINITIONS)
        watched = db.subscribe("SELECT g, n FROM strict EMIT CHANGES")
        db.settle()
        db.execute("INSERT INTO s VALUES ('c', '3')")
        db.settle()
        db.execute("INSERT INTO s VALUES ('c', 'x')")
        db.settle()
        seen = []
        with pytest.raises(QueryFailed, match="could not convert"):
            while (batch := watched.poll(0)) is not None:
                seen += [change.row for change in batch]
        assert sorted(seen) == [("a", 1), ("b", 2), ("c", 3)]
        with pytest.raises(QueryFailed, match="could not convert"):
            db.subscribe("SELECT * FROM strict EMIT CHANGES")


# ---------------------------------------------------------------- PAUSE, RESUME, TERMINATE


def test_a_paused_query_stands_still_with_what_reads_it_and_goes_on_from_there(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute(DEFINITIONS)
        assert db.sql("PAUSE strict").message == "paused strict, sums"
        db.execute("INSERT INTO s VALUES ('c', '3')")
        assert rows(db, "SELECT g FROM counts ORDER BY g") == [("a",), ("b",), ("c",)]
        assert rows(db, "SELECT * FROM strict ORDER BY g") == [("a", 1), ("b", 2)]
        assert rows(db, "SELECT * FROM sums ORDER BY g") == [("a", 1), ("b", 2)]
        assert statuses(db) == {"strict": "paused", "sums": "paused", "counts": "running", "copies": "running"}
    with opened(disk) as db:
        assert statuses(db)["strict"] == "paused"
        db.execute("INSERT INTO s VALUES ('d', '4')")
        with pytest.raises(SqlError, match='"sums" reads "strict", which stands still'):
            db.execute("RESUME sums")
        assert db.sql("RESUME strict").message == "resumed strict, sums"
        assert rows(db, "SELECT * FROM sums ORDER BY g") == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
    with opened(disk) as db:
        assert rows(db, "SELECT * FROM sums ORDER BY g") == [("a", 1), ("b", 2), ("c", 3), ("d", 4)]
        db.execute("INSERT INTO s VALUES ('d', '1')")
        assert rows(db, "SELECT total FROM sums WHERE g = 'd'") == [(5,)]


def test_a_resumed_stream_goes_on_where_it_was_without_a_gap_or_a_row_twice(disk: SimulatedDisk) -> None:
    for round in range(3):
        with opened(disk) as db:
            if not round:
                db.execute(DEFINITIONS)
            db.execute(f"INSERT INTO s VALUES ('r', '{round}')")
            db.execute("PAUSE copies")
            db.execute(f"INSERT INTO s VALUES ('p', '{round}')")
            if round == 1:
                db.execute("CHECKPOINT")
            before = rows(db, "SELECT count(*) FROM copies")
            assert before == [(2 + 2 * round + 1,)]
        with opened(disk) as db:
            db.execute("RESUME copies")
    with opened(disk) as db:
        db.execute("INSERT INTO s VALUES ('end', '')")
        copies = rows(db, "SELECT g, v, ROWOFFSET FROM copies ORDER BY ROWOFFSET")
        assert copies == rows(db, "SELECT g, v, ROWOFFSET FROM s ORDER BY ROWOFFSET")
        relation = db.pipeline.catalog.get("copies")
        assert relation is not None and len(copies) == db.log.row_count(relation.id)


def test_all_queries_can_be_paused_and_resumed_and_a_terminated_one_does_not_go_on(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute(DEFINITIONS)
        assert db.sql("TERMINATE counts").message == "terminated counts"
        assert db.sql("PAUSE ALL").message == "paused strict, sums, copies"
        assert db.sql("PAUSE ALL").message == "paused nothing"
        db.execute("INSERT INTO s VALUES ('c', '3')")
        assert db.sql("RESUME ALL").message == "resumed strict, sums, copies"
        assert rows(db, "SELECT * FROM counts ORDER BY g") == [("a", 1), ("b", 1)]
        assert rows(db, "SELECT count(*) FROM sums") == [(3,)]
        with pytest.raises(SqlError, match='"counts" was terminated and does not go on'):
            db.execute("RESUME counts")
        with pytest.raises(SqlError, match="runs already"):
            db.execute("RESUME strict")
        with pytest.raises(SqlError, match="stands still already"):
            db.execute("PAUSE counts")
        with pytest.raises(SqlError, match="not computed by a query"):
            db.execute("PAUSE s")
        with pytest.raises(HeadwaterError, match="there is no stream or table"):
            db.execute("PAUSE nothing")


def test_a_resumed_query_tells_of_its_errors_once(disk: SimulatedDisk) -> None:
    with opened(disk) as db:
        db.execute("CREATE STREAM s (v VARCHAR); CREATE TABLE hot AS SELECT CAST(v AS INTEGER) AS a FROM s")
        db.execute("INSERT INTO s VALUES ('x'); PAUSE hot; INSERT INTO s VALUES ('y'), ('1')")
        assert rows(db, "SELECT row FROM hot_errors") == [('{"v":"x"}',)]
        db.execute("RESUME hot; INSERT INTO s VALUES ('z')")
        assert rows(db, "SELECT offset FROM hot_errors") == [(0,), (1,), (3,)]
    with opened(disk) as db:
        assert rows(db, "SELECT offset FROM hot_errors") == [(0,), (1,), (3,)]
