"""The live display, against the engine: each time something was shown, another row arrives."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

import headwater
from headwater.repl.live import show_changes
from headwater.repl.sinks import Sink


class Reader(io.StringIO):
    """Takes what is shown; when that is flushed, it does the next of `steps`."""

    def __init__(self, steps: Iterator[None]) -> None:
        super().__init__()
        self._steps = steps

    def flush(self) -> None:
        next(self._steps, None)


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        opened.execute("CREATE STREAM bids (auction BIGINT, price DOUBLE)")
        opened.append("bids", [{"auction": 1, "price": 10.0}])
        yield opened


def more_bids(database: headwater.Database) -> Iterator[None]:
    for price in (2.5, 1000000.0):
        database.append("bids", [{"auction": 1, "price": price}])
        yield


def shown(database: headwater.Database, query: str, format: str = "table") -> str:
    stream = Reader(more_bids(database))
    subscription = database.subscribe(query)
    show_changes(subscription, Sink(stream), format)
    assert subscription.finished
    return stream.getvalue()


def test_rows_that_are_never_removed_are_shown_as_they_come(database: headwater.Database) -> None:
    assert shown(database, "SELECT auction, price FROM bids EMIT CHANGES LIMIT 3") == (
        "┌─────────┬───────┐\n"
        "│ auction │ price │\n"
        "├─────────┼───────┤\n"
        "│       1 │  10.0 │\n"
        "│       1 │   2.5 │\n"
        "├─────────┼───────────┤\n"
        "│       1 │ 1000000.0 │\n"
        "└─────────┴───────────┘\n"
        "3 changes\n"
    )


def test_a_row_that_takes_the_place_of_another_comes_with_its_removal(database: headwater.Database) -> None:
    assert shown(database, "SELECT auction, count(*) AS n FROM bids GROUP BY auction EMIT CHANGES LIMIT 3") == (
        "┌────┬─────────┬───┐\n"
        "│ op │ auction │ n │\n"
        "├────┼─────────┼───┤\n"
        "│ +  │       1 │ 1 │\n"
        "│ -  │       1 │ 1 │\n"
        "│ +  │       1 │ 2 │\n"
        "└────┴─────────┴───┘\n"
        "3 changes\n"
    )


def test_programs_get_the_sign_and_the_version_of_each_change(database: headwater.Database) -> None:
    query = "SELECT auction, count(*) AS n FROM bids GROUP BY auction EMIT CHANGES LIMIT 3"
    first, removal, addition = map(json.loads, shown(database, query, "ndjson").splitlines())
    assert (first["_op"], removal["_op"], addition["_op"]) == ("+", "-", "+")
    assert first["_version"] < removal["_version"] == addition["_version"]
    assert (first["n"], removal["n"], addition["n"]) == (1, 1, 2)


def test_ctrl_c_ends_the_display_and_closes_the_subscription(database: headwater.Database) -> None:
    def interrupt() -> Iterator[None]:
        yield from ()
        raise KeyboardInterrupt

    subscription = database.subscribe("SELECT auction FROM bids EMIT CHANGES")
    stream = Reader(interrupt())
    show_changes(subscription, Sink(stream), "json")
    assert json.loads(stream.getvalue()) == [{"auction": 1}]
    assert subscription.finished


def test_of_more_rows_at_once_than_anybody_could_read_the_last_are_shown(database: headwater.Database) -> None:
    database.append("bids", {"auction": list(range(5000)), "price": [1.0] * 5000})
    stream = io.StringIO()
    query = "SELECT auction FROM bids EMIT CHANGES LIMIT 5001"
    show_changes(database.subscribe(query), Sink(stream), "table", keep_pace=True)
    lines = stream.getvalue().splitlines()
    assert lines[0] == "… 4,001 changes not shown"
    assert lines[4].split() == ["│", "4000", "│"]
    assert len(lines) == 1 + 3 + 1000 + 2
    assert lines[-1] == "5,001 changes, 4,001 not shown"
