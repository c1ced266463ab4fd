"""What may follow the beginning of a statement, and whether what follows can still become valid: for who is typing.

Both ask the tables of the parser. A few words are keywords only by what stands behind them (`WINDOW` before TUMBLING,
`IF` before EXISTS), which is not typed yet; so where these stand an answer is given later, or not at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any

from headwater.errors import Span, SqlError, Unsupported
from headwater.parser.keywords import GRAMMAR, KEYWORDS, RESERVED
from headwater.parser.parse import _lark, parse_piece
from headwater.parser.script import Piece, tokens

# Keywords that go on in one way, or in so few, are one phrase: GROUP BY, IS NOT NULL.
_WAYS_MAX = 6
_WORDS_MAX = 4

# What a length of time ends with, whatever follows.
_UNITS = frozenset(
    f"{unit}{plural}" for unit in "MICROSECOND MILLISECOND SECOND MINUTE HOUR DAY WEEK".split() for plural in ("", "S")
)

# Terminals that are several words each, or that read as something else than they are called.
_WORDS_OF = {
    "GROUPING": ("ROLLUP", "CUBE", "GROUPING SETS"),
    "NULL_TREATMENT": ("IGNORE NULLS", "RESPECT NULLS"),
    "NULL_TREATMENT_OVER": ("IGNORE NULLS", "RESPECT NULLS"),
    "QUANTIFIER": ("ANY", "ALL"),
    "TRIM_SIDE": ("BOTH", "LEADING", "TRAILING"),
    "TYPED_LITERAL": ("DATE", "TIMESTAMP"),
    "ASSERT_VALUES": ("VALUES", "NULL VALUES"),
    "DESCRIBED": ("FUNCTION", "CONNECTOR", "TYPE", "QUEUE", "GROUP", "PIPELINE", "INSTANCE", "ASSERTION"),
    "_FETCH_FIRST": ("FETCH FIRST",),
    "_WINDOW": ("WINDOW TUMBLING", "WINDOW HOPPING", "WINDOW SESSION"),
    "_EVERY": ("SAMPLE",),
    "_LAMBDA": (),
    "_TABLE": (),
    "_MAP": ("MAP",),
}

# How many tokens a word may need behind it until it is known what it is: OVER, of IGNORE NULLS OVER; also DO, of
# ON CONFLICT (…) DO.
_LOOKAHEAD = 3


@dataclass(frozen=True, slots=True)
class Following:
    """What may stand next: keywords, with those that must come after them, and whether a name, an expression or a type.

    `marks` are lark's names of all terminals that may.
    """

    phrases: tuple[str, ...]
    marks: frozenset[str]

    @property
    def takes_expression(self) -> bool:
        return {"NUMBER", "IDENTIFIER", "CASE"} <= self.marks

    @property
    def takes_type(self) -> bool:
        return "TYPE_WORDS" in self.marks

    @property
    def may_end(self) -> bool:
        """Whether what is there is a statement already."""
        return "$END" in self.marks


@lru_cache(maxsize=256)
def following(text: str) -> Following | None:
    """What may follow `text`, the beginning of one statement. None if nothing can, as there is an error in it."""
    from lark import UnexpectedInput

    interactive = _lark().parse_interactive(text)
    try:
        interactive.exhaust_lexer()
    except (UnexpectedInput, SqlError):
        return None
    table = interactive.parser_state.parse_conf.states
    stack = tuple(interactive.parser_state.state_stack)
    marks = frozenset(_accepted(table, stack))
    return Following(tuple(sorted(set(_phrases(table, stack, marks, _WORDS_MAX)))), marks)


def hopeless(text: str, piece: Piece) -> SqlError | None:
    """The error in a piece of `text` that nothing typed behind it can mend; None if there is none, or none yet.

    What variables stand for is not known here, so nothing is said where there are some.
    """
    statement = text[piece.span.start : piece.span.end]
    if piece.unclosed is not None or "${" in statement:
        return None
    error = _error_in(statement)
    if error is None or error.span is None or (isinstance(error, Unsupported) and not piece.terminated):
        return None
    place = Span(error.span.start + piece.span.start, error.span.end + piece.span.start)
    if not piece.terminated and not _is_certain(text, piece.span, place):
        return None
    return type(error)(error.message, place, hint=error.hint)


@lru_cache(maxsize=64)
def _error_in(statement: str) -> SqlError | None:
    try:
        parse_piece(statement, Piece(Span(0, len(statement)), terminated=True))
    except SqlError as error:
        return error
    return None


def _is_certain(text: str, within: Span, place: Span) -> bool:
    """Whether an error stays one, however the text goes on."""
    found = list(tokens(text, within))
    behind = [span for span in found if span.start >= place.end and place.end > place.start]
    if not behind:
        return False  # the word may be going on, or more words may be coming
    near = [text[span.start : span.end].upper() for span in found if span.start <= place.start][-_LOOKAHEAD:]
    return _count(text, behind) > _LOOKAHEAD or not _words_with_lookahead().intersection(near)


def _count(text: str, found: list[Span]) -> int:
    """How many tokens there are, where what stands in parentheses is one: ON CONFLICT (…) DO."""
    count = depth = 0
    for span in found:
        depth -= text[span.start : span.end] == ")"
        count += depth <= 0
        depth += text[span.start : span.end] == "("
    return count


@cache
def _words_with_lookahead() -> frozenset[str]:
    patterns = re.findall(r"^(?!IDENTIFIER)[A-Z_]+(?:\.\d)?: (/.*/)i?$", GRAMMAR, re.MULTILINE)
    words = frozenset(word for pattern in patterns for word in re.findall(r"[A-Z]{2,}", pattern))
    return words - (RESERVED - {"NULL", "ON", "WITH"})  # which the others stand in front of


# ---------------------------------------------------------------- in the tables of the parser

_Table = Mapping[int, Mapping[str, tuple[Any, Any]]]
_Stack = tuple[int, ...]


def _accepted(table: _Table, stack: _Stack) -> Iterator[str]:
    """The terminals that may stand next; in the tables there are some more, which lead nowhere."""
    for terminal in table[stack[-1]]:
        if terminal.isupper() or terminal.startswith(("_", "$")):
            after = _shifted(table, stack, terminal)
            if after is not None and not _is_alias(table, after):
                yield terminal


def _shifted(table: _Table, stack: _Stack, terminal: str) -> _Stack | None:
    """The states after a terminal; () after the end, None where it may not stand."""
    states = list(stack)
    while (step := table[states[-1]].get(terminal)) is not None:
        rule = _rule(step)
        if rule is None:
            return (*states, step[1])
        if rule.expansion:
            del states[-len(rule.expansion) :]
        if terminal == "$END" and rule.origin.name == "start":
            return ()
        states.append(table[states[-1]][rule.origin.name][1])
        if terminal == "$END" and rule.origin.name == "statement":
            return ()
    return None


def _rule(step: tuple[Any, Any]) -> Any:
    """The rule that a step of the tables reduces by; None if it goes to another state."""
    return None if isinstance(step[1], int) else step[1]


def _is_alias(table: _Table, stack: _Stack) -> bool:
    """Whether a keyword that led here is a name in that place, as in `FROM bids key`."""
    if not stack:
        return False
    rules = map(_rule, table[stack[-1]].values())
    return all(rule is not None and rule.origin.name == "keyword_name" for rule in rules)


def _phrases(table: _Table, stack: _Stack, marks: frozenset[str], words: int) -> Iterator[str]:
    """The keywords among `marks`, each with those that follow it if there are few ways to go on, all of them words."""
    for terminal in marks:
        written = _words_of(terminal)
        after = _shifted(table, stack, terminal) if written else None
        if not after:
            continue
        if "OF" in table[after[-1]] and terminal == "AS":
            yield "AS OF"
        ways = _ways(table, after) if words > 1 and terminal not in _UNITS else frozenset()
        rests = list(_phrases(table, after, ways, words - 1)) or [""]
        yield from (f"{word} {rest}".rstrip() for word in written for rest in rests)


def _ways(table: _Table, stack: _Stack) -> frozenset[str]:
    """The terminals that may stand next, if they are few and all of them words; otherwise none."""
    sure = [name for name, step in table[stack[-1]].items() if _rule(step) is None and not name.islower()]
    if len(sure) > _WAYS_MAX or any(name.isupper() and not _words_of(name) for name in sure):
        return frozenset()
    ways = frozenset(_accepted(table, stack))
    return ways if len(ways) <= _WAYS_MAX and all(map(_words_of, ways)) else frozenset()


@cache
def _words_of(terminal: str) -> tuple[str, ...]:
    """How a terminal is written, if it is a keyword or some."""
    if terminal in _WORDS_OF:
        return _WORDS_OF[terminal]
    if terminal in KEYWORDS:
        return (terminal,)
    pattern = _patterns().get(terminal, "")
    written = re.sub(r"\(\?[=!].*$|\\b$", "", pattern).replace(r"\s+", " ")
    return (written,) if re.fullmatch(r"[A-Z_]+(?: [A-Z_]+)*", written) else ()


@cache
def _patterns() -> dict[str, str]:
    return {terminal.name: terminal.pattern.value for terminal in _lark().terminals}
