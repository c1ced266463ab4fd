"""What an operator is, and what one with a state can do besides."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import pyarrow as pa

from headwater.values import Delta

Parts = dict[str, pa.RecordBatch]  # what a state is restored from: named rows


@dataclass(frozen=True, slots=True)
class Chunks:
    """Rows that are saved in chunks, each of which is made when its turn has come: see chunks.py."""

    schema: pa.Schema
    made: Callable[[], Iterable[pa.RecordBatch]]

    def to_batches(self) -> Iterator[pa.RecordBatch]:
        """The chunks that have rows."""
        return (batch for batch in self.made() if batch.num_rows)


ChunkedParts = dict[str, Chunks]  # what is saved of a state, which must not change until it has been read


class Operator(Protocol):
    """Takes one delta per input and gives one; what it keeps between steps is its own."""

    schema: pa.Schema  # of the rows it gives

    @property
    def step(self) -> Callable[..., Delta]:
        """Runs one delta per input through the operator."""


@dataclass(slots=True)
class Work:
    """What an operator has done since it was made: rows taken and given, rows or groups of them that failed, and the
    seconds that took.
    """

    rows_in: int = 0
    rows_out: int = 0
    failed: int = 0
    seconds: float = 0.0

    def count(self, given: Sequence[Delta], result: Delta, seconds: float) -> None:
        """Adds one step."""
        self.rows_in += sum(len(delta) for delta in given)
        self.rows_out += len(result)
        self.seconds += seconds


@runtime_checkable
class Stateful(Protocol):
    """Something that remembers: it can be measured, saved as rows, and made again from them."""

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""

    @property
    def state_rows(self) -> int:
        """Rows, groups or keys held."""

    def save(self) -> ChunkedParts:
        """The state, as rows rather than as memory, so that it outlives a change of the layout.

        A chunk in which nothing has changed since the last time is the same, byte for byte.
        """

    def restore(self, parts: Parts) -> None:
        """Replaces the state by one that was saved."""
