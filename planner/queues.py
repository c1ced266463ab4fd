"""CREATE QUEUE: from the statement to the table that the queue's state is.

A queue hands out the records of a stream. Which ones it has handed out and not heard of again are the rows of a table
with the queue's name; up to where it has handed them out at all are the offsets of a consumer group.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import SqlError, UnknownName, suggestion
from headwater.parser import syntax, unparse
from headwater.planner.catalog import Catalog, Queue, Relation
from headwater.planner.properties import duration_us
from headwater.values import Column

PARTITION, RECORD, RECEIPT, ATTEMPTS, VISIBLE_AT = "partition", "record", "receipt", "attempts", "visible_at"
COLUMNS = (
    Column(PARTITION, "INTEGER"),
    Column(RECORD, "BIGINT"),
    Column(RECEIPT, "VARCHAR"),
    Column(ATTEMPTS, "INTEGER"),
    Column(VISIBLE_AT, "TIMESTAMP"),
)
_VISIBILITY_US = 30_000_000  # unless it says so
_PROPERTIES = frozenset({"visibility", "retry", "dead_letter"})


def define_queue(statement: syntax.CreateQueue, catalog: Catalog) -> Relation:
    """The table of the queue that `statement` makes. Raises SqlError; the catalog is not changed."""
    stream = catalog.find(statement.relation)
    if not stream.is_stream:
        raise SqlError(
            f'"{stream.name}" is a table: a queue hands out the records of a stream', statement.relation.span,
            hint=f"CREATE STREAM … AS SELECT … FROM CHANGES OF {stream.name} makes one of it",
        )  # fmt: skip
    known = {item.name.lower(): item for item in statement.properties}
    for name, item in known.items():
        if name not in _PROPERTIES:
            hint = suggestion(item.name, _PROPERTIES, "properties")
            raise UnknownName(f'a queue has no property "{item.name}"', item.span, hint=hint)
    dead = _dead_letter(known.get("dead_letter"), stream, statement.name.text, catalog)
    return Relation(
        name=statement.name.text,
        id=catalog.next_id,
        kind="TABLE",
        columns=COLUMNS,
        definition=unparse(replace(statement, or_replace=False)),
        partition_key=(PARTITION, RECORD),
        primary_key=(PARTITION, RECORD),
        not_null=(PARTITION, RECORD),
        reads=(stream.id,) if dead is None else (stream.id, dead.id),
        queue=Queue(stream.id, _visibility_us(known), _retries(known), None if dead is None else dead.id),
    )


def queues_seen(catalog: Catalog) -> list[Relation]:
    """The queues that are not private to an instance, in the order of their making."""
    return [r for r in catalog.ordered() if r.queue is not None and not catalog.is_private(r.name)]


def group_of(queue: Relation) -> str:
    """The consumer group that says up to where the records of its stream were handed out."""
    return f"queue {queue.name} #{queue.id}"


def _visibility_us(known: dict[str, syntax.Property]) -> int:
    item = known.get("visibility")
    if item is None:
        return _VISIBILITY_US
    return duration_us(item, "how long a record is held", "write visibility = '30 seconds'")


def _retries(known: dict[str, syntax.Property]) -> int | None:
    item = known.get("retry")
    if item is None:
        return None
    if not item.value.isdecimal():
        raise SqlError("retry is how often a record is handed out again, a whole number", item.span)
    if "dead_letter" not in known:
        raise SqlError(
            "after its retries a record has to go somewhere", item.span,
            hint="add dead_letter = 'a stream', or leave out retry: then it is handed out until there is an ACK",
        )  # fmt: skip
    return int(item.value)


def _dead_letter(item: syntax.Property | None, stream: Relation, queue: str, catalog: Catalog) -> Relation | None:
    """The stream that records go to which nobody could do: one with the columns of the queue's stream. It may be
    private to the instance that the queue is in.
    """
    if item is None:
        return None
    wanted = ", ".join(f"{column.name} {column.type}" for column in stream.columns)
    hint = f"CREATE STREAM {item.value} ({wanted})"
    if catalog.get(item.value) is None:
        raise UnknownName(f'there is no stream "{item.value}"', item.span, hint=f"{hint}; first")
    is_inside = catalog.owner(queue) is not None
    dead = catalog.find_target(syntax.QualifiedName(item.value, inspected=is_inside, span=item.span))
    if not dead.is_stream or dead.has_query or dead.id == stream.id:
        raise SqlError("dead_letter is another stream, into which rows can be inserted", item.span, hint=hint)
    if dead.checks:
        raise SqlError(f'"{dead.name}" has a CHECK: what nobody could do has to go somewhere', item.span, hint=hint)
    if dead.columns != stream.columns:
        raise SqlError(f'"{dead.name}" has not the columns of "{stream.name}"', item.span, hint=hint)
    return dead
