"""Rows that are there for a time: a clock decides when a row appears and when it goes."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from headwater.executor.chunks import int_chunks, int_column
from headwater.executor.keys import Words, row_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.sorted_runs import SortedRuns
from headwater.executor.state import TableState, consolidate, empty_delta, repeat_rows, select_rows
from headwater.executor.windows import Times, clock_time, microseconds
from headwater.planner.logical import Moment, TemporalFilter
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta, concat_deltas

_NEVER = int(np.iinfo(np.int64).min)  # what the clock shows before it has a row
_FOR_EVER = int(np.iinfo(np.int64).max)


class VisibleRows:
    """The operator of `TemporalFilter`. It keeps the rows about which the clock has still to decide something.

        row    from   until      clock   none  10:01  10:02  10:03
        a      10:01  10:03      output        +a            −a
        b      10:02  10:02

    A step costs in proportion to the rows of its delta and those that the clock passes.
    """

    def __init__(self, node: TemporalFilter) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._clock = _NEVER
        self._waiting = None if node.visible_from is None else _RowsByTime(node, node.visible_from)
        self._expiring = None if node.visible_until is None else _RowsByTime(node, node.visible_until)

    @property
    def _kept(self) -> dict[str, _RowsByTime]:
        kept = {"waiting": self._waiting, "expiring": self._expiring}
        return {name: rows for name, rows in kept.items() if rows is not None}

    @property
    def nbytes(self) -> int:
        return sum(rows.nbytes for rows in self._kept.values())

    @property
    def state_rows(self) -> int:
        return sum(len(rows) for rows in self._kept.values())

    @property
    def due(self) -> int | None:
        """The time of the clock at which the next row appears or goes; None if none will."""
        times = [time for rows in self._kept.values() if (time := rows.first) is not None]
        return min(times, default=None)

    def step(self, delta: Delta, clock: Delta) -> Delta:
        moved = clock_time(clock)
        gone = appeared = empty_delta(self.schema)
        if moved is not None:
            assert moved >= self._clock, "a clock went back"
            self._clock = moved
            if self._waiting is not None:
                appeared = self._waiting.take_through(moved)
            if self._expiring is not None:
                gone = self._expiring.take_through(moved)
        if not len(gone) and not len(appeared):
            shown = self._shown(delta) if len(delta) else delta
        else:
            shown = self._shown(concat_deltas(self.schema, [appeared, delta]))
            shown = consolidate(concat_deltas(self.schema, [Delta(gone.rows, -gone.weight_array), shown]))
        return self._records(shown) if self.node.is_final and self.node.append_only else shown

    def _records(self, shown: Delta) -> Delta:
        """Rows that stay for ever, which can be records: each by itself, in an order that no end of a step changes."""
        return Delta(repeat_rows(_in_time(shown, self.node.visible_from, row_words(shown.rows))))

    def _shown(self, delta: Delta) -> Delta:
        """The rows that are visible now; files those that will not stay as they are."""
        begins = _moments(delta, self.node.visible_from, _NEVER, null=_FOR_EVER)
        ends = _moments(delta, self.node.visible_until, _FOR_EVER, null=_NEVER)
        visible = (begins <= self._clock) & (self._clock < ends)
        if self._waiting is not None:
            self._waiting.apply(_where(delta, (self._clock < begins) & (begins < ends)))
        if self._expiring is not None:
            self._expiring.apply(_where(delta, visible & (ends < _FOR_EVER)))
        return _where(delta, visible)

    def save(self) -> ChunkedParts:
        shown = np.array([] if self._clock == _NEVER else [self._clock], dtype=np.int64)
        parts = {f"{n}.{part}": table for n, rows in self._kept.items() for part, table in rows.save().items()}
        return {"clock": int_chunks(time=shown), **parts}

    def restore(self, parts: Parts) -> None:
        shown = int_column(parts["clock"], "time")
        self._clock = int(shown[0]) if len(shown) else _NEVER
        for name, rows in self._kept.items():
            rows.restore({part: parts[f"{name}.{part}"] for part in ("rows", "weights")})


class _RowsByTime:
    """Rows with weights, of which those come out first whose moment is the earliest.

    Where the key of the rows has the moment, a row that changes keeps its place; otherwise it is another row.
    """

    def __init__(self, node: TemporalFilter, moment: Moment) -> None:
        self._moment = moment
        self._rows = TableState(arrow_schema(node.columns), node.key if moment.column in (node.key or ()) else None)
        self._file_all()

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes + self._order.nbytes

    @property
    def first(self) -> int | None:
        """The earliest moment of a row."""
        return self._order.first(lambda slots: self._rows.weights(slots) > 0)

    def apply(self, delta: Delta) -> None:
        """Adds rows whose moment has not come; a row that is taken away must be there."""
        if not len(delta):
            return
        slots, first = np.unique(self._rows.apply(delta), return_index=True)
        fresh = slots >= self._filed
        if fresh.any():
            self._file(slots[fresh], select_rows(delta, first[fresh]))
        self._compact_if_sparse()

    def take_through(self, time: int) -> Delta:
        """Takes out the rows whose moment has come at a time, in an order that follows from them alone."""
        slots = self._order.take_before(time + 1)
        slots = slots[self._rows.weights(slots) > 0]
        taken = Delta(self._rows.take(slots), self._rows.weights(slots))
        taken = _in_time(taken, self._moment, self._rows.words(taken.rows))
        self._rows.apply(Delta(taken.rows, -taken.weight_array))
        self._compact_if_sparse()
        return taken

    def _compact_if_sparse(self) -> None:
        if self._rows.is_sparse:
            self._rows.compact()
            self._file_all()

    def _file_all(self) -> None:
        """Makes the order of all rows."""
        self._order = SortedRuns()
        self._filed = 0  # slots below this number are in it
        slots = self._rows.live_slots()
        if len(slots):
            self._file(slots, Delta(self._rows.take(slots)))

    def _file(self, slots: npt.NDArray[np.int64], rows: Delta) -> None:
        self._order.add(_moments(rows, self._moment, 0, null=0), slots)
        self._filed = int(slots.max()) + 1

    def save(self) -> ChunkedParts:
        return self._rows.save()

    def restore(self, parts: Parts) -> None:
        self._rows.restore(parts)
        self._file_all()


def _moments(delta: Delta, moment: Moment | None, default: int, *, null: int) -> Times:
    """The moment of each row in µs since 1970, at most the largest that there is; `default` where none is given."""
    if moment is None:
        return np.full(len(delta), default, dtype=np.int64)
    column = delta.rows.column(moment.column)
    times = np.minimum(microseconds(column), _FOR_EVER - moment.after_us) + moment.after_us
    return np.where(column.is_null().to_numpy(zero_copy_only=False), null, times) if column.null_count else times


def _in_time(delta: Delta, moment: Moment | None, words: Words) -> Delta:
    """The rows in the order of their moments, and those of one moment in that of their `words`."""
    return select_rows(delta, np.lexsort((words[:, 1], words[:, 0], _moments(delta, moment, 0, null=0))))


def _where(delta: Delta, chosen: npt.NDArray[np.bool_]) -> Delta:
    return delta if chosen.all() else select_rows(delta, np.flatnonzero(chosen))
