"""Arrow record batches as payloads of frames, and back.

A batch is kept without its schema, which is kept once for all batches that have it. There are two forms. A small batch
is one Arrow IPC message. Of a large one, each column is a message of its own, with a checksum of its own, so that a
reader of a few columns touches, and verifies, only these:

    number of columns [u32], zeros [u32]; for each column: CRC [u32], zeros [u32], position in the payload, size [u64];
    the messages, each at a multiple of 64

Arrow trusts what it is given: every byte is verified before Arrow sees it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import pyarrow as pa

from headwater.errors import DataError
from headwater.storage.files import File
from headwater.storage.frames import (
    ALIGNMENT,
    HEADER_BYTES,
    BadFrame,
    Header,
    Kind,
    crc32c,
    read_payload,
    unpack_header,
)

Codec = Literal["lz4", "zstd"]
COLUMNS_BYTES = 1 << 18  # a batch of fewer bytes is one message: its columns are not worth places of their own
ALL = -1  # columns as the bits of a number: all of them

_COUNT = struct.Struct("<II")
_COLUMN = struct.Struct("<IIQQ")
_START_BYTES = 1024  # read at once: the header and, of most tables, the directory of the columns


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch ready to be written: the expensive part of a commit, done before its turn comes."""

    schema: pa.Schema
    count: int
    kind: Kind
    payload: tuple[bytes | pa.Buffer, ...]  # one behind the other
    size: int  # of the payload in bytes
    crc: int
    leaves: bytes = b""  # of a ledger: the hash of each row


def encode_rows(batch: pa.RecordBatch, codec: Codec | None = None, leaves: bytes = b"") -> Rows:
    """Serialize a batch. Of a slice, only the rows in it are written. Raise `DataError` for dictionary columns."""
    _check_types(batch.schema)
    if batch.num_columns < 2 or _is_small(batch):
        message = _message(batch, codec)
        return Rows(batch.schema, batch.num_rows, Kind.ROWS, (message,), message.size, crc32c(message), leaves)
    messages = [
        _message(pa.RecordBatch.from_arrays([column], schema=pa.schema([field])), codec)
        for field, column in zip(batch.schema, batch.columns, strict=True)
    ]
    position = _aligned(_COUNT.size + len(messages) * _COLUMN.size)
    directory = [_COUNT.pack(len(messages), 0)]
    payload: list[bytes | pa.Buffer] = []
    for message in messages:
        directory.append(_COLUMN.pack(crc32c(message), 0, position, message.size))
        payload += [message, bytes(-message.size % ALIGNMENT)]
        position += _aligned(message.size)
    head = b"".join(directory)
    payload[:0] = [head, bytes(-len(head) % ALIGNMENT)]
    return Rows(batch.schema, batch.num_rows, Kind.COLUMNS, tuple(payload), position, crc32c(head), leaves)


class Projection:
    """Some columns of a schema: what a reader of them wants of each batch."""

    def __init__(self, schema: pa.Schema, columns: Sequence[str] | None) -> None:
        """With no `columns`, all of them. Those that a schema does not have, since it is older, are left out."""
        places = {name: number for number, name in enumerate(schema.names)}
        known = [places[name] for name in columns or () if name in places]
        self.numbers = range(len(schema)) if columns is None else known
        self.is_all = columns is None
        self.stored = schema
        # Also of no columns there are so many rows: then the first one is read, for their number.
        self.read = [(number, pa.schema([schema.field(number)])) for number in self.numbers or [0]]
        self.schema = pa.schema([schema.field(number) for number, _ in self.read], schema.metadata)


class Projections:
    """The same columns of all schemas of a log, by number."""

    def __init__(self, schemas: Sequence[pa.Schema], columns: Sequence[str] | None) -> None:
        self._schemas = schemas
        self._columns = columns
        self._known: dict[int, Projection] = {}

    def __getitem__(self, schema: int) -> Projection:
        """Raise `BadFrame` for a number that no schema has."""
        known = self._known.get(schema)
        if known is None:
            if schema >= len(self._schemas):
                raise BadFrame(f"the schema {schema} of a frame is not known")
            known = self._known[schema] = Projection(self._schemas[schema], self._columns)
        return known


@dataclass(frozen=True, slots=True)
class Layout:
    """What a frame of rows says about itself, verified: where its columns are, if they lie apart."""

    header: Header
    columns: tuple[tuple[int, int, int, int], ...]  # of each: checksum, zero, position in the payload, size


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of an append that was read: its layout, and which of its columns are verified, as bits."""

    layout: Layout
    verified: int = 0


def read_layout(file: File, position: int, seal: int) -> Layout:
    """The layout of the frame of rows at `position`. Raise `BadFrame` if it is not the one that has the seal."""
    start = file.read(position, _START_BYTES)
    header, found = unpack_header(start[:HEADER_BYTES])
    if found != seal or header.kind not in (Kind.ROWS, Kind.COLUMNS):
        raise BadFrame("a frame is here that was not committed here")
    if header.kind is Kind.ROWS:
        return Layout(header, ())
    count, _ = _COUNT.unpack(_exactly(start[HEADER_BYTES : HEADER_BYTES + _COUNT.size], _COUNT.size))
    size = _COUNT.size + count * _COLUMN.size
    if size > header.payload_size:
        raise BadFrame("the directory of a frame's columns is damaged")
    directory = start[HEADER_BYTES : HEADER_BYTES + size]
    if len(directory) < size:
        directory = _exactly(file.read(position + HEADER_BYTES, size), size)
    if crc32c(directory) != header.payload_crc:
        raise BadFrame("the checksum of the directory of a frame's columns does not match")
    return Layout(header, tuple(_COLUMN.iter_unpack(directory[_COUNT.size :])))


def read_rows(
    file: File, position: int, layout: Layout, projection: Projection, verified: int
) -> tuple[pa.RecordBatch, int]:
    """The rows of the frame at `position`, whose columns are slices of the file, and what is verified after that.

    `verified` has a bit for each column whose bytes need no check any more. Raise `BadFrame` for bytes that are not
    those that were written.
    """
    if not layout.columns:
        payload = read_payload(file, position, layout.header, check=verified != ALL)
        batch = pa.ipc.read_record_batch(payload, projection.stored)
        return batch if projection.is_all else batch.select(projection.numbers), ALL
    arrays = []
    for number, schema in projection.read:
        crc, _, start, size = layout.columns[number]
        message = file.view(position + HEADER_BYTES + start, size)
        if not verified >> number & 1:
            if len(message) != size or crc32c(message) != crc:
                raise BadFrame(f'the checksum of column "{schema.names[0]}" does not match')
            verified |= 1 << number
        arrays.append(pa.ipc.read_record_batch(message, schema).column(0))
    batch = pa.RecordBatch.from_arrays(arrays, schema=projection.schema)
    return batch if projection.numbers else batch.select([]), verified


def verify_rows(file: File, position: int, layout: Layout) -> None:
    """Raise `BadFrame` unless all bytes of the rows in a frame are those that were written."""
    if not layout.columns:
        read_payload(file, position, layout.header)
    for number, (crc, _, start, size) in enumerate(layout.columns):
        message = file.view(position + HEADER_BYTES + start, size)
        if len(message) != size or crc32c(message) != crc:
            raise BadFrame(f"the checksum of column {number} does not match")


def check_padding(file: File, position: int, layout: Layout) -> None:
    """Raise `BadFrame` unless all bytes between the parts of a frame, which no checksum covers, are zeros."""
    start, columns = position + HEADER_BYTES, layout.columns
    head = _COUNT.size + len(columns) * _COLUMN.size if columns else layout.header.payload_size
    ends = [head, *(place + size for _, _, place, size in columns)]
    begins = [*(place for _, _, place, _ in columns), layout.header.size - HEADER_BYTES]
    for end, begin in zip(ends, begins, strict=True):
        if file.read(start + end, begin - end).strip(b"\0"):
            raise BadFrame("the bytes between the parts of a frame are not zeros")


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise BadFrame("the file ends inside the payload of a frame")
    return data


def _message(batch: pa.RecordBatch, codec: Codec | None) -> pa.Buffer:
    """The Arrow IPC message of a batch, without its schema."""
    if codec is None:
        return batch.serialize()
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema, options=pa.ipc.IpcWriteOptions(compression=codec)) as writer:
        writer.write_batch(batch)
    messages = pa.ipc.MessageReader.open_stream(sink.getvalue())
    messages.read_next_message()  # the schema
    return messages.read_next_message().serialize(alignment=ALIGNMENT)


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


@lru_cache(maxsize=256)
def _check_types(schema: pa.Schema) -> None:
    """Raise `DataError` if columns cannot be stored. For one row, looking at all columns costs more than writing it."""
    for field in schema:
        if _has_dictionary(field.type):
            raise DataError(
                f'column "{field.name}" is dictionary encoded ({field.type}): cast it to its value type first'
            )


def _is_small(batch: pa.RecordBatch) -> bool:
    """Whether a batch has fewer than `COLUMNS_BYTES`.

    The size of its buffers is known at once; what a slice has of them takes a look at each column.
    """
    return bool(batch.get_total_buffer_size() < COLUMNS_BYTES or batch.nbytes < COLUMNS_BYTES)


def _has_dictionary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _has_dictionary(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return True
    return any(_has_dictionary(kind.field(number).type) for number in range(kind.num_fields))
