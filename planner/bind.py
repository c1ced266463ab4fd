"""Binding: the AST of a query and a catalog → a logical plan whose every name and type is resolved.

This is for continuous queries, which the executor keeps up to date. Snapshot queries go to DuckDB (`snapshot.py`).
Relations that are themselves derived are replaced by their plans, so that a plan reads logs of source relations only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from headwater.errors import OutOfRange, SqlError, Unsupported
from headwater.parser import syntax
from headwater.planner.aggregates import bind_grouping, is_grouped, with_aliases
from headwater.planner.array_queries import with_lists
from headwater.planner.asof import asof_joined
from headwater.planner.calls import with_duckdb_calls
from headwater.planner.catalog import PSEUDO_TYPES, Catalog, Relation, View
from headwater.planner.change_rows import ChangeSource, changes_as_stream, changes_of, with_change_columns
from headwater.planner.closing import Closing, closing_of, final_select, silence_of
from headwater.planner.constants import values, without_from
from headwater.planner.expressions import bind_predicate, column_expression
from headwater.planner.first_rows import is_only_ordered, unordered, with_row_numbers
from headwater.planner.from_items import CARRIED, BoundItem, aliased, stream_item, table_item
from headwater.planner.joins import joined
from headwater.planner.lateral import lateral_joined
from headwater.planner.latest import latest
from headwater.planner.logical import (
    EVENT_TIME,
    PARTITION,
    STREAM_TIME,
    Aggregate,
    Changelog,
    Filter,
    Plan,
    Project,
    StreamTime,
    WindowAssign,
)
from headwater.planner.optimize import optimize
from headwater.planner.over import has_window_call, with_window_calls
from headwater.planner.qualified import with_short_names
from headwater.planner.recursion import is_recursive, recursive_item
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.select_list import expand_items, named
from headwater.planner.sessions import with_bounds, with_sessions, without_bounds
from headwater.planner.set_operations import combined
from headwater.planner.starts import refuse_start, started
from headwater.planner.state_bounds import keeps_state
from headwater.planner.subqueries import where, with_values
from headwater.planner.subquery_rows import has_subquery
from headwater.planner.temporal import temporal_joined, without_time_of_row
from headwater.planner.temporal_filters import refuse_join_with_now, with_now
from headwater.planner.unnesting import elements, is_unnest, joined_elements, with_unnested
from headwater.planner.unsupported import refuse_continuous
from headwater.planner.user_functions import functions_in
from headwater.planner.window_functions import check_lengths, grace_of, windowed_item
from headwater.values import PSEUDO_COLUMNS, ROWPARTITION, ROWTIME, WINDOWEND, WINDOWSTART, Column


@dataclass(frozen=True)
class BoundQuery:
    """A continuous query: its plan, the columns it shows, the ids of the relations, views and functions that it names,
    and its LIMIT.

    The plan's columns are `columns` followed, for a stream of so many `partitions`, by EVENT_TIME and PARTITION.
    """

    plan: Plan
    columns: tuple[Column, ...]
    reads: tuple[int, ...]
    is_stream: bool
    partitions: int = 1
    limit: int | None = None
    views: tuple[int, ...] = ()
    functions: tuple[int, ...] = ()


def bind_query(
    query: syntax.Query,
    catalog: Catalog,
    *,
    stored: bool = False,
    watched: bool = False,
    as_table: bool = False,
    as_stream: bool = False,
    names_windows: bool = True,
    idle_us: int | None = None,
    without: frozenset[str] = frozenset(),
) -> BoundQuery:
    """The plan of a continuous query. Raises SqlError with the span of what cannot be bound.

    `stored` reads derived tables from their changelogs instead of computing them, and `watched` allows CHANGES (for a
    query that only watches).
    `as_table`, for a query that a table keeps, puts WINDOWSTART and WINDOWEND in front of a windowed query's columns if
    it does not name them, and leaves out an ORDER BY, as a table has no order. `as_stream`, for a query that a stream
    keeps, names them too, unless `names_windows` is false, and makes records of the windows of EMIT FINAL.
    `idle_us` is after how long a silence windows close without rows; None for never.
    `without` names rewrites of the plan that are left out.
    """
    refuse_continuous(query)
    query = with_short_names(query)
    binder = _Binder(catalog, stored, watched, (as_table or as_stream) and names_windows, as_stream, idle_us)
    functions = functions_in(query, catalog.functions)
    if as_table and is_only_ordered(query):
        query = binder.unordered(query)
    query = with_row_numbers(with_lists(with_duckdb_calls(query, catalog.functions)))
    limit = _limit(query)
    source = binder.query(query)
    plan = optimize(source.plan, frozenset(binder.shared), without)
    refuse_join_with_now(plan, query)
    columns = tuple(c for c in plan.columns if c.name not in CARRIED)
    reads, views = tuple(sorted(binder.reads)), tuple(sorted(binder.views))
    return BoundQuery(plan, columns, reads, source.is_stream, source.partitions, limit, views, functions)


def _limit(query: syntax.Query) -> int | None:
    if query.offset is not None:
        raise Unsupported("OFFSET needs ORDER BY and LIMIT in a continuous query", query.offset.span)
    if query.limit is None:
        return None
    if not isinstance(query.limit, syntax.Literal) or not query.limit.text.isdigit():
        raise Unsupported("LIMIT takes a whole number in a continuous query", query.limit.span)
    return int(query.limit.text)


class _Binder:
    """Binds one query; collects the ids of the relations that it names in `reads`, and in `shared` their plans.

    A plan of a derived relation that keeps a state is shared: its operators run already. One without is only text.
    """

    def __init__(
        self,
        catalog: Catalog,
        stored: bool,
        watched: bool,
        keeps_window: bool,
        as_stream: bool,
        idle_us: int | None,
    ) -> None:
        self.catalog = catalog
        self.stored = stored
        self.watched = watched
        self.keeps_window = keeps_window
        self.as_stream = as_stream
        self.idle_us = idle_us
        self.reads: set[int] = set()
        self.views: set[int] = set()
        self.shared: set[Plan] = set()
        self.ctes: dict[str, BoundItem] = {}  # those in reach, by their names in lower case
        self.without_time = False  # whether streams are read as the tables of their rows: in a recursive term

    def unordered(self, query: syntax.Query) -> syntax.Query:
        """`query` without its ORDER BY, which is looked at all the same: it must name what is there."""
        if not any(isinstance(item.expression, syntax.All) for item in query.order_by):
            first = replace(query, limit=syntax.Literal("number", "1"))
            self.query(with_row_numbers(with_lists(with_duckdb_calls(first, self.catalog.functions))))
        return unordered(query)

    def query(self, query: syntax.Query) -> BoundItem:
        outer = self.ctes
        for cte in query.ctes:
            item = self.recursive(cte) if query.recursive and is_recursive(cte) else self.inner(cte.query, cte)
            self.ctes = {**self.ctes, cte.name.text.lower(): aliased(item, cte.name.text, cte.columns)}
        try:
            return self.body(query)
        finally:
            self.ctes = outer

    def inner(self, query: syntax.Query, at: syntax.Node) -> BoundItem:
        """A query inside another one."""
        if query.limit is not None or query.offset is not None:
            raise Unsupported("LIMIT inside a continuous query needs ORDER BY, which says what rows", at.span)
        return self.query(query)

    def recursive(self, cte: syntax.CommonTable) -> BoundItem:
        """A query of WITH RECURSIVE that reads itself."""

        def bind(part: syntax.QueryBody, itself: BoundItem | None) -> BoundItem:
            outer, known = self.ctes, self.without_time
            if itself is not None:
                self.ctes, self.without_time = {**outer, cte.name.text.lower(): itself}, True
            try:
                return self.part(part)
            finally:
                self.ctes, self.without_time = outer, known

        return recursive_item(cte, bind)

    def body(self, query: syntax.Query) -> BoundItem:
        if query.as_of is not None:
            raise OutOfRange("AS OF asks about the past; a continuous query has no past to stop at", query.as_of.span)
        if query.emit == "FINAL":
            return self.select(final_select(query), is_final=True)
        return self.part(query.body)

    def part(self, body: syntax.QueryBody) -> BoundItem:
        """The body of a query, or a side of a set operation."""
        match body:
            case syntax.Select():
                return self.select(body)
            case syntax.SetOperation():
                return combined(body, self.part(body.left), self.part(body.right))
            case syntax.Query():
                return self.inner(body, body)
            case syntax.Values():
                return values(body)

    def select(self, select: syntax.Select, *, is_final: bool = False) -> BoundItem:
        source = without_from(select) if select.source is None else self.from_item(select.source)
        return self.selected(select, source, is_final=is_final)

    def selected(self, select: syntax.Select, source: BoundItem, *, is_final: bool = False) -> BoundItem:
        """A SELECT over the rows of its FROM."""
        closing = None
        if select.window is not None:
            source = _with_stream_time(source, select.window, self.idle_us)
            closing = closing_of(source, select.window)
        condition = select.where
        if condition is not None:
            timed, condition = with_now(source, condition)
            if timed is not source and select.window is not None:
                raise Unsupported(
                    "now() in WHERE makes a table, and a WINDOW needs a stream", select.window.span,
                    hint="write now() in a query over the windows: SELECT … FROM (… WINDOW …) WHERE WINDOWEND > now()",
                )  # fmt: skip
            source = timed
        if condition is not None:
            source = where(source, condition, self)
        if select.window is not None:
            source = _with_windows(source, select, select.window)
        if is_grouped(select):
            return self.grouped(select, source, closing, is_final=is_final)
        if select.window is not None:
            raise SqlError("WINDOW needs a GROUP BY", select.window.span, hint="add GROUP BY …, or drop the WINDOW")
        return self.shown(select, source)

    def grouped(
        self, select: syntax.Select, source: BoundItem, closing: Closing | None, *, is_final: bool
    ) -> BoundItem:
        window = (WINDOWSTART, WINDOWEND) if closing is not None else ()
        grouping = bind_grouping(select, source.plan, source.scope, window, closing)
        select = grouping.select
        if window and self.keeps_window:
            names = {i.expression.parts[0].text for i in select.items if isinstance(i.expression, syntax.Name)}
            kept = tuple(syntax.SelectItem(_column_name(w)) for w in window if w not in names)
            select = replace(select, items=(*kept, *select.items))
        shown = grouping.plan if closing is None else closing.shown(grouping.plan, is_final=is_final)
        groups = BoundItem(shown, grouping.scope)
        if closing is not None and is_final and self.as_stream and shown.append_only:
            groups = closing.records(groups)
        if select.having is not None:
            groups = where(groups, select.having, self, "HAVING")
        return self.shown(select, groups)

    def shown(self, select: syntax.Select, source: BoundItem) -> BoundItem:
        """The select list over `source`, in which subqueries may stand for values."""
        if any(has_subquery(item) for item in select.items):
            source, items = with_values(source, named(select.items, source.scope), self)
            select = replace(select, items=items)
        if any(is_unnest(node) for item in select.items for node in syntax.walk(item)):
            source, items = with_unnested(source, named(select.items, source.scope))
            select = replace(select, items=items)
        return _shown(select, source)

    def where(self, source: BoundItem, condition: syntax.Expression) -> BoundItem:
        """The rows for which a condition holds, in which subqueries may stand."""
        return where(source, condition, self)

    # ---------------------------------------------------------------- FROM

    def from_item(self, item: syntax.FromItem) -> BoundItem:
        match item:
            case syntax.Relation():
                return self.relation(item)
            case syntax.Derived():
                inner = self.inner(item.query, item)
                return aliased(inner, item.alias.text if item.alias else None, item.columns)
            case syntax.Join() if item.kind.startswith("ASOF"):
                return asof_joined(item, self.from_item(item.left), self.from_item(item.right))
            case syntax.Join(right=syntax.Derived(lateral=True) as derived):
                return lateral_joined(item, self.from_item(item.left), derived, self)
            case syntax.Join(right=syntax.TableFunction() as function):
                return joined_elements(item, self.from_item(item.left), function)
            case syntax.Join():
                right, as_of = without_time_of_row(item.right)
                sides = self.from_item(item.left), self.from_item(right)
                return joined(item, *sides) if as_of is None else temporal_joined(item, *sides, as_of)
            case syntax.WindowFunction():
                return windowed_item(item, self.from_item(item.source))
            case syntax.TableFunction():
                return elements(item)

    def relation(self, item: syntax.Relation) -> BoundItem:
        if item.as_of is not None and item.as_of.kind == "column":
            raise SqlError(
                "FOR SYSTEM_TIME AS OF a column stands on the right side of a join", item.as_of.span,
                hint="write stream s JOIN table FOR SYSTEM_TIME AS OF s.time ON …",
            )  # fmt: skip
        if item.as_of is not None:
            raise OutOfRange("AS OF asks about the past; a continuous query cannot use it", item.as_of.span)
        changes = changes_of(item)
        if changes is not None:
            return self.changes(item, changes)
        if item.read_as == "TABLE":
            return self.from_item(latest(item, self.catalog.find(item.name), item.name))
        cte = self.ctes.get(item.name.text.lower())
        if cte is not None:
            refuse_start(item, is_stream=False)
            return aliased(cte, item.alias.text if item.alias else item.name.text, item.columns)
        view = self.catalog.view(item.name)
        if view is not None:
            refuse_start(item, is_stream=False)
            return self.view(item, view)
        relation = self.catalog.find(item.name)
        self.reads.add(relation.id)
        plan = started(self.relation_plan(relation), item, is_stream=relation.is_stream)
        alias = item.alias.text if item.alias else relation.name
        columns = tuple(ScopeColumn(alias, c.name, c.name, c.type, c.name in PSEUDO_COLUMNS) for c in plan.columns)
        if relation.is_stream and self.without_time:
            return aliased(BoundItem(plan, Scope(columns), is_history=True), alias, item.columns)
        if relation.is_stream:
            stream = BoundItem(plan, Scope(columns), ROWTIME, ROWPARTITION, partitions=relation.partitions)
            return aliased(stream, alias, item.columns)
        return aliased(BoundItem(plan, Scope(columns)), alias, item.columns)

    def changes(self, item: syntax.Relation, changes: syntax.Changes) -> BoundItem:
        """The changes of a relation as a table to which rows are added."""
        if item.name.text.lower() in self.ctes:
            raise SqlError(f'"{item.name.text}" is a query, which has no changes', item.span)
        if not self.watched:
            table = self.relation(syntax.Relation(item.name, start=item.start, span=item.span))
            rows = changes_as_stream(item, changes, table)
            return aliased(rows, item.alias.text if item.alias else item.name.text, item.columns)
        if changes.end is not None:
            raise SqlError(
                "TO ends the changes, and EMIT CHANGES goes on with them",
                changes.end.span,
                hint="leave one of them out",
            )
        if self.catalog.view(item.name) is not None:
            raise Unsupported(
                "the changes of a view cannot be watched as rows yet", item.span,
                hint=f"watch the view itself: SELECT … FROM {item.name.text} EMIT CHANGES",
            )  # fmt: skip
        relation = self.catalog.find(item.name)
        self.reads.add(relation.id)
        shown = with_change_columns(relation.columns, item)
        pseudo = PSEUDO_TYPES if relation.is_stream else ()
        plan = ChangeSource(relation.id, relation.name, (*shown, *pseudo), since=changes.start)
        alias = item.alias.text if item.alias else relation.name
        columns = tuple(ScopeColumn(alias, c.name, c.name, c.type, c in pseudo) for c in plan.columns)
        return aliased(BoundItem(plan, Scope(columns)), alias, item.columns)

    def view(self, item: syntax.Relation, view: View) -> BoundItem:
        """The query of a view, in which only the catalog's names are known."""
        outer, self.ctes = self.ctes, {}
        try:
            refuse_continuous(view.query)
            query = with_lists(with_duckdb_calls(unordered(with_short_names(view.query)), self.catalog.functions))
            inner = self.inner(with_row_numbers(query), item)
        except SqlError as error:
            error.message, error.span = f'in view "{view.name}": {error.message}', item.span
            raise
        finally:
            self.ctes = outer
        self.views.add(view.id)
        names = (*item.columns, *view.columns[len(item.columns) :])
        return aliased(inner, item.alias.text if item.alias else view.name, names)

    def relation_plan(self, relation: Relation) -> Plan:
        if self.stored and relation.is_derived:
            if relation.is_stream:
                return relation.source()
            return Changelog(relation.id, relation.name, relation.columns, relation.key)
        plan = relation.content()
        if relation.is_derived and keeps_state(plan):
            self.shared.add(plan)
        return plan


def _shown(select: syntax.Select, source: BoundItem) -> BoundItem:
    """The rows of `source`, as they are or grouped, after window functions, QUALIFY, the select list and DISTINCT."""
    if has_window_call((select.items, select.qualify)):
        source, select = _with_window_functions(source, select)
    elif select.qualify is not None:
        raise SqlError("QUALIFY needs a window function", select.qualify.span, hint="use WHERE or HAVING")
    items = expand_items(select.items, source.scope)
    if select.distinct:
        plan = Project(source.plan, items)
        return table_item(Aggregate(plan, plan.names, ()))
    if source.time is None or source.partition is None:
        return replace(table_item(Project(source.plan, items)), is_history=source.is_history)
    time = (EVENT_TIME, column_expression(source.time, "TIMESTAMP"))
    partition = (PARTITION, column_expression(source.partition, "INTEGER"))
    return stream_item(Project(source.plan, (*items, time, partition)), source.partitions)


def _with_window_functions(source: BoundItem, select: syntax.Select) -> tuple[BoundItem, syntax.Select]:
    """What a SELECT with window functions reads, now a table, and the SELECT, in which they are columns of that."""
    qualify = with_aliases(select.qualify, select, source.scope)
    parts = (named(select.items, source.scope), qualify)
    (items, qualify), plan, scope = with_window_calls(parts, select.windows, source.plan, source.scope)
    if qualify is not None:
        plan = Filter(plan, bind_predicate(qualify, scope, "QUALIFY"))
    return BoundItem(plan, scope), replace(select, items=items, qualify=None)


def _column_name(column: str) -> syntax.Name:
    return syntax.Name((syntax.Identifier(column, quoted=True),))


def _with_stream_time(source: BoundItem, window: syntax.Window, idle_us: int | None) -> BoundItem:
    """Stream time is that of the rows of FROM, before WHERE: a row moves it even when it is filtered out."""
    source = without_bounds(source)
    if source.time is None or source.partition is None:
        raise SqlError(
            "WINDOW needs a stream, whose rows have an event time", window.span, hint="window the stream itself"
        )
    silence = None if idle_us is None else silence_of(source, window, idle_us)
    plan = StreamTime(source.plan, source.time, source.partition, clock=silence)
    return replace(source, plan=plan, stream_time=STREAM_TIME, is_join=False)


def _with_windows(source: BoundItem, select: syntax.Select, window: syntax.Window) -> BoundItem:
    if source.time is None or source.stream_time is None:
        raise SqlError(
            "WINDOW needs a stream, and rows that are joined with a stream's whole past are a table", window.span
        )
    if window.kind == "SESSION":
        return with_sessions(source, select, window)
    check_lengths(window.size_us, window.advance_us, window.span)
    grace_us = grace_of(window)
    plan = WindowAssign(source.plan, source.time, source.stream_time, window.size_us, window.advance_us, grace_us)
    return with_bounds(source, plan)
