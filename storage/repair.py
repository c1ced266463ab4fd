"""Repairing a database: giving up what cannot be read, no more than that, and only what was named.

In: findings of a check, and losses that somebody accepts; out: a database without damage, whose log says what was lost.
Rows that are given up leave a gap: offsets stay as they are, and scans pass over it. What can be made again without any
loss is the business of `rebuild.py`; cutting the commit log, of `giving_up.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.errors import NotADatabase, StorageError
from headwater.storage.chain import CommitLog, listed_files
from headwater.storage.check import Check
from headwater.storage.check_commits import latest_state
from headwater.storage.commits import pack_json
from headwater.storage.directory import OpenDirectory, read_format
from headwater.storage.failures import explained
from headwater.storage.files import Lock, Storage
from headwater.storage.findings import Finding
from headwater.storage.giving_up import forget_plan, give_up, unfinished
from headwater.storage.rebuild import rebuild, stretch_segment
from headwater.storage.segments import SEGMENT_BYTES, Segments
from headwater.storage.writer import INLINE_BYTES, Removal, Request, Writer

Progress = Callable[[int, int], None]  # bytes that are done, bytes in all


@dataclass(frozen=True, slots=True, order=True)
class LostRows:
    """Rows of a partition, from the first to the last offset."""

    stream: int
    partition: int
    first: int
    last: int

    def __str__(self) -> str:
        return f"{self.stream}/{self.partition}:{self.first}..{self.last}"


@dataclass(frozen=True, slots=True)
class LostCommits:
    """All commits after a version."""

    after: int

    def __str__(self) -> str:
        return f"after:{self.after}"


@dataclass(frozen=True, slots=True)
class LostImages:
    """All images that are damaged."""

    def __str__(self) -> str:
        return "images"


Loss = LostRows | LostCommits | LostImages

_ROWS = re.compile(r"(\d+)/(\d+):(\d+)\.\.(\d+)")
_AFTER = re.compile(r"after:(\d+)")


def parse_loss(text: str) -> Loss:
    """The loss that a text such as "3/1:120..139", "after:41" or "images" names. Raises `ValueError` for others."""
    if text == "images":
        return LostImages()
    if found := _AFTER.fullmatch(text):
        return LostCommits(int(found[1]))
    if found := _ROWS.fullmatch(text):
        stream, partition, first, last = map(int, found.groups())
        if first <= last:
            return LostRows(stream, partition, first, last)
    raise ValueError(f'"{text}" names no loss: it is like 3/1:120..139 (stream/partition:offsets), after:41 or images')


@dataclass(frozen=True, slots=True)
class Prospect:
    """What can be done about damage: made again at no loss, or given up; and damage for which nothing can be done.

    Commits come before all else: while they are damaged, what else is lost is not known. That somebody changed a ledger
    is evidence, which stays.
    """

    rebuildable: tuple[Finding, ...]
    losses: tuple[Loss, ...]
    beyond_repair: tuple[Finding, ...]
    evidence: tuple[Finding, ...] = ()


def prospect(storage: Storage, path: str, findings: Iterable[Finding]) -> Prospect:
    """What can be done about the damage among some findings. Nothing is changed."""
    found = [finding for finding in findings if finding.is_damage]
    evidence = tuple(finding for finding in found if finding.subject == "ledger")
    damages = [finding for finding in found if finding.subject != "ledger"]
    rebuildable = tuple(rebuild(storage, path, damages, apply=False))
    rest = [finding for finding in damages if finding not in rebuildable]
    losses: list[Loss] = _ranges(rest)
    if any(finding.subject == "image" for finding in rest):
        losses.append(LostImages())
    broken = [finding for finding in rest if finding.subject == "commits"]
    hopeless = [finding for finding in rest if finding.subject == "format"]
    if broken and _can_be_cut(storage, path, broken[0]):
        losses.append(LostCommits(broken[0].version))
    else:
        hopeless += broken
    return Prospect(rebuildable, tuple(losses), tuple(hopeless), evidence)


def repair(
    storage: Storage,
    path: str,
    losses: Sequence[Loss],
    *,
    rebuild_lossless: bool = False,
    on_progress: Progress = lambda done, total: None,
) -> int | None:
    """Give up what `losses` name, durably; the version that records it, None if there was nothing left to do.

    Can be done again after a crash. Raises `AlreadyOpen`, or `StorageError` where a loss is named that is none, or is
    only part of what must go together: then nothing is changed.
    """
    path = path.rstrip("/") or path
    _check_losses(losses)
    if not storage.exists(f"{path}/commits"):
        raise NotADatabase(f'there is no database at "{path}"')
    with explained(f'cannot repair "{path}"'):
        lock = storage.lock(f"{path}/LOCK")
        try:
            if rebuild_lossless:
                for _ in rebuild(storage, path, _damages(storage, path, on_progress), apply=True):
                    pass
            return _accept(storage, path, lock, losses, _damages(storage, path, on_progress)) if losses else None
        finally:
            lock.release()


def _check_losses(losses: Sequence[Loss]) -> None:
    if len(losses) > 1 and any(isinstance(loss, LostCommits) for loss in losses):
        raise StorageError("commits are given up first and alone: what else is damaged then shows in another check")


def _damages(storage: Storage, path: str, on_progress: Progress) -> list[Finding]:
    findings = Check(storage, path, on_progress).findings()
    return [finding for finding in findings if finding.is_damage and finding.subject != "ledger"]


def _accept(storage: Storage, path: str, lock: Lock, losses: Sequence[Loss], damages: Sequence[Finding]) -> int | None:
    if any(finding.subject == "format" for finding in damages):
        raise StorageError(f'"{path}/FORMAT" is damaged: that comes first; "headwater repair {path}" says what to do')
    directory = OpenDirectory(path, read_format(storage, path), lock)
    broken = [finding for finding in damages if finding.subject == "commits"]
    if isinstance(losses[0], LostCommits):
        return _accept_commits(storage, directory, losses[0], broken)
    rows = _chosen(storage, path, [loss for loss in losses if isinstance(loss, LostRows)], damages)
    images = sorted({finding.version for finding in damages if finding.subject == "image"})
    images = images if LostImages() in losses else []
    if not rows and not images:
        return None
    _stretch_segments(storage, path, damages, rows)
    lost = [_key(finding) for finding in rows]
    note: dict[str, Any] = {"rows": [str(loss) for loss in _ranges(rows)]} if rows else {}
    if images:
        note["images"] = images
    return _record(storage, directory, note, Removal(discard=images, lost=lost))


# -------------------------------------------------------------------- commits


def _can_be_cut(storage: Storage, path: str, first_break: Finding) -> bool:
    """Whether anything is left before the first break of the commit log."""
    firsts = listed_files(storage, f"{path}/commits")
    before = [n for n in firsts if n <= first_break.version + 1]
    return bool(before) and not (first_break.position == 0 and len(before) < 2 and before[0] == first_break.version + 1)


def _accept_commits(
    storage: Storage, directory: OpenDirectory, loss: LostCommits, broken: Sequence[Finding]
) -> int | None:
    path = directory.path
    note: dict[str, Any] | None = unfinished(storage, path)
    if broken:
        first_break = broken[0]
        if not _can_be_cut(storage, path, first_break):
            raise StorageError(f'"{first_break.path}" is beyond repair: restore the database from a backup')
        if loss.after != first_break.version:
            raise StorageError(
                f"the commit log can be read up to version {first_break.version}, not {loss.after}: nothing was "
                "changed",
                hint=f"headwater repair {path} --accept-loss after:{first_break.version}",
            )
        note = give_up(storage, path, first_break)
    elif note is None or note["after"] != loss.after:
        raise StorageError(f"the commits after {loss.after} are not damaged: nothing was changed")
    state = latest_state(storage, directory.commits, listed_files(storage, directory.commits))
    recorded = state is not None and any(kept.get("repair") == note for kept in state.kept.values())
    version = None if recorded else _record(storage, directory, note, Removal())
    forget_plan(storage, path, note)
    return version


# -------------------------------------------------------------------- rows


def _ranges(findings: Iterable[Finding]) -> list[Loss]:
    """The rows that findings say are damaged, those that are neighbours as one."""
    ranges: list[LostRows] = []
    for extent in sorted(
        (f.extent.stream, f.extent.partition, f.extent.offset, f.extent.count) for f in findings if f.extent is not None
    ):
        stream, partition, offset, count = extent
        last = ranges[-1] if ranges else None
        if last is not None and (last.stream, last.partition, last.last + 1) == (stream, partition, offset):
            ranges[-1] = LostRows(stream, partition, last.first, offset + count - 1)
        else:
            ranges.append(LostRows(stream, partition, offset, offset + count - 1))
    return list(ranges)


def _chosen(storage: Storage, path: str, losses: Sequence[LostRows], damages: Sequence[Finding]) -> list[Finding]:
    """The damaged runs of rows that losses name. Raises `StorageError` unless they name these, whole, and no others."""
    state = latest_state(storage, f"{path}/commits", listed_files(storage, f"{path}/commits"))
    given_up = state.lost if state is not None else []
    chosen: list[Finding] = []
    for loss in losses:
        runs = [f for f in damages if f.extent is not None and _overlap(loss, *_place(_key(f)))]
        covered = [_place(_key(run)) for run in runs] + [_place(lost) for lost in given_up]
        left = (loss.last - loss.first + 1) - sum(
            min(loss.last, last) - max(loss.first, first) + 1
            for stream, partition, first, last in set(covered)
            if _overlap(loss, stream, partition, first, last)
        )
        if left > 0:
            raise StorageError(f"{left} of the rows {loss} are not damaged: nothing was changed")
        for run in runs:
            _, _, first, last = _place(_key(run))
            if first < loss.first or last > loss.last:
                whole = LostRows(loss.stream, loss.partition, first, last)
                raise StorageError(
                    f"the rows {whole} were committed as one run and can only be given up together: nothing was changed"
                )
        chosen += [run for run in runs if run not in chosen]
    return chosen


def _key(finding: Finding) -> tuple[int, ...]:
    """A run of rows as the state has those that are lost."""
    extent = finding.extent
    assert extent is not None
    return extent.stream, finding.version, extent.partition, extent.offset, extent.count


def _place(lost: Sequence[int]) -> tuple[int, int, int, int]:
    stream, _, partition, offset, count = lost
    return stream, partition, offset, offset + count - 1


def _overlap(loss: LostRows, stream: int, partition: int, first: int, last: int) -> bool:
    return (loss.stream, loss.partition) == (stream, partition) and loss.first <= last and first <= loss.last


def _stretch_segments(storage: Storage, path: str, damages: Sequence[Finding], rows: Sequence[Finding]) -> None:
    """Make last segments usable of which all damaged rows are given up; those rows are gone from them already."""
    still_damaged = {finding.path for finding in damages if finding.subject == "rows" and finding not in rows}
    given_up = {finding.path for finding in rows}
    for finding in damages:
        if finding.subject == "segment" and finding.path in given_up - still_damaged:
            stretch_segment(storage, path, finding.path)


def _record(storage: Storage, directory: OpenDirectory, note: dict[str, Any], removal: Removal) -> int:
    """Make the commit that says what was lost. The log need not be fit for more than this."""
    chain = CommitLog(storage, directory)
    chain.open(repair=True)
    segments = Segments(storage, directory.streams, SEGMENT_BYTES)
    writer = Writer(storage, directory.path, chain, segments, INLINE_BYTES)
    commit = writer.submit(Request(packed_note=pack_json({"repair": note}), keep=True, removal=removal))
    writer.close()
    return commit.version
