"""Cutting a text into statements at its `;`, without parsing them.

In goes any text, complete or not; out come the pieces between the semicolons that stand outside strings, quoted names
and comments. Whether a piece is valid SQL is not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from headwater.errors import Span, SyntaxProblem

# Comments and quotes that are never closed match too, up to the end of the text: such a piece is incomplete.
_TOKEN = re.compile(
    r"""
      (?P<space>  \s+ | --[^\n]* | /\*[\s\S]*?\*/ )
    | (?P<quoted> '(?:[^']|'')*' | "(?:[^"]|"")*" | `(?:[^`]|``)*` | \$\$[\s\S]*?\$\$ )
    | (?P<open>   /\* | ['"`] | \$\$ )
    | (?P<end>    ; )
    | (?P<other>  \w+ | [^\w\s] )
    """,
    re.VERBOSE,
)
_OPENED = {"'": "string", '"': "quoted name", "`": "quoted name", "/*": "comment", "$$": "string"}


@dataclass(frozen=True, slots=True)
class Piece:
    """The text between two semicolons, without surrounding space and comments.

    `terminated` says that a `;` follows; `unclosed` is where a string, quoted name or comment begins that has no end.
    """

    span: Span
    terminated: bool
    unclosed: Span | None = None


def pieces(text: str) -> Iterator[Piece]:
    """The statements of `text`, in order; empty ones are left out."""
    start = end = -1
    position = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        assert token is not None, "every character begins a token"
        kind, position = token.lastgroup, token.end()
        if kind == "open":
            start = token.start() if start < 0 else start
            yield Piece(Span(start, len(text)), terminated=False, unclosed=Span(*token.span()))
            return
        if kind == "end":
            if start >= 0:
                yield Piece(Span(start, end), terminated=True)
            start = -1
        elif kind != "space":
            start = token.start() if start < 0 else start
            end = token.end()
    if start >= 0:
        yield Piece(Span(start, end), terminated=False)


def split(text: str) -> tuple[tuple[str, bool], ...]:
    """The statements of `text` without their semicolons, each with whether a `;` ended it."""
    return tuple((text[piece.span.start : piece.span.end], piece.terminated) for piece in pieces(text))


def is_complete(text: str) -> bool:
    """Whether `text` has a statement, and nothing after the last `;` but space and comments.

    The shell reads more lines until this holds.
    """
    found = tuple(pieces(text))
    return bool(found) and found[-1].terminated


def check_closed(piece: Piece, text: str) -> None:
    """Raise SyntaxProblem if a string, quoted name or comment in `piece` is not closed."""
    if piece.unclosed is not None:
        mark = text[piece.unclosed.start : piece.unclosed.end]
        closing = "*/" if mark == "/*" else mark
        raise SyntaxProblem(f"this {_OPENED[mark]} is not closed", piece.unclosed, hint=f"end it with {closing}")
