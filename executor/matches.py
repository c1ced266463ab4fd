"""Semi, anti and outer joins: which rows have a match, told from the rows of a side and from those of an inner join.

The inner join is an operator of its own, and its filters are, too. So what comes here of it are pairs that match, and
a row has a match while there are any in which it stands.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.chunks import chunked, int_batch, int_column
from headwater.executor.key_index import KeyIndex, Slots, first_rows
from headwater.executor.keys import Words, row_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.slot_arrays import SlotArray
from headwater.executor.state import consolidate, empty_delta, select_rows
from headwater.planner.logical import OuterJoin, SemiJoin
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta, concat_deltas

_COMPACT_MIN = 8192  # fewer rows than this are not worth a compaction
_SAVED = pa.schema([(name, pa.int64()) for name in ("a", "b", "rows", "pairs")])


class MatchCounts:
    """How often each row of a side is there, and in how many pairs of the join it stands.

        side (a) +1          join (a, x) +1, (a, y) +1      join (a, x) −1, (a, y) −1
        without a match: (a) +1            (a) −1                            (a) +1

    Rows are known by their 128-bit keys alone: a row that begins or ceases to have a match is in the delta.
    """

    def __init__(self, schema: pa.Schema) -> None:
        self.schema = schema
        self._clear()

    def _clear(self) -> None:
        self._index = KeyIndex()
        self._rows = SlotArray()  # how often the row is there
        self._pairs = SlotArray()  # how many pairs of the join it stands in
        self._live = 0

    @property
    def nbytes(self) -> int:
        return self._index.nbytes + self._rows.nbytes + self._pairs.nbytes

    @property
    def state_rows(self) -> int:
        return self._live

    def step(self, side: Delta, joined: Delta, *, matched: bool) -> Delta:
        """Adds what has changed of the side and of the join; gives the change of the rows with, or without, a match."""
        rows = pa.concat_batches([_columns(side, self.schema), _columns(joined, self.schema)])
        if not rows.num_rows:
            return empty_delta(self.schema)
        local = KeyIndex()
        groups = local.insert(row_words(rows))
        slots = self._index.insert(local.keys)
        self._rows.reserve(len(self._index))
        self._pairs.reserve(len(self._index))
        before, there = self._counted(slots, matched), self._rows[slots] > 0
        self._rows.fold(np.add, slots[groups[: len(side)]], side.weight_array)
        self._pairs.fold(np.add, slots[groups[len(side) :]], joined.weight_array)
        self._live += int((self._rows[slots] > 0).sum() - there.sum())
        change = self._counted(slots, matched) - before
        changed = np.flatnonzero(change)
        result = Delta(rows.take(pa.array(first_rows(groups, len(local))[changed])), change[changed])
        if len(self._index) > max(_COMPACT_MIN, 2 * self._live):
            live = np.flatnonzero(self._rows[: len(self._index)] > 0)
            self._fill(self._index.keys_of(live), self._rows[live], self._pairs[live])
        return result

    def _counted(self, slots: Slots, matched: bool) -> Slots:
        """How often each row is among those with, or without, a match."""
        rows, pairs = self._rows[slots], self._pairs[slots]
        return np.where((pairs > 0) == matched, rows, 0)

    def save(self) -> ChunkedParts:
        # Also rows that are gone, so that the others stay in place.
        return {"counts": chunked(_SAVED, len(self._index), self._saved)}

    def _saved(self, part: slice) -> pa.RecordBatch:
        a, b = self._index.keys_in(part).view(np.int64).T
        return int_batch(a=a, b=b, rows=self._rows[part], pairs=self._pairs[part])

    def restore(self, parts: Parts) -> None:
        saved = parts["counts"]
        words = np.stack([int_column(saved, "a"), int_column(saved, "b")], axis=1).view(np.uint64)
        self._fill(words, int_column(saved, "rows"), int_column(saved, "pairs"))

    def _fill(self, words: Words, rows: Slots, pairs: Slots) -> None:
        self._clear()
        self._index.fill(words)
        self._rows.replace(rows)
        self._pairs.replace(pairs)
        self._live = int((rows > 0).sum())


class SemiJoins:
    """The operator of a `SemiJoin` of tables."""

    def __init__(self, node: SemiJoin) -> None:
        self.schema = arrow_schema(node.columns)
        self._matched = not node.negated
        self._counts = MatchCounts(self.schema)

    @property
    def nbytes(self) -> int:
        return self._counts.nbytes

    @property
    def state_rows(self) -> int:
        return self._counts.state_rows

    def step(self, source: Delta, joined: Delta) -> Delta:
        return self._counts.step(source, joined, matched=self._matched)

    def save(self) -> ChunkedParts:
        return self._counts.save()

    def restore(self, parts: Parts) -> None:
        self._counts.restore(parts)


class OuterJoins:
    """The operator of an `OuterJoin` of tables: keeps a count of matches for the rows of each side that is whole."""

    def __init__(self, node: OuterJoin) -> None:
        self.schema = arrow_schema(node.columns)
        self._sides = [MatchCounts(arrow_schema(side.columns)) for side in node.sides]

    @property
    def nbytes(self) -> int:
        return sum(side.nbytes for side in self._sides)

    @property
    def state_rows(self) -> int:
        return sum(side.state_rows for side in self._sides)

    def step(self, joined: Delta, *sides: Delta) -> Delta:
        parts = [joined]
        for counts, side in zip(self._sides, sides, strict=True):
            parts.append(padded(counts.step(side, joined, matched=False), self.schema))
        return consolidate(concat_deltas(self.schema, parts))

    def save(self) -> ChunkedParts:
        return {f"{i}.{name}": part for i, side in enumerate(self._sides) for name, part in side.save().items()}

    def restore(self, parts: Parts) -> None:
        for i, side in enumerate(self._sides):
            side.restore({name.partition(".")[2]: part for name, part in parts.items() if name.startswith(f"{i}.")})


class StreamSemiJoins:
    """The operator of a `SemiJoin` of a stream with a table: a row of the stream has its matches in the same step."""

    def __init__(self, node: SemiJoin) -> None:
        self.schema = arrow_schema(node.columns)
        self._matched = not node.negated

    def step(self, source: Delta, joined: Delta) -> Delta:
        rows = Delta(_columns(source, self.schema))
        return select_rows(rows, np.flatnonzero(_matches(rows, joined) == self._matched))


class StreamOuterJoins:
    """The operator of an `OuterJoin` that keeps the rows of a stream; the result has the order of the stream."""

    def __init__(self, node: OuterJoin) -> None:
        self.schema = arrow_schema(node.columns)
        self._side = arrow_schema(node.sides[0].columns)

    def step(self, joined: Delta, side: Delta) -> Delta:
        rows = Delta(_columns(side, self._side))
        alone = np.flatnonzero(~_matches(rows, joined))
        if not len(alone):
            return joined
        parts = [joined, padded(select_rows(rows, alone), self.schema)]
        places = np.concatenate([self._places(rows, joined), alone])
        return select_rows(concat_deltas(self.schema, parts), np.argsort(places, kind="stable"))

    def _places(self, rows: Delta, joined: Delta) -> Slots:
        """For each row of `joined`, which stand in the order of `rows`, the place of the one that it comes from.

        Equal rows meet the same table, so each of them has an equal share of what they have in `joined`.
        """
        index = KeyIndex()
        own = index.insert(row_words(rows.rows))
        theirs = index.find(row_words(_columns(joined, self._side)))
        copies = np.bincount(own, minlength=len(index))
        share = np.bincount(theirs, minlength=len(index)) // copies
        nth = _nth(theirs) // np.maximum(share, 1)[theirs]
        first = np.cumsum(copies) - copies
        places: Slots = np.argsort(own, kind="stable")[first[theirs] + nth]
        return places


def _nth(values: Slots) -> Slots:
    """For each value, how many equal ones stand before it."""
    order = np.argsort(values, kind="stable")
    begins = np.searchsorted(values[order], values[order], side="left")
    nth = np.empty(len(values), dtype=np.int64)
    nth[order] = np.arange(len(values)) - begins
    return nth


def _matches(rows: Delta, joined: Delta) -> npt.NDArray[np.bool_]:
    """Whether each row stands in `joined`."""
    index = KeyIndex()
    index.insert(row_words(_columns(joined, rows.rows.schema)))
    found: npt.NDArray[np.bool_] = index.find(row_words(rows.rows)) >= 0
    return found


def _columns(delta: Delta, schema: pa.Schema) -> pa.RecordBatch:
    """The rows of a delta, with the columns of `schema`."""
    return pa.RecordBatch.from_arrays([delta.rows.column(name) for name in schema.names], schema=schema)


def padded(delta: Delta, schema: pa.Schema) -> Delta:
    """The rows with all columns of `schema`, NULL where they have none."""
    own = set(delta.rows.schema.names)
    arrays = [delta.rows.column(f.name) if f.name in own else pa.nulls(len(delta), f.type) for f in schema]
    return Delta(pa.RecordBatch.from_arrays(arrays, schema=schema), delta.weights)
