"""The first rows of each partition: of ORDER BY … LIMIT, DISTINCT ON, and row numbers with a bound."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.arrangement import Arrangement
from headwater.executor.evaluate import run_sql
from headwater.executor.key_index import KeyIndex, Slots
from headwater.executor.keys import Words, key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.over import partitions
from headwater.executor.state import consolidate, empty_delta, repeat_rows, select_rows
from headwater.parser import quote
from headwater.planner.logical import OVER_PARTITION, SortKey, TopK
from headwater.planner.sql_types import arrow_schema, cast_from_arrow
from headwater.values import Column, Delta, concat_deltas

Flags = npt.NDArray[np.bool_]

_NUMBER = "$number"  # of a row in its partition, from 1
_MORE = "$more"  # whether the partition has rows behind those that are kept
_BOUND = "$bound"

SPARE_ROWS = 64


class TopRows:
    """The operator of `TopK`: keeps the head of each partition, its first rows with their numbers.

    Where no row is ever removed, the rows behind the last one that counts can be forgotten. Otherwise all rows are
    kept too, and the head is longer than what counts, so that it has to be filled from them only now and then. A step
    costs in proportion to the delta and the heads that it touches, plus the partitions whose heads have run short.
    `spare_rows` is how much longer heads are, besides twice what counts.
    """

    def __init__(self, node: TopK, spare_rows: int | None = None) -> None:
        spare_rows = SPARE_ROWS if spare_rows is None else spare_rows
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._input = arrow_schema(node.source.columns)
        self._last = node.offset + node.limit
        self._retracts = not node.source.append_only
        self._room = 2 * self._last + spare_rows if self._retracts else self._last
        self._head_schema = pa.schema([*self._input, pa.field(_NUMBER, pa.int64()), pa.field(_MORE, pa.bool_())])
        self._head = Arrangement(self._head_schema, node.partition, nulls=True, ordered=True)
        self._rows = Arrangement(self._input, node.partition, nulls=True, ordered=True)
        self._sql = _numbered_sql(node, self._room + 1)

    @property
    def nbytes(self) -> int:
        return self._head.nbytes + self._rows.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._head) + len(self._rows)

    def step(self, delta: Delta) -> Delta:
        """Takes the delta in; gives −old +new of the rows that count."""
        delta = consolidate(delta)
        if not len(delta):
            return empty_delta(self.schema)
        if self._retracts:
            self._rows.apply(delta)
        words, _ = partitions(delta.rows, self.node.partition)
        places, old, _ = self._head.lookup(words)
        new = self._new_heads(words, places, old, delta)
        signs = np.repeat(np.array([-1, 1], dtype=np.int64), [old.num_rows, new.num_rows])
        changed = consolidate(Delta(pa.concat_batches([old, new]), signs))
        self._head.apply(changed)
        return self._shown(changed)

    def _shown(self, changed: Delta) -> Delta:
        """The changes of heads as changes of the output."""
        numbers = _integers(changed.rows, _NUMBER)
        counting = select_rows(changed, np.flatnonzero((numbers > self.node.offset) & (numbers <= self._last)))
        columns = counting.rows.columns[: len(self.schema)]  # the number comes right after the input's columns
        return consolidate(Delta(pa.RecordBatch.from_arrays(columns, schema=self.schema), counting.weights))

    def _new_heads(self, words: Words, places: Slots, old: pa.RecordBatch, delta: Delta) -> pa.RecordBatch:
        """The heads of the partitions `words` after the delta; `places` says which of them each row of `old` is in.

        In a partition with rows behind the head, all rows up to the last one of the head are known. What the delta adds
        behind that one is left out; if too few rows are left before it, the head is made of all rows again.
        """
        numbers, more = _integers(old, _NUMBER), np.zeros(len(words), dtype=bool)
        more[places] = old.column(_MORE).to_numpy(zero_copy_only=False)
        longest = np.zeros(len(words), dtype=np.int64)
        np.maximum.at(longest, places, numbers)
        bounds = old.take(pa.array(np.flatnonzero(more[places] & (numbers == longest[places]))))
        names = self._input.names
        now = consolidate(concat_deltas(self._input, [Delta(old.select(names), np.ones(len(places), np.int64)), delta]))
        heads, more = self._numbered(words, now, bounds.select(names), more)
        if not self._retracts:
            return heads
        within = _find(words, heads, self.node.partition)
        short = more & (np.bincount(within, minlength=len(words)) < self._last)
        if not short.any():
            return heads
        _, rows, weights = self._rows.lookup(words[short])
        nothing = np.zeros(len(words), dtype=bool)
        filled, _ = self._numbered(words, Delta(rows, weights), bounds.select(names).slice(0, 0), nothing)
        return pa.concat_batches([heads.take(pa.array(np.flatnonzero(~short[within]))), filled])

    def _numbered(
        self, words: Words, delta: Delta, bounds: pa.RecordBatch, more: Flags
    ) -> tuple[pa.RecordBatch, Flags]:
        """The first rows of each partition with their numbers, none behind its bound; which partitions have more."""
        present = select_rows(delta, np.flatnonzero(delta.weight_array > 0))
        few = np.minimum(present.weight_array, self._room + 1)
        rows = pa.concat_batches([repeat_rows(Delta(present.rows, few)), bounds])
        partition = _find(words, rows, self.node.partition)
        is_bound = np.arange(rows.num_rows) >= rows.num_rows - bounds.num_rows
        given = rows.append_column(OVER_PARTITION, pa.array(partition)).append_column(_BOUND, pa.array(is_bound))
        found = run_sql(self._sql, given)
        numbers = found.column(_NUMBER).to_numpy()
        partition = found.column(OVER_PARTITION).to_numpy()
        more = more.copy()
        more[partition[numbers > self._room]] = self._retracts
        kept = np.flatnonzero(numbers <= self._room)
        columns = [c.combine_chunks() for c in found.select(self._input.names).take(pa.array(kept)).columns]
        arrays = [c.cast(t) for c, t in zip(columns, self._input.types, strict=True)]
        arrays += [pa.array(numbers[kept]), pa.array(more[partition[kept]])]
        return pa.RecordBatch.from_arrays(arrays, schema=self._head_schema), more

    def save(self) -> ChunkedParts:
        parts = {f"head.{name}": part for name, part in self._head.save().items()}
        return parts | {f"rows.{name}": part for name, part in self._rows.save().items()}

    def restore(self, parts: Parts) -> None:
        for prefix, state in (("head.", self._head), ("rows.", self._rows)):
            state.restore({n.removeprefix(prefix): part for n, part in parts.items() if n.startswith(prefix)})


def numbered_rows(node: TopK, source: Delta, number: str) -> pa.RecordBatch:
    """All rows of the source of `node`, with a column that has the number of each in its partition."""
    casts = ", ".join(cast_from_arrow(c) for c in node.source.columns)
    order = ", ".join([*(_sort_sql(key) for key in node.order), *(quote(name) for name in node.source.names)])
    parts = f"PARTITION BY {', '.join(quote(name) for name in node.partition)} " if node.partition else ""
    sql = f"SELECT *, row_number() OVER ({parts}ORDER BY {order}) AS {quote(number)} FROM (SELECT {casts} FROM delta)"
    schema = arrow_schema((*node.source.columns, Column(number, "BIGINT")))
    return pa.RecordBatch.from_arrays(
        [column.combine_chunks() for column in run_sql(sql, repeat_rows(source)).cast(schema).columns], schema=schema
    )


def _find(words: Words, rows: pa.RecordBatch, columns: tuple[str, ...]) -> Slots:
    """For each row the place of its key over `columns` in `words`, where it is."""
    index = KeyIndex()
    index.fill(words)
    return index.find(key_words([rows.column(name) for name in columns], rows.num_rows))


def _integers(rows: pa.RecordBatch, name: str) -> Slots:
    values: Slots = rows.column(name).to_numpy(zero_copy_only=False)
    return values


def _numbered_sql(node: TopK, most: int) -> str:
    """SQL for at most `most` rows of each partition with their numbers, up to the row that is marked as its bound."""
    casts = ", ".join(cast_from_arrow(c) for c in node.source.columns)
    keys = [_sort_sql(key) for key in node.order]
    order = ", ".join([*keys, *(quote(name) for name in node.source.names), quote(_BOUND)])
    window = f"PARTITION BY {quote(OVER_PARTITION)} ORDER BY {order} ROWS UNBOUNDED PRECEDING"
    return (
        f"SELECT *, row_number() OVER w AS {quote(_NUMBER)} "
        f"FROM (SELECT {casts}, {quote(OVER_PARTITION)}, {quote(_BOUND)} FROM delta) "
        f"WINDOW w AS ({window}) QUALIFY {quote(_NUMBER)} <= {most} AND NOT bool_or({quote(_BOUND)}) OVER w"
    )


def _sort_sql(key: SortKey) -> str:
    direction, nulls = "DESC" if key.descending else "ASC", "FIRST" if key.nulls_first else "LAST"
    return f"{quote(key.column)} {direction} NULLS {nulls}"
