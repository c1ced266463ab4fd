"""A frame as PNG, to be looked at anywhere. Needs Pillow, and DejaVu Sans Mono, which has the lines of tables."""

from __future__ import annotations

import io

from PIL import Image, ImageDraw, ImageFont

from docs.pictures.screens import Frame, Run
from docs.pictures.theme import BACKGROUND, CELL_HEIGHT, CELL_WIDTH, FONT_SIZE, MARGIN, TEXT, colours

_SCALE = 2  # for screens with small dots


def png(frame: Frame) -> bytes:
    """The bytes of a picture of a frame."""
    width, height = frame.columns * CELL_WIDTH + 2 * MARGIN, len(frame.rows) * CELL_HEIGHT + 2 * MARGIN
    image = Image.new("RGB", (round(width * _SCALE), round(height * _SCALE)), f"#{BACKGROUND}")
    draw = ImageDraw.Draw(image)
    regular, bold = (_font(name) for name in ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"))
    for number, row in enumerate(frame.rows):
        for run in row:
            _draw(draw, number, run, bold if run.style.bold else regular)
    if frame.cursor is not None:
        y, x = frame.cursor
        draw.rectangle(_box(y, x, 1), outline=f"#{TEXT}", width=_SCALE)
    written = io.BytesIO()
    image.save(written, "PNG", optimize=True)
    return written.getvalue()


def _font(name: str) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(name, round(FONT_SIZE * _SCALE))


def _draw(draw: ImageDraw.ImageDraw, number: int, run: Run, font: ImageFont.FreeTypeFont) -> None:
    """Each character in its own cell, as rounded widths would add up."""
    text, background = colours(run.style)
    if background != BACKGROUND:
        draw.rectangle(_box(number, run.column, run.width), fill=f"#{background}")
    is_wide = run.width > len(run.text)
    for index, character in enumerate(run.text):
        left, top, *_ = _box(number, run.column + (0 if is_wide else index), 1)
        draw.text((left, top), character, font=font, fill=f"#{text}")
    if run.style.underlined:
        left, _, right, bottom = _box(number, run.column, run.width)
        draw.line((left, bottom - _SCALE, right, bottom - _SCALE), fill=f"#{text}", width=_SCALE)


def _box(row: int, column: int, width: int) -> tuple[float, float, float, float]:
    left, top = MARGIN + column * CELL_WIDTH, MARGIN + row * CELL_HEIGHT
    return left * _SCALE, top * _SCALE, (left + width * CELL_WIDTH) * _SCALE, (top + CELL_HEIGHT) * _SCALE
