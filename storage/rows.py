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
from headwater.storage.frames import ALIGNMENT, HEADER_BYTES, BadFrame, Header, Kind, crc32c, read_payload

Codec = Literal["lz4", "zstd"]
COLUMNS_BYTES = 1 << 18  # a batch of fewer bytes is one message: its columns are not worth places of their own
ALL = -1  # columns as the bits of a number: all of them

_COUNT = struct.Struct("<II")
_COLUMN = struct.Struct("<IIQQ")


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch ready to be written: the expensive part of a commit, done before its turn comes."""

    schema: pa.Schema
    count: int
    kind: Kind
    payload: tuple[bytes | pa.Buffer, ...]  # one behind the other
    size: int  # of the payload in bytes
    crc: int


def encode_rows(batch: pa.RecordBatch, codec: Codec | None = None) -> Rows:
    """Serialize a batch. Of a slice, only the rows in it are written. Raise `DataError` for dictionary columns."""
    _check_types(batch.schema)
    if batch.num_columns < 2 or _is_small(batch):
        message = _message(batch, codec)
        return Rows(batch.schema, batch.num_rows, Kind.ROWS, (message,), message.size, crc32c(message))
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
    return Rows(batch.schema, batch.num_rows, Kind.COLUMNS, tuple(payload), position, crc32c(head))


def read_rows(
    file: File, position: int, header: Header, schema: pa.Schema, columns: Sequence[str] | None, verified: int
) -> tuple[pa.RecordBatch, int]:
    """The batch in the frame at `position`, whose columns are slices of the file, and what is verified after that.

    `verified` has a bit for each column whose bytes need no check any more. Raise `BadFrame` for bytes that are not
    those that `header` was made for.
    """
    wanted = range(len(schema)) if columns is None else [schema.get_field_index(name) for name in columns]
    if header.kind is Kind.ROWS:
        payload = read_payload(file, position, header, check=verified != ALL)
        batch = pa.ipc.read_record_batch(payload, schema)
        return batch if columns is None else batch.select(wanted), ALL
    places = _directory(file, position, header, len(schema))
    arrays, fields = [], []
    for number in wanted or [0]:  # also of no columns there are so many rows
        field = schema.field(number)
        crc, _, start, size = places[number]
        message = file.view(position + HEADER_BYTES + start, size)
        if not verified >> number & 1:
            if len(message) != size or crc32c(message) != crc:
                raise BadFrame(f'the checksum of column "{field.name}" does not match')
            verified |= 1 << number
        arrays.append(pa.ipc.read_record_batch(message, pa.schema([field])).column(0))
        fields.append(field)
    batch = pa.RecordBatch.from_arrays(arrays, schema=pa.schema(fields, schema.metadata))
    return batch if wanted else batch.select([]), verified


def _directory(file: File, position: int, header: Header, columns: int) -> list[tuple[int, int, int, int]]:
    """Checksum, zero, position and size of each column."""
    size = _COUNT.size + columns * _COLUMN.size
    directory = file.read(position + HEADER_BYTES, size)
    if len(directory) != size:
        raise BadFrame("the file ends inside the payload of a frame")
    if crc32c(directory) != header.payload_crc:
        raise BadFrame("the checksum of the directory of a frame's columns does not match")
    return list(_COLUMN.iter_unpack(directory[_COUNT.size :]))


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
