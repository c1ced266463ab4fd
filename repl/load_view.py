"""What the demo shows while it loads: a block that is drawn again and again."""

from __future__ import annotations

import io
from time import perf_counter
from typing import TextIO

from headwater.engine.database import Database
from headwater.engine.render import print_result
from headwater.engine.terminal import Screen, cut
from headwater.repl.progress import DRAW_SECONDS, bar

_LINES = 10  # a transcript gets a line for each tenth


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
            if rows == self._total or perf_counter() - self._drawn_at > DRAW_SECONDS:
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
            f"{bar(self._screen, rows / self._total)} {rows:,} of {self._total:,} rows",
            f"{records / append_seconds:,.0f} rows/s appended · {records / seconds:,.0f} events/s through the queries",
            *table.getvalue().splitlines(),
        ]
        width = (self._screen.width or 80) - 1
        up = f"\x1b[{self._drawn_lines}F\x1b[J" if self._drawn_lines else ""
        self._stream.write(up + "".join(f"{cut(line, width, self._screen.ellipsis)}\n" for line in lines))
        self._stream.flush()
        self._drawn_lines = len(lines)
        self._drawn_at = perf_counter()
