"""A line of moments on columns, and numbers as blocks."""

from __future__ import annotations

import pytest

from headwater.engine.terminal import Screen
from headwater.repl.timeline import bar, coarse_to_fine, column_of, place_of, sparkline

UNICODE, ASCII = Screen(), Screen(has_unicode=False)


@pytest.mark.parametrize("columns", [1, 2, 3, 40, 200])
@pytest.mark.parametrize("places", [1, 2, 7, 1000])
def test_the_ends_of_a_line_are_the_first_and_the_last_moment(places: int, columns: int) -> None:
    assert column_of(0, places, columns) == 0
    assert place_of(0, places, columns) == 0
    if places > 1:
        assert column_of(places - 1, places, columns) == columns - 1
    if columns > 1:
        assert place_of(columns - 1, places, columns) == places - 1


@pytest.mark.parametrize("columns", [*range(10), 40, 200])
def test_coarse_to_fine_has_every_column_once(columns: int) -> None:
    assert sorted(coarse_to_fine(columns)) == list(range(columns))


def test_the_first_columns_asked_are_far_apart() -> None:
    assert list(coarse_to_fine(8)) == [0, 4, 2, 6, 1, 3, 5, 7]


def test_the_bar_shows_where_the_cursor_is() -> None:
    assert bar(0, 3, 5, UNICODE) == "●────"
    assert bar(1, 3, 5, UNICODE) == "──●──"
    assert bar(2, 3, 5, ASCII) == "----@"


def test_a_sparkline_goes_from_the_lowest_to_the_highest_number() -> None:
    assert sparkline([1, 2, 3, 4, 5, 6, 7, 8], 1, UNICODE) == ["▁▂▃▄▅▆▇█"]
    assert sparkline([0, None, 10], 1, UNICODE) == ["▁ █"]
    assert sparkline([0, 10], 2, UNICODE) == [" █", "▁█"]
    assert sparkline([0, 10], 1, ASCII) == [".#"]


def test_numbers_that_are_all_alike_are_in_the_middle_and_none_are_nothing() -> None:
    assert sparkline([5, 5], 1, UNICODE) == ["▅▅"]
    assert sparkline([None, None], 2, UNICODE) == ["  ", "  "]
