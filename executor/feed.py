"""From the log to deltas: what a leaf of a circuit reads between two points of the log.

A `Cut` is such a point: everything committed up to a version, and of some relations only the records below given
offsets, which may lie inside a commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from headwater.errors import PositionGone
from headwater.planner.logical import Changelog, CommitTimes, StreamSource, TableSource
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Chunk, Log
from headwater.values import ROWOFFSET, ROWPARTITION, WEIGHT, Delta, empty_batch

Leaf = StreamSource | TableSource | Changelog | CommitTimes
Limits = Mapping[int, Mapping[int, int]]  # relation id → partition → first offset that is not read

_PLACES = (ROWPARTITION, ROWOFFSET)  # columns that are not stored: they say where a row is

STEP_ROWS = 1 << 18  # a step takes about this many rows at most; a commit is never divided


@dataclass(frozen=True)
class Cut:
    """A point of the log: the commits up to `version`, but of the relations in `limits` only offsets below those."""

    version: int
    limits: Limits = field(default_factory=dict)


def read_rows(log: Log, leaf: Leaf, after: int, cut: Cut) -> pa.RecordBatch:
    """The stored records of a leaf committed in (after, cut.version], with the columns of the leaf, in log order."""
    if isinstance(leaf, CommitTimes):
        commits = sorted({(chunk.time_us, chunk.version) for chunk in log.scan(leaf.id, after, cut.version, [])})
        columns = zip(*commits, strict=True) if commits else ((), ())
        return pa.RecordBatch.from_arrays([pa.array(column, type=pa.int64()) for column in columns], names=leaf.names)
    return rows_of(read_chunks(log, leaf, after, cut), leaf)


def read_chunks(log: Log, leaf: Leaf, after: int, cut: Cut) -> list[Chunk]:
    """The committed chunks of a leaf's log in (after, cut.version], those across a limit cut off there, with those
    columns of the leaf that they have stored.

    Raises `PositionGone` where retention has taken what the cut has.
    """
    limits = cut.limits.get(leaf.id)
    start = log.start(leaf.id)
    if limits is not None and any(limits.get(partition, 0) < end for partition, end in start.ends.items()):
        raise PositionGone("records that this asks for are no more", earliest=start.version)
    stored = [f.name for f in _log_schema(leaf) if f.name not in _PLACES]
    if isinstance(leaf, StreamSource) and leaf.start:
        begins = dict(leaf.start)
        after = _skipped(log, leaf.id, begins, after, cut.version)
        chunks = (_from(chunk, begins) for chunk in log.scan(leaf.id, after, cut.version, stored))
        return list(_within((chunk for chunk in chunks if chunk.rows.num_rows), limits, start.version))
    return list(_within(log.scan(leaf.id, after, cut.version, stored), limits, start.version))


def _skipped(log: Log, stream: int, begins: Mapping[int, int], after: int, upto: int) -> int:
    """The version, in [after, upto], before the first one with records from `begins` on: what is before is not read."""
    for version, extent in log.extents(stream, after, upto):
        if extent.offset + extent.count > begins.get(extent.partition, 0):
            return version - 1
    return upto


def _from(chunk: Chunk, begins: Mapping[int, int]) -> Chunk:
    """The records of a chunk from the offset on at which its partition begins."""
    gone = min(max(begins.get(chunk.partition, 0) - chunk.offset, 0), chunk.rows.num_rows)
    rows = chunk.rows.slice(gone)
    return Chunk(chunk.version, chunk.time_us, chunk.partition, chunk.offset + gone, rows) if gone else chunk


def _log_schema(leaf: Leaf) -> pa.Schema:
    """The columns of a leaf and, of a table, the weight."""
    schema = arrow_schema(leaf.columns)
    return schema if isinstance(leaf, StreamSource) else schema.append(pa.field(WEIGHT, pa.int64()))


def _within(chunks: Iterable[Chunk], limits: Mapping[int, int] | None, start: int) -> Iterator[Chunk]:
    """The rows below `limits`; what stands for rows up to version `start` is below them, and has other offsets."""
    for chunk in chunks:
        kept = chunk.rows.num_rows
        if limits is not None and chunk.version > start:
            kept = min(kept, limits.get(chunk.partition, 0) - chunk.offset)
        if kept == chunk.rows.num_rows:
            yield chunk
        elif kept > 0:
            yield Chunk(chunk.version, chunk.time_us, chunk.partition, chunk.offset, chunk.rows.slice(0, kept))


def rows_of(chunks: list[Chunk], leaf: Leaf) -> pa.RecordBatch:
    """One batch of the leaf's columns, pseudo-columns made from the chunks' places, and the weights of a table."""
    schema = _log_schema(leaf)
    if not chunks:
        return empty_batch(schema)
    stored = pa.schema([f for f in schema if f.name not in _PLACES])
    lengths = np.array([c.rows.num_rows for c in chunks])
    batches = [_with_all(c.rows, stored) for c in chunks]
    rows = batches[0] if len(batches) == 1 else pa.concat_batches(batches)
    places = {
        ROWPARTITION: lambda: pa.array(np.repeat(np.array([c.partition for c in chunks], dtype=np.int32), lengths)),
        ROWOFFSET: lambda: pa.array(np.concatenate([np.arange(c.offset, c.offset + c.rows.num_rows) for c in chunks])),
    }
    arrays = [places[f.name]() if f.name in places else rows.column(f.name) for f in schema]
    if not arrays:
        return rows
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def table_of(chunks: list[Chunk], leaf: Leaf) -> pa.Table:
    """The columns of a table's leaf and the weights, as `rows_of` gives them, in the chunks there are: not copied."""
    schema = _log_schema(leaf)
    return pa.Table.from_batches([_with_all(chunk.rows, schema) for chunk in chunks], schema)


def _with_all(rows: pa.RecordBatch, stored: pa.Schema) -> pa.RecordBatch:
    """`rows` with all the columns of `stored`: one that was added later is NULL."""
    if rows.num_columns == len(stored):
        return rows
    known = set(rows.schema.names)
    arrays = [rows.column(f.name) if f.name in known else pa.nulls(rows.num_rows, f.type) for f in stored]
    return pa.RecordBatch.from_arrays(arrays, schema=stored)


def with_weights(rows: pa.RecordBatch) -> Delta:
    """Stored rows with their weight column as a delta."""
    weights = rows.column(WEIGHT).to_numpy()
    return Delta(rows.drop_columns([WEIGHT]), weights)


def step_end(log: Log, relations: Iterable[int], after: int, upto: int) -> int:
    """The last version of a step that begins after `after`: at most `upto`, and about STEP_ROWS rows away."""
    first = first_version(log, relations)
    rows = 0
    for version, count in sorted(_row_counts(log, relations, after, upto).items()):
        if rows and version > first and rows + count > STEP_ROWS:
            return version - 1
        rows += count
    return upto


def step_versions(log: Log, relations: Iterable[int], clocked: Iterable[int], after: int, upto: int) -> list[int]:
    """Where to cut (after, upto] on the way: the last version of each piece.

    A piece has about STEP_ROWS rows at most. The commits to `clocked` relations (tables that streams are joined with)
    each begin a piece, so that within a piece the table changes first and the stream's rows come after.
    """
    begins = {version for relation in clocked for version, _ in log.extents(relation, after, upto)}
    first = first_version(log, relations)
    ends: list[int] = []
    rows = 0
    for version, count in sorted(_row_counts(log, relations, after, upto).items()):
        if rows and version > first and (version in begins or rows + count > STEP_ROWS):
            ends.append(version - 1)
            rows = 0
        rows += count
    return [*ends, upto]


def first_version(log: Log, relations: Iterable[int]) -> int:
    """The version from which on all of `relations` can be read."""
    return max((log.start(relation).version for relation in relations), default=0)


def _row_counts(log: Log, relations: Iterable[int], after: int, upto: int) -> dict[int, int]:
    """How many rows of `relations` each version committed, where any."""
    counts: dict[int, int] = {}
    for relation in relations:
        for version, extent in log.extents(relation, after, upto):
            counts[version] = counts.get(version, 0) + extent.count
    return counts
