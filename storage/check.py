"""Checking a database: every byte that was committed, without changing any.

In: a directory, which another process may have open, and which may be too damaged to be opened. Out: findings, each
with its place. `check_commits.py` reads the commit log, `verify.py` compares ledgers with their hashes; here is what
the commits name: rows, segments and images; and which files are left that nothing names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress

import pyarrow as pa

from headwater.errors import CorruptLog, NotADatabase
from headwater.storage.chain import commits_path, listed_files
from headwater.storage.check_commits import CommitsCheck, latest_state
from headwater.storage.commits import INLINE, CommitFile, Placed, Record
from headwater.storage.directory import read_format
from headwater.storage.failures import explained
from headwater.storage.file_cache import FileCache
from headwater.storage.files import Storage
from headwater.storage.findings import Finding, damage, remark
from headwater.storage.frames import BadFrame, frame_size
from headwater.storage.images import Place, image_path, verify_image
from headwater.storage.index_files import index_path
from headwater.storage.records import Extent
from headwater.storage.retention import live_images
from headwater.storage.segments import checked_rows
from headwater.storage.state import Segment, State
from headwater.storage.verify import Hashed, Verification, Wanted

Progress = Callable[[int, int], None]  # bytes that are done, bytes in all

_KNOWN = {"FORMAT", "LOCK", "commits", "streams", "images", "lost"}


class Check:
    """One check of one database. What it counted is known once `findings` is exhausted."""

    def __init__(
        self,
        storage: Storage,
        path: str,
        on_progress: Progress = lambda done, total: None,
        hashed: Hashed | None = None,
    ) -> None:
        """Ledgers are verified if it is said how their rows are hashed."""
        self._storage = storage
        self._hashed = hashed
        self._path = path.rstrip("/") or path
        self._on_progress = on_progress
        self._segments = FileCache(storage)
        self._done = 0
        self._state: State | None = None
        self._given_up: set[tuple[int, ...]] = set()
        self._missed: dict[str, State] = {}  # the state when a file was found to be missing or damaged
        self.changed_ledgers: list[int] = []
        self.commits = 0
        self.streams = 0
        self.files = 0
        self.nbytes = 0

    def findings(self) -> Iterator[Finding]:
        """What is wrong, and what is worth a remark. Raises `NotADatabase`, or another `StorageError` where files
        cannot even be read."""
        try:
            with explained(f'cannot check "{self._path}"'):
                yield from self._findings()
        finally:
            self._segments.clear()

    @property
    def state(self) -> State | None:
        """The state after the last commit that can be read, once `findings` is exhausted; None if there is none."""
        return self._state

    def _findings(self) -> Iterator[Finding]:
        listed = self._listed()
        origin: int | None = None
        try:
            origin = read_format(self._storage, self._path)
        except FileNotFoundError:
            yield damage("format", f"{self._path}/FORMAT", 0, "the file is missing")
        except CorruptLog as error:
            yield damage("format", f"{self._path}/FORMAT", 0, error.message)
        directory = f"{self._path}/commits"
        firsts = listed_files(self._storage, directory)
        self._state = latest_state(self._storage, directory, firsts)
        if not firsts:
            yield damage("commits", directory, 0, "there is no commit file")
        state = self._state if self._state is not None else State(0)
        self._given_up = set(state.lost)
        self._measure(listed)
        chain = CommitsCheck(self._storage, directory, origin, state.version)
        yield from self._check_segments(state)
        yield from self._check_commits(chain, firsts, state)
        yield from self._check_replacements(state)
        yield from self._check_images(state)
        yield from self._check_names(listed, state)
        self.commits, self.streams = chain.commits, len(state.streams)
        self._on_progress(self.nbytes, self.nbytes)

    # ---------------------------------------------------------------- the files

    def _listed(self) -> list[str]:
        """Paths of all files in the directory, before the state is read that says which are needed."""
        if not self._storage.exists(f"{self._path}/commits"):
            raise NotADatabase(f'there is no database at "{self._path}"')
        found = []
        for name in self._names(self._path):
            if name in ("commits", "images"):
                found += [f"{self._path}/{name}/{file}" for file in self._names(f"{self._path}/{name}")]
            elif name == "streams":
                streams = f"{self._path}/streams"
                found += [
                    f"{streams}/{s}/{file}" for s in self._names(streams) for file in self._names(f"{streams}/{s}")
                ]
            else:
                found.append(f"{self._path}/{name}")
        return found

    def _names(self, path: str) -> list[str]:
        try:
            return self._storage.listdir(path)
        except (FileNotFoundError, NotADirectoryError):
            return []

    def _measure(self, listed: list[str]) -> None:
        for path in listed:
            if path.endswith((".log", ".seg", ".img", ".idx")):
                with suppress(FileNotFoundError):
                    file = self._storage.open(path)
                    self.nbytes += file.size()
                    self.files += 1
                    file.close()

    def _advance(self, nbytes: int) -> None:
        self._done = min(self._done + nbytes, self.nbytes)
        self._on_progress(self._done, self.nbytes)

    def _check_names(self, listed: list[str], state: State) -> Iterator[Finding]:
        if self._state is None:
            return  # nothing is known about what is needed
        named = {f"{self._path}/{name}" for name in _KNOWN}
        for first in listed_files(self._storage, f"{self._path}/commits"):
            path = commits_path(f"{self._path}/commits", first)
            named |= {path, index_path(path)}
        for stream, known in state.streams.items():
            named |= {self._segment_path(stream, segment.number) for segment in known.segments}
            last = max((segment.number for segment in known.segments), default=-1)
            if self._is_empty(following := self._segment_path(stream, last + 1)):
                named.add(following)  # a fork begins with it
        named |= {self._image_path(number) for number in live_images(state)}
        for path in listed:
            if path not in named:
                yield remark("file", path, 0, "no commit names this file")
            elif path == f"{self._path}/lost":
                yield remark("file", path, 0, "holds what a repair gave up")

    def _is_empty(self, path: str) -> bool:
        return self._storage.exists(path) and not self._segments.open(path).size()

    def _check_commits(self, chain: CommitsCheck, firsts: Sequence[int], state: State) -> Iterator[Finding]:
        """The commits, their rows, and the ledgers that these are in."""
        ledgers: list[Verification] = []
        if self._hashed is not None:
            kept = [number for number, stream in state.streams.items() if stream.ledgers and not stream.start.version]
            wanted = [Wanted(number, state.version) for number in kept]  # all that were not dropped
            ledgers = [Verification(self._storage, self._path, each, self._hashed) for each in wanted]

        def visit(commits: CommitFile, before: State, record: Record) -> Iterator[Finding]:
            yield from self._check_rows(commits, before, record)
            for ledger in ledgers:
                yield from ledger.visit(commits, before, record)

        for ledger in ledgers:
            ledger.begin(state)
        yield from chain.findings(firsts, visit, self._advance)
        for ledger in ledgers:
            ledger.end(chain.state)
            changes = list(ledger.changes())
            if changes:
                self.changed_ledgers.append(ledger.stream)
            yield from changes

    # ---------------------------------------------------------------- rows

    def _segment_path(self, stream: int, segment: int) -> str:
        return f"{self._path}/streams/{stream}/{segment}.seg"

    def _check_segments(self, state: State) -> Iterator[Finding]:
        """Whether the segments are there and long enough. Which rows that costs is found with the commits."""
        for number, stream in state.streams.items():
            for segment in stream.segments:
                is_last = segment is stream.segments[-1]
                has_rows = segment.version > stream.start.version
                yield from self._check_segment(number, segment, is_last=is_last, has_rows=has_rows)

    def _check_segment(self, stream: int, segment: Segment, *, is_last: bool, has_rows: bool) -> Iterator[Finding]:
        path = self._segment_path(stream, segment.number)
        try:
            size = self._segments.open(path).size()
        except FileNotFoundError:
            if is_last and has_rows:
                yield damage("segment", path, 0, f"the file is missing; {segment.end} bytes of it were committed")
            return
        if size < segment.end and is_last:
            yield damage("segment", path, size, f"the file ends here; {segment.end} bytes of it were committed")
        elif size > segment.end:
            message = f"{size - segment.end} bytes that no commit names: a commit under way, or what a crash left"
            yield remark("file", path, segment.end, message)

    def _check_rows(self, commits: CommitFile, before: State, record: Record) -> Iterator[Finding]:
        """The rows of a commit, as far as they are still part of the log."""
        assert self._state is not None
        for placed in record.extents:
            stream = self._state.streams.get(placed.stream)
            if stream is None or record.version <= stream.start.version:
                continue
            start = stream.start
            if placed.offset < start.ends.get(placed.partition, 0):
                message = f"rows of commit {record.version} begin at offset {placed.offset}, before the stream's start"
                yield damage("commits", commits.path, placed.position, message, record.version - 1)
            yield from self._check_extent(commits, placed, record.version)

    def _check_replacements(self, state: State) -> Iterator[Finding]:
        """Rows that stand for older ones."""
        for stream in state.streams.values():
            for placed in stream.start.replacement:
                yield from self._check_extent(None, placed, stream.start.version)

    def _check_extent(self, commits: CommitFile | None, placed: Placed, version: int) -> Iterator[Finding]:
        key = (placed.stream, version, placed.partition, placed.offset, placed.count)
        if key in self._given_up:
            return
        inline_in = commits if placed.segment == INLINE else None
        path = inline_in.path if inline_in is not None else self._segment_path(placed.stream, placed.segment)
        try:
            file = inline_in.file if inline_in is not None else self._segments.open(path)
            checked_rows(file, placed, version if commits is not None else None, self._schemas)
            if inline_in is None:
                self._advance(frame_size(placed.payload_size))
            return
        except FileNotFoundError:
            if self._is_gone(path, placed.stream, version):
                return
            reason = "the file is missing"
        except BadFrame as bad:
            reason = str(bad)
        extent = Extent(placed.stream, placed.partition, placed.offset, placed.count)
        message = (
            f"{reason}; offsets {extent.offset} to {extent.offset + extent.count - 1} of stream {extent.stream}, "
            f"partition {extent.partition} (commit {version}) cannot be read"
        )
        yield damage("rows", path, placed.position, message, version, extent)

    @property
    def _schemas(self) -> list[pa.Schema]:
        assert self._state is not None
        return self._state.schemas

    def _is_gone(self, path: str, stream: int, version: int) -> bool:
        """Whether retention took the rows of a version, and with them a file, while the check went on."""
        now = self._state_now(path)
        return stream in now.streams and version <= now.streams[stream].start.version

    def _state_now(self, path: str) -> State:
        """The newest state at the time when something was first found to be wrong with a file."""
        if path not in self._missed:
            directory = f"{self._path}/commits"
            now = latest_state(self._storage, directory, listed_files(self._storage, directory))
            assert now is not None, "there was one before"
            self._missed[path] = now
        return self._missed[path]

    # ---------------------------------------------------------------- images

    def _image_path(self, number: int) -> str:
        return image_path(f"{self._path}/images", number)

    def _check_images(self, state: State) -> Iterator[Finding]:
        known: dict[Place, str | None] = {}
        for image in state.images.values():
            for place, nbytes, reason in verify_image(self._storage, f"{self._path}/images", image, known):
                self._advance(nbytes)
                path = self._image_path(place[0])
                if reason is not None and image.version in self._state_now(path).images:
                    message = f"{reason}; the image of version {image.version} cannot be read"
                    yield damage("image", path, place[1], message, image.version)
