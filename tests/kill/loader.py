"""The process that is killed: appends rows to the demo's streams, in appends of random size, and says what is durable.

    python loader.py DIRECTORY FLIGHTS WEATHER SEED

FLIGHTS and WEATHER are Arrow files. It goes on where the database in DIRECTORY stands, and prints a line for each
acknowledged append: the stream, and the offset after the last row. After some appends it waits for the end of its
standard input.
"""

from __future__ import annotations

import random
import sys

import pyarrow as pa

import headwater
from headwater.repl.demo import define
from headwater.repl.flights import find_data, read_csv

APPENDS = 40


def main(directory: str, flights_file: str, weather_file: str, seed: int) -> None:
    chance = random.Random(seed)
    rows = {"flights": _read(flights_file), "weather": _read(weather_file)}
    with headwater.connect(directory) as database:
        define(database)
        for name in ("airlines", "airports"):
            database.append(name, read_csv(find_data() / f"{name}.csv"))
        at = {name: len(database.sql(f"SELECT origin FROM {name}")) for name in rows}
        for _ in range(APPENDS):
            name = chance.choices(("flights", "weather"), (9, 1))[0]
            size = chance.choice((1, 10, 100, 1_000)) + chance.randrange(50)
            acknowledged = database.append(name, rows[name].slice(at[name], size))
            at[name] += acknowledged.rows
            print(name, at[name], flush=True)
            if chance.random() < 0.05:
                database.sql("CHECKPOINT")
        sys.stdin.read()


def _read(file: str) -> pa.Table:
    with pa.memory_map(file) as source:
        return pa.ipc.open_file(source).read_all()


if __name__ == "__main__":
    _, directory, flights, weather, seed = sys.argv
    main(directory, flights, weather, int(seed))
