"""Text to AST, by the grammar in grammar.lark.

In goes SQL text; out come the trees of syntax.py, whose spans point into that text. Names are not looked up, types not
checked. Whatever does not parse raises SyntaxProblem, or Unsupported where the form is known but not implemented.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache, lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from headwater.caches import cache_file
from headwater.errors import Span, SqlError, SyntaxProblem, Unsupported
from headwater.parser.keywords import GRAMMAR
from headwater.parser.parameters import Parameters, with_values
from headwater.parser.script import Piece, check_closed, pieces
from headwater.parser.syntax import AsOf, Define, Node, Show, Statement, Undefine, children
from headwater.parser.variables import substitute

if TYPE_CHECKING:
    from lark import Lark
    from lark.lexer import TerminalDef

# How deep an AST may be. What walks over trees is recursive, and Python has 1000 levels for everything.
DEPTH_MAX = 200

_REMEMBERED_CHARS = 4000  # of a text whose statement is remembered

_POINT = re.compile(r"\s*('|(VERSION|OFFSET|TIMESTAMP|EARLIEST|LATEST)\b)", re.IGNORECASE)

_making = Lock()

# Lark notices a new grammar, Lark or Python by itself. To be renamed when `_as_keyword` changes.
TABLES = "grammar-1.tables"


def parse(text: str, variables: Mapping[str, str] | None = None) -> tuple[Statement, ...]:
    """The statements of `text`, which `;` separates (the last may lack it); empty ones are skipped.

    `${name}` stands for what `variables` (names in lower case), or a DEFINE further up in the text, says.
    """
    known = dict(variables or {})
    statements = []
    for piece in pieces(text):
        statement = parse_piece(text, piece, known)
        if isinstance(statement, Define):
            known[statement.name.text.lower()] = statement.value
        if isinstance(statement, Undefine):
            known.pop(statement.name.text.lower(), None)
        statements.append(statement)
    return tuple(statements)


def parse_statement(
    text: str, variables: Mapping[str, str] | None = None, parameters: Parameters | None = ()
) -> Statement:
    """The one statement of `text`, with or without a `;`. Without `variables`, `${name}` is nothing special.

    `parameters` are the values of `?`, in order, or of `$name`, by name; None leaves the places for them open.
    """
    if len(text) <= _REMEMBERED_CHARS and (variables is None or "${" not in text):
        statement = _remembered(text)
        return statement if parameters is None else _with_values(statement, parameters)
    return _one(text, variables, parameters)


@lru_cache(maxsize=512)
def _remembered(text: str) -> Statement:
    """The one statement of a text that has been read lately, its places for values open: programs send the same ones
    again, with other values.
    """
    return _one(text, None, None)


def _one(text: str, variables: Mapping[str, str] | None, parameters: Parameters | None) -> Statement:
    found = tuple(pieces(text))
    if not found:
        raise SyntaxProblem("there is no statement here", Span(len(text), len(text)))
    statement = parse_piece(text, found[0], variables, parameters)
    if len(found) > 1:
        raise SyntaxProblem(
            "expected one statement, but there is another one", found[1].span,
            hint="give one at a time, or run all as a script with execute()",
        )  # fmt: skip
    return statement


def parse_point(text: str) -> AsOf:
    """The point of the log that `text` names, written as after AS OF; a time may go without its quotes."""
    written = text if _POINT.match(text) else "'" + text.replace("'", "''") + "'"
    before = "SHOW TABLES AS OF "
    try:
        statement = parse_statement(before + written)
    except SqlError as error:
        if error.span is not None:
            start, end = (min(max(place - len(before), 0), len(text)) for place in (error.span.start, error.span.end))
            error.span = Span(start, end)
        raise
    assert isinstance(statement, Show) and statement.as_of is not None
    return replace(statement.as_of, span=Span(0, len(text)))


def parse_piece(
    text: str, piece: Piece, variables: Mapping[str, str] | None = None, parameters: Parameters | None = ()
) -> Statement:
    """The statement of one of the pieces of `text`; see `parse_statement`."""
    check_closed(piece, text)
    if variables is None or "${" not in text[piece.span.start : piece.span.end]:
        return _parse_span(text, piece.span, parameters)
    substituted = substitute(text, piece.span, variables)
    try:
        return substituted.restored(_parse_span(substituted.text, Span(0, len(substituted.text)), parameters))
    except SqlError as error:
        error.span = error.span and substituted.place(error.span)
        raise


def _parse_span(text: str, span: Span, parameters: Parameters | None) -> Statement:
    # Lark costs 40 ms to import and the grammar 0.4 s to compile: only those who parse pay.
    from lark import TextSlice, UnexpectedInput
    from lark.exceptions import VisitError

    from headwater.parser.build import Builder
    from headwater.parser.problems import problem

    try:
        tree = _lark().parse(TextSlice(text, span.start, span.end))
        statement: Statement = Builder().transform(tree)
    except UnexpectedInput as error:
        raise problem(text, span, error) from None
    except VisitError as error:
        raise error.orig_exc from None
    _check_depth(statement)
    return statement if parameters is None else _with_values(statement, parameters)


def _with_values(statement: Statement, parameters: Parameters) -> Statement:
    filled = with_values(statement, parameters)
    if filled is not statement:
        _check_depth(filled)
    return filled


def _lark() -> Lark:
    """The parser for the grammar, made once: who asks for it meanwhile waits, and does not make another."""
    with _making:
        return _made_lark()


@cache
def _made_lark() -> Lark:
    """The tables of the grammar take 0.4 s to compute. They are kept for the user's next process."""
    from lark import Lark

    return Lark(
        GRAMMAR, parser="lalr", lexer="contextual", propagate_positions=True, maybe_placeholders=True,
        edit_terminals=_as_keyword, cache=cache_file(TABLES) or False,
    )  # fmt: skip


def _as_keyword(terminal: TerminalDef) -> None:
    """Let a terminal that is a word match in any case, as a whole word, and before an IDENTIFIER is tried."""
    from lark.lexer import PatternRE, PatternStr

    if isinstance(terminal.pattern, PatternStr) and terminal.pattern.value[0].isalpha():
        terminal.pattern = PatternRE(rf"{terminal.pattern.value}\b", ("i",))
        terminal.priority = 1


def _check_depth(statement: Statement) -> None:
    level: list[Node] = [statement]
    for _ in range(DEPTH_MAX):
        level = [child for node in level for child in children(node)]
        if not level:
            return
    raise Unsupported(
        f"this is nested more than {DEPTH_MAX} levels deep", level[0].span, hint="write a chain of OR as IN (…)"
    )
