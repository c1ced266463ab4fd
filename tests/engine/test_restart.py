"""A database goes on where it stopped: closed, or killed, with or without its images."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import headwater
from headwater import CorruptLog, Database, StorageError

DEFINITIONS = """
CREATE STREAM bids (auction INTEGER KEY, price DOUBLE, at TIMESTAMP) WITH (partitions = 2, timestamp = 'at');
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR);
CREATE TABLE bag (x INTEGER);
CREATE TABLE totals AS SELECT auction, count(*) AS n, sum(price) AS total, max(price) AS top FROM bids GROUP BY auction;
CREATE TABLE hot AS SELECT auction, avg(price) AS mean
    FROM bids WINDOW HOPPING (SIZE 10 SECONDS, ADVANCE BY 5 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY auction;
CREATE STREAM named AS SELECT p.name, b.price FROM bids b JOIN people p ON b.auction = p.id;
CREATE TABLE by_name AS SELECT name, min(price) AS least FROM named GROUP BY name;
CREATE TABLE pairs AS SELECT t.n, p.name FROM totals t JOIN people p ON t.auction = p.id;
CREATE TABLE counted AS SELECT x, count(*) AS n FROM bag GROUP BY x;
"""
RELATIONS = "bids people bag totals hot named by_name pairs counted".split()

Contents = dict[str, Counter[tuple[Any, ...]]]


def contents(db: Database) -> Contents:
    return {name: Counter(db.sql(f"SELECT * FROM {name}").fetchall()) for name in RELATIONS}


def live(db: Database, first: int, count: int = 12) -> None:
    """Some commits of all kinds, with steps between some of them."""
    for n in range(first, first + count):
        db.execute(
            f"INSERT INTO bids VALUES ({n % 4}, {n / 7}, TIMESTAMP '2026-01-01' + INTERVAL ({n * 3 % 31}) SECONDS)"
        )
        if n % 3 == 0:
            db.execute(f"INSERT INTO people VALUES ({n % 4}, 'name{n}')")
        if n % 4 == 0:
            db.execute(f"INSERT INTO bag VALUES ({n % 2}), (NULL)")
            db.settle()


@cache
def never_stopped(*firsts: int) -> Contents:
    with headwater.connect(background=False) as db:
        db.execute(DEFINITIONS)
        for first in firsts:
            live(db, first)
        return contents(db)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "shop.hw"


def remove_images(path: Path) -> None:
    for image in (path / "images").iterdir():
        image.unlink()


def damage_images(path: Path) -> None:
    for image in (path / "images").iterdir():
        image.write_bytes(b"\0" + image.read_bytes()[1:])


def leave_images(path: Path) -> None:
    assert list((path / "images").iterdir())


@pytest.mark.parametrize("background", [True, False])
def test_after_a_restart_everything_goes_on(path: Path, background: bool) -> None:
    for life, first in enumerate((0, 12, 24)):
        with headwater.connect(path, background=background) as db:
            if life == 0:
                db.execute(DEFINITIONS)
            live(db, first)
    with headwater.connect(path, background=background) as db:
        assert [r.name for r in db.relations()] == RELATIONS
        assert contents(db) == never_stopped(0, 12, 24)


@pytest.mark.parametrize("happens_to_images", [leave_images, remove_images, damage_images])
def test_an_image_only_saves_time(
    path: Path, happens_to_images: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    with headwater.connect(path, background=False) as db:
        db.execute(DEFINITIONS)
        live(db, 0)
        db.execute("CHECKPOINT")
        live(db, 12)
        db.execute("CHECKPOINT")
        live(db, 24)
    happens_to_images(path)
    with caplog.at_level(logging.WARNING), headwater.connect(path, background=False) as db:
        assert contents(db) == never_stopped(0, 12, 24)
        live(db, 36)
        assert contents(db) == never_stopped(0, 12, 24, 36)
    assert bool(caplog.records) is (happens_to_images is not leave_images), "whoever runs it is told why it took longer"


def test_the_past_is_the_same_after_a_restart(path: Path) -> None:
    with headwater.connect(path, background=False) as db:
        db.execute(DEFINITIONS)
        live(db, 0)
        version, then = db.version, contents(db)
        live(db, 12)
        db.execute("CHECKPOINT")
    with headwater.connect(path, background=False) as db:
        for name in RELATIONS:
            assert Counter(db.sql(f"SELECT * FROM {name} AS OF VERSION {version}").fetchall()) == then[name]


def test_what_was_dropped_stays_dropped_and_what_was_made_again_is_the_new_one(path: Path) -> None:
    with headwater.connect(path, background=False) as db:
        db.execute("CREATE STREAM s (v INTEGER); INSERT INTO s VALUES (1); CREATE TABLE t AS SELECT v FROM s")
        db.settle()
        db.execute("DROP TABLE t; CREATE TABLE t AS SELECT v + 1 AS w FROM s; CREATE TABLE u (x INTEGER); DROP TABLE u")
    with headwater.connect(path, background=False) as db:
        assert [r.name for r in db.relations()] == ["s", "t"]
        assert db.sql("SELECT w FROM t").fetchall() == [(2,)]
        db.execute("INSERT INTO s VALUES (5)")
        assert sorted(db.sql("SELECT w FROM t").fetchall()) == [(2,), (6,)]


def test_versions_offsets_and_times_go_on_where_they_stopped(path: Path) -> None:
    with headwater.connect(path, background=False) as db:
        db.execute("CREATE STREAM s (v INTEGER)")
        first = db.append("s", [{"v": 1}])
    with headwater.connect(path, background=False) as db:
        assert db.version == first.version
        second = db.append("s", [{"v": 2}])
        assert (second.version, second.offsets) == (first.version + 1, {0: (1, 2)})


def test_each_relation_is_as_it_was_defined(path: Path) -> None:
    with headwater.connect(path, background=False) as db:
        db.execute(DEFINITIONS)
        before = [db.sql(f"DESCRIBE {name} EXTENDED").fetchall() for name in RELATIONS]
    with headwater.connect(path, background=False) as db:
        assert [db.sql(f"DESCRIBE {name} EXTENDED").fetchall() for name in RELATIONS] == before


KILLED = """
import os, sys, headwater
from tests.engine.test_restart import DEFINITIONS, live
db = headwater.connect(sys.argv[1], background=sys.argv[2] == "background")
db.execute(DEFINITIONS)
live(db, 0)
if "checkpoint" in sys.argv:
    db.execute("CHECKPOINT")
live(db, 12)
print(db.version, flush=True)
os._exit(9)
"""


@pytest.mark.parametrize("how", [["background"], ["asked"], ["background", "checkpoint"], ["asked", "checkpoint"]])
def test_what_was_acknowledged_before_the_process_died_is_there_once(path: Path, how: list[str]) -> None:
    root = Path(__file__).parents[2]
    died = subprocess.run(
        [sys.executable, "-c", KILLED, str(path), *how],
        env={**os.environ, "PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    assert died.returncode == 9
    with headwater.connect(path, background=False) as db:
        assert db.version >= int(died.stdout)
        assert contents(db) == never_stopped(0, 12)
        live(db, 24)
        assert contents(db) == never_stopped(0, 12, 24)


def test_rows_that_no_longer_follow_from_the_log_are_noticed(path: Path) -> None:
    with headwater.connect(path, background=False) as db:
        db.execute("CREATE STREAM s (v INTEGER); CREATE TABLE t AS SELECT sum(v) AS n FROM s; INSERT INTO s VALUES (1)")
        db.settle()
        ((_, step),) = list(db.log.notes("step"))
        planted = {id: digest ^ 1 for id, digest in step["digests"].items()}
        db.log.commit([], {"step": {**step, "digests": planted}})
    for _ in range(2):
        with pytest.raises(CorruptLog, match='the rows of "t", computed again from the log, are not those') as caught:
            headwater.connect(path)
        assert caught.value.hint


def test_a_definition_that_this_version_does_not_understand_is_named(path: Path) -> None:
    with headwater.connect(path, background=False) as db:
        db.execute("CREATE STREAM s (v INTEGER)")
        db.log.commit([], {"ddl": {"create": "CREATE WORMHOLE w", "id": 2}}, keep=True)
    with pytest.raises(StorageError, match="the definition made at version 2 cannot be read: "):
        headwater.connect(path)


def test_a_query_made_late_comes_to_the_same_bits_in_other_steps(path: Path) -> None:
    """Floats of very different size: 1e25 replaced by 0.1 must leave nothing behind, in whatever steps it is read."""
    with headwater.connect(path, background=False) as db:
        db.execute("CREATE TABLE s (k INTEGER PRIMARY KEY, v DOUBLE); CREATE TABLE early AS SELECT sum(v) AS x FROM s")
        for n in range(40):
            size = 1e25 if n % 4 == 1 and n < 30 else 0.1
            db.append("s", [{"k": n % 6, "v": size * (n + 1) / 7}])
            db.settle()
        db.execute("CREATE TABLE late AS SELECT sum(v) AS x FROM s")
        db.append("s", [{"k": 9, "v": 0.3}])
        assert db.sql("SELECT x FROM late").fetchall() == db.sql("SELECT x FROM early").fetchall()
    with headwater.connect(path, background=False) as db:
        assert db.sql("SELECT x FROM late").fetchall() == db.sql("SELECT x FROM early").fetchall()
