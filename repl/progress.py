"""What is shown while something takes long: a bar; and in the demo a block that is drawn again and again."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Self, TextIO

from headwater.engine.database import Database
from headwater.engine.render import print_result
from headwater.engine.terminal import Screen, cut
from headwater.progress import watched

_DRAW_SECONDS = 0.25
_LINES = 10  # a transcript gets a line for each tenth
_BAR_WIDTH = 40
_BAR_AFTER_SECONDS = 0.5


def _megabytes(total: int) -> str:
    return f"{total / 1e6:,.0f} MB"


class Bar:
    """A bar on one line of a terminal, once it has taken a while; elsewhere nothing. It is wiped away in the end."""

    def __init__(self, stream: TextIO, label: str, total_text: Callable[[int], str] = _megabytes,
                 rate_text: Callable[[int], str] | None = None) -> None:  # fmt: skip
        """`total_text` says what of is done: in megabytes, where bytes are; `rate_text` how much in a second."""
        self._stream = stream
        self._label = label
        self._total_text = total_text
        self._rate_text = rate_text or total_text
        self._screen = Screen.of(stream)
        self._begun = perf_counter()
        self._due_at = self._begun + _BAR_AFTER_SECONDS
        self._is_drawn = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.clear()

    def clear(self) -> None:
        """Wipes the bar away."""
        if self._is_drawn:
            self._is_drawn = False
            self._stream.write("\r\x1b[K")
            self._stream.flush()

    def update(self, done: int, total: int) -> None:
        """Show that `done` of `total` are done."""
        if self._screen.width is None or perf_counter() < self._due_at:
            return
        self._due_at = perf_counter() + _DRAW_SECONDS
        self._is_drawn = True
        share = done / total if total else 1.0
        width = min(_BAR_WIDTH, max(self._screen.width // 3, 4))
        line = f"{self._label} {_bar(self._screen, share, width)} {share:.0%} of {self._total_text(total)}"
        line += self._pace(done, total)
        self._stream.write(f"\r{cut(line, self._screen.width - 1, self._screen.ellipsis)}\x1b[K")
        self._stream.flush()

    def _pace(self, done: int, total: int) -> str:
        """The rate so far, and how long the rest will take at that; nothing while that is unknown."""
        seconds = perf_counter() - self._begun
        if done <= 0 or seconds <= 0:
            return ""
        left = (total - done) * seconds / done
        time_left = f"{left / 60:,.0f} min" if left >= 90 else f"{left:,.0f} s"
        return f" · {self._rate_text(round(done / seconds))}/s · {time_left} left"


class Progress:
    """Shows a bar for whatever work it is told of (`headwater.progress`), by its name."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._bars: dict[str, Bar] = {}

    def __call__(self, what: str, done: int, total: int) -> None:
        if what not in self._bars:
            self.clear()
            self._bars = {what: Bar(self._stream, what, lambda total: f"{total:,} versions", lambda rate: f"{rate:,}")}
        self._bars[what].update(done, total)

    def clear(self) -> None:
        """Wipes the bar away."""
        for bar in self._bars.values():
            bar.clear()


@contextmanager
def shown_progress(stream: TextIO) -> Iterator[None]:
    """Shows how far the work in this block has come, where that takes long and `stream` is a terminal."""
    progress = Progress(stream)
    with watched(progress):
        try:
            yield
        finally:
            progress.clear()


def _bar(screen: Screen, share: float, width: int = _BAR_WIDTH) -> str:
    done = round(width * share)
    full, empty = ("█", "░") if screen.has_unicode else ("#", ".")
    return full * done + empty * (width - done)


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
