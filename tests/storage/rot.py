"""A store with files of all kinds, and what becomes of it when one byte rots.

What a reader answers depends on the bytes that it reads, and on no others. So it is recorded once, on the whole store,
which bytes are read by opening it, by looking into each older commit file, and by each of the *parts* in which its
contents are read: rows of a commit, a column of many rows, a note, an image. Then `verdict` need not read everything
again for each byte: it tries, through the calls that a user makes, all that read this byte.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise

import pyarrow as pa

from headwater.errors import StorageError
from headwater.storage import Append, File, Log, SimulatedDisk, Storage
from tests.storage.passing import PassingFile, PassingStorage

PATH = "shop.hw"
Part = Callable[[Log], object]
Ranges = set[tuple[str, int, int]]  # path, first byte, byte behind the last


# ---------------------------------------------------------------- the store


def build() -> SimulatedDisk:
    """A store of a mebibyte with files of all kinds, closed in order."""
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1_000_000
    chance = random.Random(0)
    log = Log.open(disk, PATH, commits_bytes=40_000, segment_bytes=300_000)
    wide = pa.record_batch(
        {
            "a": pa.array([chance.getrandbits(60) for _ in range(12_000)]),
            "b": pa.array([chance.random() if chance.random() < 0.9 else None for _ in range(12_000)]),
            "c": pa.array([chance.randbytes(4).hex() for _ in range(12_000)]),
        }
    )
    log.commit([Append(0, 0, wide)], {"n": "columns"}, keep=True)
    log.commit([Append(0, 1, wide.slice(0, 11_500), "zstd")], {"n": "compressed columns"})
    for number in range(7):
        log.commit([Append(1, number % 2, noise(chance, 3_500))], {"n": number})
    log.commit([Append(1, 0, noise(chance, 9_000), "lz4")])
    fixed = noise(chance, 1_000)
    log.save_image({"fixed": fixed, "changing": noise(chance, 500)}, {"n": "first"})
    while files(disk, ".log") == 1:
        log.commit([Append(2, 0, noise(chance, 400)), Append(0, 0, wide.slice(7, 2))])
    log.save_image({"fixed": fixed, "changing": noise(chance, 500)}, {"n": "second"})
    log.register("producer")
    log.close()
    log = Log.open(disk, PATH, commits_bytes=1)
    log.commit([Append(2, 0, noise(chance, 10))])
    while files(disk, ".log") == 2:
        log.commit([], {"m": "x" * 500})
    log.commit([Append(2, 1, noise(chance, 10))], {"m": None}, keep=True)
    log.close()
    *_, youngest_index = (name for name in disk.listdir(f"{PATH}/commits") if name.endswith(".idx"))
    disk.remove(f"{PATH}/commits/{youngest_index}")
    return written_at_once(disk)


def files(disk: SimulatedDisk, suffix: str) -> int:
    """How many commit files, or indexes of such, there are."""
    return sum(name.endswith(suffix) for name in disk.listdir(f"{PATH}/commits"))


def noise(chance: random.Random, rows: int) -> pa.RecordBatch:
    return pa.record_batch({"k": pa.array(range(rows), pa.int32()), "v": [chance.getrandbits(62) for _ in range(rows)]})


def written_at_once(disk: SimulatedDisk) -> SimulatedDisk:
    """The same files, each written at once, so that they are quick to read."""
    copy = SimulatedDisk(seed=0)
    copy.clock_us = disk.clock_us
    for directory in (
        "",
        "/commits",
        "/streams",
        "/images",
        *(f"/streams/{n}" for n in disk.listdir(f"{PATH}/streams")),
    ):
        copy.mkdir(PATH + directory)
    for name, content in disk.files().items():
        copy.open(name, create=True).pwrite(0, content)
    return copy


# ---------------------------------------------------------------- storages that record, and that rot


class RecordingStorage(PassingStorage):
    """Notes which bytes of which files are read."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.ranges: Ranges = set()

    def open(self, path: str, *, create: bool = False) -> File:
        return RecordingFile(super().open(path, create=create), self, path)


class RecordingFile(PassingFile):
    def __init__(self, inner: File, storage: RecordingStorage, path: str) -> None:
        super().__init__(inner)
        self._storage = storage
        self._path = path

    def read(self, offset: int, size: int) -> bytes:
        self._storage.ranges.add((self._path, offset, offset + size))
        return super().read(offset, size)

    def view(self, offset: int, size: int) -> pa.Buffer:
        self._storage.ranges.add((self._path, offset, offset + size))
        return super().view(offset, size)


class RottenStorage(PassingStorage):
    """One byte of one file is not what was written."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self.path = ""
        self.position = 0
        self.mask = 0

    def rot(self, path: str, position: int) -> None:
        """From now on this byte is another, and all others are right."""
        self.path, self.position, self.mask = path, position, 1 + (position * 37 + position // 255) % 255

    def open(self, path: str, *, create: bool = False) -> File:
        return RottenFile(super().open(path, create=create), self, path)


class RottenFile(PassingFile):
    def __init__(self, inner: File, storage: RottenStorage, path: str) -> None:
        super().__init__(inner)
        self._storage = storage
        self._path = path

    def read(self, offset: int, size: int) -> bytes:
        return bytes(self._rotten(offset, super().read(offset, size)))

    def view(self, offset: int, size: int) -> pa.Buffer:
        return pa.py_buffer(self._rotten(offset, super().view(offset, size)))

    def _rotten(self, offset: int, data: bytes | pa.Buffer) -> bytes | pa.Buffer | bytearray:
        storage = self._storage
        if self._path != storage.path or not offset <= storage.position < offset + len(data):
            return data
        rotten = bytearray(memoryview(data))
        rotten[storage.position - offset] ^= storage.mask
        return rotten


# ---------------------------------------------------------------- what is read from it


def parts_of(log: Log) -> list[Part]:
    """All that a store contains, in calls that read as little as possible each."""
    parts: list[Part] = []
    for stream in log.state.streams:
        for version, rows in [(chunk.version, chunk.rows) for chunk in log.scan(stream)]:
            if rows.num_rows > 5_000:
                parts += [part_of_scan(stream, version, [name]) for name in rows.schema.names]
            else:
                parts.append(part_of_scan(stream, version, None))
    for key in ("n", "m"):
        parts += [part_of_notes(key, version) for version, _ in log.notes(key)]
    parts += [part_of_image(number) for number in range(len(log.images()))]
    return parts


def part_of_scan(stream: int, version: int, columns: list[str] | None) -> Part:
    return lambda log: list(log.scan(stream, version - 1, version, columns))


def part_of_notes(key: str, version: int) -> Part:
    return lambda log: next(log.notes(key, version - 1))


def part_of_image(number: int) -> Part:
    return lambda log: log.load_image(log.images()[number])


def facts(log: Log) -> object:
    """What is known without reading rows."""
    versions = range(log.first_version, log.version + 1)
    streams = range(3)
    return (
        log.version,
        [(log.time_of(version), log.version_at(log.time_of(version))) for version in versions],
        [[(log.ends(stream, version), log.row_count(stream, version)) for version in versions] for stream in streams],
        [list(log.extents(stream)) for stream in streams],
        [[log.first(stream, count) for count in (1, 1000, 20_000)] for stream in streams],
        list(log.kept("n")) + list(log.kept("m")),
        log.images(),
        log.state.to_json(),
    )


@dataclass(frozen=True, slots=True)
class Store:
    """A store, what it contains, and what is read to learn that."""

    disk: SimulatedDisk
    facts: object
    parts: list[tuple[Part, object]]
    read_at_first: Ranges  # by opening it, and for the facts
    read_by_part: list[Ranges]


@cache
def store() -> Store:
    disk = build()
    parts, read_by_part = [], []
    for part in parts_of(Log.open(disk.fork(), PATH)):
        storage = RecordingStorage(disk.fork())
        log = Log.open(storage, PATH)
        known = facts(log)
        read_at_first, storage.ranges = storage.ranges, set()
        parts.append((part, part(log)))
        read_by_part.append(storage.ranges)
    return Store(disk, known, parts, read_at_first, read_by_part)


# ---------------------------------------------------------------- the verdict on each byte


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of a file that are read by the same: at first, or by some of the parts, by number."""

    path: str
    start: int
    end: int
    at_first: bool
    parts: tuple[int, ...]


def stretches() -> list[Stretch]:
    """All bytes of the store, in stretches that are short enough to be shared among processes."""
    known = store()
    reads = [known.read_at_first, *known.read_by_part]
    found = []
    for path, content in known.disk.files().items():
        edges = {0, len(content), *range(0, len(content), 4096)}
        for ranges in reads:
            edges |= {min(edge, len(content)) for name, *ends in ranges if name == path for edge in ends}
        for start, end in pairwise(sorted(edges)):
            by = [n for n, ranges in enumerate(reads) if any(p == path and s <= start < e for p, s, e in ranges)]
            found.append(Stretch(path, start, end, 0 in by, tuple(n - 1 for n in by if n)))
    return found


def verdicts(stretch: Stretch, step: int = 1) -> Counter[str]:
    """What becomes of the store when one byte of a stretch rots: detected, harmless, not read, wrong; for each byte, or
    for one of `step` bytes.
    """
    positions = range(stretch.start, stretch.end, step)
    if not stretch.at_first and not stretch.parts:
        return Counter({"not read": len(positions)})
    try_one = _read_anew if stretch.at_first else _Warm(stretch.parts).read
    counts: Counter[str] = Counter()
    for position in positions:
        counts[try_one(stretch.path, position)] += 1
    return counts


def _read_anew(path: str, position: int) -> str:
    """Open a store in which a byte is rotten, and read all of it."""
    known = store()
    storage = RottenStorage(known.disk.fork())
    storage.rot(path, position)
    try:
        log = Log.open(storage, PATH)
        if facts(log) != known.facts:
            return "wrong"
    except StorageError:
        return "detected"
    return _worst([_verdict(log, part, expected) for part, expected in known.parts])


class _Warm:
    """An open store of which only some parts are read. What it has read already is not what rots."""

    def __init__(self, parts: Sequence[int]) -> None:
        self._parts = [store().parts[number] for number in parts]
        self._open()

    def _open(self) -> None:
        self._storage = RottenStorage(store().disk.fork())
        self._log = Log.open(self._storage, PATH)
        facts(self._log)

    def read(self, path: str, position: int) -> str:
        self._storage.rot(path, position)
        found = [_verdict(self._log, part, expected) for part, expected in self._parts]
        if set(found) != {"detected"}:
            self._open()  # what was found right once is not verified again
        return _worst(found)


def _verdict(log: Log, part: Part, expected: object) -> str:
    try:
        return "harmless" if part(log) == expected else "wrong"
    except StorageError:
        return "detected"


def _worst(found: Sequence[str]) -> str:
    return next(verdict for verdict in ("wrong", "detected", "harmless") if verdict in found)
