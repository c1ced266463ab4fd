"""What a program gives to `append`, in pieces that `ingest.conform` reads: one for all of it, or one per commit."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import Any

import pyarrow as pa

from headwater.engine.ingest import conform
from headwater.engine.result import Acknowledgement
from headwater.errors import DataError, HeadwaterError
from headwater.planner import Relation
from headwater.values import ROWTIME

Write = Callable[[Relation, pa.RecordBatch], Acknowledgement]


def append(relation: Relation, rows: Any, commit_every: int | None, write: Write) -> Acknowledgement:
    """Writes rows as one commit or, with `commit_every`, each so many as one. The version is that of the last."""
    if commit_every is None:
        return write(relation, read(relation, rows))
    if commit_every < 1:
        raise DataError("commit_every is a number of rows, 1 or more")
    committed = _Committed()
    with committed:
        for piece in _pieces(rows, commit_every):
            committed.add(write(relation, read(relation, piece)))
    return committed.all or write(relation, read(relation, []))


class _Committed:
    """What is committed so far: a context in which an error says how much that is."""

    def __init__(self) -> None:
        self.all: Acknowledgement | None = None

    def add(self, done: Acknowledgement) -> None:
        self.all = done if self.all is None else _together(self.all, done)

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None or self.all is None:
            return
        said = f"the first {self.all.rows:,} rows are committed"
        if isinstance(error, HeadwaterError):
            error.hint = "; ".join(filter(None, (error.hint, f"{said}, and row 0 is the one after them")))
        else:
            error.add_note(said)  # one of the program, from its iterator


def read(relation: Relation, rows: Any) -> pa.RecordBatch:
    """`rows` with the columns and types of a relation; an iterator is read to its end."""
    if not isinstance(rows, Iterator):
        return conform(relation, rows)
    first = next(rows, None)
    rows = [] if first is None else chain([first], rows)
    if first is None or not is_batch(first):
        return conform(relation, list(rows))
    return _concatenated([conform(relation, batch) for batch in rows])


def is_batch(rows: Any) -> bool:
    """Whether an item of an iterator is many rows, and not one."""
    return hasattr(rows, "__arrow_c_stream__") or hasattr(rows, "__arrow_c_array__")


def _concatenated(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    """Batches of one relation as one; where some have event times of their own, the others have NULL."""
    widest = max((batch.schema for batch in batches), key=len)
    if widest.names[-1] == ROWTIME:
        times = widest.field(ROWTIME)
        batches = [
            batch if len(batch.schema) == len(widest) else batch.append_column(times, pa.nulls(len(batch), times.type))
            for batch in batches
        ]
    return pa.Table.from_batches(batches).combine_chunks().to_batches()[0] if len(batches) > 1 else batches[0]


def _pieces(rows: Any, size: int) -> Iterator[Any]:
    """Pieces of at most `size` rows, read only when their turn has come."""
    if is_batch(rows):
        yield from _of_batches([rows], size)
    elif isinstance(rows, Mapping) or not isinstance(rows, Iterable) or type(rows).__module__.startswith("pandas"):
        yield rows  # it is in memory as a whole, and so is read as a whole
    else:
        items = iter(rows)
        first = next(items, None)
        if first is not None and is_batch(first):
            yield from _of_batches(chain([first], items), size)
        elif first is not None:
            items = chain([first], items)
            while piece := list(islice(items, size)):
                yield piece


def _of_batches(sources: Iterable[Any], size: int) -> Iterator[pa.RecordBatch]:
    for source in sources:
        if hasattr(source, "__arrow_c_stream__"):
            batches: Iterable[pa.RecordBatch] = pa.RecordBatchReader.from_stream(source)
        else:
            batches = [pa.record_batch(source)]
        for batch in batches:
            for start in range(0, batch.num_rows, size):
                yield batch.slice(start, size)


def _together(before: Acknowledgement, after: Acknowledgement) -> Acknowledgement:
    offsets = dict(before.offsets)
    for partition, (begin, end) in after.offsets.items():
        offsets[partition] = (offsets.get(partition, (begin, end))[0], end)
    return Acknowledgement(after.version, offsets, before.rows + after.rows)
