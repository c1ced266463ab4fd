"""Numbers that order as values do, in DuckDB's order."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import duckdb
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.ordering import as_numbers, can_be_sorted, from_numbers, is_number, sort_lanes
from headwater.planner.logical import SortKey

NAN, INF = float("nan"), float("inf")

VALUES: dict[str, tuple[pa.DataType, list[Any]]] = {
    "BIGINT": (pa.int64(), [0, 1, -1, 2**63 - 1, -(2**63)]),
    "UBIGINT": (pa.uint64(), [0, 1, 2**63, 2**64 - 1]),
    "SMALLINT": (pa.int16(), [0, 5, -5]),
    "DOUBLE": (pa.float64(), [0.0, -0.0, 1.5, -1.5, NAN, INF, -INF, 5e-324, -5e-324]),
    "FLOAT": (pa.float32(), [0.0, 1.5, -1.5, NAN, INF, -INF]),
    "BOOLEAN": (pa.bool_(), [True, False]),
    "VARCHAR": (pa.string(), ["", "a", "B", "ü", "\U0001f600", "a longer one"]),
    "BLOB": (pa.binary(), [b"", b"\0", b"\xff", b"a"]),
    "DECIMAL(10,2)": (pa.decimal128(10, 2), [Decimal(v) for v in ("0", "1.50", "-7", "1.05")]),
    "DATE": (pa.date32(), [pa.scalar(v, pa.date32()).as_py() for v in (0, 1, -1, 20_000)]),
    "TIMESTAMP": (pa.timestamp("us"), [pa.scalar(v, pa.timestamp("us")).as_py() for v in (0, 1, -1, 10**15)]),
}


@settings(deadline=None, max_examples=200)
@given(data=st.data(), name=st.sampled_from(list(VALUES)), descending=st.booleans(), nulls_first=st.booleans())
def test_rows_are_sorted_as_duckdb_sorts_them(
    data: st.DataObject, name: str, descending: bool, nulls_first: bool
) -> None:
    type_, values = VALUES[name]
    some = data.draw(st.lists(st.sampled_from([None, *values]), max_size=12))
    rows = pa.record_batch({"v": pa.array(some, type_), "n": pa.array(range(len(some)), pa.int64())})
    lanes = sort_lanes(rows, [SortKey("v", descending, nulls_first)])
    found = np.lexsort([rows.column("n").to_numpy(), *reversed(lanes)]).tolist()
    with duckdb.connect(config={"threads": 1}) as con:
        con.register("given", pa.Table.from_batches([rows]))
        order = f"v {'DESC' if descending else 'ASC'} NULLS {'FIRST' if nulls_first else 'LAST'}, n"
        assert found == [n for (n,) in con.sql(f"SELECT n FROM given ORDER BY {order}").fetchall()]


@pytest.mark.parametrize("name", list(VALUES))
def test_every_such_type_can_be_sorted(name: str) -> None:
    assert can_be_sorted(VALUES[name][0])


@pytest.mark.parametrize("name", [name for name, (type_, _) in VALUES.items() if is_number(type_)])
def test_numbers_are_turned_back_into_the_values(name: str) -> None:
    type_, values = VALUES[name]
    column = pa.array([value for value in values if value == value], type_)
    assert from_numbers(as_numbers(column), type_).equals(column)


def test_lists_cannot() -> None:
    assert not can_be_sorted(pa.list_(pa.int64()))
