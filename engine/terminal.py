"""What the place that output goes to can show: width, colours, box drawing; and how wide a text is there.

Nothing is written here. A file or a pipe has no width, no colours, and gets everything uncut.
"""

from __future__ import annotations

import os
import re
import shutil
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from typing import TextIO

from wcwidth import wcswidth

Write = Callable[[str], object]  # takes text to its place: a stream's `write`

# Characters that would move the cursor, colour the terminal or reverse the order of a line.
_CONTROLS = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
COLOUR_CHOICES = ("auto", "always", "never")
_COLOURS = {"bold": "1", "dim": "2", "reverse": "7", "red": "31", "green": "32"}


_chosen = "auto"  # of COLOUR_CHOICES; a process has one terminal


def choose_colours(choice: str) -> None:
    """Use colours 'always', 'never' or, with 'auto', as the terminal and the environment say."""
    global _chosen
    assert choice in COLOUR_CHOICES
    _chosen = choice


def wants_colours(is_terminal: bool) -> bool:
    """Whether to use colours on a stream. NO_COLOR and TERM=dumb turn them off, CLICOLOR_FORCE on in a pipe."""
    if _chosen != "auto":
        return _chosen == "always"
    if os.environ.get("NO_COLOR"):
        return False
    if os.environ.get("CLICOLOR_FORCE", "0") != "0":
        return True
    return is_terminal and os.environ.get("TERM") != "dumb" and os.environ.get("CLICOLOR") != "0"


@dataclass(frozen=True, slots=True)
class Screen:
    """`width` is in columns, None where lines may be as long as they like."""

    width: int | None = None
    has_colours: bool = False
    has_unicode: bool = True

    @classmethod
    def of(cls, stream: TextIO) -> Screen:
        """What `stream` can show."""
        try:
            "│…".encode(stream.encoding or "utf-8")
            has_unicode = True
        except (UnicodeError, LookupError):
            has_unicode = False
        is_terminal = stream.isatty()
        columns = shutil.get_terminal_size().columns if is_terminal else None
        return cls(columns, wants_colours(is_terminal), has_unicode)

    @property
    def can_move(self) -> bool:
        """Whether lines can be drawn over others."""
        return self.width is not None and os.environ.get("TERM") != "dumb"

    def paint(self, text: str, colour: str) -> str:
        """`text` in a colour: 'bold', 'dim', 'reverse', 'red' or 'green'."""
        return f"\x1b[{_COLOURS[colour]}m{text}\x1b[0m" if self.has_colours and text else text

    @property
    def ellipsis(self) -> str:
        """One character that stands for what was cut off."""
        return "…" if self.has_unicode else "~"


def visible(text: str) -> str:
    """`text` on one line, with control characters written out (`\\n`, `\\x1b`): data must not steer the terminal."""
    return text if text.isprintable() else _CONTROLS.sub(lambda found: repr(found.group())[1:-1], text)


def width(text: str) -> int:
    """The columns that a `visible` text takes."""
    return len(text) if text.isascii() else max(wcswidth(text), 0)


def cut(text: str, columns: int, ellipsis: str) -> str:
    """`text` if it fits, else as much of its beginning as does, and the ellipsis."""
    return text if width(text) <= columns else beginning(text, columns - 1) + ellipsis


def beginning(text: str, columns: int) -> str:
    """As much of the beginning of `text` as fits."""
    end = bisect_right(range(len(text) + 1), columns, key=lambda length: width(text[:length])) - 1
    return text[:end]
