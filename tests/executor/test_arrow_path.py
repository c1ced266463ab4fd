"""Simple expressions by Arrow are those by DuckDB: the same rows, values and weights, or none at all."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.evaluate import Evaluate, chain_below
from headwater.parser import parse_statement
from headwater.parser.syntax import Query
from headwater.planner import bind_query
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta
from tests.planner.shop import catalog_of

CATALOG = catalog_of(
    "CREATE TABLE t (a BIGINT, b BIGINT, i INTEGER, d DOUBLE, e DOUBLE, s VARCHAR, u VARCHAR, f BOOLEAN, at TIMESTAMP)"
)
NAN, INF = float("nan"), float("inf")
VALUES: dict[str, list[Any]] = {
    "a": [0, 1, -1, 7, -7, 2**62, -(2**63), 2**63 - 1],
    "b": [0, 1, -1, 3, 2**62],
    "i": [0, 1, -5, 2**31 - 1, -(2**31)],
    "d": [0.0, -0.0, 1.5, -2.25, 1e308, NAN, INF, -INF],
    "e": [0.0, 1.5, 1e-300, 3.0],
    "s": ["", "a", "b", "ü", "it's"],
    "u": ["", "a", "c"],
    "f": [True, False],
    "at": [datetime(2026, 1, 1), datetime(1969, 12, 31, 23, 59, 59)],
}
batches = st.lists(st.fixed_dictionaries({k: st.sampled_from([None, *v]) for k, v in VALUES.items()}), max_size=6)


def conditions() -> st.SearchStrategy[str]:
    compare = st.sampled_from(["=", "<>", "<", "<=", ">", ">="])
    pairs = [("a", "b"), ("a", "i"), ("a", "5"), ("-3", "i"), ("d", "e"), ("d", "1.5"), ("s", "u"), ("s", "'a'"),
             ("at", "at"), ("a % 3", "1"), ("a + b", "7"), ("d * e", "0"), ("i", "NULL")]  # fmt: skip
    simple = st.one_of(
        st.builds(lambda pair, sign: f"{pair[0]} {sign} {pair[1]}", st.sampled_from(pairs), compare),
        st.sampled_from([
            "f", "s IS NULL", "d IS NOT NULL", "a BETWEEN -1 AND b", "i NOT BETWEEN 0 AND 7", "s IN ('a', 'ü', '')",
            "a NOT IN (1, NULL, 7)", "f = TRUE", "coalesce(f, FALSE)",
        ]),
    )  # fmt: skip
    return st.recursive(
        simple,
        lambda inner: st.one_of(
            st.builds(lambda x: f"NOT ({x})", inner),
            st.builds(lambda x, y, word: f"({x}) {word} ({y})", inner, inner, st.sampled_from(["AND", "OR"])),
        ),
        max_leaves=4,
    )


def values() -> st.SearchStrategy[str]:
    plain = st.sampled_from([
        "a", "a + b", "a - 1", "a * 3", "i + 1", "i * i", "a % 10", "i % 7", "d + e", "d * 1.1", "2 * d - e", "s", "5",
        "'x'", "NULL", "TRUE", "coalesce(a, b, 0)", "coalesce(s, u)", "(a + b) * 2",
    ])  # fmt: skip
    cases = st.builds(
        lambda c, d, v: f"CASE WHEN {c} THEN {v[0]} WHEN {d} THEN {v[1]} {v[2]} END", conditions(), conditions(),
        st.sampled_from([
            ("1", "2", "ELSE 0"), ("a", "b", ""), ("s", "'none'", "ELSE u"), ("a", "a + b", "ELSE -1"),
            ("d", "e * 2", "ELSE 0.5"), ("TRUE", "FALSE", ""),
        ]),
    )  # fmt: skip
    return st.one_of(plain, cases, conditions())


def operator(sql: str) -> Evaluate:
    query = parse_statement(sql)
    assert isinstance(query, Query)
    return Evaluate(chain_below(bind_query(query, CATALOG, without=frozenset({"fold constants"})).plan))


def delta(some: list[dict[str, Any]]) -> Delta:
    schema = arrow_schema(CATALOG.relations["t"].columns)
    return Delta(pa.RecordBatch.from_pylist(some, schema=schema), np.arange(1, len(some) + 1))


def rows(change: Delta) -> Counter[tuple[Any, ...]]:
    found: Counter[tuple[Any, ...]] = Counter()
    for row, weight in zip(change.rows.to_pylist(), change.weight_array.tolist(), strict=True):
        found[tuple(repr(value) for value in row.values())] += weight
    return found


@settings(deadline=None, max_examples=200)
@given(st.lists(values(), min_size=1, max_size=3), conditions(), batches)
def test_they_give_what_duckdb_gives(items: list[str], condition: str, some: list[dict[str, Any]]) -> None:
    listed = ", ".join(f"{item} AS c{n}" for n, item in enumerate(items))
    sql = f"SELECT {listed} FROM t WHERE {condition}"
    quick, plain = operator(sql), operator(sql)
    plain._arrow = None
    assert rows(quick.step(delta(some))) == rows(plain.step(delta(some)))
    assert [f.count for f in quick.failures] == [f.count for f in plain.failures]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT a + b AS c FROM t WHERE d > 1.5 AND s <> 'a'",
        "SELECT CASE WHEN a < 10000 THEN a END AS c, i % 7 AS r FROM t",
        "SELECT coalesce(s, 'none') AS c, a BETWEEN 1 AND 5 AS x FROM t WHERE s IS NOT NULL OR NOT f",
        "SELECT strftime(at, '%H:%M') AS c, a FROM t WHERE i IN (1, 2, 3)",
    ],
)
def test_such_expressions_are_computed_without_duckdb(sql: str) -> None:
    assert operator(sql)._arrow is not None


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 0.5 * a AS c FROM t",  # a DECIMAL
        "SELECT a / b AS c FROM t",
        "SELECT a + i AS c FROM t",  # of two widths
        "SELECT a % b AS c FROM t",  # NULL where b is 0
        "SELECT upper(s) AS c FROM t",
        "SELECT s || u AS c FROM t",
        "SELECT a AS c FROM t WHERE d > a",
    ],
)
def test_other_expressions_are_left_to_duckdb(sql: str) -> None:
    assert operator(sql)._arrow is None


@pytest.mark.parametrize(
    ("sql", "row"),
    [
        ("SELECT a + b AS c FROM t", {"a": 2**63 - 1, "b": 1}),
        ("SELECT d * e AS c FROM t", {"d": 1e308, "e": 1e308}),
        ("SELECT a FROM t WHERE d > 1.0", {"a": 1, "d": NAN}),
    ],
)
def test_a_batch_of_which_duckdb_may_think_otherwise_is_left_to_it(sql: str, row: dict[str, Any]) -> None:
    path = operator(sql)._arrow
    assert path is not None
    assert path.run(delta([row])) is None
    assert path.run(delta([{"a": 1, "b": 1, "d": 1.0, "e": 1.0}])) is not None
