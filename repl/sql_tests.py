"""Tests written in SQL: from files to tests, and from a test to why it fails.

A file is one test, or several that begin with a line `--@test: name` each. `--@expected.error: type` and
`--@expected.message: text` say that a test is to end in an error. These are ksqlDB's words.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from headwater import errors
from headwater.engine.database import connect
from headwater.errors import AssertionFailed, HeadwaterError, Span, SqlError, SyntaxProblem, UnknownName, suggestion
from headwater.parser import pieces
from headwater.repl.report import as_ours
from headwater.repl.sql_files import read_sql

_TEST, _ERROR, _MESSAGE = "test", "expected.error", "expected.message"
_DIRECTIVE = re.compile(r"^[ \t]*--@(?P<name>[^\s:]*)[ \t]*:?[ \t]*(?P<value>.*?)[ \t\r]*$", re.MULTILINE)
_ASSERT = re.compile(r"ASSERT\b", re.IGNORECASE)

# What `--@expected.error` can name: our errors, and ksqlDB's where they mean the same.
_TYPES: dict[str, type[HeadwaterError]] = {
    name: value for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, HeadwaterError)
}
_KSQLDB_TYPES: dict[str, type[HeadwaterError]] = {
    "AssertionError": AssertionFailed,
    "KsqlException": HeadwaterError,
    "KsqlStatementException": SqlError,
    "ParseFailedException": SyntaxProblem,
}


@dataclass(frozen=True, slots=True)
class SqlTest:
    """A test. `text` has the statements, on the lines that they have in the file; `span` is where it begins there."""

    file: str
    name: str
    text: str
    span: Span
    error: type[HeadwaterError] | None = None
    message: str | None = None

    @property
    def id(self) -> str:
        """The file and the name."""
        return f"{self.file}::{self.name}"


# ---------------------------------------------------------------- reading


def find_files(paths: Iterable[str]) -> list[str]:
    """The files named, and in directories, at any depth, the `*.sql` files that have directives or ASSERT statements.

    What is left out are scripts that tests run. Raises HeadwaterError for a path that is not there.
    """
    found: dict[str, None] = {}
    for path in paths:
        if not Path(path).is_dir():
            found[path] = None
            continue
        inside = sorted(p for p in Path(path).rglob("*.sql") if not any(part.startswith(".") for part in p.parts[1:]))
        found |= {str(file): None for file in inside if _is_test(read_sql(str(file)))}
    return list(found)


def _is_test(text: str) -> bool:
    return bool(_DIRECTIVE.search(text)) or any(_ASSERT.match(text, piece.span.start) for piece in pieces(text))


def read_tests(file: str) -> list[SqlTest]:
    """The tests of a file. Raises HeadwaterError, with its place, where the file makes no sense."""
    text = read_sql(file)
    try:
        return list(_tests(file, text))
    except HeadwaterError as error:
        raise error.attach(text, file=file) from None


def _tests(file: str, text: str) -> Iterator[SqlTest]:
    directives = list(_DIRECTIVE.finditer(text))
    starts = [d.start() for d in directives if d["name"] == _TEST]
    if not starts:
        yield _test(file, text, Path(file).stem, directives, Span(0, len(text)))
        return
    before = [_place(d) for d in directives if d.start() < starts[0]] + [p.span for p in pieces(text[: starts[0]])]
    if before:
        raise SyntaxProblem("this belongs to no test", before[0], hint="write --@test: name above it")
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        yield _test(file, text, "", [d for d in directives if start <= d.start() < end], Span(start, end))


def _test(file: str, text: str, name: str, directives: list[re.Match[str]], within: Span) -> SqlTest:
    error, message = None, None
    for directive in directives:
        place, value = _place(directive), directive["value"]
        if directive["name"] not in (_TEST, _ERROR, _MESSAGE):
            hint = suggestion(directive["name"], (_TEST, _ERROR, _MESSAGE), "directives")
            raise UnknownName(f'there is no directive "{directive["name"]}"', place, hint=hint)
        if not value:
            raise SyntaxProblem("this directive says nothing", place, hint=f"write --@{directive['name']}: …")
        match directive["name"]:
            case "test":
                name = value
            case "expected.error":
                error = _error_type(value, place)
            case _:
                message = value
    lines = "\n" * text.count("\n", 0, within.start)
    begin = Span(len(lines), len(lines) + max(1, text[within.start : within.end].find("\n")))
    return SqlTest(file, name, lines + text[within.start : within.end], begin, error, message)


def _place(directive: re.Match[str]) -> Span:
    """Where a directive stands, from its two dashes on."""
    return Span(directive.start("name") - len("--@"), directive.end("value"))


def _error_type(name: str, place: Span) -> type[HeadwaterError]:
    """The error of a name; of a Java class the last part counts."""
    last = name.rpartition(".")[2]
    found = _TYPES.get(last) or _KSQLDB_TYPES.get(last)
    if found is None:
        raise UnknownName(f'there is no error "{last}"', place, hint=suggestion(last, _TYPES, "errors"))
    return found


# ---------------------------------------------------------------- running


def run_test(test: SqlTest) -> HeadwaterError | None:
    """Runs a test on a new database in memory; gives why it fails, None if it passes."""
    failure = _failure(test)
    if test.error is None and test.message is None:
        return failure
    if failure is None:
        wanted = test.error.__name__ if test.error is not None else f'an error with "{test.message}"'
        return HeadwaterError(f"expected {wanted}, and no statement fails").attach(
            test.text, file=test.file, statement=test.span
        )
    if test.error is not None and not isinstance(failure, test.error):
        return _unlike(failure, f"expected {test.error.__name__}, not {type(failure).__name__}: {failure.message}")
    if test.message is not None and test.message not in f"{failure.message}\n{failure.hint or ''}":
        return _unlike(failure, f'expected an error with "{test.message}", not "{failure.message}"')
    return None


def _failure(test: SqlTest) -> HeadwaterError | None:
    with connect(background=False) as database:
        try:
            database.execute(test.text, file=test.file)
        except Exception as error:  # also one that nobody foresaw: it fails this test, and the others go on
            return as_ours(error, sys.stderr).attach(test.text, file=test.file, statement=test.span)
    return None


def _unlike(failure: HeadwaterError, message: str) -> HeadwaterError:
    """Another error, at the same place."""
    other = HeadwaterError(message, hint=failure.hint)
    other.span, other.sql, other.file = failure.span, failure.sql, failure.file
    return other
