"""Tables folded from what the log has of them: the rows in an image, and the changes stored since.

No operator runs and nothing is replayed. Of a table with a key the last change of each key counts, of a bag the sum of
the weights:

    the image    k=1 v=5, k=2 v=6
    version 7    k=1 v=5 −1, k=1 v=9 +1
    version 9    k=2 v=6 −1                  as of version 8: k=2 v=6, k=1 v=9

Images are no further apart than the state of what runs is large, so a fold reads a bounded number of rows for each row
of the table, however long the history is.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headwater.executor.feed import Cut, Leaf, read_chunks, table_of
from headwater.executor.key_index import numbered
from headwater.executor.keys import Words, key_words
from headwater.planner.logical import TableSource
from headwater.storage import Image, Log
from headwater.values import WEIGHT

Places = npt.NDArray[np.int64]
Integers = npt.NDArray[np.int32]
Flags = npt.NDArray[np.bool_]

_DENSE = 4  # whole numbers are numbered by themselves where their range is so many times as large as their count
_CHUNK_ROWS = 1 << 10  # smaller chunks are copied together: each costs every question something
_PIECE_ROWS = 1 << 20  # of which keys are made at once


class Fold:
    """What a table was at the version `begin` of its log, and all its changes from there up to the version `end`.

    The rows and then the changes are numbered by their keys (those of a bag by all columns), once for all questions
    that want all rows.
    """

    def __init__(
        self, log: Log, leaf: Leaf, base: pa.Table | None, begin: int, end: int, *, is_compressed: bool = False
    ) -> None:
        """`leaf` reads the log of the table. `base` has its rows at `begin` and their weights; None for no rows.

        `nbytes` is the memory that will be held.
        """
        self.begin, self.end = begin, end
        self._key = leaf.key
        chunks = read_chunks(log, leaf, begin, Cut(end))
        changes = table_of(chunks, leaf)
        if changes.num_rows < _CHUNK_ROWS * len(chunks):
            changes = changes.combine_chunks()
        rows = changes if base is None else pa.concat_tables([base, changes])
        self._base_count = rows.num_rows - changes.num_rows
        lengths = [chunk.rows.num_rows for chunk in chunks]
        self._versions, self._ends = [chunk.version for chunk in chunks], np.cumsum([self._base_count, *lengths])
        self._moments = _moments([self._base_count, *lengths], replaces=isinstance(leaf, TableSource))
        self._weights = rows.column(WEIGHT).to_numpy().astype(np.int32)
        self._rows = rows.drop_columns([WEIGHT])
        self._known_keys: _Keys | None = None
        is_copied = is_compressed or changes.num_rows < _CHUNK_ROWS * len(chunks)  # and not a map of files
        self.nbytes = (int(self._rows.nbytes) if is_copied else 0) + 3 * int(self._weights.nbytes)

    @property
    def _keys(self) -> _Keys:
        if self._known_keys is None:
            self._known_keys = _Keys.of(_words(self._rows, self._key))
        return self._known_keys

    def rows(self, upto: int) -> pa.Table:
        """The rows as of a version of the table's log."""
        count = self._count_at(upto)
        if self._key is None:
            return self._bag(count)
        changes = self._keys.numbers[:count], self._weights[:count], self._moments[:count]
        there = _latest(*changes, self._keys.count, self._base_count)
        return self._rows.slice(0, count).filter(pa.array(there))

    def row(self, upto: int, key: Mapping[str, pa.Scalar]) -> pa.Table:
        """The row with a value for each column of the key as of a version, if it was there."""
        places = self._places(self._count_at(upto), key)
        alike, base_count = np.zeros(len(places), dtype=np.int32), int(np.searchsorted(places, self._base_count))
        there = places[_latest(alike, self._weights[places], self._moments[places], 1, base_count)]
        return self._rows.slice(int(there[0]) if len(there) else 0, len(there))

    def _count_at(self, upto: int) -> int:
        """How many rows and changes there are up to a version."""
        assert self.begin <= upto <= self.end
        return int(self._ends[bisect_right(self._versions, upto)])

    def _places(self, count: int, key: Mapping[str, pa.Scalar]) -> Places:
        """The places of the rows and changes among the first `count` that have a key."""
        keys = self._known_keys
        if keys is None or keys.least is None:
            return _equal(self._rows.slice(0, count), key)
        (value,) = key.values()
        number = int(key_words([pa.array([value], value.type)], 1)[0, 0].view(np.int64)) - keys.least
        return np.flatnonzero(keys.numbers[:count] == number)

    def _bag(self, count: int) -> pa.Table:
        numbers = self._keys.numbers[:count]
        sums = np.zeros(self._keys.count, dtype=np.int64)
        np.add.at(sums, numbers, self._weights[:count])
        first = np.empty(self._keys.count, dtype=np.int64)
        first[numbers[::-1]] = np.arange(count)[::-1]  # the last write stays: that of the first row
        there = np.zeros(count, dtype=bool)
        there[first[sums > 0]] = True
        times = sums[numbers[there]]
        rows = self._rows.slice(0, count).filter(pa.array(there))
        return rows if (times == 1).all() else rows.take(pa.array(np.repeat(np.arange(len(times)), times)))


@dataclass(frozen=True)
class _Keys:
    """Keys as numbers below `count`, equal ones as the same number: if there is a `least` one, the distance from it."""

    numbers: Integers
    count: int
    least: int | None

    @classmethod
    def of(cls, words: Words) -> _Keys:
        if len(words) and not words[:, 1].any():
            values = words[:, 0].view(np.int64)
            least, most = int(values.min()), int(values.max())
            if most - least < _DENSE * len(values):
                return cls((values - least).astype(np.int32), most - least + 1, least)
        numbers, first = numbered(words)
        return cls(numbers.astype(np.int32), len(first), None)


def rows_in(log: Log, image: Image, holder: str) -> pa.Table:
    """The rows of a table that an image has, with their weights. Raises `CorruptLog` if it cannot be read."""
    rows, weights = f"{holder}/rows", f"{holder}/weights"
    parts = log.load_parts(image, (rows, weights))
    return parts[rows].append_column(WEIGHT, parts[weights].column("weights"))


def _latest(numbers: Integers, weights: Integers, moments: Integers, count: int, base_count: int) -> Flags:
    """Which of the rows at the beginning, and of the changes behind them, are in a table with a key in the end.

    A change that adds a row is if it is the last one of its key that does, and none at a later moment removes the row.
    `numbers` are below `count`.
    """
    added, removed = np.full((2, count), -1, dtype=np.int32)  # by number: the last place, and the last moment
    adds = weights > 0
    adds[:base_count] = False
    places = np.flatnonzero(adds).astype(np.int32)
    added[numbers[places]] = places  # the last write stays
    removes = weights < 0
    removed[numbers[removes]] = moments[removes]
    there = np.zeros(len(numbers), dtype=bool)
    there[:base_count] = ((added < 0) & (removed < 0))[numbers[:base_count]]
    added = added[added >= 0]
    there[added[moments[added] >= removed[numbers[added]]]] = True
    return there


def _moments(lengths: Sequence[int], *, replaces: bool) -> Integers:
    """The order in which rows and changes were made, of parts of such lengths.

    Records of a source table replace each other one by one. What a step of a query gave was made at once: of a key one
    row was removed, one added, or both, in any order.
    """
    if replaces:
        return np.arange(sum(lengths), dtype=np.int32)
    return np.repeat(np.arange(len(lengths), dtype=np.int32), lengths)


def _words(rows: pa.Table, key: Sequence[str] | None) -> Words:
    """The key of each row, or of a bag the identity of each."""
    columns = rows if key is None else rows.select(list(key))
    pieces = [columns.slice(begin, _PIECE_ROWS) for begin in range(0, max(len(rows), 1), _PIECE_ROWS)]
    return np.concatenate([key_words([c.combine_chunks() for c in piece.columns], piece.num_rows) for piece in pieces])


def _equal(rows: pa.Table, key: Mapping[str, pa.Scalar]) -> Places:
    """The places of the rows with these values."""
    found: Flags = np.ones(rows.num_rows, dtype=bool)
    for name, value in key.items():
        found &= pc.fill_null(pc.equal(rows.column(name), value), False).to_numpy()
    return np.flatnonzero(found)
