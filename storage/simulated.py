"""A disk in memory that can crash: for tests of recovery, and for databases that need not outlive their process.

It keeps two states of everything: what the system shows, and what is durable; between them lie the writes and the
changes of names that were not synced. A sync applies these to the durable state and forgets them, so a disk that is
used in earnest holds nothing but its files. `crash` asks what a disk would hold after a sudden end:

  kill9       the process died: all writes and names are there, and what was not synced still is not, so that a power
              cut later on can take it
  drop        a power cut; nothing that was not synced is there
  all_names   a power cut; all changes of names are there, unsynced writes are damaged as in `random`
  ops         a power cut; each unsynced write or truncation is there as a whole or not at all, in any combination;
              of the changes of names, the first few
  random      a power cut; each sector (512 bytes) of an unsynced write landed, is absent, zeros, or garbage, and the
              file may end early; of the changes of names, the first few
  names_any   a power cut; writes as in `ops`; of the changes of names, any: a file made later can be there without one
              made before, and a removal or renaming can be lost although later ones are not

A renaming is there as a whole or not at all. A file with several names is there as long as one of them is. What was
synced is never damaged, not even the bytes of a sector that a later write shares.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import pyarrow as pa

from headwater.errors import AlreadyOpen
from headwater.storage.contents import Content
from headwater.storage.files import File, Lock, monotonic_seconds, parent, wall_clock_us

CrashModel = Literal["kill9", "drop", "all_names", "ops", "random", "names_any"]
CRASH_MODELS: tuple[CrashModel, ...] = get_args(CrashModel)
SECTOR_BYTES = 512


class SimulatedCrash(BaseException):
    """The machine is gone. Not an `Exception`, since no code survives to handle it."""


class SimulatedDisk:
    """A `Storage` in memory.

    The clock is the real one, or stands at `clock_us` if that is set. With a `seed` nothing is left to chance.

    `operations` counts the operations that change something: writes, truncations, syncs, changes of names. Before each
    of them `on_operation` is called, if it is set. The one with the number `crash_at` raises `SimulatedCrash`, and so
    does whatever is tried afterwards; a write is cut in half by it.
    """

    def __init__(self, *, seed: int | None = None, crash_at: int | None = None) -> None:
        self.clock_us: int | None = None
        self.crash_at = crash_at
        self.on_operation: Callable[[], None] | None = None
        self.operations = 0
        self._crashed = False
        self._random = random.SystemRandom() if seed is None else random.Random(seed)
        self._locked: set[str] = set()
        self._names: dict[str, _Inode | None] = {}  # None: a directory
        self._durable_names: dict[str, _Inode | None] = {}
        self._pending_names: list[_NameChange] = []
        self._under_way: _Write | None = None  # the write that `on_operation` is called for

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
            self._change_names(path, (path, _Inode()))
        inode = self._names[path]
        if inode is None:
            raise IsADirectoryError(21, "Is a directory", path)
        return SimulatedFile(self, inode)

    def sync_all(self, files: Sequence[File]) -> None:
        # Their order is nobody's business, so it is one and then the other.
        for file in files if self.operations % 2 else reversed(files):
            file.sync()

    def listdir(self, path: str) -> list[str]:
        self._stay_alive()
        if self._names.get(path) is not None:
            raise NotADirectoryError(20, "Not a directory", path)
        if not self.exists(path):
            raise FileNotFoundError(2, "No such file or directory", path)
        return sorted(name.rpartition("/")[2] for name in tuple(self._names) if parent(name) == path)

    def exists(self, path: str) -> bool:
        self._stay_alive()
        return path in self._names or path in (".", "/")

    def rename(self, source: str, target: str) -> None:
        assert parent(source) == parent(target), "names move only within a directory"
        if source not in self._names:
            raise FileNotFoundError(2, "No such file or directory", source)
        self._change_names(target, (target, self._names[source]), (source, _REMOVED))

    def link(self, source: str, target: str) -> None:
        if self._names.get(source) is None:
            raise FileNotFoundError(2, "No such file", source)
        if self.exists(target):
            raise FileExistsError(17, "File exists", target)
        self._change_names(target, (target, self._names[source]))

    def remove(self, path: str) -> None:
        if self._names.get(path) is None:
            raise FileNotFoundError(2, "No such file", path)
        self._change_names(path, (path, _REMOVED))

    def mkdir(self, path: str) -> None:
        if self.exists(path):
            raise FileExistsError(17, "File exists", path)
        self._change_names(path, (path, None))

    def sync_dir(self, path: str) -> None:
        self._begin_operation()
        waiting = []
        for change in self._pending_names:
            if change.directory == path:
                change.apply(self._durable_names)
            else:
                waiting.append(change)
        self._pending_names = waiting

    def now_us(self) -> int:
        return wall_clock_us() if self.clock_us is None else self.clock_us

    def monotonic(self) -> float:
        return monotonic_seconds() if self.clock_us is None else self.clock_us / 1e6

    def random_bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def fork(self, *, seed: int = 0, crash_at: int | None = None) -> SimulatedDisk:
        """A copy of the disk with all that is not synced, but nobody's locks.

        Called by `on_operation` before a write, it holds half of that write.
        """
        twins: dict[_Inode, _Inode] = {_REMOVED: _REMOVED}

        def twin(inode: _Inode | None) -> _Inode | None:
            if inode is not None and inode not in twins:
                twins[inode] = inode.copy()
            return None if inode is None else twins[inode]

        copied = self._blank(seed, crash_at)
        copied._names = {name: twin(inode) for name, inode in self._names.items()}
        copied._durable_names = {name: twin(inode) for name, inode in self._durable_names.items()}
        copied._pending_names = [
            _NameChange(change.directory, tuple((name, twin(inode)) for name, inode in change.names))
            for change in self._pending_names
        ]
        if self._under_way is not None and self._under_way.inode in twins:
            self._under_way.half_onto(twins[self._under_way.inode])
        return copied

    def crash(self, model: CrashModel, seed: int = 0, *, crash_at: int | None = None) -> SimulatedDisk:
        """The disk that a process would find if there had been a crash now; this one is left as it is."""
        if model == "kill9":
            return self.fork(seed=seed, crash_at=crash_at)
        chance = random.Random(f"{model}/{seed}")
        found = self._blank(seed, crash_at)
        survivors: dict[_Inode, _Inode] = {}
        for name, inode in sorted(self._names_after(model, chance).items()):
            if not found.exists(parent(name)):
                continue
            if inode is not None and inode not in survivors:
                survivors[inode] = inode.after_power_cut(model, chance)
            found._names[name] = None if inode is None else survivors[inode]
        found._durable_names = dict(found._names)
        return found

    def files(self) -> dict[str, bytes]:
        """Names and contents of all files, as the system shows them."""
        return {name: inode.content.all() for name, inode in self._names.items() if inode is not None}

    def state(self) -> Hashable:
        """A value that is equal for disks that nothing can tell apart: shown, durable, and pending."""
        shown = _state_of(self._names)
        return (shown, _state_of(self._durable_names)) if self._pending_names else shown

    def _blank(self, seed: int, crash_at: int | None) -> SimulatedDisk:
        blank = SimulatedDisk(seed=seed, crash_at=crash_at)
        blank.clock_us = self.clock_us
        return blank

    def _names_after(self, model: CrashModel, chance: random.Random) -> dict[str, _Inode | None]:
        """The names that are found after a power cut."""
        if model == "all_names":
            return self._names
        changes = self._pending_names
        match model:
            case "drop":
                changes = []
            case "ops" | "random":
                changes = changes[: chance.randint(0, len(changes))]
            case "names_any":
                changes = [change for change in changes if chance.random() < 0.5]
        names = dict(self._durable_names)
        for change in changes:
            change.apply(names)
        return names

    def _change_names(self, path: str, *names: tuple[str, _Inode | None]) -> None:
        if not self.exists(parent(path)):
            raise FileNotFoundError(2, "No such file or directory", parent(path))
        self._begin_operation()
        change = _NameChange(parent(path), names)
        change.apply(self._names)
        self._pending_names.append(change)

    def _stay_alive(self) -> None:
        if self._crashed:
            raise SimulatedCrash

    def _begin_operation(self, write: _Write | None = None) -> None:
        self._stay_alive()
        self.operations += 1
        if self.on_operation is not None:
            self._under_way = write
            self.on_operation()
            self._under_way = None
        if self.operations == self.crash_at:
            self._crashed = True
            if write is not None:
                write.half_onto(write.inode)
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

    def pwrite(self, offset: int, data: bytes | memoryview) -> int:
        write = _Write(self._inode, offset, bytes(data))
        self._disk._begin_operation(write)
        self._inode.write(offset, write.data)
        return len(write.data)

    def pwritev(self, offset: int, parts: Sequence[bytes | pa.Buffer]) -> int:
        return self.pwrite(offset, b"".join(parts))

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

    def is_shared(self) -> bool:
        self._disk._stay_alive()
        return sum(inode is self._inode for inode in tuple(self._disk._names.values())) > 1

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

    def __init__(self, content: Content | None = None, durable: Content | None = None) -> None:
        self.content = content or Content()
        self.durable = durable or Content()
        self.pending: list[tuple[int, bytes | None]] = []  # offset and bytes of a write, or size of a truncation

    def copy(self) -> _Inode:
        copied = _Inode(self.content.copy(), self.durable.copy())
        copied.pending = self.pending.copy()
        return copied

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

    def state(self) -> Hashable:
        return self.content.all(), self.durable.all(), tuple(self.pending)

    def after_power_cut(self, model: CrashModel, chance: random.Random) -> _Inode:
        """What is found of the file after a power cut."""
        found = self.durable.copy()
        if model != "drop":
            whole = model in ("ops", "names_any")
            for offset, data in self.pending:
                if whole or data is None:
                    if chance.random() < 0.5:
                        found.apply((offset, data))
                else:
                    _tear(found, offset, data, chance)
            if not whole and self.pending and chance.random() < 0.25:
                found.truncate(chance.randint(min(self.durable.size, found.size), found.size))
        return _Inode(found, found.copy())


@dataclass(frozen=True, slots=True)
class _Write:
    inode: _Inode
    offset: int
    data: bytes

    def half_onto(self, inode: _Inode) -> None:
        inode.write(self.offset, self.data[: len(self.data) // 2])


@dataclass(frozen=True, slots=True)
class _NameChange:
    """Names of a directory that change together: name -> the file, None for a directory, or `_REMOVED`."""

    directory: str
    names: tuple[tuple[str, _Inode | None], ...]

    def apply(self, names: dict[str, _Inode | None]) -> None:
        for name, inode in self.names:
            if inode is _REMOVED:
                names.pop(name, None)
            else:
                names[name] = inode


_REMOVED = _Inode()


def _state_of(names: Mapping[str, _Inode | None]) -> Hashable:
    """A value that is equal for the same names of files that are the same; some may be names of one file."""
    numbers: dict[_Inode, int] = {}
    return tuple(
        (name, inode and (numbers.setdefault(inode, len(numbers)), inode.state())) for name, inode in names.items()
    )


def _tear(content: Content, offset: int, data: bytes, chance: random.Random) -> None:
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
