"""What happens to a database, as data: the events of a case, which can be kept, cut down, and played again."""

from __future__ import annotations

from dataclasses import dataclass

from tests.executor.query import Query
from tests.executor.sources import Row


@dataclass(frozen=True)
class Append:
    """One commit: rows for a source relation, in order."""

    relation: str
    rows: tuple[Row, ...]
    as_insert: bool = False  # by INSERT, not by `append`


@dataclass(frozen=True)
class Delete:
    """One commit: rows leave a table."""

    relation: str
    condition: str

    @property
    def sql(self) -> str:
        return f"DELETE FROM {self.relation} WHERE {self.condition}"


@dataclass(frozen=True)
class Update:
    """One commit: a column of some rows of a table gets another value."""

    relation: str
    column: str
    value: str  # SQL over the row as it was
    condition: str

    @property
    def sql(self) -> str:
        return f"UPDATE {self.relation} SET {self.column} = {self.value} WHERE {self.condition}"


@dataclass(frozen=True)
class Create:
    """A continuous query begins; it catches up with what there is."""

    name: str
    query: Query


@dataclass(frozen=True)
class Step:
    """All commits so far go through all queries, and everything is compared."""


@dataclass(frozen=True)
class Checkpoint:
    """An image of all state is saved at once, and another one of the same state after the next step."""


@dataclass(frozen=True)
class Reopen:
    """The database is closed and opened again."""


@dataclass(frozen=True)
class Clock:
    """The clock of the disk is set, to so many seconds after the beginning."""

    seconds: int


Event = Append | Delete | Update | Create | Step | Checkpoint | Reopen | Clock
