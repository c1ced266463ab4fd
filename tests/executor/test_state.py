"""State is multisets of rows: a table adds up deltas, an arrangement finds rows by a key, a delta has a normal form."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.arrangement import Arrangement
from headwater.executor.chunks import combined
from headwater.executor.keys import key_words
from headwater.executor.sorted_runs import SortedRuns
from headwater.executor.state import TableState, consolidate, repeat_rows, without_null_keys
from headwater.values import Delta

SCHEMA = pa.schema([("k", pa.int64()), ("v", pa.string())])

Row = tuple[int | None, str | None]
Bag = Counter[Row]

rows = st.tuples(st.sampled_from([None, 0, 1, 2]), st.sampled_from([None, "", "a", "b"]))
changes = st.lists(st.tuples(rows, st.sampled_from([-2, -1, 1, 1, 2])), max_size=8)
deltas = st.lists(changes, max_size=8)


def delta(changed: list[tuple[Row, int]]) -> Delta:
    table = pa.RecordBatch.from_pylist([{"k": k, "v": v} for (k, v), _ in changed], schema=SCHEMA)
    return Delta(table, np.array([weight for _, weight in changed], dtype=np.int64))


def batch(*values: Row) -> pa.RecordBatch:
    return delta([(value, 1) for value in values]).rows


def bag(changed: Delta) -> Bag:
    counted: Bag = Counter()
    for row, weight in zip(changed.rows.to_pylist(), changed.weight_array.tolist(), strict=True):
        counted[row["k"], row["v"]] += weight
    return Counter({row: weight for row, weight in counted.items() if weight})


def possible(model: Bag, changed: list[tuple[Row, int]]) -> list[tuple[Row, int]]:
    """The changes without removals of rows that are not there."""
    left, kept = Counter(model), []
    for row, weight in changed:
        if left[row] + weight >= 0:
            left[row] += weight
            kept.append((row, weight))
    return kept


@settings(max_examples=100, deadline=None)
@given(changes)
def test_consolidation_adds_up_equal_rows_and_drops_what_cancels(changed: list[tuple[Row, int]]) -> None:
    normal = consolidate(delta(changed))
    assert bag(normal) == bag(delta(changed))
    assert len(normal) == len(bag(normal)), "each row stands once"
    assert (normal.weight_array != 0).all()


def test_consolidation_keeps_the_order_of_first_appearance() -> None:
    normal = consolidate(delta([((2, "a"), 1), ((1, "a"), 1), ((2, "a"), 1), ((0, "a"), 1)]))
    assert normal.rows.column("k").to_pylist() == [2, 1, 0]


def test_a_delta_without_weights_is_not_touched_by_consolidation() -> None:
    added = Delta(batch((1, "a"), (1, "a")))
    assert consolidate(added) is added


@settings(max_examples=100, deadline=None)
@given(deltas, st.data())
def test_a_bag_holds_the_sum_of_its_deltas(all_changes: list[list[tuple[Row, int]]], data: st.DataObject) -> None:
    state, model = TableState(SCHEMA, None), Bag()
    for changed in all_changes:
        changed = possible(model, changed)
        state.apply(delta(changed))
        model.update(bag(delta(changed)))
        model = +model
        event = data.draw(st.sampled_from(["", "compact", "restore"]))
        if event == "compact":
            state.compact()
        elif event == "restore":
            saved, state = combined(state.save()), TableState(SCHEMA, None)
            state.restore(saved)
        assert bag(state.content()) == model
        assert len(state) == state.state_rows == len(model)
        assert Counter((r["k"], r["v"]) for r in state.rows().to_pylist()) == model


@settings(max_examples=100, deadline=None)
@given(st.lists(st.lists(st.tuples(rows, st.booleans()), max_size=8), max_size=8), st.data())
def test_a_table_with_a_key_is_a_dict(steps: list[list[tuple[Row, bool]]], data: st.DataObject) -> None:
    """The last row of a key wins, within a batch too; weight −1 removes whatever the key has."""
    state, model = TableState(SCHEMA, ("k",)), dict[int | None, Row]()
    for step in steps:
        before = dict(model)
        for row, present in step:
            model.pop(row[0], None)
            if present:
                model[row[0]] = row
        changed = state.upsert(
            batch(*(r for r, _ in step)), np.array([1 if p else -1 for _, p in step], dtype=np.int64)
        )
        expected = Counter(model.values())
        expected.subtract(before.values())
        assert bag(changed) == Counter({row: weight for row, weight in expected.items() if weight}), (
            "what really changed"
        )
        if data.draw(st.booleans()):
            saved, state = combined(state.save()), TableState(SCHEMA, ("k",))
            state.restore(saved)
        assert bag(state.content()) == Counter(model.values())
        assert len(state) == len(model)


def test_a_row_of_a_table_is_found_by_its_key_while_it_is_there() -> None:
    table, key = TableState(SCHEMA, ("k",)), {"k": pa.scalar(1, pa.int64())}
    assert table.row(key).num_rows == 0, "in a table that never had a row"
    table.apply(delta([((1, "a"), 1), ((2, "b"), 1)]))
    assert table.row(key).to_pylist() == [{"k": 1, "v": "a"}]
    table.apply(delta([((1, "a"), -1)]))
    assert table.row(key).num_rows == 0


def test_a_table_does_not_grow_with_what_is_gone() -> None:
    state = TableState(SCHEMA, ("k",))
    for n in range(200):
        state.upsert(batch(*((k, f"{n}") for k in range(100))), np.ones(100, dtype=np.int64))
        if state.is_sparse:
            state.compact()
    assert len(state) == 100
    assert state.nbytes < 1_000_000


@pytest.mark.parametrize(
    ("key", "changed", "complaint"),
    [
        (None, [((1, "a"), -1)], "a row was removed that was not there"),
        (("k",), [((1, "a"), 1), ((1, "b"), 1)], "two rows with one key"),
    ],
)
def test_a_delta_that_cannot_be_is_refused(key: Any, changed: list[tuple[Row, int]], complaint: str) -> None:
    with pytest.raises(AssertionError, match=complaint):
        TableState(SCHEMA, key).apply(delta(changed))


@settings(max_examples=100, deadline=None)
@given(deltas, st.lists(st.sampled_from([None, 0, 1, 2, 3]), max_size=6), st.data())
def test_an_arrangement_finds_the_rows_of_each_key(
    all_changes: list[list[tuple[Row, int]]], probes: list[int | None], data: st.DataObject
) -> None:
    arrangement, model = Arrangement(SCHEMA, ("k",)), Bag()
    for changed in all_changes:
        changed = possible(model, changed)
        arrangement.apply(delta(changed))
        model.update(bag(delta(changed)))
        model = +model
        if data.draw(st.booleans()):
            saved, arrangement = combined(arrangement.save()), Arrangement(SCHEMA, ("k",))
            arrangement.restore(saved)
        places, found, weights = arrangement.lookup(key_words([pa.array(probes, pa.int64())], len(probes)))
        assert places.tolist() == sorted(places.tolist())
        assert found.num_rows == len(places) == len(weights)
        for place, key in enumerate(probes):
            chosen = np.flatnonzero(places == place)
            matched = bag(Delta(found.take(pa.array(chosen)), weights[chosen]))
            assert matched == Counter({r: w for r, w in model.items() if r[0] == key and key is not None})
    assert len(arrangement) == sum(1 for k, _ in model if k is not None), "rows without a key are not kept"


def test_an_arrangement_does_not_grow_with_what_is_gone() -> None:
    arrangement = Arrangement(SCHEMA, ("k",))
    for n in range(200):
        arrangement.apply(delta([((k, f"{n}"), 1) for k in range(100)]))
        arrangement.apply(delta([((k, f"{n}"), -1) for k in range(100)]))
    assert len(arrangement) == 0
    assert arrangement.nbytes < 1_000_000


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 99)), min_size=1, max_size=6), max_size=8),
    st.lists(st.integers(-1, 6), max_size=5),
)
def test_matches_are_the_pairs_with_a_key(added: list[list[tuple[int, int]]], keys: list[int]) -> None:
    matches = SortedRuns()
    for pairs in added:
        matches.add(*(np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True)), key_count=6)
    places, values = matches.find(np.array(keys, dtype=np.int64))
    assert places.tolist() == sorted(places.tolist())
    every = [pair for pairs in added for pair in pairs]
    expected = Counter((place, value) for place, key in enumerate(keys) for k, value in every if k == key)
    assert Counter(zip(places.tolist(), values.tolist(), strict=True)) == expected


def test_rows_stand_as_often_as_their_weight_says() -> None:
    repeated = repeat_rows(delta([((1, "a"), 2), ((2, "b"), 1)]))
    assert repeated.column("k").to_pylist() == [1, 1, 2]


def test_a_row_with_a_null_in_its_key_joins_nothing() -> None:
    changed = delta([((None, "a"), 1), ((1, "a"), 2), ((1, None), 3)])
    assert bag(without_null_keys(changed, ["k"])) == {(1, "a"): 2, (1, None): 3}
    assert bag(without_null_keys(changed, ["k", "v"])) == {(1, "a"): 2}
