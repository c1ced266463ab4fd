"""SESSION windows: runs of rows that grow, merge and, where rows are removed, fall apart."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headwater.executor.key_index import KeyIndex, Slots, first_rows
from headwater.executor.keys import Words, key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import Arrangement, consolidate, empty_delta, select_rows
from headwater.executor.windows import Times, horizon_after, microseconds, timestamps
from headwater.planner.logical import SessionAssign
from headwater.planner.sql_types import arrow_schema
from headwater.values import WINDOWEND, WINDOWSTART, Delta, concat_deltas

_PIECE = "$piece"  # the number of the piece of time that a row is in


class Sessions:
    """The operator of `SessionAssign`: keeps the rows of sessions that can still change, with their bounds.

    gap 5 minutes   (a, 10:00) +1          (a, 10:08) +1          (a, 10:04) +1
    output          (a, 10:00 – 10:00) +1  (a, 10:08 – 10:08) +1  both −1, and all three (a, 10:00 – 10:08) +1

    Rows are found by key and piece of time. A piece is as long as what is near to a row, a gap before it and one after
    it, so that a session has a row in each piece that it spans, and what is near to a row is in two pieces.
    """

    def __init__(self, node: SessionAssign) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._input = arrow_schema(node.source.columns)
        self._width = 2 * node.gap_us + 1
        kept = self.schema.append(pa.field(_PIECE, pa.int64()))
        self._rows = Arrangement(kept, (*node.keys, _PIECE), nulls=True, time=WINDOWEND)

    @property
    def nbytes(self) -> int:
        return self._rows.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._rows)

    def step(self, delta: Delta, watermark: Delta | None = None) -> Delta:
        """Takes the delta in; gives −old +new of the rows whose sessions have changed."""
        changed = self._changed(delta) if len(delta) else empty_delta(self.schema)
        horizon = None if watermark is None else horizon_after(watermark, self.node.reach_us)
        if horizon is not None:
            self._rows.forget(horizon)
        return changed

    def _changed(self, delta: Delta) -> Delta:
        old = self._touched(delta.rows)
        new = self._assigned(consolidate(concat_deltas(self._input, [old.select(self._input.names), delta])))
        changed = consolidate(concat_deltas(self.schema, [Delta(old.rows, -old.weight_array), new]))
        pieces = pa.array(microseconds(changed.rows.column(self.node.time)) // self._width)
        self._rows.apply(Delta(changed.rows.append_column(_PIECE, pieces), changed.weights))
        return changed

    def _touched(self, rows: pa.RecordBatch) -> Delta:
        """All rows of the sessions that have a row in a piece of time near one of `rows`."""
        low = (microseconds(rows.column(self.node.time)) - self.node.gap_us) // self._width
        near = self._found(rows, np.repeat(np.arange(len(low)), 2), np.stack([low, low + 1], axis=1).ravel())
        sessions = KeyIndex()
        first = first_rows(sessions.insert(self._sessions(near.rows)), len(sessions))
        begins, ends = (microseconds(near.rows.column(n))[first] // self._width for n in (WINDOWSTART, WINDOWEND))
        places = np.repeat(np.arange(len(first)), ends - begins + 1)
        nth = np.arange(len(places)) - np.searchsorted(places, places)
        whole = self._found(near.rows, first[places], begins[places] + nth)
        own = np.flatnonzero(sessions.find(self._sessions(whole.rows)) >= 0)
        return select_rows(whole, own) if len(own) < len(whole) else whole

    def _found(self, rows: pa.RecordBatch, places: Slots, pieces: Slots) -> Delta:
        """The rows that are kept in these pieces of time, with the keys of the rows at `places`."""
        columns = [rows.column(name).take(pa.array(places)) for name in self.node.keys]
        probes = KeyIndex()
        probes.insert(key_words([*columns, pa.array(pieces)], len(places)))
        _, found, weights = self._rows.lookup(probes.keys)
        return Delta(found.select(self.schema.names), weights)

    def _sessions(self, rows: pa.RecordBatch) -> Words:
        """The key of the session of each row."""
        return key_words([rows.column(name) for name in (*self.node.keys, WINDOWSTART)], rows.num_rows)

    def _assigned(self, delta: Delta) -> Delta:
        """Whole sessions of rows with their bounds."""
        if not len(delta):
            return empty_delta(self.schema)
        times = microseconds(delta.rows.column(self.node.time))
        keys = KeyIndex().insert(key_words([delta.rows.column(name) for name in self.node.keys], len(delta)))
        order = np.lexsort((times, keys))
        starts, ends = np.empty_like(times), np.empty_like(times)
        starts[order], ends[order] = session_bounds(keys[order], times[order], self.node.gap_us)
        columns = [*delta.rows.columns, timestamps(starts), timestamps(ends)]
        return Delta(pa.RecordBatch.from_arrays(columns, schema=self.schema), delta.weights)

    def save(self) -> ChunkedParts:
        return self._rows.save()

    def restore(self, parts: Parts) -> None:
        self._rows.restore(parts)


def session_bounds(keys: Slots, times: Times, gap_us: int) -> tuple[Times, Times]:
    """The first and the last time of the session of each row; the rows are in the order of keys and times."""
    begins = np.flatnonzero((np.diff(keys) != 0) | (np.diff(times) > gap_us)) + 1
    begins = np.concatenate([[0], begins])
    lengths = np.diff(np.append(begins, len(times)))
    return np.repeat(times[begins], lengths), np.repeat(times[begins + lengths - 1], lengths)
