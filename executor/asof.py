"""ASOF joins: each left row with the right row that is nearest in time, also when a nearer one comes or goes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headwater.executor.evaluate import run_sql
from headwater.executor.key_index import KeyIndex, Slots
from headwater.executor.keys import Words, row_words
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import consolidate, select_rows, without_null_keys
from headwater.executor.timeline import TIME_MAX, TIME_MIN, Flags, Timeline, Times, time_words
from headwater.parser import quote
from headwater.planner.logical import AsofJoin
from headwater.planner.sql_types import arrow_schema, cast_from_arrow
from headwater.values import Delta, concat_deltas

_PLACE = "$place"
_ROW = "$row"


class NearestRows:
    """The operator of `AsofJoin`: keeps the rows of both sides, by key and time.

    Both sides' times are words (`time_words`), turned around where the nearest row is the first one after. So a left
    row always has the last right row that is not after the left row's own word, which is one less where the comparison
    is strict.

        right times   10        20        30
        left rows        a    b    c          d

    A change at 20 concerns the left rows from 20 to just before the next right time there is, or was: only c. A step
    costs in proportion to the delta and to such rows, times the logarithm of what is kept.
    """

    def __init__(self, node: AsofJoin) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._is_strict = node.comparison in (">", "<")
        self._left = Timeline(arrow_schema(node.left.columns), node.left_keys, self._until)
        self._right = Timeline(arrow_schema(node.right.columns), node.right_keys, self._at)
        self._first_sql = _first_sql(node)

    def _at(self, right: pa.RecordBatch) -> Times:
        return self._words(right.column(self.node.right_time))

    def _until(self, left: pa.RecordBatch) -> Times:
        return self._words(left.column(self.node.left_time)) - int(self._is_strict)

    def _words(self, column: pa.Array) -> Times:
        words = time_words(column)
        return words if self.node.comparison in (">=", ">") else ~words

    @property
    def nbytes(self) -> int:
        return self._left.nbytes + self._right.nbytes

    @property
    def state_rows(self) -> int:
        return len(self._left) + len(self._right)

    def step(self, left: Delta, right: Delta) -> Delta:
        right = consolidate(without_null_keys(right, (*self.node.right_keys, self.node.right_time)))
        parts = []
        if len(right):
            parts += self._after_right(right)
        if len(left):
            parts += self._after_left(left)
        return consolidate(concat_deltas(self.schema, parts))

    def _after_right(self, right: Delta) -> list[Delta]:
        """Takes a change of the right side in; gives −old +new of the left rows that have another match now."""
        words, times = _distinct(self._right.words(right.rows), self._at(right.rows))
        old, next_old = self._matches(words, times), self._right.next(words, times)
        self._right.apply(right)
        new, next_new = self._matches(words, times), self._right.next(words, times)
        moved = np.flatnonzero(_differ(old, new))
        last = np.full(len(words), TIME_MAX, dtype=np.int64)
        for found, at in (next_old, next_new):
            last[found] = np.minimum(last[found], at[found] - 1)
        places, slots = self._left.between(words[moved], times[moved], last[moved])
        rows, weights = self._left.take(slots), self._left.weights(slots)
        return [
            *self._matched(Delta(rows, -weights), old, moved[places]),
            *self._matched(Delta(rows, weights), new, moved[places]),
        ]

    def _after_left(self, left: Delta) -> list[Delta]:
        """Takes a change of the left side in; gives its rows with their matches."""
        alone = self._matches_nothing(left.rows)
        able = select_rows(left, np.flatnonzero(~alone))
        matches = self._matches(self._left.words(able.rows), self._until(able.rows))
        self._left.apply(able)
        parts = self._matched(able, matches, np.arange(len(able)))
        if self.node.outer and alone.any():
            parts.append(self._padded(select_rows(left, np.flatnonzero(alone))))
        return parts

    def _matches_nothing(self, left: pa.RecordBatch) -> Flags:
        """Which rows have a NULL key or time, or one that is the first of all and has none before it."""
        words = self._words(left.column(self.node.left_time))
        never: Flags = (words == TIME_MIN) & self._is_strict
        for name in (*self.node.left_keys, self.node.left_time):
            never |= left.column(name).is_null().to_numpy(zero_copy_only=False)
        return never

    def _matches(self, words: Words, times: Times) -> _Matches:
        """For each key the last right row that is not after the time."""
        found, at = self._right.last(words, times)
        asked = np.flatnonzero(found)
        places, slots = self._right.between(words[asked], at[asked], at[asked])
        rows = self._right.take(slots)
        if len(slots) > len(asked):
            first = self._first(rows, places)
            rows = rows.take(pa.array(first))
        row = np.full(len(words), -1, dtype=np.int64)
        row[asked] = np.arange(len(asked))
        return _Matches(row, rows)

    def _first(self, rows: pa.RecordBatch, places: Slots) -> Slots:
        """Of the rows of each place, of which there may be several, the first in an order of all columns."""
        numbered = rows.append_column(_PLACE, pa.array(places)).append_column(_ROW, pa.array(np.arange(len(places))))
        first: Slots = run_sql(self._first_sql, numbered).column(_ROW).to_numpy()
        return first

    def _matched(self, left: Delta, matches: _Matches, which: Slots) -> list[Delta]:
        """Left rows, each glued to one of the matches; those to which there is none apart, if at all."""
        row = matches.row[which]
        some = np.flatnonzero(row >= 0)
        own = select_rows(left, some)
        other = matches.rows.take(pa.array(row[some]))
        glued = pa.RecordBatch.from_arrays([*own.rows.columns, *other.columns], schema=self.schema)
        parts = [Delta(glued, own.weights)]
        if self.node.outer and len(some) < len(row):
            parts.append(self._padded(select_rows(left, np.flatnonzero(row < 0))))
        return parts

    def _padded(self, left: Delta) -> Delta:
        nulls = [pa.nulls(len(left), field.type) for field in self._right.schema]
        return Delta(pa.RecordBatch.from_arrays([*left.rows.columns, *nulls], schema=self.schema), left.weights)

    def save(self) -> ChunkedParts:
        sides = (("left", self._left), ("right", self._right))
        return {f"{side}.{name}": part for side, rows in sides for name, part in rows.save().items()}

    def restore(self, parts: Parts) -> None:
        for side, rows in (("left.", self._left), ("right.", self._right)):
            rows.restore({name.removeprefix(side): part for name, part in parts.items() if name.startswith(side)})


@dataclass(frozen=True, slots=True)
class _Matches:
    """Rows of the right side, and for each that was asked about the place of its match among them, or −1."""

    row: Slots
    rows: pa.RecordBatch


def _distinct(words: Words, times: Times) -> tuple[Words, Times]:
    """The distinct pairs of a key and a time."""
    index = KeyIndex()
    pairs = np.unique(np.stack([index.insert(words), times], axis=1), axis=0)
    return index.keys[pairs[:, 0]], pairs[:, 1]


def _differ(old: _Matches, new: _Matches) -> Flags:
    """Which matches are not the same row, or none, before and after."""
    was, now = old.row >= 0, new.row >= 0
    both = np.flatnonzero(was & now)
    differ: Flags = was != now
    differ[both] = (row_words(old.rows)[old.row[both]] != row_words(new.rows)[new.row[both]]).any(axis=1)
    return differ


def _first_sql(node: AsofJoin) -> str:
    """SQL for the first row of each place, the places in ascending order."""
    casts = ", ".join(cast_from_arrow(c) for c in node.right.columns)
    order = ", ".join(quote(name) for name in node.right.names)
    return (
        f"SELECT {quote(_ROW)} FROM (SELECT {casts}, {quote(_PLACE)}, {quote(_ROW)} FROM delta) "
        f"QUALIFY row_number() OVER (PARTITION BY {quote(_PLACE)} ORDER BY {order}) = 1 ORDER BY {quote(_PLACE)}"
    )
