"""What the demo's tables and streams must hold: DuckDB's answers, from the CSV files alone.

Nothing here is shared with Headwater: DuckDB reads the files, puts them in event-time order and computes each answer
from scratch over the first so many flights and hours of weather.
"""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

Rows = list[tuple[Any, ...]]

# By name of what the demo keeps: SQL over `f` and `w`, the flights and the hours of weather that have come. In both,
# `st` is the latest event time of the rows before, NULL for the first: a window takes a row while st < its end + grace.
ANSWERS = {
    "hourly_delay": """
        SELECT ws, ws + INTERVAL 1 HOUR, origin, count(*), count(dep_delay), avg(dep_delay), max(dep_delay)
        FROM (SELECT *, date_trunc('hour', scheduled) AS ws FROM f)
        WHERE st IS NULL OR st < ws + INTERVAL 70 MINUTES
        GROUP BY ws, origin""",
    "rolling_delay": """
        SELECT ws, ws + INTERVAL 6 HOURS, count(*), avg(dep_delay), sum(CASE WHEN dep_delay > 60 THEN 1 ELSE 0 END)
        FROM (SELECT *, date_trunc('day', scheduled) + to_hours(hour(scheduled) // 2 * 2 - back) AS ws
              FROM f, (VALUES (0), (2), (4)) AS v(back))
        WHERE st IS NULL OR st < ws + INTERVAL 7 HOURS
        GROUP BY ws""",
    "carrier_delay": """
        SELECT carrier, count(*), count(arr_delay), avg(arr_delay), min(arr_delay), max(arr_delay)
        FROM f GROUP BY carrier""",
    "late_flights": """
        SELECT scheduled, name, flight, origin, dest, arr_delay
        FROM f JOIN airlines USING (carrier) WHERE arr_delay >= 60 ORDER BY seq""",
    "late_by_airline": """
        SELECT name, count(*), avg(arr_delay), max(arr_delay)
        FROM f JOIN airlines USING (carrier) WHERE arr_delay >= 60 GROUP BY name""",
    "destination_delay": "SELECT dest, count(*), avg(arr_delay) FROM f GROUP BY dest",
    "airport_delay": """
        SELECT any_value(name), any_value(tzone), count(*), avg(arr_delay)
        FROM f JOIN airports ON dest = faa GROUP BY dest""",
    "hourly_weather": """
        SELECT ws, ws + INTERVAL 1 HOUR, origin, max(wind_speed), sum(precip), min(visib)
        FROM (SELECT *, date_trunc('hour', time_hour) AS ws FROM w)
        WHERE st IS NULL OR st < ws + INTERVAL 25 HOURS
        GROUP BY ws, origin""",
    "delay_in_wind": """
        SELECT d.origin, d.ws, d.flights, d.delay, h.wind, h.rain
        FROM (SELECT origin, date_trunc('hour', scheduled) AS ws, count(*) AS flights, avg(dep_delay) AS delay FROM f
              WHERE st IS NULL OR st < date_trunc('hour', scheduled) + INTERVAL 70 MINUTES GROUP BY ALL) AS d
        JOIN (SELECT origin, date_trunc('hour', time_hour) AS ws, max(wind_speed) AS wind, sum(precip) AS rain FROM w
              WHERE st IS NULL OR st < date_trunc('hour', time_hour) + INTERVAL 25 HOURS GROUP BY ALL) AS h
        USING (origin, ws)""",
}


class Oracle:
    """DuckDB with all rows of the CSV files in `folder`; `scratch` takes the unpacked file of flights."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        with zipfile.ZipFile(folder / "flights.csv.zip") as archive:
            flights = archive.extract("flights.csv", scratch)
        self._con = duckdb.connect()
        for name in ("airlines", "airports"):
            self._con.execute(f"CREATE TABLE {name} AS SELECT * FROM read_csv('{folder / name}.csv', nullstr='NA')")
        self._make("weather", str(folder / "weather.csv"), "time_hour")
        self._make("flights", flights, "date_trunc('hour', time_hour) + to_minutes(minute)")

    def _make(self, name: str, file: str, event_time: str) -> None:
        """Rows in event-time order, those of one time in the order of the file; `seq` numbers them from 0."""
        self._con.execute(f"""
            CREATE TABLE {name} AS
            SELECT *, max(scheduled) OVER (ORDER BY seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS st
            FROM (SELECT *, row_number() OVER (ORDER BY scheduled, line) - 1 AS seq
                  FROM (SELECT *, CAST({event_time} AS TIMESTAMP) AS scheduled, row_number() OVER () AS line
                        FROM read_csv('{file}', nullstr='NA', types={{'time_hour': 'TIMESTAMP'}})))
            ORDER BY seq""")

    def answer(self, name: str, flights: int, hours: int) -> Rows:
        """The rows of a table or stream of the demo over the first `flights` flights and `hours` hours of weather."""
        arrived = f"""f AS (SELECT * FROM flights WHERE seq < {flights}),
                      w AS (SELECT * FROM weather WHERE seq < {hours})"""
        return self._con.execute(f"WITH {arrived} {ANSWERS[name]}").fetchall()

    def flights(self, number: int) -> pa.Table:
        """The first flights with the columns of the CSV file, and when they were scheduled."""
        return self._first("flights", "seq, line, st", number)

    def weather(self, number: int) -> pa.Table:
        """The first hours of weather with the columns of the CSV file."""
        return self._first("weather", "seq, line, st, scheduled", number)

    def _first(self, name: str, added: str, number: int) -> pa.Table:
        query = f"SELECT * EXCLUDE ({added}) FROM {name} WHERE seq < {number} ORDER BY seq"
        return self._con.sql(query).to_arrow_table()


def alike(rows: Rows) -> Rows:
    """Rows in an order of their own, with floats to nine digits: sums of floats may differ in the last ones."""
    return sorted((tuple(_rounded(value) for value in row) for row in rows), key=repr)


def _rounded(value: Any) -> Any:
    return float(f"{value:.9g}") if isinstance(value, float) else value
