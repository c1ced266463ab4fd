"""A row heap is a list: rows are added at the end and taken by number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.heap import RowHeap

SCHEMA = pa.schema([("n", pa.int64()), ("texts", pa.list_(pa.string()))])

rows = st.fixed_dictionaries(
    {"n": st.none() | st.integers(0, 99), "texts": st.none() | st.lists(st.none() | st.text(max_size=3), max_size=2)}
)


def batch(values: list[dict[str, Any]]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist(values, schema=SCHEMA)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(rows, max_size=5), max_size=12), st.data())
def test_it_behaves_as_a_list(batches: list[list[dict[str, Any]]], data: st.DataObject) -> None:
    heap, model = RowHeap(SCHEMA), list[dict[str, Any]]()
    for values in batches:
        assert heap.append(batch(values)) == len(model), "append gives the number of the first row"
        model += values
        assert len(heap) == len(model)
        numbers = data.draw(st.lists(st.integers(0, len(model) - 1), max_size=6)) if model else []
        taken = heap.take(np.array(numbers, dtype=np.int64))
        assert taken.schema == SCHEMA
        assert taken.to_pylist() == [model[n] for n in numbers]
    assert [row for part in heap.batches() for row in part.to_pylist()] == model


def test_rows_that_were_taken_stay_as_they_are_while_the_heap_grows() -> None:
    heap = RowHeap(SCHEMA)
    heap.append(batch([{"n": 1, "texts": ["a"]}]))
    taken, held = heap.take(np.array([0])), heap.batches()
    for n in range(100):
        heap.append(batch([{"n": n, "texts": None}]))
    assert taken.to_pylist() == [{"n": 1, "texts": ["a"]}] == held[0].to_pylist()


def test_many_small_batches_become_a_few_large_ones() -> None:
    heap = RowHeap(SCHEMA)
    for n in range(3000):
        heap.append(batch([{"n": n, "texts": None}]))
    assert len(heap.batches()) <= 13  # log₂ 3000, rounded up, and the last
    assert heap.take(np.arange(3000)).column("n").to_pylist() == list(range(3000))
