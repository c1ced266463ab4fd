"""Verifying a ledger: every hash of it computed again, from the bytes on the disk alone.

Nothing of what the open log knows is taken for true but how many commits there are. The commit files are read as a
check reads them (`check_commits.py`), with them the rows that they name; from the rows the hashes are computed, and
compared with the entries of the commits. What cannot be read is damage, and the hashes go on after it from the entry of
its commit. So the first damage of each partition is found, whatever it is. Where one record is another one, the sums in
the entry say which.

In: a directory, a stream, and who hashes its rows; out: for each partition what the ledger is, and what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa

from headwater.errors import CorruptLog
from headwater.storage.chain import listed_files
from headwater.storage.check_commits import CommitsCheck
from headwater.storage.commits import INLINE, CommitFile, Placed, Record
from headwater.storage.directory import read_format
from headwater.storage.failures import explained
from headwater.storage.file_cache import FileCache
from headwater.storage.files import File, Storage
from headwater.storage.findings import Finding, damage
from headwater.storage.frames import ALIGNMENT, BadFrame
from headwater.storage.ledgers import Entry, Ledger, entries_of
from headwater.storage.locating import Change, Said
from headwater.storage.merkle import HASH_BYTES
from headwater.storage.rows import ALL, Known, Projections, check_padding, read_layout
from headwater.storage.segments import checked_rows, read_placed
from headwater.storage.state import State, StreamState

Hashed = Callable[[pa.RecordBatch, int], bytes]  # rows and their partition → the hashes of these
Progress = Callable[[int], object]  # how many records are done


@dataclass(frozen=True, slots=True)
class Damage:
    """What is wrong with a ledger: the earliest record that it may touch, where, and what it is.

    `is_change` says that the bytes are whole, but not those that were hashed: somebody changed them, and the checksums.
    """

    offset: int
    path: str
    position: int
    message: str
    is_change: bool = False


@dataclass(slots=True)
class Partition:
    """What is known of one partition: the ledger, how many records were hashed, and what is wrong with it."""

    ledger: Ledger = Ledger()
    records: int = 0
    damages: list[Damage] = field(default_factory=list)
    root: bytes | None = None  # of the tree of so many records as was asked for

    @property
    def damage(self) -> Damage | None:
        """What is wrong with the earliest records."""
        return min(self.damages, key=lambda damage: damage.offset, default=None)


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

    def __init__(
        self,
        storage: Storage,
        path: str,
        wanted: Wanted,
        hashed: Hashed,
        on_progress: Progress = lambda done: None,
    ) -> None:
        self._storage = storage
        self._path = path
        self.stream = wanted.stream
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
        self.begin(now)
        origin = None
        with suppress(CorruptLog, FileNotFoundError):
            origin = read_format(self._storage, self._path)
        upto, directory = self._wanted.upto, f"{self._path}/commits"
        check = CommitsCheck(self._storage, directory, origin, upto)
        for finding in check.findings(listed_files(self._storage, directory), self.visit, lambda _: None):
            if finding.is_damage:
                self._add_to_all(finding)
        if check.last < upto:
            message = f"the commits {check.last + 1} to {upto} are not there any more"
            self._add_to_all(Finding("damage", "commits", directory, 0, message))
        self.end(check.state)

    def begin(self, now: State) -> None:
        """Make ready for visits: `now` is the state that the commits should add up to."""
        self._schemas = list(now.schemas)
        self._lost = set(now.lost)
        known = now.streams.get(self._wanted.stream)
        self.partitions = {partition: Partition() for partition in (known.ledgers if known is not None else ())}

    def end(self, state: State | None) -> None:
        """Note that all commits were visited, which add up to a state, as far as that is known."""
        known = state.streams.get(self._wanted.stream) if state is not None else None
        for partition, ledger in known.ledgers.items() if known is not None else ():
            part = self.partitions.setdefault(partition, Partition())
            self._check_continuity(part, ledger, f"{self._path}/commits")

    def changes(self) -> Iterator[Finding]:
        """What somebody changed, and gave checksums again; what has none that fit is found by others."""
        for partition, part in sorted(self.partitions.items()):
            for found in part.damages:
                if found.is_change:
                    ledger = f"the ledger, stream {self._wanted.stream}, partition {partition}, was changed"
                    yield damage("ledger", found.path, found.position, f"{found.message}; {ledger}")

    def _check_continuity(self, part: Partition, known: Ledger, path: str) -> None:
        """Note if a ledger, as the base of a file has it, is not what the commits before add up to.

        So it is if somebody took away the oldest commit files, and wrote others that do not ask for them.
        """
        seen = part.ledger.tree.size
        if part.ledger != known and part.ledger.is_readable:
            what = f"the commits that were read have {seen} records, and {known.tree.size} are said to be in them"
            part.damages.append(Damage(seen, path, 0, what, is_change=True))

    def _add_to_all(self, finding: Finding) -> None:
        """Damage of a commit file, which may touch all records from where the partitions are now."""
        for part in self.partitions.values():
            if not part.ledger.is_readable:
                continue  # the damage is earlier
            part.damages.append(Damage(part.ledger.tree.size, finding.path, finding.position, finding.message))

    # ---------------------------------------------------------------- commits

    def visit(self, commits: CommitFile, state: State, record: Record) -> Iterator[Finding]:
        """Follow what a commit did to the ledger. `state` is that before it."""
        stream = self._wanted.stream
        placed: dict[int, list[Placed]] = {}
        for extent in record.extents:
            if extent.stream == stream:
                placed.setdefault(extent.partition, []).append(extent)
        entries: dict[int, list[Entry | None]] = {}
        for number, partition, entry in entries_of(record.effects):
            if number == stream:
                entries.setdefault(partition, []).append(entry)
        known = state.streams.get(stream, StreamState(0))
        for partition in dict.fromkeys([*placed, *entries]):
            part, before = self.partitions.setdefault(partition, Partition()), known.ledger(partition)
            self._check_continuity(part, before, commits.path)
            self._check_commit(commits, part, record, before, placed.get(partition, []), entries.get(partition, []))
        yield from ()

    def _check_commit(
        self,
        commits: CommitFile,
        part: Partition,
        record: Record,
        before: Ledger,
        placed: Sequence[Placed],
        entries: Sequence[Entry | None],
    ) -> None:
        """Check what a commit says of one partition, and its records there."""
        after = before
        for entry in entries:
            after = after.entered(entry)
        reason = _entry_damage(commits, record, before, after, placed, entries)
        if reason is not None:
            part.damages.append(Damage(before.tree.size, commits.path, commits.end, reason, is_change=True))
        part.ledger = after
        if before.is_readable and after.is_readable and entries and entries[0] is not None and placed:
            self._check_rows(commits, part, Said(record, before, after, entries[0], placed))

    # ---------------------------------------------------------------- rows

    def _check_rows(self, commits: CommitFile, part: Partition, said: Said) -> None:
        """Compare the records of a commit with their hashes, if they are wanted."""
        wanted, first, end = self._wanted, said.before.tree.size, said.after.tree.size
        count = -1 if wanted.size is None or wanted.size[0] != said.placed[0].partition else wanted.size[1] - first
        is_asked = 0 <= count <= end - first
        if not is_asked and (end <= wanted.first or (wanted.last is not None and wanted.last < first)):
            return
        read = [self._read(commits, part, said, placed) for placed in said.placed]
        leaves = b"".join(found for found, _ in read)
        change = said.change(leaves)
        for (_, reason), placed in zip(read, said.placed, strict=True):
            if reason is not None:
                part.damages.append(_unreadable(self._path_of(commits, placed), said, placed, reason, change))
        if change is not None and all(reason is None for _, reason in read):
            placed = said.frame_of(change.first)
            path, position = self._path_of(commits, placed), placed.position
            if change.last is None:
                path, position = commits.path, commits.end
            part.damages.append(Damage(change.first, path, position, change.message, is_change=True))
        if is_asked and len(leaves) == (end - first) * HASH_BYTES:
            part.root = said.before.tree.extended(leaves[: count * HASH_BYTES]).root

    def _read(self, commits: CommitFile, part: Partition, said: Said, placed: Placed) -> tuple[bytes, str | None]:
        """The hashes of rows as they are now, none if they cannot be decoded; and why they cannot be read."""
        try:
            if (placed.stream, said.record.version, placed.partition, placed.offset, placed.count) in self._lost:
                return b"", "a repair has given them up"
            file = commits.file if placed.segment == INLINE else self._segments.open(self._path_of(commits, placed))
            try:
                rows, reason = verified_rows(file, placed, said.record.version, self._schemas), None
            except BadFrame as bad:
                rows, reason = damaged_rows(file, placed, self._schemas), str(bad)
        except FileNotFoundError:
            return b"", "the file is missing"
        if rows is None:
            return b"", reason
        if reason is None:
            part.records += placed.count
            self._done += placed.count
            self._on_progress(self._done)
        return self._hashed(rows, placed.partition), reason

    def _path_of(self, commits: CommitFile, placed: Placed) -> str:
        """The file that rows are in."""
        if placed.segment == INLINE:
            return commits.path
        return f"{self._path}/streams/{placed.stream}/{placed.segment}.seg"


def _entry_damage(
    commits: CommitFile,
    record: Record,
    before: Ledger,
    after: Ledger,
    placed: Sequence[Placed],
    entries: Sequence[Entry | None],
) -> str | None:
    """What is wrong with what a commit says of a ledger; None if that fits."""
    version = record.version
    if not before.is_readable:
        return None  # why is noted where it became so
    if not entries:
        return f"commit {version} has records without hashes"
    entry = entries[0]
    if len(entries) > 1 or entry is None:
        return f"what commit {version} says of the ledger cannot be read"
    if not after.is_readable or sum(extent.count for extent in placed) != entry.size - before.tree.size:
        return f"the root and the nodes of commit {version} are not of as many records as it has"
    if entry.chain != before.chained(entry.stream, entry.partition, version, record.time_us, entry.size, entry.root):
        return f"the chain hash of commit {version} is not that of its root, its time and the chain before"
    padding = -len(record.pack()) % ALIGNMENT
    if commits.file.read(commits.end - padding, padding).strip(b"\0"):
        return f"the bytes behind the record of commit {version} are not zeros"
    return None


def _unreadable(path: str, said: Said, placed: Placed, reason: str, change: Change | None) -> Damage:
    """Rows whose bytes are damaged: the record that it is, if it can be found."""
    first, last = placed.offset, placed.offset + placed.count - 1
    what = f"{reason}; the records {first} to {last} (commit {said.record.version}) cannot be read"
    if change is not None and change.last is not None and first <= change.first <= change.last <= last:
        return Damage(change.first, path, placed.position, f"{what}; {change.message}")
    return Damage(first, path, placed.position, what)


def verified_rows(file: File, placed: Placed, version: int, schemas: list[pa.Schema]) -> pa.RecordBatch:
    """The rows in a frame of a ledger. Raise `BadFrame` if any bit of the frame is not as it was written."""
    rows = checked_rows(file, placed, version, schemas)
    check_padding(file, placed.position, read_layout(file, placed.position, placed.seal))
    return rows


def damaged_rows(file: File, placed: Placed, schemas: list[pa.Schema]) -> pa.RecordBatch | None:
    """The rows in a frame whose checksums do not match, to find out what is wrong with them; None if they are none."""
    try:
        layout = read_layout(file, placed.position, placed.seal)
        rows, _ = read_placed(file, placed, Projections(schemas, None), Known(layout, ALL))
        rows.validate(full=True)
    except (BadFrame, pa.ArrowException, OSError):
        return None
    return rows if rows.num_rows == placed.count else None
