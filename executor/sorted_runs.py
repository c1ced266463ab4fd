"""Pairs of numbers in the order of their first one, in runs that are merged as they grow (an LSM tree of arrays).

The key may be the number of a key of rows, or a time: pairs are found by key, and taken out from the smallest on.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from headwater.executor.key_index import Slots, stable_order

_DENSE = 4  # a run with a pair for at least every fourth key knows where each key begins
_LOOK_AHEAD = 1024  # pairs that are looked at in one go


class SortedRuns:
    """Pairs (key, value), many per key."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []

    @property
    def nbytes(self) -> int:
        return sum(run.nbytes for run in self._runs)

    def add(self, keys: Slots, values: Slots, key_count: int | None = None) -> None:
        """Adds pairs. With `key_count`, all keys are 0 … key_count−1, and are found without a search."""
        first, size = len(self._runs), len(keys)
        while first > 0 and len(self._runs[first - 1].values) < 2 * size:
            first -= 1
            size += len(self._runs[first].values)
        merged = self._runs[first:]
        keys = np.concatenate([*(run.keys for run in merged), keys])
        values = np.concatenate([*(run.values for run in merged), values])
        self._runs[first:] = [_sorted_run(keys, values, key_count)]

    def find(self, keys: Slots) -> tuple[Slots, Slots]:
        """For each pair whose key is among `keys`: its place in `keys`, ascending, and its value."""
        places, found = [], []
        for run in self._runs:
            begin, end = run.extents(keys)
            counts = end - begin
            place = np.repeat(np.arange(len(keys)), counts)
            within = np.arange(len(place)) - np.repeat(np.cumsum(counts) - counts, counts)
            places.append(place)
            found.append(run.values[begin[place] + within])
        if not places:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        if len(places) == 1:
            return places[0], found[0]
        place, value = np.concatenate(places), np.concatenate(found)
        order = stable_order(place, len(keys))
        return place[order], value[order]

    def first(self, is_live: Callable[[Slots], npt.NDArray[np.bool_]]) -> int | None:
        """The smallest key of a pair whose value is live; pairs before it in its run, which are not, are let go."""
        firsts = []
        for place, run in enumerate(self._runs):
            begin = 0
            while begin < len(run.keys):
                live = np.flatnonzero(is_live(run.values[begin : begin + _LOOK_AHEAD]))
                if len(live):
                    begin += int(live[0])
                    firsts.append(int(run.keys[begin]))
                    break
                begin += _LOOK_AHEAD
            self._runs[place] = run.after(begin)
        self._runs = [run for run in self._runs if len(run.keys)]
        return min(firsts, default=None)

    def take_before(self, key: int) -> Slots:
        """Takes out the pairs with a smaller key, and gives their values."""
        ends = [int(np.searchsorted(run.keys, key, side="left")) for run in self._runs]
        taken = [run.values[:end] for run, end in zip(self._runs, ends, strict=True) if end]
        self._runs = [run.after(end) for run, end in zip(self._runs, ends, strict=True) if end < len(run.keys)]
        return np.concatenate(taken) if taken else np.empty(0, dtype=np.int64)


class _Run:
    """Pairs in the order of their keys. `begins` says where each key begins, in a run that has pairs for most keys.

    The arrays become read-only: whoever freezes a state shares them.
    """

    def __init__(self, keys: Slots, values: Slots, begins: Slots | None = None) -> None:
        self.keys, self.values, self.begins = keys, values, begins
        for array in (keys, values, *([begins] if begins is not None else [])):
            array.flags.writeable = False

    @property
    def nbytes(self) -> int:
        return int(self.keys.nbytes + self.values.nbytes) + (0 if self.begins is None else int(self.begins.nbytes))

    def extents(self, keys: Slots) -> tuple[Slots, Slots]:
        """Where the pairs of each key begin and end; −1 is a key that has none."""
        if self.begins is None:
            return np.searchsorted(self.keys, keys, side="left"), np.searchsorted(self.keys, keys, side="right")
        known = np.where((keys >= 0) & (keys < len(self.begins) - 1), keys, -2)
        begin = self.begins.take(known)  # of −2, which counts from the end: twice the same, and no pairs
        return begin, np.where(known < 0, begin, self.begins.take(known + 1))

    def after(self, begin: int) -> _Run:
        """The pairs from the place `begin` on."""
        return self if not begin else _Run(_after(self.keys, begin), _after(self.values, begin))


def _sorted_run(keys: Slots, values: Slots, key_count: int | None) -> _Run:
    order = np.argsort(keys, kind="stable") if key_count is None else stable_order(keys, key_count)
    keys, values = keys[order], values[order]
    if key_count is None or _DENSE * len(keys) < key_count:
        return _Run(keys, values)
    begins = np.zeros(key_count + 1, dtype=np.int64)
    np.cumsum(np.bincount(keys, minlength=key_count), out=begins[1:])
    return _Run(keys, values, begins)


def _after(array: Slots, begin: int) -> Slots:
    """`array` from `begin` on: a view, or a copy where a view would hold on to much more memory than it shows."""
    rest = array[begin:]
    return rest.copy() if rest.base is not None and 2 * len(rest) < len(rest.base) else rest
