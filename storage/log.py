"""The commit log with its streams: the whole of storage behind one class.

In: batches of rows for numbered streams, in atomic commits that are durable once `commit` returns; images. Out: the
committed rows again, as of any version, and an index of them. Storage knows no SQL: what streams mean, and what is in a
commit's note, is up to the caller.

How a commit becomes durable is in `writer.py`, what the files look like in `docs/log-format.md`.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from headwater.errors import CorruptLog, NoSpace, StorageError
from headwater.storage.commits import CommitLog, parse_note
from headwater.storage.directory import OpenDirectory, open_directory
from headwater.storage.files import Storage
from headwater.storage.images import image_path, read_image, write_image
from headwater.storage.index import Index, StreamIndex
from headwater.storage.records import Append, Chunk, Commit, Extent, Image
from headwater.storage.rows import Rows, encode_rows
from headwater.storage.segments import Segments
from headwater.storage.writer import NO_SPACE, Writer, make_request

SEGMENT_BYTES = 64 << 20


class Log:
    """An open database directory. All methods may be called from any thread."""

    def __init__(self, storage: Storage, directory: OpenDirectory, segment_bytes: int) -> None:
        """Use `Log.open`."""
        self._storage = storage
        self._directory = directory
        self._commits = CommitLog(storage.open(directory.commits), directory.commits, directory.origin)
        self._segments = Segments(storage, directory.streams, segment_bytes)
        self._index = Index()
        self._writer = Writer(storage, directory.path, self._commits, self._segments, self._index)
        self._image_lock = threading.Lock()

    @classmethod
    def open(cls, storage: Storage, path: str, *, create: bool = True, segment_bytes: int = SEGMENT_BYTES) -> Log:
        """Open the database at `path`, and repair what a crash left behind; with `create`, make it if there is none.

        A new segment is begun when one would grow beyond `segment_bytes`. Raises `NotADatabase`, `AlreadyOpen`,
        `CorruptLog`, or another `StorageError`.
        """
        path = path.rstrip("/") or path
        with _explained(f'cannot open the database "{path}"'):
            directory = open_directory(storage, path, create=create)
            try:
                log = cls(storage, directory, segment_bytes)
                log._restore()
                return log
            except FileNotFoundError:
                directory.lock.release()
                raise CorruptLog(f'"{directory.commits}" is missing; restore the file from a copy') from None
            except BaseException:
                directory.lock.release()
                raise

    @property
    def version(self) -> int:
        """Number of the last published commit; 0 when there is none."""
        return self._index.version

    def commit(self, appends: Sequence[Append], note: Mapping[str, Any] | None = None) -> Commit:
        """Commit rows of any number of streams, and a note, as one; return once that is durable.

        Empty batches are skipped. The note is a small mapping that JSON can hold. Commits of several threads share
        syncs. Commit times never decrease. Raises `DataError` for rows that cannot be stored, `NoSpace` when the disk
        is full (nothing is committed, and the log stays usable), and `StorageError` when the disk fails: then the log
        takes no more commits, and whether this one was made shows when the log is opened again.
        """
        rows = [encoded(append) for append in appends if append.rows.num_rows]
        return self._writer.submit(make_request(rows, None, note))

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
        return ((index.version(number), index.extent(number, stream)) for number in numbers)

    def ends(self, stream: int, version: int | None = None) -> dict[int, int]:
        """The next offset of each partition of a stream that has rows, as of a version (default: now)."""
        self._writer.check_open()
        return self._index.ends(stream, version)

    def first(self, stream: int, count: int, upto: int | None = None) -> tuple[int, dict[int, int]] | None:
        """The version that committed the `count`-th row of a stream, counted from 1 in log order, and where the first
        `count` rows end: partition -> next offset. None if there are fewer rows up to the version `upto`.
        """
        self._writer.check_open()
        index = self._index.streams.get(stream)
        found = index.first(count) if index is not None else None
        return found if found is not None and found[0] <= self._index.upto(upto) else None

    def version_of(self, stream: int, partition: int, offset: int) -> int:
        """The version that committed the row at an offset, which must be there."""
        self._writer.check_open()
        return self._index.streams[stream].version_of(partition, offset)

    def time_of(self, version: int) -> int:
        """When a version, from 1 to `self.version`, was committed: µs since 1970."""
        self._writer.check_open()
        assert 1 <= version <= self._index.version, f"there is no version {version}"
        return self._index.commits.time_of(version)

    def version_at(self, time_us: int) -> int:
        """The last version committed at or before a time in µs since 1970; 0 if there is none."""
        self._writer.check_open()
        return self._index.commits.version_at(time_us, self._index.version)

    def notes(self, key: str, after: int = 0) -> Iterator[tuple[int, Any]]:
        """Versions, younger than `after`, of commits whose note has `key`, in order, each with the value of the key."""
        self._writer.check_open()
        versions = self._index.commits.with_key(key, after, self._index.version)
        return ((version, self._note(version)[key]) for version in versions)

    def wait(self, after: int, timeout: float | None) -> int:
        """Sleep until there is a version above `after`, for at most `timeout` seconds; return the current version.

        `close` ends the wait, too.
        """
        self._writer.check_open()
        with self._writer.changed:
            self._writer.changed.wait_for(lambda: self._index.version > after or self._writer.closed, timeout)
            return self._index.version

    def save_image(self, parts: Mapping[str, pa.RecordBatch], note: Mapping[str, Any] | None = None) -> Image:
        """Store named batches beside the log, and publish them with a commit that has the given note.

        An image is there as a whole or not at all. Commits of others go on meanwhile. Raises as `commit` does, but an
        error before the publishing commit leaves the log usable.
        """
        self._writer.check_open()
        with self._image_lock:
            number = max((placed.number for _, placed in self._index.images.values()), default=0) + 1
            with _explained(f'cannot write the image "{image_path(self._directory.images, number)}"'):
                placed = write_image(self._storage, self._directory.images, number, parts)
            commit = self._writer.submit(make_request([], placed, note))
            image, _ = self._index.images[commit.version]
            return image

    def images(self) -> tuple[Image, ...]:
        """All published images, oldest first."""
        self._writer.check_open()
        published = tuple(self._index.images.values())
        return tuple(image for image, _ in published if image.version <= self._index.version)

    def load_image(self, image: Image) -> dict[str, pa.RecordBatch]:
        """The batches of an image, verified. Raises `CorruptLog` if they are not what was saved."""
        self._writer.check_open()
        _, placed = self._index.images[image.version]
        with _explained(f'cannot read the image "{image.name}"'):
            return read_image(self._storage, self._directory.images, placed)

    def size_bytes(self) -> int:
        """Bytes in the files of the log: commits, rows and published images."""
        self._writer.check_open()
        with _explained(f'cannot read "{self._directory.path}"'):
            images = sum(
                self._storage.open(image_path(self._directory.images, placed.number)).size()
                for _, placed in tuple(self._index.images.values())
            )
            return self._commits.end + self._segments.size_bytes() + images

    def close(self) -> None:
        """Finish the commit that is under way, wake who waits, and let others open the database. Idempotent."""
        if self._writer.close():
            self._segments.close()
            self._directory.lock.release()

    def _restore(self) -> None:
        """Read the commit log, cut what is behind the truth, and verify the rows of the last commit."""
        ends: dict[tuple[int, int], int] = {}
        for position, record in self._commits.read():
            self._index.publish(record, position, parse_note(record.note))
            for placed in record.extents:
                ends[placed.stream, placed.segment] = placed.end
        for (stream, segment), end in sorted(ends.items()):
            self._segments.restore(stream, segment, end)
        for stream in self._index.streams:
            for _ in self.scan(stream, after=self.version - 1):
                pass

    def _range(self, stream: int, after: int, upto: int | None) -> tuple[StreamIndex, range]:
        self._writer.check_open()
        index = self._index.streams.get(stream) or StreamIndex()
        return index, index.rows(after, self._index.upto(upto))

    def _chunk(self, stream: int, index: StreamIndex, number: int) -> Chunk:
        self._writer.check_open()
        placed = index.placed(number, stream)
        version = index.version(number)
        with _explained(f'cannot read "{self._segments.path(stream, placed.segment)}"'):
            rows = self._segments.read(placed, version, check=not index.is_verified(number))
        index.set_verified(number)
        return Chunk(version, self._index.commits.time_of(version), placed.partition, placed.offset, rows)

    def _note(self, version: int) -> dict[str, Any]:
        self._writer.check_open()
        with _explained(f'cannot read "{self._directory.commits}"'):
            return self._commits.note(self._index.commits.position(version))


def encoded(append: Append) -> tuple[int, int, Rows]:
    """An append as the writer takes it: the expensive part of a commit, done by the thread that asks for it."""
    assert 0 <= append.stream < 1 << 32 and 0 <= append.partition < 1 << 32, "a number does not fit its field"
    return append.stream, append.partition, encode_rows(append.rows)


@contextmanager
def _explained(what: str) -> Iterator[None]:
    """Turn an error of the operating system into one for the user."""
    try:
        yield
    except OSError as error:
        kind = NoSpace if error.errno in NO_SPACE else StorageError
        raise kind(f"{what}: {(error.strerror or str(error)).lower()}") from error
