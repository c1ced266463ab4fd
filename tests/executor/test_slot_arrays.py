"""Arrays by slot: what is frozen stays as it was, whatever is written before, while and after it is copied."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from itertools import islice

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor import slot_arrays
from headwater.executor.slot_arrays import FrozenArray, Ints, SlotArray

Model = dict[int, int]  # by slot; −1 where there is none

slots = st.lists(st.integers(0, 11), min_size=1, max_size=6)
events = st.one_of(
    st.tuples(st.sampled_from(["put", "add"]), slots),
    st.tuples(st.just("grow"), st.integers(12, 40)),
    st.tuples(st.just("replace"), st.integers(12, 20)),
    st.tuples(st.just("freeze"), st.integers(0, 3)),
    st.tuples(st.sampled_from(["copy", "read"]), st.integers(0, 5)),
)


@pytest.fixture(autouse=True, scope="module")
def small_pieces() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slot_arrays, "_PIECE", 5)
        patch.setattr(slot_arrays, "_SIZE_MIN", 2)
        yield


def filled(count: int) -> SlotArray:
    array = SlotArray(-1)
    array.reserve(count)
    return array


@settings(max_examples=300, deadline=None)
@given(st.lists(events, max_size=25))
def test_what_is_frozen_stays_as_it_was(happened: list[tuple[str, list[int] | int]]) -> None:
    array, model = filled(12), np.full(12, -1)
    frozen: list[tuple[FrozenArray, Ints, Iterator[None]]] = []
    for number, (event, value) in enumerate(happened):
        match event, value:
            case "put", list(chosen):
                array[np.array(chosen)] = number
                model[chosen] = number
            case "add", list(chosen):
                array.fold(np.add, np.array(chosen), np.full(len(chosen), number))
                np.add.at(model, chosen, number)
            case "grow", int(count):
                array.reserve(count)
                model = np.concatenate([model, np.full(len(array) - len(model), -1)])
            case "replace", int(count):
                array.replace(np.arange(count))
                model = np.arange(count)
            case "freeze", int(pieces):
                then = array.frozen()
                frozen.append((then, model.copy(), then.copying()))
                list(islice(frozen[-1][2], pieces))
            case "copy", int(pieces):
                for _, _, copying in frozen:
                    list(islice(copying, pieces))
            case "read", _ if frozen:
                then, expected, _ = frozen[0]
                assert then[:].tolist() == expected.tolist()
        assert array[:].tolist() == model.tolist()
    for then, expected, copying in frozen:
        list(copying)
        assert then[:].tolist() == expected.tolist() == then[np.arange(len(then))].tolist()


def test_slots_may_have_several_numbers_each() -> None:
    array = SlotArray(-1, 2)
    array.reserve(3)
    then = array.frozen()
    array[np.array([2, 0])] = np.array([[1, 2], [3, 4]])
    assert array[:].tolist() == [[3, 4], [-1, -1], [1, 2]]
    assert then[:].tolist() == [[-1, -1]] * 3


def test_what_an_array_shows_cannot_be_written_past_it() -> None:
    array = filled(4)
    for shown in (array[:], array[1:3], array.frozen()[:]):
        with pytest.raises(ValueError, match="read-only"):
            shown[0] = 1


def test_notes_are_taken_until_there_is_a_copy_or_nobody_to_read_it_and_never_more_than_the_array_has() -> None:
    array, one = filled(10), np.array([3])
    then, forgotten = array.frozen(), array.frozen()
    for _ in range(9):
        array[one] = 7
    assert (len(then._notes), len(forgotten._notes)) == (9, 9)
    del forgotten
    for _ in range(9):
        array[one] = 8
    assert then.is_copy and not then._notes
    assert then[one].tolist() == [-1]
    array[one] = 9
    assert not array._frozen


def test_a_copy_that_is_made_while_another_thread_writes_is_what_was_there_before() -> None:
    array, random = filled(50_000), np.random.default_rng(1)
    array.replace(random.integers(0, 99, len(array)))
    is_over = threading.Event()

    def write() -> None:
        while not is_over.is_set():
            array.fold(np.add, random.integers(0, len(array), 500), np.ones(500, dtype=np.int64))

    for _ in range(20):
        expected, then = array[:].copy(), array.frozen()
        writer = threading.Thread(target=write)
        writer.start()
        found = then[:]
        is_over.set()
        writer.join()
        is_over.clear()
        assert (found == expected).all()
        assert (then[:] == expected).all()
