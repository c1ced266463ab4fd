"""Canonical SQL: it reads back as the same tree, and DuckDB reads it as the same expression."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from headwater.errors import SyntaxProblem
from headwater.parser import parse_statement, quote, unparse
from headwater.parser import syntax as ast
from tests.parser.tree_statements import STATEMENTS
from tests.parser.trees import DUCKDB_QUERIES, EXPRESSIONS
from tests.thoroughness import amount

SETTINGS = settings(max_examples=amount(100, 300), deadline=None, suppress_health_check=[HealthCheck.too_slow])


# ---------------------------------------------------------------- reading back


def selecting(expression: ast.Expression) -> ast.Query:
    return ast.Query(ast.Select((ast.SelectItem(expression),)))


@SETTINGS
@given(EXPRESSIONS)
def test_an_expression_reads_back_as_it_was_written(expression: ast.Expression) -> None:
    assert parse_statement(f"SELECT {unparse(expression)}") == selecting(expression)


@SETTINGS
@given(st.one_of(*STATEMENTS.values()))
def test_a_statement_reads_back_as_it_was_written(statement: ast.Statement) -> None:
    assert parse_statement(unparse(statement)) == statement


def test_statements_with_every_kind_of_node_read_back() -> None:
    nodes = {node for node in vars(ast).values() if isinstance(node, type) and issubclass(node, ast.Node)}
    seen = {ast.Node, ast.Placeholder}  # a statement that is run has none

    @settings(SETTINGS, max_examples=250, derandomize=True, database=None, phases=[Phase.generate])
    @given(st.data())
    def read_back(statements: st.SearchStrategy[ast.Statement], data: st.DataObject) -> None:
        statement = data.draw(statements)
        seen.update(type(node) for node in ast.walk(statement))
        assert parse_statement(unparse(statement)) == statement

    for statements in STATEMENTS.values():
        read_back(statements)
    assert nodes - seen == set()


@pytest.mark.parametrize("text", ["SELECT ? + $price", "INSERT INTO s VALUES (?, ?)"])
def test_placeholders_read_back_until_there_are_values(text: str) -> None:
    statement = parse_statement(text, parameters=None)
    assert any(isinstance(node, ast.Placeholder) for node in ast.walk(statement))
    assert parse_statement(unparse(statement), parameters=None) == statement


# ---------------------------------------------------------------- what DuckDB reads


def duckdb_tree(sql: str) -> Any:
    """How DuckDB understands a query, without places in the text."""

    def without_places(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without_places(v) for k, v in value.items() if not k.startswith("query_location")}
        return [without_places(item) for item in value] if isinstance(value, list) else value

    ((serialized,),) = duckdb.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    tree = json.loads(serialized)
    # A window that is not defined, say, is an error as well, but one of meaning: the text was read.
    assert not (tree["error"] and "syntax error" in tree["error_message"]), f"{tree['error_message']}: {sql}"
    return without_places(tree)


@SETTINGS
@given(EXPRESSIONS)
def test_duckdb_reads_an_expression(expression: ast.Expression) -> None:
    duckdb_tree(f"SELECT {unparse(expression)}")


@SETTINGS
@given(DUCKDB_QUERIES)
def test_duckdb_reads_a_query(query: ast.Query) -> None:
    duckdb_tree(unparse(query))


OPERANDS = st.sampled_from(["a", "-b", "c[1]", "d::INTEGER", "1", "a IS NULL", "b IN (1, 2)", "c BETWEEN 1 AND 2"])
ARITHMETIC = st.sampled_from("+ - * / // % ^ AND OR || =".split() + ["AND NOT"])


@SETTINGS
@given(OPERANDS, st.lists(st.tuples(ARITHMETIC, OPERANDS), min_size=1, max_size=4))
def test_operators_bind_in_our_grammar_as_in_duckdb(first: str, rest: list[tuple[str, str]]) -> None:
    sql = "SELECT " + first + "".join(f" {operator} {operand}" for operator, operand in rest)
    try:
        ours = unparse(parse_statement(sql))
    except SyntaxProblem:
        return  # a = b = c, say
    assert duckdb_tree(ours) == duckdb_tree(sql)


# ---------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("price", "price"),
        ("Price", "Price"),
        ("größe", "größe"),
        ("offset", '"offset"'),
        ("select", '"select"'),
        ("a b", '"a b"'),
        ('say "x"', '"say ""x"""'),
        ("1st", '"1st"'),
        ("", '""'),
        (ast.Identifier("price", quoted=True), '"price"'),
    ],
)
def test_a_name_is_quoted_where_it_must_be(name: str | ast.Identifier, written: str) -> None:
    assert quote(name) == written


def test_every_word_of_duckdb_that_is_no_column_name_is_quoted() -> None:
    words = [row[0] for row in duckdb.execute("SELECT DISTINCT keyword_name FROM duckdb_keywords()").fetchall()]
    for word in words:
        duckdb_tree(f"SELECT {quote(word)}, t.{quote(word)} FROM {quote(word)} AS t JOIN u USING ({quote(word)})")
