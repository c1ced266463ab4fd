"""`headwater bench ledger`: what it costs to append to a ledger, next to a stream that is none; to verify, to prove."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import pyarrow as pa

from headwater.bench.report import Figure, Report, report_on
from headwater.engine.database import Database, connect

_GOALS = {1: None, 1_000: 2.0, 100_000: 6.0}  # rows of a batch → how many times as long one may take in a ledger
_COLUMNS = "(id BIGINT, payer VARCHAR, amount DECIMAL(18, 2), at TIMESTAMP)"
_LARGE = 1_000_000  # records of which one is proven
_PROOFS = 20


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark with its arguments. Raises `HeadwaterError` where the disk does not do."""
    parser = argparse.ArgumentParser(prog="headwater bench ledger", description="Measure appends to a ledger.")
    parser.add_argument("--directory", default=".", metavar="DIR", help="where to put temporary files")
    parser.add_argument("--seconds", type=float, default=2.0, help="that each size of batch is appended (default: 2)")
    options = parser.parse_args(arguments)
    return report_on(options.directory, partial(_measure, seconds=options.seconds))


def _measure(directory: Path, report: Report, seconds: float) -> None:
    with connect(directory / "bank.hw") as db:
        db.execute(f"CREATE STREAM plain {_COLUMNS}; CREATE STREAM ledger {_COLUMNS} WITH (ledger = true)")
        for count, goal in _GOALS.items():
            rows = _rows(db, count)
            report.doing(f"appending batches of {count:,} rows")
            spent = {"plain": 0.0, "ledger": 0.0}
            appended = 0
            while sum(spent.values()) < seconds:  # one of each in turn, so that both have the same machine
                for name in spent:
                    began = perf_counter()
                    db.append(name, rows)
                    spent[name] += perf_counter() - began
                appended += count
            for name in spent:
                report.add([Figure(f"{name}, batches of {count:,}", appended / spent[name], "rows/s")])
            cost = spent["ledger"] / spent["plain"]
            report.add([Figure(f"cost of the ledger, batches of {count:,}", cost, "times", goal)])
        _measure_proofs(db, report)
        report.doing("verifying")
        began = perf_counter()
        verified = sum(row[1] for row in db.sql("VERIFY STREAM ledger"))
        report.add([Figure("VERIFY STREAM", verified / (perf_counter() - began), "rows/s")])


def _measure_proofs(db: Database, report: Report) -> None:
    """How long a proof takes of one of many records: those of few large commits, and those of many small ones."""
    for count in (100_000, 1_000):
        report.doing(f"proving one of {_LARGE:,} records in batches of {count:,} rows")
        name, rows = f"batches_{count}", _rows(db, count)
        db.execute(f"CREATE STREAM {name} {_COLUMNS} WITH (ledger = true)")
        for _ in range(_LARGE // count):
            db.append(name, rows)
        began = perf_counter()
        for number in range(_PROOFS):
            db.sql(f"SHOW PROOF OF {name} OFFSET {number * (_LARGE // _PROOFS)}").fetchall()
        milliseconds = (perf_counter() - began) / _PROOFS * 1_000
        report.add([Figure(f"SHOW PROOF of {_LARGE:,}, batches of {count:,}", milliseconds, "ms")])


def _rows(db: Database, count: int) -> pa.Table:
    return db.sql(
        "SELECT i AS id, 'account ' || (i % 100) AS payer, CAST(i % 10000 AS DECIMAL(18, 2)) AS amount,"
        f" TIMESTAMP '2026-01-01' + to_seconds(i) AS at FROM range({count}) AS r (i)"
    ).arrow()
