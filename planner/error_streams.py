"""What becomes of the rows on which a continuous query fails: its ON ERROR clause, and the stream that tells of them.

Unless ON ERROR says otherwise, the query `hot` has an error stream `hot_errors`. It is a part of `hot`: it has no
definition of its own, goes when `hot` goes, and its log begins with the first error.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from headwater.errors import NameTaken, SqlError, TypeProblem
from headwater.parser import syntax
from headwater.planner.alerts import FIRST_ID as FIRST_ALERT_ID
from headwater.planner.alerts import SUFFIX as ALERTS
from headwater.planner.logical import Plan, Source, walk_plan
from headwater.values import Column

if TYPE_CHECKING:
    from headwater.planner.catalog import Catalog, Relation, View

SUFFIX = "_errors"
FIRST_ID = 1 << 31  # error streams have the ids of their queries, counted from here

# Why, in what expression of what operator, at what record if the operator reads a stream, and the operator's input row.
ERROR_COLUMNS = (
    Column("cause", "VARCHAR"),
    Column("expression", "VARCHAR"),
    Column("operator", "VARCHAR"),
    Column("relation", "VARCHAR"),
    Column("partition", "INTEGER"),
    Column("offset", "BIGINT"),
    Column("row", "VARCHAR"),
)
MAY_BE_NULL = frozenset({"relation", "partition", "offset"})


def error_stream_id(id: int) -> int:
    """The id of the error stream of the query with an id."""
    return FIRST_ID + id


def owner_name(name: str) -> str | None:
    """The name of the query whose error stream would have this name, in lower case."""
    owner = name.lower().removesuffix(SUFFIX)
    return owner if owner and owner != name.lower() else None


def target_of(clause: syntax.OnError | None, catalog: Catalog) -> Relation | None:
    """The stream of ON ERROR INSERT INTO. Raises SqlError for one that cannot take errors."""
    if clause is None or clause.into is None:
        return None
    target = catalog.find_target(clause.into)
    if not target.is_stream or target.has_query or target.errors_of is not None:
        raise SqlError(
            f'errors cannot go into "{target.name}", which is not a stream that rows are put into', clause.into.span,
            hint=f"CREATE STREAM failed ({_listed(ERROR_COLUMNS)}), or leave columns out",
        )  # fmt: skip
    known = {column.name.lower(): column.type for column in ERROR_COLUMNS}
    for column in target.columns:
        if known.get(column.name.lower()) != column.type:
            raise TypeProblem(
                f'errors do not fit into "{target.name}": nothing of an error is {column.name} {column.type}',
                clause.into.span, hint=f"they have {_listed(ERROR_COLUMNS)}",
            )  # fmt: skip
    empty = next((name for name in target.not_null if name.lower() in MAY_BE_NULL), None)
    if empty is not None:
        raise SqlError(f'errors do not fit into "{target.name}": {empty} cannot be NOT NULL', clause.into.span)
    if target.checks:
        raise SqlError(f'errors cannot go into "{target.name}", which has a CHECK of its own', clause.into.span)
    if target.timestamp is not None:
        raise SqlError(
            f'errors do not fit into "{target.name}": its event time is a column', clause.into.span,
            hint="let it be ROWTIME",
        )  # fmt: skip
    return target


def refuse_circle(relation: Relation, clauses: Sequence[syntax.OnError | syntax.Check], catalog: Catalog) -> None:
    """Raises SqlError if what `relation` puts elsewhere would come back to it, by way of other queries or at once."""
    for clause in clauses:
        if clause.into is not None and sources_of(relation.plan) & set(_reached(catalog.find(clause.into).id, catalog)):
            what = "its own errors" if isinstance(clause, syntax.OnError) else "the rows that violate its CHECK"
            raise SqlError(
                f'"{relation.name}" would read {what}', clause.into.span, hint="put them into another stream"
            )


def _reached(id: int, catalog: Catalog) -> Iterator[int]:
    """The logs that rows of the log `id` can come to as errors or violations, or are inserted into, itself first."""
    seen, ahead = {id}, [id]
    while ahead:
        source = ahead.pop()
        yield source
        for other in catalog.relations.values():
            if source == other.id or source in sources_of(other.query_plan):
                ahead += other.outlets - seen
                seen |= other.outlets


def sources_of(plan: Plan | None) -> set[int]:
    """The ids of the logs that a query is computed from."""
    nodes = walk_plan(plan) if plan is not None else ()
    return {node.id for node in nodes if isinstance(node, Source)}


def refuse_taken(item: Relation | View, catalog: Catalog) -> None:
    """Raises NameTaken if a new relation or view and an error stream, or one of alerts, would have one name."""
    known = catalog.get(item.name)
    if known is not None and known.errors_of is not None and known.id >= FIRST_ALERT_ID:
        raise NameTaken(f'"{item.name}" is the stream of alerts of an assertion', hint="choose another name")
    alerts = catalog.named(f"{item.name}{ALERTS}")
    if alerts is not None and getattr(item, "reaction", None) is not None:
        raise NameTaken(
            f'"{item.name}" would have the stream of alerts "{alerts.name}", and there is a {alerts.kind.lower()} of '
            "that name", hint="choose another name",
        )  # fmt: skip
    name = owner_name(item.name)
    owner = catalog.relations.get(name) if name is not None else None
    if owner is not None and owner.errors_into == error_stream_id(owner.id):
        raise NameTaken(f'"{item.name}" is the error stream of "{owner.name}"', hint="choose another name")
    taken = catalog.named(f"{item.name}{SUFFIX}")
    if taken is not None and getattr(item, "errors_into", None) == error_stream_id(item.id):
        raise NameTaken(
            f'"{item.name}" would have the error stream "{taken.name}", and there is a {taken.kind.lower()} of that '
            "name", hint=f"write ON ERROR INSERT INTO {taken.name} or ON ERROR SKIP, or choose another name",
        )  # fmt: skip


def _listed(columns: tuple[Column, ...]) -> str:
    return ", ".join(f"{column.name} {column.type}" for column in columns)
