"""Frames: the one unit in which bytes are written to segments, to the commit log and to images.

A frame is a header of 64 bytes and a payload, padded with zeros to a multiple of 64, so that payloads read through a
memory map are aligned for Arrow. The header is covered by a CRC32C of its own, and holds the CRC32C of the payload. So
a frame's *seal*, the CRC of its header, stands for every byte of it; whoever knows the seal can tell a frame from any
other, however well formed. A frame names the seal of the frame before it, so that a file is one chain.
`docs/log-format.md` has the layout.

In: bytes and numbers; out: bytes and numbers. What a payload means is the business of other modules.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

import google_crc32c
import pyarrow as pa

from headwater.storage.files import File, write_parts

ALIGNMENT = 64
HEADER_BYTES = 64
_MAGIC = b"HWF"
_PREFIX = struct.Struct("<4sI")  # magic and kind, seal
_FIELDS = struct.Struct("<IIQIIQIIQQ")  # everything that the seal covers
_PAYLOAD_LIMIT = 1 << 40
_SHORT = "the file ends inside the payload of a frame"


class Kind(Enum):
    """What a frame's payload is; the value is the fourth byte of the frame."""

    ROWS = b"D"  # a batch of rows
    COLUMNS = b"W"  # a batch of rows, each column apart; the payload's CRC covers the directory of the columns
    COMMIT = b"C"
    BASE = b"B"  # begins a commit file: all that the files before it add up to
    ROLLED = b"R"  # ends a commit file: the next one is durable
    END = b"E"  # the log was closed in order
    IMAGE = b"I"
    INDEX = b"X"


@dataclass(frozen=True, slots=True)
class Header:
    """What a frame says about itself. Fields that a kind of frame has no use for are 0."""

    kind: Kind
    payload_size: int
    payload_crc: int
    previous: int = 0  # seal of the frame before this one, once the frame was written
    base: int = 0  # in a commit file: position where the group of commits begins that this frame belongs to
    version: int = 0  # the commit that this frame belongs to
    stream: int = 0
    partition: int = 0
    offset: int = 0  # of the first row in its partition
    count: int = 0  # of rows
    schema: int = 0  # number of the rows' schema

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


def pack_header(header: Header, previous: int) -> tuple[bytes, int]:
    """The 64 bytes of a header, of a frame behind the one with the seal `previous`, and its own seal."""
    fields = _FIELDS.pack(
        previous, header.payload_crc, header.payload_size, header.stream, header.partition,
        header.offset, header.count, header.schema, header.version, header.base,
    )  # fmt: skip
    seal = crc32c(header.kind.value + fields)
    return _PREFIX.pack(_MAGIC + header.kind.value, seal) + fields, seal


def unpack_header(data: bytes) -> tuple[Header, int]:
    """The header in 64 bytes, and its seal. Raise `BadFrame` if they are not a header that was packed."""
    if len(data) < HEADER_BYTES:
        raise BadFrame("the file ends inside the header of a frame")
    magic, seal = _PREFIX.unpack_from(data)
    if magic[:3] != _MAGIC:
        raise BadFrame("no frame begins here")
    if crc32c(magic[3:] + data[_PREFIX.size : HEADER_BYTES]) != seal:
        raise BadFrame("the checksum of a frame's header does not match")
    previous, payload_crc, payload_size, stream, partition, offset, count, schema, version, base = _FIELDS.unpack_from(
        data, _PREFIX.size
    )
    try:
        kind = Kind(magic[3:])
    except ValueError:
        raise BadFrame(f"a frame has the unknown kind {magic[3:]!r}") from None
    if payload_size > _PAYLOAD_LIMIT:
        raise BadFrame(f"a frame claims a payload of {payload_size} bytes")
    header = Header(kind, payload_size, payload_crc, previous, base, version, stream, partition, offset, count, schema)
    return header, seal


def check_payload(header: Header, payload: bytes | pa.Buffer) -> None:
    """Raise `BadFrame` unless `payload` is, to the byte, what `header` was packed for."""
    if len(payload) != header.payload_size:
        raise BadFrame(_SHORT)
    if crc32c(payload) != header.payload_crc:
        raise BadFrame("the checksum of a frame's payload does not match")


def read_header(file: File, position: int, seal: int, *kinds: Kind) -> Header:
    """The header at `position`, checked to be the one, of one of these kinds, that has the given seal."""
    header, found = unpack_header(file.read(position, HEADER_BYTES))
    if found != seal or header.kind not in kinds:
        raise BadFrame("a frame is here that was not committed here")
    return header


def read_payload(file: File, position: int, header: Header, *, check: bool = True) -> pa.Buffer:
    """The payload of the frame at `position`, without a copy where possible; its checksum is optional."""
    payload = file.view(position + HEADER_BYTES, header.payload_size)
    if check:
        check_payload(header, payload)
    elif len(payload) != header.payload_size:
        raise BadFrame(_SHORT)
    return payload


class FrameChain:
    """Frames gathered in memory, each naming the one before it, to be written behind what a file holds."""

    def __init__(self, start: int, seal: int) -> None:
        self.start = start
        self.end = start  # where the next frame goes
        self.seal = seal  # of the last frame
        self.written = start  # up to here
        self._parts: list[bytes | pa.Buffer] = []  # from there on

    def add(self, header: Header, *payload: bytes | pa.Buffer) -> tuple[int, int]:
        """Add a frame; its position and its seal."""
        position = self.end
        packed, self.seal = pack_header(header, self.seal)
        self._parts += [packed, *payload, bytes(-header.payload_size % ALIGNMENT)]
        self.end += header.size
        return position, self.seal

    def write(self, file: File) -> None:
        """Write all frames that are not written yet."""
        write_parts(file, self.written, self._parts)
        self.written, self._parts = self.end, []


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame of a file that was read as a whole. Its header is verified; `damage` says what is wrong with the rest."""

    position: int
    header: Header
    seal: int
    payload: pa.Buffer
    damage: BadFrame | None


def walk_frames(content: pa.Buffer, start: int, seal: int) -> Iterator[Frame]:
    """The frames from `start` on, of which the first rests on `seal`. Raise `BadFrame` at what is not the next one."""
    position = start
    while position < len(content):
        header, found = unpack_header(_slice(content, position, HEADER_BYTES).to_pybytes())
        if header.previous != seal:
            raise BadFrame("a frame does not follow the one before it")
        payload = _slice(content, position + HEADER_BYTES, header.payload_size)
        damage: BadFrame | None = None
        try:
            check_payload(header, payload)
        except BadFrame as reason:
            damage = reason
        yield Frame(position, header, found, payload, damage)
        position, seal = position + header.size, found


def later_frames(content: pa.Buffer, position: int) -> Iterator[tuple[int, Header]]:
    """Positions and headers of whatever frames begin behind `position`, where one is bad; payloads are not checked."""
    for start in range(position + ALIGNMENT, len(content), ALIGNMENT):
        try:
            header, _ = unpack_header(_slice(content, start, HEADER_BYTES).to_pybytes())
        except BadFrame:
            continue
        yield start, header


def _slice(content: pa.Buffer, start: int, size: int) -> pa.Buffer:
    return content.slice(start, max(0, min(size, len(content) - start))) if start <= len(content) else pa.py_buffer(b"")
