"""The records of a stream or table, one after the other: what ASSERT VALUES compares with.

A record of a stream is a row. One of a table is a row that its key has from now on, or the removal of a row. What a
query writes is computed from the log, commit by commit, so that the records are a function of the log alone and not of
the steps in which a running query took it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headwater.errors import PositionGone
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut, Leaf, read_rows
from headwater.executor.keys import key_words
from headwater.executor.state import consolidate
from headwater.planner import Relation
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Log
from headwater.values import WEIGHT, Delta, concat_deltas


@dataclass(frozen=True, slots=True)
class Record:
    """A row, as a batch of one. Of a table, `is_removal` says that the row is no more."""

    row: pa.RecordBatch
    is_removal: bool = False


class Records:
    """Gives the records of a relation from its first one on. `taken` is how many were taken.

    Within a commit they come by partition, removals first.
    """

    def __init__(self, relation: Relation, log: Log) -> None:
        self.taken = 0
        self.columns = relation.columns
        self._relation = relation
        self._log = log
        self._circuit = Circuit([relation.plan], keep=False) if relation.plan is not None else None
        source = relation.source()
        assert isinstance(source, Leaf)
        self._source: Leaf = source
        self._version = 0
        self._ready: deque[Record] = deque()

    def next(self) -> Record | None:
        """The next record, which stays the next one until `take` is called; None if there is none yet.

        Raises PositionGone where retention has taken it.
        """
        while not self._ready:
            version = self._next_version()
            if version is None:
                return None
            self._ready.extend(self._at(version))
            self._version = version
        return self._ready[0]

    def take(self) -> None:
        """Goes past the next record."""
        self._ready.popleft()
        self.taken += 1

    @property
    def _leaves(self) -> tuple[Leaf, ...]:
        return (self._source,) if self._circuit is None else self._circuit.leaves

    def _next_version(self) -> int | None:
        """The next version that has rows for what is read."""
        for leaf in self._leaves:
            start = self._log.start(leaf.id)
            if start.version > self._version:
                raise PositionGone("records that this asks for are no more", earliest=start.version)
        following = (next(self._log.extents(leaf.id, self._version), None) for leaf in self._leaves)
        return min((found[0] for found in following if found is not None), default=None)

    def _at(self, version: int) -> Iterator[Record]:
        """The records of one commit to what is read."""
        names = [column.name for column in self._source.columns]
        if self._circuit is None:
            rows = read_rows(self._log, self._source, version - 1, Cut(version))
            removed = np.zeros(rows.num_rows) if self._relation.is_stream else rows.column(WEIGHT).to_numpy() < 0
            yield from _records(rows.select(names), removed.tolist())
            return
        (plan,) = self._circuit.roots
        changes = concat_deltas(arrow_schema(plan.columns), self._circuit.advance(self._log, Cut(version))[plan])
        if self._relation.is_stream:
            yield from _records(changes.rows.select(names), [False] * len(changes))
            return
        rows, removals = _keyed(consolidate(changes), self._relation.key or ())
        yield from _records(rows.select(names), removals)


def _records(rows: pa.RecordBatch, removed: list[bool]) -> Iterator[Record]:
    for place, is_removal in enumerate(removed):
        yield Record(rows.slice(place, 1), bool(is_removal))


def _keyed(changes: Delta, key: tuple[str, ...]) -> tuple[pa.RecordBatch, list[bool]]:
    """The changes of a table as records: a row that gives way to another of its key is not a removal."""
    weights = changes.weight_array
    places = np.repeat(np.arange(len(changes)), np.abs(weights))
    removed, added = places[weights[places] < 0], places[weights[places] > 0]
    if key:
        words = [tuple(word) for word in key_words([changes.rows.column(k) for k in key], len(changes)).tolist()]
        renewed = {words[place] for place in added}
        removed = np.array([place for place in removed if words[place] not in renewed], dtype=np.int64)
    rows = changes.rows.take(pa.array(np.concatenate([removed, added])))
    return rows, [True] * len(removed) + [False] * len(added)
