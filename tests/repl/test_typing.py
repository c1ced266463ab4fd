"""Typing at the prompt, at a real pseudo-terminal: completion, errors underlined, suggestions, keys, paste, editor."""

from __future__ import annotations

import stat
from collections.abc import Iterator

import pytest

from tests.repl.terminal import CTRL_C, ENTER, TAB, Terminal

SCHEMA = "CREATE STREAM bids (auction BIGINT, price DOUBLE, bid_time TIMESTAMP);"
RIGHT, DOWN, F4, ESCAPE, CTRL_R = "\x1b[C", "\x1b[B", "\x1bOS", "\x1b", "\x12"


@pytest.fixture(scope="module")
def terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Terminal]:
    """One shell for all tests, each of which leaves an empty prompt behind."""
    home = tmp_path_factory.mktemp("home")
    editor = home / "editor"
    editor.write_text("#!/bin/sh\nsed -i 's/wrong/right/' \"$1\"\n")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    opened = Terminal(home, EDITOR=str(editor))
    opened.until("headwater>")
    opened.type(SCHEMA, ENTER)
    opened.until("created stream bids")
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def empty_screen(terminal: Terminal) -> Iterator[None]:
    terminal.clear()
    terminal.until("headwater>")
    yield
    terminal.type(CTRL_C)


def test_the_menu_after_from_shows_what_relations_are(terminal: Terminal) -> None:
    terminal.type("SELECT * FROM ")
    terminal.until("bids")
    terminal.until("stream")


def test_the_menu_after_select_shows_types_and_signatures(terminal: Terminal) -> None:
    terminal.type("SELECT p", TAB)
    terminal.until("DOUBLE")
    terminal.until("split_part(string, delimiter, position)")


def test_the_menu_finds_names_by_the_letters_of_their_words(terminal: Terminal) -> None:
    terminal.type("SELECT bt")
    terminal.until("bid_time")


def test_a_syntax_error_is_underlined_while_the_statement_is_typed(terminal: Terminal) -> None:
    terminal.type("SELECT * FRM bids WHERE price")
    terminal.until("bids WHERE price")
    assert terminal.is_underlined("FRM")
    assert not terminal.is_underlined("WHERE")


def test_what_may_still_become_valid_is_not_underlined(terminal: Terminal) -> None:
    terminal.type("SELECT * FROM bids WHE")
    terminal.until("WHE")
    assert not terminal.is_underlined("bids") and not terminal.is_underlined("WHE")


def test_functions_have_a_colour_of_their_own(terminal: Terminal) -> None:
    terminal.type("SELECT round(1.5)")
    terminal.until("round(1.5)")
    assert terminal.colour_of("round") == "brown"  # as the emulator calls yellow


def test_the_end_of_a_line_is_suggested_from_the_history(terminal: Terminal) -> None:
    terminal.type("CREATE STR")
    terminal.until(SCHEMA)
    terminal.type(RIGHT, CTRL_C)
    terminal.until("headwater>", times=2)


def test_ctrl_r_searches_the_history(terminal: Terminal) -> None:
    terminal.type(CTRL_R, "auction BIG")
    terminal.until(SCHEMA)
    terminal.type(ESCAPE)


def test_a_pasted_script_runs_at_enter_and_an_error_points_into_it(terminal: Terminal) -> None:
    script = "SELECT 'first' AS a;\nSELECT 'second' AS b;\nSELECT nothing FROM bids;\n"
    terminal.type(f"\x1b[200~{script}\x1b[201~")
    terminal.until("nothing FROM bids;")
    assert "│ first" not in terminal.text
    terminal.type(ENTER)
    terminal.until("│ first")
    terminal.until("│ second")
    terminal.until("line 3, column 8")


def test_a_pasted_script_may_have_commands(terminal: Terminal) -> None:
    terminal.type("\x1b[200~SELECT 'one' AS a;\n\\d bids\n\x1b[201~", ENTER)
    terminal.until("│ one")
    terminal.until("│ bid_time")


def test_the_text_is_edited_in_the_editor_and_stands_at_the_prompt_again(terminal: Terminal) -> None:
    terminal.type("SELECT 'wrong", F4)
    terminal.until("SELECT 'right")


def test_backslash_e_edits_the_last_statement(terminal: Terminal) -> None:
    terminal.type("SELECT 'wrong' AS word;", ENTER)
    terminal.until("│ wrong")
    terminal.type("\\e", ENTER)
    terminal.until("SELECT 'right' AS word;")
    terminal.type(ENTER)
    terminal.until("│ right")


def test_vi_keys_are_an_option_and_the_toolbar_says_the_mode(terminal: Terminal) -> None:
    terminal.type("\\set keys vi", ENTER)
    terminal.until("vi: insert")
    terminal.type("SELECT 1 + 1", ESCAPE)
    terminal.until("vi: normal")
    terminal.type("0cw", "VALUES ")
    terminal.until("VALUES 1 + 1")
    terminal.type(CTRL_C, "\\set keys emacs", ENTER)
    terminal.until("emacs")
