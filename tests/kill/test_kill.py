"""A process that loads flights is killed at random moments: what it said was durable is there, and counted once."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

import headwater
from headwater.repl.flights import find_data
from tests.demo.oracle import ANSWERS, Oracle, alike
from tests.thoroughness import amount

ROOT = Path(__file__).resolve().parents[2]
LOADING_KILLS, STARTING_KILLS = amount(8, 20), amount(2, 4)
FLIGHTS, HOURS = 250_000, 26_115  # more than all loaders append
SEED = 20130101

Ends = dict[str, int]


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    return Oracle(find_data(), tmp_path_factory.mktemp("csv"))


@pytest.fixture(scope="module")
def inputs(oracle: Oracle, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The rows to load, as files."""
    folder = tmp_path_factory.mktemp("input")
    tables = {"flights": oracle.flights(FLIGHTS), "weather": oracle.weather(HOURS)}
    for name, table in tables.items():
        with pa.OSFile(str(folder / name), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
            writer.write_table(table)
    return {name: folder / name for name in tables}


class Loader:
    """A process that loads `inputs` into `directory`. `acknowledged` has the ends of the streams that it printed."""

    def __init__(self, directory: Path, inputs: dict[str, Path], seed: int) -> None:
        self.acknowledged: Ends = {"flights": 0, "weather": 0}
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("loader.py"), directory, *inputs.values(), str(seed)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )

    def read(self, acknowledgements: int | None = None) -> None:
        """Wait for that many acknowledgements, or until there are no more."""
        assert self._process.stdout is not None
        for number, line in enumerate(self._process.stdout, start=1):
            if line.endswith("\n"):  # a kill may cut the last one
                name, end = line.split()
                self.acknowledged[name] = int(end)
            if number == acknowledgements:
                return

    def kill(self, after: float = 0) -> None:
        """Kill the process at a moment some seconds from now, and read what it still managed to say."""
        time.sleep(after)
        self._process.send_signal(signal.SIGKILL)
        with self._process:
            self.read()
        assert self._process.returncode == -signal.SIGKILL, "the loader ended before it was killed"

    def finish(self) -> None:
        """Let the process do all its appends and close the database."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        with self._process:
            self.read()
        assert self._process.returncode == 0


def stored(database: headwater.Database) -> dict[str, pa.Table]:
    """All rows of the streams that there are."""
    names = {relation.name for relation in database.relations()}
    return {n: database.sql(f"SELECT * FROM {n}").arrow() for n in ("flights", "weather") if n in names}


def check(directory: Path, oracle: Oracle, acknowledged: Ends) -> Ends:
    """Open the database and compare all that it holds with DuckDB's answers; gives how many rows its streams have."""
    with headwater.connect(directory) as database:
        rows = stored(database)
        ends = {"flights": 0, "weather": 0} | {name: len(table) for name, table in rows.items()}
        for name, table in rows.items():
            wanted = oracle.flights(ends[name]) if name == "flights" else oracle.weather(ends[name])
            assert table.equals(wanted.cast(table.schema)), (
                f"{name} does not hold its first {ends[name]} rows, each once"
            )
            assert ends[name] >= acknowledged[name], f"acknowledged rows of {name} are lost"
        for relation in database.relations():
            if relation.query is not None and ends["flights"]:
                kept = database.sql(f"SELECT * FROM {relation.name}").fetchall()
                wanted_rows = oracle.answer(relation.name, ends["flights"], ends["weather"])
                assert alike(kept) == alike(wanted_rows), f"{relation.name} is not what its query gives for {ends}"
    return ends


def test_kills_lose_no_acknowledged_row_and_count_none_twice(
    oracle: Oracle, inputs: dict[str, Path], tmp_path: Path
) -> None:
    chance = random.Random(SEED)
    directory = tmp_path / "flights.hw"
    known: Ends = {"flights": 0, "weather": 0}
    for number in range(LOADING_KILLS + STARTING_KILLS):
        loader = Loader(directory, inputs, chance.randrange(2**32))
        if number % 6:
            loader.read(chance.randint(1, 30))
            loader.kill(after=chance.uniform(0, 0.05))
        else:
            loader.kill(after=chance.uniform(0, 1.5))
        known = check(directory, oracle, {name: max(known[name], loader.acknowledged[name]) for name in known})
    last = Loader(directory, inputs, chance.randrange(2**32))
    last.finish()
    assert check(directory, oracle, last.acknowledged) == last.acknowledged


def test_every_relation_that_is_compared_has_an_answer_from_duckdb(
    oracle: Oracle, inputs: dict[str, Path], tmp_path: Path
) -> None:
    loader = Loader(tmp_path / "flights.hw", inputs, SEED)
    loader.read(1)
    loader.kill()
    with headwater.connect(tmp_path / "flights.hw") as database:
        assert {relation.name for relation in database.relations() if relation.query is not None} == ANSWERS.keys()
