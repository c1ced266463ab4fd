"""An aggregate of a changing group equals that of the group's rows from scratch, in any order and any split."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.accumulators import Accumulator, Average, Count, FloatSum, IntegerSum
from headwater.executor.chunks import combined
from headwater.executor.extremes import Extreme

NAN, INF = float("nan"), float("inf")
HUGEINT = pa.decimal128(38, 0)
GROUPS = 3

Change = tuple[int, Any, int]  # group, value, weight


@dataclass(frozen=True)
class Case:
    """An aggregate: how it is made, of what values, and what it is by definition (of values that are not NULL)."""

    make: Callable[[], Accumulator]
    type: pa.DataType
    values: st.SearchStrategy[Any]
    defined: Callable[[Sequence[Any]], Any]


def float_sum(values: Sequence[float]) -> float:
    """The exact sum rounded once, however large what comes in between; math.fsum, but for overflow."""
    if any(math.isnan(v) for v in values) or {INF, -INF} <= {*values}:
        return NAN
    infinite = [v for v in values if math.isinf(v)]
    if infinite:
        return infinite[0]
    total = sum(map(Fraction, values), Fraction(0))
    try:
        return float(total)
    except OverflowError:
        return INF if total > 0 else -INF


def float_mean(values: Sequence[float]) -> float:
    return float_sum(values) / len(values)


def ordered(value: Any) -> Any:
    """DuckDB's order of floats has NaN last."""
    return (math.isnan(value), value) if isinstance(value, float) else value


def smallest(values: Sequence[Any]) -> Any:
    return min(values, key=ordered, default=None)


def largest(values: Sequence[Any]) -> Any:
    return max(values, key=ordered, default=None)


def none_if_empty(function: Callable[[Sequence[Any]], Any]) -> Callable[[Sequence[Any]], Any]:
    return lambda values: function(values) if values else None


def extreme(function: str, type_: pa.DataType) -> Callable[[], Accumulator]:
    return lambda: Extreme(function, type_, retractable=True)


int64s = st.sampled_from([2**63 - 1, -(2**63), 0, 1]) | st.integers(-(2**63), 2**63 - 1)
hugeints = st.integers(-(10**36), 10**36).map(Decimal)
decimals = st.decimals(Decimal("-999999999999.999"), Decimal("999999999999.999"), places=3)
any_floats = st.floats() | st.sampled_from([0.0, -0.0, 0.1, 1.7e308, NAN, INF, -INF])
times = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1))

exact_sum = none_if_empty(lambda values: Decimal(sum(map(int, values))))
CASES = {
    "count": Case(Count, pa.int64(), int64s, len),
    "sum(TINYINT)": Case(lambda: IntegerSum(HUGEINT), pa.int8(), st.integers(-128, 127), exact_sum),
    "sum(BIGINT)": Case(lambda: IntegerSum(HUGEINT), pa.int64(), int64s, exact_sum),
    "sum(UINTEGER)": Case(lambda: IntegerSum(HUGEINT), pa.uint32(), st.integers(0, 2**32 - 1), exact_sum),
    "sum(BOOLEAN)": Case(lambda: IntegerSum(HUGEINT), pa.bool_(), st.booleans(), exact_sum),
    "sum(DECIMAL)": Case(
        lambda: IntegerSum(pa.decimal128(38, 3), 3, is_wide=True), pa.decimal128(15, 3), decimals,
        none_if_empty(lambda values: sum(values))),
    "sum(HUGEINT)": Case(lambda: IntegerSum(HUGEINT, is_wide=True), HUGEINT, hugeints, exact_sum),
    "sum(UBIGINT)": Case(
        lambda: IntegerSum(HUGEINT, is_wide=True), pa.uint64(), st.integers(0, 2**64 - 1), exact_sum),
    "sum(DOUBLE)": Case(lambda: FloatSum(pa.float64()), pa.float64(), any_floats, none_if_empty(float_sum)),
    "sum(FLOAT)": Case(
        lambda: FloatSum(pa.float64()), pa.float32(), st.floats(width=32), none_if_empty(float_sum)),
    "avg(BIGINT)": Case(lambda: Average(IntegerSum(HUGEINT)), pa.int64(), int64s, none_if_empty(
        lambda v: float(Fraction(sum(v), len(v))))),
    "avg(DECIMAL)": Case(
        lambda: Average(IntegerSum(HUGEINT, 3, is_wide=True)), pa.decimal128(15, 3), decimals,
        none_if_empty(lambda v: float(sum(map(Fraction, v)) / len(v)))),
    "avg(DOUBLE)": Case(lambda: Average(FloatSum(pa.float64())), pa.float64(), any_floats, none_if_empty(float_mean)),
    "min(BIGINT)": Case(extreme("min", pa.int64()), pa.int64(), st.integers(-3, 3) | int64s, smallest),
    "max(BIGINT)": Case(extreme("max", pa.int64()), pa.int64(), st.integers(-3, 3) | int64s, largest),
    "min(DOUBLE)": Case(extreme("min", pa.float64()), pa.float64(), any_floats, smallest),
    "max(DOUBLE)": Case(extreme("max", pa.float64()), pa.float64(), any_floats, largest),
    "max(FLOAT)": Case(extreme("max", pa.float32()), pa.float32(), st.floats(width=32), largest),
    "min(VARCHAR)": Case(extreme("min", pa.string()), pa.string(), st.text(max_size=3), smallest),
    "max(TIMESTAMP)": Case(extreme("max", pa.timestamp("us")), pa.timestamp("us"), times, largest),
    "min(BOOLEAN)": Case(extreme("min", pa.bool_()), pa.bool_(), st.booleans(), smallest),
    "max(DECIMAL)": Case(extreme("max", pa.decimal128(15, 3)), pa.decimal128(15, 3), decimals, largest),
}  # fmt: skip


def fold(accumulator: Accumulator, case: Case, changes: Sequence[Change]) -> None:
    """One delta. The groups that it touches are given as an operator gives them: distinct slots, places in these."""
    if not changes:
        return
    slots, groups = np.unique(np.array([group for group, _, _ in changes]), return_inverse=True)
    column = pa.array([value for _, value, _ in changes], type=case.type)
    accumulator.fold(slots, groups, column, np.array([weight for _, _, weight in changes], dtype=np.int64))


def made(case: Case, *deltas: Sequence[Change]) -> Accumulator:
    accumulator = case.make()
    accumulator.reserve(GROUPS)
    for changes in deltas:
        fold(accumulator, case, changes)
    return accumulator


def values_of(accumulator: Accumulator) -> list[Any]:
    values: list[Any] = accumulator.value(np.arange(GROUPS)).to_pylist()
    return values


def bits(values: list[Any]) -> list[Any]:
    """Values that are equal only if they are the same to the last bit."""
    return [struct.pack("<d", v) if isinstance(v, float) else v for v in values]


def by_definition(case: Case, changes: Sequence[Change]) -> list[Any]:
    groups: list[list[Any]] = [[] for _ in range(GROUPS)]
    for group, value, weight in changes:
        groups[group] += [value] * weight
        for _ in range(-weight):
            groups[group].remove(value)
    return [case.defined([value for value in values if value is not None]) for values in groups]


def with_retractions(drawn: list[Change], data: st.DataObject) -> list[Change]:
    """Some additions, and removals of some of what was added before."""
    changes: list[Change] = []
    for group, value, weight in drawn:
        changes.append((group, value, weight))
        if data.draw(st.booleans()):
            g, v, w = data.draw(st.sampled_from(changes))
            held = sum(c[2] for c in changes if c[0] == g and c[1] is v)
            if held > 0:
                changes.append((g, v, -min(w, held) if w > 0 else -1))
    return changes


def additions(case: Case) -> st.SearchStrategy[list[Change]]:
    value = st.none() | case.values
    return st.lists(st.tuples(st.integers(0, GROUPS - 1), value, st.integers(1, 2)), max_size=10)


@pytest.mark.parametrize("name", CASES)
def test_folded_changes_give_the_aggregate_of_what_is_left(name: str) -> None:
    case = CASES[name]

    @settings(max_examples=25, deadline=None)
    @given(additions(case), st.data())
    def law(drawn: list[Change], data: st.DataObject) -> None:
        changes = with_retractions(drawn, data)
        accumulator, cut = made(case), 0
        while cut < len(changes):
            end = data.draw(st.integers(cut + 1, len(changes)))
            fold(accumulator, case, changes[cut:end])
            cut = end
            assert_same(name, values_of(accumulator), by_definition(case, changes[:cut]))

    law()


def assert_same(name: str, found: list[Any], expected: list[Any]) -> None:
    if not name.startswith("avg"):
        assert bits(canonical(found)) == bits(canonical(expected))
        return
    assert [v is None for v in found] == [v is None for v in expected]
    means = [(f, e) for f, e in zip(found, expected, strict=True) if e is not None]
    assert [f for f, _ in means] == pytest.approx([e for _, e in means], rel=1e-14, abs=1e-300, nan_ok=True)


def canonical(values: list[Any]) -> list[Any]:
    """With one NaN and no −0.0, which are one value each to SQL."""
    return [(NAN if math.isnan(v) else v + 0.0) if isinstance(v, float) else v for v in values]


@pytest.mark.parametrize("name", CASES)
def test_the_order_and_the_split_of_changes_leave_no_trace_in_a_single_bit(name: str) -> None:
    case = CASES[name]

    @settings(max_examples=25, deadline=None)
    @given(additions(case), st.randoms(use_true_random=False), st.data())
    def law(drawn: list[Change], random: Any, data: st.DataObject) -> None:
        shuffled = random.sample(drawn, len(drawn))
        cut = data.draw(st.integers(0, len(drawn)))
        assert bits(values_of(made(case, shuffled[:cut], shuffled[cut:]))) == bits(values_of(made(case, drawn)))

    law()


@pytest.mark.parametrize("name", CASES)
def test_a_saved_aggregate_goes_on_as_if_nothing_had_happened(name: str) -> None:
    case = CASES[name]

    @settings(max_examples=15, deadline=None)
    @given(additions(case), st.data())
    def law(drawn: list[Change], data: st.DataObject) -> None:
        changes = with_retractions(drawn, data)
        cut = data.draw(st.integers(0, len(changes)))
        one = made(case, changes[:cut])
        two = case.make()
        two.restore(combined(one.save(np.arange(GROUPS))))
        two.reserve(GROUPS)
        assert bits(values_of(two)) == bits(values_of(one))
        fold(one, case, changes[cut:])
        fold(two, case, changes[cut:])
        assert bits(values_of(two)) == bits(values_of(one))

    law()


@pytest.mark.parametrize("name", CASES)
def test_groups_that_are_saved_get_new_numbers_in_the_order_asked(name: str) -> None:
    case = CASES[name]

    @settings(max_examples=10, deadline=None)
    @given(additions(case), st.lists(st.integers(0, GROUPS - 1), unique=True))
    def law(drawn: list[Change], chosen: list[int]) -> None:
        one, two, slots = made(case, drawn), case.make(), np.array(chosen, dtype=np.int64)
        two.restore(combined(one.save(slots)))
        assert bits(two.value(np.arange(len(slots))).to_pylist()) == bits(one.value(slots).to_pylist())

    law()


def test_count_of_a_column_leaves_out_nulls_and_count_of_all_does_not() -> None:
    counts = made(CASES["count"], [(0, 1, 1), (0, None, 1), (1, None, 2)])
    assert values_of(counts) == [1, 0, 0]
    everything = Count()
    everything.reserve(2)
    everything.fold(np.array([0, 1]), np.array([0, 0, 1]), None, np.array([1, 2, -1]))
    assert everything.value(np.arange(2)).to_pylist() == [3, -1]


def test_a_sum_far_beyond_64_bits_is_exact() -> None:
    case = CASES["sum(BIGINT)"]
    accumulator = made(case, *[[(0, 2**63 - 1, 1000), (1, -(2**63), 1000)]] * 1000)
    assert values_of(accumulator)[:2] == [Decimal((2**63 - 1) * 10**6), Decimal(-(2**63) * 10**6)]


def test_a_float_sum_keeps_what_is_small_beside_what_is_large() -> None:
    accumulator = made(CASES["sum(DOUBLE)"], [(0, 1e300, 1)], *[[(0, 0.125, 1)]] * 1000, [(0, 1e300, -1)])
    assert values_of(accumulator)[0] == 125.0


@pytest.mark.parametrize(("special", "total"), [(NAN, NAN), (INF, INF), (-INF, -INF)])
def test_a_float_sum_gets_over_what_is_not_finite(special: float, total: float) -> None:
    case = CASES["sum(DOUBLE)"]
    accumulator = made(case, [(0, 1.5, 1), (0, special, 1)])
    assert bits(canonical(values_of(accumulator)))[0] == bits([total])[0]
    fold(accumulator, case, [(0, special, -1)])
    assert values_of(accumulator)[0] == 1.5


def test_a_float_sum_out_of_range_is_infinite_until_it_is_back() -> None:
    case = CASES["sum(DOUBLE)"]
    accumulator = made(case, [(0, 1.7e308, 1)], [(0, 1.7e308, 1)])
    assert values_of(accumulator)[0] == INF
    fold(accumulator, case, [(0, 1.7e308, -1)])
    assert values_of(accumulator)[0] == 1.7e308


def test_a_minimum_that_only_grows_keeps_one_value_per_group() -> None:
    lean, full = (Extreme("min", pa.int64(), retractable=r) for r in (False, True))
    for accumulator in (lean, full):
        accumulator.reserve(1)
        for start in range(0, 50_000, 1000):
            column = pa.array(range(start, start + 1000), pa.int64())
            accumulator.fold(np.array([0]), np.zeros(1000, dtype=np.int64), column, np.ones(1000, dtype=np.int64))
        assert accumulator.value(np.array([0])).to_pylist() == [0]
    assert lean.nbytes < 2000 < 50_000 * 8 < full.nbytes
