"""Markdown as text for a terminal: paragraphs are filled, headings bold, and the marks of links and code left out."""

from __future__ import annotations

import re
from textwrap import fill, indent

from headwater.engine.terminal import Screen

WIDTH_MAX = 100  # lines of running text are no longer

_FENCED = re.compile(r"^```\w*\n([\s\S]*?)^```$", re.MULTILINE)
_COMMENT = re.compile(r"<!--[\s\S]*?-->")
_LINK = re.compile(r"\[([^]]*)\]\([^)]*\)")
_ITEM = re.compile(r"(?=^(?:- |\d+\. ))", re.MULTILINE)


def as_text(markdown: str, screen: Screen) -> str:
    """The text, with an empty line between its paragraphs; empty if there is nothing to say."""
    parts = []
    for number, part in enumerate(_FENCED.split(_COMMENT.sub("", markdown))):  # text and code by turns
        if number % 2:
            parts.append(indent(part.rstrip(), "  "))
        else:
            parts += [_paragraph(text, screen) for text in re.split(r"\n\s*\n", part) if text.strip()]
    return "\n\n".join(parts)


def _paragraph(text: str, screen: Screen) -> str:
    text = text.strip("\n")
    if text.startswith("#"):
        return screen.paint(_plain(text.lstrip("# ")), "bold")
    if text.startswith("|"):  # a table
        return indent(_plain(text), "  ")
    return "\n".join(_filled(item, screen) for item in _ITEM.split(text) if item)


def _filled(text: str, screen: Screen) -> str:
    hanging = " " * (len(text) - len(re.sub(r"^(- |\d+\. )", "", text)))
    width = min(screen.width or WIDTH_MAX, WIDTH_MAX)
    return fill(" ".join(_plain(text).split()), width, subsequent_indent=hanging, break_long_words=False)


def _plain(text: str) -> str:
    return _LINK.sub(r"\1", text).replace("**", "").replace("`", "")
