"""The scrubber: what it wants to know, and the whole of it with keys and without a terminal."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from prompt_toolkit.data_structures import Size
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput
from prompt_toolkit.utils import get_cwidth

import headwater
from headwater.engine.terminal import Screen, width
from headwater.errors import HeadwaterError
from headwater.repl.scrub import Scrub, series_of
from headwater.repl.scrubber import View, placeable, scrub
from headwater.repl.travel import Travel, track

LEFT, RIGHT, HOME, END, PAGE_UP = "\x1b[D", "\x1b[C", "\x1b[H", "\x1b[F", "\x1b[5~"
ENTER, ESCAPE, CTRL_C = "\r", "\x1b", "\x03"
MOMENTS = 20


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        opened.execute("CREATE TABLE accounts (owner VARCHAR PRIMARY KEY, balance BIGINT); CREATE STREAM other (x INT)")
        for number in range(MOMENTS):
            opened.append("accounts", [{"owner": f"名{number % 3}", "balance": number}])
            opened.append("other", [{"x": 1}])
        yield opened


@pytest.fixture
def travel(database: headwater.Database) -> Travel:
    return Travel(tracked=[track("accounts", database)])


def opened(database: headwater.Database, travel: Travel, wanted: str = "") -> Scrub:
    return Scrub(database, travel, series_of(travel, database, wanted))


def ask_all(state: Scrub) -> int:
    count = 0
    while state.ask_next():
        count += 1
    return count


def test_the_moments_are_the_versions_that_wrote_what_is_tracked(database: headwater.Database, travel: Travel) -> None:
    state = opened(database, travel)
    assert len(state.moments) == 1 + MOMENTS
    assert state.version == state.moments[-1] == database.version - 1
    state.go(state.place - 1)
    assert state.version == database.version - 3
    state.go(-5)
    assert state.version == 0
    state.go(10**6)
    assert state.place == MOMENTS


def test_where_the_user_is_comes_before_all_else_and_what_was_passed_over_is_not_asked(
    database: headwater.Database, travel: Travel
) -> None:
    state = opened(database, travel)
    state.heights(40)
    state.ask_next()
    for place in (3, 5, 7):
        state.go(place)
    assert state.ask_next()
    assert state.picture is not None
    assert (state.picture.version, state.picture.against) == (state.moments[7], state.moments[-1])


def test_changed_rows_are_marked_against_the_picture_before(database: headwater.Database, travel: Travel) -> None:
    state = opened(database, travel)
    state.ask_next()
    state.go(state.place - 1)
    state.ask_next()
    assert state.picture is not None
    ((_, marked),) = state.picture.tables
    assert (marked.changed, marked.total) == (1, 3)


def test_the_curve_is_asked_at_as_many_moments_as_there_are_columns(
    database: headwater.Database, travel: Travel
) -> None:
    state = opened(database, travel)
    assert state.heights(10)[1] == 10
    asked = ask_all(state)
    heights, missing = state.heights(10)
    assert (asked, missing, heights[0], heights[-1]) == (11, 0, None, 17 + 18 + 19)  # the sum of nothing is NULL
    state.heights(200)
    assert ask_all(state) == 1 + MOMENTS - 10
    state.heights(20)
    assert ask_all(state) == 0


def test_numbers_are_columns_aggregates_or_counts(database: headwater.Database, travel: Travel) -> None:
    names = [series.name for series in series_of(travel, database, "")]
    assert names == ["sum(balance) of accounts", "count(*) of accounts"]
    assert series_of(travel, database, "BALANCE")[0].name == "sum(balance) of accounts"
    assert series_of(travel, database, "max(balance) - min(balance)")[0].sql.startswith("SELECT max(balance) - min(")
    for wrong in ("owner", "max(owner)", "nothing", "balance + 1"):
        with pytest.raises(HeadwaterError):
            series_of(travel, database, wrong)


def test_where_something_cannot_be_asked_that_is_shown_and_nowhere_else(database: headwater.Database) -> None:
    worst = database.version
    database.append("accounts", [{"owner": "x", "balance": -1}])
    fails = "SELECT CASE WHEN count(*) = 3 THEN 1 ELSE CAST(max(owner) AS INTEGER) END AS n FROM accounts"
    travel = Travel(tracked=[track(fails, database)])
    travel.stand(database, worst)
    state = opened(database, travel)
    ask_all(state)
    assert state.picture is not None and state.picture.problem is None
    state.go(10**6)
    ask_all(state)
    assert "INT32" in str(state.picture.problem) and "INT32" in str(state.curve_problem)
    state.go(state.place - 1)
    ask_all(state)
    assert state.picture.problem is None and state.picture.tables[0][1].total == 1


@pytest.mark.parametrize(("columns", "rows"), [(40, 10), (80, 24), (200, 50), (20, 5)])
@pytest.mark.parametrize("screen", [Screen(), Screen(has_unicode=False)])
def test_every_size_of_screen_is_filled_and_not_exceeded(
    database: headwater.Database, travel: Travel, columns: int, rows: int, screen: Screen
) -> None:
    state = opened(database, travel)
    view = View(database, state, screen)
    view.lines(columns, rows)
    ask_all(state)
    lines = "".join(part[1] for part in view.lines(columns, rows)).split("\n")
    assert len(lines) == rows
    assert lines[0].startswith("version")
    assert all(width(line) <= max(columns, 37) for line in lines)  # no table is narrower than a sign and a column


@pytest.mark.parametrize(
    "text", ["plain", "日本語", "e\u0301clair", "👩\u200d👩\u200d👧", "🇩🇪", "👍🏽 a", "❤\ufe0f", "\x1b[31m"]
)
def test_a_text_is_as_wide_for_the_terminal_as_for_who_draws(text: str) -> None:
    written = placeable(text)
    assert width(written) == get_cwidth(written)
    assert written.isprintable()
    if text.isalpha():
        assert written == text


# ---------------------------------------------------------------- with keys


class Watched(DummyOutput):
    """A terminal of so many columns and rows, of which nothing is kept."""

    def __init__(self, columns: int = 80, rows: int = 24) -> None:
        self.size = Size(rows, columns)

    def get_size(self) -> Size:
        return self.size


@contextmanager
def running(
    database: headwater.Database, travel: Travel, state: Scrub
) -> Iterator[tuple[PipeInput, Callable[[], Any]]]:
    """The scrubber in a thread: its keyboard, and a function that waits for its result."""
    results: list[int | None] = []
    with create_pipe_input() as keys:
        thread = threading.Thread(
            target=lambda: results.append(scrub(database, travel, state, Screen(), input=keys, output=Watched()))
        )
        thread.start()

        def result() -> int | None:
            thread.join(30)
            assert not thread.is_alive(), "it has not ended"
            return results[0]

        yield keys, result


def pressed(database: headwater.Database, travel: Travel, *keys: str) -> tuple[int | None, Scrub]:
    state = opened(database, travel)
    with running(database, travel, state) as (keyboard, result):
        for key in keys:
            keyboard.send_text(key)
        return result(), state


def test_enter_stays_at_the_version_that_was_moved_to(database: headwater.Database, travel: Travel) -> None:
    chosen, state = pressed(database, travel, LEFT, LEFT, LEFT, RIGHT, ENTER)
    assert chosen == state.moments[-3]
    assert pressed(database, travel, HOME, RIGHT, ENTER)[0] == state.moments[1]
    assert pressed(database, travel, HOME, END, PAGE_UP, ENTER)[0] == state.moments[-3]


@pytest.mark.parametrize("key", ["q", CTRL_C, ESCAPE])
def test_leaving_changes_nothing(database: headwater.Database, travel: Travel, key: str) -> None:
    assert pressed(database, travel, LEFT, key)[0] is None


def test_a_version_can_be_typed(database: headwater.Database, travel: Travel) -> None:
    chosen, state = pressed(database, travel, "g", "OFFSET 10", ENTER, ENTER)
    assert chosen == state.moments[10]
    assert pressed(database, travel, "/", "earliest", ENTER, "c", ENTER)[0] == 0
    assert pressed(database, travel, "g", "99999", ENTER, ENTER)[0] == state.moments[-1]


def test_it_asks_in_a_thread_that_ends_with_it(database: headwater.Database, travel: Travel) -> None:
    state = opened(database, travel)
    with running(database, travel, state) as (keyboard, result):
        while state.heights(80)[1]:
            time.sleep(0.01)
        keyboard.send_text("q")
        result()
    assert state.picture is not None
    assert "headwater-scrub" not in (thread.name for thread in threading.enumerate())
