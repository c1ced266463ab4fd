"""The commit log with its streams: the whole of storage behind one class.

In: batches of rows for numbered streams, in atomic commits that are durable once `commit` returns; images. Out: the
committed rows again, as of any version, and an index of them. Storage knows no SQL: what streams mean, and what is in a
commit's note, is up to the caller.

A commit goes through five stages, which `_write` runs for all requests that have gathered meanwhile (group commit):

 1. Every request gets the next version, and its rows their offsets and places.
 2. The rows are written to their segments, and those are synced.
 3. The records of the commits are written to the commit log, and that is synced: now they are true.
 4. They are published: readers see them.
 5. The requests return.

A failure before the end of 3 takes everything back. A sync that fails cannot be repeated, because the system may have
dropped what it did not write; so it closes the log to all further commits until it is opened again.
"""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from headwater.errors import CorruptLog, NoSpace, StorageError
from headwater.storage.commits import CommitLog, Placed, PlacedImage, Record, parse_note
from headwater.storage.directory import OpenDirectory, open_directory
from headwater.storage.files import Storage, SyncFailed
from headwater.storage.images import image_path, read_image, write_image
from headwater.storage.index import CommitIndex, StreamIndex
from headwater.storage.records import Append, Chunk, Commit, Extent, Image
from headwater.storage.rows import Rows, encode_rows
from headwater.storage.segments import Group, Segments

SEGMENT_BYTES = 64 << 20

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PASSING = _NO_SPACE | {errno.EMFILE, errno.ENFILE}  # what the same call may survive later


@dataclass(slots=True, eq=False)
class _Request:
    """A commit somebody waits for. It is done as soon as it has a result or an error."""

    appends: list[tuple[int, int, Rows]]
    image: PlacedImage | None
    note: Mapping[str, Any]
    packed_note: bytes
    result: Commit | None = None
    error: StorageError | None = None

    @property
    def done(self) -> bool:
        return self.result is not None or self.error is not None


class Log:
    """An open database directory. All methods may be called from any thread."""

    def __init__(self, storage: Storage, directory: OpenDirectory, segment_bytes: int) -> None:
        """Use `Log.open`."""
        self._storage = storage
        self._directory = directory
        self._commits = CommitLog(storage.open(directory.commits), directory.commits, directory.origin)
        self._segments = Segments(storage, directory.streams, segment_bytes)
        self._streams: dict[int, StreamIndex] = {}
        self._index = CommitIndex()
        self._images: dict[int, tuple[Image, PlacedImage]] = {}
        self._image_lock = threading.Lock()
        self._version = 0
        self._changed = threading.Condition()  # of the version and of what is below, which it guards
        self._queue: list[_Request] = []
        self._writing = False
        self._closed = False
        self._fault: str | None = None

    @classmethod
    def open(cls, storage: Storage, path: str, *, create: bool = True, segment_bytes: int = SEGMENT_BYTES) -> Log:
        """Open the database at `path`, and repair what a crash left behind; with `create`, make it if there is none.

        Segments are begun anew when they would grow beyond `segment_bytes`. Raises `NotADatabase`, `AlreadyOpen`,
        `CorruptLog`, or another `StorageError`.
        """
        path = path.rstrip("/") or path
        with _explained(f'cannot open the database "{path}"'):
            directory = open_directory(storage, path, create=create)
            try:
                return cls(storage, directory, segment_bytes)._restored()
            except FileNotFoundError:
                directory.lock.release()
                raise CorruptLog(f'"{directory.commits}" is missing; restore the file from a copy') from None
            except BaseException:
                directory.lock.release()
                raise

    @property
    def version(self) -> int:
        """Number of the last published commit; 0 when there is none."""
        return self._version

    def commit(self, appends: Sequence[Append], note: Mapping[str, Any] | None = None) -> Commit:
        """Commit rows of any number of streams, and a note, as one; return once that is durable.

        Empty batches are skipped. The note is a small mapping that JSON can hold. Commits of several threads share
        syncs. Commit times never decrease. Raises `DataError` for rows that cannot be stored, `NoSpace` when the disk
        is full (nothing is committed, and the log stays usable), and `StorageError` when the disk fails: then the log
        takes no more commits, and whether this one was made shows when the log is opened again.
        """
        return self._submit(_request([_encoded(append) for append in appends if append.rows.num_rows], None, note))

    def scan(self, stream: int, after: int = 0, upto: int | None = None) -> Iterator[Chunk]:
        """The rows committed to a stream with after < version <= upto (default: now), in commit order.

        Within a commit they come in the order of its appends. Rows are not copied where that can be avoided, and stay
        valid for as long as they are referenced. Raises `CorruptLog` where the bytes are not what was committed.
        """
        index, numbers = self._range(stream, after, upto)
        return (self._chunk(stream, index, number) for number in numbers)

    def extents(self, stream: int, after: int = 0, upto: int | None = None) -> Iterator[tuple[int, Extent]]:
        """Versions and extents of what `scan` gives, from the index alone: no rows are read."""
        index, numbers = self._range(stream, after, upto)
        return ((index.version(number), _extent(index.placed(number, stream))) for number in numbers)

    def ends(self, stream: int, version: int | None = None) -> dict[int, int]:
        """The next offset of each partition of a stream that has rows, as of a version (default: now)."""
        self._check_open()
        index = self._streams.get(stream)
        return {} if index is None else index.ends(self._upto(version))

    def time_of(self, version: int) -> int:
        """When a version, from 1 to `self.version`, was committed: µs since 1970."""
        self._check_open()
        assert 1 <= version <= self._version, f"there is no version {version}"
        return self._index.time_of(version)

    def version_at(self, time_us: int) -> int:
        """The last version committed at or before a time in µs since 1970; 0 if there is none."""
        self._check_open()
        return self._index.version_at(time_us, self._version)

    def notes(self, key: str, after: int = 0) -> Iterator[tuple[int, Any]]:
        """Versions, younger than `after`, of commits whose note has `key`, in order, each with the value of the key."""
        self._check_open()
        return ((version, self._note(version)[key]) for version in self._index.with_key(key, after, self._version))

    def wait(self, after: int, timeout: float | None) -> int:
        """Sleep until there is a version above `after`, for at most `timeout` seconds; return the current version.

        `close` ends the wait, too.
        """
        self._check_open()
        with self._changed:
            self._changed.wait_for(lambda: self._version > after or self._closed, timeout)
            return self._version

    def save_image(self, parts: Mapping[str, pa.RecordBatch], note: Mapping[str, Any] | None = None) -> Image:
        """Store named batches beside the log, and publish them with a commit that has the given note.

        An image is there as a whole or not at all. Commits of others go on meanwhile. Raises as `commit` does, but an
        error before the publishing commit leaves the log usable.
        """
        with self._image_lock:
            self._check_open()
            number = max((placed.number for _, placed in self._images.values()), default=0) + 1
            with _explained(f'cannot write the image "{image_path(self._directory.images, number)}"'):
                placed = write_image(self._storage, self._directory.images, number, parts)
            image, _ = self._images[self._submit(_request([], placed, note)).version]
            return image

    def images(self) -> tuple[Image, ...]:
        """All published images, oldest first."""
        self._check_open()
        return tuple(image for image, _ in tuple(self._images.values()) if image.version <= self._version)

    def load_image(self, image: Image) -> dict[str, pa.RecordBatch]:
        """The batches of an image, verified. Raises `CorruptLog` if they are not what was saved."""
        self._check_open()
        with _explained(f'cannot read the image "{image.name}"'):
            _, placed = self._images[image.version]
            return read_image(self._storage, self._directory.images, placed)

    def size_bytes(self) -> int:
        """Bytes in the files of the log: commits, rows and published images."""
        self._check_open()
        with _explained(f'cannot read "{self._directory.path}"'):
            images = sum(
                self._storage.open(image_path(self._directory.images, placed.number)).size()
                for _, placed in tuple(self._images.values())
            )
            return self._commits.end + self._segments.size_bytes() + images

    def close(self) -> None:
        """Finish the commit that is under way, wake who waits, and let others open the database. Idempotent."""
        with self._changed:
            if self._closed:
                return
            self._closed = True
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._writing)
        if self._fault is None:
            with suppress(OSError):
                self._commits.mark_end(self._version)
        self._segments.close()
        self._directory.lock.release()

    # Opening.

    def _restored(self) -> Log:
        """Read the commit log, cut what is behind the truth, and verify the last commit."""
        ends: dict[tuple[int, int], int] = {}
        for position, record in self._commits.read():
            self._publish(record, position, parse_note(record.note))
            for placed in record.extents:
                ends[placed.stream, placed.segment] = placed.end
        for (stream, segment), end in sorted(ends.items()):
            self._segments.restore(stream, segment, end)
        for stream, index in self._streams.items():
            for number in index.rows(self._version - 1, self._version):
                self._chunk(stream, index, number)
        return self

    # Reading.

    def _range(self, stream: int, after: int, upto: int | None) -> tuple[StreamIndex, range]:
        self._check_open()
        index = self._streams.get(stream) or StreamIndex()
        return index, index.rows(after, self._upto(upto))

    def _chunk(self, stream: int, index: StreamIndex, number: int) -> Chunk:
        self._check_open()
        placed = index.placed(number, stream)
        version = index.version(number)
        with _explained(f'cannot read "{self._segments.path(stream, placed.segment)}"'):
            rows = self._segments.read(placed, version, check=not index.is_verified(number))
        index.set_verified(number)
        return Chunk(version, self._index.time_of(version), placed.partition, placed.offset, rows)

    def _note(self, version: int) -> dict[str, Any]:
        self._check_open()
        with _explained(f'cannot read "{self._directory.commits}"'):
            return self._commits.note(self._index.position(version))

    def _upto(self, version: int | None) -> int:
        """A version that readers may see: never more than what is published."""
        return self._version if version is None else min(version, self._version)

    def _check_open(self) -> None:
        if self._closed:
            raise StorageError(f'the database "{self._directory.path}" is closed')

    # Writing.

    def _submit(self, request: _Request) -> Commit:
        """Queue a request, and return when it is committed: by this thread if no other is at it."""
        with self._changed:
            self._check_writable()
            self._queue.append(request)
            try:
                self._changed.wait_for(lambda: request.done or not self._writing)
                if not request.done:
                    self._check_writable()
            except BaseException:
                if request in self._queue:
                    self._queue.remove(request)
                raise
            if not request.done:
                self._writing = True
                group, self._queue = self._queue, []
        if not request.done:
            self._lead(group, request)
        if request.error is not None:
            raise request.error
        assert request.result is not None
        return request.result

    def _check_writable(self) -> None:
        self._check_open()
        if self._fault is not None:
            raise StorageError(self._fault)

    def _lead(self, group: list[_Request], own: _Request) -> None:
        """Commit a group on behalf of all who wait for it."""
        try:
            self._write(group)
        except OSError as error:
            for request in group:
                request.error = self._refusal(error)
        except BaseException:
            # This thread alone was interrupted. The others' requests are as good as new, if the log is.
            others = [request for request in group if request is not own and not request.done]
            if self._fault is None:
                with self._changed:
                    self._queue[:0] = others
            for request in others:
                request.error = None if self._fault is None else StorageError(self._fault)
            raise
        finally:
            with self._changed:
                self._writing = False
                self._changed.notify_all()

    def _write(self, requests: Sequence[_Request]) -> None:
        """Stages 1 to 4. When this raises, nothing of the group is true, or else the log has a fault."""
        group = self._segments.group()
        records = self._place(requests, group)
        try:
            group.write()
            group.sync()
            positions = self._commits.write(records)
            self._commits.sync()
        except BaseException as error:
            self._take_back(group, error)
            raise
        try:
            group.keep()
            with self._changed:
                for request, record, position in zip(requests, records, positions, strict=True):
                    extents = self._publish(record, position, request.note)
                    request.result = Commit(record.version, record.time_us, extents, request.note)
        except BaseException:
            self._fault = self._fault_text("a commit was interrupted while it was published")
            raise

    def _place(self, requests: Sequence[_Request], group: Group) -> list[Record]:
        """Stage 1: a record for each request, with its version, its time, and the places of its rows."""
        version = self._version
        time_us = self._storage.now_us()
        if version:
            time_us = max(time_us, self._index.time_of(version))
        ends: dict[int, dict[int, int]] = {}
        records = []
        for request in requests:
            version += 1
            extents = []
            for stream, partition, rows in request.appends:
                if stream not in ends:
                    ends[stream] = self._streams[stream].ends(version) if stream in self._streams else {}
                offset = ends[stream].get(partition, 0)
                ends[stream][partition] = offset + rows.count
                extents.append(group.add(stream, partition, offset, version, rows))
            records.append(Record(version, time_us, tuple(extents), request.image, request.packed_note))
        return records

    def _publish(self, record: Record, position: int, note: Mapping[str, Any]) -> tuple[Extent, ...]:
        """Stage 4: enter a commit into the index. The version comes last, since readers look no further than it."""
        for placed in record.extents:
            self._streams.setdefault(placed.stream, StreamIndex()).add(record.version, placed)
        if record.image is not None:
            name = f"{record.image.number}.img"
            self._images[record.version] = Image(record.version, note, name), record.image
        self._index.add(record.time_us, position, list(note))
        self._version = record.version
        return tuple(_extent(placed) for placed in record.extents)

    def _take_back(self, group: Group, error: BaseException) -> None:
        """Leave the log as it was before the group, or, where that cannot be trusted, close it to commits."""
        lost = isinstance(error, SyncFailed) or (isinstance(error, OSError) and error.errno not in _PASSING)
        if lost:
            self._fault = self._fault_text(f"the disk failed ({error})")
            with suppress(OSError):
                self._commits.forget()
            return
        try:
            self._commits.undo()  # first: a record must not outlive its rows
            group.undo()
        except BaseException as another:
            self._fault = self._fault_text(f"a commit could not be taken back ({another!r})")

    def _fault_text(self, cause: str) -> str:
        path = self._directory.path
        return f'the database "{path}" takes no more commits because {cause}: close it and open it again'

    def _refusal(self, error: OSError) -> StorageError:
        """What a request is told about a failed commit."""
        if self._fault is not None:
            return StorageError(self._fault)
        what = f'nothing was committed to "{self._directory.path}": {(error.strerror or str(error)).lower()}'
        if error.errno in _NO_SPACE:
            return NoSpace(f"{what}; make room and try again")
        return StorageError(f"{what}; try again")


def _encoded(append: Append) -> tuple[int, int, Rows]:
    assert 0 <= append.stream < 1 << 32 and 0 <= append.partition < 1 << 32, "a number does not fit its field"
    return append.stream, append.partition, encode_rows(append.rows)


def _request(
    appends: list[tuple[int, int, Rows]], image: PlacedImage | None, note: Mapping[str, Any] | None
) -> _Request:
    packed = json.dumps(note, allow_nan=False, separators=(",", ":")).encode() if note else b""
    return _Request(appends, image, parse_note(packed), packed)


def _extent(placed: Placed) -> Extent:
    return Extent(placed.stream, placed.partition, placed.offset, placed.count)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn an error of the operating system into one for the user."""
    try:
        yield
    except OSError as error:
        kind = NoSpace if error.errno in _NO_SPACE else StorageError
        raise kind(f"{what}: {(error.strerror or str(error)).lower()}") from error
