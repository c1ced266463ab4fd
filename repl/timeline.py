"""A time line across the screen, a sparkline above it, and charts: places in time to columns, and numbers to blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from headwater.engine.terminal import Screen, cut, width

_BLOCKS = " ▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = " .-=#"

Heights = Sequence[float | None]


def column_of(place: int, places: int, columns: int) -> int:
    """Where on a line of so many columns the place of a moment is, of so many from left to right."""
    return 0 if places < 2 else round(place * (columns - 1) / (places - 1))


def place_of(column: int, places: int, columns: int) -> int:
    """The place that a column stands for: the nearest one."""
    return 0 if columns < 2 else round(column * (places - 1) / (columns - 1))


def coarse_to_fine(columns: int) -> Iterator[int]:
    """All columns, in an order in which those asked first already show the whole."""
    stride = 1 << max(columns - 1, 0).bit_length()
    yield from range(0, min(columns, 1))
    while stride > 1:
        yield from range(stride // 2, columns, stride)
        stride //= 2


def bar(place: int, places: int, columns: int, screen: Screen) -> str:
    """The line, with a mark where the place is."""
    line, mark = ("─", "●") if screen.has_unicode else ("-", "@")
    at = column_of(place, places, columns)
    return line * at + mark + line * (columns - 1 - at)


def sparkline(heights: Heights, rows: int, screen: Screen) -> list[str]:
    """Columns as high as the numbers, on so many rows, the topmost first; nothing where there is no number."""
    blocks = _BLOCKS if screen.has_unicode else _ASCII_BLOCKS
    full = len(blocks) - 1
    known = [height for height in heights if height is not None]
    low, high = (min(known), max(known)) if known else (0.0, 0.0)
    levels = [0 if h is None else _level(h, low, high, rows * full) for h in heights]
    return ["".join(blocks[min(max(level - row * full, 0), full)] for level in levels) for row in reversed(range(rows))]


def chart(numbers: Heights, begin: str, end: str, rows: int, screen: Screen) -> list[str]:
    """The numbers as a curve on so many rows, with their range at the left, and below where it begins and ends."""
    known = [number for number in numbers if number is not None]
    low, high = (axis_text(min(known)), axis_text(max(known))) if known else ("", "")
    margin = max(width(low), width(high))
    columns = max((screen.width or 80) - margin - 2, 1)
    labels = [high, *[""] * (rows - 2), low] if rows > 1 and low != high else [*[""] * (rows - 1), low]
    places = [numbers[place_of(column, len(numbers), columns)] for column in range(columns)] if numbers else []
    bar, corner, line = ("│", "└", "─") if screen.has_unicode else ("|", "+", "-")
    curve = sparkline(places, rows, screen)
    lines = [f"{label:>{margin}} {bar}{row.rstrip()}" for label, row in zip(labels, curve, strict=True)]
    space = " " * max(columns - width(begin) - width(end), 1)
    foot = cut(f"{begin}{space}{end}", columns, screen.ellipsis)
    return [*lines, f"{'':{margin}} {corner}{line * columns}", f"{'':{margin + 2}}{foot}"]


def axis_text(number: float) -> str:
    """A number that stands at an axis, in few characters: `1,200`, `0.25`, `3.5M`."""
    for unit, letter in ((1e12, "T"), (1e9, "G"), (1e6, "M")):
        if abs(number) >= unit:
            return f"{number / unit:,.4g}{letter}"
    return f"{number:,.0f}" if number == int(number) else f"{number:,.5g}"


def _level(height: float, low: float, high: float, levels: int) -> int:
    """From 1, the lowest, to `levels`; the middle where all are alike."""
    share = (height - low) / (high - low) if high > low else 0.5
    return 1 + round(share * (levels - 1))
