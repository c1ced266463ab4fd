"""Canonical SQL: it reads back as the same tree, and DuckDB reads it as the same expression."""

from __future__ import annotations

import json
from typing import Any

import duckdb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import SyntaxProblem
from headwater.parser import parse_statement, quote, unparse
from headwater.parser import syntax as ast

SETTINGS = settings(max_examples=300, deadline=None)


# ---------------------------------------------------------------- trees at random

# Unquoted words of both grammars, and names that need their quotes.
IDENTIFIERS = st.sampled_from(
    [ast.Identifier(text) for text in "a b Price offset at window key values date interval größe left of_ emit".split()]
    + [ast.Identifier(text, quoted=True) for text in ("a", "select", "OF", "A b", 'say "x"', "1st", "semi;colon")]
)
STRINGS = st.sampled_from(["", "x", "it's", "-- ", "/*", 'a "b"', ";", "$$", "ü\n"]) | st.text(
    st.characters(codec="utf-8", exclude_characters="\0"), max_size=4
)
NUMBERS = st.sampled_from("0 7 1_000 0.10 .5 3. 1e3 2.5E-3 99999999999999999999".split())
LITERALS = st.one_of(
    NUMBERS.map(lambda text: ast.Literal("number", text)),
    STRINGS.map(lambda text: ast.Literal("string", text)),
    st.sampled_from([ast.Literal("boolean", "true"), ast.Literal("boolean", "false"), ast.Literal("null", "null")]),
)
NAMES = st.lists(IDENTIFIERS, min_size=1, max_size=3).map(lambda parts: ast.Name(tuple(parts)))
TYPES = st.sampled_from(["INTEGER", "VARCHAR[]", "DECIMAL(10,2)", 'STRUCT(a INTEGER, "b c" MAP(VARCHAR, INTEGER[3]))'])
UNITS = st.sampled_from(["SECOND", "MILLISECOND", "DAY", "MONTH", "YEAR"])
BINARY = st.sampled_from(
    "+ - * / // % ^ || = <> < <= > >= AND OR LIKE ILIKE -> ->> & | << >>".split()
    + ["NOT LIKE", "NOT ILIKE", "IS DISTINCT FROM", "IS NOT DISTINCT FROM"]
)
UNARY = st.sampled_from(
    ["-", "+", "NOT", "IS NULL", "IS NOT NULL", "IS TRUE", "IS NOT TRUE", "IS FALSE", "IS NOT FALSE"]
)
FRAMES = st.sampled_from(
    [None, "ROWS UNBOUNDED PRECEDING", "RANGE BETWEEN INTERVAL '1' DAY PRECEDING AND CURRENT ROW",
     "GROUPS BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING"]
)  # fmt: skip


def tuples(items: st.SearchStrategy[Any], least: int = 0, most: int = 3) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(items, min_size=least, max_size=most).map(tuple)


def maybe(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | items


def short(items: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """The same strategy under a short name: hypothesis warns of long ones."""

    @st.composite
    def trees(draw: st.DrawFn) -> Any:
        return draw(items)

    return trees()


def order_items(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[ast.OrderItem]:
    return st.builds(
        ast.OrderItem, inner, st.sampled_from(["ASC", "DESC"]), st.sampled_from([None, "FIRST", "LAST"])
    )  # fmt: skip


def bigger(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Expressions with `inner` expressions inside, but no queries."""
    orders = tuples(order_items(inner), most=2)
    plain = LITERALS | NAMES  # no window inside a window
    window = st.builds(ast.WindowSpec, tuples(plain, most=2), tuples(order_items(plain), most=2), FRAMES)
    texts = STRINGS.map(lambda text: ast.Literal("string", text))
    return st.one_of(
        st.builds(ast.Unary, UNARY, inner),
        st.builds(ast.Binary, BINARY, inner, inner),
        st.builds(ast.Between, inner, inner, inner, st.booleans()),
        st.builds(ast.In, inner, tuples(inner, least=1), st.booleans()),
        st.builds(ast.Case, maybe(inner), tuples(st.tuples(inner, inner), least=1), maybe(inner)),
        st.builds(ast.Cast, inner, TYPES, st.booleans()),
        st.builds(ast.Call, st.sampled_from(["f", "left", "date_part", "if", "Count"]), tuples(inner)),
        st.builds(ast.Call, st.just("sum"), tuples(inner, 1, 1), st.booleans(), orders, maybe(inner), maybe(window)),
        st.just(ast.Call("count", (ast.Star(),))),
        st.builds(ast.Array, tuples(inner)),
        st.builds(ast.Struct, tuples(st.tuples(st.sampled_from(["a", "b c", "it's"]), inner), least=1)),
        st.builds(ast.Subscript, inner, inner),
        st.builds(ast.Interval, inner, UNITS) | st.builds(ast.Interval, texts),
    )


EXPRESSIONS = short(st.recursive(LITERALS | NAMES, bigger, max_leaves=8))


STARS = st.one_of(
    st.builds(ast.Star, maybe(IDENTIFIERS), tuples(IDENTIFIERS, most=1)),
    st.builds(lambda item: ast.Star(replace=(item,)), st.builds(ast.SelectItem, EXPRESSIONS, IDENTIFIERS)),
)
ITEMS = short(st.builds(ast.SelectItem, EXPRESSIONS, maybe(IDENTIFIERS)) | st.builds(ast.SelectItem, STARS))
POSITIONS = tuples(
    st.tuples(st.integers(0, 9) | st.sampled_from(["bids", "a b", "offset"]), st.integers(0, 99)), least=1
)
AS_OF = st.one_of(
    st.builds(ast.AsOf, st.sampled_from(["offset", "version"]), st.integers(0, 99).map(str)),
    st.builds(ast.AsOf, st.just("timestamp"), STRINGS),
    st.sampled_from([ast.AsOf("ago", "5 minutes ago")]),
    POSITIONS.map(lambda positions: ast.AsOf("offsets", positions=positions)),
)
DURATIONS = st.sampled_from([0, 1, 999, 1_000, 10_000_000, 90_000_000, 86_400_000_000])
WINDOWS = st.one_of(
    DURATIONS.flatmap(lambda size: st.builds(ast.Window, st.just("TUMBLING"), st.just(size), st.just(size))),
    st.builds(ast.Window, st.just("HOPPING"), DURATIONS, DURATIONS, maybe(DURATIONS), maybe(DURATIONS)),
)
EMITS = st.sampled_from([None, "CHANGES", "FINAL"])
NOTHING = st.none()


def queries(as_of: Any, window: Any, emit: Any) -> st.SearchStrategy[ast.Query]:
    """Queries over relations, subqueries, joins and set operations; the clauses that only Headwater has as given."""
    relations = short(st.builds(ast.Relation, IDENTIFIERS, maybe(IDENTIFIERS), as_of))
    values = st.builds(ast.Values, tuples(st.tuples(EXPRESSIONS, EXPRESSIONS), least=1))

    def joins(inner: Any) -> Any:
        kinds = st.sampled_from(["INNER", "LEFT", "RIGHT", "FULL", "SEMI", "ANTI"])
        return st.one_of(
            st.builds(ast.Join, kinds, inner, inner, EXPRESSIONS),
            st.builds(ast.Join, kinds, inner, inner, NOTHING, tuples(IDENTIFIERS, least=1)),
            st.builds(ast.Join, st.just("CROSS"), inner, inner),
        )

    def selects(sources: Any, conditions: Any) -> Any:
        items, groups, test = tuples(ITEMS, least=1), tuples(EXPRESSIONS, most=2), maybe(conditions)
        return st.one_of(
            st.builds(ast.Select, items, sources, window, test, groups, test, st.booleans()),
            st.builds(ast.Select, items, NOTHING, NOTHING, test, groups, test, st.booleans()),
        )

    def larger(inner: st.SearchStrategy[ast.Query]) -> st.SearchStrategy[ast.Query]:
        subqueries = st.builds(ast.Subquery, inner)
        tests = st.builds(ast.In, EXPRESSIONS, st.tuples(subqueries), st.booleans()) | st.builds(ast.Exists, inner)
        derived = st.builds(ast.Derived, inner, maybe(IDENTIFIERS))
        sources = short(st.recursive(relations | derived, joins, max_leaves=3))
        operands = inner.map(lambda query: query.body if query == ast.Query(query.body) else query)
        operators = st.sampled_from(["UNION", "INTERSECT", "EXCEPT"])
        operations = st.builds(ast.SetOperation, operators, operands, operands, st.booleans())
        bodies = short(selects(sources, subqueries | tests) | operations)
        table = st.builds(ast.CommonTable, IDENTIFIERS, tuples(IDENTIFIERS, most=2), inner)
        tables = st.lists(table, min_size=1, max_size=2, unique_by=lambda cte: cte.name.text.lower()).map(tuple)
        orders, counts = tuples(order_items(EXPRESSIONS), most=2), maybe(EXPRESSIONS)
        return short(
            st.builds(ast.Query, bodies, st.just(()), st.just(False), orders, counts, counts, as_of, emit)
            | st.builds(ast.Query, bodies, tables, st.booleans(), orders)
        )

    smallest = short(selects(relations, EXPRESSIONS) | values).map(ast.Query)
    return short(st.recursive(smallest, larger, max_leaves=3))


QUERIES = queries(maybe(AS_OF), maybe(WINDOWS), EMITS)
COLUMNS = st.builds(ast.ColumnDefinition, IDENTIFIERS, TYPES, st.booleans(), st.booleans(), st.booleans())
PROPERTIES = st.builds(
    ast.Property,
    st.sampled_from(["partitions", "timestamp", "window", "select", "a b"]),
    st.sampled_from(["4", "-1.5", "true", "at", "it's", "", "0x1", "1 day"]),
)
CREATES = st.builds(
    ast.CreateRelation,
    st.sampled_from(["STREAM", "TABLE"]),
    IDENTIFIERS,
    st.lists(COLUMNS, min_size=1, max_size=3, unique_by=lambda column: column.name.text.lower()).map(tuple),
    tuples(PROPERTIES),
    maybe(QUERIES),
    st.booleans(),
    st.booleans(),
)
STATEMENTS = st.one_of(
    QUERIES,
    CREATES,
    st.builds(ast.Insert, IDENTIFIERS, tuples(IDENTIFIERS), QUERIES),
    st.builds(ast.Drop, st.sampled_from(["STREAM", "TABLE"]), IDENTIFIERS, st.booleans(), st.booleans()),
    st.builds(ast.Show, st.sampled_from(["STREAMS", "TABLES", "QUERIES", "PROPERTIES"])),
    st.builds(ast.Describe, IDENTIFIERS, st.booleans()),
    st.builds(ast.Explain, QUERIES | CREATES),
    st.just(ast.Checkpoint()),
)


# ---------------------------------------------------------------- reading back


def selecting(expression: ast.Expression) -> ast.Query:
    return ast.Query(ast.Select((ast.SelectItem(expression),)))


@SETTINGS
@given(EXPRESSIONS)
def test_an_expression_reads_back_as_it_was_written(expression: ast.Expression) -> None:
    assert parse_statement(f"SELECT {unparse(expression)}") == selecting(expression)


@SETTINGS
@given(STATEMENTS)
def test_a_statement_reads_back_as_it_was_written(statement: ast.Statement) -> None:
    assert parse_statement(unparse(statement)) == statement


# ---------------------------------------------------------------- what DuckDB reads


def duckdb_tree(sql: str) -> Any:
    """How DuckDB understands a query, without places in the text."""

    def without_places(value: Any) -> Any:
        if isinstance(value, dict):
            return {k: without_places(v) for k, v in value.items() if not k.startswith("query_location")}
        return [without_places(item) for item in value] if isinstance(value, list) else value

    ((serialized,),) = duckdb.execute("SELECT json_serialize_sql(?)", [sql]).fetchall()
    tree = json.loads(serialized)
    assert not tree["error"], f"{tree['error_message']}: {sql}"
    return without_places(tree)


@SETTINGS
@given(EXPRESSIONS)
def test_duckdb_reads_an_expression(expression: ast.Expression) -> None:
    duckdb_tree(f"SELECT {unparse(expression)}")


@SETTINGS
@given(queries(NOTHING, NOTHING, NOTHING))
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
