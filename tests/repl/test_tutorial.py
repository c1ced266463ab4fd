"""The tutorial, without a terminal: every lesson can be done, and what differs from it is remarked on."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

import headwater
from headwater.errors import HeadwaterError
from headwater.repl.lessons import LESSONS
from headwater.repl.output import Output
from headwater.repl.tutorial import tutorial


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        yield opened


def taught(database: headwater.Database, lesson: str, *typed: str) -> str:
    """What the tutorial shows to a user who types this, and then leaves."""
    lines = iter(typed)

    def ask(question: str) -> str:
        try:
            return next(lines)
        except StopIteration:
            raise EOFError from None

    output = Output(io.StringIO(), ask=ask)
    tutorial(database, output, lesson)
    return output.stream.getvalue()  # type: ignore[attr-defined, no-any-return]


@pytest.mark.parametrize("number", range(1, len(LESSONS) + 1))
def test_every_lesson_can_be_done_by_pressing_enter(database: headwater.Database, number: int) -> None:
    shown = taught(database, str(number), *[""] * len(LESSONS[number - 1].steps))
    assert "Try once more" not in shown
    assert "error" not in shown
    assert ("That was all" in shown) if number == len(LESSONS) else (f"Lesson {number + 1} of 7" in shown)
    assert database.relations() == []


def test_a_statement_that_does_the_same_is_taken_and_another_is_remarked_on(database: headwater.Database) -> None:
    shown = taught(
        database, "1",
        "CREATE STREAM rides (city VARCHAR);",
        "SELECT 1;",
        "CREATE STREAM rides (town VARCHAR KEY, fare DOUBLE);",
        "create stream rides (city varchar key, fare double, tip double);",
        "INSERT INTO rides (fare, city) VALUES (12.0, 'Oslo'), (8.5, 'Rome'), (20.0, 'Oslo');",
        "SELECT city, fare FROM rides;",
        "SELECT city FROM rides WHERE fare > 10;",
        "SELECT * FROM nowhere;",
        "SELECT city, fare FROM rides WHERE fare > 11;",
    )  # fmt: skip
    assert shown.count("there is no column") == 2
    assert "another kind of statement" in shown
    assert "it gives 3, the lesson's statement 2" in shown
    assert "That gives 1 columns" in shown
    assert 'no stream or table "nowhere"' in shown
    assert "Lesson 2 of 7" in shown


def test_it_can_be_left_skipped_and_begun_anywhere(database: headwater.Database) -> None:
    assert "You left the tutorial. \\tutorial 5 begins this lesson again." in taught(
        database, "4", "\\skip", "\\d", "\\q"
    )
    for number in ("0", "8", "x"):
        with pytest.raises(HeadwaterError, match=f"there is no lesson {number}"):
            taught(database, number)
