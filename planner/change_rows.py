"""A changelog as a relation: the columns that CHANGES FROM and CHANGES OF put in front, and the leaf that reads it."""

from __future__ import annotations

from dataclasses import dataclass, field

from headwater.errors import SqlError
from headwater.parser import syntax, unparse
from headwater.planner.nodes import StreamSource
from headwater.values import Column

OP, VERSION, TIME = "_op", "_version", "_time"
CHANGE_COLUMNS = (Column(OP, "VARCHAR"), Column(VERSION, "BIGINT"), Column(TIME, "TIMESTAMP"))


@dataclass(frozen=True, eq=False)
class ChangeSource(StreamSource):
    """What happened to relation `id` since a point, a row per change. A circuit is given these rows: no log has them.

    They begin at `since`.
    """

    since: syntax.AsOf = field(kw_only=True)

    def label(self) -> str:
        return f"{super().label()} {unparse(syntax.Changes(self.since))}"


def changes_of(item: syntax.Relation) -> syntax.Changes | None:
    """The range of changes that an item of FROM asks for, if it does; CHANGES OF is CHANGES FROM EARLIEST."""
    if item.read_as != "CHANGES":
        return item.changes
    if item.changes is not None:
        raise SqlError("CHANGES is said twice here", item.changes.span, hint="CHANGES OF begins at the earliest entry")
    return syntax.Changes(syntax.AsOf("earliest", span=item.span), span=item.span)


def with_change_columns(columns: tuple[Column, ...], item: syntax.Relation) -> tuple[Column, ...]:
    """The columns of a changelog. Raises SqlError where the relation has one of them itself."""
    taken = {c.name for c in CHANGE_COLUMNS}.intersection(c.name.lower() for c in columns)
    if taken:
        raise SqlError(
            f'"{item.name.text}" has a column "{min(taken)}" of its own, which its changes have too', item.span,
            hint=f"ask a view of it, in which the column has another name: CREATE VIEW … AS SELECT {min(taken)} AS …",
        )  # fmt: skip
    return (*CHANGE_COLUMNS, *columns)
