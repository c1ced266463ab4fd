"""Commit files: what is true.

The commit log is a chain of files, `commits/<first version>.log`. A file begins with a base, the sum of all commits
before it, so that the newest file alone says what there is now. Then it has, commit by commit, rows that are few enough
to be kept here, and the commit's record. A record names every frame of rows that the commit consists of, by place and
seal; bytes that no record names do not exist.

In: records and rows, in groups that are written at once; out: the same again. This module knows nothing of what is in
segments, and nothing of threads.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.errors import CorruptLog
from headwater.storage.files import File, sync_file
from headwater.storage.frames import (
    HEADER_BYTES,
    BadFrame,
    FrameChain,
    Header,
    Kind,
    crc32c,
    frame_size,
    later_frames,
    read_payload,
    unpack_header,
    walk_frames,
)
from headwater.storage.rows import Rows

INLINE = 0xFFFFFFFF  # as the number of a segment: the rows are in the commit file itself

_HEAD = struct.Struct("<qIIQ")  # time, number of extents, size of the effects, zeros
_EXTENT = struct.Struct("<IIIIQQQQ")


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
class Record:
    """All that the log knows about a commit.

    `effects` is what else it changes than rows, see `state.py`; `note` is the caller's, JSON or empty.
    """

    version: int
    time_us: int
    extents: tuple[Placed, ...]
    effects: Mapping[str, Any]
    note: bytes

    def pack(self) -> bytes:
        """The payload of the commit's frame; the version is in the header."""
        effects = pack_json(self.effects)
        return b"".join(
            (
                _HEAD.pack(self.time_us, len(self.extents), len(effects), 0),
                *(
                    _EXTENT.pack(
                        extent.stream, extent.partition, extent.segment, extent.seal,
                        extent.offset, extent.count, extent.position, extent.payload_size,
                    )
                    for extent in self.extents
                ),
                effects,
                self.note,
            )
        )  # fmt: skip

    @classmethod
    def unpack(cls, version: int, payload: bytes) -> Record:
        """The inverse of `pack`. Raise `BadFrame` for a payload that is no record."""
        try:
            time_us, extent_count, effects_size, _ = _HEAD.unpack_from(payload)
            effects_start = _HEAD.size + extent_count * _EXTENT.size
            note_start = effects_start + effects_size
            extents = tuple(Placed(*fields) for fields in _EXTENT.iter_unpack(payload[_HEAD.size : effects_start]))
            effects = parse_json(payload[effects_start:note_start])
        except (struct.error, ValueError, RecursionError):
            raise BadFrame(f"the record of commit {version} is not one that Headwater wrote") from None
        return cls(version, time_us, extents, effects, payload[note_start:])


class CommitGroup:
    """A group of commits on its way into a commit file."""

    def __init__(self, start: int, seal: int) -> None:
        self.chain = FrameChain(start, seal)

    def add_rows(self, stream: int, partition: int, offset: int, version: int, schema: int, rows: Rows) -> Placed:
        """Add rows that are kept in the commit file; the record of their commit follows."""
        start = self.chain.start
        header = rows_header(stream, partition, offset, version, schema, rows, base=start)
        position, seal = self.chain.add(header, *rows.payload)
        return Placed(stream, partition, INLINE, seal, offset, rows.count, position, rows.size)

    def add_commit(self, record: Record) -> int:
        """Add a record; its position."""
        payload = record.pack()
        header = Header(Kind.COMMIT, len(payload), crc32c(payload), base=self.chain.start, version=record.version)
        return self.chain.add(header, payload)[0]


@dataclass(frozen=True, slots=True)
class _Found:
    """A commit, or a mark, that was found in a file: its frame, and where its group begins."""

    position: int
    end: int
    seal: int
    base: int
    kind: Kind
    record: Record | None


class CommitFile:
    """One file of the commit log, which is read from its base to its end, and then may be written to."""

    def __init__(self, file: File, path: str, first: int) -> None:
        self.file = file
        self.path = path
        self.first = first  # the first version in it
        self.base: Mapping[str, Any] = {}
        self.previous = 0  # seal of the last frame of the file before
        self.base_bytes = 0
        self.end = 0  # where the next frame goes: everything before is durable
        self.seal = 0  # of the last frame
        self.version = first - 1  # of the last commit
        self.is_rolled = False
        self._marked = True
        self._staged: tuple[int, int] | None = None

    @classmethod
    def create(cls, file: File, path: str, first: int, seal: int, base: Mapping[str, Any]) -> CommitFile:
        """Begin a file with its base, and make that durable. `seal` is that of the last frame of the file before."""
        commits = cls(file, path, first)
        payload = pack_json(base)
        chain = FrameChain(0, seal)
        chain.add(Header(Kind.BASE, len(payload), crc32c(payload), version=first - 1), payload)
        if file.size():
            file.truncate(0)
        chain.write(file)
        sync_file(file)
        commits.base, commits.previous, commits.base_bytes = base, seal, chain.end
        commits.end, commits.seal = chain.end, chain.seal
        return commits

    def open(self) -> None:
        """Read the base. Raise `BadFrame` if it is not whole."""
        header, seal = unpack_header(self.file.read(0, HEADER_BYTES))
        if header.kind is not Kind.BASE or header.version != self.first - 1:
            raise BadFrame("the file does not begin with its base")
        self.base = parse_json(read_payload(self.file, 0, header).to_pybytes())
        self.previous, self.base_bytes = header.previous, header.size
        self.end, self.seal = header.size, seal

    def ends_rolled(self) -> bool:
        """Whether the last frame says that the next file is durable."""
        try:
            header, _ = unpack_header(self.file.read(max(0, self.file.size() - HEADER_BYTES), HEADER_BYTES))
        except BadFrame:
            return False
        return header.kind is Kind.ROLLED

    def has_commits(self) -> bool:
        """Whether anything in the file looks like a commit, whatever else may be wrong with it."""
        content = self.file.view(0, self.file.size())
        return any(header.kind is Kind.COMMIT for _, header in later_frames(content, 0))

    def read(self, is_whole: Callable[[Record], bool] = lambda _: True) -> Iterator[tuple[int, Record]]:
        """The commits behind `end`, with the positions of their frames. Raise `BadFrame` where no more are.

        Of the last group, whose syncs need not have ended, commits count up to the first whose rows elsewhere are not
        whole, as `is_whole` tells. Rows that are damaged, and were durable once, are passed over: who reads them will
        notice.
        """
        group: list[_Found] = []
        bad: BadFrame | None = None
        try:
            for found in self._find():
                if group and found.base > group[0].base:
                    yield from self._take(group)
                    group = []
                group.append(found)
        except BadFrame as reason:
            bad = reason
        for found in group:
            if found.record is not None and not is_whole(found.record):
                raise BadFrame("rows of a commit are not whole")
            yield from self._take([found])
        if bad is not None:
            raise bad

    def _find(self) -> Iterator[_Found]:
        """The commits and marks behind `end`; nothing is taken for true yet."""
        start, version, is_rolled = self.end, self.version, self.is_rolled
        content = self.file.view(start, max(0, self.file.size() - start))
        for frame in walk_frames(content, 0, self.seal):
            header, position = frame.header, start + frame.position
            if frame.damage is not None and not (header.kind is Kind.ROWS and self._was_durable(position)):
                raise frame.damage
            if is_rolled or header.kind not in _BEHIND_BASE:
                raise BadFrame("a frame is here that does not belong here")
            if header.version != version + (header.kind in (Kind.COMMIT, Kind.ROWS)):
                raise BadFrame("a commit does not follow the one before it")
            if header.kind is Kind.ROWS:
                continue
            version, is_rolled = header.version, header.kind is Kind.ROLLED
            is_commit = header.kind is Kind.COMMIT
            record = Record.unpack(version, frame.payload.to_pybytes()) if is_commit else None
            yield _Found(position, position + header.size, frame.seal, header.base, header.kind, record)

    def _take(self, group: Sequence[_Found]) -> Iterator[tuple[int, Record]]:
        for found in group:
            self.end, self.seal = found.end, found.seal
            self._marked = found.kind is Kind.END
            self.is_rolled = found.kind is Kind.ROLLED
            if found.record is not None:
                self.version = found.record.version
                yield found.position, found.record

    def refuse_unless_torn(self, reason: BadFrame) -> None:
        """Raise `CorruptLog` unless what is behind `end` is what a crash left of the last group of commits."""
        if self._was_durable(self.end):
            raise CorruptLog(
                f'"{self.path}" is damaged at byte {self.end}, after commit {self.version}: {reason}; later commits '
                "are intact, so this is not a write that a crash cut short, and nothing was changed",
                hint="restore the file from a copy, or see what headwater repair can save",
            ) from None

    def cut(self) -> None:
        """Cut what is behind the end; and make the rest durable: a killed process may have written, and not synced."""
        if self.file.size() > self.end:
            self.file.truncate(self.end)
        self.file.sync()

    def group(self) -> CommitGroup:
        """A group of commits that goes behind the durable ones."""
        return CommitGroup(self.end, self.seal)

    def write(self, group: CommitGroup) -> None:
        """Write a group, which is true once this file, and those that its rows are in, are synced; then `keep` it."""
        self._staged = group.chain.end, group.chain.seal
        group.chain.write(self.file)

    def keep(self, version: int) -> None:
        """Take what was written for true, now that it is synced: the last commit is `version`."""
        assert self._staged is not None, "nothing was written"
        self.end, self.seal = self._staged
        self.version = version
        self._staged = None
        self._marked = False

    def undo(self) -> None:
        """Take back what was written and not synced, durably."""
        if self._staged is not None:
            self.file.truncate(self.end)
            sync_file(self.file)
            self._staged = None

    def forget(self) -> None:
        """Cut what was written and not synced, after a failed sync, if that still works.

        The system may hold bytes for clean that the disk does not have. Nobody should find them by reopening the log.
        """
        if self._staged is not None:
            self.file.truncate(self.end)

    def mark_end(self) -> None:
        """Note that the log was closed in order. From then on a damaged last record cannot pass for a torn one."""
        if not self._marked:
            self._add_mark(Kind.END)
            self._marked = True

    def mark_rolled(self) -> None:
        """Note that the next file is durable. From then on it cannot pass for one that was never finished."""
        self._add_mark(Kind.ROLLED)
        sync_file(self.file)
        self.is_rolled = True

    def record(self, position: int, version: int) -> Record:
        """The commit `version`, whose frame is at `position`."""
        try:
            header, _ = unpack_header(self.file.read(position, HEADER_BYTES))
            payload = read_payload(self.file, position, header).to_pybytes()
            if header.kind is not Kind.COMMIT or header.version != version:
                raise BadFrame("another frame is here than the commit's")
            return Record.unpack(version, payload)
        except BadFrame as reason:
            raise CorruptLog(f'"{self.path}" is damaged at byte {position}: {reason}') from None

    def seal_at(self, position: int) -> int:
        """The seal of the frame at a position. Raise `CorruptLog` if there is none."""
        try:
            return unpack_header(self.file.read(position, HEADER_BYTES))[1]
        except BadFrame as reason:
            raise CorruptLog(f'"{self.path}" is damaged at byte {position}: {reason}') from None

    def _was_durable(self, position: int) -> bool:
        """Whether what was at a position, where something is wrong now, was durable once: then this is no torn write.

        A later frame says where its own group of commits began. All before that had been synced.
        """
        content = self.file.view(position, max(0, self.file.size() - position))
        return any(header.base > position for _, header in later_frames(content, 0))

    def _add_mark(self, kind: Kind) -> None:
        chain = FrameChain(self.end, self.seal)
        chain.add(Header(kind, 0, crc32c(b""), base=self.end, version=self.version))
        chain.write(self.file)
        self.end, self.seal = chain.end, chain.seal


_BEHIND_BASE = {Kind.COMMIT, Kind.ROWS, Kind.END, Kind.ROLLED}


def rows_header(
    stream: int, partition: int, offset: int, version: int, schema: int, rows: Rows, base: int = 0
) -> Header:
    """The header of a frame of rows."""
    return Header(
        rows.kind, rows.size, rows.crc, 0, base, version, stream, partition, offset, rows.count, schema
    )  # fmt: skip


def pack_json(value: Mapping[str, Any]) -> bytes:
    """A mapping as compact JSON; nothing for an empty one."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).encode() if value else b""


def parse_json(text: bytes) -> dict[str, Any]:
    """The inverse of `pack_json`. Raise `ValueError` for what is not JSON."""
    parsed: dict[str, Any] = json.loads(text, parse_constant=_refuse_constant) if text else {}
    return parsed


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
