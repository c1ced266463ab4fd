"""\\scrub: a time line over the versions, on the whole screen, with what is tracked as of where the cursor is.

What it shows and asks is in `headwater.repl.scrub`; here it is drawn, and keys are taken.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from prompt_toolkit.application import Application, get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.input import Input
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.layout import BufferControl, ConditionalContainer, FormattedTextControl, HSplit, Layout, Window
from prompt_toolkit.layout.processors import BeforeInput
from prompt_toolkit.output import Output as Terminal
from prompt_toolkit.styles import Style

from headwater.engine.database import Database
from headwater.engine.terminal import Screen, cut, visible, width
from headwater.errors import HeadwaterError
from headwater.repl.pictures import Line, summary, table
from headwater.repl.scrub import Scrub, number_text
from headwater.repl.timeline import bar, column_of, sparkline
from headwater.repl.travel import Travel, find_position, time_of

_HELP = (  # the longest that fits
    "left right PgUp PgDn Home End move · g go to a version · up down scroll · c curve · Enter stay here · q quit",
    "left right PgUp PgDn move · g go to · c curve · Enter stay · q quit",
    "left right · g · c · Enter stay · q quit",
    "q quit",
)
_STYLE = Style.from_dict({"dim": "ansibrightblack", "bold": "bold", "reverse": "reverse", "red": "ansired",
                          "green": "ansigreen", "problem": "ansired", "cursor": "bold"})  # fmt: skip
_APART = {  # joiners, variants and tones of skin are left out; the letters of a flag are letters
    **dict.fromkeys((0x200D, 0xFE0E, 0xFE0F, *range(0x1F3FB, 0x1F400))),
    **{0x1F1E6 + letter: chr(ord("A") + letter) for letter in range(26)},
}
_JUMPS = 20  # PgUp and PgDn go through the time line in so many
_TALL = 20  # lines from which on a curve has three rows


def scrub(
    database: Database, travel: Travel, state: Scrub, screen: Screen, *, input: Input | None = None,
    output: Terminal | None = None,
) -> int | None:  # fmt: skip
    """Runs until the user leaves; gives the version to stand at, or None if that is not to change."""
    application = _application(database, travel, state, screen, input, output)
    return application.run(pre_run=lambda: _meanwhile(application, state))


def _meanwhile(application: Application[int | None], state: Scrub) -> None:
    """Has what is wanted asked in a thread of its own, and drawn in the one that draws."""

    async def asking() -> None:
        try:
            while await asyncio.to_thread(state.ask_when_wanted):
                application.invalidate()
        finally:
            state.close()

    application.create_background_task(asking())


class View:
    """What is drawn of the state, line by line, and how far down the tables are scrolled."""

    def __init__(self, database: Database, state: Scrub, screen: Screen) -> None:
        self._database = database
        self._state = state
        self._screen = screen
        self._scrolled = 0
        self.problem = ""

    def scroll(self, lines: int) -> None:
        self._scrolled = max(self._scrolled + lines, 0)

    def text(self) -> StyleAndTextTuples:
        """All of the screen."""
        size = get_app().output.get_size()
        return self.lines(size.columns, size.rows)

    def lines(self, columns: int, rows: int) -> StyleAndTextTuples:
        """What a screen of this size shows."""
        head = [*self._head(columns, 3 if rows >= _TALL else 1), []]
        body = self._tables(columns)
        room = max(rows - len(head) - 1, 1)
        self._scrolled = min(self._scrolled, max(len(body) - room, 0))
        shown = body[self._scrolled : self._scrolled + room]
        below = len(body) - self._scrolled - len(shown)
        lines: list[Line] = [*head, *shown, *([[]] * (room - len(shown))), [self._foot(columns, below)]]
        parts: StyleAndTextTuples = []
        for line in lines[:rows]:
            parts += [(f"class:{style}" if style else "", text) for style, text in line]
            parts.append(("", "\n"))
        return parts[:-1]

    def _head(self, columns: int, rows: int) -> list[Line]:
        """Where the user is, the line with the cursor, and the curve above it."""
        state = self._state
        place, places, version = state.place, len(state.moments), state.version
        where = [f"version {version:,} of {state.latest:,}", time_of(version, self._database)]
        heights, missing = state.heights(columns)
        known = [height for height in heights if height is not None]
        label = [f"{placeable(state.series.name)}: {state.number}"]
        label += [f"{number_text(min(known))} to {number_text(max(known))}"] if known else []
        label += [f"{missing} to ask"] if missing else []
        label += [placeable(state.curve_problem)] if state.curve_problem is not None else []
        at = column_of(place, places, columns)
        curve: list[Line] = [  # the column of the cursor stands out
            [("green", row[:at]), ("reverse", row[at : at + 1]), ("green", row[at + 1 :])]
            for row in sparkline(heights, rows, self._screen)
        ]
        line = bar(place, places, columns, self._screen)
        return [
            *([("bold", text)] for text in self._flowing(where, columns)),
            *curve,
            [("dim", line[:at]), ("cursor", line[at]), ("dim", line[at + 1 :])],
            *([("dim", text)] for text in self._flowing(label, columns)),
        ]

    def _tables(self, columns: int) -> list[Line]:
        picture = self._state.picture
        if picture is None:
            return []
        if picture.problem is not None:
            return [[("problem", self._cut(placeable(picture.problem), columns))]]
        screen = Screen(columns, True, self._screen.has_unicode)
        lines: list[Line] = []
        for tracked, marked in picture.tables:
            said = f"{placeable(tracked.name)} · {summary(marked)}"
            lines += [[("bold", self._cut(said, columns))], *table(marked, screen, placeable)]
        return lines

    def _foot(self, columns: int, below: int) -> tuple[str, str]:
        picture = self._state.picture
        if self.problem:
            return "problem", self._cut(placeable(self.problem), columns)
        if picture is None or picture.version != self._state.version:
            return "dim", self._cut(f"asking version {self._state.version:,} …", columns)
        more = f"{below:,} lines below · " if below else ""
        fitting = next((text for text in _HELP if len(more + text) <= columns), "")
        return "dim", self._cut(more + fitting, columns)

    def _flowing(self, parts: Sequence[str], columns: int) -> list[str]:
        """The parts on as few lines as they fit on."""
        lines = [parts[0]]
        for part in parts[1:]:
            joined = f"{lines[-1]} · {part}"
            lines[-1:] = [joined] if width(joined) <= columns else [lines[-1], part]
        return [self._cut(line, columns) for line in lines]

    def _cut(self, text: str, columns: int) -> str:
        return cut(text, columns, self._screen.ellipsis)


def placeable(text: str) -> str:
    """A text on one line, without what makes one character of several, as in a flag or a family of emoji: there
    prompt-toolkit, which counts each by itself, and the terminal do not agree where the next one stands.
    """
    return visible(text) if text.isascii() else visible(text.translate(_APART))


def _application(
    database: Database, travel: Travel, state: Scrub, screen: Screen, input: Input | None, output: Terminal | None
) -> Application[int | None]:
    view = View(database, state, screen)
    picture = Window(FormattedTextControl(view.text, focusable=True, show_cursor=False), wrap_lines=False)

    def accept(buffer: Buffer) -> bool:
        """Goes to the position that was typed."""
        get_app().layout.focus(picture)
        if buffer.text.strip():
            try:
                version = find_position(buffer.text.strip(), travel, database)
                state.go(state.place_at(database.version if version is None else version))
            except HeadwaterError as error:
                view.problem = f"{error.message}; {error.hint}" if error.hint else error.message
        return False

    typed = Buffer(accept_handler=accept, multiline=False)
    line = Window(BufferControl(typed, input_processors=[BeforeInput("go to: ")]), height=1)
    is_typing = Condition(lambda: get_app().layout.has_focus(line))
    layout = Layout(HSplit([picture, ConditionalContainer(line, is_typing)]), focused_element=picture)
    application: Application[int | None] = Application(
        layout=layout, key_bindings=_keys(state, view, line, picture, typed, is_typing), style=_STYLE, full_screen=True,
        input=input, output=output,
    )  # fmt: skip
    application.ttimeoutlen = 0.05  # how long a bare Escape may be the beginning of another key
    return application


def _keys(state: Scrub, view: View, line: Window, picture: Window, typed: Buffer, is_typing: Condition) -> KeyBindings:
    keys = KeyBindings()
    last = len(state.moments) - 1
    jump = max(2, last // _JUMPS)
    moves: dict[str, Callable[[], int]] = {
        "left": lambda: state.place - 1,
        "right": lambda: state.place + 1,
        "home": lambda: 0,
        "end": lambda: last,
        **dict.fromkeys(("pageup", "s-left", "c-left"), lambda: state.place - jump),
        **dict.fromkeys(("pagedown", "s-right", "c-right"), lambda: state.place + jump),
    }

    def move(key: str) -> None:
        @keys.add(key, filter=~is_typing)
        def _(event: KeyPressEvent) -> None:
            view.problem = ""
            state.go(moves[key]())

    for key in moves:
        move(key)

    @keys.add("up", filter=~is_typing)
    def _(event: KeyPressEvent) -> None:
        view.scroll(-1)

    @keys.add("down", filter=~is_typing)
    def _(event: KeyPressEvent) -> None:
        view.scroll(1)

    @keys.add("c", filter=~is_typing)
    def _(event: KeyPressEvent) -> None:
        state.next_series()

    @keys.add("g", filter=~is_typing)
    @keys.add("/", filter=~is_typing)
    def _(event: KeyPressEvent) -> None:
        view.problem = ""
        typed.reset()
        event.app.layout.focus(line)

    @keys.add("enter", filter=~is_typing)
    def _(event: KeyPressEvent) -> None:
        event.app.exit(result=state.version)

    @keys.add("escape", filter=is_typing, eager=True)
    def _(event: KeyPressEvent) -> None:
        event.app.layout.focus(picture)

    @keys.add("q", filter=~is_typing)
    @keys.add("escape", filter=~is_typing, eager=True)
    @keys.add("c-c")
    @keys.add(Keys.SIGINT)
    def _(event: KeyPressEvent) -> None:
        event.app.exit(result=None)

    return keys
