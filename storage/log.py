"""The commit log with its streams: the whole of storage behind one class.

In: batches of rows for numbered streams, in atomic commits that are durable once `commit` returns; images. Out: the
committed rows again, as of any version, and an index of them. Storage knows no SQL: what streams mean, and what is in a
commit's note, is up to the caller.

How a commit becomes durable is in `writer.py`, how it is read in `history.py`, what the files look like in
`docs/log-format.md`.
"""

from __future__ import annotations

import threading
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import pyarrow as pa

from headwater.errors import CorruptLog, ReadOnly, StorageError
from headwater.storage.chain import COMMITS_BYTES, CommitLog
from headwater.storage.commits import pack_json
from headwater.storage.directory import OpenDirectory, open_directory
from headwater.storage.failures import explained
from headwater.storage.files import Storage
from headwater.storage.fork import Fork, IsOf, fork, nothing_later
from headwater.storage.groups import GroupOffsets
from headwater.storage.history import History
from headwater.storage.images import Parts, image_path, read_image, read_parts, write_image
from headwater.storage.once import OnceKey
from headwater.storage.pending import Check
from headwater.storage.producers import Stamp
from headwater.storage.readers import Readers
from headwater.storage.records import Append, Chunk, Commit, Extent, Image
from headwater.storage.retention import Remover, live_images
from headwater.storage.segments import SEGMENT_BYTES, Segments
from headwater.storage.state import ImageState, Start, State, StreamState
from headwater.storage.writer import INLINE_BYTES, Removal, Request, Writer, encode_appends

_Item = TypeVar("_Item")
_WATCH_SECONDS = 0.05  # how often one who only reads looks for commits of another process


class Log:
    """An open database directory. All methods may be called from any thread."""

    def __init__(
        self, storage: Storage, directory: OpenDirectory, segment_bytes: int, inline_bytes: int, commits_bytes: int
    ) -> None:
        """Use `Log.open`."""
        self._storage = storage
        self._directory = directory
        self._segments = Segments(storage, directory.streams, segment_bytes)
        self._chain = CommitLog(storage, directory, commits_bytes, self._segments.is_whole)
        self._readers = Readers()
        self._remover = Remover(storage, self._chain, self._segments, self._readers, directory.images)
        self._history = History(self._chain, self._segments, self._readers, self._check_open)
        self._image_lock = threading.Lock()
        self._refresh_lock = threading.Lock()
        self._closing = threading.Event()
        self._writer: Writer | None = None
        with explained(f'cannot open the database "{directory.path}"'):
            self._chain.open(repair=not directory.read_only)
            self._chain.check_oldest()
            if not directory.read_only:
                self._restore()
                self._writer = Writer(storage, directory.path, self._chain, self._segments, inline_bytes)

    @classmethod
    def open(
        cls,
        storage: Storage,
        path: str,
        *,
        create: bool = True,
        read_only: bool = False,
        segment_bytes: int = SEGMENT_BYTES,
        inline_bytes: int = INLINE_BYTES,
        commits_bytes: int = COMMITS_BYTES,
    ) -> Log:
        """Open the database at `path`, and repair what a crash left behind; with `create`, make it if there is none.

        With `read_only` nothing is changed, and another process may write the database meanwhile; `refresh` takes up
        what it has committed. A new segment is begun when one has `segment_bytes`, and a new commit file when one has
        `commits_bytes`; a commit of at most `inline_bytes` of rows is kept in the commit file. Raises `NotADatabase`,
        `AlreadyOpen`, `CorruptLog`, or another `StorageError`.
        """
        path = path.rstrip("/") or path
        with explained(f'cannot open the database "{path}"'):
            directory = open_directory(
                storage, path, partial(CommitLog.create, storage), create=create, read_only=read_only
            )
        try:
            return cls(storage, directory, segment_bytes, inline_bytes, commits_bytes)
        except BaseException:
            directory.release()
            raise

    def _restore(self) -> None:
        """Cut what is behind the truth, remove what is not part of it, verify the rows of the last commit."""
        self._segments.sync_found()
        streams = self._chain.state.streams
        for number, stream in streams.items():
            if stream.segments:
                self._segments.restore(number, stream.segments[-1], stream.start)
        self._remover.remove_unneeded(streams)
        for number in self._chain.tail.streams:
            for _ in self._history.scan(number, max(self.version - 1, self.start(number).version), None, None):
                pass

    # ---------------------------------------------------------------- committing

    @property
    def version(self) -> int:
        """Number of the last published commit; 0 when there is none."""
        return self._chain.published

    def commit(
        self,
        appends: Sequence[Append],
        note: Mapping[str, Any] | None = None,
        *,
        keep: bool = False,
        stamp: Stamp | OnceKey | None = None,
        offsets: Sequence[GroupOffsets] = (),
        check: Check | None = None,
    ) -> Commit:
        """Commit rows of any number of streams, and a note, as one; return once that is durable.

        Empty batches are skipped. The note is a small mapping that JSON can hold; with `keep` it is among `kept` for
        ever. `offsets` of consumer groups are committed along. With a `stamp`, a commit that was made before is not
        made again, and the answer is the same. Commits of several threads share syncs. Commit times never decrease.

        Raises what `check` does, `DataError` for rows that cannot be stored, a `Rejected` for a stamp or offsets that
        are not allowed, `NoSpace` when the disk is full, and `StorageError` when the disk fails: then the log takes no
        more commits, and whether this one was made shows when it is opened again.
        """
        rows = encode_appends(appends)
        commit = self._submit(Request(rows, pack_json(note or {}), keep, stamp, tuple(offsets), appends, check))
        is_known = commit.duplicate and commit.version >= self._chain.first_version
        return replace(commit, time_us=self.time_of(commit.version)) if is_known else commit

    def register(self, name: str) -> Stamp:
        """Register a producer, durably, and fence those that were registered under this name before.

        The stamp has the number of the producer's last commit, of whatever epoch; its next commit has the number after.
        """
        request = Request(register=name)
        self._submit(request)
        assert request.registered is not None
        return request.registered

    def group_offsets(self, group: str) -> dict[tuple[int, int], int]:
        """Where a consumer group goes on: (stream, partition) -> next offset to read, where it committed one."""
        self._check_open()
        return self._chain.state.groups.offsets(group)

    def generation(self, group: str) -> int:
        """The current generation of a consumer group; 0 if it never committed anything."""
        self._check_open()
        return self._chain.state.groups.generation(group)

    def groups(self) -> tuple[str, ...]:
        """Names of the consumer groups that there are."""
        self._check_open()
        return self._chain.state.groups.names()

    def _submit(self, request: Request) -> Commit:
        if self._writer is None:
            raise ReadOnly(f'the database "{self._directory.path}" is open for reading only')
        return self._writer.submit(request)

    # ---------------------------------------------------------------- reading

    def scan(
        self, stream: int, after: int = 0, upto: int | None = None, columns: Sequence[str] | None = None
    ) -> Iterator[Chunk]:
        """The rows committed to a stream with after < version <= upto (default: now), in commit order.

        Within a commit they come in the order of its appends. With `columns`, only these are read; one that some rows
        do not have, since they are older than it, is left out of them. Rows are not copied where that can be avoided,
        and stay valid for as long as they are referenced. Of a stream that retention has cut, `after=0` gives what is
        there, and positions before its start raise `PositionGone`. Raises `CorruptLog` where the bytes are not what was
        committed.
        """
        return self._explain_each(self._history.scan(stream, after, upto, columns))

    def extents(self, stream: int, after: int = 0, upto: int | None = None) -> Iterator[tuple[int, Extent]]:
        """Versions and extents of what `scan` gives, from the index alone: no rows are read."""
        return self._explain_each(self._history.extents(stream, after, upto))

    def ends(self, stream: int, version: int | None = None) -> dict[int, int]:
        """The next offset of each partition of a stream that has rows, as of a version (default: now)."""
        with self._reading():
            return self._history.ends(stream, version)

    def row_count(self, stream: int, version: int | None = None) -> int:
        """How many rows were committed to a stream up to a version (default: now), also those that are no more."""
        with self._reading():
            return self._history.rows(stream, version)

    def start(self, stream: int) -> Start:
        """Where a stream begins: the version up to which rows are no more, and the offsets that follow."""
        self._check_open()
        return self._history.start(stream)

    def starts(self, stream: int) -> dict[int, int]:
        """The earliest offset of each partition from which retention took rows."""
        return dict(self.start(stream).ends)

    def first(self, stream: int, count: int, upto: int | None = None) -> tuple[int, dict[int, int]] | None:
        """The version that committed the `count`-th row of a stream, counted from 1 in log order, and where the first
        `count` rows end: partition -> next offset. None if there are fewer rows up to the version `upto`.
        """
        with self._reading():
            return self._history.first(stream, count, upto)

    def version_of(self, stream: int, partition: int, offset: int) -> int:
        """The version that committed the row at an offset, which must be there."""
        with self._reading():
            return self._history.version_of(stream, partition, offset)

    def version_before(self, stream: int, nbytes: int) -> int:
        """The youngest version of which the rows after it take no more than so many bytes; 0 if all rows do not."""
        with self._reading():
            return self._history.version_before(stream, nbytes)

    def bytes_after(self, stream: int, after: int = 0) -> int:
        """Bytes that the rows take which were committed to a stream after a version, and are still there."""
        with self._reading():
            return self._history.bytes_after(stream, after)

    @property
    def first_version(self) -> int:
        """The oldest version of which the log still knows when it was, and what was in it."""
        return self._chain.first_version

    def time_of(self, version: int) -> int:
        """When a version, from `first_version` to `version`, was committed: µs since 1970."""
        with self._reading():
            return self._history.time_of(version)

    def version_at(self, time_us: int) -> int:
        """The last version committed at or before a time in µs since 1970; 0 if there is none, or it is no more."""
        with self._reading():
            return self._history.version_at(time_us)

    def notes(self, key: str, after: int = 0) -> Iterator[tuple[int, Any]]:
        """Versions, younger than `after`, of commits whose note has `key`, in order, each with the value of the key."""
        return self._explain_each(self._history.notes(key, after))

    def note_before(self, key: str, upto: int) -> tuple[int, Any] | None:
        """The last version up to `upto` of a commit whose note has `key`, and its value; a longer log costs no more."""
        with self._reading():
            return self._history.note_before(key, upto)

    def kept(self, key: str, upto: int | None = None) -> Iterator[tuple[int, Any]]:
        """As `notes`, up to a version (default: now), of commits made with `keep`: a longer log costs no more."""
        return self._history.kept(key, upto)

    def seal_of(self, version: int) -> int:
        """What a commit's record, and all before it, can be told by from those of other logs: a checksum."""
        with self._reading():
            return self._history.seal_of(version)

    def effects(self, version: int) -> Mapping[str, Any]:
        """What a commit changed besides adding rows: see `state.py`."""
        with self._reading():
            return self._history.effects(version)

    def wait(self, after: int, timeout: float | None) -> int:
        """Sleep until there is a version above `after` or it is closed, at most so long; return the current version."""
        self._check_open()
        if (writer := self._writer) is None:
            return self._watch(after, timeout)
        with writer.changed:
            writer.changed.wait_for(lambda: self.version > after or writer.closed, timeout)
            return self.version

    def refresh(self) -> int:
        """Take up what another process has committed, if this log is open for reading only; the current version."""
        self._check_open()
        if self._writer is None:
            with self._refresh_lock, self._reading():
                self._chain.refresh()
                self._chain.unneeded()  # the other process removes them
        return self.version

    def _watch(self, after: int, timeout: float | None) -> int:
        """`wait` where another process commits, which cannot wake this one."""
        deadline = None if timeout is None else self._storage.monotonic() + timeout
        while not self._closing.is_set() and self.refresh() <= after:
            if deadline is not None and self._storage.monotonic() >= deadline:
                break
            self._closing.wait(_WATCH_SECONDS)
        return self.version

    # ---------------------------------------------------------------- images

    def save_image(self, parts: Parts, note: Mapping[str, Any] | None = None) -> Image:
        """Store named tables beside the log, and publish them with a commit that has the given note.

        Chunks of tables that the image before has, too, are not written again. An image is there as a whole
        or not at all. Commits of others go on meanwhile. Raises as `commit` does, but an error before the publishing
        commit leaves the log usable.
        """
        if self._writer is None:
            raise ReadOnly(f'the database "{self._directory.path}" is open for reading only')
        self._writer.check_open()
        with self._image_lock:
            state = self._chain.state
            before = next(reversed(tuple(state.images.values())), None)
            number = state.image_number + 1
            with explained(f'cannot write the image "{image_path(self._directory.images, number)}"'):
                placed = write_image(self._storage, self._directory.images, number, parts, before)
            commit = self._submit(Request(packed_note=pack_json(note or {}), image=placed))
            return self._chain.state.images[commit.version].image

    def images(self) -> tuple[Image, ...]:
        """All published images, oldest first."""
        self._check_open()
        published = tuple(self._chain.state.images.values())
        return tuple(image.image for image in published if image.version <= self.version)

    def load_image(self, image: Image) -> dict[str, pa.RecordBatch]:
        """The tables of an image, verified. Raises `CorruptLog` if they are not what was saved."""
        with self._reading_image(image) as state:
            return read_image(self._storage, self._directory.images, state)

    def load_parts(self, image: Image, names: Collection[str]) -> dict[str, pa.Table]:
        """Those tables of an image that are named, as `load_image` gives them, in the chunks in which they lie there.

        The rest of the image is not read, and rows are not copied.
        """
        with self._reading_image(image) as state:
            return read_parts(self._storage, self._directory.images, state, names)

    @contextmanager
    def _reading_image(self, image: Image) -> Iterator[ImageState]:
        self._check_open()
        state = self._chain.state.images.get(image.version)
        if state is None:
            raise CorruptLog(f'the image "{image.name}" is no more')
        with explained(f'cannot read the image "{image.name}"'), self._readers.reading():
            yield state

    # ---------------------------------------------------------------- removing

    def retain(
        self, starts: Mapping[int, int], *, history: int = 0, discard: Sequence[Image] = (),
        note: Mapping[str, Any] | None = None,
    ) -> Commit:  # fmt: skip
        """Take the oldest out of the log, as one commit: of each stream in `starts` the rows up to a version, the
        images in `discard`, and commit records before version `history` once no rows need them.

        Files go when nothing in them is needed, and nobody reads them any more. A start never moves back.
        """
        moved = {s: (self._start_at(s, v), ()) for s, v in starts.items() if v > self.start(s).version}
        return self._remove(Removal(moved, [image.version for image in discard], history), note)

    def compact(
        self, stream: int, version: int, replacement: Sequence[Append], note: Mapping[str, Any] | None = None
    ) -> Commit:
        """Put rows in the place of all that a stream has up to a version: the latest of each key, say.

        From then on a scan from the beginning gives them as rows of that version, and the rows after it; positions
        before it are gone. `replacement` is of that stream; offsets of its rows are counted from 0.
        """
        start = self._start_at(stream, version)
        return self._remove(Removal({stream: (start, encode_appends(replacement))}), note)

    def _start_at(self, stream: int, version: int) -> Start:
        assert version <= self.version, "the future cannot be removed"
        return Start(version, self.row_count(stream, version), self.ends(stream, version))

    def _remove(self, removal: Removal, note: Mapping[str, Any] | None) -> Commit:
        commit = self._submit(Request(packed_note=pack_json(note or {}), removal=removal))
        with suppress(OSError):  # the commit is made: what stays is found when the log is opened
            self._remover.remove_unneeded(removal.starts)
        return commit

    # ---------------------------------------------------------------- the whole

    def stream_files(self, stream: int) -> tuple[int, int]:
        """How many segments a stream has, and how many bytes these have; rows of small commits are not in segments."""
        self._check_open()
        known = self._chain.state.streams.get(stream, StreamState(0)).segments
        return len(known), sum(segment.end for segment in known)

    def size_bytes(self) -> int:
        """Bytes in the files of the log: commits, rows and published images."""
        self._check_open()
        with explained(f'cannot read "{self._directory.path}"'):
            images = [image_path(self._directory.images, number) for number in live_images(self._chain.state)]
            return (
                sum(self._storage.open(path).size() for path in (*self._chain.older_paths(), *images))
                + self._chain.current.end
                + sum(self.stream_files(stream)[1] for stream in tuple(self._chain.state.streams))
            )

    @property
    def path(self) -> str:
        """The directory."""
        return self._directory.path

    @property
    def is_read_only(self) -> bool:
        """Whether it was opened for reading only."""
        return self._writer is None

    def fork(self, target: str, version: int | None = None, is_of: IsOf = nothing_later) -> Fork:
        """As `fork.fork`, of this database, without reading what is known here."""
        self._check_open()
        assert self._writer is not None, "who only reads does not write a fork either"
        return fork(self._storage, self._directory.path, target, version, is_of, self._known)

    def _known(self) -> tuple[CommitLog, State]:
        """The chain, and the state as it is now."""
        assert self._writer is not None
        with self._writer.changed:
            return self._chain, State.from_json(self._chain.state.to_json())

    @property
    def state(self) -> State:
        """All that the log adds up to; not to be changed, and only good until the next commit."""
        return self._chain.state

    def close(self) -> None:
        """Finish the commit that is under way, wake who waits, and let others open the database. Idempotent."""
        if self._writer is not None and not self._writer.close():
            return
        self._closing.set()
        self._segments.files.clear()
        self._directory.release()

    def _check_open(self) -> None:
        if self._closing.is_set() or (self._writer is not None and self._writer.closed):
            raise StorageError(f'the database "{self._directory.path}" is closed')

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with explained(f'cannot read "{self._directory.path}"'):
            yield

    def _explain_each(self, items: Iterator[_Item]) -> Iterator[_Item]:
        with self._reading():
            yield from items
