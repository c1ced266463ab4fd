"""The commit log: the file that says what is true.

One frame per commit, each resting on the frame before it, so that the file is one chain. A record names every frame of
rows that the commit consists of, by place and seal; bytes that no record names do not exist. In: `Record`s, in groups
that are written at once; out: the same records, in order, when a log is opened. It knows nothing of what is in
segments, and nothing of threads.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.errors import CorruptLog
from headwater.storage.files import File, sync_file, write_all
from headwater.storage.frames import (
    ALIGNMENT,
    HEADER_BYTES,
    BadFrame,
    Header,
    Kind,
    check_payload,
    crc32c,
    frame_size,
    pack_header,
    padding,
    unpack_header,
)

_HEAD = struct.Struct("<qII")  # time, number of extents, number of images
_EXTENT = struct.Struct("<IIIIQQQQ")
_IMAGE = struct.Struct("<IIQ")


@dataclass(frozen=True, slots=True)
class Placed:
    """An extent, and the frame that holds it."""

    stream: int
    partition: int
    segment: int
    seal: int
    offset: int
    count: int
    position: int
    payload_size: int

    @property
    def end(self) -> int:
        """Position after the frame."""
        return self.position + frame_size(self.payload_size)


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """An image file, by number, and the frame in it that lists its parts."""

    number: int
    seal: int
    position: int


@dataclass(frozen=True, slots=True)
class Record:
    """All that the log knows about a commit. `note` is JSON, or empty."""

    version: int
    time_us: int
    extents: tuple[Placed, ...]
    image: PlacedImage | None
    note: bytes

    def pack(self) -> bytes:
        """The payload of the commit's frame; the version is in the header."""
        return b"".join(
            (
                _HEAD.pack(self.time_us, len(self.extents), 0 if self.image is None else 1),
                *(
                    _EXTENT.pack(
                        extent.stream, extent.partition, extent.segment, extent.seal,
                        extent.offset, extent.count, extent.position, extent.payload_size,
                    )
                    for extent in self.extents
                ),
                b"" if self.image is None else _IMAGE.pack(self.image.number, self.image.seal, self.image.position),
                self.note,
            )
        )  # fmt: skip

    @classmethod
    def unpack(cls, version: int, payload: bytes) -> Record:
        """The inverse of `pack`."""
        time_us, extent_count, image_count = _HEAD.unpack_from(payload)
        extents_end = _HEAD.size + extent_count * _EXTENT.size
        extents = tuple(Placed(*fields) for fields in _EXTENT.iter_unpack(payload[_HEAD.size : extents_end]))
        note_start = extents_end + image_count * _IMAGE.size
        image = PlacedImage(*_IMAGE.unpack_from(payload, extents_end)) if image_count else None
        return cls(version, time_us, extents, image, payload[note_start:])


class CommitLog:
    """The commit log of an open database. `read` it to the end once, then write."""

    def __init__(self, file: File, path: str, origin: int) -> None:
        self._file = file
        self._path = path
        self._end = 0  # where the next record goes: everything before is durable
        self._seal = origin  # of the last frame; the first one rests on the database's identity
        self._staged: tuple[int, int] | None = None
        self._marked = True

    @property
    def end(self) -> int:
        """Bytes of the file that are true."""
        return self._end

    def read(self) -> Iterator[tuple[int, Record]]:
        """All commits with the positions of their frames. Then the torn end of a write that a crash cut short is cut.

        Damage that cannot be such an end raises `CorruptLog`.
        """
        content = memoryview(self._file.view(0, self._file.size()))
        version = 0
        while self._end < len(content):
            try:
                header, seal = unpack_header(bytes(content[self._end : self._end + HEADER_BYTES]))
                payload_start = self._end + HEADER_BYTES
                payload = bytes(content[payload_start : payload_start + header.payload_size])
                check_payload(header, payload)
                if self._end == 0 and header.previous != self._seal:
                    raise CorruptLog(f'"{self._path}" belongs to another database than the FORMAT file beside it')
                if header.previous != self._seal or header.version != version + (header.kind is Kind.COMMIT):
                    raise BadFrame("a commit does not follow the one before it")
            except BadFrame as reason:
                self._refuse_unless_torn(content, version, reason)
                break
            if header.kind is Kind.COMMIT:
                version = header.version
                yield self._end, Record.unpack(version, payload)
            self._marked = header.kind is Kind.END
            self._end += header.size
            self._seal = seal
        if self._file.size() > self._end:
            self._file.truncate(self._end)
        # Also when nothing was cut: a process that was killed may have written its last record, but not synced it.
        self._file.sync()

    def write(self, records: Sequence[Record]) -> list[int]:
        """Write a group of records behind the durable ones and return their positions; `sync` makes them true."""
        position, seal = self._end, self._seal
        positions = []
        parts = []
        for record in records:
            payload = record.pack()
            header = Header(Kind.COMMIT, len(payload), crc32c(payload), seal, self._end, record.version)
            packed, seal = pack_header(header)
            parts += [packed, payload, padding(len(payload))]
            positions.append(position)
            position += header.size
        self._staged = position, seal
        write_all(self._file, self._end, b"".join(parts))
        return positions

    def sync(self) -> None:
        """Make what was written durable, and by that true."""
        assert self._staged is not None, "nothing was written"
        sync_file(self._file)
        self._end, self._seal = self._staged
        self._staged = None
        self._marked = False

    def undo(self) -> None:
        """Take back what was written and not synced, durably: segments may drop the rows only after this."""
        if self._staged is not None:
            self._file.truncate(self._end)
            sync_file(self._file)
            self._staged = None

    def forget(self) -> None:
        """Cut what was written and not synced, after a failed sync, if that still works.

        The system may hold bytes for clean that the disk does not have. Nobody should find them by reopening the log.
        """
        if self._staged is not None:
            self._file.truncate(self._end)

    def mark_end(self, version: int) -> None:
        """Note that the log was closed in order. From then on a damaged last record cannot pass for a torn one."""
        if self._marked:
            return
        packed, seal = pack_header(Header(Kind.END, 0, crc32c(b""), self._seal, self._end, version))
        write_all(self._file, self._end, packed)
        self._end, self._seal, self._marked = self._end + HEADER_BYTES, seal, True

    def note(self, position: int) -> dict[str, Any]:
        """The note of the commit at `position`."""
        try:
            header, _ = unpack_header(self._file.read(position, HEADER_BYTES))
            payload = self._file.read(position + HEADER_BYTES, header.payload_size)
            check_payload(header, payload)
        except BadFrame as reason:
            raise CorruptLog(f'"{self._path}" is damaged at byte {position}: {reason}') from None
        return parse_note(Record.unpack(header.version, payload).note)

    def _refuse_unless_torn(self, content: memoryview, version: int, reason: BadFrame) -> None:
        """Raise unless the bad frame is in the last group written, whose sync need not have ended.

        A later frame says where its own group began. All before that was durable once: then this is no torn write.
        """
        for position in range(self._end + ALIGNMENT, len(content), ALIGNMENT):
            try:
                header, _ = unpack_header(bytes(content[position : position + HEADER_BYTES]))
            except BadFrame:
                continue
            if header.base > self._end:
                raise CorruptLog(
                    f'"{self._path}" is damaged at byte {self._end}, after commit {version}: {reason}; later commits '
                    "are intact, so this is not a write that a crash cut short, and nothing was changed; restore the "
                    "file from a copy"
                ) from None


def parse_note(note: bytes) -> dict[str, Any]:
    """A note as it was given to `commit`."""
    parsed: dict[str, Any] = json.loads(note) if note else {}
    return parsed
