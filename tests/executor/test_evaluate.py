"""Filters and projections: what DuckDB computes for each row, without the rows that cannot be computed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.evaluate import Evaluate, chain_below
from headwater.parser import parse_statement
from headwater.parser.syntax import Query
from headwater.planner import Plan, bind_query
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta
from tests.planner.shop import catalog_of

CATALOG = catalog_of("CREATE TABLE t (text VARCHAR, n INTEGER)")
INT32_MAX = 2**31 - 1

Row = tuple[str | None, int | None]

texts = st.none() | st.sampled_from(["1", "2", "17", "-5", "x", "", "99999999999"])
numbers = st.none() | st.sampled_from([0, 1, 2, -1, INT32_MAX, -INT32_MAX - 1])
rows = st.lists(st.tuples(texts, numbers), max_size=12)


def operator(sql: str) -> Evaluate:
    query = parse_statement(sql)
    assert isinstance(query, Query)
    plan: Plan = bind_query(query, CATALOG).plan
    return Evaluate(chain_below(plan))


def delta(some: list[Row]) -> Delta:
    """The rows with the weights 1, 2, 3 …, which tell them apart."""
    columns = [pa.array([t for t, _ in some], pa.string()), pa.array([n for _, n in some], pa.int32())]
    batch = pa.RecordBatch.from_arrays(columns, schema=arrow_schema(CATALOG.relations["t"].columns))
    return Delta(batch, np.arange(1, len(some) + 1))


def results(changed: Delta) -> list[tuple[Any, ...]]:
    return [(*row.values(), w) for row, w in zip(changed.rows.to_pylist(), changed.weight_array.tolist(), strict=True)]


def parsed(text: str | None) -> int | None:
    """CAST(text AS INTEGER). Raises ValueError where that fails."""
    if text is None:
        return None
    number = int(text)
    if abs(number) > INT32_MAX:
        raise ValueError(text)
    return number


def increased(number: int | None) -> int | None:
    """n + 1. Raises ValueError where that overflows."""
    if number == INT32_MAX:
        raise ValueError(number)
    return None if number is None else number + 1


def failed_rows(of: Evaluate) -> int:
    """How many failing rows were told of, which stand as often as their weight says: here 1, 2, 3 …"""
    return sum(len(set(failures.places.tolist())) for failures in of.failures if failures.places is not None)


def test_a_chain_is_one_query_over_the_delta_and_weights_stay_with_their_rows() -> None:
    chain = operator("SELECT a + 1 AS b FROM (SELECT n * 2 AS a FROM t WHERE n > 0) q WHERE a < 10")
    assert results(chain.step(delta([(None, 1), (None, -1), (None, None), (None, 4), (None, 5)]))) == [(3, 1), (9, 4)]


@settings(max_examples=60, deadline=None)
@given(rows)
def test_a_row_that_fails_is_left_out_and_counted_and_all_others_stay(some: list[Row]) -> None:
    expected, failures = [], 0
    for weight, (text, n) in enumerate(some, start=1):
        try:
            expected.append((parsed(text), increased(n), weight))
        except ValueError:
            failures += 1
    cast = operator("SELECT CAST(text AS INTEGER) AS a, n + 1 AS b FROM t")
    assert results(cast.step(delta(some))) == expected
    assert failed_rows(cast) == failures


@settings(max_examples=60, deadline=None)
@given(rows)
def test_a_condition_that_fails_leaves_its_row_out_and_a_row_that_is_filtered_out_cannot_fail(some: list[Row]) -> None:
    expected, failures = [], 0
    for weight, (text, n) in enumerate(some, start=1):
        try:
            if (parsed(text) or 0) > 0:
                expected.append((increased(n), weight))
        except ValueError:
            failures += 1
    chain = operator("SELECT n + 1 AS b FROM t WHERE CAST(text AS INTEGER) > 0")
    assert results(chain.step(delta(some))) == expected
    assert failed_rows(chain) == failures


@settings(max_examples=40, deadline=None)
@given(rows, st.data())
@pytest.mark.parametrize(
    "sql",
    [
        "SELECT CAST(text AS INTEGER) AS a, n FROM t",
        "SELECT n FROM t WHERE CAST(text AS INTEGER) + n > 1",
        "SELECT a + 1 AS b FROM (SELECT CAST(text AS INTEGER) AS a, n FROM t WHERE n <> 0) q WHERE 10 // n > a",
        "SELECT text, n FROM t",
    ],
)
def test_whether_a_row_fails_does_not_depend_on_its_batch(sql: str, some: list[Row], data: st.DataObject) -> None:
    whole, parts = operator(sql), operator(sql)
    everything = delta(some)
    cut = data.draw(st.integers(0, len(some)))
    pieces = [
        Delta(everything.rows.slice(start, end - start), everything.weight_array[start:end])
        for start, end in ((0, cut), (cut, len(some)))
    ]
    assert results(whole.step(everything)) == [row for piece in pieces for row in results(parts.step(piece))]
    assert failed_rows(whole) == failed_rows(parts)


def test_choosing_and_renaming_columns_copies_nothing() -> None:
    given = delta([("a", 1), ("b", 2)])
    renamed = operator("SELECT n AS number, text FROM t").step(given)
    assert renamed.rows.schema.names == ["number", "text"]
    assert renamed.rows.column(0).buffers()[1].address == given.rows.column(1).buffers()[1].address


@pytest.mark.parametrize(
    ("sql", "some"),
    [
        ("SELECT n + 1 AS m FROM t", []),
        ("SELECT n FROM t", []),
        ("SELECT n FROM t WHERE n > 5", [(None, None), (None, 5)]),
        ("SELECT CAST(text AS INTEGER) AS a FROM t", [("x", 1)]),
    ],
)
def test_nothing_comes_of_nothing_in_the_right_columns(sql: str, some: list[Row]) -> None:
    chain = operator(sql)
    found = chain.step(delta(some))
    assert (len(found), found.rows.schema) == (0, chain.schema)
