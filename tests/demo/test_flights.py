"""What the demo keeps equals what DuckDB answers over the CSV files: now, and as of points all over the log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import headwater
from headwater.repl.demo import append_until, define
from headwater.repl.flights import QUERIES, find_data, large_append, read_data
from tests.demo.oracle import ANSWERS, Oracle, alike

FLIGHTS = 336_776
HOURS = 26_115
BEGIN, END = large_append()
OFFSETS = (1, 999, 20_000, BEGIN, BEGIN + 54_321, END, 180_000, 240_001, 300_000, FLIGHTS - 1)
IN_ORDER = {"late_flights"}  # a stream; the others are tables, whose rows have no order
TABLES = sorted(ANSWERS.keys() - IN_ORDER)


@pytest.fixture(scope="module")
def oracle(tmp_path_factory: pytest.TempPathFactory) -> Oracle:
    return Oracle(find_data(), tmp_path_factory.mktemp("csv"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's database with all flights, as one process left it."""
    path = tmp_path_factory.mktemp("demo") / "flights.hw"
    with headwater.connect(path) as database:
        define(database)
        append_until(database, read_data(find_data()), FLIGHTS)
    return path


@pytest.fixture(scope="module")
def database(directory: Path) -> Iterator[headwater.Database]:
    with headwater.connect(directory) as opened:
        yield opened


def as_of(name: str, flights: int) -> tuple[str, int]:
    """AS OF the moment when that many flights had arrived, and as many hours of weather as make it a like share."""
    hours = flights * HOURS // FLIGHTS
    match name:
        case "hourly_weather":
            return f"AS OF OFFSET {hours}", hours
        case "delay_in_wind":
            return f"AS OF OFFSET (flights => {flights}, weather => {hours})", hours
        case _:
            return f"AS OF OFFSET {flights}", hours


def test_every_relation_that_the_demo_keeps_has_an_answer_from_duckdb(database: headwater.Database) -> None:
    kept = {relation.name for relation in database.relations() if relation.query is not None}
    assert kept == QUERIES.keys() == ANSWERS.keys()


def test_the_stream_holds_every_flight_once_in_event_time_order(database: headwater.Database, oracle: Oracle) -> None:
    stored = database.sql("SELECT * FROM flights").arrow()
    assert stored.equals(oracle.flights(FLIGHTS).cast(stored.schema))


@pytest.mark.parametrize("name", TABLES)
def test_a_table_equals_duckdb_now(name: str, database: headwater.Database, oracle: Oracle) -> None:
    kept = database.sql(f"SELECT * FROM {name}").fetchall()
    assert kept
    assert alike(kept) == alike(oracle.answer(name, FLIGHTS, HOURS))


@pytest.mark.parametrize("flights", OFFSETS)
@pytest.mark.parametrize("name", TABLES)
def test_a_table_equals_duckdb_as_of_an_offset(
    name: str, flights: int, database: headwater.Database, oracle: Oracle
) -> None:
    position, hours = as_of(name, flights)
    kept = database.sql(f"SELECT * FROM {name} {position}").fetchall()
    assert alike(kept) == alike(oracle.answer(name, flights, hours))


def test_the_derived_stream_equals_duckdb_in_order(database: headwater.Database, oracle: Oracle) -> None:
    assert database.sql("SELECT * FROM late_flights").fetchall() == oracle.answer("late_flights", FLIGHTS, HOURS)


@pytest.mark.parametrize("tenth", range(10))
def test_the_derived_stream_as_of_an_offset_is_its_first_records(
    tenth: int, database: headwater.Database, oracle: Oracle
) -> None:
    everything = oracle.answer("late_flights", FLIGHTS, HOURS)
    offset = len(everything) * tenth // 10
    assert database.sql(f"SELECT * FROM late_flights AS OF OFFSET {offset}").fetchall() == everything[:offset]


def test_one_of_the_offsets_lies_inside_one_large_append(database: headwater.Database) -> None:
    """Inside means that no version has just that many flights: the state there was never stored, nor shown."""
    inside = next(offset for offset in OFFSETS if BEGIN < offset < END)
    ends = {end for _, end in _appends(database)}
    assert {BEGIN, END} <= ends
    assert inside not in ends


def test_no_flight_is_late_in_event_time_order(database: headwater.Database) -> None:
    assert database.sql("SELECT sum(flights) FROM hourly_delay").fetchall() == [(FLIGHTS,)]


def _appends(database: headwater.Database) -> list[tuple[int, int]]:
    """Version and end offset of each append to the flights."""
    relation = database.pipeline.catalog.get("flights")
    assert relation is not None
    return [(version, e.offset + e.count) for version, e in database.log.extents(relation.id)]
