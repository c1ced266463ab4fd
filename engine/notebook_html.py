"""A result as HTML, for notebooks: types below the names, NULL told from text, the first rows and how many."""

from __future__ import annotations

from html import escape

from headwater.engine.cells import texts
from headwater.engine.counts import counted
from headwater.engine.render import is_number
from headwater.engine.result import Result

ROWS_SHOWN = 50

_NULL = '<span style="opacity:.5;font-style:italic">NULL</span>'
_RIGHT = ' style="text-align:right"'
_LEFT = ' style="text-align:left"'


def html_of(result: Result, limit: int = ROWS_SHOWN) -> str:
    """The first `limit` rows as a table with a line below that says how many there are; or the message."""
    if not result.columns:
        return f"<p>{escape(result.message or '')}</p>"
    sides = [_RIGHT if is_number(column.type) else _LEFT for column in result.columns]
    heads = "".join(
        f'<th{side}>{escape(column.name)}<br><small style="opacity:.6">{escape(column.type)}</small></th>'
        for column, side in zip(result.columns, sides, strict=True)
    )
    shown = result.arrow().slice(0, limit).combine_chunks()
    columns = [texts(column.combine_chunks()) if len(shown) else [] for column in shown.columns]
    rows = "".join(
        f"<tr>{''.join(_cell(text, side) for text, side in zip(row, sides, strict=True))}</tr>"
        for row in zip(*columns, strict=True)
    )
    table = f"<table><thead><tr>{heads}</tr></thead><tbody>{rows}</tbody></table>"
    return f"{table}<p><small>{_count(result, limit)}</small></p>"


def _cell(text: str | None, side: str) -> str:
    return f"<td{side}>{_NULL if text is None else escape(text)}</td>"


def _count(result: Result, limit: int) -> str:
    total = counted(len(result), "row")
    return total if len(result) <= limit else f"{total}, of which the first {limit:,} are shown"
