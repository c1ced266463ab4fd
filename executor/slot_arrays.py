"""Whole numbers by slot: arrays that grow and change in place, and can be saved as they were at a moment.

At that moment nothing is copied. Whoever saves the array copies it piece by piece while steps go on. Until the copy is
whole, each write first notes what it replaces, and then the copy is put right by these notes, from the last one back to
the first. So it does not matter which of the writes the copy has seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from threading import Lock
from typing import Any
from weakref import ref

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_SIZE_MIN = 64
_PIECE = 1 << 14  # so many slots are copied in one go


class SlotArray:
    """Whole numbers by slot, read as an array is. All that it shows is read-only: it is written by itself alone.

    With a `width`, each slot has so many numbers. Slots that have not been written are `fill`.
    """

    def __init__(self, fill: int = 0, width: int | None = None) -> None:
        self._fill = fill
        self._frozen: list[ref[FrozenArray]] = []  # those that are not copies yet
        self._take_over(np.empty((0,) if width is None else (0, width), dtype=np.int64))

    def _take_over(self, values: Ints) -> None:
        """Lets `values` be all that there is. What is frozen stays with the old array, which is not written again."""
        self._values = values
        self._shown = values.view()
        self._shown.flags.writeable = False
        self._frozen = []

    def __len__(self) -> int:
        return len(self._values)

    @property
    def nbytes(self) -> int:
        return int(self._values.nbytes)

    def __getitem__(self, slots: Ints | slice) -> Any:
        """The numbers of the slots."""
        return self._shown[slots]

    def __setitem__(self, slots: Ints, values: Any) -> None:
        if self._frozen:
            self._note(slots)
        self._values[slots] = values

    def fold(self, function: np.ufunc, slots: Ints, values: Ints) -> None:
        """Combines each of the values with the number of its slot; a slot may stand several times."""
        if self._frozen:
            self._note(slots)
        function.at(self._values, slots, values)

    def reserve(self, count: int) -> None:
        """Makes room for slots 0 … count−1."""
        if count > len(self):
            bigger = np.full((max(count, 2 * len(self), _SIZE_MIN), *self._values.shape[1:]), self._fill)
            bigger[: len(self)] = self._values
            self._take_over(bigger)

    def replace(self, values: Ints) -> None:
        """Makes `values` all that there is: the array itself, or a copy of one that is read-only."""
        self._take_over(values if values.flags.writeable else values.copy())

    def frozen(self) -> FrozenArray:
        """What the array is now, whatever is written later."""
        frozen = FrozenArray(self._shown)
        self._frozen.append(ref(frozen))
        return frozen

    def _note(self, slots: Ints) -> None:
        """Notes what a write replaces, for those who have still to know."""
        before, waiting = self._values[slots], []
        for reference in self._frozen:
            frozen = reference()
            if frozen is not None and not frozen.is_copy:
                frozen.note(slots, before)
                waiting.append(reference)
        self._frozen = waiting


class AllSlots:
    """Slots 0 … n−1, of which each range is made when it is asked for."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, part: slice) -> Ints:
        return np.arange(part.start, part.stop)


class FrozenArray:
    """What a `SlotArray` was at a moment. Whoever reads it, in any thread, makes the copy where `copying` has not."""

    def __init__(self, values: Ints) -> None:
        self._values = values
        self._notes: list[tuple[Ints, Ints]] = []  # slots, and what was there before a write
        self._noted = 0
        self._finishing = Lock()
        self.is_copy = False

    def note(self, slots: Ints, before: Ints) -> None:
        """Notes what is there before a write. Notes that outgrow the array give way to a copy."""
        self._notes.append((slots.copy(), before))
        self._noted += len(slots)
        if self._noted > len(self):
            self._copy()

    def copying(self) -> Iterator[None]:
        """Makes the copy, and stops after each piece; writes may come between."""
        if self.is_copy:
            return
        source, values = self._values, np.empty_like(self._values)
        for begin in range(0, len(source), _PIECE):
            values[begin : begin + _PIECE] = source[begin : begin + _PIECE]
            yield
        self._finish(values)

    def _finish(self, values: Ints) -> None:
        """Puts a copy right that was made since this was frozen, unless there is one that somebody else has made."""
        with self._finishing:
            if not self.is_copy:
                for slots, before in reversed(tuple(self._notes)):
                    values[slots] = before
                values.flags.writeable = False
                self._values = values
                self.is_copy = True  # from here on nothing is noted any more
                self._notes.clear()

    def _copy(self) -> None:
        for _ in self.copying():
            pass

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, slots: Ints | slice) -> Any:
        """The numbers that the slots had."""
        if not self.is_copy:
            self._copy()
        return self._values[slots]
