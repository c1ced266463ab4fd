"""Segments: the files that hold the rows of streams, as frames.

A stream is a chain of numbered files, `streams/<stream>/<number>.seg`; its partitions share them. Files are only ever
appended to. In: rows with the offsets that they get; out: where they went, and the rows again. Which frames are true is
decided by the commit log; so what is behind the last true frame may be overwritten at any time. But a file that a fork
shares is left as it is, since one of the two may know more of it to be true than the other: one that has another name,
or that another segment follows already.
"""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from headwater.errors import CorruptLog
from headwater.storage.commits import INLINE, Placed, Record, rows_header
from headwater.storage.file_cache import FileCache
from headwater.storage.files import File, Storage, empty_file, numbered_files, sync_directory, sync_file
from headwater.storage.frames import BadFrame, FrameChain
from headwater.storage.rows import Known, Projections, Rows, read_layout, read_rows, verify_rows
from headwater.storage.state import Segment, Start, StreamState, named_by

SEGMENT_BYTES = 64 << 20


class Segments:
    """The segment files of one database."""

    def __init__(self, storage: Storage, path: str, segment_bytes: int) -> None:
        self._storage = storage
        self._path = path
        self._segment_bytes = segment_bytes
        self.files = FileCache(storage)
        self._found: set[str] = set()

    def restore(self, stream: int, segment: Segment, start: Start) -> None:
        """Check that a last segment has its true bytes, and cut what is behind them.

        One that has no rows behind the stream's start can be missing: a fork does without it.
        """
        if segment.version <= start.version and not self._storage.exists(self.path(stream, segment.number)):
            return
        file = self._existing(stream, segment)
        if file.size() > segment.end and not self._is_closed(stream, segment):
            file.truncate(segment.end)
            sync_file(file)

    def _existing(self, stream: int, segment: Segment) -> File:
        path = self.path(stream, segment.number)
        try:
            file = self.files.open(path)
        except FileNotFoundError:
            raise CorruptLog(f'"{path}" is missing: the commit log names {segment.end} bytes of it') from None
        size = file.size()
        if size < segment.end:
            raise CorruptLog(f'"{path}" ends at byte {size}, before byte {segment.end} up to which it was committed')
        return file

    def group(self, streams: Mapping[int, StreamState]) -> SegmentGroup:
        """Begin to gather the frames of a group of commits, behind those that `streams` has."""
        return SegmentGroup(self, streams)

    def path(self, stream: int, segment: int) -> str:
        """Path of a segment file."""
        return f"{self._path}/{stream}/{segment}.seg"

    def listed(self, stream: int) -> list[int]:
        """Numbers of the segment files that there are of a stream, also those that nothing names any more."""
        directory = f"{self._path}/{stream}"
        return numbered_files(self._storage, directory, ".seg") if self._storage.exists(directory) else []

    def is_whole(self, record: Record) -> bool:
        """Whether all rows of a commit that are in segments are, to the byte, those that it names."""
        return all(self._has(placed) for placed in named_by(record) if placed.segment != INLINE)

    def _has(self, placed: Placed) -> bool:
        path = self.path(placed.stream, placed.segment)
        try:
            file = self.files.open(path)
            verify_rows(file, placed.position, read_layout(file, placed.position, placed.seal))
            if file.size() < placed.end:
                return False  # the file was cut inside the padding, which no checksum covers
        except (BadFrame, FileNotFoundError):
            return False
        self._found.add(path)
        return True

    def sync_found(self) -> None:
        """Make durable what `is_whole` found: a killed process may have written it, and not synced it."""
        for path in sorted(self._found):
            sync_file(self.files.open(path))
        self._found.clear()

    def is_full(self, end: int) -> bool:
        """Whether a segment that ends at a position is followed by another."""
        return end >= self._segment_bytes

    def can_grow(self, stream: int, segment: Segment) -> bool:
        """Whether the next rows of a stream may go behind those that its last segment has."""
        return not self.is_full(segment.end) and not self._is_closed(stream, segment)

    def _is_closed(self, stream: int, segment: Segment) -> bool:
        """Whether a last segment is to stay as it is, since a fork shares it, or may have."""
        path = self.path(stream, segment.number)
        return self._storage.exists(self.path(stream, segment.number + 1)) or self.files.open(path).is_shared()

    def create(self, stream: int, segment: int) -> File:
        """An empty file for a new segment, with a durable name. Remains of a commit that was not made are no more."""
        directory = f"{self._path}/{stream}"
        if not self._storage.exists(directory):
            self._storage.mkdir(directory)
        if segment == 0:
            sync_directory(self._storage, self._path)
        path = self.path(stream, segment)
        file = empty_file(self._storage, path)
        sync_directory(self._storage, directory)
        self.files.keep(path, file)
        return file


class SegmentGroup:
    """The frames of a group of commits, gathered in memory and written with few calls per file."""

    def __init__(self, segments: Segments, streams: Mapping[int, StreamState]) -> None:
        self._segments = segments
        self._streams = streams
        self._tails: dict[int, tuple[int, int]] = {}  # stream -> segment, and the last version in it
        self._chains: dict[tuple[int, int], FrameChain] = {}
        self._written: list[tuple[File, int]] = []

    def add(self, stream: int, partition: int, offset: int, version: int, schema: int, rows: Rows) -> Placed:
        """Add rows, and tell where they will be. All rows that a commit has of a stream go into one segment."""
        segment, chain = self._tail(stream, version)
        header = rows_header(stream, partition, offset, version, schema, rows)
        position, seal = chain.add(header, *rows.payload)
        return Placed(stream, partition, segment, seal, offset, rows.count, position, rows.size)

    def write(self) -> None:
        """Write the frames."""
        segments = self._segments
        for (stream, segment), chain in self._chains.items():
            if chain.start:
                file = segments.files.open(segments.path(stream, segment))
            else:
                file = segments.create(stream, segment)
            self._written.append((file, chain.start))
            chain.write(file)

    def files(self) -> list[File]:
        """The files that were written, which are to be synced."""
        return [file for file, _ in self._written]

    def undo(self) -> None:
        """Cut off what was written. It need not be durable: nothing names these bytes."""
        for file, start in self._written:
            if not file.is_shared():
                file.truncate(start)

    def _tail(self, stream: int, version: int) -> tuple[int, FrameChain]:
        """The segment that rows of a version go to, and its frames."""
        if stream in self._tails:
            number, last = self._tails[stream]
            if last != version and self._segments.is_full(self._chains[stream, number].end):
                number += 1
            chain = self._chains.setdefault((stream, number), FrameChain(0, 0))
        else:
            number, chain = self._first_tail(stream)
            self._chains[stream, number] = chain
        self._tails[stream] = number, version
        return number, chain

    def _first_tail(self, stream: int) -> tuple[int, FrameChain]:
        known = self._streams.get(stream)
        if known is None or not known.segments:
            return 0, FrameChain(0, 0)
        durable = known.segments[-1]
        if self._segments.can_grow(stream, durable):
            return durable.number, FrameChain(durable.end, durable.seal)
        return durable.number + 1, FrameChain(0, 0)


def read_placed(
    file: File, placed: Placed, projections: Projections, known: Known | None
) -> tuple[pa.RecordBatch, Known]:
    """The rows of an append, and what is known of it then.

    Raise `BadFrame` if the frame is not, to the byte, the one that was committed.
    """
    if known is None:
        known = Known(read_layout(file, placed.position, placed.seal))
    projection = projections[known.layout.header.schema]
    rows, verified = read_rows(file, placed.position, known.layout, projection, known.verified)
    return rows, known if verified == known.verified else Known(known.layout, verified)


def checked_rows(file: File, placed: Placed, version: int | None, schemas: list[pa.Schema]) -> pa.RecordBatch:
    """The rows in a frame. Raise `BadFrame` unless it is, to the byte, the one that was committed, and says so itself.

    Without a version, any will do: rows that stand for older ones were written by a younger commit.
    """
    layout = read_layout(file, placed.position, placed.seal)
    header = layout.header
    found = (header.stream, header.partition, header.offset, header.count, header.payload_size)
    expected = (placed.stream, placed.partition, placed.offset, placed.count, placed.payload_size)
    if found != expected or version not in (None, header.version):
        raise BadFrame("the frame is one of other rows than the commit names")
    try:
        rows, _ = read_placed(file, placed, Projections(schemas, None), Known(layout))
    except pa.ArrowException as error:
        raise BadFrame(f"the rows cannot be decoded: {error}") from None
    if rows.num_rows != placed.count:
        raise BadFrame(f"the frame has {rows.num_rows} rows, and the commit names {placed.count}")
    return rows
