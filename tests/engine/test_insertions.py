"""EXPLAIN ROW and EXPLAIN MISSING lead on through the queries that insert into streams."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime

import headwater
from headwater.engine.database import Database
from headwater.storage import SimulatedDisk
from tests.engine.loops import COUNTER, IN_ITS_OWN_CLOCK, RETRIES, rows


def explained(db: headwater.Database, asked: str) -> list[tuple[object, object, object]]:
    """The source and offset of the records that a row was made of, and what is said of them."""
    return [(row[1], row[3], row[7]) for row in rows(db, f"EXPLAIN ROW {asked}")]


def missing(db: headwater.Database, asked: str) -> list[tuple[str, object]]:
    """The step and the reason of each line of EXPLAIN MISSING."""
    return [(str(row[0]).partition(" [")[0], row[3]) for row in rows(db, f"EXPLAIN MISSING {asked}")]


def test_a_record_names_the_query_that_inserted_it_and_leads_on_to_what_that_read(db: headwater.Database) -> None:
    db.execute(f"{COUNTER.format(until=2, hops=9)} INSERT INTO r VALUES (0)")
    assert explained(db, "r WHERE n = 2") == [("r", 2, "inserted by run"), ("r", 1, "inserted by run"), ("r", 0, None)]
    _, second, third = rows(db, "EXPLAIN ROW r WHERE n = 2")
    assert (second[5], second[6]) == ("n = 1", 'r (0, 2) ← run ← Filter "n" < 2')
    assert (third[5], third[6]) == ("n = 0", 'r (0, 1) ← run ← Filter "n" < 2')


def test_what_is_computed_from_inserted_records_leads_on_too(db: headwater.Database) -> None:
    db.execute(f"{RETRIES} CREATE TABLE given_up AS SELECT id, count(*) AS n FROM dead GROUP BY id")
    db.execute("INSERT INTO jobs VALUES (1, 0, 0), (2, 3, 2), (3, 2, 9)")
    assert explained(db, "given_up WHERE id = 3") == [
        ("dead", 1, "inserted by give_up"), ("failed", 2, "inserted by try_job"), ("jobs", 3, "inserted by again"),
        ("failed", 1, "inserted by try_job"), ("jobs", 2, None),
    ]  # fmt: skip
    assert explained(db, "dead WHERE id = 2") == [
        ("dead", 0, "inserted by give_up"), ("failed", 0, "inserted by try_job"), ("jobs", 1, None),
    ]  # fmt: skip


def test_a_loop_in_a_clock_of_its_own_is_followed_out_of_it(db: headwater.Database) -> None:
    db.execute(f"{IN_ITS_OWN_CLOCK} INSERT INTO asked VALUES (7, 2, 9)")
    found = explained(db, "INSPECT own.dead WHERE id = 7")
    assert [source for source, _, _ in found] == [
        "own.dead", "own.failed", "own.jobs", "own.failed", "own.jobs", "asked",
    ]  # fmt: skip


def test_rows_so_far_rows_of_a_query_that_went_on_and_of_one_that_is_gone_have_their_query(
    db: headwater.Database,
) -> None:
    db.execute("CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT); INSERT INTO a VALUES (1), (2)")
    db.execute("INSERT INTO b SELECT v FROM a WITH (name = 'q'); INSERT INTO a VALUES (3); PAUSE q")
    db.execute("INSERT INTO a VALUES (4); INSERT INTO b VALUES (4); RESUME q; DROP QUERY q; INSERT INTO b VALUES (5)")
    assert [explained(db, f"b WHERE ROWOFFSET = {n}") for n in range(6)] == [
        [("b", 0, "inserted by q"), ("a", 0, None)],
        [("b", 1, "inserted by q"), ("a", 1, None)],
        [("b", 2, "inserted by q"), ("a", 2, None)],
        [("b", 3, None)],
        [("b", 4, "inserted by q"), ("a", 3, None)],
        [("b", 5, None)],
    ]


def test_equal_records_have_a_query_and_a_row_each(db: headwater.Database) -> None:
    db.execute("""
        CREATE STREAM a (v BIGINT, at TIMESTAMP) WITH (timestamp = 'at', partitions = 2);
        CREATE STREAM b (v BIGINT) WITH (partitions = 3);
        INSERT INTO b SELECT v FROM a WITH (name = 'one');
        INSERT INTO b SELECT v FROM a WHERE v < 2 WITH (name = 'two');
    """)
    chance = random.Random(5)
    db.append("a", {"v": [chance.randrange(3) for _ in range(9)], "at": [datetime(2026, 1, 1)] * 9})
    own = rows(db, "SELECT ROWPARTITION, ROWOFFSET FROM b")
    found = [rows(db, f"EXPLAIN ROW b WHERE ROWPARTITION = {p} AND ROWOFFSET = {o}") for p, o in own]
    read = Counter((lines[1][2], lines[1][3], lines[0][7]) for lines in found)
    sent = rows(db, "SELECT v, ROWPARTITION, ROWOFFSET FROM a")
    by_one = [(p, o, "inserted by one") for _, p, o in sent]
    by_two = [(p, o, "inserted by two") for v, p, o in sent if int(str(v)) < 2]
    assert read == Counter([*by_one, *by_two])


def test_so_many_hops_are_followed(db: headwater.Database) -> None:
    db.execute(f"{COUNTER.format(until=60, hops=90)} INSERT INTO r VALUES (0)")
    found = explained(db, "r WHERE n = 60")
    assert found[-1] == ("r", 10, "inserted by run, which is not followed further")
    assert len(found) == 51


def test_what_retention_has_taken_is_not_followed() -> None:
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1_700_000_000_000_000
    with Database(disk, "kept.hw", None, background=False) as db:
        db.execute("""
            CREATE STREAM a (v BIGINT) WITH (retention = '1 hour'); CREATE STREAM b (v BIGINT);
            INSERT INTO b SELECT v FROM a WITH (name = 'q'); INSERT INTO a VALUES (0);
        """)
        db.settle()
        disk.clock_us += 7_200_000_000
        db.execute("INSERT INTO a VALUES (1); CHECKPOINT")
        assert explained(db, "b WHERE v = 0") == [("b", 0, "inserted by q, of what retention has taken")]


def test_a_missing_record_is_looked_for_on_its_way_into_the_stream(db: headwater.Database) -> None:
    db.execute(f"{RETRIES} CREATE STREAM said AS SELECT id FROM dead; INSERT INTO jobs VALUES (2, 0, 2)")
    assert missing(db, "said WHERE id = 2") == [
        ("StreamSource dead #3", "dead has no records"),
        ('give_up: Filter "tries" >= 3', "not true: tries >= 3"),
    ]
    assert missing(db, "dead WHERE id = 5") == [
        ("StreamSource dead #3", "dead has no records"),
        ("give_up: StreamSource failed #2", "no record of failed has id = 5"),
        ("try_job: StreamSource jobs #1", "no record of jobs has id = 5"),
        ("again: StreamSource failed #2", "no record of failed has id = 5"),
    ]


def test_a_row_that_a_query_has_yet_to_insert_is_said_to_come(db: headwater.Database) -> None:
    db.execute(
        "CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT); INSERT INTO b SELECT v FROM a WITH (name = 'q')"
    )
    db.execute("PAUSE q; INSERT INTO a VALUES (1)")
    assert missing(db, "b WHERE v = 1")[-1] == (
        "q: StreamOutput q #3",
        "such rows come with a later step, or the query stood still",
    )
    assert missing(db, "b WHERE ROWOFFSET = 0") == [("StreamSource b #2", "b has no records")]
