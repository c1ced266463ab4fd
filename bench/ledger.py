"""`headwater bench ledger`: what it costs to append to a ledger, next to a stream that is none."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import pyarrow as pa

from headwater.bench.report import Figure, Report, report_on
from headwater.engine.database import Database, connect

_BATCHES = (1, 1_000, 100_000)  # rows


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark with its arguments. Raises `HeadwaterError` where the disk does not do."""
    parser = argparse.ArgumentParser(prog="headwater bench ledger", description="Measure appends to a ledger.")
    parser.add_argument("--directory", default=".", metavar="DIR", help="where to put temporary files")
    parser.add_argument("--seconds", type=float, default=2.0, help="that each size of batch is appended (default: 2)")
    options = parser.parse_args(arguments)
    return report_on(options.directory, partial(_measure, seconds=options.seconds))


def _measure(directory: Path, report: Report, seconds: float) -> None:
    with connect(directory / "bank.hw") as db:
        columns = "(id BIGINT, payer VARCHAR, amount DECIMAL(18, 2), at TIMESTAMP)"
        db.execute(f"CREATE STREAM plain {columns}; CREATE STREAM ledger {columns} WITH (ledger = true)")
        for count in _BATCHES:
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
            goal = 3.0 if count == 1_000 else None
            cost = spent["ledger"] / spent["plain"]
            report.add([Figure(f"cost of the ledger, batches of {count:,}", cost, "times", goal)])
        report.doing("verifying")
        began = perf_counter()
        verified = sum(row[1] for row in db.sql("VERIFY STREAM ledger"))
        report.add([Figure("VERIFY STREAM", verified / (perf_counter() - began), "rows/s")])


def _rows(db: Database, count: int) -> pa.Table:
    return db.sql(
        "SELECT i AS id, 'account ' || (i % 100) AS payer, CAST(i % 10000 AS DECIMAL(18, 2)) AS amount,"
        f" TIMESTAMP '2026-01-01' + to_seconds(i) AS at FROM range({count}) AS r (i)"
    ).arrow()
