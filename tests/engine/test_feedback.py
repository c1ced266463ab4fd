"""INSERT INTO stream SELECT … goes on; where its rows come back to it, each round is a step, counted and bounded."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headwater
from headwater.errors import HeadwaterError, NameTaken, SqlError, UnknownName, Unsupported

RETRIES = """
    CREATE STREAM jobs (id BIGINT, tries BIGINT, work BIGINT);
    CREATE STREAM failed (id BIGINT, tries BIGINT, work BIGINT);
    CREATE STREAM dead (id BIGINT, tries BIGINT);
    INSERT INTO failed SELECT id, tries, work FROM jobs WHERE work > 0 WITH (name = 'try_job');
    INSERT INTO jobs SELECT id, tries + 1, work - 1 FROM failed WHERE tries < 3
        WITH (name = 'again', feedback = '1 step', max_hops = 50);
    INSERT INTO dead SELECT id, tries FROM failed WHERE tries >= 3 WITH (name = 'give_up');
"""
COUNTER = """
    CREATE STREAM r (n BIGINT);
    INSERT INTO r SELECT n + 1 FROM r WHERE n < {until} WITH (name = 'run', feedback = '1 step', max_hops = {hops});
"""


def rows(db: headwater.Database, sql: str) -> list[tuple[object, ...]]:
    return db.sql(sql).fetchall()


def states(db: headwater.Database) -> dict[object, object]:
    return {row[0]: row[2] for row in rows(db, "SHOW QUERIES")}


# ---------------------------------------------------------------- a query that goes on


def test_a_select_into_a_stream_goes_on_and_one_into_a_table_is_done_once(db: headwater.Database) -> None:
    db.execute("CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT); CREATE TABLE t (v BIGINT)")
    db.execute("INSERT INTO a VALUES (1)")
    message = db.sql("INSERT INTO b SELECT v * 10 FROM a").message
    assert message == "created query INSERTQUERY_1, which inserts into b, 1 row so far"
    assert db.sql("INSERT INTO t SELECT v FROM a").message == "inserted 1 row"
    assert db.sql("INSERT INTO b SELECT v FROM a AS OF LATEST").message == "inserted 1 row"
    db.execute("INSERT INTO a VALUES (2)")
    assert rows(db, "SELECT v FROM b ORDER BY ROWOFFSET") == [(10,), (1,), (20,)]
    assert rows(db, "SELECT v FROM t") == [(1,)]


def test_its_rows_have_the_time_and_partition_of_those_it_reads_and_the_columns_that_are_named(
    db: headwater.Database,
) -> None:
    db.execute("""
        CREATE STREAM a (v INTEGER, at TIMESTAMP) WITH (timestamp = 'at');
        CREATE STREAM b (v BIGINT, w VARCHAR);
        INSERT INTO b (w) SELECT v FROM a;
        INSERT INTO a VALUES (7, '2026-01-01 10:00:00');
    """)
    assert rows(db, "SELECT v, w, ROWTIME::VARCHAR FROM b") == [(None, "7", "2026-01-01 10:00:00")]


def test_several_queries_and_users_write_into_one_stream(db: headwater.Database) -> None:
    db.execute("""
        CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT); CREATE STREAM all_of_it (v BIGINT);
        CREATE TABLE total AS SELECT sum(v) AS v FROM all_of_it;
        INSERT INTO all_of_it SELECT v FROM a;
        INSERT INTO all_of_it SELECT v FROM b;
        INSERT INTO a VALUES (1); INSERT INTO b VALUES (10); INSERT INTO all_of_it VALUES (100);
    """)
    assert rows(db, "SELECT v FROM total") == [(111,)]


def test_it_is_a_query_like_others(db: headwater.Database) -> None:
    db.execute("CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT)")
    db.execute("INSERT INTO b SELECT v FROM a WHERE v > 1 WITH (name = 'pick')")
    assert states(db) == {"pick": "running"}
    assert rows(db, "DESCRIBE pick") == [("v", "BIGINT", None)]
    assert any("Filter" in str(line) for line in rows(db, "EXPLAIN pick"))
    db.execute("PAUSE pick; INSERT INTO a VALUES (2)")
    assert (states(db), rows(db, "SELECT v FROM b")) == ({"pick": "paused"}, [])
    db.execute("RESUME pick")
    assert rows(db, "SELECT v FROM b") == [(2,)]
    db.execute("TERMINATE pick; INSERT INTO a VALUES (3)")
    assert (states(db), rows(db, "SELECT v FROM b")) == ({"pick": "terminated"}, [(2,)])
    db.execute("DROP QUERY pick; DROP STREAM a")
    assert rows(db, "SELECT v FROM b") == [(2,)], "what it has inserted stays"


def test_rows_that_do_not_fit_go_where_its_errors_go(db: headwater.Database) -> None:
    db.execute("""
        CREATE STREAM a (v VARCHAR); CREATE STREAM b (v BIGINT); CREATE STREAM bad (cause VARCHAR);
        INSERT INTO b SELECT v FROM a ON ERROR INSERT INTO bad;
        INSERT INTO a VALUES ('1'), ('x'), ('2');
    """)
    assert rows(db, "SELECT v FROM b ORDER BY v") == [(1,), (2,)]
    assert rows(db, "SELECT count(*) FROM bad") == [(1,)]


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("INSERT INTO b SELECT v, v FROM a", SqlError, "2 values for 1 columns"),
        ("INSERT INTO b SELECT count(*) FROM a", SqlError, "not those of a stream"),
        ("INSERT INTO b SELECT v FROM a WITH (nane = 'x')", UnknownName, 'no property "nane"'),
        ("INSERT INTO b SELECT v FROM a WITH (max_hops = 3)", SqlError, "max_hops bounds a feedback"),
        ("INSERT INTO b SELECT v FROM a WITH (feedback = '2 steps')", Unsupported, "one step"),
        ("INSERT INTO b SELECT v FROM a WITH (feedback = '1 step', max_hops = 0)", SqlError, "a whole number from 1"),
        ("INSERT INTO b VALUES (1) ON ERROR SKIP", SqlError, "ON ERROR is about a query that goes on"),
        ("INSERT INTO t SELECT v FROM a WITH (name = 'x')", SqlError, "name is about a query that goes on"),
        ("INSERT INTO d SELECT v FROM a", SqlError, "come from its query"),
        ("INSERT INTO b SELECT v FROM a WITH (name = 't')", NameTaken, '"t" exists already'),
        ("BEGIN; INSERT INTO b SELECT v FROM a", Unsupported, "cannot be part of a transaction"),
        ("SELECT * FROM q", SqlError, 'a query that inserts into "b"'),
        ("DROP STREAM b", NameTaken, '"b" is used by q'),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    db: headwater.Database, sql: str, error: type[HeadwaterError], message: str
) -> None:
    db.execute("""
        CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT); CREATE TABLE t (v BIGINT);
        CREATE STREAM d AS SELECT v FROM a; INSERT INTO b SELECT v FROM a WITH (name = 'q');
    """)
    before = states(db)
    with pytest.raises(error) as caught:
        db.execute(sql)
    assert message in str(caught.value)
    assert states(db) == before


# ---------------------------------------------------------------- circles


@pytest.mark.parametrize(
    ("before", "sql", "circle"),
    [
        ("", "INSERT INTO a SELECT v FROM a", "a → INSERTQUERY_1 → a"),
        ("CREATE STREAM d AS SELECT v FROM a", "INSERT INTO a SELECT v FROM d", "a → d → INSERTQUERY_1 → a"),
        ("CREATE VIEW w AS SELECT v FROM a", "INSERT INTO a SELECT v FROM w", "a → INSERTQUERY_1 → a"),
        ("INSERT INTO b SELECT v FROM a", "INSERT INTO a SELECT v FROM b", "a → INSERTQUERY_1 → b → INSERTQUERY_2 → a"),
        (
            "CREATE TABLE n AS SELECT v, count(*) AS n FROM a GROUP BY v",
            "INSERT INTO a SELECT b.v FROM b JOIN n ON b.v = n.v",
            "a → n → INSERTQUERY_1 → a",
        ),
        (
            "CREATE STREAM d WITH (clock = 'own') AS SELECT v FROM a",
            "INSERT INTO a SELECT v FROM d",
            "a → d → INSERTQUERY_1 → a",
        ),
    ],
)
def test_a_circle_that_nobody_declared_is_refused_and_shown(
    db: headwater.Database, before: str, sql: str, circle: str
) -> None:
    db.execute(f"CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT); {before}")
    with pytest.raises(SqlError) as caught:
        db.execute(sql)
    assert f"the rows would come back to this query: {circle} (" in str(caught.value)


# ---------------------------------------------------------------- loops


@pytest.mark.parametrize("background", [False, True])
def test_a_loop_retries_until_it_is_done_or_gives_up(background: bool) -> None:
    with headwater.connect(background=background) as db:
        db.execute(RETRIES)
        db.execute("INSERT INTO jobs VALUES (1, 0, 0), (2, 0, 2), (3, 0, 9)")
        assert rows(db, "SELECT id, max(tries) FROM jobs GROUP BY id ORDER BY id") == [(1, 0), (2, 2), (3, 3)]
        assert rows(db, "SELECT id, tries FROM dead") == [(3, 3)]


@pytest.mark.parametrize("background", [False, True])
def test_a_loop_that_does_not_come_to_rest_ends_at_its_bound_and_can_go_on(background: bool) -> None:
    with headwater.connect(background=background) as db:
        db.execute(COUNTER.format(until=10**9, hops=7))
        db.execute("INSERT INTO r VALUES (0)")
        assert rows(db, "SELECT max(n) FROM r") == [(7,)]
        assert states(db) == {"run": "failed"}
        assert "rows have gone round 7 times, which is its max_hops, and do not come to rest: r → run → r" in str(
            rows(db, "SHOW QUERIES")
        )
        db.execute("INSERT INTO r VALUES (-5)")
        assert rows(db, "SELECT count(*) FROM r") == [(9,)], "the stream still takes rows"
        db.execute("RESUME run")
        assert rows(db, "SELECT max(n) FROM r") > [(7,)]


def test_a_bound_is_per_row_put_in_from_outside(db: headwater.Database) -> None:
    db.execute(COUNTER.format(until=5, hops=5))
    for _ in range(4):
        db.execute("INSERT INTO r VALUES (0)")
    assert states(db) == {"run": "running"}
    assert rows(db, "SELECT count(*) FROM r") == [(24,)]


def test_a_loop_goes_on_where_it_was_after_a_restart(tmp_path: Path) -> None:
    with headwater.connect(tmp_path / "d", background=False) as db:
        db.execute(COUNTER.format(until=10**9, hops=20))
        db.execute("INSERT INTO r VALUES (0)")
        for _ in range(9):
            db.pipeline.step()
    with headwater.connect(tmp_path / "d", background=False) as db:
        assert rows(db, "SELECT max(n) FROM r") == [(20,)], "the rounds before count, too"
        assert states(db) == {"run": "failed"}
    with headwater.connect(tmp_path / "d", background=False) as db:
        assert states(db) == {"run": "failed"}


def test_each_round_is_a_version_that_can_be_asked_for_and_forked(tmp_path: Path) -> None:
    db = headwater.connect(tmp_path / "d", background=False)
    db.execute(COUNTER.format(until=4, hops=9))
    db.execute("INSERT INTO r VALUES (0)")
    first = db.version
    db.settle()
    assert [rows(db, f"SELECT max(n) FROM r AS OF VERSION {first + i}") for i in range(5)] == [[(i,)] for i in range(5)]
    db.fork(tmp_path / "fork")
    with headwater.connect(tmp_path / "fork", background=False) as fork:
        fork.execute("INSERT INTO r VALUES (2)")
        assert rows(fork, "SELECT count(*) FROM r") == [(8,)]
    assert rows(db, "SELECT count(*) FROM r") == [(5,)]
    db.close()


def test_a_row_that_came_through_a_loop_is_explained_by_the_records_of_its_stream(db: headwater.Database) -> None:
    db.execute(COUNTER.format(until=2, hops=9))
    db.execute("CREATE TABLE top AS SELECT max(n) AS n FROM r; INSERT INTO r VALUES (0)")
    assert [row[5] for row in rows(db, "EXPLAIN ROW r WHERE n = 2")] == ["n = 2"]
    assert [row[5] for row in rows(db, "EXPLAIN ROW top WHERE n = 2")] == ["n = 0", "n = 1", "n = 2"]


def test_a_loop_is_interrupted_by_pausing_it(db: headwater.Database) -> None:
    db.execute(COUNTER.format(until=10**9, hops=10**6))
    db.execute("INSERT INTO r VALUES (0); PAUSE run")
    n = rows(db, "SELECT count(*) FROM r")
    db.settle()
    assert rows(db, "SELECT count(*) FROM r") == n
    db.execute("DROP QUERY run")


# ---------------------------------------------------------------- laws

BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=4), max_size=5)


def logged(batches: list[list[tuple[int, int]]], seed: int | None, *, background: bool = False) -> list[object]:
    """All that is in the streams of the retry loop after batches of jobs, where steps are made at random between."""
    chance = random.Random(seed)
    with headwater.connect(background=background) as db:
        db.execute(RETRIES)
        for batch in batches:
            db.append("jobs", [{"id": id, "tries": 0, "work": work} for id, work in batch])
            for _ in range(chance.randrange(6) if seed is not None else 0):
                db.pipeline.step()
        db.settle()
        return [
            rows(db, f"SELECT * EXCLUDE (tries), tries FROM {s} ORDER BY ROWOFFSET") for s in ("jobs", "failed", "dead")
        ]


@settings(max_examples=12, deadline=None)
@given(BATCHES, st.integers(0, 10**6))
def test_a_loop_writes_the_same_whenever_its_steps_are_made(batches: list[list[tuple[int, int]]], seed: int) -> None:
    assert logged(batches, seed) == logged(batches, None)


def test_a_loop_writes_the_same_in_a_thread() -> None:
    batches = [[(1, 3), (2, 6)], [(3, 1)], [(4, 5), (5, 2)]]
    assert logged(batches, None, background=True) == logged(batches, None)


@settings(max_examples=12, deadline=None)
@given(BATCHES)
def test_a_loop_gives_what_the_recursion_gives_that_it_is(batches: list[list[tuple[int, int]]]) -> None:
    def runs(id: int, tries: int, work: int) -> list[tuple[int, int, int]]:
        again = runs(id, tries + 1, work - 1) if work > 0 and tries < 3 else []
        return [(id, work, tries), *again]

    expected = sorted(run for batch in batches for id, work in batch for run in runs(id, 0, work))
    jobs, failed, dead = logged(batches, None)
    assert isinstance(jobs, list) and isinstance(failed, list) and isinstance(dead, list)
    assert sorted(jobs) == expected
    assert sorted(failed) == [run for run in expected if run[1] > 0]
    assert sorted(dead) == sorted((id, tries) for id, work, tries in expected if work > 0 and tries == 3)


WORKER = """
import sys, headwater
with headwater.connect(sys.argv[1]) as db:
    print("at work", flush=True)
    for id in range(db.sql("SELECT count(*) FROM jobs WHERE tries = 0").fetchone()[0], 60):
        db.append("jobs", [{"id": id, "tries": 0, "work": id % 6}])
    db.settle()
    print("done", flush=True)
"""


def test_a_loop_that_is_killed_comes_to_what_it_would_have_come_to(tmp_path: Path) -> None:
    directory, chance, killed = tmp_path / "d", random.Random(3), 0
    with headwater.connect(directory) as db:
        db.execute(RETRIES)
    for attempt in range(4):
        command = [sys.executable, "-c", WORKER, str(directory)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as worker:
            assert worker.stdout is not None and worker.stdout.readline() == "at work\n"
            if attempt < 3:
                time.sleep(chance.uniform(0, 0.1))
                killed += worker.poll() is None
                worker.kill()
            else:
                assert worker.stdout.read() == "done\n"
    assert killed > 0
    with headwater.connect(directory) as db:
        found = [
            rows(db, f"SELECT * EXCLUDE (tries), tries FROM {s} ORDER BY ROWOFFSET") for s in ("jobs", "failed", "dead")
        ]
    assert found == logged([[(id, id % 6)] for id in range(60)], None)
