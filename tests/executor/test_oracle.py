"""What the differential harness takes for equal: all but the digits that floats lose when they are added up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from tests.executor.oracle import canonical, differences
from tests.executor.query import Query

ROUNDING = Query("", "SELECT covar_pop(v % 5, v % 3) FROM s").rounding


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (5.6e-17, 2.8e-17),
        (0.0, -3e-17),
        (1.999999994999, 1.999999995001),  # which nine digits tell apart
        ([1, 5.6e-17], [1, 2.8e-17]),
    ],
)
def test_floats_that_differ_by_the_order_of_adding_up_are_equal(one: Any, other: Any) -> None:
    rows, expected = canonical([("a", one), ("a", one), ("b", 1)]), canonical([("a", other), ("b", 1), ("a", other)])
    assert rows != expected
    assert differences(rows, expected, ROUNDING) == (Counter(), Counter())


@pytest.mark.parametrize(("one", "other"), [(1e-9, 0.0), (0.5, 0.50000003), (1, 2), (None, 0.0), (float("inf"), 1e300)])
def test_other_values_are_not(one: Any, other: Any) -> None:
    assert differences(canonical([("a", one)]), canonical([("a", other)]), ROUNDING) == (
        Counter([("a", one)]),
        Counter([("a", other)]),
    )


def test_a_row_stands_for_one_row() -> None:
    many, missing = differences(canonical([(5.6e-17,), (5.6e-17,)]), canonical([(2.8e-17,)]), ROUNDING)
    assert (many.total(), missing.total()) == (1, 0)


def test_only_queries_that_add_floats_up_have_digits_to_lose() -> None:
    assert Query("", "SELECT avg(v), max(d), sum(w) FROM s").rounding == 0
    assert Query("", "SELECT sum(a.d) FROM s a").rounding > ROUNDING > 0
