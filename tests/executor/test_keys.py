"""Keys: rows have equal words exactly when SQL calls them not distinct, whatever batch they come in."""

from __future__ import annotations

import uuid
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.keys import key_words, partition_of, row_words
from headwater.planner.sql_types import arrow_type, cast_from_arrow, open_duckdb
from headwater.values import Column

NAN, INF = float("nan"), float("inf")


def integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    low, high = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    return st.sampled_from([low, high, 0, 1]) | st.integers(low, high)


def floats(width: Any) -> st.SearchStrategy[float]:
    return st.sampled_from([0.0, -0.0, NAN, -NAN, INF, -INF, 1.0]) | st.floats(width=width)


def texts() -> st.SearchStrategy[str]:
    tricky = ["", "\0", "\0\0", "a", "a\0", "ü", "u\u0308", "12345678", "123456789", "x" * 511, "x" * 513, "x" * 512]
    return st.sampled_from(tricky) | st.text(max_size=20)


def decimals(precision: int, scale: int) -> st.SearchStrategy[Decimal]:
    largest = Decimal(10 ** (precision - scale) - 1)
    return st.decimals(-largest, largest, places=scale, allow_nan=False) | st.sampled_from([Decimal(0), Decimal(1)])


def optional(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | values


small = optional(st.integers(0, 2))
TYPES: dict[str, st.SearchStrategy[Any]] = {
    "BOOLEAN": st.booleans(),
    **{f"{'' if signed else 'U'}{name}": integers(bits, signed=signed)
       for name, bits in (("TINYINT", 8), ("SMALLINT", 16), ("INTEGER", 32), ("BIGINT", 64))
       for signed in (True, False)},
    "HUGEINT": st.integers(-(10**38) + 1, 10**38 - 1).map(Decimal) | st.sampled_from([0, 1, 2**64]).map(Decimal),
    "FLOAT": floats(32),
    "DOUBLE": floats(64),
    "DECIMAL(4,1)": decimals(4, 1),
    "DECIMAL(18,3)": decimals(18, 3),
    "DECIMAL(38,9)": decimals(37, 9),
    "VARCHAR": texts(),
    "BLOB": st.binary(max_size=20),
    "UUID": st.sampled_from([uuid.UUID(int=0), uuid.UUID(int=1)]).map(str) | st.uuids().map(str),
    "DATE": st.dates(date(1, 1, 1)),
    "TIME": st.times().map(lambda t: t.replace(fold=0)) | st.just(time(0)),
    "TIMESTAMP": st.datetimes(datetime(1, 1, 1)) | st.just(datetime(1969, 12, 31, 23, 59, 59, 999999)),
    "TIMESTAMP WITH TIME ZONE": st.datetimes(datetime(1900, 1, 1)),
    "INTERVAL": st.tuples(*[st.sampled_from(n) for n in ([0, 1, -1], [0, 1, 29, 30, -30], [0, 1000, 86_400 * 10**9])]),
    "INTEGER[]": st.lists(small, max_size=3),
    "VARCHAR[][]": st.lists(optional(st.lists(optional(st.sampled_from(["", "a"])), max_size=2)), max_size=2),
    "DOUBLE[]": st.lists(optional(st.sampled_from([0.0, -0.0, NAN])), max_size=2),
    "INTEGER[2]": st.lists(small, min_size=2, max_size=2),
    "STRUCT(a INTEGER)": st.fixed_dictionaries({"a": small}),
    "STRUCT(a INTEGER, b VARCHAR)": st.fixed_dictionaries({"a": small, "b": optional(st.sampled_from(["", "a"]))}),
    "STRUCT(a INTEGER)[]": st.lists(optional(st.fixed_dictionaries({"a": small})), max_size=2),
    "MAP(VARCHAR, INTEGER)": st.dictionaries(st.sampled_from(["", "a"]), small).map(lambda d: [*d.items()]),
}  # fmt: skip


def typed(sql_type: str, values: list[Any]) -> pa.Array:
    return pa.array(values, type=arrow_type(sql_type))


def classes(words: np.ndarray[Any, Any]) -> list[list[bool]]:
    pairs = [tuple(w) for w in words.tolist()]
    return [[a == b for b in pairs] for a in pairs]


def duckdb_classes(con: duckdb.DuckDBPyConnection, sql_type: str, column: pa.Array) -> list[list[bool]]:
    con.register("stored", pa.table({"place": pa.array(range(len(column))), "v": column}))
    read = f"(SELECT place, {cast_from_arrow(Column('v', sql_type))} FROM stored)"
    con.execute(f"SELECT a.v IS NOT DISTINCT FROM b.v FROM {read} a, {read} b ORDER BY a.place, b.place")
    flat = [bool(row[0]) for row in con.fetchall()]
    return [flat[i : i + len(column)] for i in range(0, len(flat), len(column))]


@pytest.fixture(scope="module")
def con() -> duckdb.DuckDBPyConnection:
    return open_duckdb(threads=1)


@pytest.mark.parametrize("sql_type", TYPES)
def test_words_are_equal_exactly_where_duckdb_calls_values_not_distinct(
    sql_type: str, con: duckdb.DuckDBPyConnection
) -> None:
    @settings(max_examples=20, deadline=None)
    @given(st.lists(optional(TYPES[sql_type]), min_size=1, max_size=12))
    def law(values: list[Any]) -> None:
        column = typed(sql_type, values)
        expected = duckdb_classes(con, sql_type, column)
        assert classes(key_words([column], len(column))) == expected, column
        other = typed("INTEGER", [1] * len(column))
        assert classes(key_words([column, other], len(column))) == expected, column

    law()


@pytest.mark.parametrize("sql_type", TYPES)
def test_a_row_has_the_same_words_in_every_batch(sql_type: str) -> None:
    @settings(max_examples=12, deadline=None)
    @given(st.lists(optional(TYPES[sql_type]), max_size=8), st.data())
    def law(values: list[Any], data: st.DataObject) -> None:
        column = typed(sql_type, values)
        whole = key_words([column], len(column)).tolist()
        first = data.draw(st.integers(0, len(values)))
        part = column.slice(first)
        assert key_words([part], len(part)).tolist() == whole[first:]
        repeated = pa.concat_arrays([column] * 40)  # so long, and so repetitive, that strings are hashed by dictionary
        assert key_words([repeated], len(repeated)).tolist() == whole * 40
        tail = repeated.slice(first)
        assert key_words([tail], len(tail)).tolist() == (whole * 40)[first:]

    law()


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(optional(texts()), optional(floats(64)), small), min_size=1, max_size=10))
def test_a_key_of_several_columns_is_equal_where_all_of_them_are(rows: list[tuple[Any, ...]]) -> None:
    columns = [
        typed(t, list(c)) for t, c in zip(("VARCHAR", "DOUBLE", "INTEGER"), zip(*rows, strict=True), strict=True)
    ]
    each = [classes(key_words([c], len(rows))) for c in columns]
    both = [[all(cells) for cells in zip(*lines, strict=True)] for lines in zip(*each, strict=True)]
    assert classes(key_words(columns, len(rows))) == both


@pytest.mark.parametrize("types", [["TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT"], ["FLOAT", "DOUBLE"]])
def test_a_number_has_the_same_words_whatever_its_width(types: list[str]) -> None:
    first, *others = (key_words([typed(t, [0, 1, 100, None])], 4).tolist() for t in types)
    assert all(other == first for other in others)


def test_columns_in_another_order_are_another_key() -> None:
    a, b = typed("INTEGER", [1]), typed("INTEGER", [2])
    assert key_words([a, b], 1).tolist() != key_words([b, a], 1).tolist()


def test_where_one_string_ends_and_the_next_begins_matters() -> None:
    left, right = typed("VARCHAR", ["ab", "a", ""]), typed("VARCHAR", ["c", "bc", "abc"])
    assert classes(key_words([left, right], 3)) == np.eye(3, dtype=bool).tolist()


def test_without_columns_all_rows_have_one_key() -> None:
    assert key_words([], 3).tolist() == [[0, 0]] * 3


def test_many_different_keys_have_different_words() -> None:
    numbers = np.arange(300_000)
    columns = [pa.array(numbers % 1000), pa.array(numbers // 1000)]
    assert len(np.unique(key_words(columns, len(numbers)), axis=0)) == len(numbers)
    assert len(np.unique(key_words([pa.array(numbers).cast(pa.string())], len(numbers)), axis=0)) == len(numbers)


GOLDEN = [
    ("BIGINT", [7, -1, None], [(7, 0), (2**64 - 1, 0), (0, 1)]),
    ("DOUBLE", [1.0, -0.0, NAN], [(0x3FF0000000000000, 0), (0, 0), (0x7FF8000000000000, 0)]),
    ("DATE", [date(1970, 1, 2), date(1969, 12, 31)], [(1, 0), (2**64 - 1, 0)]),
    ("TIMESTAMP", [datetime(1970, 1, 1) + timedelta(microseconds=5)], [(5, 0)]),
]


@pytest.mark.parametrize(("sql_type", "values", "words"), GOLDEN, ids=[g[0] for g in GOLDEN])
def test_a_column_of_eight_bytes_is_its_own_key(sql_type: str, values: list[Any], words: list[tuple[int, int]]) -> None:
    assert [tuple(w) for w in key_words([typed(sql_type, values)], len(values)).tolist()] == words


def hexadecimal(words: np.ndarray[Any, Any]) -> list[str]:
    return [f"{a:016x} {b:016x}" for a, b in words.tolist()]


def test_words_on_disk_never_change() -> None:
    """They choose the partition of a row, and digests of tables are made of them."""
    batch = pa.RecordBatch.from_arrays(
        [
            typed("VARCHAR", ["", "headwater", "x" * 600, None]),
            typed("DECIMAL(18,3)", [Decimal("1.500"), Decimal(0), None, Decimal(-1)]),
            typed("INTEGER[]", [[1, None], [], None, [2]]),
            typed("STRUCT(a INTEGER)", [{"a": 1}, {"a": None}, None, {"a": 2}]),
            typed("INTEGER", [1, 2, None, 4]),
        ],
        names=list("abcde"),
    )
    assert hexadecimal(row_words(batch)) == [
        "c73fcb9fbd07fef7 626e24d342b213d5",
        "da8617760c3cbaf6 7a8c05a939642744",
        "e2c1c3398cf07518 ad10051b5b867405",
        "020c1bdb2d12d88f de8576e7eab9eead",
    ]
    assert hexadecimal(key_words([batch.column(0)], 4)) == [
        "0000000000000000 61bc8ea8124999d4",
        "6a41d5c859d7e9d8 d70289517025287a",
        "c40426f06c8d733b c5875cf01ebe1bee",
        "e166071e7fb45925 00619dee83742b76",
    ]


def test_partitions_on_disk_never_change() -> None:
    names = typed("VARCHAR", ["ann", "bob", "", None, "eve"])
    assert partition_of([names], 5, 4).tolist() == [0, 2, 3, 3, 3]
    assert partition_of([typed("BIGINT", [0, 1, 2, 3, None])], 5, 4).tolist() == [3, 3, 1, 3, 0]


@settings(max_examples=30, deadline=None)
@given(st.lists(optional(texts()), max_size=30), st.integers(1, 1024))
def test_a_row_goes_to_one_of_the_partitions_and_equal_rows_to_the_same(values: list[Any], partitions: int) -> None:
    places = partition_of([typed("VARCHAR", values)], len(values), partitions).tolist()
    assert all(0 <= place < partitions for place in places)
    assert len({*zip(values, places, strict=True)}) == len({*values})


def test_keys_spread_evenly_over_partitions() -> None:
    counts = np.bincount(partition_of([pa.array(np.arange(8000))], 8000, 8))
    assert counts.min() > 900 and counts.max() < 1100
