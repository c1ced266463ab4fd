"""\\lineage: what the streams, tables and views of a database are made of, drawn as a graph."""

from __future__ import annotations

from collections.abc import Collection
from graphlib import TopologicalSorter

from headwater.engine.database import Database
from headwater.engine.terminal import Screen, visible
from headwater.planner import Catalog, Relation, View
from headwater.repl.graph import Graph, draw
from headwater.repl.items import catalog_here, item_named
from headwater.repl.output import Output


def show_lineage(database: Database, output: Output, argument: str) -> None:
    """\\lineage [name]: all of it, or what a name depends on and what depends on it."""
    catalog = catalog_here(database, output)
    graph = graph_of(catalog, database.pipeline.stopped.keys())
    if argument:
        graph = graph.around(item_named(argument, catalog).name)
    if not graph.labels:
        output.say("there are no streams or tables yet: CREATE STREAM …, or \\tutorial")
    screen = Screen.of(output.stream)
    for line in draw(graph, screen.width, has_unicode=screen.has_unicode):
        output.stream.write(f"{line}\n")


def graph_of(catalog: Catalog, stopped: Collection[int] = ()) -> Graph:
    """Relations and views, each with its kind, and who reads whom."""
    items: list[Relation | View] = [*catalog.relations.values(), *catalog.views.values()]
    items.sort(key=lambda item: item.id)
    names = {item.id: item.name for item in items}
    read = {item.name: [names[id] for id in item.reads if id in names] for item in items}
    labels = {item.name: _label(item, is_stopped=item.id in stopped) for item in items}
    ordered = TopologicalSorter(read).static_order()
    return Graph({name: labels[name] for name in ordered}, [(s, name) for name in read for s in read[name]])


def _label(item: Relation | View, *, is_stopped: bool) -> str:
    kind = item.kind.lower()
    return f"{visible(item.name)} ({'stopped ' if is_stopped else ''}{kind})"
