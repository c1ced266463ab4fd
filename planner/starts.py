"""FROM stream FROM point: where a continuous query begins to read a stream.

What a plan holds are offsets, one for each partition of the stream. Whoever makes a query finds them once, from the
point that was written, and the definition keeps them: so it means the same whenever it is read again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from headwater.errors import SqlError, Unsupported
from headwater.parser import quote, syntax
from headwater.planner.catalog import Catalog, Relation
from headwater.planner.logical import Filter, Plan, StreamSource
from headwater.planner.names import relations_in
from headwater.planner.nodes import Expression
from headwater.values import ROWOFFSET, ROWPARTITION

N = TypeVar("N", bound=syntax.Node)
OffsetsAt = Callable[[Relation, syntax.AsOf], Mapping[int, int]]  # of a stream, the offset of each partition

START = "start"  # the property of a query that says it for all its streams


def with_starts(node: N, catalog: Catalog, offsets_at: OffsetsAt) -> N:
    """`node`, in which each point after a stream is the offsets that it is; without those at the very beginning."""

    def change(inner: syntax.Node) -> syntax.Node | None:
        if not isinstance(inner, syntax.Relation) or inner.start is None:
            return None
        relation = catalog.get(inner.name.text)
        if relation is None or not relation.is_stream:
            return None  # refused where it is bound
        offsets = offsets_at(relation, inner.start)
        positions = tuple((partition, offsets.get(partition, 0)) for partition in range(relation.partitions))
        if not any(offset for _, offset in positions):
            return replace(inner, start=None)
        return replace(inner, start=replace(inner.start, kind="offsets", value="", positions=positions))

    return syntax.rewrite(_begun(node, catalog), change)


def _begun(node: N, catalog: Catalog) -> N:
    """A definition with the property `start` written after each stream that its query names."""
    if not isinstance(node, syntax.CreateRelation | syntax.Insert) or node.query is None:
        return node
    item = next((item for item in node.properties if item.name.lower() == START), None)
    if item is None:
        return node
    point = _point(item)
    names = {name.text.lower() for name in relations_in(node.query)}
    views = sorted(view.name for key, view in catalog.views.items() if key in names)
    streams = sorted(r.name for r in map(catalog.get, names) if r is not None and r.is_stream)
    if views:
        raise SqlError(
            f'{START} does not reach into the view "{views[0]}"', item.span,
            hint="read the stream in it: FROM stream FROM LATEST",
        )  # fmt: skip
    if not streams:
        raise SqlError(f"{START} is where a stream is begun, and this query reads none", item.span, hint="leave it out")
    if point.kind == "offset" and len(streams) > 1:
        raise SqlError(
            f"{START} = {point.value} counts the records of which stream?", item.span,
            hint=f"write it behind each: FROM {streams[0]} FROM OFFSET {point.value}",
        )  # fmt: skip
    known = {name.lower() for name in streams}

    def change(inner: syntax.Node) -> syntax.Node | None:
        if not isinstance(inner, syntax.Relation) or inner.start is not None or inner.name.text.lower() not in known:
            return None
        return replace(inner, start=point)

    left = tuple(other for other in node.properties if other is not item)
    return replace(node, query=syntax.rewrite(node.query, change), properties=left)


def _point(item: syntax.Property) -> syntax.AsOf:
    value = item.value.lower()
    if value in ("earliest", "latest"):
        return syntax.AsOf(value, span=item.span)
    if not value.isdigit():
        raise SqlError(f"{START} cannot be '{item.value}'", item.span, hint="'earliest', 'latest' or an offset")
    return syntax.AsOf("offset", value, span=item.span)


def started(plan: Plan, item: syntax.Relation, *, is_stream: bool) -> Plan:
    """The plan of a relation in FROM, from the offsets on that stand after it."""
    if item.start is None:
        return plan
    refuse_start(item, is_stream=is_stream)
    offsets = tuple(sorted((int(key), offset) for key, offset in item.start.positions))
    if isinstance(plan, StreamSource):
        return replace(plan, start=offsets)
    partition, offset = quote(ROWPARTITION), quote(ROWOFFSET)
    begins = " ".join(f"WHEN {p} THEN {begin}" for p, begin in offsets)
    condition = f"{offset} >= CASE {partition} {begins} ELSE 0 END"
    return Filter(plan, Expression(condition, "BOOLEAN", (ROWPARTITION, ROWOFFSET)))


def refuse_start(item: syntax.Relation, *, is_stream: bool) -> None:
    """Raises SqlError for a point after what is no stream."""
    if item.start is None:
        return
    if not is_stream:
        raise SqlError(
            f'"{item.name.text}" is no stream, which has offsets to begin at', item.start.span,
            hint="leave it out: a query reads all of a table; of a view, begin at the streams in it",
        )  # fmt: skip
    if item.start.kind != "offsets" or any(isinstance(key, str) for key, _ in item.start.positions):
        raise Unsupported("a point to begin at is found where a query is made, not here", item.start.span)
