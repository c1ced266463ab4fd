"""What the size of a database costs: time to open it, and memory to scan it, next to one of a tenth of the size."""

from __future__ import annotations

from pathlib import Path
from statistics import median

import pyarrow as pa

from headwater.bench.memory import Peaks, peaks_of_scan
from headwater.bench.report import Figure, Report
from headwater.bench.sample import orders
from headwater.bench.timing import in_turns, seconds
from headwater.bench.unsynced import UnsyncedStorage
from headwater.storage import Append, Log, OsStorage
from headwater.storage.file_cache import OPEN_FILES
from headwater.storage.segments import SEGMENT_BYTES

OPEN_GOAL_SECONDS = 1.0
GROWTH_GOAL_SECONDS = 0.1  # how much longer a database of ten times the size may take to open
ANONYMOUS_GOAL_MB = 32.0  # how much more memory a scan of ten times the rows may need
MAPPED_GOAL_MB = (OPEN_FILES + 1) * SEGMENT_BYTES / 1e6  # the maps of the files held open, and of one being read

_BATCH_ROWS = 10_000
_SMALLER = 10


def measure_sizes(directory: Path, report: Report, size_bytes: int, rounds: int) -> None:
    """Report opening time and memory of databases of large commits."""
    batch = orders(_BATCH_ROWS)
    commits = max(_SMALLER, size_bytes // batch.nbytes)
    report.begin(f"Databases of {_size(commits * batch.nbytes)} and of a tenth of it, {_BATCH_ROWS:,} rows a commit")
    paths = _build_both(directory, report, batch, commits)
    report.add(_opening(paths, rounds))
    report.doing("scanning them in processes of their own")
    report.add(_memory(*(peaks_of_scan(path) for path in paths)))


def measure_small_commits(directory: Path, report: Report, commits: int, rounds: int) -> None:
    """Report opening time of databases of many commits of one row."""
    report.begin(f"Databases of {commits:,} commits of one row, and of a tenth of it")
    report.add(_opening(_build_both(directory, report, orders(1), commits), rounds))


def _build_both(directory: Path, report: Report, batch: pa.RecordBatch, commits: int) -> tuple[str, str]:
    """Paths of a database of so many commits, and of one with a tenth of them."""
    large, small = str(directory / "large.hw"), str(directory / "small.hw")
    for path, number in ((large, commits), (small, commits // _SMALLER)):
        storage = UnsyncedStorage()
        log = Log.open(storage, path)
        for done in range(number):
            if done % max(1, number // 100) == 0:
                report.doing(f"building a database of {number:,} commits, {done / number:.0%}")
            log.commit([Append(0, 0, batch)])
        log.close()
        report.doing("writing it to the disk")
        storage.make_durable()
    return large, small


def _opening(paths: tuple[str, str], rounds: int) -> list[Figure]:
    def open_seconds(path: str) -> float:
        opened: list[Log] = []
        taken = seconds(lambda: opened.append(Log.open(OsStorage(), path)))
        opened[0].close()
        return taken

    taken = in_turns({path: lambda path=path: open_seconds(path) for path in paths}, rounds)  # type: ignore[misc]
    large, small = (median(taken[path]) for path in paths)
    return [
        Figure("opening", large * 1000, "ms", OPEN_GOAL_SECONDS * 1000),
        Figure("opening, a tenth", small * 1000, "ms"),
        Figure("opening, longer by", (large - small) * 1000, "ms", GROWTH_GOAL_SECONDS * 1000),
    ]


def _memory(large: Peaks, small: Peaks) -> list[Figure]:
    return [
        Figure("memory to scan it (RssAnon)", large.anonymous_bytes / 1e6, "MB"),
        Figure("memory to scan it, a tenth", small.anonymous_bytes / 1e6, "MB"),
        Figure(
            "memory to scan it, more by",
            (large.anonymous_bytes - small.anonymous_bytes) / 1e6, "MB", ANONYMOUS_GOAL_MB,
        ),
        Figure("mapped to scan it (RssFile)", large.mapped_bytes / 1e6, "MB", MAPPED_GOAL_MB),
        Figure("mapped to scan it, a tenth", small.mapped_bytes / 1e6, "MB"),
    ]  # fmt: skip


def _size(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"
