"""A block of lines on a terminal that is drawn again in its place, and the keys that are pressed meanwhile."""

from __future__ import annotations

import os
import select
import shutil
import sys
import termios
import tty
from collections.abc import Sequence
from typing import Any, Self, TextIO


class Region:
    """Lines that stay where they are. What is drawn last stays on the screen.

    They are written over, never wiped first, so nothing flickers. A terminal that has another size than at the last
    time may have wrapped them: then its screen is cleared.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._drawn = 0
        self._size: os.terminal_size | None = None

    def __enter__(self) -> Self:
        self._stream.write("\x1b[?25l")  # no cursor
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.write("\x1b[?25h")
        self._stream.flush()

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines of the terminal, as it is now."""
        return shutil.get_terminal_size()

    @property
    def is_resized(self) -> bool:
        """Whether the terminal has another size than when it was drawn."""
        return self._size is not None and self.size != self._size

    def draw(self, lines: Sequence[str]) -> None:
        """Shows these lines, which are no wider than the terminal and at least one fewer than it has."""
        begin = f"\x1b[{self._drawn}F" if self._drawn else "\r"
        if self.is_resized:
            begin = "\x1b[2J\x1b[H"
        self._stream.write(begin + "".join(f"{line}\x1b[K\n" for line in lines) + "\x1b[J")
        self._stream.flush()
        self._drawn, self._size = len(lines), self.size


_NAMES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left", "\x1b[5~": "pageup", "\x1b[6~": "pagedown",
    "\x1bOA": "up", "\x1bOB": "down", "\x1bOC": "right", "\x1bOD": "left", "\x1b[H": "home", "\x1b[F": "end",
}  # fmt: skip


class Keys:
    """The keys that are pressed while a program does something else; Ctrl-C interrupts as ever.

    Where standard input is no terminal there are none.
    """

    def __init__(self) -> None:
        self._terminal: int | None = sys.stdin.fileno() if sys.stdin is not None and sys.stdin.isatty() else None
        self._before: list[Any] = []
        self._typed = ""

    def __enter__(self) -> Self:
        if self._terminal is not None:
            self._before = termios.tcgetattr(self._terminal)
            tty.setcbreak(self._terminal)  # keys come at once, and are not echoed
        return self

    def __exit__(self, *_: object) -> None:
        if self._terminal is not None:
            termios.tcsetattr(self._terminal, termios.TCSADRAIN, self._before)

    def wait(self, seconds: float) -> str | None:
        """The next key, by its name or as its character; None if none was pressed within so many seconds."""
        if not self._typed:
            if not select.select([] if self._terminal is None else [self._terminal], [], [], max(seconds, 0))[0]:
                return None
            assert self._terminal is not None
            self._typed = os.read(self._terminal, 1024).decode("utf-8", "replace")
        pressed = next((keys for keys in _NAMES if self._typed.startswith(keys)), self._typed[:1])
        self._typed = self._typed[len(pressed) :]
        return _NAMES.get(pressed, pressed)
