"""CHECK: a row that violates one is refused, left out and counted, or put into another stream."""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import Any

import duckdb
import pytest

from headwater import Database, HeadwaterError, QueryFailed, SqlError, connect
from headwater.errors import CheckViolated, TransactionConflict
from headwater.storage import SimulatedDisk


def rows(db: Database, sql: str) -> list[tuple[Any, ...]]:
    return db.sql(sql).fetchall()


def said_of_checks(db: Database, name: str) -> dict[str, str]:
    return {what[2:]: said for what, said, _ in rows(db, f"DESCRIBE {name} EXTENDED") if what.startswith("· CHECK")}


# ---------------------------------------------------------------- what rows are put into


def test_nothing_is_written_where_one_row_violates_a_check(db: Database) -> None:
    db.execute("CREATE STREAM s (a INT, b INT, CHECK (a < b))")
    before = db.version
    with pytest.raises(CheckViolated, match=r'^row 1 violates CHECK \(a < b\) of "s": \{"a":5,"b":2\}'):
        db.execute("INSERT INTO s VALUES (1, 2), (5, 2)")
    with pytest.raises(CheckViolated):
        db.append("s", ({"a": n, "b": 3} for n in range(5)))
    assert (rows(db, "SELECT * FROM s"), db.version) == ([], before)


def test_null_passes(db: Database) -> None:
    db.execute("CREATE TABLE t (a INT CHECK (a > 0)); INSERT INTO t VALUES (NULL), (1)")
    assert rows(db, "SELECT * FROM t ORDER BY ALL") == [(1,), (None,)]


def test_rows_are_left_out_and_counted_or_put_into_a_stream_by_the_first_check_they_violate(db: Database) -> None:
    db.execute("""
        CREATE STREAM rejected (b INT);
        CREATE STREAM s (a INT CHECK (a > 0) ON VIOLATION DROP, b INT) CHECK (b > 0) ON VIOLATION INSERT INTO rejected;
    """)
    assert db.sql("INSERT INTO s VALUES (1, 1), (-1, 1), (1, -1), (-1, -1)").message == (
        "inserted 1 row, and left out 3 that violate a CHECK"
    )
    assert (rows(db, "SELECT * FROM s"), rows(db, "SELECT * FROM rejected")) == ([(1, 1)], [(-1,)])
    assert said_of_checks(db, "s") == {
        "CHECK (a > 0)": "rows left out so far: 2",
        "CHECK (b > 0)": "rows put into rejected so far: 1",
    }
    assert rows(db, "SHOW GROUPS") == []


def test_a_row_and_those_that_are_put_elsewhere_are_one_commit(db: Database) -> None:
    db.execute("""
        CREATE STREAM rejected (a INT);
        CREATE STREAM s (a INT) CHECK (a > 0) ON VIOLATION INSERT INTO rejected;
    """)
    done = db.append("s", [(1,), (-1,), (2,)])
    assert (done.rows, done.offsets) == (2, {0: (0, 2)})
    assert rows(db, f"SELECT a FROM rejected AS OF VERSION {done.version}") == [(-1,)]
    assert rows(db, f"SELECT a FROM rejected AS OF VERSION {done.version - 1}") == []


def test_an_update_that_a_check_refuses_changes_nothing(db: Database) -> None:
    db.execute("CREATE TABLE t (id INT PRIMARY KEY, n INT CHECK (n >= 0)); INSERT INTO t VALUES (1, 1), (2, 5)")
    with pytest.raises(CheckViolated, match=r'"t": \{"id":1,"n":-1\}'):
        db.execute("UPDATE t SET n = n - 2")
    assert rows(db, "SELECT * FROM t ORDER BY id") == [(1, 1), (2, 5)]


@pytest.mark.parametrize("key", ["", " PRIMARY KEY"])
def test_a_row_whose_update_is_left_out_stays_as_it_was(db: Database, key: str) -> None:
    db.execute(f"CREATE TABLE t (id INT{key}, n INT, CHECK (n >= 0) ON VIOLATION DROP)")
    db.execute("INSERT INTO t VALUES (1, 1), (2, 5)")
    assert db.sql("UPDATE t SET n = n - 2").changed == 1
    assert db.sql("UPDATE t SET id = id + 10, n = n - 2 WHERE n < 5").changed == 1
    assert rows(db, "SELECT * FROM t ORDER BY id") == [(1, 1), (12, 1)]
    assert said_of_checks(db, "t") == {"CHECK (n >= 0)": "rows left out so far: 2"}
    db.execute("DELETE FROM t")
    assert rows(db, "SELECT * FROM t") == []


def test_a_row_on_which_the_check_cannot_be_computed_violates_it(db: Database) -> None:
    db.execute("CREATE STREAM s (v VARCHAR) CHECK (CAST(v AS INT) > 0) ON VIOLATION DROP")
    db.execute("INSERT INTO s VALUES ('1'), ('x'), ('-1'), (NULL)")
    assert rows(db, "SELECT v FROM s") == [("1",), (None,)]


def test_a_transaction_commits_what_its_checks_let_through_and_a_rollback_counts_nothing(db: Database) -> None:
    db.execute("""
        CREATE STREAM rejected (a INT);
        CREATE STREAM s (a INT) CHECK (a > 0) ON VIOLATION INSERT INTO rejected;
        BEGIN; INSERT INTO s VALUES (-7); ROLLBACK;
        BEGIN; INSERT INTO s VALUES (1), (-1); INSERT INTO s VALUES (-2);
    """)
    assert rows(db, "SELECT a FROM rejected") == [(-1,), (-2,)]  # its own writes
    db.execute("COMMIT")
    assert rows(db, "SELECT a FROM s") == [(1,)]
    assert said_of_checks(db, "s") == {"CHECK (a > 0)": "rows put into rejected so far: 2"}


def test_a_row_of_a_file_that_violates_a_check_goes_into_the_error_stream(db: Database, tmp_path: Any) -> None:
    (tmp_path / "a.json").write_text('{"a": 1}\n{"a": -1}\n{"a": 2}\n', encoding="utf-8")
    db.execute(f"CREATE STREAM s (a INT CHECK (a > 0)) WITH (connector = 'file', path = '{tmp_path}/*.json')")
    assert rows(db, "SELECT a FROM s") == [(1,), (2,)]
    ((cause,),) = rows(db, "SELECT cause FROM s_errors")
    assert cause.startswith("row 0 violates CHECK (a > 0)")


# ---------------------------------------------------------------- ALTER


def test_a_check_is_added_to_what_there_is_if_no_row_violates_it() -> None:
    disk = SimulatedDisk()
    with Database(disk, "db", None, background=False) as db:
        db.execute("CREATE STREAM bad (id INT, v INT); CREATE STREAM s (id INT, v INT)")
        db.execute("INSERT INTO s VALUES (1, 5), (2, -1)")
        for check, row in (
            ("ADD CHECK (v > 0)", '{"id":2,"v":-1}'),
            ("ADD COLUMN w INT CHECK (w > 0), ADD CHECK (w IS NOT NULL)", '{"id":1,"v":5,"w":null}'),
        ):
            with pytest.raises(SqlError, match=re.escape(f'there is a row in "s" that violates this: {row}')):
                db.execute(f"ALTER STREAM s {check}")
        db.execute("ALTER STREAM s ADD COLUMN w INT CHECK (w > 0) ON VIOLATION DROP")
        db.execute("ALTER STREAM s ADD CHECK (v < 9) ON VIOLATION INSERT INTO bad, ADD CHECK (id < 7)")
    with Database(disk, "db", None, background=False) as db:
        db.execute("INSERT INTO s VALUES (3, 3, 0), (4, 9, 1), (5, 5, 1)")
        with pytest.raises(CheckViolated):
            db.execute("INSERT INTO s VALUES (7, 7, 7)")
        assert rows(db, "SELECT * FROM s") == [(1, 5, None), (2, -1, None), (5, 5, 1)]
        assert rows(db, "SELECT * FROM bad") == [(4, 9)]


def test_rows_that_were_written_in_a_transaction_before_a_check_was_added_are_refused(db: Database) -> None:
    db.execute("CREATE STREAM s (v INT)")
    begun = db.transaction()
    begun.append("s", [(-1,)])
    db.execute("ALTER STREAM s ADD CHECK (v > 0)")
    with pytest.raises(TransactionConflict, match='"s" got a CHECK while this was written'):
        begun.commit()
    assert rows(db, "SELECT * FROM s") == []


def test_a_stream_that_takes_what_is_left_over_gets_no_check(db: Database) -> None:
    db.execute("CREATE STREAM bad (v INT); CREATE STREAM s (v INT) CHECK (v > 0) ON VIOLATION INSERT INTO bad")
    with pytest.raises(SqlError, match='it takes what "s" has no use for'):
        db.execute("ALTER STREAM bad ADD CHECK (v < 0)")
    db.execute("CREATE STREAM t (v INT)")
    with pytest.raises(SqlError, match='cannot go into "t" itself'):
        db.execute("ALTER STREAM t ADD CHECK (v > 0) ON VIOLATION INSERT INTO t")


# ---------------------------------------------------------------- what queries give


@pytest.fixture
def ok(db: Database) -> Database:
    db.execute("""
        CREATE STREAM s (k INT, x INT);
        CREATE STREAM rejected (k INT, y INT);
        CREATE STREAM ok AS SELECT k, x * 2 AS y FROM s CHECK (y > 0) ON VIOLATION INSERT INTO rejected;
        CREATE TABLE totals AS SELECT k, sum(y) AS total FROM ok GROUP BY k CHECK (total < 100) ON VIOLATION DROP;
    """)
    return db


def test_rows_of_a_query_are_checked_and_those_that_read_it_see_what_passes(ok: Database) -> None:
    ok.execute("INSERT INTO s VALUES (1, 10), (1, -10), (2, 60), (2, NULL)")
    assert rows(ok, "SELECT * FROM ok") == [(1, 20), (2, 120), (2, None)]
    assert rows(ok, "SELECT * FROM rejected") == [(1, -20)]
    assert rows(ok, "SELECT * FROM totals") == [(1, 20)]
    ok.execute("INSERT INTO s VALUES (1, 45)")
    assert rows(ok, "SELECT * FROM totals") == []
    assert said_of_checks(ok, "ok") == {"CHECK (y > 0)": "rows put into rejected so far: 1"}
    assert said_of_checks(ok, "totals") == {"CHECK (total < 100)": "rows left out so far: 2"}


def test_a_query_over_old_records_puts_those_that_violate_its_check_aside_too(ok: Database) -> None:
    ok.execute("INSERT INTO s VALUES (3, -1)")
    ok.execute("CREATE OR REPLACE STREAM ok AS SELECT k, x AS y FROM s CHECK (y > 0) ON VIOLATION INSERT INTO rejected")
    assert rows(ok, "SELECT * FROM rejected") == [(3, -2), (3, -1)]


def test_a_query_stops_at_a_row_that_violates_its_check_and_can_go_on_without_it(ok: Database) -> None:
    ok.execute("CREATE TABLE strict AS SELECT k FROM s CHECK (k < 9); INSERT INTO s VALUES (1, 1)")
    assert rows(ok, "SELECT * FROM strict") == [(1,)]
    ok.execute("INSERT INTO s VALUES (9, 1)")
    with pytest.raises(QueryFailed, match=r'stopped at version \d+: the row \{"k":9\} violates CHECK \(k < 9\)'):
        rows(ok, "SELECT * FROM strict")
    assert ("strict", "failed") in rows_of_queries(ok) and ("ok", "running") in rows_of_queries(ok)
    ok.execute("CREATE OR REPLACE TABLE strict AS SELECT k FROM s CHECK (k < 9) ON VIOLATION DROP")
    assert rows(ok, "SELECT * FROM strict") == [(1,)]


def rows_of_queries(db: Database) -> list[tuple[Any, ...]]:
    return [(name, status) for name, _, status, *_ in rows(db, "SHOW QUERIES")]


def test_a_row_on_which_the_check_of_a_query_cannot_be_computed_goes_into_its_error_stream(db: Database) -> None:
    db.execute("CREATE STREAM s (v VARCHAR); CREATE TABLE t AS SELECT v FROM s CHECK (CAST(v AS INT) > 0)")
    db.execute("INSERT INTO s VALUES ('1'), ('x')")
    assert rows(db, "SELECT v FROM t") == [("1",)]
    assert rows(db, "SELECT row FROM t_errors") == [('{"v":"x"}',)]


def test_where_rows_went_can_be_dropped_only_with_what_puts_them_there(ok: Database) -> None:
    with pytest.raises(HeadwaterError, match='"rejected" is read by ok, totals'):
        ok.execute("DROP STREAM rejected")


def test_a_column_that_is_added_to_the_stream_that_takes_rows_is_filled_where_it_fits(ok: Database) -> None:
    ok.execute("ALTER STREAM rejected ADD COLUMN note VARCHAR; INSERT INTO s VALUES (1, -1)")
    assert rows(ok, "SELECT * FROM rejected") == [(1, -2, None)]


# ---------------------------------------------------------------- laws


def test_checks_and_counts_are_the_same_after_a_restart_at_any_moment() -> None:
    disk = SimulatedDisk()

    def opened() -> Database:
        return Database(disk, "db", None, background=False)

    with opened() as db:
        db.execute("""
            CREATE STREAM low (a INT); CREATE STREAM odd (a INT);
            CREATE STREAM s (a INT) CHECK (a >= 0) ON VIOLATION INSERT INTO low;
            CREATE TABLE t AS SELECT a FROM s CHECK (a % 2 = 0) ON VIOLATION INSERT INTO odd;
        """)
    for round in range(6):
        with opened() as db:
            db.execute(f"INSERT INTO s VALUES (-1), ({round})")
            if round % 3 == 1:
                db.settle()
            if round == 3:
                db.execute("CHECKPOINT")
    with opened() as db:
        assert rows(db, "SELECT a FROM odd") == [(1,), (3,), (5,)]
        assert rows(db, "SELECT count(*) FROM low") == [(6,)]
        assert said_of_checks(db, "s") == {"CHECK (a >= 0)": "rows put into low so far: 6"}
        assert said_of_checks(db, "t") == {"CHECK (a % 2 = 0)": "rows put into odd so far: 3"}


CONDITIONS = (
    "a > 1", "a % 2 = 0 OR b IS NULL", "NOT (a = b)", "b LIKE 'x%' OR a < 0", "CAST(b AS INT) > a", "10 // a > 2",
    "a BETWEEN -2 AND 3 AND b <> 'y'", "length(b) < 2", "b IN ('1', 'x')",
)  # fmt: skip


@pytest.mark.parametrize("seed", range(6))
def test_what_passes_and_what_does_not_is_what_duckdb_says(seed: int) -> None:
    random = Random(seed)
    given = [(random.choice([None, *range(-3, 5)]), random.choice([None, "1", "7", "x", "y"])) for _ in range(60)]
    one, two = random.sample(CONDITIONS, 2)
    with connect(background=False) as db, duckdb.connect() as oracle:
        db.execute(f"""
            CREATE STREAM bad (a INT, b VARCHAR);
            CREATE STREAM s (a INT, b VARCHAR)
                CHECK ({one}) ON VIOLATION INSERT INTO bad CHECK ({two}) ON VIOLATION DROP;
        """)
        for begin in range(0, 60, 7):
            db.append("s", given[begin : begin + 7])
        oracle.execute("CREATE TABLE s (a INT, b VARCHAR)")
        oracle.executemany("INSERT INTO s VALUES (?, ?)", given)
        oracle.execute("SET disabled_optimizers = 'common_subexpressions'")
        passing = [f"coalesce(TRY({{p: ({c}) IS NOT FALSE}}).p, false)" for c in (one, two)]
        wanted = oracle.sql(f"SELECT a, b FROM s WHERE {passing[0]} AND {passing[1]}").fetchall()
        violating = oracle.sql(f"SELECT a, b FROM s WHERE NOT {passing[0]}").fetchall()
        assert Counter(rows(db, "SELECT a, b FROM s")) == Counter(wanted)
        assert Counter(rows(db, "SELECT a, b FROM bad")) == Counter(violating)


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("check", "message"),
    [
        ("CHECK (a > (SELECT 1))", "a CHECK looks at one row alone, and this is a query"),
        ("CHECK (sum(a) > 1)", r"a CHECK looks at one row alone, and sum\(\) at many"),
        ("CHECK (random() > a)", r"random\(\) has another value each time"),
        ("CHECK (now() > b)", r"now\(\) has another value each time"),
        ("CHECK (a + 1)", "CHECK needs a condition, and this is INTEGER"),
        ("CHECK (c > 1)", 'there is no column "c"'),
        ("CHECK (a > 1) ON VIOLATION INSERT INTO other", 'rows do not fit into "other": they have no x INTEGER'),
        ("CHECK (a > 1) ON VIOLATION INSERT INTO t", 'rows cannot go into "t", which is not a stream'),
        ("CHECK (a > 1) ON VIOLATION INSERT INTO strict", 'rows cannot go into "strict", which has a CHECK of its own'),
    ],
)
def test_a_check_that_cannot_be_is_refused_where_it_stands(db: Database, check: str, message: str) -> None:
    db.execute("CREATE STREAM other (x INT); CREATE TABLE t (a INT); CREATE STREAM strict (a INT CHECK (a > 0))")
    with pytest.raises(SqlError, match=message) as caught:
        db.execute(f"CREATE STREAM s (a INT, b TIMESTAMP) {check}")
    assert caught.value.span is not None
    assert db.pipeline.catalog.get("s") is None


def test_a_query_cannot_read_the_rows_that_violate_its_check(db: Database) -> None:
    db.execute("CREATE STREAM s (a INT)")
    with pytest.raises(SqlError, match='"q" would read the rows that violate its CHECK'):
        db.execute("CREATE STREAM q AS SELECT a FROM s CHECK (a > 0) ON VIOLATION INSERT INTO s")
