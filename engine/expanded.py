"""Rows with a line for each column, for what is too wide for a table.

── row 1 ──
auction │ 1
note    │ a long text goes on
        │ in the next line
"""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from headwater.engine.cells import texts
from headwater.engine.terminal import Screen, Write, beginning, cut, visible, width
from headwater.values import Column

_NAME_MAX = 30  # a longer name does not take the room of the values


class ExpandedWriter:
    """A `RowWriter` of blocks of lines, a block per row. At a terminal long values are wrapped, elsewhere complete."""

    def __init__(self, columns: tuple[Column, ...], screen: Screen, write: Write, null: str = "NULL") -> None:
        self._screen = screen
        self._write = write
        self._null = null
        self._names = [visible(column.name) for column in columns]
        widest = max(map(width, self._names), default=0)
        self._name_width = widest if screen.width is None else min(widest, _NAME_MAX, max(screen.width // 2, 4))
        self._rows = 0

    def add(self, rows: pa.RecordBatch) -> None:
        """Write these rows."""
        for row in zip(*(texts(column) for column in rows.columns), strict=True):
            self._rows += 1
            line = "──" if self._screen.has_unicode else "--"
            self._write(self._screen.paint(f"{line} row {self._rows:,} {line}", "dim") + "\n")
            for name, text in zip(self._names, row, strict=True):
                self._value(name, text)

    def close(self) -> None:
        """Nothing comes after the last row."""

    def _value(self, name: str, text: str | None) -> None:
        bar = "│" if self._screen.has_unicode else "|"
        shown = cut(name, self._name_width, self._screen.ellipsis)
        begin = self._screen.paint(shown, "bold") + " " * (self._name_width - width(shown))
        if text is None:
            self._write(f"{begin} {bar} {self._screen.paint(self._null, 'dim')}\n")
            return
        for piece in self._wrapped(visible(text)):
            self._write(f"{begin} {bar} {piece}\n")
            begin = " " * self._name_width

    def _wrapped(self, text: str) -> Iterator[str]:
        """The text in pieces that fit beside the names."""
        room = None if self._screen.width is None else max(self._screen.width - self._name_width - 3, 1)
        while room is not None and (len(text) > room or width(text) > room):
            piece = beginning(text[: 2 * room], room) or text[0]
            if len(piece) == len(text):
                break
            yield piece
            text = text[len(piece) :]
        yield text
