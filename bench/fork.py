"""`headwater bench fork`: how long a fork takes, next to bare hard links of the same files, and to a backup."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from headwater.bench.log import count_of, size_of
from headwater.bench.machine import Machine
from headwater.bench.report import Figure, Report
from headwater.bench.sample import orders
from headwater.bench.timing import Timed, in_turns, seconds
from headwater.bench.unsynced import UnsyncedStorage
from headwater.errors import HeadwaterError
from headwater.storage import Append, Log, OsStorage
from headwater.storage.backup import back_up
from headwater.storage.fork import fork

GOAL_SECONDS = 1.0

_BATCH_ROWS = 100_000
_SMALL_COMMITS = 2_000  # at the end, so that there is something in the commit file that a fork copies
_SMALLER = 10


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark with its arguments. Raises `HeadwaterError` where the disk does not do."""
    options = _parser().parse_args(arguments)
    directory = Path(options.directory)
    report = Report(Machine.of(directory), sys.stdout, sys.stderr)
    try:
        for size in (options.size, options.size // _SMALLER):
            with TemporaryDirectory(dir=directory, prefix="headwater-bench-") as scratch:
                measure_forks(Path(scratch), report, size, options.rounds)
    except OSError as error:
        raise HeadwaterError(f"the benchmark was stopped: {error}") from error
    finally:
        report.doing("")
    report.finish()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater bench fork",
        description="Measure forks of a database, and of one of a tenth of the size. Temporary files are removed.",
    )
    parser.add_argument("--directory", default=".", metavar="DIR", help="where to put temporary files")
    parser.add_argument("--size", type=size_of, default="1GB", help="bytes of rows in the database (default: 1GB)")
    parser.add_argument("--rounds", type=count_of, default=7, help="of which the median is taken (default: 7)")
    return parser


def measure_forks(directory: Path, report: Report, size: int, rounds: int) -> None:
    """Report the seconds of a fork of an open database as of now and of the middle, of one that another process has
    open, of hard links alone, and of one backup.
    """
    path = str(directory / "shop.hw")
    report.begin(f"A database of {size / 1e9:.3g} GB")
    _build(path, report, size)
    files = [file for file in Path(path).rglob("*") if file.is_file()]
    report.doing("forking it")
    log = Log.open(OsStorage(), path)
    taken = in_turns(
        {
            "now": _made_anew(directory, log.fork),
            "then": _made_anew(directory, lambda target: log.fork(target, log.version // 2)),
            "beside": _made_anew(directory, lambda target: fork(OsStorage(), path, target)),
            "links": _made_anew(directory, lambda target: shutil.copytree(path, target, copy_function=os.link)),
        },
        rounds,
    )
    log.close()
    report.doing("copying it")
    copied = _made_anew(directory, lambda target: back_up(OsStorage(), path, target))()
    title = f"{len(files):,} files"
    report.add(
        [
            Figure(f"fork, {title}", median(taken["now"]), "s", GOAL_SECONDS),
            Figure(f"fork as of half of the versions, {title}", median(taken["then"]), "s", GOAL_SECONDS),
            Figure(f"fork by another process, {title}", median(taken["beside"]), "s", GOAL_SECONDS),
            Figure(f"hard links alone, not made durable, {title}", median(taken["links"]), "s"),
            Figure(f"backup, once, {title}", copied, "s"),
        ]
    )


def _made_anew(directory: Path, make: Callable[[str], object]) -> Timed:
    """The seconds that it takes to make a directory, which is removed again."""
    numbers = count()

    def timed() -> float:
        target = directory / f"made-{next(numbers)}"
        taken = seconds(lambda: make(str(target)))
        shutil.rmtree(target)
        return taken

    return timed


def _build(path: str, report: Report, size: int) -> None:
    """Make a database of that many bytes of rows."""
    batch = orders(_BATCH_ROWS)
    commits = max(2, size // batch.nbytes)
    storage = UnsyncedStorage()
    log = Log.open(storage, path)
    for done in range(commits):
        report.doing(f"building a database of {size / 1e9:.3g} GB, {done / commits:.0%}")
        log.commit([Append(0, 0, batch)])
    for _ in range(_SMALL_COMMITS):
        log.commit([Append(1, 0, batch.slice(0, 1))])
    log.close()
    report.doing("writing it to the disk")
    storage.make_durable()
