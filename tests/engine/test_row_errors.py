"""Rows on which a continuous query fails: they go to its error stream, exactly once, and the others go on."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from headwater import Database, HeadwaterError, NameTaken, SqlError
from headwater.executor.row_errors import CAUSES_MAX, FURTHER
from headwater.storage import SimulatedDisk

ERRORS = ["cause", "expression", "operator", "relation", "partition", "offset", "row"]


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return db.sql(sql).fetchall()


@pytest.fixture
def casts(db: Database) -> Database:
    db.execute("""
        CREATE STREAM s (v VARCHAR, n BIGINT) WITH (partitions = 2);
        CREATE TABLE hot AS SELECT CAST(v AS INTEGER) AS a, n FROM s WHERE n * n > 0;
    """)
    return db


def insert(db: Database, *some: tuple[str | None, int | None]) -> None:
    db.append("s", [{"v": v, "n": n} for v, n in some])


# ---------------------------------------------------------------- the error stream


def test_a_row_that_fails_is_in_the_error_stream_with_cause_place_and_content(casts: Database) -> None:
    insert(casts, ("1", 1), ("x", 2), (None, 3), ("4", 2**63 - 1))
    assert rows(casts, "SELECT * FROM hot ORDER BY n") == [(1, 1), (None, 3)]
    assert casts.sql("SELECT * FROM hot_errors").names == ERRORS
    cast, overflow = rows(casts, "SELECT * FROM hot_errors ORDER BY ALL")
    assert cast[:-1] == ("could not convert string 'x' to INTEGER", 'CAST("v" AS INTEGER)', "Project", "s", 1, 0)
    assert json.loads(cast[-1]) == {"v": "x", "n": 2}
    assert overflow[0] == f"overflow in multiplication of BIGINT ({2**63 - 1} * {2**63 - 1})"
    assert overflow[2:6] == ("Project", "s", 1, 1)
    assert rows(casts, "SELECT v FROM s WHERE ROWPARTITION = 1 AND ROWOFFSET = 0") == [("x",)]


def test_places_are_those_of_the_log_however_commits_and_steps_cut_it(casts: Database) -> None:
    for round in range(4):
        insert(casts, *((str(i) if i % 3 else f"{round}-{i}", i) for i in range(7)))
        if round % 2:
            casts.settle()
    failed = rows(casts, "SELECT partition, offset, row FROM hot_errors")
    assert len(failed) == 8  # nought is left out
    for partition, offset, row in failed:
        at = f"SELECT v, n FROM s WHERE ROWPARTITION = {partition} AND ROWOFFSET = {offset}"
        assert rows(casts, at) == [tuple(json.loads(row).values())]


def test_the_error_stream_is_there_before_the_first_error_and_is_shown_from_then_on(casts: Database) -> None:
    assert rows(casts, "SELECT * FROM HOT_ERRORS") == []
    assert "hot_errors" not in {row[0] for row in rows(casts, "SHOW STREAMS")}
    insert(casts, ("x", 1))
    assert [row for row in rows(casts, "SHOW STREAMS") if row[1] == "errors"] == [("hot_errors", "errors", None, 1, 1)]
    assert [name for name, _, _ in rows(casts, "DESCRIBE hot_errors")] == ERRORS


def test_errors_have_the_time_of_the_input_that_failed() -> None:
    disk = SimulatedDisk()
    disk.clock_us = 1_767_225_605_000_000
    with Database(disk, "db", None, background=False) as db:
        db.execute("CREATE STREAM s (v VARCHAR); CREATE TABLE hot AS SELECT CAST(v AS INTEGER) AS a FROM s")
        db.append("s", [{"v": "x"}])
        disk.clock_us += 60_000_000
        at = datetime.fromtimestamp(1_767_225_605, UTC).replace(tzinfo=None)
        assert rows(db, "SELECT ROWTIME, ROWPARTITION, ROWOFFSET FROM hot_errors") == [(at, 0, 0)]


def test_errors_can_be_watched_and_counted_by_another_query(casts: Database) -> None:
    casts.execute("CREATE TABLE causes AS SELECT cause, count(*) AS n FROM hot_errors GROUP BY cause")
    watched = casts.subscribe("SELECT row FROM hot_errors EMIT CHANGES")
    for _ in range(2):
        insert(casts, ("x", 1), ("2", 2), ("x", 3))
    assert rows(casts, "SELECT n FROM causes") == [(4,)]
    seen = 0
    while (batch := watched.poll(0)) is not None:
        seen += len(list(batch))
    assert seen == 4
    watched.close()


def test_errors_of_the_past_come_with_a_new_query(casts: Database) -> None:
    insert(casts, ("x", 1), ("2", 2))
    casts.execute("CREATE STREAM later AS SELECT CAST(v AS INTEGER) AS a FROM s")
    assert rows(casts, "SELECT offset, row FROM later_errors") == [(0, '{"v":"x"}')]


def test_errors_can_be_asked_for_as_of_a_version(casts: Database) -> None:
    insert(casts, ("x", 1))
    casts.settle()
    version = casts.version
    insert(casts, ("y", 1))
    assert rows(casts, f"SELECT count(*) FROM hot_errors AS OF VERSION {version}") == [(1,)]
    assert rows(casts, "SELECT count(*) FROM hot_errors") == [(2,)]


def test_a_row_that_is_removed_is_not_told_of_again_and_a_changed_one_is(db: Database) -> None:
    db.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v VARCHAR)")
    db.execute("CREATE TABLE hot AS SELECT CAST(v AS INTEGER) FROM t")
    db.execute("INSERT INTO t VALUES (1, 'x'), (2, '2')")
    db.settle()
    db.execute("UPDATE t SET v = 'y' WHERE id = 1")
    db.settle()
    db.execute("DELETE FROM t")
    assert rows(db, "SELECT row, partition, offset FROM hot_errors") == [
        ('{"id":1,"v":"x"}', None, None), ('{"id":1,"v":"y"}', None, None)]  # fmt: skip


def test_a_row_that_stands_twice_fails_twice(db: Database) -> None:
    db.execute("CREATE TABLE b (v VARCHAR); CREATE TABLE hot AS SELECT CAST(v AS INTEGER) FROM b")
    db.execute("INSERT INTO b VALUES ('x'), ('x'), ('1')")
    assert rows(db, "SELECT row FROM hot_errors") == [('{"v":"x"}',)] * 2


def test_a_chain_blames_the_expression_that_fails_first(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (v VARCHAR, n INTEGER);
        CREATE TABLE hot AS SELECT 10 // a AS b, n FROM (SELECT CAST(v AS INTEGER) AS a, n FROM s WHERE 6 // n > 0) q;
    """)
    db.execute("INSERT INTO s VALUES ('0', 1), ('x', 1), ('x', 0), ('5', 1), ('x', 9)")
    found = Counter(cause.partition(" in ")[0] for (cause,) in rows(db, "SELECT cause FROM hot_errors"))
    assert found == Counter({"division by zero": 2, "could not convert string 'x' to INTEGER": 1})
    assert rows(db, "SELECT count(DISTINCT expression) FROM hot_errors") == [(3,)]


def test_what_a_group_cannot_compute_is_told_with_its_key_and_stays_null(db: Database) -> None:
    db.execute("CREATE STREAM s (g VARCHAR, v INTEGER)")
    db.execute("CREATE TABLE hot AS SELECT g, count(*) AS n, mode(v), bitstring_agg(v, 0, 9) AS b FROM s GROUP BY g")
    db.execute("INSERT INTO s VALUES ('a', 3), ('b', 7), ('b', -1)")
    assert rows(db, "SELECT g, n, b IS NULL FROM hot ORDER BY g") == [("a", 1, False), ("b", 2, True)]
    assert rows(db, "SELECT * FROM hot_errors") == [(
        "value -1 is outside of provided min and max range (0 <-> 9)", 'bitstring_agg("v", 0, 9)', "Aggregate",
        None, None, None, '{"g":"b"}',
    )]  # fmt: skip


def test_a_partition_whose_functions_fail_is_told_of(db: Database) -> None:
    db.execute("""
        CREATE TABLE b (g VARCHAR, v INTEGER);
        CREATE TABLE hot AS SELECT g, v, sum(v) OVER (PARTITION BY g ORDER BY v RANGE BETWEEN v PRECEDING
                                   AND CURRENT ROW) AS s, count(*) OVER (PARTITION BY g) AS n FROM b;
    """)
    db.execute("INSERT INTO b VALUES ('a', 1), ('a', 2), ('b', -1)")
    assert rows(db, "SELECT * FROM hot ORDER BY g, v") == [("a", 1, 1, 2), ("a", 2, 3, 2), ("b", -1, None, None)]
    ((cause, expression, operator, row),) = rows(db, "SELECT cause, expression, operator, row FROM hot_errors")
    assert operator == "Over" and expression.startswith("sum(") and "invalid" in cause.lower()
    assert json.loads(row) == {"g": "b"}


# ---------------------------------------------------------------- exactly once


def test_errors_are_written_once_and_counted_over_restarts() -> None:
    disk = SimulatedDisk()
    with Database(disk, "db", None, background=False) as db:
        db.execute("""
            CREATE STREAM s (v VARCHAR);
            CREATE STREAM bad (row VARCHAR);
            CREATE TABLE hot AS SELECT CAST(v AS INTEGER) AS a FROM s;
            CREATE TABLE skips AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR SKIP;
            CREATE TABLE puts AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR INSERT INTO bad;
        """)
        db.execute("INSERT INTO s VALUES ('x'), ('1')")
        db.settle()
    for round in range(3):
        with Database(disk, "db", None, background=False) as db:
            expected = 1 + round
            assert rows(db, "SELECT count(*) FROM hot_errors") == [(expected,)]
            assert rows(db, "SELECT count(*) FROM bad") == [(expected,)]
            shown = db.sql("SHOW QUERIES")
            place = shown.names.index("failed rows")
            assert {row[0]: row[place] for row in shown.fetchall()} == dict.fromkeys(["hot", "skips", "puts"], expected)
            if round == 1:
                db.execute("CHECKPOINT")
            db.execute("INSERT INTO s VALUES ('y'), ('2')")
            db.settle()


# ---------------------------------------------------------------- ON ERROR


def test_skipped_rows_have_no_stream(db: Database) -> None:
    db.execute("CREATE STREAM s (v VARCHAR); CREATE TABLE hot AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR SKIP")
    db.execute("INSERT INTO s VALUES ('x')")
    with pytest.raises(SqlError, match='there is no stream or table "hot_errors"'):
        db.sql("SELECT * FROM hot_errors")
    assert "ON ERROR SKIP" in rows(db, "SHOW QUERIES")[0][-1]


def test_errors_go_into_a_given_stream_by_the_names_of_its_columns(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (v VARCHAR);
        CREATE STREAM bad (Relation VARCHAR KEY, "offset" BIGINT, cause VARCHAR) WITH (partitions = 3);
        CREATE TABLE a AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR INSERT INTO bad;
        CREATE STREAM b AS SELECT CAST(v AS DATE) AS a FROM s ON ERROR INSERT INTO bad;
        INSERT INTO s VALUES ('1'), ('2020-01-01');
        INSERT INTO bad VALUES ('me', 7, 'I say so');
    """)
    assert rows(db, 'SELECT Relation, "offset" FROM bad ORDER BY 1, 2') == [("me", 7), ("s", 0), ("s", 1)]


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("CREATE STREAM bad (cause INTEGER)", "nothing of an error is cause INTEGER"),
        ("CREATE STREAM bad (v VARCHAR)", "nothing of an error is v VARCHAR"),
        ("CREATE TABLE bad (cause VARCHAR)", "not a stream that rows are put into"),
        ("CREATE STREAM bad AS SELECT v AS cause FROM s", "not a stream that rows are put into"),
        ('CREATE STREAM bad (cause VARCHAR, "offset" BIGINT NOT NULL)', "offset cannot be NOT NULL"),
        ("CREATE STREAM good (cause VARCHAR)", 'there is no stream or table "bad"'),
    ],
)
def test_a_stream_that_errors_do_not_fit_is_refused(db: Database, target: str, message: str) -> None:
    db.execute(f"CREATE STREAM s (v VARCHAR); {target}")
    with pytest.raises(SqlError, match=message):
        db.execute("CREATE TABLE t AS SELECT v FROM s ON ERROR INSERT INTO bad")


def test_errors_cannot_come_back_to_their_query_on_whatever_way(db: Database) -> None:
    db.execute("CREATE STREAM a (cause VARCHAR); CREATE STREAM b (cause VARCHAR)")
    with pytest.raises(SqlError, match="would read its own errors"):
        db.execute("CREATE TABLE t AS SELECT * FROM a ON ERROR INSERT INTO a")
    db.execute("CREATE TABLE t AS SELECT * FROM a ON ERROR INSERT INTO b")
    with pytest.raises(SqlError, match="would read its own errors"):
        db.execute("CREATE TABLE u AS SELECT * FROM b ON ERROR INSERT INTO a")


# ---------------------------------------------------------------- names


def test_the_error_stream_belongs_to_its_query(casts: Database) -> None:
    for statement in (
        "DROP STREAM hot_errors",
        "CREATE STREAM hot_errors (a INTEGER)",
        "CREATE OR REPLACE VIEW hot_errors AS SELECT 1",
        "ALTER STREAM hot_errors ADD COLUMN a INTEGER",
    ):
        with pytest.raises(SqlError, match='"hot_errors" is the error stream of "hot"'):
            casts.execute(statement)
    with pytest.raises(SqlError, match='the rows of "hot_errors" come from'):
        casts.execute("INSERT INTO hot_errors VALUES ('mine')")
    insert(casts, ("x", 1))
    casts.execute("DROP TABLE hot")
    with pytest.raises(SqlError, match="there is no stream or table"):
        casts.sql("SELECT * FROM hot_errors")
    casts.execute("CREATE STREAM hot_errors (mine INTEGER)")
    assert rows(casts, "SELECT * FROM hot_errors") == []


def test_a_query_whose_error_stream_would_have_a_taken_name_is_refused(db: Database) -> None:
    db.execute("CREATE STREAM s (v VARCHAR); CREATE STREAM hot_errors (cause VARCHAR)")
    with pytest.raises(NameTaken, match='would have the error stream "hot_errors"'):
        db.execute("CREATE TABLE hot AS SELECT CAST(v AS INTEGER) AS a FROM s")
    db.execute("CREATE TABLE hot AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR INSERT INTO hot_errors")
    db.execute("INSERT INTO s VALUES ('x')")
    assert rows(db, "SELECT * FROM hot_errors") == [("could not convert string 'x' to INTEGER",)]


def test_a_replaced_query_begins_with_errors_of_its_own(casts: Database) -> None:
    insert(casts, ("x", 1), ("2020-01-01", 2))
    assert rows(casts, "SELECT count(*) FROM hot_errors") == [(2,)]
    casts.execute("CREATE OR REPLACE TABLE hot AS SELECT CAST(v AS DATE) AS a FROM s")
    assert rows(casts, "SELECT row FROM hot_errors") == [('{"v":"x"}',)]


def test_what_reads_errors_depends_on_the_query_and_so_does_where_they_go(db: Database) -> None:
    db.execute("""
        CREATE STREAM s (v VARCHAR); CREATE STREAM bad (cause VARCHAR);
        CREATE TABLE hot AS SELECT CAST(v AS INTEGER) AS a FROM s;
        CREATE TABLE other AS SELECT CAST(v AS INTEGER) AS a FROM s ON ERROR INSERT INTO bad;
        CREATE TABLE causes AS SELECT cause, count(*) AS n FROM hot_errors GROUP BY cause;
    """)
    with pytest.raises(NameTaken, match='"hot" is read by causes'):
        db.execute("DROP TABLE hot")
    with pytest.raises(NameTaken, match='"bad" is read by other'):
        db.execute("DROP STREAM bad")
    db.execute("DROP TABLE hot CASCADE; DROP TABLE other; DROP STREAM bad")
    with pytest.raises(HeadwaterError):
        db.sql("SELECT * FROM causes")


# ---------------------------------------------------------------- many errors


def test_ten_thousand_bad_rows_are_told_of_in_one_step_and_the_first_say_why(db: Database) -> None:
    """What is looked at again is the batch, not each row; only for the cause of a row DuckDB is asked alone."""
    db.execute("CREATE STREAM s (v VARCHAR, n BIGINT); CREATE TABLE hot AS SELECT CAST(v AS INTEGER) AS a, n FROM s")
    db.append("s", {"v": [str(i) if i % 10 else f"bad {i}" for i in range(100_000)], "n": list(range(100_000))})
    assert rows(db, "SELECT count(*), sum(n) FROM hot") == [(90_000, sum(i for i in range(100_000) if i % 10))]
    assert rows(db, "SELECT count(*), sum(CAST(row->>'n' AS BIGINT)) FROM hot_errors") == [
        (10_000, sum(range(0, 100_000, 10)))]  # fmt: skip
    assert rows(db, "SELECT count(*) FROM hot_errors WHERE row->>'n' = CAST(offset AS VARCHAR)") == [(10_000,)]
    causes = rows(db, "SELECT cause FROM hot_errors ORDER BY ROWOFFSET")
    assert causes[1] == ("could not convert string 'bad 10' to INTEGER",)
    assert len(set(causes)) == CAUSES_MAX + 1 and causes[-1] == (FURTHER,)
