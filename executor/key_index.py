"""A hash index from keys to dense slot numbers, looked up and filled a batch at a time.

Open addressing with linear probing over numpy arrays, at most half full: a batch of n look-ups is a few array
operations per probing round, and no Python object exists per key.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.keys import Lane, Words, mix

Slots = npt.NDArray[np.int64]

_EMPTY = -1
_SIZE_MIN = 64
_MULTIPLIERS = (np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9))


class KeyIndex:
    """Maps keys (two words each) to slots 0, 1, 2 …, given out in an order that follows from the batches alone."""

    def __init__(self) -> None:
        self._a: Lane = np.empty(_SIZE_MIN // 2, dtype=np.uint64)  # by slot: the first word of its key
        self._b: Lane = np.empty(_SIZE_MIN // 2, dtype=np.uint64)  # by slot: the second word
        self._count = 0
        self._clear_table(_SIZE_MIN)

    def _clear_table(self, size: int) -> None:
        self._table = np.full(size, _EMPTY, dtype=np.int64)
        self._shift = np.uint64(65 - size.bit_length())  # leaves the bits of a place in the table

    def __len__(self) -> int:
        return self._count

    @property
    def keys(self) -> Words:
        """The key of each slot, shape (len(self), 2)."""
        return self.keys_in(slice(0, self._count))

    def keys_in(self, part: slice) -> Words:
        """The keys of a range of slots."""
        return np.stack([self._a[part], self._b[part]], axis=1)

    def keys_of(self, slots: Slots) -> Words:
        """The keys of these slots."""
        return np.stack([self._a.take(slots), self._b.take(slots)], axis=1)

    @property
    def nbytes(self) -> int:
        return int(self._a.nbytes + self._b.nbytes + self._table.nbytes)

    def find(self, keys: Words) -> Slots:
        """The slot of each key, −1 where it is not there."""
        a, b = _lanes(keys)
        places = self._home(a, b)
        found = self._table.take(places)
        rest: Any = np.flatnonzero((found != _EMPTY) & ~self._equal(found, a, b))
        while len(rest):
            places[rest] = self._next(places.take(rest))
            slots = self._table.take(places.take(rest))
            found[rest] = slots
            rest = rest[(slots != _EMPTY) & ~self._equal(slots, a.take(rest), b.take(rest))]
        return found

    def insert(self, keys: Words) -> Slots:
        """The slot of each key; keys not seen before get the next free slots."""
        a, b = _lanes(keys)
        self._reserve(self._count + len(a))
        places = self._home(a, b)
        found = np.empty(len(a), dtype=np.int64)
        rest: Any = np.arange(len(a))
        while len(rest):
            there = places.take(rest)
            slots = self._table.take(there)
            free = np.flatnonzero(slots == _EMPTY)
            if len(free):
                self._claim(a, b, rest.take(free), there.take(free))
                slots = self._table.take(there)
            found[rest] = slots
            rest = rest[~self._equal(slots, a.take(rest), b.take(rest))]
            places[rest] = self._next(places.take(rest))
        return found

    def fill(self, keys: Words) -> None:
        """Makes distinct `keys` the slots 0 … n−1 of an index that is empty."""
        assert not self._count
        self._reserve(len(keys))
        self._a[: len(keys)], self._b[: len(keys)] = keys[:, 0], keys[:, 1]
        self._count = len(keys)
        self._place_all()

    def _claim(self, a: Lane, b: Lane, rows: Slots, places: Slots) -> None:
        """Puts one of the `rows` that want the same free place there, the first of them, with a new slot."""
        self._table[places[::-1]] = rows[::-1]  # the last write stays: that of the first row
        won = np.flatnonzero(self._table.take(places) == rows)
        winners, places = rows.take(won), places.take(won)
        slots = np.arange(self._count, self._count + len(winners))
        self._count += len(winners)
        self._a[slots[0] : self._count], self._b[slots[0] : self._count] = a.take(winners), b.take(winners)
        self._table[places] = slots

    def _equal(self, slots: Slots, a: Lane, b: Lane) -> npt.NDArray[np.bool_]:
        """Whether the keys at `slots` are these; of no meaning where a slot is empty."""
        equal: npt.NDArray[np.bool_] = (self._a.take(slots) == a) & (self._b.take(slots) == b)
        return equal

    def _home(self, a: Lane, b: Lane) -> Slots:
        """Where in the table each key is looked for first."""
        hashed = a * _MULTIPLIERS[0]
        hashed ^= hashed >> np.uint64(32)
        hashed += b
        hashed *= _MULTIPLIERS[1]
        return (hashed >> self._shift).view(np.int64)

    def _next(self, places: Slots) -> Slots:
        return (places + 1) & (len(self._table) - 1)

    def _reserve(self, count: int) -> None:
        """Makes room for `count` keys in all."""
        if count > len(self._a):
            size = max(count, 2 * len(self._a))
            self._a, self._b = _copied(self._a, self._count, size), _copied(self._b, self._count, size)
        if 2 * count > len(self._table):
            self._clear_table(1 << (2 * count - 1).bit_length())
            self._place_all()

    def _place_all(self) -> None:
        rows: Any = np.arange(self._count)
        places = self._home(self._a[: self._count], self._b[: self._count])
        while len(rows):
            free = self._table.take(places) == _EMPTY
            self._table[places[free]] = rows[free]
            placed = self._table.take(places) == rows
            rows, places = rows[~placed], self._next(places[~placed])


def _lanes(keys: Words) -> tuple[Lane, Lane]:
    return np.ascontiguousarray(keys[:, 0]), np.ascontiguousarray(keys[:, 1])


def _copied(lane: Lane, count: int, size: int) -> Lane:
    """The first `count` words of `lane`, with room for `size`."""
    bigger = np.empty(size, dtype=np.uint64)
    bigger[:count] = lane[:count]
    return bigger


def numbered(keys: Words) -> tuple[Slots, Slots]:
    """The rows' keys numbered 0, 1, 2 … as they first appear: the number of each row, and the first row of each number.

    The same as inserting them into an empty index, and several times as fast.
    """
    a, b = _lanes(keys)
    if not b.any():
        return numbered_values(a.view(np.int64))
    numbers, first = numbered_values(mix(a * _MULTIPLIERS[0] + b).view(np.int64))
    if _differ(a, numbers, first) or _differ(b, numbers, first):
        index = KeyIndex()
        numbers = index.insert(keys)
        first = first_rows(numbers, len(index))
    return numbers, first


def _differ(lane: Lane, numbers: Slots, first: Slots) -> bool:
    """Whether rows of one number have different words."""
    return bool((lane.take(first).take(numbers) != lane).any())


def numbered_values(values: npt.NDArray[np.int64]) -> tuple[Slots, Slots]:
    """Equal values numbered 0, 1, 2 … as they first appear: the number of each, and the first place of each number."""
    encoded = pa.array(values).dictionary_encode()
    numbers = encoded.indices.to_numpy().astype(np.int64)
    return numbers, first_rows(numbers, len(encoded.dictionary))


def first_rows(slots: Slots, count: int) -> Slots:
    """The first row of each of `count` slots, all of which are among `slots`, the slot of each row."""
    first = np.empty(count, dtype=np.int64)
    first[slots[::-1]] = np.arange(len(slots))[::-1]  # the last write stays: that of the first row
    return first


def stable_order(numbers: Slots, count: int) -> Slots:
    """The order of numbers 0 … count−1, equal ones as they stand: by digits of 16 bits, which is much quicker."""
    if count > 1 << 32:
        return np.argsort(numbers, kind="stable")
    order = np.argsort(numbers.astype(np.uint16), kind="stable")
    if count > 1 << 16:
        order = order[np.argsort((numbers >> 16).astype(np.uint16)[order], kind="stable")]
    return order
