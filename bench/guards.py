"""`headwater bench guards`: rows with a CHECK and commits with an assertion that REJECTs, next to the same without."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa

from headwater.bench.log import count_of
from headwater.bench.report import Figure, Report, report_on
from headwater.bench.transactions import WRITERS, rate
from headwater.engine.database import Database, connect
from headwater.errors import AssertionViolated, HeadwaterError

_BATCH = 100_000
_ACCOUNTS = 10_000
_CHECKS = {"no check": "", "with a check": "CHECK (amount > 0 AND id IS NOT NULL) ON VIOLATION DROP"}
_ASSERTIONS = {
    "no assertion": "",
    "one about each row": "NOT EXISTS (SELECT * FROM accounts WHERE balance < 0)",
    "one about a sum": "(SELECT sum(balance) FROM accounts) >= 0",
}


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark with its arguments. Raises `HeadwaterError` where the disk does not do."""
    options = _parser().parse_args(arguments)
    return report_on(options.directory, partial(_measure, seconds=options.seconds, rows=options.rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater bench guards", description="Measure CHECK and assertions. Temporary files are removed."
    )
    parser.add_argument("--directory", default=".", metavar="DIR", help="where to put temporary files")
    parser.add_argument("--seconds", type=float, default=3.0, help="that each kind of commit runs (default: 3)")
    parser.add_argument("--rows", type=count_of, default=1_000_000, help="that are checked (default: 1000000)")
    return parser


def _measure(directory: Path, report: Report, seconds: float, rows: int) -> None:
    _measure_checks(directory, report, rows)
    _measure_assertions(directory, report, seconds)


def _measure_checks(directory: Path, report: Report, rows: int) -> None:
    report.begin("A CHECK, rows per second")
    figures = []
    for what, run in (("appended", _appended), ("read by a query", _queried)):
        for name, clause in _CHECKS.items():
            report.doing(f"{what}, {name}")
            seconds = run(directory / f"{what} {name}.hw", clause, rows)
            figures.append(Figure(f"{what}, {name}", rows / seconds, "rows/s"))
    report.add(figures)


def _appended(path: Path, check: str, rows: int) -> float:
    """How many seconds it takes to append rows to a stream with a check."""
    with connect(path) as db:
        db.execute(f"CREATE STREAM payments (id BIGINT, amount DOUBLE) {check}")
        return _append(db, rows)


def _queried(path: Path, check: str, rows: int) -> float:
    """How many seconds it takes a query with a check to read rows."""
    with connect(path, background=False) as db:
        db.execute("CREATE STREAM payments (id BIGINT, amount DOUBLE)")
        db.execute(f"CREATE STREAM ok AS SELECT id, amount * 2 AS amount FROM payments {check}")
        _append(db, rows)
        began = perf_counter()
        db.settle()
        return perf_counter() - began


def _append(db: Database, rows: int) -> float:
    batches = [
        pa.table({"id": ids, "amount": ids * 0.5 + 1})
        for ids in (np.arange(start, min(start + _BATCH, rows)) for start in range(0, rows, _BATCH))
    ]
    began = perf_counter()
    for batch in batches:
        db.append("payments", batch)
    return perf_counter() - began


def _measure_assertions(directory: Path, report: Report, seconds: float) -> None:
    report.begin("An assertion that REJECTs, commits per second")
    figures = []
    for name, condition in _ASSERTIONS.items():
        for writers in (1, WRITERS):
            what = f"{name}, {writers} writing"
            report.doing(what)
            with _accounts(directory / f"{what}.hw", condition) as db:
                figures.append(Figure(what, rate(partial(_paying, db), writers, seconds), "/s"))
    for name, relation in (("a table", "accounts"), ("a stream", "payments")):
        report.doing(f"refused, to {name}")
        condition = f"NOT EXISTS (SELECT * FROM {relation} WHERE balance < 0)"
        with _accounts(directory / f"refused {relation}.hw", condition) as db:
            figures.append(Figure(f"refused, to {name}", rate(partial(_refused, db, relation), 1, seconds), "/s"))
    report.add(figures)


def _accounts(path: Path, condition: str) -> Database:
    db = connect(path)
    db.execute("CREATE TABLE accounts (id BIGINT PRIMARY KEY, balance BIGINT)")
    db.execute("CREATE STREAM payments (id BIGINT, balance BIGINT)")
    rows = {"id": list(range(_ACCOUNTS)), "balance": [100] * _ACCOUNTS}
    db.append("accounts", rows)
    db.append("payments", rows)
    if condition:
        db.execute(f"CREATE ASSERTION a CHECK ({condition}) ON VIOLATION REJECT")
    return db


def _paying(db: Database, seed: int) -> Callable[[], None]:
    """Puts one row into accounts."""
    chance = np.random.default_rng(seed)

    def once() -> None:
        db.append("accounts", [(int(chance.integers(_ACCOUNTS)), int(chance.integers(100, 200)))])

    return once


def _refused(db: Database, relation: str, seed: int) -> Callable[[], None]:
    """Tries to put a row that breaks an assertion into a relation."""

    def once() -> None:
        try:
            db.append(relation, [(seed, -1)])
        except AssertionViolated:
            return
        raise HeadwaterError("what breaks an assertion was taken")

    return once
