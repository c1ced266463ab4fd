"""What names mean: aliases, stars, USING, WITH, lambdas, fields; and what is said of those that mean nothing.

`errors.golden` has the messages, each with its place in the text and a way out: of continuous queries where the query
ends in EMIT CHANGES, of definitions, and of snapshot queries over empty relations.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from headwater.errors import SqlError
from headwater.executor.snapshot import SnapshotReader
from headwater.parser import parse_statement
from headwater.parser.syntax import CreateRelation, Query
from headwater.planner import Catalog, bind_query, define, plan_snapshot
from headwater.planner.sql_types import arrow_schema
from tests.executor.differential import Case
from tests.executor.generator import Query as OracleQuery
from tests.golden import cases, check
from tests.planner.shop import shop

GOLDEN = Path(__file__).with_name("errors.golden")
CATALOG = shop()


def columns(sql: str) -> list[str]:
    """The columns of a continuous query."""
    query = parse_statement(sql)
    assert isinstance(query, Query)
    return [c.name for c in bind_query(query, CATALOG).columns]


# ---------------------------------------------------------------- what works, and means what it means in DuckDB

WORKS = [
    "SELECT g, count(*) AS n, max(v) AS top FROM s GROUP BY ALL",
    "SELECT g, k % 2 AS odd FROM s GROUP BY ALL",
    "SELECT count(*) AS n FROM s GROUP BY ALL",
    "SELECT name AS label, sum(w) AS total FROM t GROUP BY label HAVING total > 0",
    "SELECT w + 1 AS more, count(*) AS n FROM t GROUP BY 1",
    "SELECT upper(name) AS u, count(*) AS n FROM t GROUP BY upper(name)",
    "SELECT * EXCLUDE (name) FROM t",
    "SELECT * EXCLUDE name REPLACE (id + 1 AS id) FROM t",
    "SELECT c.* EXCLUDE (w), b.z FROM t c JOIN b ON c.id = b.x",
    "SELECT * FROM t JOIN (SELECT x AS id, y FROM b) q USING (id)",
    "SELECT id, q.id AS other, t.id AS own FROM t JOIN (SELECT x AS id, y FROM b) q USING (id)",
    "SELECT q.*, t.* FROM t JOIN (SELECT x AS id, y FROM b) q USING (id)",
    "SELECT * FROM t NATURAL JOIN (SELECT x AS id, y FROM b) q",
    "SELECT id, w, y FROM (SELECT x AS id, z AS w, y FROM b) q NATURAL JOIN t",
    "WITH big AS (SELECT id, w FROM t WHERE w > 0), small (i) AS (SELECT x FROM b) "
    "SELECT big.id, count(*) AS n FROM big JOIN small ON big.id = small.i GROUP BY big.id",
    "WITH t AS (SELECT x AS id FROM b) SELECT id, count(*) AS n FROM t GROUP BY id",
    "WITH q AS (SELECT id, w FROM t) SELECT a.id, c.id AS other FROM q a JOIN q c ON a.w = c.w",
    "SELECT q.a, q.b FROM (SELECT id, w FROM t) q (a, b)",
    "SELECT u.number, u.w FROM t u (number, label)",
    "SELECT list_sum(list_transform([k, 1], lambda e: e * 2)) AS total FROM s",
    "SELECT list_sum(list_filter([k, 1, v], lambda k: k > 0)) AS total FROM s WHERE k > 0",
    "SELECT g, list_sum(list_transform([count(*), 1], lambda e: e + length(g))) AS total FROM s GROUP BY g",
    "SELECT q.r.a, sum(q.r.c) AS total FROM (SELECT {'a': k, 'c': v} AS r FROM s) q GROUP BY q.r.a",
    "SELECT (q.r).a AS a FROM (SELECT {'a': k, 'c': v} AS r FROM s) q WHERE q.r.c > 0",
]


@pytest.mark.parametrize("seed", range(9200, 9203))
def test_continuous_queries_mean_what_they_mean_in_duckdb(seed: int) -> None:
    case = Case(seed, given=[OracleQuery(sql, sql) for sql in WORKS])
    for _ in range(4):
        case.step()
    assert len(case.made) == len(WORKS)


def test_a_star_keeps_the_order_that_was_written_when_the_stream_stands_on_the_right() -> None:
    assert columns("SELECT * FROM people JOIN clicks ON id = who") == ["id", "name", "age", "auction", "who"]
    assert columns("SELECT * FROM clicks JOIN people ON id = who") == ["auction", "who", "id", "name", "age"]


def test_a_column_whose_name_holds_a_point_is_not_taken_for_one_of_a_join() -> None:
    inner = "SELECT max(n.person), n.text FROM notes n GROUP BY n.text"
    sql = f"SELECT * FROM ({inner}) a JOIN ({inner}) b ON a.text = b.text"
    assert columns(sql) == ["max(n.person)", "text", "max(n.person)_1", "text_1"]


# ---------------------------------------------------------------- what does not


def run(sql: str, catalog: Catalog) -> None:
    """Plans a statement; a snapshot query is run over relations without rows."""
    statement = parse_statement(sql)
    if isinstance(statement, CreateRelation):
        define(statement, catalog)
        return
    assert isinstance(statement, Query)
    if statement.emit is not None:
        bind_query(statement, catalog)
        return
    snapshot = plan_snapshot(statement, catalog)
    tables = {i.name: (arrow_schema(i.columns).empty_table(), i.columns) for i in snapshot.inputs}
    SnapshotReader().run(snapshot.sql, tables, statement)


def answer(sql: str) -> str:
    try:
        run(sql, CATALOG)
    except SqlError as error:
        error.attach(sql)
        return f"{type(error).__name__}: {error}"
    return "no error"


def test_errors_are_as_the_golden_file_has_them() -> None:
    check(GOLDEN, answer)


def test_every_error_has_a_place_and_most_have_a_way_out() -> None:
    messages = [expected for _, expected in cases(GOLDEN)]
    assert len(messages) >= 50
    assert all("line 1, column" in message and "^" in message for message in messages)
    assert sum("hint: " in message for message in messages) > 0.7 * len(messages)
