"""Queries with a clock of their own: decoupled by the log from all others, and with the same results."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import headwater
from headwater.engine.database import Database
from headwater.errors import QueryFailed, SqlError
from headwater.storage import SimulatedDisk
from tests.executor.oracle import canonical

HOUR_US = 3_600_000_000
CHAIN = """
CREATE STREAM s (k INTEGER KEY, v INTEGER);
CREATE STREAM big AS SELECT * FROM s WHERE v > 1;
CREATE TABLE n WITH (clock = 'own') AS SELECT k, count(*) AS n, sum(v) AS t FROM big GROUP BY k;
CREATE STREAM tens WITH (clock = 'own') AS SELECT k, v * 10 AS w FROM big;
CREATE TABLE m AS SELECT k, max(w) AS w FROM tens GROUP BY k;
CREATE TABLE j AS SELECT n.k, n.n, n.t, m.w FROM n JOIN m ON n.k = m.k;
CREATE TABLE total WITH (clock = 'own') AS SELECT sum(t) AS t FROM j;
"""


def rows(db: Database, sql: str) -> list[tuple[object, ...]]:
    return sorted(db.sql(sql).fetchall(), key=repr)


@pytest.fixture
def chain(db: Database) -> Database:
    db.execute(CHAIN)
    db.execute("INSERT INTO s VALUES (1, 1), (1, 2), (2, 3), (1, 5)")
    db.settle()
    return db


def test_queries_of_several_clocks_read_each_other(chain: Database) -> None:
    assert rows(chain, "SELECT * FROM n") == [(1, 2, 7), (2, 1, 3)]
    assert rows(chain, "SELECT * FROM tens") == [(1, 20), (1, 50), (2, 30)]
    assert rows(chain, "SELECT * FROM j") == [(1, 2, 7, 50), (2, 1, 3, 30)]
    assert rows(chain, "SELECT * FROM total") == [(10,)]
    chain.execute("INSERT INTO s VALUES (1, 7)")
    chain.settle()
    assert rows(chain, "SELECT * FROM j") == [(1, 3, 14, 70), (2, 1, 3, 30)]
    assert rows(chain, "SELECT * FROM total") == [(17,)]


def test_a_query_that_is_made_later_reads_from_the_first_record_on(chain: Database) -> None:
    chain.execute("CREATE TABLE later WITH (clock = 'own') AS SELECT count(*) AS n FROM s")
    chain.settle()
    assert rows(chain, "SELECT * FROM later") == [(4,)]


def test_what_is_given_for_no_rows_is_given(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER); CREATE TABLE n WITH (clock = 'own') AS SELECT count(*) AS n FROM s")
    db.settle()
    assert rows(db, "SELECT * FROM n") == [(0,)]


@pytest.mark.parametrize("with_image", [False, True])
def test_it_goes_on_after_a_restart_and_writes_nothing_twice(with_image: bool) -> None:
    disk = SimulatedDisk(seed=0)
    with Database(disk, "db", None, background=False) as db:
        db.execute(CHAIN)
        for round in range(6):
            db.execute(f"INSERT INTO s VALUES ({round % 2}, {round}), (7, 8)")
            db.settle()
            if with_image and round == 3:
                db.sql("CHECKPOINT")
        before = {name: rows(db, f"SELECT * FROM {name}") for name in ("n", "tens", "m", "j", "total")}
        version = db.version
    with Database(disk, "db", None, background=False) as db:
        db.settle()
        assert {name: rows(db, f"SELECT * FROM {name}") for name in before} == before
        assert db.version == version, "all had been given"
        db.execute("INSERT INTO s VALUES (7, 9)")
        db.settle()
        assert rows(db, "SELECT * FROM n WHERE k = 7") == [(7, 7, 57)]


def test_a_crash_between_two_steps_loses_and_doubles_nothing() -> None:
    disk = SimulatedDisk(seed=0)
    with Database(disk, "db", None, background=False) as db:
        db.execute(CHAIN)
        db.execute("INSERT INTO s VALUES (1, 2), (2, 3)")
        db.pipeline.step()  # the database's own clock alone
    with Database(disk, "db", None, background=False) as db:
        db.settle()
        assert rows(db, "SELECT * FROM total") == [(5,)]
        assert rows(db, "SELECT count(*) FROM tens") == [(2,)]


def test_a_slow_query_holds_up_nobody_else() -> None:
    go_on = threading.Event()

    def slow(v: pa.Array) -> pa.Array:
        go_on.wait(60)
        return v

    with headwater.connect() as db:
        db.create_function("slow", slow, parameters=["INTEGER"], returns="INTEGER", vectorized=True)
        db.execute("""
            CREATE STREAM s (v INTEGER);
            CREATE STREAM behind WITH (clock = 'own') AS SELECT slow(v) AS v FROM s;
            CREATE TABLE n AS SELECT count(*) AS n FROM s;
            INSERT INTO s VALUES (1), (2);
        """)
        assert rows(db, "SELECT * FROM n") == [(2,)]
        assert rows(db, "SELECT * FROM behind") == []
        go_on.set()
        db.settle()
        assert rows(db, "SELECT * FROM behind") == [(1,), (2,)]


def test_one_that_fails_stops_alone(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (v INTEGER);
        CREATE STREAM inverse WITH (clock = 'own') AS SELECT CAST(v AS TINYINT) AS v FROM s ON ERROR FAIL;
        CREATE TABLE n AS SELECT count(*) AS n FROM inverse;
        INSERT INTO s VALUES (4);
    """)
    db.settle()
    db.execute("INSERT INTO s VALUES (1000), (2)")
    db.settle()
    assert [row[:3] for row in rows(db, "SHOW QUERIES")] == [("inverse", "STREAM", "failed"), ("n", "TABLE", "running")]
    assert rows(db, "SELECT * FROM n") == [(1,)], "a query that reads it has what it gave"


def test_to_ask_for_the_rows_of_one_that_failed_is_an_error(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (v INTEGER);
        CREATE TABLE sums WITH (clock = 'own') AS SELECT sum(CAST(v AS TINYINT)) AS v FROM s ON ERROR FAIL;
        CREATE VIEW seen AS SELECT v + 0 AS v FROM sums;
        INSERT INTO s VALUES (4);
    """)
    db.settle()
    with db.subscribe("SELECT v FROM sums") as changes:
        assert [change.row for change in changes.poll(0)] == [(4,)]
        db.execute("INSERT INTO s VALUES (1), (1000)")
        db.settle()
        with pytest.raises(QueryFailed, match='"sums" stopped at version'):
            changes.poll(0)
    for sql in ("SELECT * FROM sums", "SELECT * FROM seen", "SELECT * FROM sums EMIT CHANGES"):
        with pytest.raises(QueryFailed, match='"sums" stopped at version') as caught:
            db.sql(sql)
    (stopped,) = re.findall(r"AS OF VERSION \d+", str(caught.value.hint))
    assert rows(db, f"SELECT * FROM sums {stopped}") == [(4,)]
    db.execute("INSERT INTO s VALUES (2)")
    with pytest.raises(QueryFailed):
        db.sql(f"SELECT * FROM sums AS OF VERSION {db.version}")
    db.execute("CREATE OR REPLACE TABLE sums WITH (clock = 'own') AS SELECT sum(v) AS v FROM s")
    db.settle()
    assert rows(db, "SELECT * FROM seen") == [(1007,)]


def test_rows_that_fail_go_to_its_error_stream(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (v INTEGER);
        CREATE STREAM small WITH (clock = 'own') AS SELECT CAST(v AS TINYINT) AS v FROM s;
        INSERT INTO s VALUES (1000), (2);
    """)
    db.settle()
    assert rows(db, "SELECT * FROM small") == [(2,)]
    assert rows(db, 'SELECT relation, "offset" FROM small_errors') == [("s", 0)]


def test_it_is_paused_and_resumed(chain: Database) -> None:
    chain.execute("PAUSE n")
    chain.execute("INSERT INTO s VALUES (1, 7)")
    chain.settle()
    assert rows(chain, "SELECT * FROM n") == [(1, 2, 7), (2, 1, 3)]
    assert dict((row[0], row[2]) for row in rows(chain, "SHOW QUERIES"))["n"] == "paused"
    chain.execute("RESUME n")
    chain.settle()
    assert rows(chain, "SELECT * FROM n") == [(1, 3, 14), (2, 1, 3)]


def test_it_is_dropped_and_replaced_like_any_other(chain: Database) -> None:
    query = "SELECT k, -count(*) AS n, 0 AS t FROM big GROUP BY k"
    chain.execute(f"CREATE OR REPLACE TABLE n WITH (clock = 'own') AS {query}")
    chain.settle()
    assert rows(chain, "SELECT * FROM j") == [(1, -2, 0, 50), (2, -1, 0, 30)]
    chain.execute("DROP TABLE total; DROP TABLE j; DROP TABLE n")
    assert [row[0] for row in rows(chain, "SHOW QUERIES")] == ["big", "m", "tens"]
    assert len(chain.apart.all) == 2
    chain.execute("INSERT INTO s VALUES (1, 9)")
    chain.settle()
    assert rows(chain, "SELECT * FROM m") == [(1, 90), (2, 30)]


def test_its_rows_come_from_its_query_alone(chain: Database) -> None:
    for statement in ("INSERT INTO tens VALUES (1, 2)", "UPDATE n SET n = 1", "DELETE FROM n"):
        with pytest.raises(SqlError, match="come from its query"):
            chain.execute(statement)


def test_its_past_is_that_of_its_log(chain: Database) -> None:
    version = chain.version
    chain.execute("INSERT INTO s VALUES (1, 7)")
    chain.settle()
    assert rows(chain, f"SELECT * FROM n AS OF VERSION {version}") == [(1, 2, 7), (2, 1, 3)]
    assert rows(chain, f"SELECT _op, k, n, t FROM n CHANGES FROM VERSION {version}") == [
        ("DELETE", 1, 2, 7),
        ("INSERT", 1, 3, 14),
    ]
    assert rows(chain, f"SHOW QUERIES AS OF VERSION {version}")[-1][0] == "total"


def test_its_changes_can_be_watched(chain: Database) -> None:
    with chain.subscribe("SELECT * FROM total") as changes:
        first = changes.poll(0)
        assert first is not None and [change.row for change in first] == [(10,)]
        chain.execute("INSERT INTO s VALUES (3, 4)")
        chain.settle()
        batch = changes.poll(0)
        assert batch is not None and [(c.op, c.row) for c in batch] == [("-", (10,)), ("+", (14,))]


def test_describe_says_how_it_is(chain: Database) -> None:
    facts = {row[0]: row[1] for row in chain.sql("DESCRIBE n EXTENDED").fetchall()}
    assert facts["· status"] == "running"
    assert "clock = 'own'" in str(facts["· definition"])
    assert any("Aggregate" in str(line) for (line,) in rows(chain, "EXPLAIN n"))
    assert any("big" in str(line) for (line,) in rows(chain, "EXPLAIN n")), "it reads the log of what it names"


def test_retention_takes_nothing_that_it_has_not_read() -> None:
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1_700_000_000_000_000
    with Database(disk, "db", None, background=False) as db:
        db.execute("""
            CREATE STREAM s (v INTEGER) WITH (retention = '2 hours');
            CREATE TABLE n WITH (clock = 'own') AS SELECT count(*) AS n, sum(v) AS t FROM s;
        """)
        for v in range(12):
            db.append("s", [{"v": v}])
            db.settle()
            disk.clock_us += HOUR_US
            if v % 3 == 2:
                db.sql("CHECKPOINT")
        assert rows(db, "SELECT count(*) FROM s")[0][0] < 12
        assert rows(db, "SELECT * FROM n") == [(12, 66)]
    with Database(disk, "db", None, background=False) as db:
        db.append("s", [{"v": 100}])
        db.settle()
        assert rows(db, "SELECT * FROM n") == [(13, 166)]


def test_another_process_reads_what_it_wrote(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "db", background=False) as db:
        db.execute(CHAIN)
        db.execute("INSERT INTO s VALUES (1, 2)")
        db.settle()
        with headwater.connect(tmp_path / "db", read_only=True) as reader:
            assert rows(reader, "SELECT * FROM total") == [(2,)]
            assert rows(reader, "SELECT * FROM j") == [(1, 1, 2, 20)]


def test_a_fork_goes_on_by_itself(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "db", background=False) as db:
        db.execute(CHAIN)
        db.execute("INSERT INTO s VALUES (1, 2)")
        db.settle()
        version = db.version
        db.execute("INSERT INTO s VALUES (1, 3)")
        db.settle()
        db.fork(tmp_path / "fork", version)
    with headwater.connect(tmp_path / "fork", background=False) as fork:
        assert rows(fork, "SELECT * FROM total") == [(2,)]
        fork.execute("INSERT INTO s VALUES (1, 10)")
        fork.settle()
        assert rows(fork, "SELECT * FROM total") == [(12,)]


def test_only_two_clocks_can_be_named(db: Database) -> None:
    db.execute("CREATE STREAM s (v INTEGER)")
    with pytest.raises(SqlError, match="there is no clock 'mine'"):
        db.execute("CREATE STREAM o WITH (clock = 'mine') AS SELECT v FROM s")
    with pytest.raises(SqlError, match="clock is about a continuous query"):
        db.execute("CREATE STREAM o (v INTEGER) WITH (clock = 'own')")


@pytest.fixture
def threaded() -> Iterator[Database]:
    with headwater.connect() as opened:
        yield opened


def test_threads_of_several_clocks_come_to_the_same(threaded: Database, db: Database) -> None:
    for other in (threaded, db):
        other.execute(CHAIN)
        for round in range(50):
            other.execute(f"INSERT INTO s VALUES ({round % 5}, {round}), (7, 8)")
        other.settle()
    for name in ("n", "tens", "m", "j", "total"):
        found = [canonical(other.sql(f"SELECT * FROM {name}").fetchall()) for other in (threaded, db)]
        assert found[0] == found[1], name
