"""Temporal joins: each row of a stream with the rows of a table as they were at a time that the stream's row names."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headwater.executor.arrangement import Arrangement
from headwater.executor.join import glued
from headwater.executor.key_index import KeyIndex, Slots
from headwater.executor.keys import Words, key_words, row_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import (
    consolidate,
    empty_delta,
    repeat_rows,
    select_rows,
    without_null_keys,
)
from headwater.executor.timeline import TIME_MIN, Timeline, Times, time_words
from headwater.planner.logical import TemporalJoin
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta, Weights

_BORN, _DIED = "$born", "$died"  # commit times, in µs since the epoch; a row is there while born <= time < died


class RowVersions:
    """The operator of `TemporalJoin`: keeps all rows that the table ever had, each with the times between which it was.

        commit at 10: (1, a) +1                  (1, a) from 10
        commit at 20: (1, a) −1, (1, b) +1       (1, a) from 10 to 20, (1, b) from 20
        stream's row of 15: (1, a)               of 25: (1, b)              of 5: nothing

    The caller cuts steps so that all changes of the table in one are of one commit, and come before all rows of the
    stream. So a row meets the versions that were known at its own commit.
    """

    def __init__(self, node: TemporalJoin) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._table = arrow_schema(node.right.columns)
        self._is_unique = node.right.key is not None and set(node.right.key) <= set(node.right_keys)
        open_schema = self._table.append(pa.field(_BORN, pa.int64()))
        self._open = Arrangement(open_schema, node.right_keys)
        self._closed = Timeline(open_schema.append(pa.field(_DIED, pa.int64())), node.right_keys, _born)

    @property
    def nbytes(self) -> int:
        return self._open.nbytes + self._closed.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._open) + len(self._closed)

    def step(self, stream: Delta, table: Delta, *clocks: Delta) -> Delta:
        """`clocks` have the commit times of what the table is computed from; without any, it was always so."""
        table = consolidate(without_null_keys(table, self.node.right_keys))
        if len(table):
            self._change(table, max((_latest(clock) for clock in clocks if len(clock)), default=TIME_MIN))
        stream = without_null_keys(stream, (*self.node.left_keys, self.node.time))
        return self._looked_up(stream) if len(stream) else empty_delta(self.schema)

    def _change(self, table: Delta, now: int) -> None:
        """Takes in a change of the table at the time `now`."""
        gone = select_rows(table, np.flatnonzero(table.weight_array < 0))
        new = select_rows(table, np.flatnonzero(table.weight_array > 0))
        if len(gone):
            open_rows, copies = self._open_versions(gone)
            self._open.apply(Delta(open_rows, -copies))
            past = np.flatnonzero(_born(open_rows) < now)
            closed = open_rows.take(pa.array(past)).append_column(_DIED, _filled(now, len(past)))
            self._closed.apply(Delta(closed, copies[past]))
        if len(new):
            self._open.apply(Delta(new.rows.append_column(_BORN, _filled(now, len(new))), new.weight_array))

    def _open_versions(self, gone: Delta) -> tuple[pa.RecordBatch, Weights]:
        """The versions that end with these rows, and how many copies of each; the youngest of equal rows first."""
        words = row_words(gone.rows)
        index = KeyIndex()
        index.fill(words)
        places, rows, copies = self._open.lookup(_key_words(gone.rows, self.node.right_keys))
        place = index.find(row_words(rows.select(self._table.names)))
        own = np.flatnonzero(place == places)
        own = own[np.lexsort((-_born(rows)[own], place[own]))]
        place, copies = place[own], copies[own]
        before = np.cumsum(copies) - copies
        first = np.searchsorted(place, np.arange(len(gone)))
        wanted = -gone.weight_array[place] - (before - before[first[place]])
        taken = np.clip(wanted, 0, copies)
        assert taken.sum() == -gone.weight_array.sum(), "a row was removed that was not there"
        kept = np.flatnonzero(taken)
        return rows.take(pa.array(own[kept])), taken[kept]

    def _looked_up(self, stream: Delta) -> Delta:
        """The rows of the stream with the rows that were there at their times."""
        words = _key_words(stream.rows, self.node.left_keys)
        times = time_words(stream.rows.column(self.node.time))
        places, rows, copies = self._open.lookup(words)
        present = np.flatnonzero(_born(rows) <= times[places])
        before, old, old_copies = self._closed_at(words, times)
        places = np.concatenate([places[present], before])
        versions = [rows.take(pa.array(present)).select(self._table.names), old.select(self._table.names)]
        found = pa.concat_batches(versions)
        weights = np.concatenate([copies[present], old_copies])
        order = _order(places, found)
        rows, places = found.take(pa.array(order)), places[order]
        joined = glued(self.schema, stream.rows.take(pa.array(places)), rows, weights[order])
        return Delta(joined.rows if (weights == 1).all() else repeat_rows(joined))

    def _closed_at(self, words: Words, times: Times) -> tuple[Slots, pa.RecordBatch, Weights]:
        """The versions that are no more and were there at the time: the place of the key in `words`; row; copies.

        Where at most one row has the key at any time, it is the last one that began before.
        """
        first = np.full(len(words), TIME_MIN, dtype=np.int64)
        if self._is_unique:
            _, first = self._closed.last(words, times)
        places, slots = self._closed.between(words, first, times)
        rows = self._closed.take(slots)
        there = np.flatnonzero(rows.column(_DIED).to_numpy() > times[places])
        return places[there], rows.take(pa.array(there)), self._closed.weights(slots)[there]

    def save(self) -> ChunkedParts:
        sides = (("open", self._open), ("closed", self._closed))
        return {f"{side}.{name}": part for side, rows in sides for name, part in rows.save().items()}

    def restore(self, parts: Parts) -> None:
        for side, rows in (("open.", self._open), ("closed.", self._closed)):
            rows.restore({name.removeprefix(side): part for name, part in parts.items() if name.startswith(side)})


def _born(rows: pa.RecordBatch) -> Times:
    times: Times = rows.column(_BORN).to_numpy()
    return times


def _latest(clock: Delta) -> int:
    return int(clock.rows.column(0).to_numpy().max())


def _filled(value: int, count: int) -> pa.Array:
    return pa.array(np.full(count, value, dtype=np.int64))


def _key_words(rows: pa.RecordBatch, columns: tuple[str, ...]) -> Words:
    return key_words([rows.column(name) for name in columns], rows.num_rows)


def _order(places: Slots, rows: pa.RecordBatch) -> Slots:
    """By place; several rows of one place by what they hold, so that nothing depends on how they are kept."""
    if len(np.unique(places)) == len(places):
        return np.argsort(places, kind="stable")
    words = row_words(rows)
    return np.lexsort((words[:, 1], words[:, 0], places))
