"""Scripts: from text, or a file, to statements that are run one after the other.

A text is cut into statements and checked as a whole before the first one runs, but for those with variables: what they
say is known only when their turn comes. Errors point into what the user wrote, and name the file that it stands in.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from headwater.engine.counts import counted
from headwater.engine.result import Result
from headwater.engine.session import Session
from headwater.engine.subscription import Subscription
from headwater.errors import HeadwaterError, Span, SqlError, Unsupported
from headwater.parser import Parameters, Piece, parse_piece, parse_statement, pieces, syntax, with_values
from headwater.storage import OsStorage

Outcome = Result | Subscription


@dataclass(frozen=True, slots=True)
class Source:
    """A text that is run; `files` are where it stands and the files that run it, the outermost first."""

    text: str
    files: tuple[str, ...] = ()

    @property
    def file(self) -> str | None:
        """The file that the text stands in, if it does."""
        return self.files[-1] if self.files else None


@dataclass(frozen=True, slots=True)
class Placed:
    """A context in which errors get the text that is run, and where no closer place is known, that of the statement."""

    source: Source
    statement: Span

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        file = self.source.file
        if file is not None and isinstance(error, HeadwaterError):
            error.attach(self.source.text, file=file, statement=self.statement)
        elif isinstance(error, SqlError):
            error.attach(self.source.text)


class Scripts:
    """Runs texts in a session; `execute` runs a statement that is not about scripts."""

    def __init__(self, session: Session, execute: Callable[[syntax.Statement], Outcome]) -> None:
        self._session = session
        self._execute = execute

    def run(self, text: str, file: str | None = None) -> Iterator[Outcome]:
        """Runs the statements of a text, which may stand in `file`; each one's result comes before the next is run."""
        return self._run(Source(text, () if file is None else (file,)))

    def statement(self, text: str, parameters: Parameters | None = ()) -> tuple[syntax.Statement, Placed]:
        """The one statement of a text, and the context to run it in."""
        placed = Placed(Source(text), Span(0, len(text)))
        with placed:
            return parse_statement(text, self._session.values, parameters), placed

    def run_one(self, text: str, parameters: Parameters = ()) -> Outcome:
        """Runs the one statement of a text; a script that it names, to its end."""
        statement, placed = self.statement(text, parameters)
        with placed:
            if not isinstance(statement, syntax.RunScript):
                return self._execute(statement)
            count = 0
            for outcome in self._run(_included(statement, placed.source)):
                refuse_endless(outcome)
                count += 1
        return Result.of_message(f"ran {counted(count, 'statement')} of {statement.path}")

    def run_each(self, text: str, sets: Sequence[Parameters]) -> int:
        """Runs the one statement of a text for each of several sets of values; gives how many rows that were changed.

        INSERT … VALUES is run once, with the rows of all sets: one commit.
        """
        statement, placed = self.statement(text, None)
        with placed:
            filled = [with_values(statement, values) for values in sets]
            return sum(max(self._rows_of(one), 0) for one in _as_one_insert(filled))

    def _rows_of(self, statement: syntax.Statement) -> int:
        outcome = self._execute(statement)
        refuse_endless(outcome)
        assert isinstance(outcome, Result)
        return outcome.rowcount

    def _run(self, source: Source) -> Iterator[Outcome]:
        for piece, known in [(piece, self._checked(source, piece)) for piece in pieces(source.text)]:
            placed = Placed(source, piece.span)
            with placed:
                statement = known or parse_piece(source.text, piece, self._session.values)
                if isinstance(statement, syntax.RunScript):
                    included = _included(statement, source)
                else:
                    outcome = self._execute(statement)
            if isinstance(statement, syntax.RunScript):
                yield from self._run(included)
            else:
                yield outcome

    def _checked(self, source: Source, piece: Piece) -> syntax.Statement | None:
        """The statement of a piece; None if it may have variables."""
        if "${" in source.text[piece.span.start : piece.span.end]:
            return None
        with Placed(source, piece.span):
            return parse_piece(source.text, piece)


def _as_one_insert(statements: list[syntax.Statement]) -> list[syntax.Statement]:
    """Statements that differ in their values only; if they are INSERT … VALUES, one with the rows of all."""
    inserts = [s for s in statements if isinstance(s, syntax.Insert)]
    values = [s.query.body for s in inserts if isinstance(s.query.body, syntax.Values)]
    if not values or len(values) < len(statements):
        return statements
    first = inserts[0]
    together = replace(values[0], rows=tuple(row for each in values for row in each.rows))
    return [replace(first, query=replace(first.query, body=together))]


def refuse_endless(outcome: Outcome) -> None:
    """Raises Unsupported for a query that does not end, after closing it."""
    if isinstance(outcome, Subscription):
        outcome.close()
        raise Unsupported("a script cannot watch a query that does not end", hint="use subscribe(sql)")


def _included(statement: syntax.RunScript, source: Source) -> Source:
    """What RUN SCRIPT names: a path that counts from the file it stands in, or from the working directory."""
    path = os.path.expanduser(statement.path)
    if source.file is not None:
        path = os.path.join(os.path.dirname(os.path.expanduser(source.file)), path)
    if _real(path) in map(_real, source.files):
        raise SqlError(
            f'"{path}" runs itself', statement.span, hint="it is being run: " + " runs ".join((*source.files, path))
        )
    return Source(_read(path, statement), (*source.files, path))


def _real(path: str) -> str:
    return os.path.realpath(os.path.expanduser(path))


def _read(path: str, statement: syntax.RunScript) -> str:
    try:
        file = OsStorage(read_only=True).open(path)
        try:
            return file.read(0, file.size()).decode()
        finally:
            file.close()
    except OSError as error:
        raise SqlError(f'cannot read "{path}": {error.strerror}', statement.span) from error
    except UnicodeDecodeError as error:
        raise SqlError(f'"{path}" is not UTF-8 text (byte {error.start})', statement.span) from error
