"""A program at a real pseudo-terminal, for tests: what is typed, and what then stands on the screen."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte
import pytest

ROOT = Path(__file__).resolve().parents[2]
RIGHT = "\x1b[C"
ENTER, TAB, UP, CTRL_C, CTRL_D = "\r", "\t", "\x1b[A", "\x03", "\x04"
ROWS, COLUMNS = 40, 100
_UNWANTED = ("NO_COLOR", "COLUMNS", "LINES", "PAGER", "LESS")  # they would say how a terminal is used
_LITTLE = 256  # characters that are read at once, so that no picture that is drawn over soon is missed
PATIENCE_SECONDS = 30  # for what should take a fraction of one


class AnsweringScreen(pyte.Screen):
    """Answers when it is asked where its cursor is, as a terminal does."""

    answer: Callable[[str], object]

    def write_process_input(self, data: str) -> None:
        self.answer(data)


class Terminal:
    """A shell in a terminal of 40 lines. Typing does not wait; `until` reads on until the screen shows something.

    `variables` are put into its environment.
    """

    def __init__(self, home: Path, *arguments: str, module: str = "headwater", **variables: str) -> None:
        environment = {
            **{name: value for name, value in os.environ.items() if name not in _UNWANTED},
            "PYTHONPATH": str(ROOT),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
            "XDG_STATE_HOME": str(home),
            "XDG_CONFIG_HOME": str(home),
            **variables,
        }
        self._child = pexpect.spawn(
            sys.executable,
            ["-m", module, *arguments],
            dimensions=(ROWS, COLUMNS),
            encoding="utf-8",
            env=environment,
            timeout=PATIENCE_SECONDS,
        )
        self._screen = AnsweringScreen(COLUMNS, ROWS)
        self._screen.answer = self._child.send
        self._stream = pyte.Stream(self._screen)

    @property
    def text(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display)

    def type(self, *keys: str) -> None:
        for key in keys:
            self._child.send(key)

    def until(self, shown: str, times: int = 1) -> None:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.text.count(shown) < times:
            assert time.monotonic() < deadline, f"{shown!r} did not appear; the screen shows\n{self.text}"
            try:
                self._stream.feed(self._child.read_nonblocking(_LITTLE, timeout=PATIENCE_SECONDS))
            except pexpect.EOF:
                pytest.fail(f"the program left before {shown!r} appeared; the screen shows\n{self.text}")

    def until_lines(self, *lines: str) -> None:
        """Read on until these lines stand one below the other, each from its beginning to its end."""
        self.until("\n" + "\n".join(lines) + "\n")

    def resize(self, columns: int, rows: int) -> None:
        """What is on the screen is wiped, as how a terminal wraps it anew is its own affair."""
        self._screen.reset()
        self._screen.resize(rows, columns)
        self._child.setwinsize(rows, columns)

    def colour_of(self, word: str) -> str:
        """The colour of the first character of `word` where it stands first."""
        for row, line in enumerate(self._screen.display):
            if word in line:
                return str(self._screen.buffer[row][line.index(word)].fg)
        pytest.fail(f"{word!r} is not on the screen")

    def is_underlined(self, word: str) -> bool:
        """Whether the first character of `word` is underlined where it stands first."""
        for row, line in enumerate(self._screen.display):
            if word in line:
                return bool(self._screen.buffer[row][line.index(word)].underscore)
        pytest.fail(f"{word!r} is not on the screen")

    def clear(self) -> None:
        """Forget what the screen shows and let the program draw its prompt anew."""
        self._screen.reset()
        self._child.send("\x0c")

    def exit_code(self) -> int | None:
        """Wait until the program has left by itself."""
        self._child.expect(pexpect.EOF)
        self._child.close()
        status: int | None = self._child.exitstatus
        return status

    def close(self) -> None:
        self._child.close(force=True)
