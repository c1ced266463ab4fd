"""Inner joins on equal keys: of two tables, and of a stream with a table."""

from __future__ import annotations

import pyarrow as pa

from headwater.executor.arrangement import Arrangement
from headwater.executor.keys import key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import consolidate, empty_delta, repeat_rows, without_null_keys
from headwater.planner.logical import Join, Plan
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta, Weights, concat_deltas


class TableJoin:
    """Both sides change: Δ(A ⋈ B) = ΔA ⋈ (B + ΔB) + A ⋈ ΔB. Keeps the rows of both sides by key."""

    def __init__(self, node: Join) -> None:
        self.schema = arrow_schema(node.columns)
        self._grows = node.append_only
        self._left = _arrangement(node.left, node.left_keys)
        self._right = _arrangement(node.right, node.right_keys)

    @property
    def nbytes(self) -> int:
        return self._left.nbytes + self._right.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._left) + len(self._right)

    def step(self, left: Delta, right: Delta) -> Delta:
        self._right.apply(right)
        parts = []
        if len(left):
            own, other, weights = _meet(left, self._left.key_columns, self._right)
            parts.append(glued(self.schema, own, other, weights))
        if len(right):
            own, other, weights = _meet(right, self._right.key_columns, self._left)
            parts.append(glued(self.schema, other, own, weights))
        self._left.apply(left)
        joined = concat_deltas(self.schema, parts)
        if self._grows:
            return Delta(repeat_rows(joined))
        return consolidate(joined) if len(parts) > 1 else joined

    def save(self) -> ChunkedParts:
        return _saved(left=self._left, right=self._right)

    def restore(self, parts: Parts) -> None:
        self._left.restore(_part(parts, "left"))
        self._right.restore(_part(parts, "right"))


class StreamTableJoin:
    """Each row of the stream meets the table as it is then; the table's later changes produce nothing.

    The caller cuts steps so that within one, all changes of the table come before all rows of the stream.
    """

    def __init__(self, node: Join) -> None:
        self.schema = arrow_schema(node.columns)
        self._keys = node.left_keys
        self._table = _arrangement(node.right, node.right_keys)

    @property
    def nbytes(self) -> int:
        return self._table.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._table)

    def step(self, stream: Delta, table: Delta) -> Delta:
        self._table.apply(table)
        if not len(stream):
            return empty_delta(self.schema)
        own, other, weights = _meet(stream, self._keys, self._table)
        joined = glued(self.schema, own, other, weights)
        return Delta(joined.rows if (weights == 1).all() else repeat_rows(joined))

    def save(self) -> ChunkedParts:
        return _saved(right=self._table)

    def restore(self, parts: Parts) -> None:
        self._table.restore(_part(parts, "right"))


def _arrangement(side: Plan, keys: tuple[str, ...]) -> Arrangement:
    """Of a side whose rows can go and come back, those of a key are in an order that does not depend on it."""
    return Arrangement(arrow_schema(side.columns), keys, grows=side.append_only, ordered=not side.append_only)


def _meet(delta: Delta, keys: tuple[str, ...], other: Arrangement) -> tuple[pa.RecordBatch, pa.RecordBatch, Weights]:
    """The rows of `delta` and those of the `other` side that they match, pair by pair, and the pairs' weights."""
    delta = without_null_keys(delta, keys)
    words = key_words([delta.rows.column(k) for k in keys], len(delta))
    places, matched, weights = other.lookup(words)
    return delta.rows.take(pa.array(places)), matched, delta.weight_array[places] * weights


def glued(schema: pa.Schema, left: pa.RecordBatch, right: pa.RecordBatch, weights: Weights) -> Delta:
    """Pairs of rows side by side, with their weights."""
    return Delta(pa.RecordBatch.from_arrays([*left.columns, *right.columns], schema=schema), weights)


def _saved(**sides: Arrangement) -> ChunkedParts:
    return {f"{side}.{name}": part for side, rows in sides.items() for name, part in rows.save().items()}


def _part(parts: Parts, side: str) -> Parts:
    return {name.removeprefix(f"{side}."): part for name, part in parts.items() if name.startswith(f"{side}.")}
