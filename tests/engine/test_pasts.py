"""The past does not change: what was answered at a version is what AS OF that version gives, whenever it is asked.

Each history is asked some of its (version, query) pairs again: at once, after a restart, without images, in a fork.
With HEADWATER_THOROUGH=1 there are ten histories.
"""

from __future__ import annotations

import pytest

from headwater.engine.database import Database
from headwater.storage import SimulatedDisk
from headwater.storage.fork import fork
from tests.engine.pasts import Pair, Past
from tests.executor.limits import limits_of
from tests.executor.oracle import canonical
from tests.thoroughness import amount

PASTS = amount(4, 10)
PAIRS = 1000  # of each history; 10 histories have 10,000
EVENTS = 60


@pytest.mark.parametrize("seed", range(PASTS))
def test_what_was_answered_is_answered_as_of_then_and_equals_duckdb(seed: int) -> None:
    with limits_of(seed):
        past = Past(seed)
        past.live(EVENTS)
        for pair, rows in past.answers.items():
            if pair.meaning.oracle is not None:
                assert rows == past.must_be(pair), f"seed {seed}: answered at the time, {pair}"
        asked = past.random.choices(list(past.pairs()), k=PAIRS)
        quarters = [asked[n::4] for n in range(4)]
        compare(past, past.db, quarters[0], "at once")
        past.db.close()
        disk = past.case.disk
        with opened(disk.fork()) as again:
            compare(past, again, quarters[1], "after a restart")
        with opened(without_images(disk.fork())) as bare:
            compare(past, bare, quarters[2], "without images")
        last = past.random.choice(quarters[3]).version
        fork(disk, "db", "fork", last)
        with opened(disk, "fork") as forked:
            compare(
                past, forked, [pair for pair in quarters[3] if pair.version <= last], f"in a fork of version {last}"
            )
        fork(disk, "db", "whole")
        with opened(disk, "whole") as whole:
            compare(past, whole, [pair for pair in quarters[3] if pair.version > last], "in a fork of all")


def opened(disk: SimulatedDisk, directory: str = "db") -> Database:
    return Database(disk, directory, None, background=False)


def compare(past: Past, db: Database, pairs: list[Pair], where: str) -> None:
    """Asks pairs again, every other one by a session that stands at the version."""
    for number, pair in enumerate(pairs):
        db.session.stand(pair.version if number % 2 else None)
        rows = canonical(db.sql(pair.bare if number % 2 else pair.sql).fetchall())
        must_be = past.must_be(pair)
        assert rows == must_be, (
            f"seed {past.case.seed}, {where}: {pair.sql}, {pair.meaning}\n"
            f"  too many: {dict(rows - must_be)}\n  missing: {dict(must_be - rows)}"
        )


def without_images(disk: SimulatedDisk) -> SimulatedDisk:
    for name in disk.listdir("db/images"):
        disk.remove(f"db/images/{name}")
    return disk
