"""Verifying a ledger: every hash of it computed again, from the bytes on the disk alone.

Nothing of what the open log knows is taken for true but how many commits there are. The commit files are read as a
check reads them (`check_commits.py`), with them the rows that they name; from the rows the hashes are computed, and
compared with the entries of the commits. What cannot be read is damage, and the hashes go on after it from the entry of
its commit. So the first damage of each partition is found, whatever it is.

In: a directory, a stream, and who hashes its rows; out: for each partition what the ledger is, and what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

import pyarrow as pa

from headwater.errors import CorruptLog
from headwater.storage.chain import listed_files
from headwater.storage.check import checked_rows
from headwater.storage.check_commits import CommitsCheck
from headwater.storage.commits import INLINE, CommitFile, Placed, Record
from headwater.storage.directory import read_format
from headwater.storage.failures import explained
from headwater.storage.file_cache import FileCache
from headwater.storage.files import File, Storage
from headwater.storage.findings import Finding
from headwater.storage.frames import ALIGNMENT, BadFrame
from headwater.storage.ledgers import Entry, Ledger
from headwater.storage.merkle import HASH_BYTES
from headwater.storage.rows import check_padding, read_layout
from headwater.storage.state import State

Hashed = Callable[[pa.RecordBatch, int], bytes]  # rows and their partition → the hashes of these
Progress = Callable[[int], object]  # how many records are done


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a ledger first: the earliest record that it may touch, where, and what it is."""

    offset: int
    path: str
    position: int
    message: str


@dataclass(slots=True)
class Partition:
    """What is known of one partition: the ledger, how many records were hashed, which of them are the first that
    something is wrong with.
    """

    ledger: Ledger = Ledger()
    records: int = 0
    damage: Damage | None = None
    root: bytes | None = None  # of the tree of so many records as was asked for

    def add_damage(self, damage: Damage) -> None:
        """Note what is wrong, if it is the first of its kind."""
        if self.damage is None or damage.offset < self.damage.offset:
            self.damage = damage


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be verified of a stream: versions up to `upto`; the rows from `first` to `last` by their offsets; and
    the root of the first so many records of a partition, if it is asked for: (partition, size).
    """

    stream: int
    upto: int
    first: int = 0
    last: int | None = None
    size: tuple[int, int] | None = None


class Verification:
    """One verification of one ledger."""

    def __init__(self, storage: Storage, path: str, wanted: Wanted, hashed: Hashed, on_progress: Progress) -> None:
        self._storage = storage
        self._path = path
        self._wanted = wanted
        self._hashed = hashed
        self._on_progress = on_progress
        self._segments = FileCache(storage)
        self._schemas: list[pa.Schema] = []
        self._lost: set[tuple[int, ...]] = set()
        self._done = 0
        self.partitions: dict[int, Partition] = {}

    def run(self, now: State) -> dict[int, Partition]:
        """The partitions, all of which `now`, the state of the open log, knows."""
        with explained(f'cannot verify "{self._path}"'):
            try:
                self._run(now)
            finally:
                self._segments.clear()
        return dict(sorted(self.partitions.items()))

    def _run(self, now: State) -> None:
        wanted = self._wanted
        self._schemas = list(now.schemas)
        self._lost = set(now.lost)
        self.partitions = {partition: Partition() for partition in now.streams[wanted.stream].ledgers}
        origin = None
        with suppress(CorruptLog, FileNotFoundError):
            origin = read_format(self._storage, self._path)
        directory = f"{self._path}/commits"
        check = CommitsCheck(self._storage, directory, origin, wanted.upto)
        for finding in check.findings(listed_files(self._storage, directory), self._visit, lambda _: None):
            if finding.is_damage:
                self._add_to_all(finding)
        if check.last < wanted.upto:
            message = f"the commits {check.last + 1} to {wanted.upto} are not there any more"
            self._add_to_all(Finding("damage", "commits", directory, 0, message))
        known = check.state.streams.get(wanted.stream) if check.state is not None else None
        for partition, ledger in known.ledgers.items() if known is not None else ():
            self._check_continuity(self.partitions.setdefault(partition, Partition()), ledger, directory)

    def _check_continuity(self, part: Partition, known: Ledger, path: str) -> None:
        """Note if a ledger, as the base of a file has it, is not what the commits before add up to.

        So it is if somebody took away the oldest commit files, and wrote others that do not ask for them.
        """
        seen = part.ledger.tree.size
        if part.ledger != known:
            what = f"the commits that were read have {seen} records, and {known.tree.size} are said to be in them"
            part.add_damage(Damage(seen, path, 0, what))

    def _add_to_all(self, finding: Finding) -> None:
        """Damage of a commit file, which may touch all records from where the partitions are now."""
        for part in self.partitions.values():
            part.add_damage(Damage(part.ledger.tree.size, finding.path, finding.position, finding.message))

    # ---------------------------------------------------------------- commits

    def _visit(self, commits: CommitFile, state: State, record: Record) -> Iterator[Finding]:
        """Follow what a commit did to the ledger. `state` is that before it."""
        stream = self._wanted.stream
        placed: dict[int, list[Placed]] = {}
        for extent in record.extents:
            if extent.stream == stream:
                placed.setdefault(extent.partition, []).append(extent)
        entries: dict[int, Entry] = {entry[1]: entry for entry in _entries(record) if entry[0] == stream}
        known = state.streams.get(stream)
        for partition in dict.fromkeys([*placed, *entries]):
            ledger = known.ledgers.get(partition, Ledger()) if known is not None else Ledger()
            part = self.partitions.setdefault(partition, Partition())
            rows, entry = placed.get(partition, []), entries.get(partition)
            self._check_continuity(part, ledger, commits.path)
            reason = self._entry_damage(commits, record, ledger, rows, entry)
            if reason is not None:
                part.add_damage(Damage(ledger.tree.size, commits.path, commits.end, reason))
            if entry is not None:
                part.ledger = ledger.entered(entry)
            if entry is not None and rows:
                self._check_rows(commits, part, record, ledger, rows)
        yield from ()

    def _entry_damage(
        self, commits: CommitFile, record: Record, before: Ledger, placed: Sequence[Placed], entry: Entry | None
    ) -> str | None:
        """What is wrong with what a commit says of a ledger; None if that fits."""
        if entry is None:
            return f"commit {record.version} has records without hashes"
        stream, partition, size, root, *_ = entry
        after = before.entered(entry)
        chain = before.chained(stream, partition, record.version, record.time_us, size, bytes.fromhex(root))
        if sum(extent.count for extent in placed) != size - before.tree.size or after.tree.root.hex() != root:
            return f"the hashes of commit {record.version} are not of as many records as it has"
        if chain != after.chain:
            return f"the chain hash of commit {record.version} is not that of its root, its time and the chain before"
        padding = -len(record.pack()) % ALIGNMENT
        if commits.file.read(commits.end - padding, padding).strip(b"\0"):
            return f"the bytes behind the record of commit {record.version} are not zeros"
        return None

    # ---------------------------------------------------------------- rows

    def _check_rows(
        self, commits: CommitFile, part: Partition, record: Record, before: Ledger, placed: Sequence[Placed]
    ) -> None:
        """Compare the records of a commit with their hashes, if they are wanted."""
        wanted, first, end = self._wanted, before.tree.size, part.ledger.tree.size
        count = -1 if wanted.size is None or wanted.size[0] != placed[0].partition else wanted.size[1] - first
        is_asked = 0 <= count <= end - first
        if not is_asked and (end <= wanted.first or (wanted.last is not None and wanted.last < first)):
            return
        read = [self._leaves(commits, part, record, extent) for extent in placed]
        leaves = b"".join(found for found in read if found is not None)
        if len(leaves) != (end - first) * HASH_BYTES:
            return  # some cannot be read, which is noted
        if before.tree.extended(leaves) != part.ledger.tree:
            what = f"the records {first} to {end - 1} (commit {record.version}) are not those that were hashed"
            part.add_damage(Damage(first, self._path_of(commits, placed[0]), placed[0].position, what))
        if is_asked:
            part.root = before.tree.extended(leaves[: count * HASH_BYTES]).root

    def _leaves(self, commits: CommitFile, part: Partition, record: Record, placed: Placed) -> bytes | None:
        """The hashes of rows as they are now; None if they cannot be read, which is noted."""
        path = self._path_of(commits, placed)
        try:
            if (placed.stream, record.version, placed.partition, placed.offset, placed.count) in self._lost:
                raise BadFrame("a repair has given them up")
            file = commits.file if placed.segment == INLINE else self._segments.open(path)
            rows = verified_rows(file, placed, record.version, self._schemas)
        except FileNotFoundError:
            reason = "the file is missing"
        except BadFrame as bad:
            reason = str(bad)
        else:
            part.records += placed.count
            self._done += placed.count
            self._on_progress(self._done)
            return self._hashed(rows, placed.partition)
        last = placed.offset + placed.count - 1
        what = f"{reason}; the records {placed.offset} to {last} (commit {record.version}) cannot be read"
        part.add_damage(Damage(placed.offset, path, placed.position, what))
        return None

    def _path_of(self, commits: CommitFile, placed: Placed) -> str:
        """The file that rows are in."""
        if placed.segment == INLINE:
            return commits.path
        return f"{self._path}/streams/{placed.stream}/{placed.segment}.seg"


def verified_rows(file: File, placed: Placed, version: int, schemas: list[pa.Schema]) -> pa.RecordBatch:
    """The rows in a frame of a ledger. Raise `BadFrame` if any bit of the frame is not as it was written."""
    rows = checked_rows(file, placed, version, schemas)
    check_padding(file, placed.position, read_layout(file, placed.position, placed.seal))
    return rows


def _entries(record: Record) -> list[Entry]:
    entries: list[Entry] = record.effects.get("ledgers", [])
    return entries
