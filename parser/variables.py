"""`${name}` in a statement: it is read with the value in place of the name, and its places are those of the text.

In goes a part of a text and what DEFINE has said before; out comes the text to read, and the way back to where its
parts stood. Inside quotes a name that is not defined is left alone, since it may be meant as it stands, and `$${name}`
is `${name}` as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from headwater.errors import Span, UnknownName, suggestion
from headwater.parser.nodes import Node
from headwater.parser.script import tokens

_VARIABLE = re.compile(r"\$?\$\{(\w+)\}")
_QUOTES = ("'", '"', "`")

N = TypeVar("N", bound=Node)


@dataclass(frozen=True, slots=True)
class Substituted:
    """A text in which values stand for names. `_edits` has the place of each value here, and of its name there."""

    text: str
    _start: int
    _edits: tuple[tuple[Span, Span], ...]

    def place(self, span: Span) -> Span:
        """Where a part of this text stood in the text as it was written; a part of a value is the whole name."""
        return Span(self._position(span.start, is_end=False), self._position(span.end, is_end=True))

    def _position(self, position: int, *, is_end: bool) -> int:
        moved = self._start
        for value, name in self._edits:
            if position < value.start or (position == value.start and is_end):
                break
            if position < value.end or (position == value.end and is_end):
                return name.end if is_end else name.start
            moved = name.end - value.end
        return position + moved

    def restored(self, node: N) -> N:
        """`node`, read from this text, with its places in the text as it was written."""

        def visit(value: object) -> object:
            if isinstance(value, tuple):
                return tuple(visit(item) for item in value)
            return self.restored(value) if isinstance(value, Node) else value

        parts = {name: visit(getattr(node, name)) for name in node.__dataclass_fields__ if name != "span"}
        return replace(node, span=self.place(node.span), **parts)


def substitute(text: str, within: Span, variables: Mapping[str, str]) -> Substituted:
    """The part of `text` with the values of `variables`, whose names are in lower case.

    Raises UnknownName for a name outside of quotes that is not defined.
    """
    result, edits, done = "", [], within.start
    for name, value in _found(text, within, variables):
        result += text[done : name.start]
        edits.append((Span(len(result), len(result) + len(value)), name))
        result += value
        done = name.end
    return Substituted(result + text[done : within.end], within.start, tuple(edits))


def _found(text: str, within: Span, variables: Mapping[str, str]) -> Iterator[tuple[Span, str]]:
    """The places of names, and their values."""
    for token in tokens(text, within):
        mark = text[token.start]
        end = token.end if mark in _QUOTES else within.end
        for found in _VARIABLE.finditer(text, token.start, end):
            if mark not in _QUOTES and (mark != "$" or found.start() != token.start):
                break
            place, name = Span(*found.span()), found.group(1)
            value = variables.get(name.lower())
            if found.group().startswith("$$"):
                yield place, found.group()[1:]
            elif value is not None:
                yield place, value.replace(mark, mark * 2) if mark in _QUOTES else value
            elif mark not in _QUOTES:
                hint = suggestion(name, variables, "defined") or f"DEFINE {name} = '…'"
                raise UnknownName(f'there is no variable "{name}"', place, hint=hint)
