"""The past does not change: what was answered at a version is what AS OF that version gives, whenever it is asked.

Each history is asked some of its (version, query) pairs again: at once, after a restart, without images, in a fork.
HEADWATER_PASTS sets how many histories there are.
"""

from __future__ import annotations

import os

import pytest

from headwater.engine.database import Database
from headwater.storage import SimulatedDisk
from tests.engine.pasts import Pair, Past
from tests.executor.limits import limits_of
from tests.executor.oracle import canonical

PASTS = int(os.environ.get("HEADWATER_PASTS", "20"))
PAIRS = 500  # of each history; 20 histories have 10,000
EVENTS = 60


@pytest.mark.parametrize("seed", range(PASTS))
def test_what_was_answered_is_answered_as_of_then_and_equals_duckdb(seed: int) -> None:
    with limits_of(seed):
        past = Past(seed)
        past.live(EVENTS)
        for pair, rows in past.answers.items():
            if pair.meaning.oracle is not None:
                assert rows == past.must_be(pair), f"seed {seed}: answered at the time, {pair}"
        asked = past.random.choices([p for p in past.pairs() if p.meaning.until is None], k=PAIRS)
        disk = past.case.disk
        quarters = [asked[n::4] for n in range(4)]
        compare(past, past.db, quarters[0], "at once")
        past.db.close()
        with Database(disk.fork(), "db", None, background=False) as again:
            compare(past, again, quarters[1], "after a restart")
        with Database(without_images(disk.fork()), "db", None, background=False) as bare:
            compare(past, bare, quarters[2], "without images")


def compare(past: Past, db: Database, pairs: list[Pair], where: str) -> None:
    for pair in pairs:
        rows = canonical(db.sql(pair.sql).fetchall())
        must_be = past.must_be(pair)
        assert rows == must_be, (
            f"seed {past.case.seed}, {where}: {pair.sql}, {pair.meaning}\n"
            f"  too many: {dict(rows - must_be)}\n  missing: {dict(must_be - rows)}"
        )


def without_images(disk: SimulatedDisk) -> SimulatedDisk:
    for name in disk.listdir("db/images"):
        disk.remove(f"db/images/{name}")
    return disk
