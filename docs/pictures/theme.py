"""The colours and sizes of pictures of terminals."""

from __future__ import annotations

from docs.pictures.screens import Style

FONTS = "'DejaVu Sans Mono', Menlo, Consolas, 'Liberation Mono', monospace"
FONT_SIZE = 14.0
CELL_WIDTH = FONT_SIZE * 0.602  # of DejaVu Sans Mono, and within a hundredth of the others
CELL_HEIGHT = FONT_SIZE * 1.164  # so that the lines of tables meet
MARGIN = 14.0

BACKGROUND, TEXT = "16181d", "d5d9e0"
_COLOURS = {
    "black": "3a3f4b",
    "red": "f0717a",
    "green": "8fc979",
    "brown": "e2b86b",  # what pyte calls yellow
    "yellow": "e2b86b",
    "blue": "6cb2f5",
    "magenta": "c98bdb",
    "cyan": "5cc2c9",
    "white": "d5d9e0",
    "brightblack": "7b8394",
    "brightred": "ff8b92",
    "brightgreen": "a9dd95",
    "brightbrown": "f4d08b",
    "brightyellow": "f4d08b",
    "brightblue": "8cc6ff",
    "brightmagenta": "dda5ec",
    "brightcyan": "7ddbe1",
    "brightwhite": "ffffff",
}


def colours(style: Style) -> tuple[str, str]:
    """Text and background, as six hexadecimal digits."""
    text, background = _hex(style.colour, TEXT), _hex(style.background, BACKGROUND)
    return (background, text) if style.reversed else (text, background)


def _hex(colour: str, default: str) -> str:
    return default if colour == "default" else _COLOURS.get(colour, colour)
