"""A clock decides when rows appear and when they go: at the moment, once, and at the cost of what it passes."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.executor.chunks import combined
from headwater.executor.temporal import VisibleRows
from headwater.executor.windows import clock_moved
from headwater.planner.logical import Moment, Now, StreamSource, TemporalFilter
from headwater.planner.sql_types import arrow_schema
from headwater.values import Column, Delta

Row = tuple[int, int | None, int | None]  # n, from, until
Change = tuple[Row, int]

SOURCE = StreamSource(1, "s", (Column("n", "BIGINT"), Column("from", "TIMESTAMP"), Column("until", "TIMESTAMP")))
BOTH = TemporalFilter(SOURCE, Moment("from"), Moment("until"), clock=Now())
APPEAR = replace(BOTH, visible_until=None)
GO = replace(BOTH, visible_from=None)

moments = st.one_of(st.none(), st.integers(-5, 30))
histories = st.lists(
    st.tuples(st.lists(st.tuples(st.integers(0, 3), moments, moments), max_size=5), st.integers(0, 8), st.booleans()),
    max_size=8,
)  # per step: rows that come, how far the clock moves, whether some rows go again


def delta(changes: list[Change]) -> Delta:
    columns = [
        pa.array([row[0] for row, _ in changes], pa.int64()),
        *(pa.array([row[i] for row, _ in changes], pa.int64()).view(pa.timestamp("us")) for i in (1, 2)),
    ]
    rows = pa.RecordBatch.from_arrays(columns, schema=arrow_schema(SOURCE.columns))
    return Delta(rows, np.array([weight for _, weight in changes], dtype=np.int64))


class Shown:
    """An operator, with what it has shown so far."""

    def __init__(self, node: TemporalFilter) -> None:
        self.node = node
        self.operator = VisibleRows(node)
        self.rows: Counter[Row] = Counter()
        self.clock: int | None = None

    def step(self, changes: list[Change], clock: int | None) -> list[Change]:
        """The changes that come of a step, in which the clock goes to a time."""
        moved = clock_moved(arrow_schema(Now().columns), self.clock, clock)
        self.clock = clock
        out = self.operator.step(delta(changes), moved)
        columns = [out.rows.column(0).to_pylist(), *(out.rows.column(i).view(pa.int64()).to_pylist() for i in (1, 2))]
        found = list(zip(zip(*columns, strict=True), out.weight_array.tolist(), strict=True))
        for row, weight in found:
            self.rows[row] += weight
        return found

    def restored(self) -> Shown:
        other = Shown(self.node)
        other.operator.restore(combined(self.operator.save()))
        other.rows, other.clock = self.rows, self.clock
        return other


def is_visible(node: TemporalFilter, row: Row, clock: int | None) -> bool:
    """The definition."""
    _, begins, ends = row
    begun = node.visible_from is None or (begins is not None and clock is not None and begins <= clock)
    return begun and (node.visible_until is None or (ends is not None and (clock is None or clock < ends)))


@pytest.mark.parametrize("node", [BOTH, APPEAR, GO])
@settings(max_examples=150, deadline=None)
@given(histories, st.integers(0, 8))
def test_a_row_is_there_from_its_one_moment_until_the_other(
    node: TemporalFilter, history: list[tuple[list[Row], int, bool]], restored_at: int
) -> None:
    shown, all_rows, clock = Shown(node), Counter[Row](), None
    for number, (rows, moved, is_undone) in enumerate(history):
        changes = [(row, 1) for row in rows]
        if is_undone and all_rows:
            changes.append((next(iter(all_rows)), -1))
        for row, weight in changes:
            all_rows[row] += weight
        all_rows = +all_rows
        clock = moved if clock is None and moved else None if clock is None else clock + moved
        shown.step(changes, clock)
        assert +shown.rows == Counter({r: n for r, n in all_rows.items() if is_visible(node, r, clock)})
        if number == restored_at:
            shown = shown.restored()


def test_a_row_appears_and_goes_once() -> None:
    shown, row = Shown(BOTH), (1, 10, 20)
    steps = [shown.step([(row, 1)], 5), shown.step([], 10), shown.step([], 19), shown.step([], 20), shown.step([], 99)]
    assert steps == [[], [(row, 1)], [], [(row, -1)], []]


def test_a_row_whose_time_is_over_before_the_clock_comes_by_is_never_seen() -> None:
    shown = Shown(BOTH)
    assert shown.step([((1, 10, 20), 1), ((2, 30, 30), 1)], 5) == []
    assert shown.step([], 50) == [] and shown.operator.state_rows == 0


def test_a_row_that_goes_before_it_appears_is_forgotten() -> None:
    shown, row = Shown(APPEAR), (1, 10, None)
    shown.step([(row, 1)], 5)
    assert shown.step([(row, -1)], 6) == [] and shown.operator.state_rows == 0
    assert shown.operator.due is None and shown.step([], 50) == []


def test_what_appears_and_is_replaced_in_one_step_is_seen_in_its_last_form() -> None:
    shown, old, new = Shown(APPEAR), (1, 10, None), (2, 10, None)
    shown.step([(old, 1)], 5)
    assert shown.step([(old, -1), (new, 1)], 10) == [(new, 1)]


def test_nothing_is_kept_of_a_row_that_will_stay_as_it_is() -> None:
    shown = Shown(APPEAR)
    shown.step([((n, n, None), 1) for n in range(10)], 100)
    assert shown.operator.state_rows == 0 and sum(shown.rows.values()) == 10


def test_the_next_moment_is_that_of_a_row_that_is_there() -> None:
    shown = Shown(BOTH)
    shown.step([((1, 10, 40), 1), ((2, 15, 30), 1), ((3, 12, 13), 1)], 5)
    assert shown.operator.due == 10
    shown.step([((1, 10, 40), -1), ((3, 12, 13), -1)], 6)
    assert shown.operator.due == 15
    shown.step([], 15)
    assert shown.operator.due == 30


def test_rows_come_out_in_an_order_that_does_not_depend_on_steps() -> None:
    rows = [(n, (7 * n) % 5, None) for n in range(40)]
    one, two = Shown(APPEAR), Shown(APPEAR)
    one.step([(row, 1) for row in rows], -1)
    for row in reversed(rows):
        two.step([(row, 1)], -1)
    two = two.restored()
    assert one.step([], 9) == [*two.step([], 2), *two.step([], 9)]


def test_memory_of_rows_that_went_is_given_back() -> None:
    shown, sizes = Shown(GO), []
    for step in range(40):
        shown.step([((step * 1000 + n, None, 1000 * step + n), 1) for n in range(1000)], 1000 * step - 1)
        sizes.append(shown.operator.nbytes)
    assert shown.operator.state_rows == 1000
    assert max(sizes[20:]) <= max(sizes[:20])
