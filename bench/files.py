"""`headwater bench files`: COPY of a file and following one, next to DuckDB, pyarrow and the log's append."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import duckdb
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet

from headwater.bench.log import count_of
from headwater.bench.machine import Machine
from headwater.bench.report import Figure, Report
from headwater.bench.sample import orders
from headwater.bench.timing import Timed, in_turns, seconds
from headwater.engine.database import Database, connect
from headwater.engine.file_columns import columns_of
from headwater.errors import HeadwaterError
from headwater.parser import quote
from headwater.planner.file_options import FileOptions

FORMATS = ("csv", "ndjson", "parquet")


def main(arguments: Sequence[str]) -> int:
    """Run the benchmark with its arguments. Raises `HeadwaterError` where the disk does not do."""
    parser = argparse.ArgumentParser(
        prog="headwater bench files",
        description="Measure COPY FROM and streams that follow files. Temporary files are removed.",
    )
    parser.add_argument("--directory", default=".", metavar="DIR", help="where to put temporary files")
    parser.add_argument("--rows", type=count_of, default=1_000_000, help="in each file (default: 1,000,000)")
    parser.add_argument("--rounds", type=count_of, default=3, help="of which the median is taken (default: 3)")
    options = parser.parse_args(arguments)
    directory = Path(options.directory)
    report = Report(Machine.of(directory), sys.stdout, sys.stderr)
    try:
        with TemporaryDirectory(dir=directory, prefix="headwater-bench-") as scratch:
            rows = pa.Table.from_batches([orders(options.rows)])
            for format in FORMATS:
                report.begin(f"{options.rows:,} rows of {format}")
                report.doing(f"measuring {format}")
                report.add(measure(Path(scratch), rows, format, options.rounds))
    except OSError as error:
        raise HeadwaterError(f"the benchmark was stopped: {error}") from error
    finally:
        report.doing("")
    report.finish()
    return 0


def measure(directory: Path, rows: pa.Table, format: str, rounds: int) -> list[Figure]:
    """Seconds for a file of rows, and the same as a multiple of what is below: reading by DuckDB, and the append."""
    path = directory / f"rows.{format}"
    with duckdb.connect() as con:
        con.register("rows", rows)
        kind = "json" if format == "ndjson" else format
        con.execute(f"COPY rows TO '{path}' (FORMAT {kind})")
    columns = ", ".join(f"{quote(c.name)} {c.type}" for c in columns_of(str(path), FileOptions(format)))
    arrow = _read_by_pyarrow(path, format)
    numbers = count()

    def in_new_database(run: Callable[[Database], object]) -> Timed:
        def timed() -> float:
            with connect(directory / f"{format}-{next(numbers)}.hw", background=False) as database:
                database.sql(f"CREATE STREAM s ({columns})")
                return seconds(lambda: run(database))

        return timed

    follow = f"CREATE STREAM f ({columns}) WITH (connector = 'file', path = '{path}', follow = true)"
    taken = in_turns(
        {
            "copy": in_new_database(lambda database: database.sql(f"COPY s FROM '{path}'")),
            "follow": in_new_database(lambda database: database.sql(follow)),
            "append": in_new_database(lambda database: database.append("s", arrow)),
            "pyarrow": lambda: seconds(lambda: _read_by_pyarrow(path, format)),
            "duckdb": lambda: seconds(lambda: _read_by_duckdb(path, columns, format)),
        },
        rounds,
    )
    copy, follow_s, append, pyarrow_s, duckdb_s = (median(times) for times in taken.values())
    return [
        Figure("COPY FROM", copy, "s"),
        Figure("following the file, from its beginning", follow_s, "s"),
        Figure("DuckDB reading it, on all cores", duckdb_s, "s"),
        Figure("pyarrow reading it, on all cores", pyarrow_s, "s"),
        Figure("appending the rows, when they are read", append, "s"),
        Figure("COPY FROM ÷ (DuckDB + append)", copy / (duckdb_s + append), "×"),
        Figure("following ÷ (DuckDB + append)", follow_s / (duckdb_s + append), "×"),
    ]


def _read_by_pyarrow(path: Path, format: str) -> pa.Table:
    match format:
        case "csv":
            return pyarrow.csv.read_csv(path)
        case "ndjson":
            return pyarrow.json.read_json(path)
        case _:
            return pyarrow.parquet.read_table(path)


def _read_by_duckdb(path: Path, columns: str, format: str) -> None:
    with duckdb.connect() as con:
        con.execute(f"CREATE TABLE s ({columns})")
        con.execute(f"COPY s FROM '{path}' (FORMAT {'json' if format == 'ndjson' else format})")
