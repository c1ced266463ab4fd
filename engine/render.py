"""Rows as a table of boxes: Arrow batches in, lines of text out.

    ┌─────────┬───────┬─────────────────────┐
    │ auction │ price │ at                  │
    ├─────────┼───────┼─────────────────────┤
    │       1 │  10.5 │ 2026-01-01 12:00:00 │
    │       2 │  NULL │ 2026-01-01 12:00:01 │
    └─────────┴───────┴─────────────────────┘
    2 rows

At a terminal the table fits the width, with `…` where something was cut, and types stand below the names. Anywhere
else it is complete. What the cells say is decided in `headwater.engine.cells`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TextIO

import pyarrow as pa
import pyarrow.compute as pc

from headwater.engine.cells import texts
from headwater.engine.counts import counted
from headwater.engine.expanded import ExpandedWriter
from headwater.engine.result import Result
from headwater.engine.terminal import Screen, Write, cut, visible, width
from headwater.values import Column

_NUMBER = re.compile(r"(U?(TINY|SMALL|BIG|HUGE)?INT|U?INTEGER|FLOAT|DOUBLE|DECIMAL(\(.*\))?)$")
_ROWS_AT_ONCE = 1000
_MEASURED_MAX = 10_000  # rows of a result up to which all are looked at before the first is written
_TYPE_WIDTH = 9  # a longer type does not widen its column: TIMESTAMP fits
_WIDTH_MIN = 12  # a column is not cut to less than this; columns are left out instead

Edge = tuple[str, str, str]  # a line across the table: its left end, where columns meet, its right end


@dataclass(frozen=True, slots=True)
class Box:
    """The characters that a table is drawn with."""

    top: Edge
    middle: Edge
    bottom: Edge
    line: str
    bar: str


_UNICODE = Box(("┌", "┬", "┐"), ("├", "┼", "┤"), ("└", "┴", "┘"), "─", "│")
_ASCII = Box(("+", "+", "+"), ("+", "+", "+"), ("+", "+", "+"), "-", "|")

Cell = tuple[str, str | None]  # the text, and the colour to paint it in


@dataclass(frozen=True, slots=True)
class Look:
    """How rows are shown: `expanded` with a line for each column (None: where not all fit), `null` for NULL, on a
    `screen` (None: what the stream says of itself).
    """

    expanded: bool | None = False
    null: str = "NULL"
    screen: Screen | None = None


def print_result(
    result: Result,
    *,
    limit: int | None = None,
    stream: TextIO | None = None,
    note: str | None = None,
    look: Look | None = None,
) -> None:
    """Print the first `limit` rows of `result` (None: all) as a table, or its message.

    `note` is added in brackets to the line below, such as the time that the statement took.
    """
    stream, look = stream or sys.stdout, look or Look()
    screen = look.screen or Screen.of(stream)
    noted = f" ({note})" if note else ""
    if not result.columns:
        stream.write(f"{result.message}{noted}\n" if result.message else "")
        return
    rows = result.arrow() if limit is None else result.arrow().slice(0, limit)
    writer = _writer(result.columns, rows, screen, stream.write, look)
    for batch in rows.to_batches(max_chunksize=_ROWS_AT_ONCE):
        writer.add(batch)
    writer.close()
    shown = "" if len(rows) == len(result) else f", the first {len(rows):,} shown"
    stream.write(screen.paint(f"{count(len(result), 'row')}{shown}{noted}", "dim") + "\n")


def _writer(
    columns: tuple[Column, ...], rows: pa.Table, screen: Screen, write: Write, look: Look
) -> TableWriter | ExpandedWriter:
    if look.expanded:
        return ExpandedWriter(columns, screen, write, look.null)
    table = TableWriter(columns, screen, write, null=look.null)
    for batch in _telling(rows, screen).to_batches(max_chunksize=_ROWS_AT_ONCE):
        table.measure(batch)
    return ExpandedWriter(columns, screen, write, look.null) if look.expanded is None and table.omits else table


def _telling(rows: pa.Table, screen: Screen) -> pa.Table:
    """The rows that say how wide columns are: all of them, but where a person waits for the first of very many. There
    they are the first and, by column, those with the longest text, the smallest and the largest number.
    """
    if screen.width is None or len(rows) <= _MEASURED_MAX:
        return rows
    places = set(range(_ROWS_AT_ONCE))
    for column in rows.columns:
        sizes = column
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            sizes = pc.utf8_length(column)
        if pa.types.is_integer(sizes.type) or pa.types.is_decimal(sizes.type):
            extremes = pc.min_max(sizes).values()
            places |= {pc.index(sizes, value).as_py() for value in extremes if value.is_valid}
    return rows.take(pa.array(sorted(places)))


class TableWriter:
    """A `RowWriter` of a table.

    Widths come from the rows that were measured before the first was written, and grow when later ones need it: a
    line across the table shows where. With `signs`, the first column is '+' or '-' and has their colours.
    """

    def __init__(
        self, columns: tuple[Column, ...], screen: Screen, write: Write, *, signs: bool = False, null: str = "NULL"
    ) -> None:
        self._screen = screen
        self._null = null
        self._write = write
        self._signs = signs
        self._names = [visible(column.name) for column in columns]
        self._types = [visible(column.type) for column in columns]
        self._right = [is_number(column.type) for column in columns]
        self._wanted = [width(name) for name in self._names]
        if screen.width is not None:
            self._wanted = [max(w, min(width(t), _TYPE_WIDTH)) for w, t in zip(self._wanted, self._types, strict=True)]
        self._shown: tuple[int, ...] = ()
        self._box = box_of(screen)

    def measure(self, rows: pa.RecordBatch) -> None:
        """Make the columns wide enough for these rows, as far as the screen allows."""
        self._widen(self._cells(rows))

    @property
    def omits(self) -> bool:
        """Whether columns have to be left out, as far as is known."""
        return len(fit(self._wanted, self._screen.width)) < len(self._names)

    def add(self, rows: pa.RecordBatch) -> None:
        """Write these rows, below the header if they are the first."""
        for start in range(0, rows.num_rows, _ROWS_AT_ONCE):
            cells = self._cells(rows.slice(start, _ROWS_AT_ONCE))
            self._widen(cells)
            self._begin()
            for row in zip(*cells, strict=True):
                self._line(row)

    def close(self) -> None:
        """Write the lower edge; and the header, if there were no rows."""
        self._begin()
        self._edge(self._box.bottom)

    def _cells(self, rows: pa.RecordBatch) -> list[list[Cell]]:
        """The columns that may be shown, as text."""
        most = self._screen.width
        return [[_cell(text, most, self._null) for text in texts(column)] for column in rows.columns]

    def _widen(self, columns: Iterable[Sequence[Cell]]) -> None:
        for index, cells in enumerate(columns):
            self._wanted[index] = max(self._wanted[index], max((width(text) for text, _ in cells), default=0))

    def _begin(self) -> None:
        """Bring the header, or the widths of the lines to come, up to date."""
        before, self._shown = self._shown, fit(self._wanted, self._screen.width)
        if before and before != self._shown:
            self._edge(self._box.middle)
        if not before:
            self._edge(self._box.top)
            self._line([(name, "bold") for name in self._names])
            if self._screen.width is not None:
                self._line([(type, "dim") for type in self._types])
            self._edge(self._box.middle)

    def _edge(self, edge: Edge) -> None:
        left, between, right = edge
        widths = [*self._shown, 1] if self._is_narrowed else self._shown
        self._write(left + between.join(self._box.line * (w + 2) for w in widths) + right + "\n")

    def _line(self, row: Sequence[Cell]) -> None:
        cells = list(self._padded(row))
        if self._is_narrowed:
            cells.append(self._screen.ellipsis)
        bar = self._box.bar
        self._write(f"{bar} " + f" {bar} ".join(cells) + f" {bar}\n")

    def _padded(self, row: Sequence[Cell]) -> Iterator[str]:
        """The cells that are shown, each as wide as its column."""
        for index, ((text, colour), columns) in enumerate(zip(row, self._shown, strict=False)):
            fitting = cut(text, columns, self._screen.ellipsis)
            space = " " * (columns - width(fitting))
            if self._signs and index == 0 and fitting in ("+", "-"):
                colour = "green" if fitting == "+" else "red"
            painted = self._screen.paint(fitting, colour) if colour else fitting
            yield space + painted if self._right[index] else painted + space

    @property
    def _is_narrowed(self) -> bool:
        """Whether columns at the end are left out."""
        return len(self._shown) < len(self._names)


def fit(wanted: Sequence[int], screen_width: int | None) -> tuple[int, ...]:
    """The widths to show: as wanted where the screen allows, else the widest columns give way first.

    Fewer widths than wanted mean that not all columns fit: the last are left out, for one column of `…`.
    """
    if screen_width is None:
        return tuple(wanted)
    number = len(wanted)
    while number > 1 and _line_width(wanted[:number], _WIDTH_MIN, number < len(wanted)) > screen_width:
        number -= 1
    is_narrowed = number < len(wanted)
    widest = min(max(wanted[:number]), screen_width)
    while widest > _WIDTH_MIN and _line_width(wanted[:number], widest, is_narrowed) > screen_width:
        widest -= 1
    return tuple(min(w, widest) for w in wanted[:number])


def box_of(screen: Screen) -> Box:
    """What tables are drawn with on a screen."""
    return _UNICODE if screen.has_unicode else _ASCII


def is_number(type: str) -> bool:
    """Whether a column of a type is written to the right."""
    return bool(_NUMBER.match(type))


def count(number: int, noun: str) -> str:
    """`no rows`, `1 row`, `1,200 rows`."""
    return counted(number, noun) if number else f"no {noun}s"


def _line_width(wanted: Sequence[int], widest: int, is_narrowed: bool) -> int:
    """The columns of the screen that a line takes: each cell, cut to `widest`, has a bar and two spaces."""
    return sum(min(w, widest) + 3 for w in wanted) + 1 + (4 if is_narrowed else 0)


def _cell(text: str | None, most: int | None, null: str) -> Cell:
    """`most` bounds what is looked at of a long text: more than the screen's width is never shown."""
    if text is None:
        return null, "dim"
    return visible(text if most is None else text[: 2 * most]), None
