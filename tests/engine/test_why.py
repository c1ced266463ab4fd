"""EXPLAIN ROW and EXPLAIN MISSING: which records a row is made of, and where a missing one was lost."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest

from headwater import Database, OutOfRange, SqlError, UnknownName, Unsupported

START = """
CREATE STREAM bids (auction INTEGER, bidder INTEGER, price INTEGER, at TIMESTAMP) WITH (timestamp = 'at');
CREATE TABLE people (id INTEGER PRIMARY KEY, name VARCHAR, city VARCHAR);
INSERT INTO people VALUES (1, 'ann', 'Bern'), (2, 'bob', 'Rome');
INSERT INTO bids VALUES (7, 1, 80, '2026-01-01 00:00:01'), (7, 2, 120, '2026-01-01 00:00:12'),
                        (7, 9, 5, '2026-01-01 00:00:13'), (8, 1, 30, '2026-01-01 00:00:25');
"""
PEOPLE, BIDS = 3, 4  # the versions of these commits


@pytest.fixture(autouse=True)
def start(db: Database) -> None:
    db.execute(START)


def records(db: Database, asked: str) -> list[tuple[Any, ...]]:
    """Source, offset, and version of the records that EXPLAIN ROW names."""
    return [(row[1], row[3], row[4]) for row in db.sql(f"EXPLAIN ROW {asked}").fetchall()]


def steps(db: Database, asked: str) -> list[tuple[Any, ...]]:
    """The operator, the candidates, the reason and the example of each line of EXPLAIN MISSING."""
    lines = db.sql(f"EXPLAIN MISSING {asked}").fetchall()
    return [(step.partition(" ")[0], candidates, reason, example) for step, candidates, _, reason, example in lines]


# ---------------------------------------------------------------- EXPLAIN ROW


def test_a_group_is_made_of_the_rows_that_are_in_it(db: Database) -> None:
    db.execute("CREATE TABLE hot AS SELECT auction, count(*) AS n FROM bids WHERE price > 10 GROUP BY auction")
    assert records(db, "hot WHERE auction = 7") == [("bids", 0, BIDS), ("bids", 1, BIDS)]
    ((row, source, partition, offset, version, record, via, note),) = db.sql(
        "EXPLAIN ROW hot WHERE auction = 8"
    ).fetchall()
    assert row == "auction = 8, n = 1"
    assert (source, partition, offset, version) == ("bids", 0, 3, BIDS)
    assert record == "auction = 8, bidder = 1, price = 30, at = 2026-01-01 00:00:25"
    assert via == 'Aggregate by auction: count(*) ← Filter "price" > 10'
    assert note is None


def test_the_row_of_a_source_is_the_record_that_made_it(db: Database) -> None:
    db.execute("UPDATE people SET city = 'Oslo' WHERE id = 1")
    updated = db.version
    assert records(db, "people WHERE id = 1") == [("people", 2, updated)]
    assert records(db, f"people WHERE id = 1 AS OF VERSION {BIDS}") == [("people", 0, PEOPLE)]
    assert records(db, "bids WHERE ROWOFFSET = 2") == [("bids", 2, BIDS)]


def test_the_row_of_a_stream_met_a_table_as_it_was_then(db: Database) -> None:
    db.execute("""
        CREATE STREAM placed AS SELECT b.auction, p.city FROM bids b LEFT JOIN people p ON b.bidder = p.id;
        UPDATE people SET city = 'Oslo' WHERE id = 1;
        INSERT INTO bids VALUES (8, 1, 31, '2026-01-01 00:00:26');
    """)
    assert records(db, "placed WHERE ROWOFFSET = 0") == [("bids", 0, BIDS), ("people", 0, PEOPLE)]
    assert records(db, "placed WHERE ROWOFFSET = 2") == [("bids", 2, BIDS)]
    assert [found[:2] for found in records(db, "placed WHERE city = 'Oslo'")] == [("bids", 4), ("people", 2)]


def test_a_table_that_is_computed_is_followed_as_it_was_when_a_stream_met_it(db: Database) -> None:
    db.execute("""
        CREATE TABLE cities AS SELECT city, count(*) AS n FROM people GROUP BY city;
        CREATE STREAM visits (city VARCHAR);
        CREATE STREAM sized AS SELECT v.city, c.n FROM visits v JOIN cities c ON v.city = c.city;
        INSERT INTO visits VALUES ('Bern');
        INSERT INTO people VALUES (3, 'cy', 'Bern');
        INSERT INTO visits VALUES ('Bern');
    """)
    then = [found[:2] for found in records(db, "sized WHERE n = 1")]
    now = [found[:2] for found in records(db, "sized WHERE n = 2")]
    assert then == [("visits", 0), ("people", 0)]
    assert now == [("visits", 1), ("people", 0), ("people", 2)]


def test_a_stream_that_met_a_table_before_meets_the_next_one_as_it_was_then(db: Database) -> None:
    db.execute("""
        CREATE TABLE cities AS SELECT city, count(*) AS n FROM people GROUP BY city;
        CREATE STREAM visits (bidder INTEGER, city VARCHAR);
        CREATE STREAM sized AS SELECT v.city, p.name, c.n FROM visits v LEFT JOIN people p ON v.bidder = p.id
          JOIN cities c ON v.city = c.city;
        INSERT INTO visits VALUES (7, 'Bern');
        INSERT INTO people VALUES (3, 'cy', 'Bern');
        INSERT INTO visits VALUES (3, 'Bern');
    """)
    then = [found[:2] for found in records(db, "sized WHERE n = 1")]
    now = [found[:2] for found in records(db, "sized WHERE n = 2")]
    assert then == [("visits", 0), ("people", 0)]
    assert now == [("visits", 1), ("people", 2), ("people", 0), ("people", 2)]


def test_what_is_not_followed_is_said(db: Database) -> None:
    db.execute("""
        CREATE TABLE cities AS SELECT city, count(*) AS n FROM people GROUP BY city;
        CREATE STREAM visits (city VARCHAR);
        CREATE TABLE visited AS SELECT c.city, count(*) AS visits FROM visits v JOIN cities c ON v.city = c.city
          GROUP BY c.city;
    """)
    db.append("visits", [{"city": "Bern"} for _ in range(70)])
    lines = db.sql("EXPLAIN ROW visited WHERE city = 'Bern'").fetchall()
    assert [line[1] for line in lines] == ["visits"] * 70 + ["people", None]
    assert lines[-1][-1] == "6 rows of a stream met a row of Aggregate as it was then, which is not followed further"


def test_a_late_row_is_in_no_window(db: Database) -> None:
    db.execute("""
        CREATE TABLE tens AS SELECT auction, count(*) AS n FROM bids
          WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY auction;
        INSERT INTO bids VALUES (7, 1, 1, '2026-01-01 00:00:02');
    """)
    assert records(db, "tens WHERE auction = 7 AND WINDOWSTART = '2026-01-01 00:00:00'") == [("bids", 0, BIDS)]
    assert steps(db, "tens WHERE auction = 7 AND WINDOWSTART = '2026-01-01 00:00:00' AND n = 2")[0][0] == "Aggregate"
    ((operator, candidates, reason, example),) = steps(db, "tens WHERE auction = 8 AND n > 1")
    assert (operator, candidates, example) == ("Aggregate", 1, "bids (0, 3): count(*) = 1")


def test_equal_rows_of_a_table_without_a_key_are_those_that_were_not_deleted(db: Database) -> None:
    db.execute("""
        CREATE TABLE bag (x INTEGER);
        CREATE TABLE total AS SELECT sum(x) AS s FROM bag;
        INSERT INTO bag VALUES (1), (1), (5);
        DELETE FROM bag WHERE x = 1;
        INSERT INTO bag VALUES (1);
    """)
    found = [(offset, record) for _, _, _, offset, _, record, _, _ in db.sql("EXPLAIN ROW total WHERE true").fetchall()]
    assert [record for _, record in found] == ["x = 5", "x = 1"]
    assert found[0][0] == 2


def test_rows_of_a_recursion_come_from_all_that_derives_them(db: Database) -> None:
    db.execute("""
        CREATE TABLE edges (a INTEGER, b INTEGER);
        CREATE TABLE reached AS WITH RECURSIVE r(n) AS (SELECT 1 UNION SELECT e.b FROM r JOIN edges e ON e.a = r.n)
          SELECT n FROM r;
        INSERT INTO edges VALUES (1, 2), (2, 3), (2, 4), (5, 3);
    """)
    assert [offset for _, offset, _ in records(db, "reached WHERE n = 3")] == [0, 1]


def test_a_row_of_constants_has_no_record(db: Database) -> None:
    db.execute("CREATE TABLE none AS SELECT count(*) AS n FROM bids WHERE price > 1000")
    ((row, source, *_, note),) = db.sql("EXPLAIN ROW none WHERE n = 0").fetchall()
    assert (row, source) == ("n = 0", None)
    assert note == "made of no record: of constants, or of no rows"


def test_many_rows_and_records_are_cut_short(db: Database) -> None:
    rows = [{"auction": n, "bidder": 1, "price": 50, "at": datetime(2026, 1, 1)} for n in range(100, 225)]
    db.append("bids", rows)
    db.execute("CREATE TABLE all_bids AS SELECT count(*) AS n FROM bids")
    lines = db.sql("EXPLAIN ROW all_bids WHERE true").fetchall()
    assert len(lines) == 101 and lines[-1][-1] == "29 more records"
    assert db.sql("EXPLAIN ROW bids WHERE price = 50").fetchall()[-1][-1] == "105 more rows meet the condition"


# ---------------------------------------------------------------- EXPLAIN MISSING


def test_a_row_that_is_there_is_not_missing(db: Database) -> None:
    ((name, candidates, reason, example),) = steps(db, "people WHERE id = 1")
    assert (name, candidates) == ("people", 1) and reason.startswith("not missing")
    assert example == "id = 1, name = 'ann', city = 'Bern'"


def test_a_condition_that_no_candidate_meets_is_the_reason(db: Database) -> None:
    db.execute("CREATE TABLE dear AS SELECT auction, count(*) AS n FROM bids WHERE price > 100 GROUP BY auction")
    assert steps(db, "dear WHERE auction = 8") == [
        ("Filter", 1, 'not true: price > 100', "bids (0, 3): price = 30"),
    ]  # fmt: skip
    assert steps(db, "dear WHERE auction = 9") == [
        ("StreamSource", 4, "no record of bids has auction = 9",
         "bids (0, 3): auction = 8; bids (0, 0): auction = 7; bids (0, 1): auction = 7"),
    ]  # fmt: skip


def test_a_group_that_is_there_is_said_to_be_otherwise(db: Database) -> None:
    db.execute("""
        CREATE TABLE busy AS SELECT auction, count(*) AS n FROM bids GROUP BY auction HAVING count(*) > 2;
    """)
    assert steps(db, "busy WHERE auction = 8") == [
        ("Filter", 1, 'not true: count(*) > 2', "bids (0, 3): count(*) = 1"),
    ]  # fmt: skip
    assert steps(db, "busy WHERE auction = 7 AND n = 4")[0][1:3] == (
        1, 'such a group is there, but not true is count(*) = 4',
    )  # fmt: skip


def test_a_key_that_the_other_side_does_not_have_is_the_reason(db: Database) -> None:
    db.execute("CREATE TABLE homes AS SELECT b.auction, b.price, p.city FROM bids b JOIN people p ON b.bidder = p.id")
    assert steps(db, "homes WHERE price = 5") == [
        ("Join", 1, "no row of the right side goes with these", "bids (0, 2): b.bidder = 9"),
        ("TableSource", 2, f"at version {BIDS}: no row of people has id = 9",
         "people (0, 1): id = 2; people (0, 0): id = 1"),
    ]  # fmt: skip


def test_a_row_of_a_table_that_came_after_that_of_the_stream_is_the_reason(db: Database) -> None:
    db.execute("""
        CREATE TABLE homes AS SELECT b.auction, b.price, p.city FROM bids b JOIN people p ON b.bidder = p.id;
        INSERT INTO people VALUES (9, 'ida', 'Kyiv');
    """)
    first, second = steps(db, "homes WHERE price = 5")
    assert first == ("Join", 1, "no row of the right side goes with these", "bids (0, 2): b.bidder = 9")
    assert second[0] == "TableSource"
    assert second[2] == f"at version {BIDS}: no row of people has id = 9"


def test_a_table_that_has_changed_since_is_looked_at_as_it_was(db: Database) -> None:
    db.execute("""
        CREATE TABLE homes AS SELECT b.price, p.city FROM bids b JOIN people p ON b.bidder = p.id WHERE p.name = 'ida';
        UPDATE people SET city = 'Oslo' WHERE id = 2;
    """)
    lost, reason = steps(db, "homes WHERE price = 120 AND city = 'Rome'")
    assert lost[:2] == ("Join", 1)
    assert reason[2:] == (f"at version {BIDS}: not true: name = 'ida'", "people (0, 1): name = 'bob'")


def test_a_late_record_is_the_reason(db: Database) -> None:
    db.execute("""
        CREATE TABLE tens AS SELECT auction, count(*) AS n FROM bids
          WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 5 SECONDS) GROUP BY auction;
        INSERT INTO bids VALUES (8, 1, 1, '2026-01-01 00:00:02');
    """)
    ((operator, candidates, reason, example),) = steps(
        db, "tens WHERE auction = 8 AND WINDOWSTART < '2026-01-01 00:00:10'"
    )
    assert (operator, candidates) == ("WindowAssign", 1)
    assert reason == "late: before them the stream time of their partition had passed WINDOWEND + 5 seconds"
    assert example.startswith("bids (0, 4): ROWTIME = 2026-01-01 00:00:02, stream time = 2026-01-01 00:00:25")


def test_a_window_that_has_not_closed_is_the_reason(db: Database) -> None:
    db.execute("""
        CREATE TABLE final AS SELECT auction, count(*) AS n FROM bids
          WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY auction EMIT FINAL;
    """)
    ((operator, candidates, reason, example),) = steps(db, "final WHERE auction = 8")
    assert (operator, candidates) == ("TemporalFilter", 1)
    assert reason == "visible from WINDOWEND, final, and the clock shows 2026-01-01 00:00:25.000000"
    assert example == "bids (0, 3): WINDOWEND = 2026-01-01 00:00:30"


def test_a_rank_behind_the_limit_is_the_reason(db: Database) -> None:
    db.execute("CREATE TABLE best AS SELECT * FROM bids ORDER BY price DESC LIMIT 2")
    assert steps(db, "best WHERE auction = 8") == [
        ("TopK", 1, "the nearest has rank 3, and kept is 1 to 2", "bids (0, 3): price = 30"),
    ]  # fmt: skip


def test_a_match_is_the_reason_of_an_anti_join(db: Database) -> None:
    db.execute("CREATE TABLE quiet AS SELECT * FROM people p WHERE NOT EXISTS (SELECT 1 FROM bids WHERE bidder = p.id)")
    ((operator, candidates, reason, example),) = steps(db, "quiet WHERE id = 2")
    assert (operator, candidates) == ("SemiJoin", 1) and reason.startswith("these have a match")
    assert example == "people (0, 1), bids (0, 1): id = 2"


def test_what_is_on_the_other_side_is_the_reason_of_except(db: Database) -> None:
    db.execute("CREATE TABLE absent AS SELECT id FROM people EXCEPT SELECT bidder FROM bids")
    ((operator, _, reason, example),) = steps(db, "absent WHERE id = 2")
    assert (operator, reason) == ("Filter", "not true: rows on the right = 0")
    assert example == "people (0, 1), bids (0, 1): count($right) = 1"


def test_a_row_without_a_match_has_none_of_the_other_sides_values(db: Database) -> None:
    db.execute("""
        CREATE TABLE places AS SELECT p.id, p.city, e.n FROM people p
          LEFT JOIN (SELECT bidder, count(*) AS n FROM bids GROUP BY bidder) e ON p.id = e.bidder
    """)
    assert steps(db, "places WHERE id = 1 AND n IS NULL")[0][2] == "these have a match, so not true is e.n IS NULL"
    assert steps(db, "places WHERE id = 3")[0][:3] == ("TableSource", 2, "no row of people has id = 3")


def test_the_version_is_told_at_which_a_row_went(db: Database) -> None:
    db.execute("CREATE TABLE towns AS SELECT city, count(*) AS n FROM people GROUP BY city")
    db.execute("DELETE FROM people WHERE id = 2")
    assert not db.sql("SELECT * FROM towns WHERE city = 'Rome'").fetchall()
    version = db.version
    there = [
        v for v in range(version + 1) if ("Rome", 1) in db.sql(f"SELECT * FROM towns AS OF VERSION {v}").fetchall()
    ]
    gone = max(there) + 1
    earlier, lost = steps(db, "towns WHERE city = 'Rome'")
    assert earlier[2:] == (
        f"towns had such a row until version {gone - 1}: at version {gone} it went, by the commit to people",
        "city = 'Rome', n = 1",
    )
    assert lost[2:] == (
        f"people had such a row until version {gone - 1}: at version {gone} it was deleted",
        "id = 2, name = 'bob', city = 'Rome'",
    )
    assert steps(db, f"towns WHERE city = 'Rome' AS OF VERSION {gone - 1}")[0][2].startswith("not missing")


def test_a_row_that_cannot_be_computed_is_the_reason(db: Database) -> None:
    db.execute("CREATE TABLE numbers AS SELECT id, CAST(city AS INTEGER) AS n FROM people")
    ((operator, candidates, reason, example),) = steps(db, "numbers WHERE id = 1")
    assert (operator, candidates) == ("Project", 1)
    assert reason == "an expression cannot be computed from these rows"
    assert example.startswith("people (0, 0): id = 1")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("asked", "error", "message"),
    [
        ("EXPLAIN ROW people WHERE id = 9", SqlError, 'no row of "people" meets this condition'),
        ("EXPLAIN ROW nobody WHERE id = 9", UnknownName, 'there is no stream or table "nobody"'),
        ("EXPLAIN MISSING people WHERE ident = 9", UnknownName, 'there is no column "ident"'),
        ("EXPLAIN MISSING people WHERE id", SqlError, "WHERE needs a condition, and this is INTEGER"),
        ("EXPLAIN MISSING people WHERE id IN (SELECT 1)", Unsupported, "a subquery in an expression"),
        ("EXPLAIN ROW people WHERE id = 1 AS OF VERSION 99", OutOfRange, "version 99 is not there yet"),
    ],
)
def test_what_cannot_be_answered_is_an_error_with_its_place(
    asked: str, error: type[SqlError], message: str, db: Database
) -> None:
    with pytest.raises(error) as caught:
        db.sql(asked)
    assert caught.value.message.startswith(message) and caught.value.span is not None


def test_an_offset_of_a_derived_stream_is_no_place_in_its_sources(db: Database) -> None:
    db.execute("CREATE STREAM dear AS SELECT * FROM bids WHERE price > 50")
    with pytest.raises(Unsupported, match="no place in its sources"):
        db.sql("EXPLAIN ROW dear WHERE true AS OF OFFSET 1")
    assert records(db, "dear WHERE true AS OF OFFSET (bids => 1)") == [("bids", 0, BIDS)]


def test_an_error_stream_is_a_source(db: Database) -> None:
    db.execute("CREATE TABLE numbers AS SELECT id, CAST(city AS INTEGER) AS n FROM people")
    ((source, offset, _),) = records(db, "numbers_errors WHERE ROWOFFSET = 1")
    assert (source, offset) == ("numbers_errors", 1)


def test_what_retention_has_taken_is_not_guessed(db: Database) -> None:
    db.execute("""
        CREATE STREAM short (x INTEGER) WITH (retention_size = '1 kB');
        CREATE TABLE counted AS SELECT count(*) AS n FROM short;
    """)
    for number in range(20):
        db.append("short", [{"x": n} for n in range(number * 100, number * 100 + 100)])
    db.execute("CHECKPOINT")
    db.append("short", [{"x": -1}])
    db.execute("CHECKPOINT")
    (earliest,) = db.sql("SELECT min(ROWOFFSET) FROM short").fetchone() or (0,)
    assert earliest > 0
    with pytest.raises(Unsupported, match='retention has taken records of "short"'):
        db.sql("EXPLAIN ROW counted WHERE true")
    assert records(db, f"short WHERE ROWOFFSET = {earliest}")[0][:2] == ("short", earliest)


def test_a_recursion_that_asks_more_of_its_rows_is_refused_by_name(db: Database) -> None:
    db.execute("""
        CREATE TABLE r AS WITH RECURSIVE r(n) AS (
          SELECT 1 UNION ALL SELECT n + 1 FROM r WHERE n < 3 AND n NOT IN (SELECT auction FROM bids)) SELECT n FROM r
    """)
    with pytest.raises(Unsupported, match='WITH RECURSIVE "r"'):
        db.sql("EXPLAIN ROW r WHERE n = 2")
