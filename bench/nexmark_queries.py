"""The texts of Nexmark's queries, in three wordings where it takes three.

`qNN.sql` is the query as it is asked; `qNN.continuous.sql` as it is kept, where that has another meaning (a stream is
joined with a table as it was when the row came); `qNN.duckdb.sql` in DuckDB's words, where clauses of Headwater's own
stand in it (WINDOW). q12 counts by event time instead of processing time, so that it has one answer.
"""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).with_name("nexmark")
QUERIES = tuple(f"q{number}" for number in range(23))


def schema(partitions: int = 1) -> str:
    """The statements that make what the queries read."""
    text = (FOLDER / "schema.sql").read_text(encoding="utf-8")
    return text.replace("timestamp = 'date_time'", f"timestamp = 'date_time', partitions = {partitions}")


def asked(name: str) -> str:
    """The query as it is asked of a snapshot."""
    return _text(name)


def continuous(name: str) -> str:
    """The query as it is kept up to date."""
    return _text(name, "continuous")


def for_duckdb(name: str) -> str:
    """The query that gives the same rows in DuckDB."""
    return _text(name, "duckdb")


def _text(name: str, wording: str = "") -> str:
    number = int(name.removeprefix("q"))
    places = [FOLDER / f"q{number:02}.{wording}.sql", FOLDER / f"q{number:02}.sql"]
    place = next(place for place in places if place.exists())
    return place.read_text(encoding="utf-8").rstrip().rstrip(";")
