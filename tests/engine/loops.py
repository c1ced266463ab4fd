"""Loops of queries to be tested, and all that they have written."""

from __future__ import annotations

import random
from collections.abc import Sequence

import headwater

RETRIES = """
    CREATE STREAM jobs (id BIGINT, tries BIGINT, work BIGINT);
    CREATE STREAM failed (id BIGINT, tries BIGINT, work BIGINT);
    CREATE STREAM dead (id BIGINT, tries BIGINT);
    INSERT INTO failed SELECT id, tries, work FROM jobs WHERE work > 0 WITH (name = 'try_job');
    INSERT INTO jobs SELECT id, tries + 1, work - 1 FROM failed WHERE tries < 3
        WITH (name = 'again', feedback = '1 step', max_hops = 50);
    INSERT INTO dead SELECT id, tries FROM failed WHERE tries >= 3 WITH (name = 'give_up');
"""
IN_ITS_OWN_CLOCK = f"""
    CREATE STREAM asked (id BIGINT, tries BIGINT, work BIGINT);
    CREATE PIPELINE retries (IN new STREAM (id BIGINT, tries BIGINT, work BIGINT)) AS BEGIN
        {RETRIES}
        INSERT INTO jobs SELECT id, tries, work FROM new WITH (name = 'take');
    END;
    CREATE INSTANCE own OF retries (new => asked) WITH (clock = 'own');
"""
COUNTER = """
    CREATE STREAM r (n BIGINT);
    INSERT INTO r SELECT n + 1 FROM r WHERE n < {until} WITH (name = 'run', feedback = '1 step', max_hops = {hops});
"""

Batches = Sequence[Sequence[tuple[int, int]]]


def rows(db: headwater.Database, sql: str) -> list[tuple[object, ...]]:
    return db.sql(sql).fetchall()


def states(db: headwater.Database) -> dict[object, object]:
    return {row[0]: row[2] for row in rows(db, "SHOW QUERIES")}


def written(db: headwater.Database, inside: str = "") -> list[list[tuple[object, ...]]]:
    """All that is in the streams of the retry loop, in the order in which it was written."""
    streams = ("jobs", "failed", "dead")
    return [rows(db, f"SELECT * EXCLUDE (tries), tries FROM {inside}{s} ORDER BY ROWOFFSET") for s in streams]


def logged(
    batches: Batches, seed: int | None = None, *, background: bool = False, own_clock: bool = False
) -> list[list[tuple[object, ...]]]:
    """What the retry loop writes of batches of jobs, where its steps are made at random between, or when asked."""
    chance = random.Random(seed)
    with headwater.connect(background=background) as db:
        db.execute(IN_ITS_OWN_CLOCK if own_clock else RETRIES)
        for batch in batches:
            db.append("asked" if own_clock else "jobs", [{"id": id, "tries": 0, "work": work} for id, work in batch])
            for _ in range(chance.randrange(6) if seed is not None else 0):
                chance.choice(db.apart.all).step()
        db.settle()
        return written(db, "INSPECT own." if own_clock else "")
