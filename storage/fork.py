"""Forking a database: a second one that begins as the first was at some version, and shares its bytes.

In: a database, which may be in use, a path where nothing is yet, and a version; out: a database of its own there, in a
time that does not depend on how many bytes there are. Its files are those of the original, by second names: nothing
ever changes a file in place that has more than one name (see `segments.py`, `files.empty_file` and `files.own_file`),
so what becomes of one of the two does not matter to the other. Only the commit file with the version is copied, up to
that version, because both go on in it.

What retention has taken from the original since then is gone for the fork, too. Then it begins with a commit that says
so. FORMAT is written last: a fork that was not finished is no database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from headwater.errors import CorruptLog, PositionGone, StorageError
from headwater.storage.chain import CommitLog, commits_path
from headwater.storage.commits import CommitFile, CommitGroup, Record, pack_json
from headwater.storage.copies import check_target, with_retries
from headwater.storage.directory import OpenDirectory, copy_format, read_format
from headwater.storage.failures import explained
from headwater.storage.files import NO_LINKS, Storage, copy_bytes, empty_file, parent, sync_file
from headwater.storage.frames import HEADER_BYTES, BadFrame, unpack_header
from headwater.storage.images import image_path
from headwater.storage.index_files import index_path
from headwater.storage.retention import live_images
from headwater.storage.segments import Segments
from headwater.storage.state import ImageState, State, StreamState, named_by, pack_schema, pack_start

Known = Callable[[], tuple[CommitLog, State]]  # the chain of an open log, and its state now
IsOf = Callable[[Mapping[str, Any], int], bool]  # note of an image, version: whether it shows nothing younger than that


@dataclass(frozen=True, slots=True)
class Fork:
    """A finished fork: the version that it is as of, how many files it shares, how many bytes were copied."""

    version: int
    shared: int
    copied: int


def nothing_later(_note: Mapping[str, Any], _version: int) -> bool:
    """That images which were published later are not taken along."""
    return False


def fork(
    storage: Storage,
    path: str,
    target: str,
    version: int | None = None,
    is_of: IsOf = nothing_later,
    known: Known | None = None,
) -> Fork:
    """Make a fork of the database at `path` as of a version (default: now), in `target`, which must not exist or be an
    empty directory.

    An image that was published later, and of which `is_of` says that it shows nothing younger, is taken along. Raises
    `PositionGone` for a version that retention has taken, and `StorageError` for one that is not there yet, if there is
    something at `target`, or if files cannot be read or written. What is there of the fork then is no database.

    Of a log that is open in this process, what is `known` need not be read.
    """
    path, target = path.rstrip("/") or path, target.rstrip("/") or target
    with explained(f'cannot fork "{path}" to "{target}"'):
        check_target(storage, path, target)
        return with_retries(
            _Forking(storage, path, target, version, is_of, known or partial(_read, storage, path)).forked,
            "the fork was not finished: retention removed files again and again before they were shared",
            hint="try again with a longer retention",
        )


@dataclass(frozen=True, slots=True)
class _Point:
    """A database as of a version: the commit file that has it, by first version, and its last frame up to there."""

    state: State
    first: int
    position: int
    end: int
    seal: int
    recent: frozenset[tuple[int, int]]  # stream and segment: what the last commits name, and may not be durable yet
    older: tuple[int, ...]  # the commit files before


class _Forking:
    """The making of one fork. `_made` are the paths of its files so far."""

    def __init__(
        self, storage: Storage, path: str, target: str, version: int | None, is_of: IsOf, known: Known
    ) -> None:
        self._storage = storage
        self._path = path
        self._target = target
        self._version = version
        self._is_of = is_of
        self._known = known
        self._made: list[str] = []
        self._shared = 0
        self._copied = 0

    def forked(self) -> Fork:
        """The finished fork. Raises `FileNotFoundError` or `CorruptLog` where the original has changed meanwhile."""
        chain, now = self._known()
        point = _point_of(self._storage, chain, now, self._version)
        record = _since(point.state, now, self._is_of)
        version = point.state.version
        self._begin()
        self._copy_commits(point, record)
        if record is not None:
            point.state.apply(record, point.first)
        self._share(point)
        self._check_unchanged(point)
        self._finish()
        return Fork(version, self._shared, self._copied)

    def _begin(self) -> None:
        """Make the directories, and remove what an earlier try has left in them."""
        for directory in ("", "/commits", "/streams", "/images"):
            self._make_directory(f"{self._target}{directory}")
        while self._made:
            self._storage.remove(self._made.pop())
        self._shared = self._copied = 0

    def _make_directory(self, path: str) -> None:
        if not self._storage.exists(path):
            self._storage.mkdir(path)

    def _copy_commits(self, point: _Point, record: Record | None) -> None:
        """Copy the commit file with the version up to there, and add a commit to it."""
        file = commits_path("commits", point.first)
        self._copy(file, point.end)
        if record is not None:
            group = CommitGroup(point.end, point.seal)
            group.add_commit(record)
            copy = self._storage.open(f"{self._target}/{file}")
            group.chain.write(copy)
            sync_file(copy)
            copy.close()

    def _share(self, point: _Point) -> None:
        """Give all other files of the fork their second names."""
        for first in point.older:
            self._share_commits(commits_path("commits", first), is_last=first == point.older[-1])
        for number, stream in point.state.streams.items():
            if stream.segments:
                self._share_segments(number, stream, point)
        for image in sorted(live_images(point.state)):
            self._link(image_path("images", image))

    def _share_segments(self, number: int, stream: StreamState, point: _Point) -> None:
        """Share the segments of a stream; an empty one behind them lets the fork never go on in what it shares."""
        directory = f"streams/{number}"
        self._make_directory(f"{self._target}/{directory}")
        for segment in stream.segments:
            file = f"{directory}/{segment.number}.seg"
            if segment.version > stream.start.version or self._storage.exists(f"{self._path}/{file}"):
                self._link(file, segment.end, sync=(number, segment.number) in point.recent)
        following = f"{self._target}/{directory}/{stream.segments[-1].number + 1}.seg"
        empty_file(self._storage, following).close()
        self._made.append(following)

    def _share_commits(self, file: str, *, is_last: bool) -> None:
        """Share a finished commit file. One that does not say so is copied: whoever opens it will finish it."""
        source = self._storage.open(f"{self._path}/{file}")
        size = source.size()
        is_finished = CommitFile(source, file, 0).ends_rolled()
        source.close()
        if not is_finished:
            self._copy(file, size)
            return
        self._link(file, sync=is_last)
        if self._storage.exists(f"{self._path}/{index_path(file)}"):
            self._link(index_path(file))

    def _link(self, file: str, end: int | None = None, *, sync: bool = False) -> None:
        """Give a file its second name, and make its bytes durable if they need not be; or copy it up to `end`."""
        target = f"{self._target}/{file}"
        try:
            self._storage.link(f"{self._path}/{file}", target)
        except OSError as error:
            if error.errno not in NO_LINKS:
                raise
            self._copy(file, end)
            return
        self._made.append(target)
        self._shared += 1
        if sync:
            opened = self._storage.open(target)
            sync_file(opened)
            opened.close()

    def _copy(self, file: str, end: int | None) -> None:
        source = self._storage.open(f"{self._path}/{file}")
        size = source.size() if end is None else end
        target = empty_file(self._storage, f"{self._target}/{file}")
        self._made.append(f"{self._target}/{file}")
        copy_bytes(source, target, 0, size)
        sync_file(target)
        if target.size() < size:
            raise CorruptLog(f'"{self._path}/{file}" ends before byte {size} up to which it was committed')
        self._copied += size
        source.close()
        target.close()

    def _check_unchanged(self, point: _Point) -> None:
        """Raise `CorruptLog` unless the original still has the commit that the fork ends with.

        Whoever takes it back, as a commit that failed or by a repair, does that before anything is cut in segments. So
        if it is still there, their second names have come in time.
        """
        path = commits_path(f"{self._path}/commits", point.first)
        file = self._storage.open(path)
        try:
            _, seal = unpack_header(file.read(point.position, HEADER_BYTES))
        except BadFrame:
            seal = None
        file.close()
        if seal != point.seal:
            raise CorruptLog(f'"{path}" was changed at byte {point.position} while it was forked')

    def _finish(self) -> None:
        """Make all names durable; then, as the last thing, make the fork a database."""
        directories = {parent(path) for path in self._made} | {f"{self._target}/streams", self._target}
        for directory in [*sorted(directories), parent(self._target)]:
            self._storage.sync_dir(directory)
        copy_format(self._storage, self._path, self._target)


def _read(storage: Storage, path: str) -> tuple[CommitLog, State]:
    """The chain and the state of the database at `path`, which another process may have open."""
    directory = OpenDirectory(path, read_format(storage, path), None)
    chain = CommitLog(storage, directory, is_whole=Segments(storage, directory.streams, 0).is_whole)
    chain.open(repair=False)
    return chain, chain.state


def _point_of(storage: Storage, chain: CommitLog, now: State, version: int | None) -> _Point:
    """The database as of a version (default: the newest), which the state is `now` of."""
    latest, earliest = now.version, chain.first_version - 1
    version = latest if version is None else version
    if not 0 <= version <= latest:
        raise StorageError(f"there is no version {version}: the latest is {latest}")
    if version < earliest:
        raise _gone(version, earliest)
    first = chain.file_of(version)
    commits, index = chain.index_at(first)
    position = index.position(version) if version >= first else 0
    try:
        header, seal = unpack_header(commits.file.read(position, HEADER_BYTES))
        state = now if version == latest else _state_at(storage, commits.path, first, version)
    except BadFrame as reason:
        raise CorruptLog(f'"{commits.path}" is damaged: {reason}') from None
    group = [v for v in range(first, version + 1) if index.position(v) >= header.base]
    named = [placed for v in group for placed in named_by(commits.record(index.position(v), v))]
    recent = frozenset((placed.stream, placed.segment) for placed in named)
    older = tuple(n for n in chain.files() if n < first)
    return _Point(state, first, position, position + header.size, seal, recent, older)


def _state_at(storage: Storage, path: str, first: int, version: int) -> State:
    """The state as of a version of a commit file. Raise `BadFrame` if that is not there."""
    commits = CommitFile(storage.open(path), path, first)
    commits.open()
    state = State.from_json(commits.base)
    for _, record in commits.read() if version >= first else ():
        state.apply(record, first)
        if record.version == version:
            break
    if state.version != version:
        raise BadFrame(f"it ends before version {version}")
    return state


def _since(state: State, now: State, is_of: IsOf) -> Record | None:
    """The commit that a fork as of `state` begins with: what the original has given up since then, and the youngest
    image of then that was published since. None if there is nothing of that.

    Its time is that of the commit before, since nothing has happened in between.
    """
    starts = []
    for number, stream in state.streams.items():
        start = now.streams[number].start
        if start.version > state.version:
            raise _gone(state.version, max(stream.start.version for stream in now.streams.values()))
        if start.version > stream.start.version:
            starts.append(pack_start(number, start))
    effects: dict[str, Any] = {}
    if starts:
        effects["starts"] = starts
        new = range(len(state.schemas), len(now.schemas))  # rows in the place of others may have one of these
        effects["schemas"] = [[number, pack_schema(now.schemas[number])] for number in new]
    if discard := [version for version in state.images if version not in now.images]:
        effects["discard"] = discard
    if now.history > state.history:
        effects["history"] = now.history
    if lost := [list(rows) for rows in now.lost if rows not in state.lost and rows[1] <= state.version]:
        effects["lost"] = lost
    images = [i for i in now.images.values() if i.version > state.version and is_of(i.note, state.version)]
    if images:
        effects["image"] = _pack_image(images[-1])
    note = pack_json(images[-1].note) if images else b""
    return Record(state.version + 1, state.time_us, (), effects, note) if effects else None


def _pack_image(image: ImageState) -> list[Any]:
    return [image.number, image.seal, image.position, image.nbytes, list(image.others)]


def _gone(version: int, earliest: int) -> PositionGone:
    return PositionGone(
        f"version {version} is no more: retention has taken what it was made of",
        earliest=earliest,
        hint=f"the earliest version is {earliest}",
    )
