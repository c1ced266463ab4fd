"""The directory of a database: telling one from anything else, making one, and owning it.

    shop.hw/
      FORMAT               what this is, and by which version of the format; written last
      LOCK                 held by the process that has the database open
      commits/0…1.log      what is true
      streams/3/0.seg      rows of stream 3
      images/1.img         checkpoints

In: a path; out: an `OpenDirectory`, or an error that says why not and has changed nothing.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from headwater.errors import CorruptLog, NotADatabase, StorageError
from headwater.storage.commits import CommitFile
from headwater.storage.files import Lock, Storage, parent, sync_file, write_all
from headwater.storage.frames import crc32c

FORMAT_VERSION = 2
_PARTS = ("commits", "streams", "images")
_FORMAT_BYTES = 4096  # at most
_IDENTITY = slice(len('{"headwater": 2, "uuid": "'), len('{"headwater": 2, "uuid": "') + 32)
_UNFINISHED = {"LOCK", "FORMAT.new", *_PARTS}


@dataclass(frozen=True, slots=True)
class OpenDirectory:
    """A database directory that this process owns, or only reads: then `lock` is None.

    `origin` is derived from its identity: what chains begin with.
    """

    path: str
    origin: int
    lock: Lock | None

    @property
    def read_only(self) -> bool:
        """Whether nothing may be changed."""
        return self.lock is None

    @property
    def commits(self) -> str:
        """Path of the directory of commit files."""
        return f"{self.path}/commits"

    @property
    def streams(self) -> str:
        """Path of the directory of segments."""
        return f"{self.path}/streams"

    @property
    def images(self) -> str:
        """Path of the directory of images."""
        return f"{self.path}/images"

    def release(self) -> None:
        """Let others own it."""
        if self.lock is not None:
            self.lock.release()


def open_directory(
    storage: Storage, path: str, begin: Callable[[str, int], None], *, create: bool, read_only: bool
) -> OpenDirectory:
    """Own the database at `path`; with `create`, make one if nothing, or an empty directory, is there.

    `begin` makes what is in the directory of commit files of an empty database with the given origin. With `read_only`
    another process may own it.
    """
    if not _is_database(storage, path):
        if not create or read_only:
            raise NotADatabase(f'there is no database at "{path}"')
        _make_directory(storage, path)
    if read_only:
        return OpenDirectory(path, read_format(storage, path), None)
    lock = storage.lock(f"{path}/LOCK")
    try:
        if not storage.exists(f"{path}/FORMAT"):
            _fill_directory(storage, path, begin)
        storage.sync_dir(path)  # a killed process may have named FORMAT, and not synced that
        return OpenDirectory(path, read_format(storage, path), lock)
    except BaseException:
        lock.release()
        raise


def _is_database(storage: Storage, path: str) -> bool:
    """Whether there is a database; False if one can be made; raise `NotADatabase` if something else is there."""
    if not storage.exists(path):
        return False
    try:
        names = storage.listdir(path)
    except NotADirectoryError:
        raise NotADatabase(f'"{path}" is a file: a database is a directory') from None
    if "FORMAT" in names:
        return True
    # A crash while a database was made leaves some of its files, of which none has any content yet.
    if set(names) <= _UNFINISHED and not _has_content(storage, path, names):
        return False
    raise NotADatabase(f'"{path}" is a directory with other things in it: no FORMAT file says that it is a database')


def _has_content(storage: Storage, path: str, names: list[str]) -> bool:
    if any(storage.listdir(f"{path}/{name}") for name in ("streams", "images") if name in names):
        return True
    files = [f"{path}/commits/{name}" for name in storage.listdir(f"{path}/commits")] if "commits" in names else []
    return any(CommitFile(storage.open(file), file, 1).has_commits() for file in files)


def _make_directory(storage: Storage, path: str) -> None:
    if not storage.exists(parent(path)):
        raise StorageError(f'"{path}" cannot be made: there is no directory "{parent(path)}"')
    if not storage.exists(path):
        storage.mkdir(path)
    storage.sync_dir(parent(path))


def _fill_directory(storage: Storage, path: str, begin: Callable[[str, int], None]) -> None:
    """Make an empty database. It is one from the moment that FORMAT has its name."""
    for name in _PARTS:
        if not storage.exists(f"{path}/{name}"):
            storage.mkdir(f"{path}/{name}")
    identity = storage.random_bytes(16).hex()
    begin(f"{path}/commits", origin_of(identity))
    storage.sync_dir(path)
    write_format(storage, path, format_line(identity))


def copy_format(storage: Storage, source: str, path: str) -> None:
    """Make a database of the files at `path` by giving them the FORMAT of another, of which they are a copy."""
    file = storage.open(f"{source}/FORMAT")
    line = file.read(0, _FORMAT_BYTES)
    file.close()
    write_format(storage, path, line)


def write_format(storage: Storage, path: str, line: bytes) -> None:
    """Write FORMAT, all of it or nothing, durably."""
    file = storage.open(f"{path}/FORMAT.new", create=True)
    file.truncate(0)
    write_all(file, 0, line)
    sync_file(file)
    file.close()
    storage.rename(f"{path}/FORMAT.new", f"{path}/FORMAT")
    storage.sync_dir(path)


def origin_of(identity: str) -> int:
    """What the chains of a database begin with, from its identity."""
    return crc32c(identity.encode())


def format_line(identity: str) -> bytes:
    """One line of JSON, a space and the line's checksum in hexadecimal."""
    line = json.dumps({"headwater": FORMAT_VERSION, "uuid": identity, "crc": "crc32c"}).encode()
    return line + b" %08x\n" % crc32c(line)


def rebuilt_format(storage: Storage, path: str, origin: int) -> bytes | None:
    """FORMAT as it must have been, from what is left of it: None if more than one letter of the identity is damaged.

    The origin, which is known from the commit log, tells the right identity from all that look alike.
    """
    file = storage.open(f"{path}/FORMAT")
    left = file.read(0, _FORMAT_BYTES)[_IDENTITY]
    file.close()
    candidates = [left, *(left[:n] + bytes([d]) + left[n + 1 :] for n in range(len(left)) for d in b"0123456789abcdef")]
    return next((format_line(found.decode()) for found in candidates if crc32c(found) == origin), None)


def read_format(storage: Storage, path: str) -> int:
    """The origin of the database at `path`. Raises `CorruptLog` if FORMAT is damaged, `StorageError` for a version of
    the format that is not known.
    """
    file = storage.open(f"{path}/FORMAT")
    line = file.read(0, _FORMAT_BYTES)
    file.close()
    content, _, checksum = line.rstrip(b"\n").rpartition(b" ")
    if checksum != b"%08x" % crc32c(content):
        raise CorruptLog(f'"{path}/FORMAT" is damaged: its checksum does not match; restore the file from a copy')
    parsed = json.loads(content)
    if parsed["headwater"] > FORMAT_VERSION:
        raise StorageError(
            f'"{path}" has format {parsed["headwater"]}, and this version of Headwater knows formats up to '
            f"{FORMAT_VERSION}: use a newer Headwater"
        )
    if parsed["headwater"] < FORMAT_VERSION:
        raise StorageError(
            f'"{path}" has format {parsed["headwater"]}, which only development versions of Headwater wrote, and this '
            f"version knows format {FORMAT_VERSION}: load the data anew"
        )
    return origin_of(parsed["uuid"])
