"""Checking the commit log: every file from its base to its mark, and how the files follow each other.

In: the directory of commit files; out: findings, and on the way every record that can be read, for whoever checks what
the records name. Nothing is changed, and another process may commit meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from headwater.errors import CorruptLog
from headwater.storage.chain import commits_path
from headwater.storage.commits import CommitFile, Record, pack_json, parse_json
from headwater.storage.files import Storage
from headwater.storage.findings import Finding, Subject, damage, remark
from headwater.storage.frames import HEADER_BYTES, BadFrame, unpack_header
from headwater.storage.index import FileIndex
from headwater.storage.index_files import index_path, pack_index, read_index_file
from headwater.storage.state import State, without_ledgers

Visit = Callable[[CommitFile, State, Record], Iterator[Finding]]  # the state is that before the record


class CommitsCheck:
    """Reads commit files, oldest first, up to a version.

    What is known between two files: the state after the first, None where that is not known; and the seal that the
    second must rest on, None likewise.
    """

    def __init__(self, storage: Storage, directory: str, origin: int | None, upto: int) -> None:
        self._storage = storage
        self._directory = directory
        self._origin = origin
        self._upto = upto
        self._state: State | None = None
        self._seal: int | None = None
        self._is_first = True
        self.last = 0  # the last version that was read, or known from a base
        self.commits = 0  # how many were read

    @property
    def state(self) -> State | None:
        """The state after the last commit that was read; None if that is not known."""
        return self._state

    def findings(self, firsts: Sequence[int], visit: Visit, advance: Callable[[int], None]) -> Iterator[Finding]:
        """What is wrong with the files that begin with these versions. `visit` is called for every record; `advance`
        is told of bytes that are done."""
        for first in firsts:
            path = commits_path(self._directory, first)
            try:
                file = self._storage.open(path)
            except FileNotFoundError:  # it was there when the directory was listed: retention removed it
                self._state = self._seal = None
                self._is_first = True
                continue
            commits = CommitFile(file, path, first)
            is_newest = first == firsts[-1]
            if is_newest and self._is_remains(commits):
                yield remark("file", path, 0, "the beginning of a commit file that is not in use; opening removes it")
                return
            yield from self._file(commits, visit, may_be_torn=is_newest or first == firsts[-2])
            if is_newest and commits.is_rolled:
                yield from self._following(commits)
            advance(file.size())
            file.close()

    def _is_remains(self, commits: CommitFile) -> bool:
        """Whether the newest file is what a crash left of the attempt to begin it."""
        if self._seal is None:
            return False
        try:
            commits.open()
            return commits.previous != self._seal and not commits.has_commits()
        except BadFrame:
            return not commits.has_commits()

    def _file(self, commits: CommitFile, visit: Visit, *, may_be_torn: bool) -> Iterator[Finding]:
        before = self.last
        try:
            commits.open()
        except BadFrame as reason:
            yield damage("commits", commits.path, 0, f"{reason}; its commits cannot be read", before)
            self._state = self._seal = None
            return
        yield from self._connection(commits)
        state = State.from_json(commits.base)
        index = FileIndex(commits.first, State.from_json(commits.base))
        self.last, self._is_first = state.version, False
        try:
            for position, record in _settled(commits):
                if record.version > self._upto:
                    break
                yield from _continuity(commits, position, state, record)
                yield from visit(commits, state, record)
                state.apply(record, commits.first)
                index.add(record, position)
                self.last, self.commits = record.version, self.commits + 1
        except BadFrame as reason:
            finding = _break(commits, reason, may_be_torn=may_be_torn)
            yield finding
            if finding.is_damage:
                self._state = self._seal = None
                return
        self._state, self._seal = state, seal_before_mark(commits)
        if commits.is_rolled:
            yield from self._index_file(commits, index)

    def _connection(self, commits: CommitFile) -> Iterator[Finding]:
        """What is wrong between a file and the one before."""
        base, path = commits.base, commits.path
        if self._origin is not None and base["origin"] != self._origin:
            yield damage("commits", path, 0, "the file belongs to another database than FORMAT", self.last)
        if self._is_first:
            return
        if base["version"] != self.last and self._state is not None:
            missing = f"commits {self.last + 1} to {base['version']}, which come before this file, are missing"
            yield damage("commits", path, 0, missing, self.last)
        elif self._state is not None and (subject := _difference(self._state, base)) is not None:
            yield damage(subject, path, 0, "the file does not begin with the sum of the commits before it", self.last)
        elif self._seal is not None and commits.previous != self._seal:
            yield damage("commits", path, 0, "the file does not follow the one before it", self.last)

    def _following(self, commits: CommitFile) -> Iterator[Finding]:
        """Whether the file is there that the newest one says has been begun."""
        path = commits_path(self._directory, commits.version + 1)
        if not self._storage.exists(path):
            yield damage("commits", path, 0, "the file is missing; its commits cannot be read", commits.version)

    def _index_file(self, commits: CommitFile, index: FileIndex) -> Iterator[Finding]:
        path = index_path(commits.path)
        try:
            if read_index_file(self._storage, commits).to_pybytes() != pack_index(index):
                yield remark("file", path, 0, "the index is not that of the commit file; delete it, it is not needed")
        except FileNotFoundError:
            pass
        except BadFrame as reason:
            yield remark("file", path, 0, f"{reason}; the index is made anew when it is needed")


def latest_state(storage: Storage, directory: str, firsts: Sequence[int]) -> State | None:
    """The state after the last commit that can be read from its own file; None if there is no such file."""
    for first in reversed(firsts):
        path = commits_path(directory, first)
        try:
            commits = CommitFile(storage.open(path), path, first)
            commits.open()
        except (FileNotFoundError, BadFrame):
            continue
        state = State.from_json(commits.base)
        try:
            for _, record in _settled(commits):
                state.apply(record, first)
        except BadFrame:
            pass  # the check of the file says what is wrong with it
        return state
    return None


def _settled(commits: CommitFile) -> Iterator[tuple[int, Record]]:
    """The commits of a file. Where one is not whole, it is looked at twice: somebody may be writing it just now."""
    stuck_at = -1
    while True:
        try:
            yield from commits.read()
            return
        except BadFrame:
            if commits.end == stuck_at:
                raise
            stuck_at = commits.end


def _continuity(commits: CommitFile, position: int, state: State, record: Record) -> Iterator[Finding]:
    """Whether the rows of a commit follow those before it, without gap and overlap."""
    ends: dict[tuple[int, int], int] = {}
    for placed in record.extents:
        stream = state.streams.get(placed.stream)
        known = stream.ends.get(placed.partition, 0) if stream is not None else 0
        expected = ends.get((placed.stream, placed.partition), known)
        ends[placed.stream, placed.partition] = placed.offset + placed.count
        if placed.offset != expected:
            where = f"stream {placed.stream}, partition {placed.partition}"
            message = f"the rows of commit {record.version} in {where} begin at offset {placed.offset}, not {expected}"
            yield damage("commits", commits.path, position, message, record.version - 1)


def _difference(state: State, base: Mapping[str, Any]) -> Subject | None:
    """What is another one in the base of a file than in the state before it; None if nothing is."""
    known = parse_json(pack_json(state.to_json()))
    if known == base:
        return None
    return "ledger" if without_ledgers(known) == without_ledgers(base) else "commits"


def _break(commits: CommitFile, reason: BadFrame, *, may_be_torn: bool) -> Finding:
    """What it means that a file cannot be read further than to its `end`."""
    try:
        commits.refuse_unless_torn(reason)
    except CorruptLog:
        may_be_torn = False
    if may_be_torn:
        message = "bytes after the last commit that are no commit: a write under way, or one that a crash cut short"
        return remark("file", commits.path, commits.end, f"{message}; opening cuts them off")
    message = f"{reason}; the commits after {commits.version} cannot be read"
    return damage("commits", commits.path, commits.end, message, commits.version)


def seal_before_mark(commits: CommitFile) -> int:
    """What the next file must rest on."""
    if not commits.is_rolled:
        return commits.seal
    header, _ = unpack_header(commits.file.read(commits.end - HEADER_BYTES, HEADER_BYTES))
    return header.previous
