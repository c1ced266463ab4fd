"""A checkpoint is saved while steps go on, and whatever they did meanwhile is there after a restart."""

from __future__ import annotations

from pathlib import Path
from threading import Thread
from time import sleep

import pytest

from headwater.engine import checkpoints
from headwater.engine.checkpoints import Slices
from headwater.engine.database import Database, connect
from headwater.storage import SimulatedDisk
from tests.executor.freezing import Frozen, saved
from tests.executor.limits import limits_of

QUERIES = """
    CREATE STREAM s (k INTEGER KEY, v BIGINT, ts TIMESTAMP) WITH (timestamp = 'ts');
    CREATE TABLE t (id INTEGER PRIMARY KEY, name VARCHAR);
    CREATE TABLE totals AS
      SELECT k, count(*) AS n, sum(v) AS v, min(v) AS low, count(DISTINCT v) AS d FROM s GROUP BY k;
    CREATE TABLE named AS SELECT x.k, x.v, t.name FROM (SELECT k, max(v) AS v FROM s GROUP BY k) x JOIN t ON x.k = t.id;
    CREATE TABLE chain AS
      WITH RECURSIVE r AS (SELECT min(k) AS k FROM s UNION SELECT s.v FROM r JOIN s ON s.k = r.k) SELECT * FROM r;
    CREATE TABLE first AS SELECT k, v FROM s QUALIFY row_number() OVER (PARTITION BY k ORDER BY v DESC) <= 2;
"""
TABLES = ("totals", "named", "chain", "first")


def add(db: Database, step: int) -> None:
    rows = [{"k": n % 5, "v": (n * 7 + step) % 11, "ts": f"2026-01-01 00:00:{n % 60:02}"} for n in range(20)]
    db.execute("INSERT INTO s VALUES " + ", ".join(f"({r['k']}, {r['v']}, '{r['ts']}')" for r in rows))
    db.execute(f"INSERT INTO t VALUES ({step % 5}, 'name {step}')")


def contents(db: Database) -> list[object]:
    return [sorted(map(str, db.sql(f"SELECT * FROM {name}").fetchall())) for name in TABLES]


def opened(disk: SimulatedDisk) -> Database:
    return Database(disk, "db", None, background=False)


def test_an_image_of_the_past_is_what_the_state_was_then() -> None:
    with connect(background=False) as db:
        db.execute(QUERIES)
        add(db, 1)
        db.settle()
        states = db.pipeline.circuit.states
        then, before = Frozen.of(db.pipeline), saved(states)
        for step in range(2, 6):
            add(db, step)
            db.settle()
        assert saved(then.states) == before
        assert saved(states) != before


@pytest.mark.parametrize("steps", [0, 1, 4])
def test_steps_that_are_made_while_an_image_is_saved_are_there_after_a_restart(steps: int) -> None:
    disk = SimulatedDisk()
    with opened(disk) as db:
        db.execute(QUERIES)
        add(db, 1)
        db.settle()
        then = Frozen.of(db.pipeline)
        for step in range(2, 2 + steps):
            add(db, step)
            db.settle()
        image = then.publish(db.pipeline)
        add(db, 20)
        expected = contents(db)
    with opened(disk) as db:
        assert db.log.images()[-1].version == image.version
        assert contents(db) == expected
        add(db, 21)
        assert contents(db) != expected


def test_a_database_in_the_background_saves_images_on_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "image_is_due", lambda rows, _: rows >= 40)
    with connect(tmp_path / "db") as db:
        db.execute(QUERIES)
        for step in range(12):
            add(db, step)
            db.settle()
        for _ in range(100):
            if db.log.images():
                break
            sleep(0.05)
        assert db.log.images()
        expected = contents(db)
    with connect(tmp_path / "db") as db:
        assert contents(db) == expected


def test_a_slice_does_not_begin_during_a_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "SLICE_SECONDS", 0)
    slices = Slices()
    saver = Thread(target=slices.pause())
    with slices.step():
        saver.start()
        saver.join(0.05)
        assert saver.is_alive()
    saver.join(10)
    assert not saver.is_alive()


def test_slices_have_their_turns_where_steps_follow_each_other_without_a_break() -> None:
    slices = Slices()

    def save() -> None:
        pause = slices.pause()
        for _ in range(10):
            sleep(0.01)
            pause()

    saver = Thread(target=save)
    saver.start()
    for _ in range(1000):
        with slices.step():
            saver.join(0.01)
        if not saver.is_alive():
            break
    assert not saver.is_alive()


def test_a_group_without_a_distinct_value_is_saved_again_after_a_restart() -> None:
    disk = SimulatedDisk()
    for restart in range(3):
        with opened(disk) as db:
            if not restart:
                db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, g VARCHAR, v BIGINT)")
                db.execute("CREATE TABLE d AS SELECT g, count(DISTINCT v) AS n FROM t GROUP BY g")
                db.execute("INSERT INTO t VALUES (1, 'a', 5), (2, 'b', NULL), (3, 'c', NULL)")
            db.execute("CHECKPOINT")
            assert sorted(db.sql("SELECT * FROM d").fetchall()) == [("a", 1), ("b", 0), ("c", 0)]


def test_rows_that_fail_while_an_image_is_saved_are_counted_after_a_restart() -> None:
    disk = SimulatedDisk()
    with opened(disk) as db:
        db.execute("CREATE STREAM s (v VARCHAR); CREATE TABLE t AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR SKIP")
        db.execute("INSERT INTO s VALUES ('x')")
        db.settle()
        then = Frozen.of(db.pipeline)
        db.execute("INSERT INTO s VALUES ('y')")
        db.settle()
        then.publish(db.pipeline)
    with opened(disk) as db:
        (query,) = db.sql("SHOW QUERIES").fetchall()
        assert query[6] == 2


def test_an_image_behind_a_step_without_input_knows_that_the_step_before_it_was_committed_later() -> None:
    """The rows of two steps wait in the log, so the first one is committed behind what the second one reads."""
    with limits_of(1), connect(background=False) as db:
        db.execute("CREATE STREAM s (k INTEGER); CREATE TABLE unread (id INTEGER PRIMARY KEY, n INTEGER)")
        db.execute("CREATE TABLE copies AS SELECT k FROM s")
        db.append("s", [{"k": k} for k in range(25)])
        for _ in range(2):
            db.append("unread", [{"id": n % 3, "n": n} for n in range(200)])
        db.settle()
        for version in range(db.version - 3, db.version + 1):
            assert len(db.sql(f"SELECT * FROM copies AS OF VERSION {version}")) == 25
