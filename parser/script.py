"""Cutting a text into statements at its `;`, without parsing them.

In goes any text, complete or not; out come the pieces between the semicolons that stand outside strings, quoted names,
comments and the bodies of pipelines. Whether a piece is valid SQL is not looked at.
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
    start = end = None
    body = _Body()
    for kind, span in _scan(text, Span(0, len(text))):
        if kind == "open":
            yield Piece(Span(span.start if start is None else start, len(text)), terminated=False, unclosed=span)
            return
        body.take(text[span.start : span.end].upper())
        if kind == "end" and not body.depth:
            if start is not None and end is not None:
                yield Piece(Span(start, end), terminated=True)
            start = end = None
        else:
            start, end = span.start if start is None else start, span.end
    if start is not None and end is not None:
        yield Piece(Span(start, end), terminated=False)


class _Body:
    """How many bodies of CREATE PIPELINE … AS BEGIN … END are open: a `;` inside ends no statement of the script."""

    def __init__(self) -> None:
        self.depth = 0
        self._statement: list[str] = []  # the words of the statement so far
        self._cases = 0  # that are open in it: their END is not that of the body

    def take(self, word: str) -> None:
        """Goes past a token, in upper case."""
        if word == "BEGIN" and self._statement[-1:] == ["AS"] and self._makes_pipeline():
            self.depth += 1
            self._statement = []
        elif word == ";":
            self._statement, self._cases = [], 0
        elif word == "END" and self.depth and not self._cases:
            self.depth -= 1
        else:
            self._cases += {"CASE": 1, "END": -1}.get(word, 0)
            self._statement.append(word)

    def _makes_pipeline(self) -> bool:
        return [word for word in self._statement[:4] if word not in ("OR", "REPLACE")][:2] == ["CREATE", "PIPELINE"]


def tokens(text: str, within: Span) -> Iterator[Span]:
    """The words, numbers, strings and other characters of a part of `text`, without space and comments."""
    return (span for _, span in _scan(text, within))


def _scan(text: str, within: Span) -> Iterator[tuple[str, Span]]:
    for token in _TOKEN.finditer(text, within.start, within.end):
        kind = token.lastgroup
        assert kind is not None, "every alternative has a name"
        if kind != "space":
            yield kind, Span(*token.span())
        if kind == "open":
            return


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
    if piece.unclosed is None:
        return
    mark = text[piece.unclosed.start : piece.unclosed.end]
    hint = {"'": "end it with ', and write a ' inside it as ''", "/*": "end it with */"}.get(
        mark, f"end it with {mark}"
    )
    raise SyntaxProblem(f"this {_OPENED[mark]} is not closed", piece.unclosed, hint=hint)
