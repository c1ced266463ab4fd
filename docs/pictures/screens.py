"""What stands on the screen of a terminal while somebody types: a scenario in, frames out.

A scenario is played in the real shell, at a real pseudo-terminal. A frame is a screen and how long it is looked at.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import chdir
from copy import deepcopy
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import pexpect
import pyte
from pyte.screens import Char

import headwater
from tests.repl.terminal import AnsweringScreen, Terminal

_QUIET_SECONDS = 0.2  # a screen that has not changed for so long is drawn
_ECHO_SECONDS = 10.0  # a letter that is typed is shown by then, however busy the machine is
_LONGEST_SECONDS = 3.0  # one that does not come to rest, as with a clock on it, is drawn then
_KEYS_PER_FRAME = 3
_WHOLE_SCREEN = 1049  # the mode, as terminals number it
_KEY_SECONDS = 0.07


@dataclass(frozen=True, slots=True)
class Style:
    """How characters look. Colours are names such as `red`, six hexadecimal digits, or `default`."""

    colour: str = "default"
    background: str = "default"
    bold: bool = False
    italic: bool = False
    underlined: bool = False
    reversed: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Characters in a row that look alike, from a column on; `width` counts columns, so a wide character is two."""

    column: int
    width: int
    text: str
    style: Style


Row = tuple[Run, ...]


@dataclass(frozen=True, slots=True)
class Frame:
    """A screen. `cursor` is row and column, or None where it is hidden."""

    rows: tuple[Row, ...]
    columns: int
    cursor: tuple[int, int] | None
    seconds: float

    @property
    def text(self) -> str:
        """The characters alone, for tests and for people who cannot see the picture."""
        return "\n".join(_text(row).rstrip() for row in self.rows).rstrip("\n")


@dataclass(frozen=True, slots=True)
class Step:
    """Keys to press, what must then be on the screen, and how long it is looked at. Typing shows as it goes on."""

    keys: str
    until: str = ""
    seconds: float = 1.0
    typed: bool = True


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is typed at the prompt of a database. `prepare` makes its content, before the terminal is opened."""

    name: str
    steps: tuple[Step, ...]
    prepare: Callable[[headwater.Database], object] = lambda database: None
    columns: int = 96
    lines: int = 30


def screens(scenario: Scenario) -> list[Frame]:
    """Play a scenario, and give what was to be seen."""
    with TemporaryDirectory() as directory:
        home = Path(directory)
        with headwater.connect(home / "shop.hw") as database:
            scenario.prepare(database)
        with chdir(home):  # so that the screen shows no path of this machine
            terminal = Recorded(home, "shop.hw", scenario)
        try:
            return list(_frames(terminal, scenario.steps))
        finally:
            terminal.close()


def _frames(terminal: Recorded, steps: tuple[Step, ...]) -> Iterator[Frame]:
    terminal.until("headwater>")
    yield terminal.frame(1.0)
    for step in steps:
        if step.typed and step.keys.isprintable():
            for start in range(0, len(step.keys) - _KEYS_PER_FRAME, _KEYS_PER_FRAME):
                terminal.type(step.keys[start : start + _KEYS_PER_FRAME])
                terminal.echoed(step.keys[: start + _KEYS_PER_FRAME])
                yield terminal.frame(_KEYS_PER_FRAME * _KEY_SECONDS)
            terminal.type(step.keys[max(0, len(step.keys) - 1) // _KEYS_PER_FRAME * _KEYS_PER_FRAME :])
            terminal.echoed(step.keys)
        else:
            terminal.type(step.keys)
        if step.until:
            terminal.until(step.until)
        terminal.settle()
        yield terminal.frame(step.seconds)


class RestoringScreen(AnsweringScreen):
    """Shows what stood there before, when a program leaves that had the whole screen."""

    _behind: tuple[object, object] | None = None

    def set_mode(self, *modes: int, **options: bool) -> None:
        super().set_mode(*modes, **options)
        if _WHOLE_SCREEN in modes and self._behind is None:
            self._behind = deepcopy(self.buffer), deepcopy(self.cursor)
            self.erase_in_display(2)

    def reset_mode(self, *modes: int, **options: bool) -> None:
        super().reset_mode(*modes, **options)
        if _WHOLE_SCREEN in modes and self._behind is not None:
            self.buffer, self.cursor = self._behind
            self._behind = None


class Recorded(Terminal):
    """A terminal whose screen can be had with its colours."""

    def __init__(self, home: Path, database: str, scenario: Scenario) -> None:
        super().__init__(home, database)
        self._screen = RestoringScreen(scenario.columns, scenario.lines)
        self._screen.answer = self._child.send
        self._stream = pyte.Stream(self._screen)
        self._child.setwinsize(scenario.lines, scenario.columns)

    def echoed(self, typed: str) -> None:
        """Read on until the end of what was typed is on the screen, and nothing more comes."""
        latest = time.monotonic() + _ECHO_SECONDS
        while time.monotonic() < latest and typed.split()[-1][-_KEYS_PER_FRAME:] not in self.text:
            self.settle()
        self.settle()

    def settle(self) -> None:
        """Read on until nothing more comes."""
        longest = time.monotonic() + _LONGEST_SECONDS
        while time.monotonic() < longest:
            try:
                self._stream.feed(self._child.read_nonblocking(65536, timeout=_QUIET_SECONDS))
            except (pexpect.TIMEOUT, pexpect.EOF):
                return

    def frame(self, seconds: float) -> Frame:
        screen = self._screen
        rows = tuple(_row([screen.buffer[y][x] for x in range(screen.columns)]) for y in range(screen.lines))
        cursor = None if screen.cursor.hidden else (screen.cursor.y, screen.cursor.x)
        return Frame(rows, screen.columns, cursor, seconds)


def _row(cells: list[Char]) -> Row:
    """The runs of a line of the screen, without blanks that look like nothing. A wide character has an empty cell
    behind it, and is a run of its own, so that what follows stands where it stood."""
    runs: list[Run] = []
    column = 0
    for (style, is_wide, _), group in groupby(_keyed(cells), lambda keyed: keyed[0]):
        part = [cell for _, cell in group]
        text = "".join(cell.data for cell in part)
        if is_wide or text.strip() or style != Style():
            runs.append(Run(column, len(part), text, style))
        column += len(part)
    return tuple(runs)


def _keyed(cells: list[Char]) -> Iterator[tuple[tuple[Style, bool, int], Char]]:
    """Each cell with what tells its run from the next one."""
    for index, cell in enumerate(cells):
        is_wide = not cell.data or (index + 1 < len(cells) and not cells[index + 1].data)
        place = (index if cell.data else index - 1) if is_wide else -1
        yield (_style(cell), is_wide, place), cell


def _style(cell: Char) -> Style:
    return Style(cell.fg, cell.bg, cell.bold, cell.italics, cell.underscore, cell.reverse)


def _text(row: Row) -> str:
    line, column = "", 0
    for run in row:
        line += " " * (run.column - column) + run.text
        column = run.column + run.width
    return line
