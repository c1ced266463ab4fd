"""Snapshot queries: a SELECT becomes one DuckDB statement over named inputs, each a relation at a point of the log.

DuckDB does the querying, so everything its SELECT can do works. This module only finds the relations in the tree,
replaces them by the names of inputs, and turns a SELECT with WINDOW or WITHIN, which DuckDB does not know, into an
input of its own: the content of the same continuous query at that point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from headwater.errors import SqlError, Unsupported
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier
from headwater.planner.bind import bind_query
from headwater.planner.calls import with_duckdb_calls
from headwater.planner.catalog import PSEUDO_TYPES, Catalog, Relation, View
from headwater.planner.change_rows import changes_of, with_change_columns
from headwater.planner.key_constants import Key, key_constants
from headwater.planner.latest import latest
from headwater.planner.logical import Now, Plan, joins_by_version, walk_plan
from headwater.planner.qualified import with_short_names
from headwater.planner.rewrite import out_of_order
from headwater.planner.select_list import output_name
from headwater.planner.unsupported import refuse_snapshot
from headwater.planner.user_functions import Function, functions_called
from headwater.planner.window_functions import windowed_query
from headwater.values import ROWOFFSET, Column

N = TypeVar("N", bound=syntax.Node)


@dataclass(frozen=True)
class Input:
    """What a snapshot query reads under `name`: a relation, or the plan of a windowed SELECT, as of a point.

    `columns` are those to provide, pseudo-columns last. Of an input with `changes` these are its changes in that range,
    which ends at `as_of`. A plan without a relation is that of a view if it has changes. Where `key` has a value for
    each column of the relation's key, no rows are needed but the one that has these.
    """

    name: str
    relation: Relation | None
    plan: Plan
    columns: tuple[Column, ...]
    as_of: syntax.AsOf | None
    changes: syntax.Changes | None = None
    key: Key = ()


@dataclass(frozen=True)
class SnapshotQuery:
    """DuckDB SQL, the inputs that it names, and the functions of users that it calls, as they were at their points."""

    sql: str
    inputs: tuple[Input, ...]
    functions: tuple[Function, ...] = ()


CatalogAt = Callable[[syntax.AsOf], Catalog]  # what names mean as of a point


def plan_snapshot(query: syntax.Query, catalog: Catalog, catalog_at: CatalogAt | None = None) -> SnapshotQuery:
    """The DuckDB statement for `query`. Raises SqlError for relations that do not exist.

    Names mean what they mean in `catalog` and, as of a point, what `catalog_at` says.
    """
    refuse_snapshot(query)
    known = _Known(catalog, catalog_at or (lambda _: catalog))
    query = with_short_names(query)
    query = with_duckdb_calls(_named_items(query), known.at(point_of(query)).functions)
    planner = _SnapshotPlanner(query, known)
    rewritten = planner.rewrite(query)
    return SnapshotQuery(unparse(rewritten), tuple(planner.inputs), functions_called(rewritten))


def point_of(query: syntax.Query) -> syntax.AsOf | None:
    """The point as of which a whole query is asked: its own, or that of all its relations if it is the same."""
    if query.as_of is not None:
        return query.as_of
    points = {node.as_of for node in syntax.walk(query) if isinstance(node, syntax.Relation)}
    return points.pop() if len(points) == 1 else None


@dataclass(frozen=True)
class _Known:
    """The catalogs in which names are looked up."""

    present: Catalog
    past: CatalogAt

    def at(self, as_of: syntax.AsOf | None) -> Catalog:
        return self.present if as_of is None else self.past(as_of)


class _SnapshotPlanner:
    def __init__(self, query: syntax.Query, known: _Known) -> None:
        self.known = known
        self.as_of: syntax.AsOf | None = None  # of the query around the place where the planner is
        self.emit: str | None = None  # of that query, which may be a view's
        self.ctes = {c.name.text.lower() for n in syntax.walk(query) if isinstance(n, syntax.Query) for c in n.ctes}
        named = {n.parts[-1].text.upper() for n in syntax.walk(query) if isinstance(n, syntax.Name)}
        self.pseudo = tuple(c for c in PSEUDO_TYPES if c.name in named)
        self.inputs: list[Input] = []

    def rewrite(self, node: N) -> N:
        return syntax.rewrite(node, self.change)

    def change(self, node: syntax.Node) -> syntax.Node | None:
        match node:
            case syntax.Query(as_of=as_of, emit=emit) if as_of is not None or emit is not None:
                return self.query(replace(node, as_of=None, emit=None), as_of or self.as_of, emit)
            case syntax.Select(window=window, source=source) if window is not None or _is_within(source):
                return self.windowed(node)
            case syntax.Select():
                return self.select(node)
            case syntax.Relation():
                return self.relation(node)
            case syntax.WindowFunction():
                return self.rewrite(windowed_query(node))
        return None

    def query(self, query: syntax.Query, as_of: syntax.AsOf | None, emit: str | None) -> syntax.Query:
        """`query`, whose relations are read as of a point where they do not say otherwise themselves."""
        outer, self.as_of, self.emit = (self.as_of, self.emit), as_of, emit
        rewritten = self.rewrite(query)
        self.as_of, self.emit = outer
        return rewritten

    def select(self, select: syntax.Select) -> syntax.Select | None:
        """Keeps pseudo-columns out of `*`, and then looks inside."""
        streams = self._streams(select.source) if self.pseudo and select.source is not None else set()
        if not streams:
            return self.look_up(select)
        exclude = tuple(Identifier(c.name) for c in self.pseudo)

        def hide(item: syntax.SelectItem) -> syntax.SelectItem:
            star = item.expression
            if isinstance(star, syntax.Star) and (star.relation is None or star.relation.text.lower() in streams):
                return replace(item, expression=replace(star, exclude=(*star.exclude, *exclude)))
            return item

        hidden = replace(select, items=tuple(hide(i) for i in select.items))
        return self._with_parts(hidden)

    def look_up(self, select: syntax.Select) -> syntax.Select | None:
        """Reads one row where that is all that a SELECT from a table wants; None where it is not."""
        source = select.source
        if not isinstance(source, syntax.Relation) or source.name.text.lower() in self.ctes:
            return None
        relation = self.known.at(source.as_of or self.as_of).get(source.name.text)
        key = key_constants(select, relation) if relation is not None else ()
        return (
            replace(self._with_parts(replace(select, source=None)), source=self.relation(source, key)) if key else None
        )

    def _with_parts(self, select: syntax.Select) -> syntax.Select:
        parts = {f.name: self._inside(getattr(select, f.name)) for f in fields(select) if f.name != "span"}
        return replace(select, **parts)

    def _inside(self, value: Any) -> Any:
        return syntax.rewrite(value, self.change)

    def _streams(self, item: syntax.FromItem) -> set[str]:
        """The aliases, in lower case, of the streams in FROM."""
        if isinstance(item, syntax.Join):
            return self._streams(item.left) | self._streams(item.right)
        if not isinstance(item, syntax.Relation) or item.read_as == "TABLE" or item.name.text.lower() in self.ctes:
            return set()
        relation = self.known.at(item.as_of or self.as_of).get(item.name.text)
        return {(item.alias or item.name).text.lower()} if relation is not None and relation.is_stream else set()

    def relation(self, node: syntax.Relation, key: Key = ()) -> syntax.FromItem | None:
        changes = changes_of(node)
        as_of = (changes and changes.end) or node.as_of or self.as_of
        catalog = self.known.at(as_of)
        view = catalog.view(node.name)
        if view is not None and node.name.text.lower() not in self.ctes:
            return self.view(node, view) if changes is None else self.changes_of_view(node, changes, as_of)
        if node.name.text.lower() in self.ctes and catalog.get(node.name.text) is None:
            if changes is not None:
                raise SqlError(f'"{node.name.text}" is a query, which has no changes', node.span)
            return None
        relation = catalog.find(node.name)
        if node.read_as == "TABLE":
            columns = (*relation.columns, Column(ROWOFFSET, "BIGINT"))
            name = self.add(relation, relation.content(), columns, as_of)
            return latest(replace(node, as_of=None), relation, Identifier(name, quoted=True))
        columns = relation.columns if changes is None else with_change_columns(relation.columns, node)
        columns += self.pseudo if relation.is_stream else ()
        name = self.add(relation, relation.content(), columns, as_of, changes, key if changes is None else ())
        return syntax.Relation(Identifier(name, quoted=True), node.alias or node.name, columns=node.columns)

    def changes_of_view(
        self, node: syntax.Relation, changes: syntax.Changes, as_of: syntax.AsOf | None
    ) -> syntax.Relation:
        """The changes of a view, whose query must be one that can be kept up to date, to the same rows."""
        star = syntax.SelectItem(syntax.Star(span=node.span), span=node.span)
        every = syntax.Select((star,), syntax.Relation(node.name, span=node.span), span=node.span)
        try:
            bound = bind_query(syntax.Query(every, span=node.span), self.known.at(as_of))
        except SqlError as error:
            raise Unsupported(
                f'"{node.name.text}" has no changes, as no continuous query could keep it: {error.message}', node.span,
                hint="a view has changes where CREATE TABLE … AS SELECT could keep its rows",
            ) from error  # fmt: skip
        if any(joins_by_version(bound.plan)) or any(isinstance(n, Now) for n in walk_plan(bound.plan)):
            raise Unsupported(
                f'"{node.name.text}" has no changes: with now(), or a stream joined with a table, what could be kept '
                "is not what is answered later", node.span, hint="CREATE TABLE … AS SELECT keeps it, and its changes",
            )  # fmt: skip
        columns = with_change_columns(bound.columns, node)
        name = self.add(None, out_of_order(bound.plan), columns, as_of, changes)
        return syntax.Relation(Identifier(name, quoted=True), node.alias or node.name, columns=node.columns)

    def view(self, node: syntax.Relation, view: View) -> syntax.Derived:
        """The query of a view as a subquery; names in it are the catalog's."""
        as_of = node.as_of or self.as_of
        query = with_duckdb_calls(_named_items(with_short_names(view.query)), self.known.at(as_of).functions)
        planner = _SnapshotPlanner(query, self.known)
        planner.inputs, planner.as_of = self.inputs, as_of
        names = (*node.columns, *view.columns[len(node.columns) :])
        return syntax.Derived(planner.rewrite(query), node.alias or node.name, names, span=node.span)

    def windowed(self, select: syntax.Select) -> syntax.Select:
        """A SELECT with WINDOW or WITHIN as an input: the content of the continuous query that it would be."""
        positions = [n.as_of for n in syntax.walk(select) if isinstance(n, syntax.Relation) and n.as_of is not None]
        if len(set(positions)) > 1:
            raise SqlError(
                "a windowed SELECT is asked as of one point", positions[1].span, hint="write AS OF once, at the end"
            )

        def plain(node: syntax.Node) -> syntax.Node | None:
            return replace(node, as_of=None) if isinstance(node, syntax.Relation) and node.as_of is not None else None

        as_of = positions[0] if positions else self.as_of
        bound = bind_query(syntax.Query(syntax.rewrite(select, plain), emit=self.emit), self.known.at(as_of))
        name = self.add(None, out_of_order(bound.plan), bound.columns, as_of)
        return syntax.Select(
            items=(syntax.SelectItem(syntax.Star()),), source=syntax.Relation(Identifier(name, quoted=True))
        )

    def add(
        self,
        relation: Relation | None,
        plan: Plan,
        columns: tuple[Column, ...],
        as_of: syntax.AsOf | None,
        changes: syntax.Changes | None = None,
        key: Key = (),
    ) -> str:
        """The name of an input; the same relation at the same point is one input."""
        as_of = None if as_of is not None and as_of.kind == "latest" else as_of
        name = f"{relation.name if relation else 'windowed'}${len(self.inputs)}"
        wanted = Input(name, relation, plan, columns, as_of, changes, key)
        for known in self.inputs:
            if replace(known, name=name) == wanted:
                return known.name
        self.inputs.append(wanted)
        return name


def _is_within(item: syntax.FromItem | None) -> bool:
    """Whether FROM joins streams WITHIN a time."""
    if not isinstance(item, syntax.Join):
        return False
    return item.within is not None or _is_within(item.left) or _is_within(item.right)


def _named_items(query: syntax.Query) -> syntax.Query:
    """Gives each unnamed expression of the outermost select list its own text as a name, as continuous queries do."""
    body = query.body
    if isinstance(body, syntax.Query):
        return replace(query, body=_named_items(body))
    if not isinstance(body, syntax.Select):
        return query

    def name(item: syntax.SelectItem) -> syntax.SelectItem:
        if item.alias is not None or isinstance(item.expression, syntax.Star | syntax.Name):
            return item
        return replace(item, alias=Identifier(output_name(item), quoted=True))

    return replace(query, body=replace(body, items=tuple(name(i) for i in body.items)))
