"""The first version at which an assertion is false, by asking it as of versions.

Only versions that write something of what it reads are looked at. The search halves them, which is right if, once
false, it stays false; `linear` looks at one after the other instead, and needs no such thing. As in a CHECK, an
assertion that is NULL holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from headwater.engine.database import Database
from headwater.engine.moments import moments
from headwater.errors import SqlError
from headwater.repl.travel import ask, earliest_of, question_of, reads_of_all

Told = Callable[[int, bool], None]  # is given each version that was asked, and whether the assertion holds there


@dataclass(frozen=True, slots=True)
class Found:
    """`first` is the first version at which it is false, `before` the last looked at at which it holds; either may not
    be there. `asked` counts questions, `versions` those that it could have been.
    """

    first: int | None
    before: int | None
    asked: int
    versions: int


@dataclass(slots=True)
class Search:
    """Asks whether an assertion, an SQL query with one BOOLEAN, holds as of versions."""

    sql: str
    database: Database
    tell: Told
    asked: int = 0

    def run(self, since: int, upto: int, *, linear: bool = False) -> Found:
        """The first version of those from `since` to `upto` at which it is false."""
        earliest = max(since, earliest_of([self.sql], self.database))
        written = moments(reads_of_all([self.sql], self.database), self.database.log, earliest, upto)
        versions = [earliest, *written]
        place = self._scan(versions) if linear else self._halve(versions)
        first = versions[place] if place < len(versions) else None
        return Found(first, versions[place - 1] if place else None, self.asked, len(versions))

    def _scan(self, versions: Sequence[int]) -> int:
        """The place of the first version at which it is false, one behind the last if there is none."""
        return next((place for place, version in enumerate(versions) if not self.holds(version)), len(versions))

    def _halve(self, versions: Sequence[int]) -> int:
        if self.holds(versions[-1]):
            return len(versions)
        holding, failing = -1, len(versions) - 1
        if failing and self.holds(versions[0]):
            holding = 0
        elif failing:
            failing = 0
        while failing - holding > 1:
            middle = (holding + failing) // 2
            if self.holds(versions[middle]):
                holding = middle
            else:
                failing = middle
        return failing

    def holds(self, version: int) -> bool:
        """Whether the assertion holds as of a version."""
        answer = ask(self.database, self.sql, version).fetchall()
        if len(answer) != 1:
            raise SqlError(f"an assertion has one value, but at version {version} this has {len(answer)} rows")
        self.asked += 1
        holds = answer[0][0] is not False
        self.tell(version, holds)
        return holds


def assertion(text: str, database: Database) -> str:
    """The query that asks a condition, or a SELECT of one. Raises SqlError for what is neither."""
    is_query = text.upper().startswith(("SELECT", "WITH", "VALUES"))
    sql, columns = question_of(text if is_query else f"SELECT {text}", database)
    if len(columns) != 1 or columns[0].type != "BOOLEAN":
        types = ", ".join(column.type for column in columns)
        raise SqlError(
            f"an assertion is one BOOLEAN, but this is {types}",
            hint="write a condition: (SELECT sum(balance) FROM accounts) = 0",
        )
    return sql
