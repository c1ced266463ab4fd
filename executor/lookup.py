"""Joins that look up one row at most: each row of the left side goes on, with what was found or NULL."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headwater.executor.arrangement import Arrangement
from headwater.executor.key_index import KeyIndex, Slots
from headwater.executor.keys import Words, key_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import consolidate, empty_delta, without_null_keys
from headwater.planner.logical import LookupJoin
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta, Weights, concat_deltas


class Lookups:
    """The operator of a `LookupJoin` of tables: keeps the rows of both sides by key.

    left (1), (2)        right (1, x) +1         right (1, x) −1, (1, y) +1
    (1, NULL), (2, NULL) (1, NULL) −1, (1, x) +1 (1, x) −1, (1, y) +1
    """

    def __init__(self, node: LookupJoin) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._left = Arrangement(arrow_schema(node.left.columns), node.left_keys)
        self._right = Arrangement(arrow_schema(node.right.columns), node.right_keys)

    @property
    def nbytes(self) -> int:
        return self._left.nbytes + self._right.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._left) + len(self._right)

    def step(self, left: Delta, right: Delta) -> Delta:
        parts = []
        right = without_null_keys(right, self.node.right_keys)
        if len(right):
            index = KeyIndex()
            index.insert(_words(right.rows, self.node.right_keys))
            places, rows, weights = self._left.lookup(index.keys)
            for sign in (-1, 1):
                parts.append(_with_found(self.schema, rows, places, self._right, index.keys, sign * weights))
                if sign < 0:
                    self._right.apply(right)
        if len(left):
            parts.append(_looked_up(self.schema, left, self.node.left_keys, self._right))
            self._left.apply(left)
        return consolidate(concat_deltas(self.schema, parts))

    def save(self) -> ChunkedParts:
        sides = (("left", self._left), ("right", self._right))
        return {f"{side}.{name}": part for side, rows in sides for name, part in rows.save().items()}

    def restore(self, parts: Parts) -> None:
        for side, rows in (("left.", self._left), ("right.", self._right)):
            rows.restore({name.removeprefix(side): part for name, part in parts.items() if name.startswith(side)})


class StreamLookups:
    """The operator of a `LookupJoin` of a stream with a table: each row of the stream with what there is then."""

    def __init__(self, node: LookupJoin) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._table = Arrangement(arrow_schema(node.right.columns), node.right_keys)

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
        return Delta(_looked_up(self.schema, stream, self.node.left_keys, self._table).rows)

    def save(self) -> ChunkedParts:
        return self._table.save()

    def restore(self, parts: Parts) -> None:
        self._table.restore(parts)


def _looked_up(schema: pa.Schema, left: Delta, keys: tuple[str, ...], right: Arrangement) -> Delta:
    """All rows of `left`, also those with a NULL key, with what they find in `right`."""
    words = _words(left.rows, keys)
    return _with_found(schema, left.rows, np.arange(len(left)), right, words, left.weight_array, keys)


def _with_found(
    schema: pa.Schema, rows: pa.RecordBatch, places: Slots, right: Arrangement, words: Words, weights: Weights,
    keys: tuple[str, ...] = (),
) -> Delta:  # fmt: skip
    """Rows with the row of `right` whose key is `words[place]`, or NULL; a NULL among `keys` finds nothing."""
    found_at, found, _ = right.lookup(words)
    row = np.full(len(words), -1, dtype=np.int64)
    row[found_at] = np.arange(len(found_at))
    wanted = row[places]
    for name in keys:
        wanted[rows.column(name).is_null().to_numpy(zero_copy_only=False)] = -1
    other = found.take(pa.array(wanted, mask=wanted < 0))
    return Delta(pa.RecordBatch.from_arrays([*rows.columns, *other.columns], schema=schema), weights)


def _words(rows: pa.RecordBatch, columns: tuple[str, ...]) -> Words:
    return key_words([rows.column(name) for name in columns], rows.num_rows)
