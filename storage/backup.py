"""Backing up a database, also while another process writes it.

In: a database and a path where nothing is yet; out: a database of its own there, as of one version. Bytes are copied,
not linked, so that what befalls one of the two does not befall the other. FORMAT is written last: a backup that was not
finished is no database.

Commit files and segments only grow behind what a version knows of them, so what is copied may be copied in any order.
Retention may remove files on the way. Then the backup goes on from the version that there is by then: with what is new,
and without what is no more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from headwater.errors import CorruptLog
from headwater.storage.chain import CommitLog, commits_path
from headwater.storage.copies import check_target, with_retries
from headwater.storage.directory import OpenDirectory, copy_format, read_format
from headwater.storage.failures import explained
from headwater.storage.files import COPY_BYTES, File, Storage, parent, sync_file, write_all
from headwater.storage.images import image_path
from headwater.storage.index_files import index_path
from headwater.storage.retention import live_images

Progress = Callable[[int, int], None]  # bytes that are done, bytes in all


@dataclass(frozen=True, slots=True)
class Backup:
    """A finished backup: the last commit in it, and its bytes."""

    version: int
    nbytes: int


def back_up(storage: Storage, path: str, target: str, on_progress: Progress = lambda done, total: None) -> Backup:
    """Copy the database at `path` to `target`, which must not exist or be an empty directory.

    Raises `StorageError` if there is something at `target`, if files cannot be read or written, or if retention removes
    them again and again before they are copied. What is there of the copy then is no database.
    """
    path, target = path.rstrip("/") or path, target.rstrip("/") or target
    with explained(f'cannot back up "{path}" to "{target}"'):
        check_target(storage, path, target)
        if not storage.exists(target):
            storage.mkdir(target)
            storage.sync_dir(parent(target))
        copying = _Copying(storage, path, target, on_progress)
        return with_retries(
            copying.copied,
            "the backup was not finished: retention removed files faster than they could be copied",
            hint="try again with a longer retention, or to a faster disk",
        )


class _Copying:
    """The copying of one database. `_sizes` says how much of which file has been copied, by its path inside."""

    def __init__(self, storage: Storage, path: str, target: str, on_progress: Progress) -> None:
        self._storage = storage
        self._path = path
        self._target = target
        self._on_progress = on_progress
        self._sizes: dict[str, int] = {}
        self._version = 0
        for name in ("commits", "streams", "images"):
            storage.mkdir(f"{target}/{name}")

    def copied(self) -> Backup:
        """The finished backup. Raises as `copy_all` does."""
        self.copy_all()
        return self.finish()

    def copy_all(self) -> None:
        """Copy all files of the newest version, and remove copies of those that are no part of it any more.

        Raises `FileNotFoundError` if one was removed before it was copied, and `CorruptLog`.
        """
        wanted = self._wanted()
        for file, size in wanted.items():
            self._copy(file, size, sum(wanted.values()))
        for file in self._sizes.keys() - wanted.keys():
            self._storage.remove(f"{self._target}/{file}")
            del self._sizes[file]

    def _wanted(self) -> dict[str, int]:
        """What the newest version consists of: files and how much of each. The first to be removed come first."""
        chain = CommitLog(self._storage, OpenDirectory(self._path, read_format(self._storage, self._path), None))
        chain.open(repair=False)
        self._version = chain.state.version
        *older, _ = chain.files()
        paths = [commits_path("commits", first) for first in older]
        paths += [index for path in paths if self._exists(index := index_path(path))]
        paths += [image_path("images", number) for number in sorted(live_images(chain.state))]
        wanted = {path: self._size(path) for path in paths}
        for number, stream in chain.state.streams.items():
            wanted |= {f"streams/{number}/{segment.number}.seg": segment.end for segment in stream.segments}
        return wanted | {commits_path("commits", chain.current.first): chain.current.end}

    def _exists(self, file: str) -> bool:
        return self._storage.exists(f"{self._path}/{file}")

    def _size(self, file: str) -> int:
        opened = self._storage.open(f"{self._path}/{file}")
        try:
            return opened.size()
        finally:
            opened.close()

    def _copy(self, file: str, size: int, total: int) -> None:
        """Copy the first `size` bytes of a file, going on where an earlier try ended, and make them durable."""
        done = self._sizes.get(file)
        if done == size:
            return
        source = self._storage.open(f"{self._path}/{file}")
        target = self._open_target(file)
        try:
            position = done or 0
            while position < size:
                data = source.read(position, min(COPY_BYTES, size - position))
                if not data:
                    raise CorruptLog(
                        f'"{self._path}/{file}" ends at byte {position}, before byte {size} up to which it was '
                        "committed",
                        hint=f'"headwater check {self._path}" says what else is damaged',
                    )
                position = write_all(target, position, data)
                self._sizes[file] = position
                self._on_progress(sum(self._sizes.values()), max(total, sum(self._sizes.values())))
            sync_file(target)
            self._sizes[file] = position
        finally:
            source.close()
            target.close()

    def _open_target(self, file: str) -> File:
        directory = parent(f"{self._target}/{file}")
        if not self._storage.exists(directory):
            self._storage.mkdir(directory)
        return self._storage.open(f"{self._target}/{file}", create=True)

    def finish(self) -> Backup:
        """Make all names durable; then, as the last thing, make the copy a database."""
        for directory in sorted({parent(file) for file in self._sizes} | {"commits", "streams", "images"}):
            self._storage.sync_dir(f"{self._target}/{directory}")
        self._storage.sync_dir(self._target)
        copy_format(self._storage, self._path, self._target)
        return Backup(self._version, sum(self._sizes.values()))
