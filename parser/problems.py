"""What to tell a user whose statement does not parse: all wording of syntax errors is here.

In goes what lark found; out comes a SyntaxProblem that says what stands in the wrong place, what could stand there if
that is short to say, and a hint for a common mistake; or Unsupported, where the text is SQL that is not there yet.
"""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from lark import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from headwater.errors import Span, SqlError, SyntaxProblem, Unsupported
from headwater.parser.forms import form_of
from headwater.parser.keywords import KEYWORDS, RESERVED
from headwater.parser.script import tokens

# Beyond this many, what is expected is a list that nobody reads.
_EXPECTED_MAX = 6


@dataclass(frozen=True, slots=True)
class _Place:
    """Where parsing stopped: the tokens before it, the one there ("" at the end), and what may stand there.

    `accepts` has lark's names of terminals.
    """

    before: tuple[str, ...]
    found: str
    span: Span
    accepts: frozenset[str]

    @property
    def previous(self) -> str:
        return self.before[-1] if self.before else ""

    @property
    def takes_expression(self) -> bool:
        return {"NUMBER", "IDENTIFIER", "CASE"} <= self.accepts


def problem(text: str, statement: Span, error: UnexpectedInput) -> SqlError:
    """The error to raise for what lark found in the part `statement` of `text`."""
    place = _place(text, statement, error)
    unsupported = _unsupported_statement(text, statement) or _unsupported_clause(text, statement, place)
    if unsupported:
        return unsupported
    misspelled = _misspelled_before(text, statement, place)
    if misspelled:
        return misspelled
    expected = _expected(place)
    unexpected = f"unexpected {_shown(place.found)}" if place.found else "unexpected end of statement"
    message = f"{unexpected}, expected {expected}" if expected else unexpected
    return SyntaxProblem(message, place.span, hint=_hint(text, statement, place))


def _place(text: str, statement: Span, error: UnexpectedInput) -> _Place:
    assert isinstance(error, (UnexpectedToken, UnexpectedCharacters)), "lark's other errors are about ambiguity"
    at_end = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    start = statement.end if at_end else error.pos_in_stream
    assert start is not None, "every token but the end has a position"
    written = tuple(tokens(text, statement))
    here = next((span for span in written if span.start >= start), Span(statement.end, statement.end))
    return _Place(
        before=tuple(text[span.start : span.end] for span in written if span.start < here.start),
        found=text[here.start : here.end],
        span=here,
        accepts=frozenset(error.interactive_parser.accepts()),  # type: ignore[no-untyped-call]
    )


def _shown(found: str) -> str:
    short = found if len(found) <= 40 else f"{found[:39]}…"
    return short if found[0] in "'\"`" else f'"{short}"'


# ---------------------------------------------------------------- what could stand there

_KINDS = {
    "IDENTIFIER": "a name",
    "NUMBER": "a number",
    "STRING": "a string in quotes",
    "LPAR": '"("',
    "RPAR": '")"',
    "RSQB": '"]"',
    "RBRACE": '"}"',
    "COMMA": '","',
    "EQUAL": '"="',
    "MORETHAN": '">"',
    "$END": "the end of the statement",
}
_OPERATOR_WORDS = frozenset("AND AS BETWEEN ESCAPE ILIKE IN IS LIKE NOT OR SIMILAR".split())
_TIME_UNITS = frozenset("MILLISECONDS SECONDS MINUTES HOURS DAYS".split())


def _expected(place: _Place) -> str | None:
    """What may stand at the place, in words; None if that is too much to say."""
    accepts = place.accepts
    if not place.before:
        return "a statement, such as SELECT or CREATE STREAM"
    if place.takes_expression:
        return "a column or an expression"
    if "TYPE_WORDS" in accepts:
        return "a type"
    if _TIME_UNITS <= accepts:
        return "a unit of time, such as SECONDS or DAYS"
    marks = [words for terminal, words in _KINDS.items() if terminal in accepts]
    keywords = sorted(accepts & KEYWORDS)
    if accepts & {"PLUS", "OR"}:
        # An expression has ended here. That it may go on helps nobody; what may follow it does.
        marks = [mark for mark in marks if mark in ('","', '")"', '"]"', '"}"')]
        keywords = [word for word in keywords if word not in _OPERATOR_WORDS]
    choices = keywords + marks
    if not 0 < len(choices) <= _EXPECTED_MAX:
        return None
    return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))


# ---------------------------------------------------------------- what the mistake may be

# A misspelled one of these, after a relation or an expression, is read as an alias; the error comes a word later.
_CLAUSES = frozenset("BETWEEN EMIT FROM GROUP HAVING INNER JOIN LEFT LIKE LIMIT ORDER UNION WHERE WINDOW".split())
_OPENING = {")": "(", "]": "[", "}": "{"}
_CLOSERS = {"(": "RPAR", "[": "RSQB", "{": "RBRACE"}
_COMPARISONS = frozenset("= < >".split())


def _hint(text: str, statement: Span, place: _Place) -> str | None:
    found, previous = place.found, place.previous
    if found == "=" and previous == "=":
        return "write = to compare"
    if found in ("&", "|", "!") and previous in (found, ""):
        return "write AND, OR and NOT"
    if previous == "," and found.upper() in RESERVED | {")", ""}:
        return "remove the comma before it" if found else "remove the comma, or go on after it"
    if found in _OPENING and not _open_brackets(text, Span(statement.start, place.span.start)):
        return f'there is no "{_OPENING[found]}" that it closes'
    if found in _COMPARISONS and "AND" in place.accepts and previous not in _COMPARISONS:
        return "comparisons do not chain: write a < b AND b < c"
    if found.startswith('"') and "STRING" in place.accepts:
        return f"strings are written in single quotes: '{found[1:-1]}'"
    return (
        _misspelled(place)
        or _reserved(place)
        or _emit(place)
        or _with_properties(place)
        or _missing_comma(place)
        or _unclosed(text, statement, place)
        or _missing_operator(place)
        or form_of(place.before)
    )


def _misspelled(place: _Place) -> str | None:
    """A hint that names the keyword that was meant at the place; first of all those that begin a clause."""
    return _nearest(place.found, place.accepts & _CLAUSES) or _nearest(place.found, place.accepts & KEYWORDS)


def _misspelled_before(text: str, statement: Span, place: _Place) -> SyntaxProblem | None:
    """The problem that the word before the place is a clause's keyword misspelled, which was taken for an alias."""
    is_word = len(place.before) > 1 and place.previous.upper() not in KEYWORDS
    hint = _nearest(place.previous, _CLAUSES) if is_word else None
    if hint is None or place.found in ("", ",", ")", "."):
        return None
    *_, span = tokens(text, Span(statement.start, place.span.start))
    return SyntaxProblem(f"unexpected {_shown(place.previous)}", span, hint=hint)


def _nearest(word: str, keywords: frozenset[str]) -> str | None:
    if len(word) < 3 or not word.isalpha():
        return None
    # Another keyword is rarely a slip of the finger, unless it is nearly the same: SHOW STREAM.
    likeness = 0.8 if word.upper() in KEYWORDS else 0.6
    near = difflib.get_close_matches(word.upper(), keywords - {word.upper()}, n=1, cutoff=likeness)
    return f'did you mean "{near[0]}"?' if near else None


def _reserved(place: _Place) -> str | None:
    if place.found.upper() in RESERVED - {"FROM"} and "IDENTIFIER" in place.accepts and "PLUS" not in place.accepts:
        return f'{place.found.upper()} is a reserved word; as a name, write it in quotes: "{place.found}"'
    return None


def _emit(place: _Place) -> str | None:
    if place.previous.upper() == "EMIT":
        return "EMIT CHANGES gives every change, EMIT FINAL one row per window when it has closed"
    return None


def _with_properties(place: _Place) -> str | None:
    words = [word.upper() for word in place.before]
    if words[:1] == ["CREATE"] and "WITH" in words and "SELECT" not in words:
        return "properties are written WITH (name = value, …)"
    return None


def _missing_comma(place: _Place) -> str | None:
    starts_item = re.match(r"[\w'\"`(]", place.found) and place.found.upper() not in RESERVED
    if starts_item and "COMMA" in place.accepts and re.search(r"[\w'\"`)\]]$", place.previous):
        return "is a comma missing before it?"
    return None


def _missing_operator(place: _Place) -> str | None:
    starts_operand = re.match(r"[\w'\"`(]", place.found) and place.found.upper() not in KEYWORDS
    if starts_operand and {"AND", "OR"} & place.accepts and re.search(r"[\w'\"`)\]]$", place.previous):
        return "is AND, OR or another operator missing before it?"
    return None


def _unclosed(text: str, statement: Span, place: _Place) -> str | None:
    """A hint that names the last bracket that is open, if closing it would help."""
    opened = _open_brackets(text, Span(statement.start, place.span.start))
    if not opened or (place.found and _CLOSERS[text[opened[-1]]] not in place.accepts):
        return None
    start = opened[-1]
    line, column = text.count("\n", 0, start) + 1, start - text.rfind("\n", 0, start)
    return f'the "{text[start]}" at line {line}, column {column} is not closed'


def _open_brackets(text: str, within: Span) -> list[int]:
    """Where the brackets stand that are opened in a part of `text` and not closed in it."""
    opened: list[int] = []
    for span in tokens(text, within):
        mark = text[span.start : span.end]
        if mark in _CLOSERS:
            opened.append(span.start)
        elif mark in _OPENING and opened:
            opened.pop()
    return opened


# ---------------------------------------------------------------- what is not there yet

_STATEMENTS = frozenset(
    tuple(words.split())
    for words in """
    ATTACH; CALL; CANCEL; DECLARE; DETACH; EXECUTE; EXPORT; FLUSH; GRANT; IMPORT; LOAD; LOCK; MERGE; PIVOT; PRAGMA;
    PREPARE; REFRESH; REVOKE; SAVEPOINT; SUBSCRIBE; SUMMARIZE; TRUNCATE; UNPIVOT; USE; VACUUM; WAIT;
    CREATE CATALOG; CREATE CONNECTION; CREATE DATABASE; CREATE INDEX; CREATE MACRO; CREATE MODEL;
    CREATE ROLE; CREATE SECRET; CREATE SEQUENCE; CREATE SINK; CREATE SUBSCRIPTION; CREATE TEMP;
    CREATE TEMPORARY; CREATE USER;
    DROP DATABASE; DROP INDEX; DROP MACRO; DROP SEQUENCE; DROP SINK; DROP USER;
    ALTER DATABASE; ALTER VIEW; COMMENT ON; SHOW CREATE; SHOW COLUMNS; SHOW JOBS
    """.split(";")
)
_FILLERS = frozenset({"OR", "REPLACE"})


def _unsupported_statement(text: str, statement: Span) -> Unsupported | None:
    leading = [(text[span.start : span.end].upper(), span) for span in tokens(text, statement)][:5]
    words = [(word, span) for word, span in leading if word not in _FILLERS]
    for count in (1, 2):
        kind = tuple(word for word, _ in words[:count])
        if kind in _STATEMENTS:
            return Unsupported(f"{' '.join(kind)} is not supported yet", Span(statement.start, words[count - 1][1].end))
    return None


# What is looked for around the place, which ¶ marks, and the name of the feature.
_CLAUSE_PATTERNS = {
    r"¶TABLESAMPLE\b": "TABLESAMPLE",
    r"\b(?:UN)?PIVOT\s*\([^¶]*¶": "PIVOT",
    r"\bMATCH_RECOGNIZE\s*\([^¶]*¶": "MATCH_RECOGNIZE",
    r"(?:¶RETURNING\b|\bRETURNING\s+¶)": "RETURNING",
    r"(?:¶COLLATE\b|\bCOLLATE\s+¶)": "COLLATE",
    r"¶(?:UNIQUE|REFERENCES|CONSTRAINT|FOREIGN\s+KEY)\b": "this constraint",
    r"¶(?:PARTITIONED|DISTRIBUTED|CLUSTERED)\b": "PARTITIONED BY",
    r"\bAS\s+OF\s+¶(?:NOW|CURRENT_TIMESTAMP)\b": "AS OF an expression",
    r"¶(?:\$\d+|:\w+)": "a parameter",
    r"¶(?:INTO)\b": "SELECT INTO",
}


def _unsupported_clause(text: str, statement: Span, place: _Place) -> Unsupported | None:
    at = place.span.start
    marked = f"{text[statement.start : at]}¶{text[at : statement.end]}"
    for pattern, feature in _CLAUSE_PATTERNS.items():
        match = re.search(pattern, marked, re.IGNORECASE)
        if match:
            start = statement.start + match.start()
            return Unsupported(f"{feature} is not supported yet", Span(start, start + len(match.group()) - 1))
    return None
