"""`headwater bench feedback`: rounds of a loop of queries, next to a bare write and sync."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa

from headwater.bench.report import Figure, Report, report_on
from headwater.bench.transactions import bare_sync, rate
from headwater.engine.database import Database, connect

_SIZES = (1, 1_000)  # rows that go round
_SYNC_SECONDS = 0.5


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark with its arguments. Raises `HeadwaterError` where the disk does not do."""
    options = _parser().parse_args(arguments)
    return report_on(options.directory, partial(_measure, rounds=options.rounds))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater bench feedback",
        description="Measure how fast rows go round in a loop of queries. Temporary files are removed.",
    )
    parser.add_argument("--directory", default=".", metavar="DIR", help="where to put temporary files")
    parser.add_argument("--rounds", type=int, default=1_000, help="of each loop (default: 1000)")
    return parser


def _measure(directory: Path, report: Report, rounds: int) -> None:
    report.begin("Rounds of a loop, each a durable step")
    report.doing("syncing")
    figures = [
        Figure(
            "a bare write and fdatasync, one after the other",
            rate(lambda _: bare_sync(directory), 1, _SYNC_SECONDS),
            "/s",
        )
    ]
    for size in _SIZES:
        with connect(directory / f"loop{size}.hw") as db:
            report.doing(f"{size:,} rows going round")
            found = _rounds_per_second(db, size, rounds)
            figures.append(Figure(f"rounds of {size:,} row{'' if size == 1 else 's'}", found, "/s"))
    report.add(figures)


def _rounds_per_second(db: Database, size: int, rounds: int) -> float:
    """How many rounds a second rows go that are counted up until they have gone round so often."""
    db.execute(f"""
        CREATE STREAM turns (id BIGINT, n BIGINT);
        INSERT INTO turns SELECT id, n + 1 FROM turns WHERE n < {rounds}
            WITH (feedback = '1 step', max_hops = {rounds + 1});
    """)
    began = perf_counter()
    db.append("turns", pa.table({"id": np.arange(size), "n": np.zeros(size, dtype=np.int64)}))
    db.settle()
    seconds = perf_counter() - began
    ((last, count),) = db.sql("SELECT max(n), count(*) FROM turns").fetchall()
    assert (last, count) == (rounds, size * (rounds + 1))
    return rounds / seconds
