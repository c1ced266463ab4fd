"""Frames as SVG, which shows text as text: one frame, or all of them one after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TypeVar
from xml.sax.saxutils import escape

from docs.pictures.screens import Frame, Row, Run
from docs.pictures.theme import BACKGROUND, CELL_HEIGHT, CELL_WIDTH, FONT_SIZE, FONTS, MARGIN, TEXT, colours

_BASELINE = CELL_HEIGHT * 0.79
_WORDS = re.compile(r"\S+")
T = TypeVar("T")
Shown = tuple[float, float]  # from when to when something is shown, in seconds


def svg(frame: Frame) -> str:
    """One frame."""
    return _picture(frame, [*(_row(number, row) for number, row in enumerate(frame.rows)), _cursor(frame.cursor)])


def animated(frames: Sequence[Frame]) -> str:
    """All frames, again and again. A line of the screen is drawn once for as long as it stays what it is."""
    length = sum(frame.seconds for frame in frames)
    parts = [
        _while_shown(_row(number, row), shown, length)
        for number in range(len(frames[0].rows))
        for row, shown in _spans([(frame.rows[number], frame.seconds) for frame in frames])
    ]
    cursors = _spans([(frame.cursor, frame.seconds) for frame in frames])
    return _picture(frames[-1], [*parts, *(_while_shown(_cursor(at), shown, length) for at, shown in cursors)])


def _spans(shown: Sequence[tuple[T, float]]) -> Iterator[tuple[T, Shown]]:
    """What is there from when to when, with neighbours that are the same put together."""
    start = now = 0.0
    for index, (item, seconds) in enumerate(shown):
        now += seconds
        if index + 1 == len(shown) or shown[index + 1][0] != item:
            yield item, (start, now)
            start = now


def _while_shown(drawn: str, shown: Shown, length: float) -> str:
    """Who cannot see movement sees the last frame."""
    start, end = shown
    if not drawn or (start == 0 and end >= length):
        return drawn
    steps = [(start / length, "inline"), *([(end / length, "none")] if end < length else [])]
    if start > 0:
        steps.insert(0, (0, "none"))
    times, values = ";".join(f"{at:.4f}" for at, _ in steps), ";".join(value for _, value in steps)
    return (
        f'<g display="{"inline" if end >= length else "none"}"><animate attributeName="display" values="{values}" '
        f'keyTimes="{times}" dur="{length:.2f}s" calcMode="discrete" repeatCount="indefinite"/>{drawn}</g>'
    )


def _picture(frame: Frame, parts: Sequence[str]) -> str:
    width, height = frame.columns * CELL_WIDTH + 2 * MARGIN, len(frame.rows) * CELL_HEIGHT + 2 * MARGIN
    body = "\n".join(part for part in parts if part)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.1f} {height:.1f}" width="{width:.0f}" '
        f'height="{height:.0f}" font-family="{FONTS}" font-size="{FONT_SIZE}" fill="#{TEXT}">\n'
        f'<rect width="100%" height="100%" rx="8" fill="#{BACKGROUND}"/>\n'
        f'<g transform="translate({MARGIN} {MARGIN})">\n{body}\n</g>\n</svg>\n'
    )


def _row(number: int, row: Row) -> str:
    return "".join(_run(number, run) for run in row)


def _run(number: int, run: Run) -> str:
    """Words are placed one by one, as viewers differ in how wide a blank is and which they leave out."""
    text, background = colours(run.style)
    looks = [
        f' fill="#{text}"' if text != TEXT else "",
        ' font-weight="bold"' if run.style.bold else "",
        ' font-style="italic"' if run.style.italic else "",
        ' text-decoration="underline"' if run.style.underlined else "",
    ]
    drawn = "" if background == BACKGROUND else _box(number, run.column, run.width, background)
    for part in _WORDS.finditer(run.text):
        width = run.width if run.width > len(run.text) else len(part[0])  # a wide character is a run of its own
        drawn += (
            f'<text x="{(run.column + part.start()) * CELL_WIDTH:.1f}" y="{number * CELL_HEIGHT + _BASELINE:.1f}" '
            f'textLength="{width * CELL_WIDTH:.1f}"{"".join(looks)}>{escape(part[0])}</text>'
        )
    return drawn


def _cursor(at: tuple[int, int] | None) -> str:
    if at is None:
        return ""
    return _box(at[0], at[1], 1, TEXT, opacity=0.5)


def _box(row: int, column: int, width: int, colour: str, opacity: float = 1) -> str:
    seen = f' opacity="{opacity}"' if opacity < 1 else ""
    return (
        f'<rect x="{column * CELL_WIDTH:.1f}" y="{row * CELL_HEIGHT:.1f}" width="{width * CELL_WIDTH:.1f}" '
        f'height="{CELL_HEIGHT:.1f}" fill="#{colour}"{seen}/>'
    )
