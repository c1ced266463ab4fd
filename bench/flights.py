"""What the demo's data costs: appending it, keeping queries over it, and seeing a change.

    headwater bench flights

Each figure stands next to what the parts below could do at best: DuckDB computing the same answer from scratch, and
Arrow writing and syncing the same rows. With `--directory`, temporary files go to the disk that is asked
about.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from time import perf_counter

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

import headwater
from headwater.repl.demo import append_until
from headwater.repl.flights import QUERIES, SOURCES, Dataset, find_data, read_data

STEP_ROWS = 10_000
LATENCIES = 300

# The continuous queries that are measured, each with what it reads and the SQL for DuckDB that gives the same rows.
MEASURED = {
    "carrier_delay": (
        ("carrier_delay",),
        """SELECT carrier, count(*), count(arr_delay), avg(arr_delay), min(arr_delay), max(arr_delay)
           FROM flights GROUP BY ALL""",
    ),
    "hourly_delay": (
        ("hourly_delay",),
        """SELECT date_trunc('hour', scheduled), origin, count(*), count(dep_delay), avg(dep_delay), max(dep_delay)
           FROM flights GROUP BY ALL""",
    ),
    "rolling_delay": (
        ("rolling_delay",),
        """SELECT time_bucket(INTERVAL 2 HOURS, scheduled) - to_hours(back) AS start, count(*), avg(dep_delay),
                  sum(CASE WHEN dep_delay > 60 THEN 1 ELSE 0 END)
           FROM flights, (VALUES (0), (2), (4)) AS v(back) GROUP BY start""",
    ),
    "late_by_airline": (
        ("late_flights", "late_by_airline"),
        """SELECT name, count(*), avg(arr_delay), max(arr_delay)
           FROM flights JOIN airlines USING (carrier) WHERE arr_delay >= 60 GROUP BY ALL""",
    ),
    "airport_delay": (
        ("destination_delay", "airport_delay"),
        """SELECT any_value(name), any_value(tzone), count(*), avg(arr_delay)
           FROM flights JOIN airports ON dest = faa GROUP BY dest""",
    ),
}


def make(database: headwater.Database, queries: Iterable[str]) -> None:
    """Make the demo's sources, and of its queries those named."""
    for statement in (*SOURCES.values(), *(QUERIES[name] for name in queries)):
        database.execute(statement)


def kept_seconds(data: Dataset, queries: tuple[str, ...]) -> float:
    """How long the steps take that bring queries up to date after each of many appends; in memory."""
    seconds = 0.0
    with headwater.connect(background=False) as database:
        make(database, queries)
        for name in ("airlines", "airports"):
            database.append(name, getattr(data, name))
        for start in range(0, data.flights.num_rows, STEP_ROWS):
            database.append("flights", data.flights.slice(start, STEP_ROWS))
            begun = perf_counter()
            database.settle()
            seconds += perf_counter() - begun
    return seconds


def scratch_seconds(data: Dataset, sql: str) -> tuple[float, float]:
    """How long DuckDB takes on one core for the answer over all flights, and for it again after each append."""
    with duckdb.connect(config={"threads": 1}) as con:
        for name in ("airlines", "airports"):
            con.register("rows", getattr(data, name))
            con.execute(f"CREATE TABLE {name} AS FROM rows")
        con.register("rows", data.flights.slice(0, 0))
        con.execute("CREATE TABLE flights AS FROM rows")
        seconds, last = 0.0, 0.0
        for start in range(0, data.flights.num_rows, STEP_ROWS):
            con.register("rows", data.flights.slice(start, STEP_ROWS))
            con.execute("INSERT INTO flights FROM rows")
            begun = perf_counter()
            con.sql(sql).to_arrow_table()
            last = perf_counter() - begun
            seconds += last
    return last, seconds


def append_seconds(directory: Path, rows: pa.Table, size: int) -> float:
    """How long it takes to append `rows`, each `size` of them durably, where no query reads them."""
    with headwater.connect(directory) as database:
        make(database, ())
        begun = perf_counter()
        for start in range(0, rows.num_rows, size):
            database.append("flights", rows.slice(start, size))
        return perf_counter() - begun


def write_seconds(file: Path, rows: pa.Table, size: int) -> float:
    """How long it takes to write `rows` as an Arrow stream, each `size` of them synced to the disk."""
    begun = perf_counter()
    with open(file, "wb", buffering=0) as sink, pa.ipc.new_stream(sink, rows.schema) as writer:
        for start in range(0, rows.num_rows, size):
            writer.write_table(rows.slice(start, size))
            os.fdatasync(sink.fileno())
    return perf_counter() - begun


def latencies(directory: Path, data: Dataset, queries: Iterable[str]) -> npt.NDArray[np.float64]:
    """Milliseconds from handing in one row to holding the change that it makes in a table, with `queries` kept."""
    first = data.flights.num_rows - LATENCIES
    seconds = np.empty(LATENCIES)
    with headwater.connect(directory) as database:
        make(database, queries)
        append_until(database, data, first)
        with database.subscribe("SELECT * FROM carrier_delay") as changes:
            changes.poll()
            for number in range(LATENCIES):
                begun = perf_counter()
                database.append("flights", data.flights.slice(first + number, 1))
                assert changes.poll(10) is not None
                seconds[number] = perf_counter() - begun
    return seconds * 1000


def main(arguments: Sequence[str]) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="headwater bench flights", description="Measure what the demo's data costs.")
    parser.add_argument(
        "--directory", default=".", metavar="DIR", help="where to put temporary files: on the disk that is asked about"
    )
    directory: str = parser.parse_args(arguments).directory
    data = read_data(find_data())
    rows = data.flights.num_rows
    print(f"{rows:,} flights of {data.flights.num_columns} columns; queries are kept on one core, in memory, and")
    print(f"brought up to date after each {STEP_ROWS:,} flights; DuckDB computes the same from scratch on one core\n")
    print(f"{'':>16} {'events/s':>12} {'DuckDB once':>12} {'ratio':>6} {'DuckDB each time':>17} {'ratio':>6}")
    for name, (queries, sql) in MEASURED.items():
        kept, (once, each) = kept_seconds(data, queries), scratch_seconds(data, sql)
        figures = f"{rows / kept:>12,.0f} {rows / once:>12,.0f} {once / kept:>6.2f} {rows / each:>17,.0f}"
        print(f"{name:>16} {figures} {each / kept:>6.2f}")
    with tempfile.TemporaryDirectory(dir=directory, prefix="headwater-bench-") as scratch:
        place = Path(scratch)
        print(f"\n{'rows per append':>16} {'rows/s':>12} {'Arrow + sync':>12} {'ratio':>6}")
        for size in (100, 1_000, 10_000, 100_000):
            some = data.flights.slice(0, min(rows, 400 * size))
            ours = append_seconds(place / f"{size}.hw", some, size)
            arrow = write_seconds(place / f"{size}.arrows", some, size)
            print(f"{size:>16,} {len(some) / ours:>12,.0f} {len(some) / arrow:>12,.0f} {arrow / ours:>6.2f}")
        print("\none durable row in, its change in a table seen by a subscriber:")
        for queries in (("carrier_delay",), tuple(QUERIES)):
            times = latencies(place / f"{len(queries)}.hw", data, queries)
            low, high = np.percentile(times, (50, 99))
            print(f"{len(queries):>16} of {len(QUERIES)} queries kept: p50 {low:.1f} ms, p99 {high:.1f} ms")
    return 0
