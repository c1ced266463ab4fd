"""A table with a primary key, moved along its log: what each commit really changed.

A record of such a log replaces the row of its key, or removes it; what was there before it does not say. So the rows
are kept, and of all commits of a stretch of the log the changes are found together: of each key, in the order of the
log, a row goes when the next one comes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.feed import Cut, rows_of, with_weights
from headwater.executor.key_index import numbered, stable_order
from headwater.executor.keys import row_words
from headwater.executor.logs import Upsert
from headwater.executor.past import circuit_at
from headwater.executor.ranges import BEGINNING, Changes, chunks_between, versions_of
from headwater.executor.state import TableState
from headwater.planner.logical import TableSource
from headwater.storage import Log
from headwater.values import Delta

Places = npt.NDArray[np.int64]


class Upserts:
    """A table at a cut of its log, to be moved to later ones."""

    def __init__(self, log: Log, leaf: TableSource, start: Cut) -> None:
        self._log = log
        self._leaf = leaf
        self._cut = start
        self._upsert = Upsert(leaf)
        if start is not BEGINNING:
            self._upsert.table.apply(circuit_at(log, [leaf], start).content(leaf))

    def through(self, end: Cut) -> Changes:
        """Moves to a cut that is not before the one where it is; gives what each commit changed."""
        chunks = list(chunks_between(self._log, self._leaf, self._cut, end))
        self._cut = end
        delta = with_weights(rows_of(chunks, self._leaf))
        versions = versions_of(chunks)
        if not len(delta):
            return Changes(delta, versions)
        changes = _changes(self._upsert.table, self._known(delta.rows), delta, versions)
        self._upsert.step(delta)
        return changes

    def _known(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows that are there with the keys of `rows`."""
        table = self._upsert.table
        slots = np.unique(table.find(table.words(rows)))
        slots = slots[slots >= 0]
        return table.take(slots[table.weights(slots) > 0])


def _changes(table: TableState, known: pa.RecordBatch, delta: Delta, versions: Places) -> Changes:
    """What records change, at least one, in a table that has the rows `known` of their keys."""
    rows = pa.concat_batches([known, delta.rows])
    is_there = np.concatenate([np.ones(known.num_rows, dtype=bool), delta.weight_array > 0])
    versions = np.concatenate([np.full(known.num_rows, -1), versions])
    keys, first = numbered(table.words(rows))
    order = stable_order(keys, len(first))  # by key, and of one key in the order of the log
    last = _last_of_each(keys[order], versions[order])
    order = order[last]  # of a key, the last record of each commit is what counts
    before, after = order[:-1], order[1:]
    follows = keys[before] == keys[after]
    removed = np.append(-1, np.where(follows & is_there[before], before, -1))
    added = np.where(is_there[order], order, -1)
    words = row_words(rows)
    is_same = (removed >= 0) & (added >= 0) & (words[removed] == words[added]).all(axis=1)
    at = np.flatnonzero(~is_same & (versions[order] >= 0))
    at = at[np.argsort(order[at], kind="stable")]  # in the order of the log again
    out, into = at[removed[at] >= 0], at[added[at] >= 0]
    places = np.concatenate([removed[out], added[into]])
    weights = np.repeat(np.array([-1, 1]), [len(out), len(into)])
    return Changes(Delta(rows.take(pa.array(places)), weights), versions[order[np.concatenate([out, into])]])


def _last_of_each(keys: Places, versions: Places) -> npt.NDArray[np.bool_]:
    """Whether a record is the last of its key and version, in records ordered by these."""
    differs = (keys[1:] != keys[:-1]) | (versions[1:] != versions[:-1])
    return np.append(differs, True)
