"""Sums of floats are exact: rounded once, at the end, and independent of order and pieces."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.chunks import combined
from headwater.executor.exact_sums import ExactSums

SMALLEST, LARGEST = 5e-324, math.ldexp(2 - 2**-52, 1023)
TRICKY = [0.0, -0.0, 0.1, 1.0, -1.0, 2**53, 2**53 + 2, 1e16, 1e300, 1e-300, SMALLEST, -SMALLEST, LARGEST, -LARGEST]

floats = st.floats(allow_nan=False, allow_infinity=False) | st.sampled_from(TRICKY)
rows = st.lists(st.tuples(st.integers(0, 2), floats, st.sampled_from([1, 1, -1, 2, 2**20])), max_size=20)


def add(sums: ExactSums, some: list[tuple[int, float, int]]) -> None:
    groups, numbers, weights = zip(*some, strict=True) if some else ((), (), ())
    ints: Any = np.int64
    sums.add(np.arange(3), np.array(groups, ints), np.array(numbers, np.float64), np.array(weights, ints))


def totals(sums: ExactSums) -> list[float]:
    found: list[float] = sums.totals(np.arange(3)).tolist()
    return found


def empty() -> ExactSums:
    sums = ExactSums()
    sums.reserve(3)
    return sums


def rounded(exact: Fraction) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.inf if exact > 0 else -math.inf


@settings(max_examples=200, deadline=None)
@given(st.lists(rows, max_size=4))
def test_a_sum_is_the_exact_one_rounded_to_the_nearest_float(batches: list[list[tuple[int, float, int]]]) -> None:
    sums, exact = empty(), [Fraction(0)] * 3
    for batch in batches:
        add(sums, batch)
        for group, number, weight in batch:
            exact[group] += Fraction(number) * weight
        assert totals(sums) == [rounded(total) for total in exact]


@pytest.mark.parametrize("number", TRICKY)
def test_what_is_taken_away_again_leaves_nothing_behind(number: float) -> None:
    sums = empty()
    add(sums, [(0, 0.1, 1), (1, 0.2, 3)])
    before = totals(sums)
    add(sums, [(0, number, 1), (1, -number, 1)])
    add(sums, [(0, number, -1), (1, number, 1)])
    assert totals(sums) == before


@pytest.mark.parametrize(
    ("numbers", "total"),
    [
        ([2.0**53, 1.0], 2.0**53),  # half way: to the even one
        ([2.0**53, 1.0, SMALLEST], 2.0**53 + 2),  # a little more than half way
        ([2.0**53, 1.0, -SMALLEST], 2.0**53),
        ([2.0**53, 3.0], 2.0**53 + 4),
        ([LARGEST, LARGEST, -LARGEST], LARGEST),
        ([LARGEST, LARGEST], math.inf),
        ([SMALLEST] * 3, 3 * SMALLEST),
        ([1e308, 1.0, -1e308], 1.0),
        ([], 0.0),
    ],
)
def test_a_sum_is_rounded_once(numbers: list[float], total: float) -> None:
    sums = empty()
    for number in numbers:
        add(sums, [(0, number, 1)])
    assert totals(sums) == [total, 0.0, 0.0]


def test_digits_are_carried_before_they_overflow() -> None:
    sums, number, weight, times = empty(), math.ldexp(2**53 - 1, -20), 2**28, 40
    for _ in range(times):
        add(sums, [(0, number, weight), (2, -number, weight)])
    total = float(Fraction(number) * weight * times)
    assert totals(sums) == [total, 0.0, -total]


@settings(max_examples=50, deadline=None)
@given(rows, rows)
def test_sums_that_were_saved_go_on_as_if_nothing_had_happened(
    before: list[tuple[int, float, int]], after: list[tuple[int, float, int]]
) -> None:
    one, two = empty(), empty()
    add(one, before)
    two.restore(combined({"sums": one.save(np.arange(3))})["sums"])
    for sums in (one, two):
        add(sums, after)
    assert totals(one) == totals(two)


def test_floats_of_like_magnitude_take_a_few_digits_each_however_many_there_are() -> None:
    sums = ExactSums()
    sums.reserve(1000)
    for _ in range(20):
        sums.add(np.arange(1000), np.arange(1000), np.random.default_rng(1).uniform(1, 1000, 1000), np.ones(1000, int))
    assert sums.nbytes < 1000 * 400
