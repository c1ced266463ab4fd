"""A state as it is now, to be saved while the operator goes on: all that is large is shared, and nothing copied.

Arrow's rows never change, nor do arrays that are read-only, and the keys of a `KeyIndex` only become more, so an index
that is frozen tells its keys and finds none. What a `SlotArray` was is copied by whoever reads it, beside the steps.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np

from headwater.executor.key_index import KeyIndex
from headwater.executor.operators import ChunkedParts, Stateful
from headwater.executor.slot_arrays import FrozenArray, SlotArray

_PACKAGE = __name__.rpartition(".")[0]  # objects of its classes are states, or parts of states


@dataclass(frozen=True)
class States:
    """Everything in a circuit that has a state, at a version, by the name under which images file it."""

    version: int
    holders: Mapping[str, Stateful]
    arrays: tuple[FrozenArray, ...] = ()  # in states that are frozen

    def frozen(self) -> States:
        """The same, which nothing changes any more."""
        copies: dict[int, Any] = {}
        holders = _copy(dict(self.holders), copies)
        return States(self.version, holders, tuple(c for c in copies.values() if isinstance(c, FrozenArray)))

    def copying(self) -> Iterator[None]:
        """Makes the copies of the arrays in what is frozen, and stops after each piece."""
        for array in self.arrays:
            yield from array.copying()

    def save(self) -> ChunkedParts:
        """What there is to be saved."""
        parts: ChunkedParts = {}
        for name, holder in self.holders.items():
            parts |= {f"{name}/{part}": chunks for part, chunks in holder.save().items()}
        return parts


def _copy(value: Any, known: dict[int, Any]) -> Any:
    """A copy in which an object that is met twice is one object again; `known` are the copies by the originals' ids."""
    if id(value) in known:
        return known[id(value)]
    match value:
        case SlotArray():
            copied: Any = value.frozen()
        case np.ndarray():  # one that can be written is small: a number for each partition
            copied = value.copy() if value.flags.writeable else value
        case list() | tuple():
            copied = type(value)(_copy(item, known) for item in value)
        case dict():
            copied = {key: _copy(item, known) for key, item in value.items()}
        case KeyIndex():
            copied = copy(value)
        case _ if type(value).__module__.startswith(_PACKAGE) and hasattr(value, "__dict__"):
            copied = object.__new__(type(value))
            known[id(value)] = copied
            copied.__dict__.update({name: _copy(item, known) for name, item in vars(value).items()})
        case _:
            return value
    known[id(value)] = copied
    return copied
