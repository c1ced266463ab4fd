"""Exact sums of floats, one per group: the same to the last bit in whatever order and pieces the floats come.

A double is a whole number of 53 bits times a power of two. So a sum of doubles is a whole number too, of up to 2100
bits, kept as digits to the base 2³². Only digits that are in use are kept, by (slot, place): three or four a group
where the magnitudes of its floats are alike. What is added and taken away again leaves nothing behind.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.chunks import chunked, int_batch, int_column, places_in
from headwater.executor.key_index import KeyIndex, Slots
from headwater.executor.operators import Chunks
from headwater.executor.slot_arrays import AllSlots, SlotArray
from headwater.values import Weights

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_BITS = 32
_MASK = np.int64((1 << _BITS) - 1)
_UNIT = 36 * _BITS  # the digit at place p stands for digit · 2^(32 p − 1152), so that no place is below zero
_FULL = np.int64(1 << 61)  # a digit beyond this is carried, before the next addition could overflow it
_NOWHERE = 1 << 16
_SAVED = pa.schema([(name, pa.int64()) for name in ("slot", "place", "digit")])


class ExactSums:
    """The sum of the floats of each slot. A slot that has none sums to nought."""

    def __init__(self) -> None:
        self._index = KeyIndex()  # of (slot, place)
        self._digits = SlotArray()  # with a sign, each smaller than ±2⁶³
        self._first = SlotArray(_NOWHERE)  # by slot: the lowest place in use
        self._last = SlotArray(-1)  # by slot: the highest place in use

    @property
    def nbytes(self) -> int:
        return int(self._index.nbytes + self._digits.nbytes + self._first.nbytes + self._last.nbytes)

    def reserve(self, count: int) -> None:
        """Makes room for slots 0 … count−1."""
        self._first.reserve(count)
        self._last.reserve(count)

    def add(self, slots: Slots, groups: Slots, numbers: Floats, weights: Weights) -> None:
        """Adds finite numbers: number i as often as `weights[i]` says, to `slots[groups[i]]`; `slots` are distinct.

        The sizes of the weights of one call add up to less than 2²⁹ in each group.
        """
        if not len(numbers):
            return
        fractions, exponents = np.frexp(numbers)
        whole = np.ldexp(fractions, 53).astype(np.int64)
        places, shifts = np.divmod(exponents.astype(np.int64) - 53 + _UNIT, _BITS)
        size, signs = np.abs(whole), np.sign(whole) * weights
        first = int(places.min())
        sums = np.zeros((int(places.max()) - first + 3, len(slots)), dtype=np.int64)  # by place and group
        cells = (places - first) * len(slots) + groups
        np.add.at(sums[0:].ravel(), cells, ((size << shifts) & _MASK) * signs)
        np.add.at(sums[1:].ravel(), cells, ((size >> (_BITS - shifts)) & _MASK) * signs)
        np.add.at(sums[2:].ravel(), cells, ((size >> _BITS) >> (_BITS - shifts)) * signs)
        used_places, used_groups = np.nonzero(sums)
        self._put(slots[used_groups], used_places + first, sums[used_places, used_groups])

    def merge(self, slots: Slots, groups: Slots, gone: Slots) -> None:
        """Adds the sum of `gone[i]` to `slots[groups[i]]`; `slots` are distinct."""
        rows, places, digits = self._digits_of(gone)
        cells = np.concatenate([groups[rows] * _NOWHERE + places, groups[rows] * _NOWHERE + places + 1])
        used, of = np.unique(cells, return_inverse=True)
        sums = np.zeros(len(used), dtype=np.int64)
        np.add.at(sums, of, np.concatenate([digits & _MASK, digits >> _BITS]))
        self._put(slots[used // _NOWHERE], used % _NOWHERE, sums)

    def _put(self, slots: Slots, places: Ints, digits: Ints) -> None:
        """Adds digits at places that are distinct in each slot."""
        positions = self._index.insert(_keys(slots, places))
        self._digits.reserve(len(self._index))
        self._digits[positions] += digits
        self._widen(slots, places)
        full = np.flatnonzero(np.abs(self._digits[positions]) >= _FULL)
        if len(full):
            carried = self._digits[positions[full]] >> _BITS
            self._digits[positions[full]] &= _MASK
            self._put(slots[full], places[full] + 1, carried)

    def _widen(self, slots: Slots, places: Ints) -> None:
        """Notes that digits at these places are in use."""
        self._first.fold(np.minimum, slots, places)
        self._last.fold(np.maximum, slots, places)

    def totals(self, slots: Slots) -> Floats:
        """The sum of each slot, rounded once to the nearest double; infinite where it is out of range."""
        first = self._first[slots]
        rows, places, found = self._digits_of(slots)
        width = int((self._last[slots] - first).max(initial=0)) + 3  # two more, for what all below may carry
        digits = np.zeros((width, len(slots)), dtype=np.int64)  # the lowest first
        digits[places - first[rows], rows] = found
        _carry(digits)
        negative = digits[-1] < 0
        digits[:, negative] *= -1
        _carry(digits)
        magnitude, top = _rounded(digits)
        exponents = np.where(magnitude > 0, _BITS * (first + top - 1) - _UNIT, 0)
        with np.errstate(over="ignore"):
            return np.ldexp(np.where(negative, -magnitude, magnitude), exponents)

    def _digits_of(self, slots: Slots) -> tuple[Ints, Ints, Ints]:
        """For each digit of the slots: the place in `slots` of its slot, its own place, and its value."""
        counts = np.maximum(self._last[slots] - self._first[slots] + 1, 0)
        rows = np.repeat(np.arange(len(slots)), counts)
        places = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts) + self._first[slots][rows]
        positions = self._index.find(_keys(slots[rows], places))
        known = np.flatnonzero(positions >= 0)
        return rows[known], places[known], self._digits[positions[known]]

    def save(self, slots: Slots | AllSlots) -> Chunks:
        """What `restore` needs for these slots, which then are 0 … n−1."""
        new = places_in(slots, len(self._first))
        return chunked(_SAVED, len(self._index), lambda positions: self._saved(positions, new))

    def _saved(self, positions: slice, new: Slots) -> pa.RecordBatch:
        owners, places = self._index.keys_in(positions).astype(np.int64).T
        slots, digits = new[owners], self._digits[positions]
        kept = slots >= 0
        return int_batch(slot=slots[kept], place=places[kept], digit=digits[kept])

    def restore(self, saved: pa.RecordBatch) -> None:
        """Takes the sums from what was saved; nothing must be there yet but room."""
        slots, places, digits = (int_column(saved, name) for name in ("slot", "place", "digit"))
        self._index.fill(_keys(slots, places))
        self._digits.replace(digits)
        self._widen(slots, places)


def _keys(slots: Slots, places: Ints) -> npt.NDArray[np.uint64]:
    return np.stack([slots, places], axis=1).astype(np.uint64)


def _carry(digits: Ints) -> None:
    """Brings all digits of each number but its last into 0 … 2³²−1; the last has the sign of the number."""
    for place in range(len(digits) - 1):
        digits[place + 1] += digits[place] >> _BITS
        digits[place] &= _MASK


def _rounded(digits: Ints) -> tuple[Floats, Ints]:
    """Each number as a double times 2^(32 (top − 1)), where top is the place of its highest digit."""
    numbers: Any = np.arange(digits.shape[1])
    used = digits != 0
    top = len(digits) - 1 - np.argmax(used[::-1], axis=0)
    padded = np.concatenate([np.zeros((2, digits.shape[1]), dtype=np.int64), digits]).astype(np.uint64)
    a, b, c = (padded[top + 2 - i, numbers] for i in range(3))
    a_bits = np.frexp(np.maximum(a, 1).astype(np.float64))[1].astype(np.uint64)
    shift = np.uint64(_BITS) - a_bits  # makes the highest bit the 64th
    bits = (a << (np.uint64(_BITS) + shift)) | (b << shift) | (c >> (np.uint64(_BITS) - shift))
    below = (c << shift) & np.uint64(_MASK) != 0
    below |= np.argmax(used, axis=0) < top - 2
    magnitude = np.ldexp((bits | below).astype(np.float64), -shift.astype(np.int64))
    return np.where(used.any(axis=0), magnitude, 0.0), top
