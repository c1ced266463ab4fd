"""JOIN … WITHIN: rows of two streams that lie near each other in time, and rows that nothing is near to."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.chunks import chunked, int_chunks, int_column, own_parts
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import KeyIndex, Slots
from headwater.executor.keys import Words, key_words, row_words
from headwater.executor.matches import padded
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.slot_arrays import SlotArray
from headwater.executor.sorted_runs import SortedRuns
from headwater.executor.state import TableState, empty_delta, repeat_rows, select_rows, without_null_keys
from headwater.executor.windows import NEVER, Times, horizon_after, microseconds
from headwater.planner.logical import OnTime, WithinJoin, WithinOuter
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta, concat_deltas

_COMPACT_MIN = 4096  # fewer rows than this that are forgotten are not worth a compaction


class Punctual:
    """The operator of `OnTime`: stateless, since each row brings the stream time that decides if it is late."""

    def __init__(self, node: OnTime) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)

    def step(self, delta: Delta) -> Delta:
        stream = delta.rows.column(self.node.stream_time)
        late = microseconds(delta.rows.column(self.node.time)) + self.node.allowed_us < microseconds(stream)
        late &= stream.is_valid().to_numpy(zero_copy_only=False)
        rows = delta.select(self.schema.names)
        return select_rows(rows, np.flatnonzero(~late)) if late.any() else rows


class NearRows:
    """Rows of one side, found by key and time; those before a time can be forgotten all at once.

    The key that they are filed under has the number of a piece of time, of `width`, in it. Whatever lies within a range
    of times no longer than `width` is in two pieces at most, so a look-up meets few rows that are not near.
    """

    def __init__(self, schema: pa.Schema, keys: tuple[str, ...], time: str, width: int) -> None:
        self.schema = schema
        self.keys = keys
        self._time, self._width = time, width
        self._horizon = NEVER  # rows before this time are forgotten
        self._clear()

    def _clear(self) -> None:
        self._heap = RowHeap(self.schema)
        self._times = SlotArray()  # by number of the row
        self._index = KeyIndex()  # of keys and pieces
        self._by_key = SortedRuns()  # from slots of the index to numbers
        self._by_time = SortedRuns()  # from times to numbers
        self._live = 0

    def __len__(self) -> int:
        return self._live

    @property
    def nbytes(self) -> int:
        runs = self._by_key.nbytes + self._by_time.nbytes
        return self._heap.nbytes + self._times.nbytes + self._index.nbytes + runs

    def add(self, rows: pa.RecordBatch) -> None:
        """Adds rows, which come after all others."""
        if not rows.num_rows:
            return
        numbers = self._heap.append(rows) + np.arange(rows.num_rows)
        times = microseconds(rows.column(self._time))
        self._times.reserve(len(self._heap))
        self._times[numbers] = times
        words = _in_pieces(_words(rows, self.keys), times // self._width)
        self._by_key.add(self._index.insert(words), numbers)
        self._by_time.add(times, numbers)
        self._live += rows.num_rows

    def near(self, words: Words, low: Times, high: Times) -> tuple[Slots, Slots]:
        """For each row with a key of `words` and a time from `low` to `high`: the place there, ascending; its number.

        Rows of one place come piece by piece, and in each in the order in which they were added.
        """
        pieces = np.repeat(low // self._width, 2)
        pieces[1::2] += 1
        probes, numbers = self._by_key.find(self._index.find(_in_pieces(np.repeat(words, 2, axis=0), pieces)))
        places, times = probes // 2, self._times[numbers]
        near = (times >= low[places]) & (times <= high[places])
        return places[near], numbers[near]

    def take(self, numbers: Slots) -> pa.RecordBatch:
        """The rows with these numbers."""
        return self._heap.take(numbers)

    def forget(self, horizon: int | None) -> None:
        """Forgets the rows with a time before `horizon`, which never goes back; None is where it was."""
        if horizon is not None:
            self._horizon = horizon
        self._live -= len(self._by_time.take_before(self._horizon))
        if len(self._heap) - self._live > max(_COMPACT_MIN, self._live):
            rows = self._live_rows(slice(0, len(self._heap)))
            self._clear()
            self.add(rows)

    def _live_rows(self, part: slice) -> pa.RecordBatch:
        """The rows in a range of numbers that are not forgotten."""
        return self._heap.take(np.flatnonzero(self._times[part] >= self._horizon) + part.start)

    def save(self) -> ChunkedParts:
        rows = chunked(self.schema, len(self._heap), self._live_rows)
        return {"rows": rows, "horizon": int_chunks(horizon=np.array([self._horizon]))}

    def restore(self, parts: Parts) -> None:
        self._clear()
        self._horizon = int(int_column(parts["horizon"], "horizon")[0])
        self.add(parts["rows"])


class WithinJoins:
    """The operator of `WithinJoin`: each row meets those of the other side that came before it.

    a within 5 minutes of b      a 10:00   b 10:03   b 10:09   a 10:05
    pairs (a, b)                           10:00, 10:03        10:05, 10:03 and 10:05, 10:09
    """

    def __init__(self, node: WithinJoin) -> None:
        self.schema = arrow_schema(node.columns)
        self._reach, self._before, self._after = node.span.reach_us, node.span.before_us, node.span.after_us
        width = self._before + self._after + 1
        left_time, right_time = node.times
        self._left = NearRows(arrow_schema(node.left.columns), node.left_keys, left_time, width)
        self._right = NearRows(arrow_schema(node.right.columns), node.right_keys, right_time, width)
        self._left_time, self._right_time = node.times

    @property
    def nbytes(self) -> int:
        return self._left.nbytes + self._right.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._left) + len(self._right)

    def step(self, left: Delta, right: Delta, left_watermark: Delta, right_watermark: Delta) -> Delta:
        parts = []
        ones = without_null_keys(left, self._left.keys).rows
        if ones.num_rows:
            times = microseconds(ones.column(self._left_time))
            places, numbers = self._right.near(_words(ones, self._left.keys), times - self._before, times + self._after)
            parts.append(self._glued(ones.take(pa.array(places)), self._right.take(numbers)))
            self._left.add(ones)
        others = without_null_keys(right, self._right.keys).rows
        if others.num_rows:
            times = microseconds(others.column(self._right_time))
            places, numbers = self._left.near(
                _words(others, self._right.keys), times - self._after, times + self._before
            )
            parts.append(self._glued(self._left.take(numbers), others.take(pa.array(places))))
            self._right.add(others)
        for side, watermark in ((self._left, right_watermark), (self._right, left_watermark)):
            side.forget(horizon_after(watermark, self._reach))
        return concat_deltas(self.schema, parts)

    def _glued(self, left: pa.RecordBatch, right: pa.RecordBatch) -> Delta:
        return Delta(pa.RecordBatch.from_arrays([*left.columns, *right.columns], schema=self.schema))

    def save(self) -> ChunkedParts:
        sides = (("left", self._left), ("right", self._right))
        return {f"{side}.{name}": part for side, rows in sides for name, part in rows.save().items()}

    def restore(self, parts: Parts) -> None:
        self._left.restore(own_parts(parts, "left"))
        self._right.restore(own_parts(parts, "right"))


class Unmatched:
    """Rows of one side that have had no match, until nothing can match them any more.

    Equal rows match the same, whenever they come: what one of them can match is not forgotten while another may come.
    """

    def __init__(self, schema: pa.Schema, time: str) -> None:
        self.schema = schema
        self._time = time
        self._horizon = NEVER  # rows before this time have nothing to wait for
        self._rows = TableState(schema, None)
        self._by_time = SortedRuns()  # from times to slots, also of rows that have a match by now

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes + self._by_time.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._rows)

    def step(self, side: Delta, joined: Delta, horizon: int | None) -> Delta:
        """Adds new rows, takes out those that are `joined` now, and gives those that wait no longer, by time."""
        side = side.select(self.schema.names)
        matched = KeyIndex()
        matched.insert(row_words(joined.select(self.schema.names).rows))
        self._remove(self._rows.find(matched.keys))
        fresh = select_rows(side, np.flatnonzero(matched.find(row_words(side.rows)) < 0))
        if len(fresh):
            self._by_time.add(microseconds(fresh.rows.column(self._time)), self._rows.apply(fresh))
        if horizon is not None:
            self._horizon = horizon
        given_up = self._remove(np.unique(self._by_time.take_before(self._horizon)))
        if self._rows.is_sparse:
            self._rows.compact()
            self._file()
        return given_up

    def _remove(self, slots: Slots) -> Delta:
        """Takes the rows at `slots` out that are there, and gives them by time; −1 is no row."""
        slots = slots[slots >= 0]
        slots = slots[self._rows.weights(slots) > 0]
        if not len(slots):
            return empty_delta(self.schema)
        rows = Delta(self._rows.take(slots), self._rows.weights(slots))
        self._rows.apply(Delta(rows.rows, -rows.weight_array))
        words = row_words(rows.rows)
        order = np.lexsort((words[:, 1], words[:, 0], microseconds(rows.rows.column(self._time))))
        return Delta(repeat_rows(select_rows(rows, order)))

    def _file(self) -> None:
        self._by_time = SortedRuns()
        slots = self._rows.live_slots()
        self._by_time.add(microseconds(self._rows.take(slots).column(self._time)), slots)

    def save(self) -> ChunkedParts:
        return {**self._rows.save(), "horizon": int_chunks(horizon=np.array([self._horizon]))}

    def restore(self, parts: Parts) -> None:
        self._horizon = int(int_column(parts["horizon"], "horizon")[0])
        self._rows.restore(parts)
        self._file()


class WithinOuterJoins:
    """The operator of `WithinOuter`: gives what is joined, then the rows without a match of each side that is whole."""

    def __init__(self, node: WithinOuter) -> None:
        self.schema = arrow_schema(node.columns)
        self._reach = node.span.reach_us
        pairs = zip(node.sides, node.times, strict=True)
        self._sides = [Unmatched(arrow_schema(side.columns), time) for side, time in pairs]

    @property
    def nbytes(self) -> int:
        return sum(side.nbytes for side in self._sides)

    @property
    def state_rows(self) -> int:
        return sum(side.state_rows for side in self._sides)

    def step(self, joined: Delta, *given: Delta) -> Delta:
        count = len(self._sides)
        parts = [joined]
        for waiting, side, watermark in zip(self._sides, given[:count], given[count:], strict=True):
            given_up = waiting.step(side, joined, horizon_after(watermark, self._reach))
            parts.append(padded(given_up, self.schema))
        return concat_deltas(self.schema, parts)

    def save(self) -> ChunkedParts:
        return {f"{i}.{name}": part for i, side in enumerate(self._sides) for name, part in side.save().items()}

    def restore(self, parts: Parts) -> None:
        for i, side in enumerate(self._sides):
            side.restore(own_parts(parts, str(i)))


def _words(rows: pa.RecordBatch, keys: tuple[str, ...]) -> Words:
    return key_words([rows.column(name) for name in keys], rows.num_rows)


def _in_pieces(words: Words, pieces: npt.NDArray[np.int64]) -> Words:
    """Keys with the number of a piece of time in them."""
    a, b = words.view(np.int64).T
    return key_words([pa.array(a), pa.array(b), pa.array(pieces)], len(words))
