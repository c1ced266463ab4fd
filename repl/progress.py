"""What is shown while something takes long: a bar; and in the demo a block that is drawn again and again."""

from __future__ import annotations

import io
from collections.abc import Callable
from time import perf_counter
from typing import Self, TextIO

from headwater.engine.database import Database
from headwater.engine.render import print_result
from headwater.engine.terminal import Screen, cut

_DRAW_SECONDS = 0.25
_LINES = 10  # a transcript gets a line for each tenth
_BAR_WIDTH = 40
_BAR_AFTER_SECONDS = 1.0


def _megabytes(total: int) -> str:
    return f"{total / 1e6:,.0f} MB"


class Bar:
    """A bar on one line of a terminal, from the second on; elsewhere nothing. It is wiped away in the end."""

    def __init__(self, stream: TextIO, label: str, total_text: Callable[[int], str] = _megabytes) -> None:
        """`total_text` says what of is done: in megabytes, where bytes are."""
        self._stream = stream
        self._label = label
        self._total_text = total_text
        self._screen = Screen.of(stream)
        self._due_at = perf_counter() + _BAR_AFTER_SECONDS
        self._is_drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._is_drawn:
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def update(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        if self._screen.width is None or perf_counter() < self._due_at:
            return
        self._due_at = perf_counter() + _DRAW_SECONDS
        self._is_drawn = True
        share = done / total if total else 1.0
        line = f"{self._label} {_bar(self._screen, share)} {share:.0%} of {self._total_text(total)}"
        self._stream.write(f"\r{cut(line, self._screen.width - 1, self._screen.ellipsis)}\x1b[K")
        self._stream.flush()


def _bar(screen: Screen, share: float) -> str:
    done = round(_BAR_WIDTH * share)
    full, empty = ("█", "░") if screen.has_unicode else ("#", ".")
    return full * done + empty * (_BAR_WIDTH - done)


class LoadView:
    """Shows how far the loading of `total` rows has come, and the answer to `query`, which reads what is kept of them.

    To draw is to ask, and an answer has everything that was appended before; so what is drawn is up to date.
    """

    def __init__(self, database: Database, stream: TextIO, total: int, query: str) -> None:
        self._database = database
        self._stream = stream
        self._total = total
        self._query = query
        self._screen = Screen.of(stream)
        self._is_live = self._screen.width is not None
        self._started = self._drawn_at = perf_counter()
        self._drawn_lines = 0
        self._tenths = 0

    def update(self, rows: int, records: int, append_seconds: float) -> None:
        """Show that `rows` of the total have arrived; in all, `records` were appended in `append_seconds`."""
        if self._is_live:
            if rows == self._total or perf_counter() - self._drawn_at > _DRAW_SECONDS:
                self._draw(rows, records, append_seconds)
        elif rows * _LINES // self._total > self._tenths:
            self._tenths = rows * _LINES // self._total
            self._stream.write(f"  {rows / self._total:>4.0%} {rows:>9,} rows appended\n")
            self._stream.flush()

    def _draw(self, rows: int, records: int, append_seconds: float) -> None:
        table = io.StringIO()
        print_result(self._database.sql(self._query), stream=table)
        seconds = perf_counter() - self._started
        lines = [
            f"{_bar(self._screen, rows / self._total)} {rows:,} of {self._total:,} rows",
            f"{records / append_seconds:,.0f} rows/s appended · {records / seconds:,.0f} events/s through the queries",
            *table.getvalue().splitlines(),
        ]
        width = (self._screen.width or 80) - 1
        up = f"\x1b[{self._drawn_lines}F\x1b[J" if self._drawn_lines else ""
        self._stream.write(up + "".join(f"{cut(line, width, self._screen.ellipsis)}\n" for line in lines))
        self._stream.flush()
        self._drawn_lines = len(lines)
        self._drawn_at = perf_counter()
