"""The first rows of partitions that only grow: after every step those that the definition says, and no others kept."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.chunks import combined
from headwater.executor.growing_top import ForemostRows, GrowingTop
from headwater.planner.logical import Foremost, SortKey, StreamSource, TopK
from headwater.values import Column, Delta

COLUMNS = (Column("k", "INTEGER"), Column("v", "BIGINT"), Column("t", "VARCHAR"))
SCHEMA = pa.schema([("k", pa.int32()), ("v", pa.int64()), ("t", pa.string())])
STREAM = StreamSource(1, "s", COLUMNS)

Row = tuple[int | None, int | None, str | None]
rows = st.tuples(
    st.sampled_from([None, 1, 2]), st.none() | st.integers(-3, 3), st.sampled_from([None, "", "a", "b", "ü"])
)


def delta(some: list[Row]) -> Delta:
    return Delta(pa.RecordBatch.from_pylist([dict(zip(SCHEMA.names, row, strict=True)) for row in some], schema=SCHEMA))


def changes(change: Delta) -> list[tuple[object, ...]]:
    pairs = zip(change.rows.to_pylist(), change.weight_array.tolist(), strict=True)
    return [(*row.values(), weight) for row, weight in pairs]


def by_definition(some: list[Row], node: TopK) -> Counter[tuple[object, ...]]:
    """What `node`, by v and t and then by all columns, gives of these rows."""

    def place(row: Row) -> tuple[object, ...]:
        k, v, t = row
        keys = {"v": (v is None, v or 0), "t": (t is None, (t or "").encode())}
        result: list[object] = []
        for key in node.order:
            is_null, value = keys[key.column]
            assert isinstance(value, int | bytes)
            size = value if isinstance(value, int) else int.from_bytes(value.ljust(4, b"\0"), "big")
            result += [is_null != key.nulls_first, -size if key.descending else size]
        return (*result, k is None, k or 0, *keys["v"], *keys["t"])

    found: Counter[tuple[object, ...]] = Counter()
    for partition in {row[0] if node.partition else None for row in some}:
        part = sorted((row for row in some if not node.partition or row[0] == partition), key=place)
        numbered = list(islice(enumerate(part, start=1), node.offset, node.offset + node.limit))
        found.update((*row, number) if node.number else row for number, row in numbered)
    return found


@settings(deadline=None)
@given(
    steps=st.lists(st.lists(rows, max_size=8), max_size=8),
    partition=st.sampled_from([("k",), ()]),
    order=st.lists(
        st.builds(SortKey, st.sampled_from(["v", "t"]), st.booleans(), st.booleans()),
        unique_by=lambda key: key.column, max_size=2,
    ),
    limit=st.integers(1, 3),
    offset=st.integers(0, 2),
    number=st.sampled_from([None, "n"]),
)  # fmt: skip
def test_after_every_step_and_restart_they_are_those_of_the_definition(
    steps: list[list[Row]],
    partition: tuple[str, ...],
    order: list[SortKey],
    limit: int,
    offset: int,
    number: str | None,
) -> None:
    node = TopK(STREAM, partition, tuple(order), limit, offset, number)
    operator = GrowingTop(node)
    given_rows: list[Row] = []
    shown: Counter[tuple[object, ...]] = Counter()
    for count, step in enumerate(steps):
        given_rows += step
        for *row, weight in changes(operator.step(delta(step))):
            assert isinstance(weight, int)
            shown[tuple(row)] += weight
        assert all(weight >= 0 for weight in shown.values())
        assert +shown == by_definition(given_rows, node)
        if count % 3 == 2:
            restored = GrowingTop(node)
            restored.restore(combined(operator.save()))
            operator = restored


def test_no_more_rows_are_kept_than_count() -> None:
    operator = GrowingTop(TopK(STREAM, ("k",), (SortKey("v"),), limit=2, offset=1))
    for start in range(0, 20_000, 1000):
        operator.step(delta([(v % 10, -v, "x" * 100) for v in range(start, start + 1000)]))
    assert operator.state_rows == 10 * 3
    assert operator.nbytes < 2_000_000


def test_a_row_that_is_equal_to_one_in_the_head_does_not_take_its_place() -> None:
    operator = GrowingTop(TopK(STREAM, ("k",), (SortKey("v"),), limit=1))
    assert changes(operator.step(delta([(1, 5, "a")]))) == [(1, 5, "a", 1)]
    assert changes(operator.step(delta([(1, 5, "a"), (1, 5, "b")]))) == []


@pytest.mark.parametrize("limit", [1, 3])
def test_a_step_far_behind_the_heads_changes_nothing(limit: int) -> None:
    operator = GrowingTop(TopK(STREAM, ("k",), (SortKey("v"),), limit=limit))
    operator.step(delta([(k, v, "a") for k in range(5) for v in range(3)]))
    assert changes(operator.step(delta([(k, 100 + k, "b") for k in range(5)]))) == []


def test_it_takes_what_only_grows_and_is_ordered_by_simple_values() -> None:
    lists = StreamSource(2, "l", (Column("k", "INTEGER"), Column("v", "BIGINT[]")))
    assert GrowingTop.takes(TopK(STREAM, (), (SortKey("t"),), limit=10))
    assert not GrowingTop.takes(TopK(STREAM, (), (SortKey("t"),), limit=1000))
    assert not GrowingTop.takes(TopK(lists, (), (SortKey("v"),), limit=1))


def test_half_a_million_rows_leave_the_last_of_each_partition() -> None:
    operator = GrowingTop(TopK(STREAM, ("k",), (SortKey("v", descending=True),), limit=1))
    numbers = np.random.default_rng(5).permutation(500_000)
    for part in np.split(numbers, 5):
        columns = [pa.array(part % 1000, pa.int32()), pa.array(part), pa.array(["a"] * len(part))]
        operator.step(Delta(pa.RecordBatch.from_arrays(columns, schema=SCHEMA)))
    kept = combined(operator.save())["rows"].column("v").to_pylist()
    assert sorted(kept) == list(range(499_000, 500_000))


@settings(deadline=None)
@given(steps=st.lists(st.lists(rows, max_size=8), max_size=8), descending=st.booleans(), nulls_first=st.booleans())
def test_the_foremost_rows_are_all_that_no_other_one_is_before(
    steps: list[list[Row]], descending: bool, nulls_first: bool
) -> None:
    node = Foremost(STREAM, ("k",), (SortKey("v", descending, nulls_first),))
    operator = ForemostRows(node)
    given_rows: list[Row] = []
    shown: Counter[tuple[object, ...]] = Counter()
    for count, step in enumerate(steps):
        given_rows += step
        for *row, weight in changes(operator.step(delta(step))):
            assert isinstance(weight, int)
            shown[tuple(row)] += weight
        expected: Counter[tuple[object, ...]] = Counter()
        for partition in {row[0] for row in given_rows}:
            part = [row for row in given_rows if row[0] == partition]
            numbers = [v for _, v, _ in part if v is not None]
            best = (max if descending else min)(numbers, default=None)
            best = None if nulls_first and len(numbers) < len(part) else best
            expected.update(row for row in part if row[1] == best)
        assert +shown == expected
        if count % 3 == 2:
            restored = ForemostRows(node)
            restored.restore(combined(operator.save()))
            operator = restored
