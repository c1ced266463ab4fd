"""Frames: the one unit in which bytes are written to segments, to the commit log and to images.

A frame is a header of 64 bytes and a payload, padded with zeros to a multiple of 64, so that payloads read through a
memory map are aligned for Arrow. The header is covered by a CRC32C of its own, and holds the CRC32C of the payload. So
a frame's *seal*, the CRC of its header, stands for every byte of it; whoever knows the seal can tell a frame from any
other, however well formed. A frame names the seal of the frame it rests on: a commit that of the commit before it,
rows that of their schema. `docs/log-format.md` has the layout.

In: bytes and numbers; out: bytes and numbers. What a payload means is the business of other modules.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import Enum

import google_crc32c
import pyarrow as pa

from headwater.storage.files import File

ALIGNMENT = 64
HEADER_BYTES = 64
_MAGIC = b"HWF"
_PREFIX = struct.Struct("<4sI")  # magic and kind, seal
_FIELDS = struct.Struct("<IIQIIQQQQ")  # everything that the seal covers
_PAYLOAD_LIMIT = 1 << 40


class Kind(Enum):
    """What a frame's payload is; the value is the fourth byte of the frame."""

    DATA = b"D"
    SCHEMA = b"S"
    COMMIT = b"C"
    IMAGE = b"I"
    END = b"E"


@dataclass(frozen=True, slots=True)
class Header:
    """What a frame says about itself. Fields that a kind of frame has no use for are 0."""

    kind: Kind
    payload_size: int
    payload_crc: int
    previous: int  # seal of the frame that this one rests on
    base: int  # position in the same file of that frame (rows), or of the group's first commit (commits)
    version: int  # the commit that this frame belongs to
    stream: int = 0
    partition: int = 0
    offset: int = 0  # of the first row in its partition
    count: int = 0  # of rows

    @property
    def size(self) -> int:
        """Bytes that the whole frame takes in the file."""
        return frame_size(self.payload_size)


class BadFrame(Exception):
    """Bytes that are not the frame they should be; the message says in which way."""


def frame_size(payload_size: int) -> int:
    """Bytes that a frame takes in a file: header, payload and padding."""
    return HEADER_BYTES + -(-payload_size // ALIGNMENT) * ALIGNMENT


def crc32c(data: bytes | pa.Buffer) -> int:
    """CRC-32C (Castagnoli) of some bytes."""
    return int(google_crc32c.value(data))


def pack_header(header: Header) -> tuple[bytes, int]:
    """The 64 bytes of a header, and its seal."""
    fields = _FIELDS.pack(
        header.previous, header.payload_crc, header.payload_size, header.stream, header.partition,
        header.offset, header.count, header.version, header.base,
    )  # fmt: skip
    seal = crc32c(header.kind.value + fields)
    return _PREFIX.pack(_MAGIC + header.kind.value, seal) + fields, seal


def padding(payload_size: int) -> bytes:
    """The zeros that follow a payload of this size."""
    return bytes(-payload_size % ALIGNMENT)


def unpack_header(data: bytes) -> tuple[Header, int]:
    """The header in 64 bytes, and its seal. Raise `BadFrame` if they are not a header that was packed."""
    if len(data) < HEADER_BYTES:
        raise BadFrame("the file ends inside the header of a frame")
    magic, seal = _PREFIX.unpack_from(data)
    if magic[:3] != _MAGIC:
        raise BadFrame("no frame begins here")
    if crc32c(magic[3:] + data[_PREFIX.size : HEADER_BYTES]) != seal:
        raise BadFrame("the checksum of a frame's header does not match")
    previous, payload_crc, payload_size, stream, partition, offset, count, version, base = _FIELDS.unpack_from(
        data, _PREFIX.size
    )
    try:
        kind = Kind(magic[3:])
    except ValueError:
        raise BadFrame(f"a frame has the unknown kind {magic[3:]!r}") from None
    if payload_size > _PAYLOAD_LIMIT:
        raise BadFrame(f"a frame claims a payload of {payload_size} bytes")
    header = Header(kind, payload_size, payload_crc, previous, base, version, stream, partition, offset, count)
    return header, seal


def check_payload(header: Header, payload: bytes | pa.Buffer) -> None:
    """Raise `BadFrame` unless `payload` is, to the byte, what `header` was packed for."""
    if len(payload) != header.payload_size:
        raise BadFrame("the file ends inside the payload of a frame")
    if crc32c(payload) != header.payload_crc:
        raise BadFrame("the checksum of a frame's payload does not match")


def read_header(file: File, position: int, kind: Kind, seal: int) -> Header:
    """The header at `position`, checked to be the one of the given kind that has the given seal."""
    header, found = unpack_header(file.read(position, HEADER_BYTES))
    if found != seal or header.kind is not kind:
        raise BadFrame("a frame is here that was not committed here")
    return header


def read_payload(file: File, position: int, header: Header, *, check: bool = True) -> pa.Buffer:
    """The payload of the frame at `position`, without a copy where possible; its checksum is optional."""
    payload = file.view(position + HEADER_BYTES, header.payload_size)
    if check:
        check_payload(header, payload)
    return payload
