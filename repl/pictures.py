"""An answer with its marks as lines to look at: the same for the shell, which paints them, and for the scrubber.

    ┌───┬───────┬─────────┐
    │   │ owner │ balance │
    ├───┼───────┼─────────┤
    │   │ ann   │     100 │
    │ * │ bob   │     *30 │    this row changed, in this cell
    │ - │ eve   │       5 │    this one is gone
    │ + │ zoe   │      70 │    this one is new
    └───┴───────┴─────────┘

The characters say all that the colours do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from headwater.engine.render import box_of, count, fit, is_number
from headwater.engine.terminal import Screen, cut, visible, width
from headwater.repl.marking import Marked, Row

Fragment = tuple[str, str]  # a style, which is a colour of `Screen.paint` or '', and a text
Line = list[Fragment]

_SIGN_STYLES = {"+": "green", "-": "red", "*": "bold", "": ""}


def table(
    marked: Marked, screen: Screen, written: Callable[[str], str] = visible, *, least: list[int] | None = None
) -> list[Line]:
    """The rows as a table that fits the screen. `written` makes of a text what can stand there.

    In `least`, which begins empty, a table that is drawn again and again remembers how wide its columns have been.
    """
    box = box_of(screen)
    names = [written(column.name) for column in marked.columns]
    right = [False, *(is_number(column.type) for column in marked.columns)]
    rows = [_cells(row, screen, written) for row in marked.rows]
    header: Line = [("", ""), *(("bold", name) for name in names)]
    wanted = [max(width(text) for _, text in column) for column in zip(header, *rows, strict=True)]
    wanted[0] = 1
    if least is not None:
        least[:] = wanted = [max(pair) for pair in zip(wanted, least or wanted, strict=True)]
    shown = fit(wanted, screen.width)
    is_narrowed = len(shown) < len(wanted)

    def line(cells: Line) -> Line:
        parts: Line = [("", f"{box.bar} ")]
        for index, ((style, text), columns) in enumerate(zip(cells, shown, strict=False)):
            fitting = cut(text, columns, screen.ellipsis)
            space = ("", " " * (columns - width(fitting)))
            parts += [space, (style, fitting)] if right[index] else [(style, fitting), space]
            parts.append(("", f" {box.bar} "))
        if is_narrowed:
            parts.append(("", f"{screen.ellipsis} {box.bar} "))
        parts[-1] = ("", parts[-1][1].rstrip())
        return parts

    def edge(ends: tuple[str, str, str]) -> Line:
        widths = [*shown, 1] if is_narrowed else shown
        return [("", ends[0] + ends[1].join(box.line * (w + 2) for w in widths) + ends[2])]

    return [edge(box.top), line(header), edge(box.middle), *map(line, rows), edge(box.bottom)]


def _cells(row: Row, screen: Screen, written: Callable[[str], str]) -> Line:
    """The sign and the cells of a row; a changed one has a star of its own."""
    style = _SIGN_STYLES[row.sign]
    cells: Line = [(style, row.sign)]
    for index, text in enumerate(row.cells):
        most = None if screen.width is None else 2 * screen.width  # more is never shown
        shown = "NULL" if text is None else written(text[:most])
        if index in row.changed:
            cells.append(("reverse", f"*{shown}"))
        else:
            cells.append(("dim" if text is None and row.sign in ("", "*") else "" if row.sign == "*" else style, shown))
    return cells


def summary(marked: Marked) -> str:
    """`3 rows, 2 shown · 1 added · 2 changed`."""
    rows = count(marked.total, "row")
    shown = sum(row.sign != "-" for row in marked.rows)
    if shown < marked.total:
        rows += f", {shown:,} shown"
    return f"{rows} · {differences(marked)}" if marked.is_different else rows


def differences(marked: Marked) -> str:
    """`1 added · 2 changed`."""
    named = ((marked.added, "added"), (marked.removed, "removed"), (marked.changed, "changed"))
    return " · ".join(f"{number:,} {word}" for number, word in named if number)


def painted(lines: Iterable[Line], screen: Screen) -> str:
    """Lines as text for a stream: with colours where the screen has them."""
    return "".join(
        "".join(screen.paint(text, style) if style else text for style, text in line) + "\n" for line in lines
    )
