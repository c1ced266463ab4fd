"""Which way rows go: from relations to the queries that read them, and on to the streams that these write into.

A plan has no circle: it reads logs of source relations alone. A circle can be in what queries write into the logs of
streams that others read, as a continuous INSERT and ON ERROR INSERT INTO do: such a loop goes round by commits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from headwater.planner.catalog import Catalog, Relation, View
from headwater.planner.error_streams import sources_of


def circle_of(query: Relation, catalog: Catalog) -> list[str] | None:
    """The names on a shortest way from the stream into which a query inserts back to the stream; None without one."""
    assert query.insertion is not None
    known: list[Relation | View] = [*catalog.relations.values(), *catalog.views.values(), query]
    items = {item.id: item for item in known}
    names = {id: item.name for id, item in items.items()} | {s.id: s.name for s in catalog.error_streams()}
    names |= {id: f"the errors of {query.name}" for id in query.outlets if id not in names}
    ways = {query.insertion.stream: [names[query.insertion.stream]]}
    ahead = [query.insertion.stream]
    for here in ahead:
        item = items.get(here)
        followers = {i.id for i in items.values() if here in i.reads} | (
            item.outlets if isinstance(item, Relation) else set()
        )
        for follower in sorted(followers - ways.keys()):
            ways[follower] = [*ways[here], names[follower]]
            ahead.append(follower)
    back = ways.get(query.id)
    return None if back is None else [*back, names[query.insertion.stream]]


@dataclass(frozen=True, slots=True)
class Loops:
    """The loops of a catalog, in all clocks: `streams` are the logs from which rows can come into one, and those in it;
    by the id of a query, `read` are those of them that it is computed from.
    """

    streams: frozenset[int] = frozenset()
    read: Mapping[int, frozenset[int]] = field(default_factory=dict)


def loops_of(catalog: Catalog) -> Loops:
    """The loops that the queries of a catalog make."""
    if all(r.insertion is None for r in catalog.relations.values()):
        return Loops()
    read = {r.id: frozenset(sources_of(r.query_plan)) for r in catalog.relations.values() if r.has_query}
    ways: dict[int, set[int]] = {}
    for relation in catalog.relations.values():
        for source in read.get(relation.id, ()):
            ways.setdefault(source, set()).update({relation.id}, relation.outlets)  # its own log: for other clocks
    reached = {source: _reached(source, ways) for source in ways}
    within = {source for source, found in reached.items() if source in found}
    streams = frozenset(source for source, found in reached.items() if found & within)
    return Loops(streams, {id: sources & streams for id, sources in read.items()})


def _reached(source: int, ways: Mapping[int, Iterable[int]]) -> set[int]:
    """The logs into which rows come from those of `source`."""
    found: set[int] = set()
    ahead = list(ways.get(source, ()))
    while ahead:
        here = ahead.pop()
        if here not in found:
            found.add(here)
            ahead += ways.get(here, ())
    return found
