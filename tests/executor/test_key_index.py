"""A key index is a dict from keys to dense slots, that is asked and filled a batch at a time."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.key_index import KeyIndex, stable_order

# Few different words, so that keys meet again, and neighbours in the table collide.
words = st.sampled_from([0, 1, 2, 2**63, 2**64 - 1]) | st.integers(0, 40)
keys = st.lists(st.tuples(words, words), max_size=60)


def array(pairs: list[tuple[int, int]]) -> npt.NDArray[np.uint64]:
    return np.array(pairs, dtype=np.uint64).reshape(-1, 2)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(["insert", "find"]), keys), max_size=8))
def test_it_behaves_as_a_dict(operations: list[tuple[str, list[tuple[int, int]]]]) -> None:
    index, model = KeyIndex(), dict[tuple[int, int], int]()
    for operation, pairs in operations:
        if operation == "find":
            assert index.find(array(pairs)).tolist() == [model.get(pair, -1) for pair in pairs]
            continue
        slots = index.insert(array(pairs)).tolist()
        known = len(model)
        fresh = dict(zip(pairs, slots, strict=True)).keys() - model.keys()
        model |= dict(zip(pairs, slots, strict=True))
        assert slots == [model[pair] for pair in pairs], "a key has one slot"
        assert sorted(model[pair] for pair in fresh) == list(range(known, len(model))), "new slots are dense"
        assert len(index) == len(model)
        assert [tuple(pair) for pair in index.keys.tolist()] == sorted(model, key=model.__getitem__)


@settings(max_examples=50, deadline=None)
@given(keys)
def test_an_index_that_is_filled_finds_each_key_at_its_place(pairs: list[tuple[int, int]]) -> None:
    distinct = list(dict.fromkeys(pairs))
    index = KeyIndex()
    index.fill(array(distinct))
    assert index.find(array(distinct)).tolist() == list(range(len(distinct)))
    assert index.insert(array([(10**9, 10**9)])).tolist() == [len(distinct)]


@pytest.mark.parametrize("batch", [1, 7, 1000, 100_000])
def test_a_hundred_thousand_keys_are_found_again_whatever_the_batches_were(batch: int) -> None:
    numbers = np.arange(100_000 if batch > 1 else 2_000, dtype=np.uint64)
    pairs = np.stack([numbers * np.uint64(1 << 32), numbers // np.uint64(3)], axis=1)
    index = KeyIndex()
    for start in range(0, len(pairs), batch):
        index.insert(pairs[start : start + batch])
    found = index.find(pairs)
    assert len(index) == len(pairs) and sorted(found.tolist()) == list(range(len(pairs)))
    assert (index.keys[found] == pairs).all()
    assert (index.find(pairs + np.uint64(1 << 20)) == -1).all()


def test_the_same_batches_give_the_same_slots() -> None:
    batches = [np.random.default_rng(seed).integers(0, 500, (300, 2)).astype(np.uint64) for seed in range(5)]
    one, two = KeyIndex(), KeyIndex()
    assert [one.insert(b).tolist() for b in batches] == [two.insert(b).tolist() for b in batches]


def test_no_keys_are_no_keys() -> None:
    index = KeyIndex()
    assert index.find(array([])).tolist() == index.insert(array([])).tolist() == []
    assert len(index) == 0


@settings(deadline=None)
@given(st.lists(st.integers(0, 1 << 33), max_size=40), st.sampled_from([1 << 10, 1 << 16, 1 << 17, 1 << 34]))
def test_numbers_are_put_in_order_as_they_stand(some: list[int], count: int) -> None:
    numbers = np.array([number % count for number in some], dtype=np.int64)
    assert stable_order(numbers, count).tolist() == np.argsort(numbers, kind="stable").tolist()
