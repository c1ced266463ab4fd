"""Window functions: computed again for the partitions that a delta touches, and for no others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from headwater.executor.arrangement import Arrangement
from headwater.executor.evaluate import ROW_ERRORS, run_sql
from headwater.executor.key_index import KeyIndex, Slots
from headwater.executor.keys import Words, key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.row_errors import Failures, Reason, failing_groups, reason_of_group
from headwater.executor.state import consolidate, empty_delta, repeat_rows
from headwater.parser import quote
from headwater.planner.logical import OVER_PARTITION, PLACE, Over
from headwater.planner.sql_types import arrow_schema, cast_from_arrow
from headwater.values import Delta, concat_deltas


class OverPartitions:
    """The operator of `Over`: keeps the rows that it has given, by partition. Those are its input too, and more.

        input   (a, 5) +1        (a, 3) +1
        output  (a, 5, 1st) +1   (a, 5, 1st) −1, (a, 5, 2nd) +1, (a, 3, 1st) +1

    A step costs in proportion to the rows of the partitions that it touches. If a function fails on the rows of a
    partition (a frame of a negative size, an overflow), they have NULL for all functions; `failures` tells of those.
    """

    def __init__(self, node: Over) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self.failures: list[Failures] = []
        self._failed: list[tuple[pa.RecordBatch, Reason]] = []  # a row of each partition that failed in this step
        self._given = Arrangement(self.schema, node.partition, nulls=True, ordered=True)
        self._input = arrow_schema(node.source.columns)
        self._is_exact = all(call.exact for call in node.calls)
        self._sql = _over_sql(node)
        self._each = {call.sql: _over_sql(replace(node, calls=(call,))) for call in node.calls}

    @property
    def nbytes(self) -> int:
        return self._given.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._given)

    def step(self, delta: Delta) -> Delta:
        """Takes the delta in; gives −old +new of the rows whose values have changed."""
        if not len(delta):
            return empty_delta(self.schema)
        _, rows, weights = self._given.lookup(partitions(delta.rows, self.node.partition)[0])
        old = Delta(rows, weights)
        now = consolidate(concat_deltas(self._input, [old.select(self._input.names), delta]))
        new = self._computed(repeat_rows(now))
        if self._failed:
            self.failures += self._told()
        changed = consolidate(concat_deltas(self.schema, [Delta(old.rows, -old.weight_array), *new]))
        self._given.apply(changed)
        return changed

    def _computed(self, rows: pa.RecordBatch) -> list[Delta]:
        """The rows with their values.

        How floats round depends on what DuckDB adds up first, which depends on all rows that it sees. So that a
        partition's sums follow from its own rows alone, they are computed for one partition at a time.
        """
        words, places = partitions(rows, self.node.partition)
        if self._is_exact:
            return self._of(rows, places, np.arange(len(words)))
        return [part for number in range(len(words)) for part in self._of(rows, places, np.array([number]))]

    def _of(self, rows: pa.RecordBatch, places: Slots, numbers: Slots) -> list[Delta]:
        """The rows of the partitions `numbers`, by halves if a function fails on one of them."""
        own = np.flatnonzero(np.isin(places, numbers))
        part = rows if len(own) == rows.num_rows else rows.take(pa.array(own))
        try:
            return [Delta(_run(self._sql, part, places[own], self.schema))] if part.num_rows else []
        except ROW_ERRORS as error:
            if len(numbers) > 1:
                half = len(numbers) // 2
                return [*self._of(rows, places, numbers[:half]), *self._of(rows, places, numbers[half:])]
            numbered = part.append_column(OVER_PARTITION, pa.array(places[own]))
            self._failed.append((part.slice(0, 1), reason_of_group(self._each, error, numbered)))
            nulls = [pa.nulls(part.num_rows, self.schema.field(call.name).type) for call in self.node.calls]
            return [Delta(pa.RecordBatch.from_arrays([*part.columns, *nulls], schema=self.schema))]

    def _told(self) -> list[Failures]:
        """What is told of the partitions that failed in this step: the values that the rows of each have in common."""
        rows = pa.concat_batches([row for row, _ in self._failed]).select(list(self.node.partition))
        columns = [c for c in self.node.source.columns if c.name in self.node.partition]
        told = failing_groups(self.node, columns, rows, [reason for _, reason in self._failed])
        self._failed = []
        return told

    def save(self) -> ChunkedParts:
        return self._given.save()

    def restore(self, parts: Parts) -> None:
        self._given.restore(parts)


def partitions(rows: pa.RecordBatch, columns: Sequence[str]) -> tuple[Words, Slots]:
    """The distinct keys of the rows over `columns`, and for each row the place of its key among them."""
    index = KeyIndex()
    places = index.insert(key_words([rows.column(name) for name in columns], rows.num_rows))
    return index.keys, places


def _run(sql: str, rows: pa.RecordBatch, partition: Slots, schema: pa.Schema) -> pa.RecordBatch:
    result = run_sql(sql, rows.append_column(OVER_PARTITION, pa.array(partition)))
    (batch,) = result.cast(schema).to_batches()
    return batch


def _over_sql(node: Over) -> str:
    """SQL for the rows with their values, over the input's rows and the number of the partition of each."""
    casts = ", ".join(cast_from_arrow(c) for c in node.source.columns)
    names = ", ".join(quote(name) for name in node.source.names)
    calls = ", ".join(f"{call.sql} AS {quote(call.name)}" for call in node.calls)
    rows = f"SELECT {casts}, {quote(OVER_PARTITION)} FROM delta"
    placed = f"SELECT *, row_number() OVER (ORDER BY {names}) AS {quote(PLACE)} FROM ({rows})"
    return f"SELECT {names}, {calls} FROM (SELECT * FROM ({placed}) ORDER BY {quote(PLACE)})"
