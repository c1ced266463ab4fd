"""The first rows of each partition where no row is ever removed: the newest Kth row bounds what can still come in."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.arrangement import Arrangement
from headwater.executor.chunks import chunked, int_batch, int_column
from headwater.executor.evaluate import run_sql
from headwater.executor.heap import RowHeap
from headwater.executor.key_index import KeyIndex, Slots, numbered, stable_order
from headwater.executor.keys import Words, key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.ordering import Lane, can_be_sorted, sort_lanes
from headwater.executor.slot_arrays import SlotArray
from headwater.executor.state import consolidate, empty_delta
from headwater.parser import quote
from headwater.planner.logical import Foremost, TopK
from headwater.planner.sql_types import arrow_schema, cast_from_arrow
from headwater.values import Delta, concat_deltas

_LAST_MAX = 64  # heads are a matrix; longer ones would mostly be empty
_COMPACT_MIN = 4096  # fewer rows that no head holds any more are not worth a compaction
_PLACE = "$place"
_LENGTHS = pa.schema([("length", pa.int64())])

Heads = npt.NDArray[np.int64]  # shape (partitions, last): numbers of rows in the heap, in order, −1 behind the last one


class GrowingTop:
    """The operator of a `TopK` whose input only grows: the rows of each head, and nothing of what is behind them.

        input   (a, 5) +1      (a, 9) +1, (a, 2) +1
        output  (a, 5) +1      (a, 5) −1, (a, 9) +1     (the first one, descending)

    A step compares the delta with the heads that it touches, by numbers that order as the keys do. Only rows that all
    keys leave equal are compared by their columns, as `TopK` says; of rows equal in all of them the first one stays.
    """

    def __init__(self, node: TopK) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._input = arrow_schema(node.source.columns)
        self._last = node.offset + node.limit
        self._by_columns = _by_columns_sql(node)
        self._clear()

    def _clear(self) -> None:
        self._index = KeyIndex()  # of partitions
        self._heads = SlotArray(-1, self._last)  # by partition
        self._heap = RowHeap(self._input)
        self._live = 0  # how many rows are in heads

    @staticmethod
    def takes(node: TopK) -> bool:
        """Whether this operator can keep `node`."""
        types = dict(zip(node.source.names, arrow_schema(node.source.columns).types, strict=True))
        return (
            node.source.append_only
            and node.offset + node.limit <= _LAST_MAX
            and all(can_be_sorted(types[key.column]) for key in node.order)
        )

    @property
    def nbytes(self) -> int:
        return self._index.nbytes + self._heads.nbytes + self._heap.nbytes

    @property
    def state_rows(self) -> int:
        return self._live

    def step(self, delta: Delta) -> Delta:
        """Takes the delta in; gives −old +new of the rows that count."""
        if not len(delta) or not self._last:
            return empty_delta(self.schema)
        words = self._words(delta.rows)
        groups, first = numbered(words)
        slots = self._index.insert(words[first])
        self._heads.reserve(len(self._index))
        old = self._heads[slots]
        new = self._merged(old, groups, delta.rows)
        self._heads[slots] = new
        self._live += int((new >= 0).sum() - (old >= 0).sum())
        changed = self._changed(old[:, self.node.offset :], new[:, self.node.offset :])
        if len(self._heap) > 2 * self._live + _COMPACT_MIN:
            self._compact()
        return changed

    def _words(self, rows: pa.RecordBatch) -> Words:
        return key_words([rows.column(name) for name in self.node.partition], rows.num_rows)

    def _merged(self, old: Heads, groups: Slots, rows: pa.RecordBatch) -> Heads:
        """The heads after the delta: `old` ones, and its `rows`, row i of which is in partition `groups[i]`."""
        places, ranks = np.nonzero(old >= 0)
        numbers = old[places, ranks]
        names = list(dict.fromkeys(key.column for key in self.node.order))
        held = self._heap.take(numbers)
        both = pa.concat_batches([held.select(names), rows.select(names)]) if names else None
        lanes = sort_lanes(both, self.node.order) if both is not None else []
        owners = np.concatenate([places, groups])
        rivals = self._rivals(old, len(numbers), owners, lanes)
        heads = _first(owners[rivals], [lane[rivals] for lane in lanes], len(old), self._last)
        if heads is None:
            columns = pa.concat_batches([held, rows]).take(pa.array(rivals))
            heads = _first(
                owners[rivals], [*(lane[rivals] for lane in lanes), self._places(columns)], len(old), self._last
            )
            assert heads is not None, "two rows at one place"
        found = heads >= 0
        chosen = rivals[heads[found]]
        fresh = np.flatnonzero(chosen >= len(numbers))
        added = rows.take(pa.array(chosen[fresh] - len(numbers)))
        named = numbers[np.minimum(chosen, len(numbers) - 1)] if len(numbers) else np.empty(len(chosen), dtype=np.int64)
        named[fresh] = self._heap.append(added) + np.arange(len(fresh))
        heads[found] = named
        return heads

    def _rivals(self, old: Heads, held: int, owners: Slots, lanes: list[Lane]) -> Slots:
        """The candidates that are not behind the last row of a head that is full; the first of them are the `held`."""
        full = np.flatnonzero(old[:, -1] >= 0)
        if not lanes or not len(full):
            return np.arange(len(owners))
        bounds = np.full(len(old), np.iinfo(np.int64).max)
        ends = np.cumsum((old >= 0).sum(axis=1)) - 1  # where the last row of each head is among those held
        bounds[full] = lanes[0][ends[full]]
        within = lanes[0] <= bounds[owners]
        within[:held] = True
        return np.flatnonzero(within)

    def _places(self, rows: pa.RecordBatch) -> Lane:
        """The place of each row in an order of all columns, and then of the rows as they stand."""
        given = rows.append_column(_PLACE, pa.array(np.arange(rows.num_rows)))
        ordered: Lane = run_sql(self._by_columns, given).column(0).to_numpy()
        places = np.empty(len(ordered), dtype=np.int64)
        places[ordered] = np.arange(len(ordered))
        return places

    def _changed(self, old: Heads, new: Heads) -> Delta:
        """−old +new of the rows that count: the columns of a matrix are the places that they are shown at."""
        if self.node.number is None:
            lost, won = old[(old >= 0) & ~np.isin(old, new)], new[(new >= 0) & ~np.isin(new, old)]
            numbers = []
        else:
            differs = old != new
            places = np.broadcast_to(np.arange(old.shape[1]) + 1 + self.node.offset, old.shape)
            lost, won = old[differs & (old >= 0)], new[differs & (new >= 0)]
            numbers = [pa.array(np.concatenate([places[differs & (side >= 0)] for side in (old, new)]))]
        rows = self._heap.take(np.concatenate([lost, won]))
        signs = np.repeat(np.array([-1, 1], dtype=np.int64), [len(lost), len(won)])
        return Delta(pa.RecordBatch.from_arrays([*rows.columns, *numbers], schema=self.schema), signs)

    def _compact(self) -> None:
        heads = self._heads[:].copy()
        held = heads >= 0
        rows = self._heap.take(heads[held])
        self._heap = RowHeap(self._input)
        heads[held] = self._heap.append(rows) + np.arange(rows.num_rows)
        self._heads.replace(heads)

    def save(self) -> ChunkedParts:
        count = len(self._index)
        return {
            "rows": chunked(self._input, count, self._saved_rows),
            "lengths": chunked(_LENGTHS, count, lambda part: int_batch(length=(self._heads[part] >= 0).sum(axis=1))),
        }

    def _saved_rows(self, part: slice) -> pa.RecordBatch:
        heads = self._heads[part]
        return self._heap.take(heads[heads >= 0])

    def restore(self, parts: Parts) -> None:
        self._clear()
        lengths = int_column(parts["lengths"], "length")
        heads = np.full((len(lengths), self._last), -1, dtype=np.int64)
        heads[np.arange(self._last) < lengths[:, None]] = np.arange(parts["rows"].num_rows)
        self._heads.replace(heads)
        self._heap.append(parts["rows"])
        self._live = parts["rows"].num_rows
        if len(lengths):
            self._index.fill(self._words(self._heap.take(heads[:, 0])))


class ForemostRows:
    """The operator of `Foremost`, whose input only grows: the rows that are the first ones of each partition.

    input   (a, 5) +1, (a, 3) +1   (a, 5) +1    (a, 9) +1
    output  (a, 5) +1              (a, 5) +1    (a, 5) −2, (a, 9) +1     (descending)
    """

    def __init__(self, node: Foremost) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._rows = Arrangement(self.schema, node.partition, nulls=True, ordered=True)

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._rows)

    def step(self, delta: Delta) -> Delta:
        if not len(delta):
            return empty_delta(self.schema)
        words = key_words([delta.rows.column(name) for name in self.node.partition], len(delta))
        groups, first = numbered(words)
        places, held, weights = self._rows.lookup(words[first])
        names = list(dict.fromkeys(key.column for key in self.node.order))
        both = pa.concat_batches([held.select(names), delta.rows.select(names)])
        best = _best(np.concatenate([places, groups]), sort_lanes(both, self.node.order), len(first))
        lost = np.setdiff1d(np.arange(len(places)), best, assume_unique=True)
        won = best[best >= len(places)] - len(places)
        gone = Delta(held.take(pa.array(lost)), -weights[lost])
        come = Delta(delta.rows.take(pa.array(won)), delta.weight_array[won])
        changed = consolidate(concat_deltas(self.schema, [gone, come]))
        self._rows.apply(changed)
        return changed

    def save(self) -> ChunkedParts:
        return self._rows.save()

    def restore(self, parts: Parts) -> None:
        self._rows.restore(parts)


def _first(owners: Slots, lanes: list[Lane], count: int, last: int) -> Heads | None:
    """The first `last` of the candidates of each of `count` owners, in order; None if the lanes do not tell which."""
    heads = np.full((count, last), -1, dtype=np.int64)
    if last == 1:
        best = _best(owners, lanes, count)
        heads[owners[best], 0] = best
        return heads if len(best) == count else None
    order = np.lexsort(lanes[::-1]) if lanes else np.arange(len(owners))
    order = order[stable_order(owners[order], count)]
    owner = owners[order]
    begins = np.searchsorted(owner, np.arange(count))
    place = np.arange(len(order)) - begins[owner]
    within = np.flatnonzero(place < last)
    following = np.minimum(within + 1, len(order) - 1)
    equal = (owner[following] == owner[within]) & (following > within)
    for lane in lanes:
        equal &= lane[order[following]] == lane[order[within]]
    if equal.any():
        return None
    heads[owner[within], place[within]] = order[within]
    return heads


def _best(owners: Slots, lanes: list[Lane], count: int) -> Slots:
    """The candidates that no other one of their owner is before."""
    left = np.arange(len(owners))
    for lane in lanes:
        best = np.full(count, np.iinfo(np.int64).max)
        np.minimum.at(best, owners[left], lane[left])
        left = left[lane[left] == best[owners[left]]]
    return left


def _by_columns_sql(node: TopK) -> str:
    """SQL for the places of rows, in an order of all their columns."""
    casts = ", ".join([*(cast_from_arrow(c) for c in node.source.columns), quote(_PLACE)])
    names = ", ".join(quote(name) for name in [*node.source.names, _PLACE])
    return f"SELECT {quote(_PLACE)} FROM (SELECT {casts} FROM delta) ORDER BY {names}"
