"""What is saved of a state: tables in chunks that stay the same, byte for byte, while nothing in them changes.

A chunk holds the rows of a range of slots. A row that changes or goes alters only its own chunk, and a new row only the
last one. So a log that has the chunks of one image can store of the next what differs. Slots are never visible outside
a state but in where its chunks end: when they are renumbered, by compacting or restoring, chunks may end elsewhere.

The rows of a chunk are gathered, not sliced: in the bitmaps of a slice the bits of its neighbours may show.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.key_index import Slots
from headwater.executor.operators import ChunkedParts, Chunks, Parts
from headwater.executor.slot_arrays import AllSlots, SlotArray
from headwater.values import Delta, empty_batch

CHUNK_SLOTS = 1 << 16

WEIGHTS = pa.schema([("weights", pa.int64())])


def slot_ranges(count: int) -> list[slice]:
    """Slots 0 … count−1 in ranges, one for each chunk; of no slots, one that is empty."""
    return [slice(begin, min(begin + CHUNK_SLOTS, count)) for begin in range(0, max(count, 1), CHUNK_SLOTS)]


def chunked(schema: pa.Schema, count: int, rows_of: Callable[[slice], pa.RecordBatch]) -> Chunks:
    """A part to be saved: `rows_of` gives the rows of a range of slots 0 … count−1."""
    return Chunks(schema, lambda: map(rows_of, slot_ranges(count)))


def int_chunks(**arrays: npt.NDArray[np.int64]) -> Chunks:
    """Arrays of one length, with a value for each slot, as a part to be saved."""
    count = len(next(iter(arrays.values())))
    return chunked(_int_schema(arrays), count, lambda r: int_batch(**{n: values[r] for n, values in arrays.items()}))


def slot_chunks(slots: Slots | AllSlots, **arrays: SlotArray) -> Chunks:
    """What arrays have for each of `slots`, as a part to be saved."""
    return chunked(
        _int_schema(arrays), len(slots), lambda r: int_batch(**{n: array[slots[r]] for n, array in arrays.items()})
    )


def weighted_chunks(schema: pa.Schema, count: int, delta_of: Callable[[slice], Delta]) -> tuple[Chunks, Chunks]:
    """Rows and weights as two parts to be saved: `delta_of` gives those of a range of slots 0 … count−1."""
    rows = chunked(schema, count, lambda r: delta_of(r).rows)
    return rows, chunked(WEIGHTS, count, lambda r: int_batch(weights=delta_of(r).weight_array))


def _int_schema(arrays: Mapping[str, object]) -> pa.Schema:
    return pa.schema([(name, pa.int64()) for name in arrays])


def int_batch(**arrays: npt.NDArray[np.int64]) -> pa.RecordBatch:
    """Arrays of one length as a record batch."""
    return pa.record_batch({name: pa.array(values) for name, values in arrays.items()})


def int_column(batch: pa.RecordBatch, name: str) -> npt.NDArray[np.int64]:
    """A column of `int_batch`, read-only."""
    values: npt.NDArray[np.int64] = batch.column(name).to_numpy()
    return values


def paced(chunks: Chunks, pause: Callable[[], None]) -> Chunks:
    """The same chunks; `pause` is called between them, and after the last one."""

    def made() -> Iterator[pa.RecordBatch]:
        for batch in chunks.made():
            yield batch
            pause()

    return Chunks(chunks.schema, made)


def combined(parts: ChunkedParts) -> Parts:
    """The parts as a state is restored from them."""
    return {name: _combined(chunks) for name, chunks in parts.items()}


def own_parts(parts: Parts, prefix: str) -> Parts:
    """The parts that were filed under `prefix`."""
    return {k.partition(".")[2]: part for k, part in parts.items() if k.startswith(f"{prefix}.")}


def _combined(chunks: Chunks) -> pa.RecordBatch:
    batches = list(chunks.to_batches())
    return pa.concat_batches(batches) if batches else empty_batch(chunks.schema)


def places_in(slots: Slots | AllSlots, count: int) -> Slots:
    """By slot, of `count`: its place in `slots`, −1 where it is not there."""
    if isinstance(slots, AllSlots):
        return np.arange(count)
    places = np.full(count, -1, dtype=np.int64)
    places[slots] = np.arange(len(slots))
    return places
