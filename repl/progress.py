"""What is shown while something takes long: a bar."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Self, TextIO

from headwater.engine.terminal import Screen, cut
from headwater.progress import watched

DRAW_SECONDS = 0.25
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
        self._due_at = perf_counter() + DRAW_SECONDS
        self._is_drawn = True
        share = done / total if total else 1.0
        width = min(_BAR_WIDTH, max(self._screen.width // 3, 4))
        line = f"{self._label} {bar(self._screen, share, width)} {share:.0%} of {self._total_text(total)}"
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


def bar(screen: Screen, share: float, width: int = _BAR_WIDTH) -> str:
    """A bar of which `share` is full."""
    done = round(width * share)
    full, empty = ("█", "░") if screen.has_unicode else ("#", ".")
    return full * done + empty * (width - done)
