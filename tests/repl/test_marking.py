"""What is different between two answers, found from their rows alone."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pytest

from headwater.engine.result import Result
from headwater.engine.terminal import Screen, width
from headwater.repl.marking import Row, changes, is_same, marked
from headwater.repl.pictures import differences, painted, summary, table
from headwater.values import Column

OWNED = (Column("owner", "VARCHAR"), Column("balance", "BIGINT"))
KEY = ("owner",)


def answer(*rows: tuple[object, ...], columns: Sequence[Column] = OWNED) -> Result:
    types = [pa.string() if column.type == "VARCHAR" else pa.int64() for column in columns]
    return Result.of_rows(tuple(columns), list(rows), types)


def signs(rows: Sequence[Row]) -> list[tuple[str, str | None]]:
    return [(row.sign, row.cells[0]) for row in rows]


def test_added_removed_and_changed_rows_are_told_apart_by_the_key() -> None:
    before = answer(("ann", 1), ("bob", 2), ("eve", 3))
    after = answer(("ann", 1), ("bob", 9), ("zoe", 4))
    found = marked(before, after, KEY, 10)
    assert found.rows == (
        Row("", ("ann", "1")),
        Row("*", ("bob", "9"), frozenset({1})),
        Row("-", ("eve", "3")),
        Row("+", ("zoe", "4")),
    )
    assert (found.total, found.added, found.removed, found.changed) == (3, 1, 1, 1)


def test_a_removed_row_stands_where_it_stood() -> None:
    before = answer(("ann", 1), ("bob", 2), ("eve", 3))
    assert signs(marked(before, answer(("bob", 2), ("eve", 3)), KEY, 10).rows)[0] == ("-", "ann")
    assert signs(marked(before, answer(("ann", 1), ("eve", 3)), KEY, 10).rows)[1] == ("-", "bob")
    assert signs(marked(before, answer(("ann", 1), ("bob", 2)), KEY, 10).rows)[2] == ("-", "eve")
    assert signs(marked(before, answer(), KEY, 10).rows) == [("-", "ann"), ("-", "bob"), ("-", "eve")]


def test_without_a_key_the_first_columns_that_tell_rows_apart_are_one() -> None:
    total = (Column("total", "BIGINT"),)
    assert marked(answer((1,), columns=total), answer((2,), columns=total), None, 10).changed == 1
    assert marked(answer(("ann", 1), ("bob", 1)), answer(("ann", 1), ("bob", 2)), None, 10).changed == 1
    doubled = answer(("ann", 1), ("ann", 2))
    assert marked(doubled, answer(("ann", 1), ("ann", 3)), None, 10).changed == 0


def test_of_equal_rows_as_many_are_the_same_as_there_are_on_both_sides() -> None:
    one, three = answer(("ann", 1)), answer(("ann", 1), ("ann", 1), ("ann", 1))
    found = marked(one, three, None, 10)
    assert [row.sign for row in found.rows] == ["", "+", "+"]
    assert marked(three, one, None, 10).removed == 2
    assert is_same(three, three) and not is_same(one, three)


def test_the_order_of_rows_is_no_difference() -> None:
    assert is_same(answer(("ann", 1), ("bob", 2)), answer(("bob", 2), ("ann", 1)))
    assert not is_same(answer(("ann", 1), ("bob", 2)), answer(("bob", 2), ("ann", 3)))


def test_null_and_a_value_are_different_and_null_is_itself() -> None:
    assert is_same(answer(("ann", None)), answer(("ann", None)))
    assert marked(answer(("ann", None)), answer(("ann", 0)), KEY, 10).rows == (Row("*", ("ann", "0"), frozenset({1})),)


def test_nothing_is_marked_against_nothing_or_other_columns() -> None:
    after = answer(("ann", 1))
    other = answer((1,), columns=(Column("total", "BIGINT"),))
    for before in (None, other):
        assert marked(before, after, KEY, 10).rows == (Row("", ("ann", "1")),)


def test_where_not_all_rows_fit_the_marked_ones_are_shown_and_the_rest_filled_up() -> None:
    many = [(f"{number:03}", 0) for number in range(100)]
    found = marked(answer(*many), answer(*many[:50], ("050", 1), *many[51:]), KEY, 3)
    assert signs(found.rows) == [("", "000"), ("", "001"), ("*", "050")]
    assert summary(found) == "100 rows, 3 shown · 1 changed"
    ends = marked(answer(*many[:99]), answer(*many), None, 3, ends_last=True)
    assert signs(ends.rows) == [("", "097"), ("", "098"), ("+", "099")]


def test_changes_alone_show_a_changed_row_as_it_was_and_as_it_is() -> None:
    found = changes(answer(("ann", 1), ("bob", 2), ("eve", 3)), answer(("ann", 1), ("bob", 9), ("zoe", 4)), KEY, 10)
    assert found.rows == (
        Row("-", ("bob", "2"), frozenset({1})),
        Row("+", ("bob", "9"), frozenset({1})),
        Row("-", ("eve", "3")),
        Row("+", ("zoe", "4")),
    )
    assert differences(found) == "1 added · 1 removed · 1 changed"


def drawn(screen: Screen, name: str = "bob") -> str:
    return painted(table(marked(answer(("ann", 1), (name, 2)), answer(("ann", 1), (name, 9)), KEY, 10), screen), screen)


def test_without_colours_the_characters_say_what_changed() -> None:
    assert drawn(Screen()) == (
        "┌───┬───────┬─────────┐\n"
        "│   │ owner │ balance │\n"
        "├───┼───────┼─────────┤\n"
        "│   │ ann   │       1 │\n"
        "│ * │ bob   │      *9 │\n"
        "└───┴───────┴─────────┘\n"
    )
    assert "| * | bob   |      *9 |" in drawn(Screen(has_unicode=False))


def test_with_colours_a_changed_cell_is_reversed() -> None:
    assert "\x1b[7m*9\x1b[0m" in drawn(Screen(40, has_colours=True))


@pytest.mark.parametrize("name", ["日本語", "e\u0301clair", "👩‍👩‍👧", "a\x1b[31mb"])
def test_every_line_is_as_wide_as_the_others_on_the_screen(name: str) -> None:
    lines = drawn(Screen(30), name).splitlines()
    assert len({width(line) for line in lines}) == 1
    assert "\x1b" not in "".join(lines)
