"""INSERT INTO stream SELECT … goes on: a query that puts its rows where users put theirs."""

from __future__ import annotations

import random

import pytest

import headwater
from headwater.errors import HeadwaterError, NameTaken, SqlError, UnknownName, Unsupported
from tests.engine.loops import rows, states


def test_a_select_into_a_stream_goes_on_and_one_into_a_table_is_done_once(db: headwater.Database) -> None:
    db.execute("CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT); CREATE TABLE t (v BIGINT)")
    db.execute("INSERT INTO a VALUES (1)")
    message = db.sql("INSERT INTO b SELECT v * 10 FROM a").message
    assert message == "created query INSERTQUERY_1, which inserts into b, 1 row so far"
    assert db.sql("INSERT INTO t SELECT v FROM a").message == "inserted 1 row"
    assert db.sql("INSERT INTO b SELECT v FROM a AS OF LATEST").message == "inserted 1 row"
    db.execute("INSERT INTO a VALUES (2)")
    assert rows(db, "SELECT v FROM b ORDER BY ROWOFFSET") == [(10,), (1,), (20,)]
    assert rows(db, "SELECT v FROM t") == [(1,)]


def test_its_rows_have_the_time_and_partition_of_those_it_reads_and_the_columns_that_are_named(
    db: headwater.Database,
) -> None:
    db.execute("""
        CREATE STREAM a (v INTEGER, at TIMESTAMP) WITH (timestamp = 'at');
        CREATE STREAM b (v BIGINT, w VARCHAR);
        INSERT INTO b (w) SELECT v FROM a;
        INSERT INTO a VALUES (7, '2026-01-01 10:00:00');
    """)
    assert rows(db, "SELECT v, w, ROWTIME::VARCHAR FROM b") == [(None, "7", "2026-01-01 10:00:00")]


def test_several_queries_and_users_write_into_one_stream(db: headwater.Database) -> None:
    db.execute("""
        CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT); CREATE STREAM all_of_it (v BIGINT);
        CREATE TABLE total AS SELECT sum(v) AS v FROM all_of_it;
        INSERT INTO all_of_it SELECT v FROM a;
        INSERT INTO all_of_it SELECT v FROM b;
        INSERT INTO a VALUES (1); INSERT INTO b VALUES (10); INSERT INTO all_of_it VALUES (100);
    """)
    assert rows(db, "SELECT v FROM total") == [(111,)]


@pytest.mark.parametrize("seed", range(3))
def test_what_several_queries_insert_is_in_the_order_of_what_they_read_whatever_the_steps(seed: int) -> None:
    def merged(*, with_steps: bool) -> list[tuple[object, ...]]:
        chance, steps = random.Random(seed), random.Random(seed)
        with headwater.connect(background=False) as db:
            db.execute("""
                CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT); CREATE STREAM both (x VARCHAR, v BIGINT);
                INSERT INTO both SELECT 'b', v FROM b;
                INSERT INTO both SELECT 'a', v FROM a;
                INSERT INTO both SELECT 'A', v FROM a WHERE v % 3 = 0;
            """)
            for number in range(15):
                db.append(chance.choice("ab"), [(number,), (number,)])
                if with_steps and steps.random() < 0.4:
                    db.pipeline.step()
            return rows(db, "SELECT x, v FROM both ORDER BY ROWOFFSET")

    found = merged(with_steps=True)
    assert found == merged(with_steps=False)
    assert [v for _, v in found] == sorted(int(str(v)) for _, v in found)


def test_it_is_a_query_like_others(db: headwater.Database) -> None:
    db.execute("CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT)")
    db.execute("INSERT INTO b SELECT v FROM a WHERE v > 1 WITH (name = 'pick')")
    assert states(db) == {"pick": "running"}
    assert rows(db, "DESCRIBE pick") == [("v", "BIGINT", None)]
    assert any("Filter" in str(line) for line in rows(db, "EXPLAIN pick"))
    db.execute("PAUSE pick; INSERT INTO a VALUES (2)")
    assert (states(db), rows(db, "SELECT v FROM b")) == ({"pick": "paused"}, [])
    db.execute("RESUME pick")
    assert rows(db, "SELECT v FROM b") == [(2,)]
    db.execute("TERMINATE pick; INSERT INTO a VALUES (3)")
    assert (states(db), rows(db, "SELECT v FROM b")) == ({"pick": "terminated"}, [(2,)])
    db.execute("DROP QUERY pick; DROP STREAM a")
    assert rows(db, "SELECT v FROM b") == [(2,)], "what it has inserted stays"


def test_rows_that_do_not_fit_go_where_its_errors_go(db: headwater.Database) -> None:
    db.execute("""
        CREATE STREAM a (v VARCHAR); CREATE STREAM b (v BIGINT); CREATE STREAM bad (cause VARCHAR);
        INSERT INTO b SELECT v FROM a ON ERROR INSERT INTO bad;
        INSERT INTO a VALUES ('1'), ('x'), ('2');
    """)
    assert rows(db, "SELECT v FROM b ORDER BY v") == [(1,), (2,)]
    assert rows(db, "SELECT count(*) FROM bad") == [(1,)]


@pytest.mark.parametrize(
    ("clause", "inserted", "left_out", "state"),
    [
        ("ON VIOLATION INSERT INTO others", [(5,)], [(20,)], "running"),
        ("ON VIOLATION DROP", [(5,)], [], "running"),
        ("ON VIOLATION FAIL", [], [], "failed"),
    ],
)
def test_its_rows_are_held_to_the_checks_of_the_stream(
    db: headwater.Database, clause: str, inserted: list[object], left_out: list[object], state: str
) -> None:
    db.execute(f"""
        CREATE STREAM a (v BIGINT); CREATE STREAM others (v BIGINT);
        CREATE STREAM b (v BIGINT, CHECK (v < 10) {clause});
        INSERT INTO b SELECT v FROM a WITH (name = 'q');
        INSERT INTO a VALUES (5), (20);
    """)
    assert (rows(db, "SELECT v FROM b"), rows(db, "SELECT v FROM others")) == (inserted, left_out)
    assert states(db) == {"q": state}


SALES = """
    CREATE STREAM a (k BIGINT, v BIGINT, at TIMESTAMP) WITH (timestamp = 'at');
    CREATE STREAM b (k BIGINT, w BIGINT, at TIMESTAMP) WITH (timestamp = 'at');
    CREATE TABLE t (k BIGINT PRIMARY KEY, name VARCHAR);
    CREATE TABLE counts AS SELECT k, count(*) AS n FROM b GROUP BY k;
    CREATE STREAM made (x VARCHAR, y BIGINT);
"""


@pytest.mark.parametrize(
    ("query", "inserted"),
    [
        ("SELECT t.name, a.v FROM a JOIN t ON a.k = t.k", [("one", 10), ("one", 30)]),
        ("SELECT t.name, a.v FROM a LEFT JOIN t ON a.k = t.k", [("one", 10), (None, 5), ("one", 30)]),
        ("SELECT 'n', n FROM a JOIN counts ON a.k = counts.k", [("n", 1)]),
        ("SELECT 'w', a.v + b.w FROM a JOIN b WITHIN 1 MINUTE ON a.k = b.k", [("w", 17)]),
        ("SELECT 'e', v FROM a WHERE EXISTS (SELECT 1 FROM t WHERE t.k = a.k)", [("e", 10), ("e", 30)]),
        ("SELECT 'a', v FROM a UNION ALL SELECT 'b', w FROM b", [("a", 10), ("a", 5), ("b", 7), ("a", 30)]),
        (
            "SELECT 'f', sum(v) FROM a WINDOW TUMBLING (SIZE 1 MINUTE, GRACE PERIOD 0 SECONDS) EMIT FINAL",
            [("f", 15)],
        ),
        (
            "SELECT 's', count(*) FROM a WINDOW SESSION (9 SECONDS, GRACE PERIOD 0 SECONDS) GROUP BY k EMIT FINAL",
            [("s", 1), ("s", 1)],
        ),
    ],
)
def test_what_it_selects_may_be_joined_and_windows_that_have_closed(
    db: headwater.Database, query: str, inserted: list[object]
) -> None:
    db.execute(f"""
        {SALES} INSERT INTO made {query};
        INSERT INTO t VALUES (1, 'one');
        INSERT INTO a VALUES (1, 10, '2026-01-01 00:00:01'), (2, 5, '2026-01-01 00:00:02');
        INSERT INTO b VALUES (1, 7, '2026-01-01 00:00:03');
        INSERT INTO a VALUES (1, 30, '2026-01-01 00:10:01');
    """)
    assert rows(db, "SELECT * FROM made ORDER BY ROWOFFSET") == inserted


@pytest.mark.parametrize(
    ("query", "hint"),
    [
        ("SELECT 'x', count(*) FROM a GROUP BY k", "hint: INSERT INTO made SELECT … FROM t AS OF LATEST"),
        ("SELECT name, k FROM t", "hint: INSERT INTO made SELECT … FROM t AS OF LATEST"),
        ("SELECT DISTINCT 'x', v FROM a", "hint: INSERT INTO made"),
        ("SELECT 'x', row_number() OVER (ORDER BY v) FROM a", "hint: INSERT INTO made"),
        ("SELECT 'x', count(*) FROM a WINDOW TUMBLING (SIZE 1 MINUTE)", "hint: end it with EMIT FINAL"),
    ],
)
def test_rows_that_may_change_are_refused_with_a_way_out(db: headwater.Database, query: str, hint: str) -> None:
    db.execute(SALES)
    with pytest.raises(SqlError, match="this query changes rows that it has given") as caught:
        db.execute(f"INSERT INTO made {query}")
    assert hint in str(caught.value)


@pytest.mark.parametrize(
    ("sql", "error", "message"),
    [
        ("INSERT INTO b SELECT v, v FROM a", SqlError, "2 values for 1 columns"),
        ("INSERT INTO b SELECT count(*) FROM a", SqlError, "not those of a stream"),
        ("INSERT INTO b SELECT v FROM a WITH (nane = 'x')", UnknownName, 'no property "nane"'),
        ("INSERT INTO b SELECT v FROM a WITH (max_hops = 3)", SqlError, "max_hops bounds a feedback"),
        ("INSERT INTO b SELECT v FROM a WITH (feedback = '2 steps')", Unsupported, "one step"),
        ("INSERT INTO b SELECT v FROM a WITH (feedback = '1 step', max_hops = 0)", SqlError, "a whole number from 1"),
        ("INSERT INTO b VALUES (1) ON ERROR SKIP", SqlError, "ON ERROR is about a query that goes on"),
        ("INSERT INTO t SELECT v FROM a WITH (name = 'x')", SqlError, "name is about a query that goes on"),
        ("INSERT INTO d SELECT v FROM a", SqlError, "come from its query"),
        ("INSERT INTO b SELECT v FROM a WITH (name = 't')", NameTaken, '"t" exists already'),
        ("BEGIN; INSERT INTO b SELECT v FROM a", Unsupported, "cannot be part of a transaction"),
        ("SELECT * FROM q", SqlError, 'a query that inserts into "b"'),
        ("DROP STREAM b", NameTaken, '"b" is used by q'),
    ],
)
def test_what_makes_no_sense_is_refused_and_changes_nothing(
    db: headwater.Database, sql: str, error: type[HeadwaterError], message: str
) -> None:
    db.execute("""
        CREATE STREAM a (v BIGINT); CREATE STREAM b (v BIGINT); CREATE TABLE t (v BIGINT);
        CREATE STREAM d AS SELECT v FROM a; INSERT INTO b SELECT v FROM a WITH (name = 'q');
    """)
    before = states(db)
    with pytest.raises(error) as caught:
        db.execute(sql)
    assert message in str(caught.value)
    assert states(db) == before
