"""Segments: the files that hold the rows of streams, as frames.

A stream is a chain of numbered files, `streams/<stream>/<number>.seg`; its partitions share them. A file begins with
the frame of a schema; the frames of rows that follow rest on it, or on a younger schema frame. Files are only ever
appended to. In: rows with the offsets that they get; out: where they went, and the rows again. Which frames are true is
decided by the commit log; so what is behind the last true frame may be overwritten at any time.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass

import pyarrow as pa

from headwater.errors import CorruptLog
from headwater.storage.commits import Placed
from headwater.storage.files import File, Storage, sync_directory, sync_file, write_all
from headwater.storage.frames import (
    BadFrame,
    Header,
    Kind,
    crc32c,
    pack_header,
    padding,
    read_header,
    read_payload,
)
from headwater.storage.rows import Rows, decode_rows, decode_schema, encode_schema

OPEN_FILES = 128


@dataclass(frozen=True, slots=True)
class Tail:
    """Where the next frame of a stream goes: the file, the position, and the schema frame to rest on, if known."""

    segment: int
    end: int
    schema: pa.Schema | None = None
    schema_position: int = 0
    schema_seal: int = 0


class Segments:
    """The segment files of one database."""

    def __init__(self, storage: Storage, path: str, segment_bytes: int) -> None:
        self._storage = storage
        self._path = path
        self._segment_bytes = segment_bytes
        self._tails: dict[int, Tail] = {}
        self._files: OrderedDict[str, File] = OrderedDict()
        self._files_lock = threading.Lock()
        self._schemas: dict[tuple[int, int, int], pa.Schema] = {}

    def restore(self, stream: int, segment: int, end: int) -> None:
        """Take up a segment found at opening, whose true bytes end at `end`, and cut what is behind them.

        To be called for the segments of a stream in order.
        """
        path = self.path(stream, segment)
        try:
            file = self._storage.open(path)
        except FileNotFoundError:
            raise CorruptLog(f'"{path}" is missing: the commit log names {end} bytes of it') from None
        size = file.size()
        if size < end:
            raise CorruptLog(f'"{path}" ends at byte {size}, before byte {end} up to which it was committed')
        if size > end:
            file.truncate(end)
            sync_file(file)
        self._tails[stream] = Tail(segment, end)

    def group(self) -> Group:
        """Begin to gather the frames of a group of commits."""
        return Group(self)

    def read(self, placed: Placed, version: int, *, check: bool) -> pa.RecordBatch:
        """The rows of an append. With `check` the checksum of the rows is verified; all else always is.

        Raise `CorruptLog` if the frame is not, to the byte, the one that was committed.
        """
        path = self.path(placed.stream, placed.segment)
        try:
            file = self.file(path)
            header = read_header(file, placed.position, Kind.DATA, placed.seal)
            schema = self._schema(placed, header, file)
            return decode_rows(read_payload(file, placed.position, header, check=check), schema)
        except FileNotFoundError:
            reason = "the file is missing"
        except BadFrame as bad:
            reason = str(bad)
        last = placed.offset + placed.count - 1
        raise CorruptLog(
            f'"{path}" is damaged at byte {placed.position}: {reason}; offsets {placed.offset} to {last} of stream '
            f"{placed.stream}, partition {placed.partition} (commit {version}) cannot be read; restore the file from "
            "a copy"
        )

    def size_bytes(self) -> int:
        """Bytes of all segments of all streams."""
        return sum(
            self.file(self.path(stream, segment)).size()
            for stream, tail in tuple(self._tails.items())
            for segment in range(tail.segment + 1)
        )

    def path(self, stream: int, segment: int) -> str:
        """Path of a segment file."""
        return f"{self._path}/{stream}/{segment}.seg"

    def file(self, path: str) -> File:
        """An open file. The least recently used of too many is forgotten; it closes once nobody is using it."""
        with self._files_lock:
            file = self._files.get(path)
            if file is None:
                file = self._files[path] = self._storage.open(path)
            self._files.move_to_end(path)
            if len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)
            return file

    def close(self) -> None:
        """Forget all files; those in use close when their readers are done."""
        with self._files_lock:
            self._files.clear()

    def _schema(self, placed: Placed, header: Header, file: File) -> pa.Schema:
        key = placed.stream, placed.segment, header.base
        schema = self._schemas.get(key)
        if schema is None:
            frame = read_header(file, header.base, Kind.SCHEMA, header.previous)
            schema = self._schemas[key] = decode_schema(read_payload(file, header.base, frame))
        return schema

    def _create(self, stream: int, segment: int) -> File:
        """An empty file for a new segment, with a durable name. Remains of a commit that was not made are cut."""
        path = self.path(stream, segment)
        directory = f"{self._path}/{stream}"
        if segment == 0:
            if not self._storage.exists(directory):
                self._storage.mkdir(directory)
            sync_directory(self._storage, self._path)
        file = self._storage.open(path, create=True)
        if file.size():
            file.truncate(0)
        sync_directory(self._storage, directory)
        return file


class Group:
    """The frames of a group of commits, gathered in memory and written with one call per file."""

    def __init__(self, segments: Segments) -> None:
        self._segments = segments
        self._tails: dict[int, Tail] = {}
        self._parts: dict[tuple[int, int], tuple[int, list[bytes | pa.Buffer]]] = {}  # segment -> start, bytes
        self._written: list[tuple[File, int]] = []

    def add(self, stream: int, partition: int, offset: int, version: int, rows: Rows) -> Placed:
        """Add rows, and tell where they will be."""
        tail = self._tails.get(stream) or self._segments._tails.get(stream)
        if tail is None:
            tail = Tail(0, 0)
        elif tail.end + len(rows.payload) > self._segments._segment_bytes:
            tail = Tail(tail.segment + 1, 0)
        start, parts = self._parts.setdefault((stream, tail.segment), (tail.end, []))
        position = tail.end
        if tail.schema is None or not tail.schema.equals(rows.schema, check_metadata=True):
            tail, position = self._add_schema(stream, tail, version, rows.schema, parts)
        header = Header(
            Kind.DATA, len(rows.payload), rows.crc, tail.schema_seal, tail.schema_position, version,
            stream, partition, offset, rows.count,
        )  # fmt: skip
        packed, seal = pack_header(header)
        parts += [packed, rows.payload, padding(len(rows.payload))]
        end = position + header.size
        self._tails[stream] = Tail(tail.segment, end, tail.schema, tail.schema_position, tail.schema_seal)
        return Placed(stream, partition, tail.segment, seal, offset, rows.count, position, len(rows.payload))

    def write(self) -> None:
        """Write the frames."""
        for (stream, segment), (start, parts) in self._parts.items():
            segments = self._segments
            file = segments.file(segments.path(stream, segment)) if start else segments._create(stream, segment)
            self._written.append((file, start))
            write_all(file, start, b"".join(parts))

    def sync(self) -> None:
        """Make the frames durable."""
        for file, _ in self._written:
            sync_file(file)

    def keep(self) -> None:
        """Have later groups follow this one."""
        self._segments._tails.update(self._tails)

    def undo(self) -> None:
        """Cut off what was written. It need not be durable: nothing names these bytes."""
        for file, start in self._written:
            file.truncate(start)

    def _add_schema(
        self, stream: int, tail: Tail, version: int, schema: pa.Schema, parts: list[bytes | pa.Buffer]
    ) -> tuple[Tail, int]:
        """Add the frame of a schema; the tail that rests on it, and the position after it."""
        payload = encode_schema(schema)
        header = Header(Kind.SCHEMA, len(payload), crc32c(payload), 0, 0, version, stream)
        packed, seal = pack_header(header)
        parts += [packed, payload, padding(len(payload))]
        return Tail(tail.segment, tail.end, schema, tail.end, seal), tail.end + header.size
