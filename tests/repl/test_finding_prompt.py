"""What there is and how it is, at a real pseudo-terminal."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.repl.terminal import CTRL_C, CTRL_D, ENTER, Terminal


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Terminal]:
    opened = Terminal(tmp_path, str(tmp_path / "shop.hw"))
    opened.until("headwater>")
    opened.type("CREATE TABLE t (x BIGINT PRIMARY KEY);", ENTER)
    opened.until("created table t")
    opened.type("CREATE TABLE n AS SELECT count(*) AS n FROM t;", ENTER)
    opened.until("created table n")
    yield opened
    opened.close()


def test_the_screens_of_a_database_with_a_query(terminal: Terminal) -> None:
    terminal.until("1 running")
    terminal.type("\\dq", ENTER)
    terminal.until("│ running │")
    terminal.type("\\lineage", ENTER)
    terminal.until("t (table) ───▶ n (table)")
    terminal.type("PAUSE n;", ENTER)
    terminal.until("1 stopped")
    terminal.type("show tables", ENTER)
    terminal.until("│ columns")


def test_watch_marks_what_changed_and_ctrl_c_ends_it_alone(terminal: Terminal) -> None:
    terminal.type("SELECT count(*) FILTER (WHERE true) AS rows_now FROM t;", ENTER)
    terminal.until("│        0 │")
    terminal.type("\\watch 0.2", ENTER)
    terminal.until("Ctrl-C ends it")
    terminal.type(CTRL_C)
    terminal.until("headwater>", times=2)
    terminal.type("SELECT 'still here' AS word;", ENTER)
    terminal.until("│ still here")


def test_the_first_lesson_by_typing_and_by_enter(terminal: Terminal) -> None:
    terminal.type("\\tutorial", ENTER)
    terminal.until("lesson 1>")
    terminal.type("CREATE STREAM rides (city VARCHAR KEY, fare DOUBLE);", ENTER)
    terminal.until("lesson 1>", times=2)
    terminal.type(ENTER)
    terminal.until("inserted 3 rows")
    terminal.type(CTRL_D)
    terminal.until("You left the tutorial")
    terminal.type("\\d rides", ENTER)
    terminal.until('no stream or table "rides"')


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_ends_the_shell_as_if_it_had_been_left(terminal: Terminal, number: int, code: int) -> None:
    terminal._child.kill(number)
    assert terminal.exit_code() == code


def test_ctrl_c_stops_a_query_that_duckdb_runs_and_leaves_the_shell_running(terminal: Terminal) -> None:
    terminal.type("SELECT count(*) FROM range(10000000) a, range(1000000) b WHERE a.range * b.range % 7 = 3;", ENTER)
    terminal.until("% 7 = 3;")
    time.sleep(1)  # until it runs; if it does not yet, Ctrl-C stops what comes before
    terminal.type(CTRL_C)
    terminal.until("interrupted")
    terminal.type("SELECT 'still here' AS word;", ENTER)
    terminal.until("│ still here")
