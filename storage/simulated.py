"""A disk in memory that can crash: for tests of recovery, and for databases that need not outlive their process.

It keeps two states of everything: what the system shows, and what is durable; between them lie the writes and the
changes of names that were not synced. A sync applies these to the durable state and forgets them, so a disk that is
used in earnest holds nothing but its files. `crash` asks what a disk would hold after a sudden end:

  kill9       the process died: all writes and names are there, the last write perhaps in part
  drop        a power cut; nothing that was not synced is there
  all_names   a power cut; all names are there, unsynced writes are damaged as in `random`
  ops         a power cut; each unsynced write or truncation is there as a whole or not at all, in any combination;
              of the changes of names, the first few
  random      a power cut; each sector (512 bytes) of an unsynced write landed, is absent, zeros, or garbage, and the
              file may end early; of the changes of names, the first few

Bytes that were synced are never damaged, not even in a sector that a later write shares.
"""

from __future__ import annotations

import random
from bisect import bisect_right
from typing import Literal, get_args

import pyarrow as pa

from headwater.errors import AlreadyOpen
from headwater.storage.files import Lock, monotonic_seconds, parent, wall_clock_us

CrashModel = Literal["kill9", "drop", "all_names", "ops", "random"]
CRASH_MODELS: tuple[CrashModel, ...] = get_args(CrashModel)
SECTOR_BYTES = 512


class SimulatedCrash(BaseException):
    """The machine is gone. Not an `Exception`, since no code survives to handle it."""


class SimulatedDisk:
    """A `Storage` in memory.

    The clock is the real one, or stands at `clock_us` if that is set. With a `seed` nothing is left to chance. The
    operation (write, truncation, sync or change of a name) with the number `crash_at` raises `SimulatedCrash`, and so
    does whatever is tried afterwards; a write is cut in half by it.
    """

    def __init__(self, *, seed: int | None = None, crash_at: int | None = None) -> None:
        self.clock_us: int | None = None
        self.crash_at = crash_at
        self.operations = 0
        self._crashed = False
        self._random = random.SystemRandom() if seed is None else random.Random(seed)
        self._locked: set[str] = set()
        self._names: dict[str, _Inode | None] = {}  # None: a directory
        self._durable_names: dict[str, _Inode | None] = {}
        self._pending_names: list[tuple[str, _NameChanges]] = []  # directory, changes that belong together

    def lock(self, path: str) -> Lock:
        self._stay_alive()
        if path in self._locked:
            raise AlreadyOpen(f'the database "{parent(path)}" is open in this process already')
        self._locked.add(path)
        return _SimulatedLock(self._locked, path)

    def open(self, path: str, *, create: bool = False) -> SimulatedFile:
        self._stay_alive()
        if path not in self._names:
            if not create:
                raise FileNotFoundError(2, "No such file or directory", path)
            self._change_names(path, [(path, _Inode(_Content(), _Content()))])
        inode = self._names[path]
        if inode is None:
            raise IsADirectoryError(21, "Is a directory", path)
        return SimulatedFile(self, inode)

    def listdir(self, path: str) -> list[str]:
        self._stay_alive()
        if self._names.get(path) is not None:
            raise NotADirectoryError(20, "Not a directory", path)
        if not self.exists(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        return sorted(name.rpartition("/")[2] for name in self._names if parent(name) == path)

    def exists(self, path: str) -> bool:
        self._stay_alive()
        return path in self._names or path in (".", "/")

    def rename(self, source: str, target: str) -> None:
        assert parent(source) == parent(target), "names move only within a directory"
        if source not in self._names:
            raise FileNotFoundError(2, "No such file or directory", source)
        self._change_names(target, [(target, self._names[source]), (source, _REMOVED)])

    def remove(self, path: str) -> None:
        if self._names.get(path) is None:
            raise FileNotFoundError(2, "No such file", path)
        self._change_names(path, [(path, _REMOVED)])

    def mkdir(self, path: str) -> None:
        if self.exists(path):
            raise FileExistsError(17, "File exists", path)
        self._change_names(path, [(path, None)])

    def sync_dir(self, path: str) -> None:
        self._begin_operation()
        waiting = []
        for directory, changes in self._pending_names:
            if directory == path:
                _apply_names(self._durable_names, changes)
            else:
                waiting.append((directory, changes))
        self._pending_names = waiting

    def now_us(self) -> int:
        return wall_clock_us() if self.clock_us is None else self.clock_us

    def monotonic(self) -> float:
        return monotonic_seconds() if self.clock_us is None else self.clock_us / 1e6

    def random_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def crash(self, model: CrashModel, seed: int = 0, *, crash_at: int | None = None) -> SimulatedDisk:
        """The disk that a process would find if there had been a crash now; this one is left as it is."""
        chance = random.Random(f"{model}/{seed}")
        found = SimulatedDisk(seed=seed, crash_at=crash_at)
        found.clock_us = self.clock_us
        names = dict(self._names if model in ("kill9", "all_names") else self._durable_names)
        if model in ("ops", "random"):
            for _, changes in self._pending_names[: chance.randint(0, len(self._pending_names))]:
                _apply_names(names, changes)
        for name, inode in sorted(names.items()):
            if parent(name) in found._names or found.exists(parent(name)):
                content = None if inode is None else inode.after_crash(model, chance)
                found._names[name] = None if content is None else _Inode(content, content.copy())
        found._durable_names = dict(found._names)
        return found

    def files(self) -> dict[str, bytes]:
        """Names and contents of all files, as the system shows them."""
        return {
            name: inode.content.read(0, inode.content.size) for name, inode in self._names.items() if inode is not None
        }

    def _change_names(self, path: str, changes: _NameChanges) -> None:
        if not self.exists(parent(path)):
            raise FileNotFoundError(2, "No such file or directory", parent(path))
        self._begin_operation()
        _apply_names(self._names, changes)
        self._pending_names.append((parent(path), changes))

    def _stay_alive(self) -> None:
        if self._crashed:
            raise SimulatedCrash

    def _begin_operation(self) -> None:
        self._stay_alive()
        self.operations += 1
        if self.operations == self.crash_at:
            self._crashed = True
            raise SimulatedCrash


class SimulatedFile:
    """A file of a simulated disk."""

    def __init__(self, disk: SimulatedDisk, inode: _Inode) -> None:
        self._disk = disk
        self._inode = inode

    def read(self, offset: int, size: int) -> bytes:
        self._disk._stay_alive()
        return self._inode.content.read(offset, size)

    def view(self, offset: int, size: int) -> pa.Buffer:
        self._disk._stay_alive()
        return self._inode.content.view(offset, size)

    def pwrite(self, offset: int, data: bytes) -> int:
        already_gone = self._disk._crashed
        try:
            self._disk._begin_operation()
        except SimulatedCrash:
            if not already_gone:
                self._inode.write(offset, data[: len(data) // 2])
            raise
        self._inode.write(offset, data)
        return len(data)

    def truncate(self, size: int) -> None:
        self._disk._begin_operation()
        self._inode.truncate(size)

    def sync(self) -> None:
        self._disk._begin_operation()
        self._inode.sync()

    def lose_unsynced(self) -> None:
        """What a system does when a sync fails: unsynced bytes stay visible, count as written, and never will be."""
        self._inode.pending.clear()

    def size(self) -> int:
        self._disk._stay_alive()
        return self._inode.content.size

    def close(self) -> None:
        pass


class _SimulatedLock:
    def __init__(self, locked: set[str], path: str) -> None:
        self._locked = locked
        self._path = path

    def release(self) -> None:
        self._locked.discard(self._path)


class _Inode:
    """A file's bytes: as shown, as durable, and the unsynced operations that lie between."""

    def __init__(self, content: _Content, durable: _Content) -> None:
        self.content = content
        self.durable = durable
        self.pending: list[tuple[int, bytes | None]] = []  # offset and bytes of a write, or size of a truncation

    def write(self, offset: int, data: bytes) -> None:
        self.content.write(offset, data)
        self.pending.append((offset, data))

    def truncate(self, size: int) -> None:
        self.content.truncate(size)
        self.pending.append((size, None))

    def sync(self) -> None:
        for operation in self.pending:
            self.durable.apply(operation)
        self.pending.clear()

    def after_crash(self, model: CrashModel, chance: random.Random) -> _Content:
        """What is found of the file after a crash."""
        if model == "kill9":
            return self.content.copy()
        found = self.durable.copy()
        if model == "drop":
            return found
        for offset, data in self.pending:
            if model == "ops" or data is None:
                if chance.random() < 0.5:
                    found.apply((offset, data))
            else:
                _tear(found, offset, data, chance)
        if model != "ops" and self.pending and chance.random() < 0.25:
            found.truncate(chance.randint(min(self.durable.size, found.size), found.size))
        return found


class _Content:
    """The bytes of a file as a row of immutable pieces: views stay valid, and appending copies nothing."""

    def __init__(self) -> None:
        self._starts: list[int] = []
        self._pieces: list[bytes] = []
        self.size = 0

    def copy(self) -> _Content:
        copied = _Content()
        copied._starts, copied._pieces, copied.size = self._starts.copy(), self._pieces.copy(), self.size
        return copied

    def view(self, offset: int, size: int) -> pa.Buffer:
        number = bisect_right(self._starts, offset) - 1
        if number >= 0:
            start, piece = self._starts[number], self._pieces[number]
            if offset + size <= start + len(piece):
                return pa.py_buffer(piece).slice(offset - start, size)
        return pa.py_buffer(self.read(offset, size))

    def read(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self.size)
        parts = []
        number = max(bisect_right(self._starts, offset) - 1, 0)
        while offset < end:
            start, piece = self._starts[number], self._pieces[number]
            parts.append(piece[offset - start : end - start])
            offset = start + len(piece)
            number += 1
        return b"".join(parts)

    def apply(self, operation: tuple[int, bytes | None]) -> None:
        offset, data = operation
        if data is None:
            self.truncate(offset)
        else:
            self.write(offset, data)

    def write(self, offset: int, data: bytes) -> None:
        behind = self.read(offset + len(data), self.size)
        self.truncate(offset)
        self._append(data)
        self._append(behind)

    def truncate(self, size: int) -> None:
        while self._starts and self._starts[-1] >= size:
            self._starts.pop()
            self._pieces.pop()
        if self._starts:
            self._pieces[-1] = self._pieces[-1][: size - self._starts[-1]]
        missing = size - self.size
        self.size = min(self.size, size)
        if missing > 0:
            self._append(bytes(missing))

    def _append(self, data: bytes) -> None:
        if data:
            self._pieces.append(data)
            self._starts.append(self.size)  # after the piece, for a reader that looks now
            self.size += len(data)


_REMOVED = _Inode(_Content(), _Content())
_NameChanges = list[tuple[str, _Inode | None]]


def _apply_names(names: dict[str, _Inode | None], changes: _NameChanges) -> None:
    for name, inode in changes:
        if inode is _REMOVED:
            names.pop(name, None)
        else:
            names[name] = inode


def _tear(content: _Content, offset: int, data: bytes, chance: random.Random) -> None:
    """Apply a write as a power cut leaves it: wholly, not at all, or sector by sector."""
    fate = chance.random()
    if fate < 0.5:
        if fate < 0.3:
            content.write(offset, data)
        return
    start = 0
    while start < len(data):
        end = min(len(data), start + SECTOR_BYTES - (offset + start) % SECTOR_BYTES)
        match chance.choice(("landed", "landed", "absent", "zeros", "garbage")):
            case "landed":
                content.write(offset + start, data[start:end])
            case "zeros":
                content.write(offset + start, bytes(end - start))
            case "garbage":
                content.write(offset + start, chance.randbytes(end - start))
        start = end
