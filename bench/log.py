"""`headwater bench log`: what the commit log can do on this machine, next to Arrow, Parquet and the bare disk."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from headwater.bench.appends import measure_batches, measure_latency
from headwater.bench.machine import Machine
from headwater.bench.report import Report
from headwater.bench.scans import measure_scans
from headwater.bench.sizes import measure_sizes, measure_small_commits
from headwater.errors import HeadwaterError

_UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9}
_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMG]?)B?", re.IGNORECASE)


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark with its arguments. Raises `HeadwaterError` where the disk or the system does not do."""
    options = _parser().parse_args(arguments)
    if not sys.platform.startswith("linux"):
        raise HeadwaterError("this benchmark reads /proc: run it on Linux")
    try:
        _run(options)
    except OSError as error:
        raise HeadwaterError(f"the benchmark was stopped: {error}") from error
    return 0


def _run(options: argparse.Namespace) -> None:
    directory = Path(options.directory)
    report = Report(Machine.of(directory), sys.stdout, sys.stderr)
    groups: tuple[Callable[[Path], None], ...] = (
        lambda scratch: measure_batches(scratch, report, options.rounds),
        lambda scratch: measure_latency(scratch, report, options.appends),
        lambda scratch: measure_scans(scratch, report, options.rows, options.rounds),
        lambda scratch: measure_sizes(scratch, report, options.size, options.rounds),
        lambda scratch: measure_small_commits(scratch, report, options.commits, options.rounds),
    )
    try:
        for measure in groups:
            with TemporaryDirectory(dir=directory, prefix="headwater-bench-") as scratch:
                measure(Path(scratch))
    finally:
        report.doing("")
    report.finish()
    if options.json is not None:
        Path(options.json).write_text(report.json())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater bench log",
        description="Measure the commit log next to Arrow IPC, Parquet and the bare disk. Temporary files are removed.",
    )
    parser.add_argument(
        "--directory", default=".", metavar="DIR", help="where to put temporary files: on the disk that is asked about"
    )
    parser.add_argument("--json", metavar="FILE", help="also write the figures to this file")
    parser.add_argument(
        "--size", type=size_of, default="500MB", help="bytes of rows in the large database (default: 500MB)"
    )
    parser.add_argument(
        "--commits", type=count_of, default=200_000, help="commits of one row in another one (default: 200000)"
    )
    parser.add_argument("--rows", type=count_of, default=2_000_000, help="rows to scan (default: 2000000)")
    parser.add_argument("--appends", type=count_of, default=1_000, help="appends of one row to time (default: 1000)")
    parser.add_argument("--rounds", type=count_of, default=7, help="of which the median is taken (default: 7)")
    return parser


def size_of(text: str) -> int:
    """`5GB`, `500 MB`, `1.5G`, `1000000`: bytes, in powers of ten."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise argparse.ArgumentTypeError(f'"{text}" is not a size: write it like 500MB or 5GB')
    return int(float(found[1]) * _UNITS[found[2].upper()])


def count_of(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f'"{text}" is not a number of things: write one from 1 on')
    return int(text)
