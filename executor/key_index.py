"""A hash index from keys to dense slot numbers, looked up and filled a batch at a time.

Open addressing with linear probing over numpy arrays, at most half full: a batch of n look-ups is a few array
operations per probing round, and no Python object exists per key.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from headwater.executor.keys import Words, mix

Slots = npt.NDArray[np.int64]

_EMPTY = -1
_SIZE_MIN = 64


class KeyIndex:
    """Maps keys (two words each) to slots 0, 1, 2 …, given out in an order that follows from the batches alone."""

    def __init__(self) -> None:
        self._keys: Words = np.empty((_SIZE_MIN // 2, 2), dtype=np.uint64)
        self._count = 0
        self._table = np.full(_SIZE_MIN, _EMPTY, dtype=np.int64)

    def __len__(self) -> int:
        return self._count

    @property
    def keys(self) -> Words:
        """The key of each slot, shape (len(self), 2)."""
        return self._keys[: self._count]

    @property
    def nbytes(self) -> int:
        return int(self._keys.nbytes + self._table.nbytes)

    def find(self, keys: Words) -> Slots:
        """The slot of each key, −1 where it is not there."""
        found = np.full(len(keys), _EMPTY, dtype=np.int64)
        if not self._count:
            return found
        rows: Any = np.arange(len(keys))
        places = self._home(keys)
        while len(rows):
            slots = self._table[places]
            occupied = slots != _EMPTY
            rows, places, slots = rows[occupied], places[occupied], slots[occupied]
            equal = self._equal(slots, keys, rows)
            found[rows[equal]] = slots[equal]
            rows, places = rows[~equal], (places[~equal] + 1) & (len(self._table) - 1)
        return found

    def insert(self, keys: Words) -> Slots:
        """The slot of each key; keys not seen before get the next free slots."""
        self._reserve(self._count + len(keys))
        found = np.full(len(keys), _EMPTY, dtype=np.int64)
        rows: Any = np.arange(len(keys))
        places = self._home(keys)
        while len(rows):
            slots = self._table[places]
            free = slots == _EMPTY
            if free.any():
                self._claim(keys, rows[free], places[free])
                slots = self._table[places]
            equal = self._equal(slots, keys, rows)
            found[rows[equal]] = slots[equal]
            rows, places = rows[~equal], (places[~equal] + 1) & (len(self._table) - 1)
        return found

    def fill(self, keys: Words) -> None:
        """Makes distinct `keys` the slots 0 … n−1 of an index that is empty."""
        assert not self._count
        self._reserve(len(keys))
        self._keys[: len(keys)] = keys
        self._count = len(keys)
        self._place_all()

    def _claim(self, keys: Words, rows: Any, places: Any) -> None:
        """Puts one of the `rows` that want the same free place there, the first of them, with a new slot."""
        self._table[places[::-1]] = -2 - rows[::-1]  # the last write stays: that of the first row
        won = self._table[places] == -2 - rows
        winners = rows[won]
        slots = np.arange(self._count, self._count + len(winners))
        self._keys[slots] = keys[winners]
        self._table[places[won]] = slots
        self._count += len(winners)

    def _equal(self, slots: Slots, keys: Words, rows: Any) -> npt.NDArray[np.bool_]:
        equal: npt.NDArray[np.bool_] = (self._keys[slots, 0] == keys[rows, 0]) & (self._keys[slots, 1] == keys[rows, 1])
        return equal

    def _home(self, keys: Words) -> npt.NDArray[np.int64]:
        hashed: npt.NDArray[np.uint64] = mix(keys[:, 0] + keys[:, 1] * np.uint64(0x9E3779B97F4A7C15))
        return (hashed & np.uint64(len(self._table) - 1)).astype(np.int64)

    def _reserve(self, count: int) -> None:
        """Makes room for `count` keys in all."""
        if count > len(self._keys):
            grown = np.empty((max(count, 2 * len(self._keys)), 2), dtype=np.uint64)
            grown[: self._count] = self.keys
            self._keys = grown
        if 2 * count > len(self._table):
            self._table = np.full(1 << (2 * count - 1).bit_length(), _EMPTY, dtype=np.int64)
            self._place_all()

    def _place_all(self) -> None:
        rows: Any = np.arange(self._count)
        places = self._home(self.keys)
        while len(rows):
            free = self._table[places] == _EMPTY
            self._table[places[free]] = rows[free]
            placed = self._table[places] == rows
            rows, places = rows[~placed], (places[~placed] + 1) & (len(self._table) - 1)


def first_rows(slots: Slots, count: int) -> Slots:
    """The first row of each of `count` slots, all of which are among `slots`, the slot of each row."""
    first = np.empty(count, dtype=np.int64)
    first[slots[::-1]] = np.arange(len(slots))[::-1]  # the last write stays: that of the first row
    return first
