"""Where the rows of queries come back to them, each round is a step, counted and bounded."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import headwater
from headwater.engine.database import Database
from headwater.engine.retention import retain
from headwater.errors import SqlError, Unsupported
from headwater.planner import Relation
from headwater.storage import SimulatedDisk
from tests.engine.loops import COUNTER, RETRIES, Batches, logged, rows, states

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


def test_a_circle_in_several_clocks_is_refused_even_if_it_is_declared(db: headwater.Database) -> None:
    db.execute("CREATE STREAM a (v BIGINT); CREATE STREAM d WITH (clock = 'own') AS SELECT v FROM a")
    with pytest.raises(Unsupported, match="a loop goes round in one clock, and this one in several: a → d → run → a"):
        db.execute("INSERT INTO a SELECT v FROM d WITH (name = 'run', feedback = '1 step')")


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


def test_a_loop_goes_round_through_windows_that_close(db: headwater.Database) -> None:
    db.execute("""
        CREATE STREAM beats (n BIGINT, at TIMESTAMP) WITH (timestamp = 'at');
        INSERT INTO beats
            SELECT max(n) + 1, WINDOWEND FROM beats WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 0 SECONDS)
            HAVING max(n) < 4 EMIT FINAL WITH (name = 'beat', feedback = '1 step', max_hops = 9);
        INSERT INTO beats VALUES (0, '2026-01-01 00:00:10'), (2, '2026-01-01 00:01:00');
    """)
    assert rows(db, "SELECT n, at::VARCHAR FROM beats ORDER BY ROWOFFSET") == [
        (0, "2026-01-01 00:00:10"), (2, "2026-01-01 00:01:00"), (1, "2026-01-01 00:01:00"),
    ], "the second window closes with a record behind it"  # fmt: skip
    db.execute("INSERT INTO beats VALUES (9, '2026-01-01 00:02:00')")
    assert rows(db, "SELECT n, at::VARCHAR FROM beats ORDER BY ROWOFFSET OFFSET 4") == [(3, "2026-01-01 00:02:00")]


@pytest.mark.parametrize("background", [False, True])
def test_a_loop_that_is_interrupted_stops_between_rounds_and_goes_on_after_a_restart(
    tmp_path: Path, background: bool
) -> None:
    with headwater.connect(tmp_path / "d", background=background) as db:
        db.execute(COUNTER.format(until=10**9, hops=10**9))
        db.append("r", [(0,)])
        threading.Timer(0.1, _thread.interrupt_main).start()
        with pytest.raises(KeyboardInterrupt):
            db.settle()
    with headwater.connect(tmp_path / "d", background=False) as db:
        db.pipeline.step()
        db.execute("PAUSE run")
        found = rows(db, "SELECT n FROM r ORDER BY ROWOFFSET")
        assert found == [(n,) for n in range(len(found))]
        assert len(found) > 2
        db.execute("RESUME run")
        db.pipeline.step()
        db.execute("PAUSE run")
        assert rows(db, "SELECT max(n) FROM r") > found[-1:]


def test_a_loop_is_interrupted_by_pausing_it(db: headwater.Database) -> None:
    db.execute(COUNTER.format(until=10**9, hops=10**6))
    db.execute("INSERT INTO r VALUES (0); PAUSE run")
    n = rows(db, "SELECT count(*) FROM r")
    db.settle()
    assert rows(db, "SELECT count(*) FROM r") == n
    db.execute("DROP QUERY run")


def test_a_loop_goes_on_where_it_was_when_retention_takes_its_beginning() -> None:
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1_700_000_000_000_000
    definition = COUNTER.format(until=10**9, hops=20).replace("BIGINT)", "BIGINT) WITH (retention = '1 hour')")
    with Database(disk, "d", None, background=False) as db:
        db.execute(f"{definition} CREATE TABLE total AS SELECT count(*) AS n FROM r; INSERT INTO r VALUES (0)")
        for number in range(9):
            db.pipeline.step()
            disk.clock_us += 1_000_000_000
            if number % 3 == 2:
                db.pipeline.checkpoint()
        retain(db.apart, disk.clock_us)
        assert db.log.start(db.pipeline.catalog.relations["r"].id).ends[0] > 0, "records are gone"
    with Database(disk, "d", None, background=False) as db:
        assert rows(db, "SELECT max(n), max(ROWOFFSET) FROM r") == [(20, 20)], (
            "rounds before count, and those pending go on"
        )
        assert rows(db, "SELECT n FROM total") == [(21,)]
        assert states(db) == {"run": "failed", "total": "running"}


# ---------------------------------------------------------------- circles through what goes elsewhere

ELSEWHERE = {
    "errors": (
        "CREATE STREAM a (v VARCHAR); CREATE STREAM q AS SELECT CAST(v AS BIGINT) AS v FROM a",
        "INSERT INTO a SELECT 'again' FROM q_errors",
        "a → q → q_errors → back → a",
        "INSERT INTO a VALUES ('x')",
    ),
    "errors of an INSERT": (
        "CREATE STREAM a (v VARCHAR); CREATE STREAM b (v BIGINT); INSERT INTO b SELECT v FROM a WITH (name = 'q')",
        "INSERT INTO a SELECT 'again' FROM q_errors",
        "a → q → q_errors → back → a",
        "INSERT INTO a VALUES ('x')",
    ),
    "violations": (
        "CREATE STREAM w (v BIGINT); CREATE STREAM a (v BIGINT, CHECK (v < 9) ON VIOLATION INSERT INTO w)",
        "INSERT INTO a SELECT v + 1 FROM w",
        "a → w → back → a",
        "INSERT INTO a VALUES (20)",
    ),
    "alerts": (
        "CREATE STREAM a (v BIGINT); "
        "CREATE ASSERTION even CHECK (NOT EXISTS (SELECT count(*) FROM a HAVING count(*) % 2 = 1)) ON VIOLATION ALERT",
        "INSERT INTO a SELECT version FROM even_alerts",
        "a → even → even_alerts → back → a",
        "INSERT INTO a VALUES (1)",
    ),
}


@pytest.mark.parametrize("way", ELSEWHERE)
def test_a_circle_through_what_goes_elsewhere_is_refused_unless_it_is_declared_and_then_bounded(
    db: headwater.Database, way: str
) -> None:
    before, insert, circle, first = ELSEWHERE[way]
    db.execute(before)
    with pytest.raises(SqlError) as caught:
        db.execute(f"{insert} WITH (name = 'back')")
    assert f"the rows would come back to this query: {circle}" in str(caught.value)
    db.execute(f"{insert} WITH (name = 'back', feedback = '1 step', max_hops = 6); {first}")
    db.settle()
    assert states(db)["back"] == "failed"
    assert f"rows have gone round 6 times, which is its max_hops, and do not come to rest: {circle}" in str(
        rows(db, "SHOW QUERIES")
    )


# ---------------------------------------------------------------- laws

BATCHES = st.lists(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 6)), min_size=1, max_size=4), max_size=5)
SOME = [[(1, 3), (2, 6)], [(3, 1)], [(4, 5), (5, 2)]]


@settings(max_examples=8, deadline=None)
@given(BATCHES, st.integers(0, 10**6))
def test_a_loop_writes_the_same_whenever_its_steps_are_made(batches: Batches, seed: int) -> None:
    def runs(id: int, tries: int, work: int) -> list[tuple[int, int, int]]:
        again = runs(id, tries + 1, work - 1) if work > 0 and tries < 3 else []
        return [(id, work, tries), *again]

    expected = sorted(run for batch in batches for id, work in batch for run in runs(id, 0, work))
    jobs, failed, dead = logged(batches)
    assert sorted(jobs) == expected, "what the recursion gives that it is"
    assert sorted(failed) == [run for run in expected if run[1] > 0]
    assert sorted(dead) == sorted((id, tries) for id, work, tries in expected if work > 0 and tries == 3)
    assert logged(batches, seed) == [jobs, failed, dead]


@pytest.mark.parametrize("background", [False, True])
@pytest.mark.parametrize("own_clock", [False, True])
def test_a_loop_writes_the_same_in_a_thread_and_in_a_clock_of_its_own(own_clock: bool, background: bool) -> None:
    assert logged(SOME, 1, background=background, own_clock=own_clock) == logged(SOME)


# ---------------------------------------------------------------- races


@pytest.mark.parametrize("change", ["CREATE", "DROP", "RESUME"])
def test_what_is_written_while_a_loop_changes_has_its_turn_before_it_changes(change: str) -> None:
    with headwater.connect() as db:
        db.execute("CREATE STREAM r (n BIGINT); INSERT INTO r VALUES (0)")
        loop = "INSERT INTO r SELECT n + 1 FROM r WHERE n < 5 WITH (name = 'run', feedback = '1 step')"
        if change != "CREATE":
            db.execute(f"{loop}; PAUSE run")
        statement = {"CREATE": loop, "DROP": "DROP QUERY run", "RESUME": "RESUME run"}[change]
        changing = threading.Thread(target=db.execute, args=(statement,))
        found = len(rows(db, "SELECT * FROM r"))

        def begin_to_change() -> Iterator[Relation]:  # after the writer has looked whether it has to wait
            changing.start()
            changing.join(0.2)
            assert changing.is_alive()
            yield db.pipeline.catalog.relations["r"]

        writer = db._parts.writer
        row = pa.RecordBatch.from_pydict({"n": [100]})
        writer.commit(writer.appends(db.pipeline.catalog.relations["r"], row), [], None, relations=begin_to_change())
        changing.join()
        db.settle()
        assert rows(db, f"SELECT n FROM r WHERE ROWOFFSET = {found}") == [(100,)]
