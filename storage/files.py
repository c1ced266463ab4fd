"""The one door to disk, clock and chance: what the log asks of an operating system, and the real one.

Everything that storage does outside memory goes through a `Storage`, so that a simulated disk (`simulated.py`) or an
injector of faults (`faults.py`) can take the place of `OsStorage`. Paths are strings joined with "/". Failures are
`OSError`, as the operating system gives them; turning those into errors for users is the business of the callers.
"""

from __future__ import annotations

import errno
import fcntl
import glob
import json
import os
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from typing import Protocol

import pyarrow as pa

from headwater.errors import AlreadyOpen

# A file is mapped again only once this much of it is unmapped; until then its youngest bytes are read and copied. So a
# reader that follows a growing file, and keeps everything it was given, holds few maps.
REMAP_BYTES = 4 << 20
SYNC_THREADS = 4
PARTS_MAX = 512  # pieces of one write; systems allow 1024
COPY_BYTES = 4 << 20  # how much of a file is copied at once

# What a system says where it cannot give a file another name: over devices, without the right to, after too many.
NO_LINKS = {errno.EXDEV, errno.EPERM, errno.EACCES, errno.EMLINK, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}


class File(Protocol):
    """An open file, used by position. Safe to use from several threads as long as only one of them writes."""

    def read(self, offset: int, size: int) -> bytes:
        """A copy of the bytes at `offset`; fewer than `size` where the file ends."""

    def view(self, offset: int, size: int) -> pa.Buffer:
        """The bytes at `offset`, without a copy where possible; fewer than `size` where the file ends.

        A view stays valid for as long as it is referenced, also when the file grows or is closed.
        """

    def pwrite(self, offset: int, data: bytes | memoryview) -> int:
        """Write at `offset` and return how many bytes were taken, which can be fewer than given; see `write_all`."""

    def pwritev(self, offset: int, parts: Sequence[bytes | pa.Buffer]) -> int:
        """As `pwrite`, of several pieces one behind the other."""

    def truncate(self, size: int) -> None:
        """Cut the file, or lengthen it with zeros, to `size` bytes."""

    def sync(self) -> None:
        """Return once all bytes and the size are durable. After an error nothing is known about either, ever."""

    def size(self) -> int:
        """Length of the file in bytes."""

    def is_shared(self) -> bool:
        """Whether the file has more than one name, so that it may be part of another database, too."""

    def close(self) -> None:
        """Give the file back to the system; idempotent. Views taken before stay valid."""


class Lock(Protocol):
    """Sole ownership of a path, which ends with `release` or with the process."""

    def release(self) -> None:
        """Let others take the lock; idempotent."""


class Storage(Protocol):
    """A file system with the few operations that a log needs, two clocks and a source of randomness."""

    def lock(self, path: str) -> Lock:
        """Take the lock file `path`, creating it if need be; raise `AlreadyOpen` if anyone else holds it."""

    def open(self, path: str, *, create: bool = False) -> File:
        """Open an existing file for reading and writing; with `create`, an empty one if there is none.

        A new name is durable only after `sync_dir` of its directory.
        """

    def sync_all(self, files: Sequence[File]) -> None:
        """Return once all of several files are durable, in whatever order. After an error, as after `File.sync`."""

    def listdir(self, path: str) -> list[str]:
        """Names in a directory, sorted."""

    def exists(self, path: str) -> bool:
        """Whether there is a file or directory of this name."""

    def rename(self, source: str, target: str) -> None:
        """Give a file another name in the same directory, replacing what has it."""

    def link(self, source: str, target: str) -> None:
        """Give a file one more name, in whatever directory; an `OSError` in `NO_LINKS` where that cannot be.

        The new name is durable only after `sync_dir` of its directory.
        """

    def remove(self, path: str) -> None:
        """Remove a name of a file, and with the last one the file."""

    def mkdir(self, path: str) -> None:
        """Make a directory; its parent must exist."""

    def sync_dir(self, path: str) -> None:
        """Return once all names made, changed and removed in the directory are durable."""

    def now_us(self) -> int:
        """Wall clock: microseconds since 1970, which may jump either way."""

    def monotonic(self) -> float:
        """Seconds on a clock that never goes back."""

    def random_bytes(self, count: int) -> bytes:
        """Bytes that nobody can guess, for identifiers."""


def write_all(file: File, offset: int, data: bytes | memoryview) -> int:
    """Write all of `data`, going on after short writes; the position behind it."""
    rest = memoryview(data)
    while rest:
        written = file.pwrite(offset, rest)
        offset, rest = offset + written, rest[written:]
    return offset


def write_parts(file: File, offset: int, parts: Sequence[bytes | pa.Buffer]) -> None:
    """Write pieces one behind the other, without joining them, and going on after short writes."""
    for begin in range(0, len(parts), PARTS_MAX):
        some = parts[begin : begin + PARTS_MAX]
        size = sum(map(len, some))
        written = file.pwritev(offset, some)
        if written < size:
            write_all(file, offset + written, memoryview(b"".join(some))[written:])
        offset += size


def copy_bytes(source: File, target: File, start: int, end: int) -> None:
    """Copy what a file has from a position on to the beginning of another; fewer bytes where the first one ends."""
    position = start
    while data := source.read(position, min(COPY_BYTES, end - position)):
        write_all(target, position - start, data)
        position += len(data)


def empty_file(storage: Storage, path: str) -> File:
    """An empty file of this name. One that has other names, too, stays under those what it is."""
    file = storage.open(path, create=True)
    if not file.size():
        return file
    if not file.is_shared():
        file.truncate(0)
        return file
    file.close()
    storage.remove(path)
    return storage.open(path, create=True)


def own_file(storage: Storage, path: str) -> File:
    """A file that is to be changed in place: of one that has other names, too, a copy takes the place, durably."""
    file = storage.open(path)
    if not file.is_shared():
        return file
    copy = empty_file(storage, f"{path}.new")
    copy_bytes(file, copy, 0, file.size())
    sync_file(copy)
    file.close()
    storage.rename(f"{path}.new", path)
    storage.sync_dir(parent(path))
    return copy


def wall_clock_us() -> int:
    """Microseconds since 1970, as the machine's clock has it."""
    return time.time_ns() // 1000


def monotonic_seconds() -> float:
    """Seconds since some moment, on a clock that never goes back."""
    return time.monotonic()


class SyncFailed(OSError):
    """A sync that did not succeed. The system may have dropped the bytes, so trying again proves nothing."""


def sync_file(file: File) -> None:
    """Make a file durable, or raise `SyncFailed`: an error of the disk that must not be mistaken for a passing one."""
    try:
        file.sync()
    except OSError as error:
        raise SyncFailed(error.errno, error.strerror) from error


def sync_files(storage: Storage, files: Sequence[File]) -> None:
    """As `sync_file`, of several."""
    try:
        storage.sync_all(files)
    except OSError as error:
        raise SyncFailed(error.errno, error.strerror) from error


def sync_directory(storage: Storage, path: str) -> None:
    """Make the names in a directory durable, or raise `SyncFailed`, unless the sync could not even be tried."""
    try:
        storage.sync_dir(path)
    except OSError as error:
        if error.errno in (errno.EMFILE, errno.ENFILE):
            raise
        raise SyncFailed(error.errno, error.strerror) from error


def numbered_files(storage: Storage, directory: str, suffix: str) -> list[int]:
    """The numbers, sorted, of the files in a directory whose names are a number and a suffix."""
    names = [name.removesuffix(suffix) for name in storage.listdir(directory) if name.endswith(suffix)]
    return sorted(int(name) for name in names if name.isdecimal())


def parent(path: str) -> str:
    """The directory that `path` is in."""
    head, slash, _ = path.rstrip("/").rpartition("/")
    return head or slash or "."


class OsStorage:
    """The real file system. Relative paths count from the working directory at the time this object is made.

    With `read_only` files are opened for reading only, so that a file system that allows no more will do.
    """

    def __init__(self, *, read_only: bool = False) -> None:
        self._base = os.getcwd()
        self._flags = os.O_RDONLY if read_only else os.O_RDWR
        self._syncing: ThreadPoolExecutor | None = None

    def lock(self, path: str) -> Lock:
        return _OsLock(self._resolve(path))

    def open(self, path: str, *, create: bool = False) -> File:
        return _OsFile(self._resolve(path), self._flags | (os.O_CREAT if create else 0))

    def sync_all(self, files: Sequence[File]) -> None:
        *others, last = files
        if others and self._syncing is None:
            self._syncing = ThreadPoolExecutor(SYNC_THREADS, "headwater-sync")
        under_way = [self._syncing.submit(file.sync) for file in others] if self._syncing is not None else []
        try:
            last.sync()
        finally:
            wait(under_way)
        for sync in under_way:
            sync.result()

    def listdir(self, path: str) -> list[str]:
        return sorted(os.listdir(self._resolve(path)))

    def exists(self, path: str) -> bool:
        try:
            os.stat(self._resolve(path))
        except (FileNotFoundError, NotADirectoryError):
            return False
        return True

    def rename(self, source: str, target: str) -> None:
        os.rename(self._resolve(source), self._resolve(target))

    def link(self, source: str, target: str) -> None:
        os.link(self._resolve(source), self._resolve(target))

    def remove(self, path: str) -> None:
        os.remove(self._resolve(path))

    def mkdir(self, path: str) -> None:
        os.mkdir(self._resolve(path))

    def sync_dir(self, path: str) -> None:
        descriptor = os.open(self._resolve(path), os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def now_us(self) -> int:
        return wall_clock_us()

    def monotonic(self) -> float:
        return monotonic_seconds()

    def random_bytes(self, count: int) -> bytes:
        return os.urandom(count)

    def _resolve(self, path: str) -> str:
        return os.path.join(self._base, path)


class _OsFile:
    """A file descriptor with a map of the file's older part. Closes itself when the last reference goes."""

    def __init__(self, path: str, flags: int) -> None:
        self._descriptor = -1
        self._path = path
        self._mapped: pa.Buffer = pa.py_buffer(b"")
        self._descriptor = os.open(path, flags, 0o644)

    def read(self, offset: int, size: int) -> bytes:
        return os.pread(self._descriptor, size, offset)

    def view(self, offset: int, size: int) -> pa.Buffer:
        if offset + size > self._mapped.size:
            if self.size() - self._mapped.size < REMAP_BYTES:
                return pa.py_buffer(self.read(offset, size))
            # Closing pyarrow's file gives its descriptor back; the map lives on in the buffer and its slices.
            with pa.memory_map(self._path, "r") as source:
                self._mapped = source.read_buffer(source.size())
        return self._mapped.slice(offset, min(size, self._mapped.size - offset))

    def pwrite(self, offset: int, data: bytes | memoryview) -> int:
        return os.pwrite(self._descriptor, data, offset)

    def pwritev(self, offset: int, parts: Sequence[bytes | pa.Buffer]) -> int:
        return os.pwritev(self._descriptor, parts, offset)

    def truncate(self, size: int) -> None:
        os.ftruncate(self._descriptor, size)

    def sync(self) -> None:
        if sys.platform == "darwin":
            fcntl.fcntl(self._descriptor, fcntl.F_FULLFSYNC)  # plain fsync leaves the bytes in the drive's cache
        else:
            os.fdatasync(self._descriptor)

    def size(self) -> int:
        return os.fstat(self._descriptor).st_size

    def is_shared(self) -> bool:
        return os.fstat(self._descriptor).st_nlink > 1

    def number(self) -> int:
        return os.fstat(self._descriptor).st_ino

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def __del__(self) -> None:
        self.close()


class _OsLock:
    """An flock that lives as long as its descriptor. What the lock file says is information for people only."""

    def __init__(self, path: str) -> None:
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(self._descriptor, 0)
            os.pwrite(self._descriptor, json.dumps({"pid": os.getpid()}).encode(), 0)
        except OSError as error:
            content = os.pread(self._descriptor, 200, 0)
            os.close(self._descriptor)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                raise AlreadyOpen(_who_holds(path, content)) from None
            raise

    def release(self) -> None:
        if self._descriptor >= 0:
            # Unlocking, and not merely closing, also ends the share of child processes that were forked meanwhile.
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            os.close(self._descriptor)
            self._descriptor = -1


def _who_holds(path: str, content: bytes) -> str:
    try:
        pid = json.loads(content)["pid"]
    except (ValueError, KeyError, TypeError):
        holder = "another process"
    else:
        holder = "this process" if pid == os.getpid() else f"process {pid}"
    return f'the database "{parent(path)}" is open in {holder} already: a database is opened by one process at a time'


# ---------------------------------------------------------------- files of others


def matching_files(pattern: str) -> list[str]:
    """The files whose names match a pattern with *, ? and **, sorted; a name without them matches the file it names."""
    found = [pattern] if os.path.isfile(pattern) else sorted(glob.glob(pattern, recursive=True))
    return [path for path in found if os.path.isfile(path)]


def stamp_of(path: str) -> tuple[int, int, int]:
    """What changes when a file does, or when another has its name: number, size and time of the last change."""
    found = os.stat(path)
    return found.st_ino, found.st_size, found.st_mtime_ns


def open_with_number(path: str) -> tuple[File, int]:
    """A file for reading, and the number by which the file system knows it, whatever becomes of its name."""
    file = _OsFile(path, os.O_RDONLY)
    return file, file.number()
