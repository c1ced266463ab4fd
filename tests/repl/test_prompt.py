"""The prompt, at a real pseudo-terminal: what is typed, and what then stands on the screen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repl.terminal import CTRL_C, CTRL_D, ENTER, TAB, UP, Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path)
    opened.until("version 0")
    yield opened
    opened.close()


def test_a_statement_may_have_many_lines_and_runs_at_its_semicolon(terminal: Terminal) -> None:
    terminal.type("SELECT 6 * 7", ENTER)
    terminal.until("       ->")
    terminal.until("with ; or clear it with Ctrl-C")
    terminal.type("AS answer;", ENTER)
    terminal.until("│      42 │")
    terminal.until("1 row (")


def test_keywords_are_coloured_while_they_are_typed(terminal: Terminal) -> None:
    terminal.type("SELECT thing")
    terminal.until("SELECT thing")
    assert terminal.colour_of("SELECT") == "blue"
    assert terminal.colour_of("thing") == "default"


def test_the_menu_completes_names_of_relations_and_columns(terminal: Terminal) -> None:
    terminal.type("CREATE STREAM bids (auction BIGINT, price DOUBLE);", ENTER)
    terminal.until("headwater>", times=2)
    terminal.type("SELECT * FROM b")
    terminal.until("stream")
    terminal.type(TAB, " x WHERE x.")
    terminal.until("DOUBLE", times=2)
    assert "FROM bids x WHERE" in terminal.text


def test_enter_on_a_chosen_completion_takes_it_and_does_not_run_the_statement(terminal: Terminal) -> None:
    terminal.type("SEL", TAB)
    terminal.until("> SELECT")
    terminal.type(ENTER, " 'taken' AS word;", ENTER)
    terminal.until("│ taken")


def test_changes_come_until_ctrl_c_which_leaves_the_shell_running(terminal: Terminal) -> None:
    terminal.type("CREATE STREAM bids (auction BIGINT); INSERT INTO bids VALUES (4711);", ENTER)
    terminal.until("headwater>", times=2)
    terminal.type("SELECT * FROM bids EMIT CHANGES;", ENTER)
    terminal.until("│    4711 │")
    terminal.type(CTRL_C)
    terminal.until("1 change")
    terminal.until("headwater>", times=3)
    terminal.type("SELECT 'still here' AS word;", ENTER)
    terminal.until("│ still here")


def test_an_error_is_red_and_does_not_end_the_shell(terminal: Terminal) -> None:
    terminal.type("SELECT * FROM nowhere;", ENTER)
    terminal.until("error:")
    terminal.until("^^^^^^^")
    assert terminal.colour_of("error:") == "red"
    terminal.until("headwater>", times=2)


def test_ctrl_c_clears_what_is_being_typed(terminal: Terminal) -> None:
    terminal.type("SELECT nonsense", CTRL_C)
    terminal.until("headwater>", times=2)
    terminal.type("SELECT 'clean' AS word;", ENTER)
    terminal.until("│ clean")


def test_backslash_commands_describe_time_limit_and_run_files(terminal: Terminal, tmp_path: Path) -> None:
    script = tmp_path / "script.sql"
    script.write_text("CREATE STREAM bids (auction BIGINT, price DOUBLE);")
    terminal.type(f"\\i {script}", ENTER)
    terminal.until("headwater>", times=2)
    terminal.type("\\d", ENTER)
    terminal.until("auction, price")
    terminal.type("\\timing", ENTER)
    terminal.until("timing is off")
    terminal.type("\\rows 2", ENTER)
    terminal.until("the first 2 rows")
    terminal.type("SELECT unnest(range(1000)) AS n;", ENTER)
    terminal.until("1,000 rows, the first 2 shown\n")
    terminal.type("\\rows few", ENTER)
    terminal.until('rows takes auto, all or a number, not "few"')
    terminal.type("\\dance", ENTER)
    terminal.until("there is no command \\dance")
    terminal.type("\\i no/such/file", ENTER)
    terminal.until('cannot read "no/such/file": No such file or directory')


def test_backslash_d_with_a_name_describes_it(terminal: Terminal) -> None:
    terminal.type("CREATE STREAM bids (auction BIGINT, price DOUBLE);", ENTER)
    terminal.until("headwater>", times=2)
    terminal.type("\\d bids", ENTER)
    terminal.until("│ price")


def test_help_lists_every_command(terminal: Terminal) -> None:
    terminal.type("\\?", ENTER)
    terminal.until("Ctrl-D leaves.")
    for command in ("\\d [name]", "\\i file", "\\rows [n|all|auto]", "\\?", "\\q"):
        assert f"  {command} " in terminal.text


@pytest.mark.parametrize("keys", ["\\q\r", "exit\r", "quit;\r", CTRL_D])
def test_the_shell_is_left_with_exit_code_0(terminal: Terminal, keys: str) -> None:
    terminal.type(keys)
    assert terminal.exit_code() == 0


def test_what_was_typed_is_remembered_by_the_next_session(tmp_path: Path) -> None:
    for session in ("first", "second"):
        terminal = Terminal(tmp_path)
        terminal.until("headwater>")
        if session == "first":
            terminal.type("SELECT 'remembered';", ENTER)
            terminal.until("headwater>", times=2)
        else:
            terminal.type(UP)
            terminal.until("SELECT 'remembered';")
        terminal.close()


def test_the_toolbar_shows_where_the_data_is_and_at_which_version(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path, str(tmp_path / "shop.hw"))
    terminal.until("shop.hw · version")
    terminal.type("CREATE STREAM bids (auction BIGINT);", ENTER)
    terminal.until("version 1")
    terminal.close()


def test_the_prompt_shows_at_which_version_the_user_stands(terminal: Terminal) -> None:
    terminal.type("CREATE TABLE t (x BIGINT PRIMARY KEY); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);", ENTER)
    terminal.until("headwater>", times=2)
    terminal.type("\\track t", ENTER, "\\back", ENTER)
    terminal.until("1 removed")
    terminal.until("headwater@")
    terminal.type("SELECT count(*) AS rows_then FROM t;", ENTER)
    terminal.until("│         1 │")
    terminal.type("\\now", ENTER)
    terminal.until("1 added")
    terminal.type("SELECT count(*) AS rows_now FROM t;", ENTER)
    terminal.until("│        2 │")


def test_the_scrubber_fills_the_screen_until_ctrl_c_which_leaves_the_shell_running(terminal: Terminal) -> None:
    terminal.type("CREATE TABLE t (x BIGINT PRIMARY KEY); INSERT INTO t VALUES (1); INSERT INTO t VALUES (2);", ENTER)
    terminal.until("headwater>", times=2)
    terminal.type("\\track t", ENTER, "\\scrub", ENTER)
    terminal.until("count(*) of t: 2")
    terminal.type("\x1b[D")
    terminal.until("t · 1 row · 1 removed")
    terminal.type(CTRL_C)
    terminal.until("the present")
    terminal.type("SELECT 'still here' AS word;", ENTER)
    terminal.until("│ still here")
