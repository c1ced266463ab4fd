"""`headwater bench pipelines`: a query by itself, three instances deep, and there with a clock of its own."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pyarrow as pa

from headwater.bench.log import count_of
from headwater.bench.report import Figure, Report, report_on
from headwater.engine.database import Database, connect

_BATCH = 10_000
_PORTS = "(IN a STREAM (k BIGINT, v DOUBLE), OUT b TABLE (k BIGINT, n BIGINT, total DOUBLE))"
_PIPELINES = f"""
CREATE PIPELINE one (IN a STREAM (k BIGINT, v DOUBLE), OUT b STREAM (k BIGINT, v DOUBLE)) AS BEGIN
    CREATE STREAM b AS SELECT k, v FROM a WHERE v > 0.1;
END;
CREATE PIPELINE two (IN a STREAM (k BIGINT, v DOUBLE), OUT b STREAM (k BIGINT, v DOUBLE)) AS BEGIN
    CREATE INSTANCE i OF one (a => a);
    CREATE STREAM b AS SELECT * FROM i.b;
END;
CREATE PIPELINE three {_PORTS} AS BEGIN
    CREATE INSTANCE i OF two (a => a);
    CREATE TABLE b AS SELECT k, count(*) AS n, sum(v) AS total FROM i.b GROUP BY k;
END
"""
_NESTED = f"{_PIPELINES}; CREATE INSTANCE f OF three (a => a)"
_WAYS = {
    "inlined": (
        "CREATE STREAM x AS SELECT k, v FROM a WHERE v > 0.1; CREATE STREAM y AS SELECT * FROM x;"
        "CREATE TABLE b AS SELECT k, count(*) AS n, sum(v) AS total FROM y GROUP BY k"
    ),
    "three instances deep": _NESTED,
    "the same, with its own clock": f"{_NESTED} WITH (clock = 'own')",
}


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark with its arguments. Raises `HeadwaterError` where the disk does not do."""
    options = _parser().parse_args(arguments)
    return report_on(options.directory, partial(_measure, rows=options.rows))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater bench pipelines",
        description="Measure a query by itself and inside instances. Temporary files are removed.",
    )
    parser.add_argument("--directory", default=".", metavar="DIR", help="where to put temporary files")
    parser.add_argument("--rows", type=count_of, default=1_000_000, help="that flow through (default: 1000000)")
    return parser


def _measure(directory: Path, report: Report, rows: int) -> None:
    """Each way, its rows per second and milliseconds per step, next to the first."""
    report.begin(f"A query over {rows:,} rows, by steps of {_BATCH:,}")
    base = 0.0
    for name, statements in _WAYS.items():
        report.doing(name)
        with connect(directory / f"{name}.hw", background=False) as db:
            db.execute(f"CREATE STREAM a (k BIGINT, v DOUBLE); {statements}")
            seconds, steps = _flow(db, rows)
        base = base or seconds
        report.add([
            Figure(name, rows / seconds, "rows/s"),
            Figure(f"{name}, a step", seconds / steps * 1000, "ms"),
            Figure(f"{name}, time next to inlined", seconds / base, "times"),
        ])  # fmt: skip


def _flow(db: Database, rows: int) -> tuple[float, int]:
    """How many seconds it takes until what follows from rows is committed, in how many steps."""
    chance = np.random.default_rng(0)
    batches = [
        pa.table({"k": chance.integers(1000, size=count), "v": chance.random(count)})
        for count in (min(_BATCH, rows - start) for start in range(0, rows, _BATCH))
    ]
    began = perf_counter()
    for batch in batches:
        db.append("a", batch)
        db.settle()
    return perf_counter() - began, len(batches)
