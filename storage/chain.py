"""The commit log: the chain of commit files, and the state that they add up to.

To open it, the newest file is enough: its base is the sum of all before. Older files are indexes of the past, and are
looked into when somebody asks for it. A file that has grown large is *rolled*: the next one is begun with the state as
its base. Files that nobody needs any more are removed from the old end.

In: groups of commits, by way of `current`, and `add` for each commit that became true; out: state, and indexes by
version.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import NoReturn

from headwater.errors import CorruptLog
from headwater.storage.commits import CommitFile, Record
from headwater.storage.directory import OpenDirectory
from headwater.storage.files import Storage, SyncFailed, numbered_files, sync_directory, sync_file
from headwater.storage.frames import BadFrame
from headwater.storage.index import FileIndex
from headwater.storage.index_files import index_path, load_index, write_index
from headwater.storage.state import State

COMMITS_BYTES = 4 << 20  # a commit file of this size is rolled
BASE_SHARE = 4  # a commit file is not rolled before it has this many times the bytes of its base
LOADED_FILES = 16  # indexes of older files that are held
_RESTORE = "restore the file from a copy, or see what headwater repair can save"


class CommitLog:
    """The commit files of one database. Only one thread writes; any may ask for indexes."""

    def __init__(
        self,
        storage: Storage,
        directory: OpenDirectory,
        commits_bytes: int = COMMITS_BYTES,
        is_whole: Callable[[Record], bool] = lambda _: True,
    ) -> None:
        """`is_whole` tells whether all rows of a commit that are in segments are there."""
        self._storage = storage
        self._directory = directory
        self._is_whole = is_whole
        self._commits_bytes = commits_bytes
        self._lock = threading.Lock()  # guards the next three
        self._firsts: list[int] = []  # first versions of the files
        self._loaded: OrderedDict[int, tuple[CommitFile, FileIndex]] = OrderedDict()
        self.current: CommitFile
        self.tail: FileIndex  # of the current file
        self.state: State
        self.published = 0  # the last version that readers see

    # ---------------------------------------------------------------- opening

    def open(self, *, repair: bool) -> None:
        """Read the newest file. With `repair` what a crash left behind its end is cut off."""
        self._firsts = listed_files(self._storage, self._directory.commits)
        if not self._firsts:
            raise CorruptLog(f'"{self._directory.commits}" has no commit file', hint=_RESTORE)
        self.current = self._open_newest(repair=repair)
        self.state = State.from_json(self.current.base)
        if self.state.origin != self._directory.origin:
            raise CorruptLog(f'"{self.current.path}" belongs to another database than the FORMAT file beside it')
        self.tail = FileIndex(self.current.first, State.from_json(self.current.base))
        self.refresh()
        if repair:
            self.current.cut()

    def refresh(self) -> None:
        """Take up commits that are in the current file by now, and in files that follow it."""
        stuck_at = -1
        while True:
            try:
                for position, record in self.current.read(self._is_whole):
                    self.add(record, position)
            except BadFrame as reason:
                if self.current.end == stuck_at:
                    self.current.refuse_unless_torn(reason)
                    self.published = self.state.version
                    return
                stuck_at = self.current.end  # another process may be writing just now: look again
                continue
            self.published = self.state.version
            if not (self.current.is_rolled or self._is_left()):
                return
            self._follow()

    def _open_newest(self, *, repair: bool) -> CommitFile:
        """The newest file that is part of the chain.

        A crash while a file was rolled may leave a next one without a whole base, or one after which the file before
        went on. It is removed, unless a mark or a commit says that it was in use.
        """
        newest = self._file(self._firsts[-1])
        bad: BadFrame | None = None
        try:
            newest.open()
        except BadFrame as reason:
            bad = reason
        if len(self._firsts) > 1:
            before = self._file(self._firsts[-2])
            if not before.ends_rolled():
                self._read_to_end(before)
                is_marked = before.is_rolled  # by a writer, while this one was reading
                if not is_marked and (bad is not None or newest.previous != before.seal):
                    return self._fall_back(newest, before, repair=repair)
                if repair and not is_marked:
                    self._finish_roll(before, newest)
        if bad is not None:
            raise _damaged(newest, bad)
        return newest

    def _fall_back(self, newest: CommitFile, before: CommitFile, *, repair: bool) -> CommitFile:
        """The file before the newest, which is the remains of a roll."""
        if newest.has_commits():
            if before.version + 1 < newest.first:
                raise _cut_short(before, newest.first)
            raise _damaged(newest, BadFrame("it does not follow the file before it"))
        if repair:
            self._storage.remove(newest.path)
            self._storage.sync_dir(self._directory.commits)
        self._firsts.pop()
        again = self._file(before.first)
        again.open()
        return again

    def _finish_roll(self, before: CommitFile, newest: CommitFile) -> None:
        """Do what a killed process may not have come to after it began a file: make that durable, and mark it."""
        sync_file(newest.file)
        sync_directory(self._storage, self._directory.commits)
        before.cut()
        before.mark_rolled()

    def _read_to_end(self, commits: CommitFile) -> None:
        try:
            commits.open()
            for _ in commits.read():
                pass
        except BadFrame as reason:
            commits.refuse_unless_torn(reason)

    def _file(self, first: int) -> CommitFile:
        path = commits_path(self._directory.commits, first)
        try:
            return CommitFile(self._storage.open(path), path, first)
        except FileNotFoundError:
            raise CorruptLog(f'"{path}" is missing', hint=_RESTORE) from None

    def _is_left(self) -> bool:
        """Whether another process went on in the next file, and could not mark that in the current one."""
        first = self.current.version + 1
        path = commits_path(self._directory.commits, first)
        if first == self.current.first or not self._storage.exists(path):
            return False
        try:
            following = CommitFile(self._storage.open(path), path, first)
            following.open()
        except (FileNotFoundError, BadFrame):  # it is being made, or was given up
            return False
        return following.previous == self.current.seal and following.has_commits()

    def _follow(self) -> None:
        """Go on with the file after the current one, which was rolled."""
        following = self._file(self.current.version + 1)
        following.open()
        self._switch(following)

    @staticmethod
    def create(storage: Storage, directory: str, origin: int) -> None:
        """Make the first commit file of an empty log, and make it durable."""
        path = commits_path(directory, 1)
        file = storage.open(path, create=True)
        CommitFile.create(file, path, 1, origin, State(origin).to_json())
        file.close()
        storage.sync_dir(directory)

    # ---------------------------------------------------------------- growing

    def add(self, record: Record, position: int) -> None:
        """Enter the next commit, which is durable, into state and index."""
        self.tail.add(record, position)
        self.state.apply(record, self.current.first)

    @property
    def is_full(self) -> bool:
        """Whether the current file should be rolled."""
        base_bytes = self.current.base_bytes
        return self.current.end - base_bytes > max(self._commits_bytes, BASE_SHARE * base_bytes)

    def roll(self) -> None:
        """Begin the next file. After an `OSError` that is no `SyncFailed` the current one can be gone on with."""
        self._remove_remains()
        first = self.state.version + 1
        path = commits_path(self._directory.commits, first)
        file = self._storage.open(path, create=True)
        try:
            following = CommitFile.create(file, path, first, self.current.seal, self.state.to_json())
            sync_directory(self._storage, self._directory.commits)
        except OSError:
            with suppress(OSError):
                file.truncate(0)  # nobody should find for whole what the disk does not have
            raise
        finished, index = self.current, self.tail
        self._switch(following)
        try:
            finished.mark_rolled()
            write_index(self._storage, finished, index)
        except SyncFailed:
            raise
        except OSError:
            pass  # the mark helps to tell damage from a crash, the index saves time: both can be done without

    def _remove_remains(self) -> None:
        """Remove what an earlier roll that failed may have left: nothing may stand behind the current file."""
        remains = [n for n in listed_files(self._storage, self._directory.commits) if n > self.current.first]
        for first in remains:
            self._storage.remove(commits_path(self._directory.commits, first))
        if remains:
            sync_directory(self._storage, self._directory.commits)

    def _switch(self, following: CommitFile) -> None:
        with self._lock:
            self._keep_loaded(self.current, self.tail)
            if following.first not in self._firsts:
                self._firsts.append(following.first)
            self.current, self.tail = following, FileIndex(following.first, State.from_json(following.base))

    # ---------------------------------------------------------------- the past

    @property
    def first_version(self) -> int:
        """The oldest version whose record is still there, or the one that comes next."""
        return self._firsts[0]

    def index_of(self, version: int) -> tuple[CommitFile, FileIndex]:
        """The file with a commit, or with the last one before it that there is, and its index."""
        return self.index_at(self.file_of(version))

    def file_of(self, version: int) -> int:
        """The file with a commit, or with the last one before it that there is, by first version."""
        with self._lock:
            place = bisect_right(self._firsts, version) - 1
            return self._firsts[max(place, 0)]

    def index_at(self, first: int) -> tuple[CommitFile, FileIndex]:
        """The commit file that begins with a version, and its index."""
        with self._lock:
            if first == self.tail.first:
                return self.current, self.tail
            found = self._loaded.get(first)
            if found is not None:
                self._loaded.move_to_end(first)
                return found
        commits = self._file(first)
        try:
            commits.open()
            index = load_index(self._storage, commits)
        except BadFrame as reason:
            raise _damaged(commits, reason) from None
        with self._lock:
            following = self._firsts[bisect_right(self._firsts, first)] if first in self._firsts else index.last + 1
        if index.last + 1 != following:
            self._refuse_gap(commits, index.last + 1, following)
        with self._lock:
            return self._keep_loaded(commits, index)

    def _refuse_gap(self, commits: CommitFile, wanted: int, following: int) -> NoReturn:
        """Raise `CorruptLog` where the file after an older one does not begin with the version `wanted`."""
        if commits.ends_rolled():
            raise CorruptLog(f'"{commits_path(self._directory.commits, wanted)}" is missing', hint=_RESTORE)
        raise _cut_short(commits, following)

    def files(self) -> tuple[int, ...]:
        """The commit files, by first version, oldest first."""
        with self._lock:
            return tuple(self._firsts)

    def _keep_loaded(self, commits: CommitFile, index: FileIndex) -> tuple[CommitFile, FileIndex]:
        found = self._loaded.setdefault(commits.first, (commits, index))
        self._loaded.move_to_end(commits.first)
        if len(self._loaded) > LOADED_FILES:
            self._loaded.popitem(last=False)
        return found

    # ---------------------------------------------------------------- removing

    def older_paths(self) -> list[str]:
        """Paths of the commit files before the current one."""
        return [commits_path(self._directory.commits, first) for first in self.files()[:-1]]

    def unneeded(self) -> list[str]:
        """Paths of commit files, and of their indexes, that no stream and no reader of history needs any more.

        They are taken out of the chain; the caller removes them, oldest first.
        """
        with self._lock:
            count = max(0, bisect_right(self._firsts, self._needed()) - 1)
            gone, self._firsts = self._firsts[:count], self._firsts[count:]
            for first in gone:
                self._loaded.pop(first, None)
        paths = [commits_path(self._directory.commits, first) for first in gone]
        return [path for log in paths for path in (index_path(log), log)]

    def check_oldest(self) -> None:
        """Raise `CorruptLog` if files are missing at the old end."""
        if self._needed() < self._firsts[0]:
            raise CorruptLog(
                f'"{self._directory.commits}" lacks its oldest file: version {self._needed()} is needed, and the '
                f"oldest file that is there begins with {self._firsts[0]}",
                hint=_RESTORE,
            )

    def _needed(self) -> int:
        """The oldest version whose record a stream, or a reader of history, needs."""
        return min([self.state.history, *(stream.oldest + 1 for stream in self.state.streams.values())])

    def close(self) -> None:
        """Mark that the log was closed in order, as far as that works."""
        with suppress(OSError):
            self.current.mark_end()


def commits_path(directory: str, first: int) -> str:
    """Path of the commit file whose first version is `first`."""
    return f"{directory}/{first:020}.log"


def listed_files(storage: Storage, directory: str) -> list[int]:
    """First versions of the commit files in a directory, oldest first."""
    return numbered_files(storage, directory, ".log")


def _damaged(commits: CommitFile, reason: BadFrame) -> CorruptLog:
    return CorruptLog(f'"{commits.path}" is damaged at byte {commits.end}: {reason}', hint=_RESTORE)


def _cut_short(commits: CommitFile, following: int) -> CorruptLog:
    missing = commits.version + 1
    return _damaged(commits, BadFrame(f"it ends before version {missing}, and the next file begins with {following}"))
