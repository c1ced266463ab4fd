"""Reading: rows and what is known about them, as of any version that is still there.

In: positions, which are versions, offsets, times or numbers of rows; out: rows, without a copy where possible, and
other positions. Questions are answered from the indexes of the commit files that they touch. Readers hold logical
positions only, take no lock while they read, and see no more than what is published.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from headwater.errors import CorruptLog, PositionGone
from headwater.storage.chain import CommitLog
from headwater.storage.commits import INLINE, CommitFile, Placed, parse_json
from headwater.storage.frames import BadFrame, frame_size
from headwater.storage.index import FileIndex, StreamIndex
from headwater.storage.readers import Readers
from headwater.storage.records import Chunk, Extent
from headwater.storage.rows import Known, Projections
from headwater.storage.segments import Segments, read_placed
from headwater.storage.state import Start

_NO_START = Start()


class History:
    """What has been committed. Positions in streams that retention passed raise `PositionGone`."""

    def __init__(self, chain: CommitLog, segments: Segments, readers: Readers, check_open: Callable[[], None]) -> None:
        self._chain = chain
        self._segments = segments
        self._readers = readers
        self._check_open = check_open

    # ---------------------------------------------------------------- rows

    def scan(self, stream: int, after: int, upto: int | None, columns: Sequence[str] | None) -> Iterator[Chunk]:
        """As `Log.scan`."""
        self._check_open()
        upto = self.upto(upto)
        self._check_position(stream, self.start(stream), after, upto)
        return self._scan(stream, after, upto, columns)

    def _scan(self, stream: int, after: int, upto: int, columns: Sequence[str] | None) -> Iterator[Chunk]:
        with self._readers.reading():
            start, files = self._look_up(stream, after, upto)
            projections = Projections(self._chain.state.schemas, columns)
            if after < start.version <= upto:
                for placed in start.replacement:
                    if self._is_lost(placed, start.version):
                        continue
                    rows, _ = self._read(self._chain.current, placed, start.version, projections, None)
                    yield Chunk(start.version, self.time_of(start.version), placed.partition, placed.offset, rows)
            for commits, index, streams, append in self._appends(stream, files, max(after, start.version), upto):
                placed, version = streams.placed(append, stream), streams.versions[append]
                if self._is_lost(placed, version):
                    continue
                rows, known = self._read(commits, placed, version, projections, streams.known.get(append))
                streams.known[append] = known
                yield Chunk(version, index.time_of(version), placed.partition, placed.offset, rows)

    def _read(
        self, commits: CommitFile, placed: Placed, version: int, projections: Projections, known: Known | None
    ) -> tuple[pa.RecordBatch, Known]:
        self._check_open()
        is_inline = placed.segment == INLINE
        path = commits.path if is_inline else self._segments.path(placed.stream, placed.segment)
        try:
            file = commits.file if is_inline else self._segments.files.open(path)
            return read_placed(file, placed, projections, known)
        except FileNotFoundError:
            if version <= self.start(placed.stream).version:
                raise self.gone(placed.stream) from None
            reason = "the file is missing"
        except BadFrame as bad:
            reason = str(bad)
        last = placed.offset + placed.count - 1
        raise CorruptLog(
            f'"{path}" is damaged at byte {placed.position}: {reason}; offsets {placed.offset} to {last} of stream '
            f"{placed.stream}, partition {placed.partition} (commit {version}) cannot be read",
            hint="restore the file from a copy, or see what headwater repair can save",
        )

    def _is_lost(self, placed: Placed, version: int) -> bool:
        """Whether somebody accepted the loss of these rows."""
        lost = self._chain.state.lost
        return bool(lost) and (placed.stream, version, placed.partition, placed.offset, placed.count) in lost

    def extents(self, stream: int, after: int, upto: int | None) -> Iterator[tuple[int, Extent]]:
        """As `Log.extents`."""
        self._check_open()
        upto = self.upto(upto)
        self._check_position(stream, self.start(stream), after, upto)
        return self._extents(stream, after, upto)

    def _extents(self, stream: int, after: int, upto: int) -> Iterator[tuple[int, Extent]]:
        with self._readers.reading():
            start, files = self._look_up(stream, after, upto)
            if after < start.version <= upto:
                for placed in start.replacement:
                    yield start.version, Extent(stream, placed.partition, placed.offset, placed.count)
            for _, _, streams, append in self._appends(stream, files, max(after, start.version), upto):
                yield streams.versions[append], streams.extent(append, stream)

    def _look_up(self, stream: int, after: int, upto: int) -> tuple[Start, list[int]]:
        """Where a stream begins, and the commit files that have rows after that, as of one and the same moment."""
        while True:
            start = self.start(stream)
            self._check_position(stream, start, after, upto)
            files = self._files_with(stream, max(after, start.version), upto)
            if self.start(stream) is start:
                return start, files

    def _appends(
        self, stream: int, files: Sequence[int], after: int, upto: int
    ) -> Iterator[tuple[CommitFile, FileIndex, StreamIndex, int]]:
        """All appends to a stream in some commit files with after < version <= upto, in order."""
        for first in files:
            commits, index = self._chain.index_at(first)
            streams = index.streams.get(stream)
            if streams is not None:
                for append in streams.appends(after, upto):
                    yield commits, index, streams, append

    def _files_with(self, stream: int, after: int, upto: int) -> list[int]:
        """The commit files that have rows of a stream with after < version <= upto, by first version."""
        if upto <= after:
            return []
        _, index = self._chain.index_of(upto)
        found = [index.first] if stream in index.streams else []
        oldest = self._chain.file_of(after + 1)
        while (before := index.file_before(stream)) >= oldest:
            found.append(before)
            _, index = self._chain.index_at(before)
        return found[::-1]

    # ---------------------------------------------------------------- positions

    def upto(self, version: int | None) -> int:
        """A version that readers may see: never more than what is published."""
        return self._chain.published if version is None else min(version, self._chain.published)

    def start(self, stream: int) -> Start:
        """Where a stream begins."""
        known = self._chain.state.streams.get(stream)
        return known.start if known is not None else _NO_START

    def gone(self, stream: int) -> PositionGone:
        """The error for a position before the start of a stream."""
        start = self.start(stream)
        return PositionGone(
            f"rows of stream {stream} are kept from version {start.version} on, and older ones are no more",
            earliest=start.version,
            hint=f"the earliest position is version {start.version}",
        )

    def _check_position(self, stream: int, start: Start, after: int, upto: int) -> None:
        if 0 < after < start.version or after < upto < start.version:
            raise self.gone(stream)

    def ends(self, stream: int, version: int | None) -> dict[int, int]:
        """As `Log.ends`."""
        upto, start = self._position(stream, version)
        return dict(start.ends) if upto == start.version else self._index_of(upto).ends(stream, upto)

    def rows(self, stream: int, version: int | None) -> int:
        """As `Log.row_count`."""
        upto, start = self._position(stream, version)
        return start.rows if upto == start.version else self._index_of(upto).rows(stream, upto)

    def _position(self, stream: int, version: int | None) -> tuple[int, Start]:
        """A version that readers may see, and the start of the stream, which is not after it."""
        self._check_open()
        upto, start = self.upto(version), self.start(stream)
        if upto < start.version:
            raise self.gone(stream)
        return upto, start

    def first(self, stream: int, count: int, upto: int | None) -> tuple[int, dict[int, int]] | None:
        """As `Log.first`."""
        version = self.upto(upto)
        if count > self.rows(stream, version):
            return None
        start = self.start(stream)
        if count < start.rows:
            raise self.gone(stream)
        if count == start.rows:
            return start.version, dict(start.ends)
        index = self._file_where(lambda file: file.rows_before(stream) < count, version)
        return index.streams[stream].first(count)

    def version_of(self, stream: int, partition: int, offset: int) -> int:
        """As `Log.version_of`."""
        self._check_open()
        if offset < self.start(stream).ends.get(partition, 0):
            raise self.gone(stream)
        index = self._file_where(lambda file: file.end_before(stream, partition) <= offset, self._chain.published)
        return index.streams[stream].version_of(partition, offset)

    def _file_where(self, begins_before: Callable[[FileIndex], bool], upto: int) -> FileIndex:
        """The index of the last file, up to that of a version, whose base fulfils a condition that stays fulfilled
        from a file to the ones before it.
        """
        oldest, *younger = self._chain.files()
        files = [oldest, *(first for first in younger if first <= upto)]
        low, high = 0, len(files) - 1
        while low < high:
            middle = (low + high + 1) // 2
            if begins_before(self._chain.index_at(files[middle])[1]):
                low = middle
            else:
                high = middle - 1
        return self._chain.index_at(files[low])[1]

    def version_before(self, stream: int, nbytes: int) -> int:
        """As `Log.version_before`."""
        self._check_open()
        kept = 0
        for first in reversed(self._files_with(stream, self.start(stream).version, self._chain.published)):
            streams = self._chain.index_at(first)[1].streams[stream]
            for append in reversed(range(len(streams.versions))):
                kept += frame_size(streams.payload_sizes[append])
                if kept > nbytes:
                    return streams.versions[append]
        return 0

    def bytes_after(self, stream: int, after: int) -> int:
        """As `Log.bytes_after`."""
        self._check_open()
        after = max(after, self.start(stream).version)
        total = 0
        for first in self._files_with(stream, after, self._chain.published):
            streams = self._chain.index_at(first)[1].streams[stream]
            total += sum(frame_size(streams.payload_sizes[a]) for a in streams.appends(after, self._chain.published))
        return total

    def time_of(self, version: int) -> int:
        """As `Log.time_of`."""
        self._check_open()
        assert 1 <= version <= self._chain.published, f"there is no version {version}"
        return self._index_of(version).time_of(version)

    def version_at(self, time_us: int) -> int:
        """As `Log.version_at`."""
        self._check_open()
        index = self._file_where(lambda file: file.base.time_us <= time_us, self._chain.published)
        return index.version_at(time_us, self._chain.published) if index.base.time_us <= time_us else 0

    # ---------------------------------------------------------------- notes

    def notes(self, key: str, after: int) -> Iterator[tuple[int, Any]]:
        """As `Log.notes`."""
        self._check_open()
        return self._notes(key, after, self._chain.published)

    def _notes(self, key: str, after: int, upto: int) -> Iterator[tuple[int, Any]]:
        with self._readers.reading():
            oldest = self._chain.file_of(after + 1)
            for first in self._chain.files():
                if not oldest <= first <= upto:
                    continue
                commits, index = self._chain.index_at(first)
                for version in index.with_key(key, after, upto):
                    self._check_open()
                    record = commits.record(index.position(version), version)
                    yield version, parse_json(record.note)[key]

    def note_before(self, key: str, upto: int) -> tuple[int, Any] | None:
        """As `Log.note_before`."""
        self._check_open()
        upto = self.upto(upto)
        with self._readers.reading():
            for first in reversed(self._chain.files()):
                if first > upto:
                    continue
                commits, index = self._chain.index_at(first)
                version = index.last_with_key(key, upto)
                if version is not None:
                    return version, parse_json(commits.record(index.position(version), version).note)[key]
        return None

    def kept(self, key: str, upto: int | None) -> Iterator[tuple[int, Any]]:
        """As `Log.kept`."""
        self._check_open()
        kept, upto = tuple(self._chain.state.kept.items()), self.upto(upto)
        return iter([(v, note[key]) for v, note in kept if v <= upto and key in note])

    def seal_of(self, version: int) -> int:
        """As `Log.seal_of`."""
        self._check_open()
        commits, index = self._chain.index_of(version)
        return commits.seal_at(index.position(version))

    def effects(self, version: int) -> Mapping[str, Any]:
        """As `Log.effects`."""
        self._check_open()
        commits, index = self._chain.index_of(version)
        return commits.record(index.position(version), version).effects

    def _index_of(self, version: int) -> FileIndex:
        """The index of the commit file with a version. Raises `PositionGone` if that is no more."""
        _, index = self._chain.index_of(version)
        # Afterwards, since retention may remove files meanwhile. The base of the oldest file knows one version more.
        earliest = self._chain.first_version - 1
        if version < earliest:
            raise PositionGone(
                f"version {version} is no more", earliest=earliest, hint=f"the earliest version is {earliest}"
            )
        return index
