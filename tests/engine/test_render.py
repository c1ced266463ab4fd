"""Tables as they are printed, literally."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import pyarrow as pa
import pytest

from headwater.engine.render import TableWriter, fit, print_result
from headwater.engine.result import Result
from headwater.engine.terminal import Screen, cut, visible, width
from headwater.values import Column

TYPES = {"BIGINT": pa.int64(), "DOUBLE": pa.float64(), "VARCHAR": pa.string(), "TIMESTAMP": pa.timestamp("us")}


def bids(*rows: tuple[Any, ...]) -> Result:
    columns = (Column("auction", "BIGINT"), Column("price", "DOUBLE"), Column("at", "TIMESTAMP"))
    return Result.of_rows(columns, list(rows), [TYPES[c.type] for c in columns])


def printed(result: Result, **options: Any) -> str:
    stream = io.StringIO()
    print_result(result, stream=stream, **options)
    return stream.getvalue()


def table(screen: Screen, *columns: tuple[str, str, list[Any]], signs: bool = False) -> str:
    """The table of columns, each given as name, type and values."""
    stream = io.StringIO()
    writer = TableWriter(tuple(Column(n, t) for n, t, _ in columns), screen, stream.write, signs=signs)
    writer.add(pa.RecordBatch.from_arrays([pa.array(v, TYPES[t]) for _, t, v in columns], [n for n, _, _ in columns]))
    writer.close()
    return stream.getvalue()


def test_numbers_stand_right_and_null_is_named() -> None:
    result = bids((1, 10.5, datetime(2026, 1, 1, 12)), (20, None, datetime(2026, 1, 1, 12, 0, 0, 500_000)))
    assert printed(result) == (
        "┌─────────┬───────┬───────────────────────┐\n"
        "│ auction │ price │ at                    │\n"
        "├─────────┼───────┼───────────────────────┤\n"
        "│       1 │  10.5 │ 2026-01-01 12:00:00   │\n"
        "│      20 │  NULL │ 2026-01-01 12:00:00.5 │\n"
        "└─────────┴───────┴───────────────────────┘\n"
        "2 rows\n"
    )


def test_a_result_without_rows_still_has_its_header() -> None:
    assert printed(bids()) == (
        "┌─────────┬───────┬────┐\n"
        "│ auction │ price │ at │\n"
        "├─────────┼───────┼────┤\n"
        "└─────────┴───────┴────┘\n"
        "no rows\n"
    )


def test_a_limit_says_how_many_rows_there_are() -> None:
    result = bids(*[(n, 1.0, None) for n in range(1200)])
    assert printed(result, limit=1).splitlines()[-3:] == [
        "│       0 │   1.0 │ NULL │",
        "└─────────┴───────┴──────┘",
        "1,200 rows, the first 1 shown",
    ]


def test_the_note_stands_behind_the_count_or_the_message() -> None:
    assert printed(bids(), note="3 ms").endswith("no rows (3 ms)\n")
    assert printed(Result.of_message("stream bids created"), note="3 ms") == "stream bids created (3 ms)\n"


def test_away_from_a_terminal_nothing_is_cut_and_nothing_is_coloured() -> None:
    text = "x" * 5000
    assert f"│ {text} │\n" in table(Screen(), ("v", "VARCHAR", [text]))


def test_wide_characters_take_two_columns() -> None:
    assert table(Screen(), ("v", "VARCHAR", ["日本", "é", "👩‍👩‍👧"])) == (
        "┌──────┐\n│ v    │\n├──────┤\n│ 日本 │\n│ é    │\n│ 👩‍👩‍👧   │\n└──────┘\n"
    )


def test_control_characters_in_data_are_written_out() -> None:
    assert "│ a\\nb\\x1b[31m\\u202e │" in table(Screen(), ("v", "VARCHAR", ["a\nb\x1b[31m\u202e"]))


def test_a_terminal_shows_types_and_cuts_the_widest_column_to_fit() -> None:
    assert table(Screen(40), ("n", "BIGINT", [1]), ("text", "VARCHAR", ["the quick brown fox jumps over"])) == (
        "┌────────┬─────────────────────────────┐\n"
        "│      n │ text                        │\n"
        "│ BIGINT │ VARCHAR                     │\n"
        "├────────┼─────────────────────────────┤\n"
        "│      1 │ the quick brown fox jumps … │\n"
        "└────────┴─────────────────────────────┘\n"
    )


def test_columns_that_cannot_fit_are_left_out_at_the_end() -> None:
    columns = [(name, "VARCHAR", [name * 20]) for name in "abc"]
    assert table(Screen(35), *columns) == (
        "┌──────────────┬──────────────┬───┐\n"
        "│ a            │ b            │ … │\n"
        "│ VARCHAR      │ VARCHAR      │ … │\n"
        "├──────────────┼──────────────┼───┤\n"
        "│ aaaaaaaaaaa… │ bbbbbbbbbbb… │ … │\n"
        "└──────────────┴──────────────┴───┘\n"
    )


def test_a_terminal_without_unicode_gets_plain_lines() -> None:
    screen = Screen(20, has_unicode=False)
    assert table(screen, ("text", "VARCHAR", ["the quick brown fox"])) == (
        "+------------------+\n"
        "| text             |\n"
        "| VARCHAR          |\n"
        "+------------------+\n"
        "| the quick brown~ |\n"
        "+------------------+\n"
    )


def test_a_colour_terminal_tells_null_from_the_text_null() -> None:
    text = table(Screen(80, has_colours=True), ("v", "VARCHAR", ["NULL", None]))
    assert "│ NULL    │\n│ \x1b[2mNULL\x1b[0m    │\n" in text


def test_signs_are_green_and_red() -> None:
    text = table(Screen(80, has_colours=True), ("op", "VARCHAR", ["+", "-"]), signs=True)
    assert "\x1b[32m+\x1b[0m" in text
    assert "\x1b[31m-\x1b[0m" in text


def test_later_rows_that_need_more_room_get_it_below_a_line() -> None:
    stream = io.StringIO()
    writer = TableWriter((Column("v", "VARCHAR"),), Screen(), stream.write)
    for value in ("one", "two", "three hundred", "four"):
        writer.add(pa.RecordBatch.from_arrays([pa.array([value])], ["v"]))
    writer.close()
    assert stream.getvalue() == (
        "┌─────┐\n"
        "│ v   │\n"
        "├─────┤\n"
        "│ one │\n"
        "│ two │\n"
        "├───────────────┤\n"
        "│ three hundred │\n"
        "│ four          │\n"
        "└───────────────┘\n"
    )


@pytest.mark.parametrize("screen_width", [20, 33, 50, 79, 80, 200])
def test_a_fitted_table_is_never_wider_than_the_screen(screen_width: int) -> None:
    for wanted in ([3], [90], [5, 60, 60], [12] * 9, [1] * 40, [100, 1, 100, 1]):
        shown = fit(wanted, screen_width)
        left_out = 4 if len(shown) < len(wanted) else 0
        assert 1 <= len(shown) and sum(shown) + 3 * len(shown) + 1 + left_out <= screen_width


def test_columns_that_need_little_keep_what_they_need() -> None:
    assert fit([5, 60, 61], 80) == (5, 32, 32)


def test_cutting_never_leaves_more_than_the_columns_asked_for() -> None:
    for text in ("plain text", "日本語日本語", "e\u0301e\u0301e\u0301e\u0301", "👩‍👩‍👧👩‍👩‍👧"):
        for columns in range(1, 12):
            assert width(cut(text, columns, "…")) <= columns


def test_visible_text_is_unchanged_where_it_is_harmless() -> None:
    assert visible("żółw 日本 👩‍👩‍👧") == "żółw 日本 👩‍👩‍👧"


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "has_colours"),
    [
        ({"TERM": "xterm"}, True),
        ({"TERM": "xterm", "NO_COLOR": ""}, True),
        ({"TERM": "xterm", "NO_COLOR": "1"}, False),
        ({"TERM": "dumb"}, False),
    ],
)
def test_no_color_and_a_dumb_terminal_turn_colours_off(
    variables: dict[str, str], has_colours: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert Screen.of(Terminal()).has_colours is has_colours
    assert not Screen.of(io.StringIO()).has_colours
