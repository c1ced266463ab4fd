"""Arrow record batches as payloads of frames, and back.

Rows are kept as the Arrow IPC message of their batch, without its schema; a schema is kept as a message of its own, and
shared by the batches that have it. Arrow trusts what it is given: bytes must have been verified before they come here.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from headwater.errors import DataError
from headwater.storage.frames import crc32c


@dataclass(frozen=True, slots=True)
class Rows:
    """A batch ready to be written: the expensive part of a commit, done before its turn comes."""

    schema: pa.Schema
    count: int
    payload: pa.Buffer
    crc: int


def encode_rows(batch: pa.RecordBatch) -> Rows:
    """Serialize a batch. Of a slice, only the rows in it are written. Raise `DataError` for dictionary columns."""
    for field in batch.schema:
        if _has_dictionary(field.type):
            raise DataError(
                f'column "{field.name}" is dictionary encoded ({field.type}): cast it to its value type first'
            )
    payload = batch.serialize()
    return Rows(batch.schema, batch.num_rows, payload, crc32c(payload))


def decode_rows(payload: pa.Buffer, schema: pa.Schema) -> pa.RecordBatch:
    """The batch in a verified payload, whose columns are slices of it."""
    return pa.ipc.read_record_batch(payload, schema)


def encode_schema(schema: pa.Schema) -> pa.Buffer:
    """Serialize a schema, with its metadata."""
    return schema.serialize()


def decode_schema(payload: pa.Buffer) -> pa.Schema:
    """The schema in a verified payload."""
    return pa.ipc.read_schema(payload)


def _has_dictionary(kind: pa.DataType) -> bool:
    if isinstance(kind, pa.BaseExtensionType):
        return _has_dictionary(kind.storage_type)
    if pa.types.is_dictionary(kind):
        return True
    return any(_has_dictionary(kind.field(number).type) for number in range(kind.num_fields))
