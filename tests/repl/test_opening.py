"""The prompt stands there before the database is open."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Queue
from typing import TextIO

import pytest

from headwater.progress import task
from headwater.repl.opening import Opening
from tests.repl.terminal import CTRL_C, CTRL_D, ENTER, Terminal


class Slow(Terminal):
    """A terminal with a shell whose database opens when it is told to."""

    def __init__(self, home: Path) -> None:
        pipe = home / "pipe"
        os.mkfifo(pipe)
        super().__init__(home, str(pipe), module="tests.repl.slow")
        self._pipe: TextIO = pipe.open("w")

    def tell(self, line: str) -> None:
        print(line, file=self._pipe, flush=True)

    def close(self) -> None:
        self._pipe.close()
        super().close()


@pytest.fixture
def terminal(tmp_path: Path) -> Iterator[Slow]:
    opened = Slow(tmp_path)
    opened.until("headwater>")
    yield opened
    opened.close()


def test_what_is_typed_before_the_database_is_open_is_there_when_it_is(terminal: Slow) -> None:
    terminal.type("SELECT 6 * 7 AS answer", ENTER)
    terminal.until("       ->")
    terminal.until("shop.hw · opening")
    terminal.tell("43")
    terminal.until("shop.hw · opening 43%")
    terminal.tell("open")
    terminal.until("in memory · version 0")
    terminal.type(";", ENTER)
    terminal.until("│      42 │")


def test_a_statement_waits_until_the_database_is_open(terminal: Slow) -> None:
    terminal.type("SELECT 6 * 7 AS answer;", ENTER)
    terminal.tell("43")
    terminal.until("43% of 100 versions")
    terminal.tell("open")
    terminal.until("│      42 │")


def test_ctrl_c_ends_the_wait_and_leaving_ends_the_opening(terminal: Slow) -> None:
    terminal.type("SELECT 1;", ENTER)
    terminal.tell("43")
    terminal.until("43% of 100 versions")
    terminal.type(CTRL_C)
    terminal.until("headwater>", times=2)
    terminal.type(CTRL_D)
    terminal.tell("never")
    assert terminal.exit_code() == 0


def test_a_database_that_cannot_be_opened_ends_the_program_with_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("n").write_text("milk")
    terminal = Terminal(tmp_path, "n")
    terminal.until('\nerror: "n" is a file: a database is a directory\n')
    assert "headwater>" not in terminal.text
    assert terminal.exit_code() == 1


def test_the_prompt_needs_nothing_of_what_is_behind_it() -> None:
    script = "import sys, headwater.repl.main, headwater.repl.shell; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {"prompt_toolkit", "headwater.repl.shell"} <= set(loaded)
    assert {"numpy", "pyarrow", "duckdb", "lark", "headwater.parser", "headwater.engine.database"}.isdisjoint(loaded)


def test_what_is_given_up_ends_where_it_next_tells_how_far_it_has_come() -> None:
    steps: Queue[int] = Queue()

    def make() -> str:
        with task("replaying") as tell:
            while True:
                tell(steps.get(), 100)

    opening = Opening(make)
    opening.start()
    steps.put(1)
    steps.put(2)
    assert opening.given_up() is None
    with pytest.raises(KeyboardInterrupt):
        opening.result()


def test_what_is_made_is_given_to_whoever_waits_and_to_whoever_gives_up() -> None:
    opening = Opening(lambda: "made")
    assert Opening(lambda: "made").given_up() is None
    assert opening.result() == "made"
    assert opening.given_up() == "made"
