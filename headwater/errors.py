"""Every error that a user can meet, sorted by what the reader should do next.

    HeadwaterError
      SqlError          the statement is wrong: fix the text (carries a Span)
        SyntaxProblem     it does not parse
        UnknownName       no such relation, column, function or property
        NameTaken         the relation exists already, or others depend on it
        TypeProblem       types or values do not fit
        OutOfRange        a position before the log's start or after its end
        Unsupported       valid, but not in this version
        AssertionFailed   an ASSERT does not hold: what was expected, and what is there
        NullRefused       a NULL where none may be; a DataError too
      DataError         rows given to append() or a file do not fit the relation
      StorageError      the directory or the disk is not usable
        NotADatabase · AlreadyOpen · CorruptLog · ReadOnly · NoSpace
      Rejected          a commit that the log's protocol does not allow: nothing was written
        ProducerFenced    a younger producer of the same name has taken over
        UnknownProducer   the producer was never registered
        SequenceGap       a commit before this one is missing
        SequenceConflict  the sequence number was used for other content
        DuplicateSequence committed so long ago that the answer is forgotten: do not retry
        MemberFenced      a consumer whose partitions were given to others: fetch again
      PositionGone      a position before the earliest that retention kept
      QueryFailed       a continuous query stopped

The names of DB-API 2.0 (PEP 249) are the floor between: `Error` is HeadwaterError, below it are InterfaceError and
DatabaseError, and each error above is one of OperationalError, IntegrityError, InternalError, ProgrammingError and
NotSupportedError too, by whose fault it is: `Unsupported` is a SqlError and a NotSupportedError.

Deep code raises with a `Span`; the engine attaches the statement's text once, by `HeadwaterError.attach`.
Messages start in lower case, have no full stop and quote names; a hint is a thing to type.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class Span:
    """Half-open range of character positions in a statement's text."""

    start: int
    end: int


class HeadwaterError(Exception):
    """Base class of everything that Headwater raises on purpose.

    One that knows its place in a text (`sql`, from `file` if not None) shows the line of `span` with a caret.
    """

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.span: Span | None = None
        self.sql: str | None = None
        self.file: str | None = None

    def attach(self, sql: str, *, file: str | None = None, statement: Span | None = None) -> Self:
        """Give the error the text that its span points into, and the file of that text; the first text given is kept.

        An error without a span gets that of the `statement`, if one is given.
        """
        if self.sql is None:
            self.sql, self.file = sql, file
            self.span = self.span or statement
        return self

    @property
    def line(self) -> int | None:
        """1-based line of the error, or None without a position."""
        if self.span is None or self.sql is None:
            return None
        return self.sql.count("\n", 0, self.span.start) + 1

    @property
    def column(self) -> int | None:
        """1-based column of the error in characters, or None without a position."""
        if self.span is None or self.sql is None:
            return None
        return self.span.start - self.sql.rfind("\n", 0, self.span.start)

    def __str__(self) -> str:
        parts = [self.message]
        if self.span is not None and self.sql is not None:
            file = "" if self.file is None else f"{self.file}, "
            parts = [f"{self.message} ({file}line {self.line}, column {self.column})", excerpt(self.sql, self.span)]
        if self.hint:
            parts.append(f"hint: {self.hint}")
        return "\n".join(parts)


Error = HeadwaterError  # the name that DB-API 2.0 has for it


class Warning(Exception):
    """Of DB-API 2.0; nothing raises it."""


class InterfaceError(HeadwaterError):
    """A cursor is used in a way that has no meaning: fetching before anything was asked, or after `close`."""


class DatabaseError(HeadwaterError):
    """Whatever is wrong with a statement, with rows, or with the database."""


class OperationalError(DatabaseError):
    """Something outside of the program: the disk, another process, a position that is no more."""


class IntegrityError(DatabaseError):
    """What was asserted does not hold, or a NULL is where none may be."""


class InternalError(DatabaseError):
    """The database is not what it should be."""


class ProgrammingError(DatabaseError):
    """The statement is wrong."""


class NotSupportedError(DatabaseError):
    """What was asked for is not there."""


class SqlError(ProgrammingError):
    """A statement that cannot be run as written, and where in it the reason stands."""

    def __init__(self, message: str, span: Span | None = None, *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.span = span


class SyntaxProblem(SqlError):
    """The text does not parse."""


class UnknownName(SqlError):
    """A relation, column, function or property that does not exist."""


class NameTaken(SqlError):
    """The name is in use, or something still depends on it."""


class TypeProblem(SqlError):
    """A value or an expression does not have a fitting type."""


class OutOfRange(SqlError):
    """A position in the log that is not there: the message names the nearest one that is."""


class NotHeld(SqlError):
    """A receipt that its queue does not wait for: it was settled, or the record was handed out again."""


class Unsupported(SqlError, NotSupportedError):
    """Part of SQL, but not supported here (yet)."""


class AssertionFailed(SqlError, IntegrityError):
    """An ASSERT does not hold.

    `columns` name the values that were `expected` and those that are there, `actual`, as text; either may be absent.
    """

    def __init__(
        self,
        message: str,
        span: Span | None = None,
        *,
        columns: tuple[str, ...] = (),
        expected: tuple[str | None, ...] | None = None,
        actual: tuple[str | None, ...] | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, span, hint=hint)
        self.columns = columns
        self.expected = expected
        self.actual = actual


class DataError(DatabaseError):
    """Rows that do not fit the relation they are given to."""


class NullRefused(TypeProblem, DataError, IntegrityError):
    """A NULL for a column that has none: of INSERT and UPDATE, where `span` is the value's place, and of rows given."""


class CheckViolated(DataError, IntegrityError):
    """Rows of which one violates a CHECK of the relation they are given to. Nothing was written."""


class AssertionViolated(DataError, IntegrityError):
    """A commit that would break an assertion that REJECTs. Nothing was written."""


class StorageError(OperationalError):
    """The database directory cannot be used."""


class NotADatabase(StorageError):
    """The path is something else than a database directory."""


class AlreadyOpen(StorageError):
    """Another process (or connection) has the database open."""


class CorruptLog(StorageError, InternalError):
    """Bytes below the durable end are not what was written."""


class ReadOnly(StorageError):
    """The database was opened for reading only."""


class NoSpace(StorageError):
    """The disk is full; the commit was not made."""


class Rejected(OperationalError):
    """A commit that the log's protocol does not allow. Nothing was written."""


class ProducerFenced(Rejected):
    """A commit of an older epoch: a younger producer of the same name has taken over."""


class UnknownProducer(Rejected):
    """A commit by a producer, or of an epoch, that was never registered."""


class SequenceGap(Rejected):
    """A commit with the sequence number `got` where `expected` is the next one."""

    def __init__(self, message: str, *, expected: int, got: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.expected = expected
        self.got = got


class SequenceConflict(Rejected):
    """A commit with the sequence number of an earlier one, and other content."""


class DuplicateSequence(Rejected):
    """A commit that was made so long ago that where it went is no longer known. It is there: do not retry."""


class MemberFenced(Rejected):
    """A commit of offsets by a consumer of an older generation, whose partitions others may have by now."""


class TransactionConflict(Rejected):
    """COMMIT of a transaction of which something that it has read was written meanwhile. Run it again."""


class PositionGone(OperationalError):
    """A position before the earliest that retention kept. `earliest` is the first version that is still there."""

    def __init__(self, message: str, *, earliest: int, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.earliest = earliest


class QueryFailed(OperationalError):
    """A continuous query stopped and names its cause."""


def excerpt(sql: str, span: Span) -> str:
    """The source line of `span` with its number, and carets below it.

    2 | SELECT user, sum(amout)
      |                  ^^^^^
    """
    line_start = sql.rfind("\n", 0, span.start) + 1
    line = sql[line_start:].partition("\n")[0]
    column = min(span.start - line_start, len(line))
    width = max(1, min(span.end - span.start, len(line) - column))
    number = str(sql.count("\n", 0, span.start) + 1)
    pad = "".join(c if c == "\t" else " " for c in line[:column])
    return f"{number} | {line}\n{' ' * len(number)} | {pad}{'^' * width}"


def suggestion(name: str, candidates: Iterable[str], what: str = "known names") -> str | None:
    """A hint naming the nearest of `candidates` to `name`, else listing them; None without candidates."""
    names = sorted(set(candidates), key=str.lower)
    lowered = {candidate.lower(): candidate for candidate in names}
    near = difflib.get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    if near:
        return f'did you mean "{lowered[near[0]]}"?'
    if not names:
        return None
    listed = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    return f"{what}: {listed}"
