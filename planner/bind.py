"""Binding: the AST of a query and a catalog → a logical plan whose every name and type is resolved.

This is for continuous queries, which the executor keeps up to date. Snapshot queries go to DuckDB (`snapshot.py`).
Relations that are themselves derived are replaced by their plans, so that a plan reads logs of source relations only.
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.errors import OutOfRange, SqlError, TypeProblem, Unsupported
from headwater.parser import syntax
from headwater.planner.aggregates import bind_grouping, is_grouped
from headwater.planner.calls import with_duckdb_calls
from headwater.planner.catalog import Catalog, Relation
from headwater.planner.expressions import bind_expression, bind_predicate, column_expression, conjuncts
from headwater.planner.join_keys import same_type, with_keys
from headwater.planner.logical import (
    EVENT_TIME,
    PARTITION,
    STREAM_TIME,
    Aggregate,
    Changelog,
    Expression,
    Filter,
    Join,
    Plan,
    Project,
    StreamTime,
    WindowAssign,
)
from headwater.planner.optimize import optimize
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.select_list import expand_items, unique_names
from headwater.planner.sql_types import common_type
from headwater.planner.state_bounds import keeps_state
from headwater.planner.unsupported import refuse_continuous
from headwater.values import PSEUDO_COLUMNS, ROWPARTITION, ROWTIME, WINDOWEND, WINDOWSTART, Column

CARRIED = {EVENT_TIME: ROWTIME, PARTITION: ROWPARTITION}  # hidden columns of a stream's plan, and what they are called

DEFAULT_GRACE_US = 24 * 3600 * 1_000_000  # a window without GRACE PERIOD stays open for a day, as in ksqlDB


@dataclass(frozen=True)
class BoundItem:
    """A bound FROM item: its plan, what can be named, and for a stream the columns of its event time and partition."""

    plan: Plan
    scope: Scope
    time: str | None = None
    partition: str | None = None
    stream_time: str | None = None

    @property
    def is_stream(self) -> bool:
        return self.time is not None


@dataclass(frozen=True)
class BoundQuery:
    """A continuous query: its plan, the columns it shows, the ids of the relations it names, and its LIMIT.

    The plan's columns are `columns` followed, for a stream, by EVENT_TIME and PARTITION.
    """

    plan: Plan
    columns: tuple[Column, ...]
    reads: tuple[int, ...]
    is_stream: bool
    limit: int | None = None


def bind_query(
    query: syntax.Query,
    catalog: Catalog,
    *,
    stored: bool = False,
    keep_window: bool = False,
    without: frozenset[str] = frozenset(),
) -> BoundQuery:
    """The plan of a continuous query. Raises SqlError with the span of what cannot be bound.

    `stored` reads derived tables from their changelogs instead of computing them (for a query that only watches).
    `keep_window` puts WINDOWSTART and WINDOWEND in front of a windowed query's columns if it does not name them.
    `without` names rewrites of the plan that are left out.
    """
    refuse_continuous(query)
    binder = _Binder(catalog, stored, keep_window)
    limit = _limit(query)
    if query.order_by:
        raise Unsupported(
            "ORDER BY is not supported in a continuous query",
            query.order_by[0].span,
            hint="keep the table unordered, and order it when you ask: SELECT … FROM it ORDER BY …",
        )
    source = binder.query(with_duckdb_calls(query))
    plan = optimize(source.plan, frozenset(binder.shared), without)
    columns = tuple(c for c in plan.columns if c.name not in CARRIED)
    return BoundQuery(plan, columns, tuple(sorted(binder.reads)), source.is_stream, limit)


def _limit(query: syntax.Query) -> int | None:
    if query.offset is not None:
        raise Unsupported("OFFSET is not supported in a continuous query", query.offset.span)
    if query.limit is None:
        return None
    if not isinstance(query.limit, syntax.Literal) or not query.limit.text.isdigit():
        raise Unsupported("LIMIT takes a whole number in a continuous query", query.limit.span)
    return int(query.limit.text)


class _Binder:
    """Binds one query; collects the ids of the relations that it names in `reads`, and in `shared` their plans.

    A plan of a derived relation that keeps a state is shared: its operators run already. One without is only text.
    """

    def __init__(self, catalog: Catalog, stored: bool, keep_window: bool) -> None:
        self.catalog = catalog
        self.stored = stored
        self.keep_window = keep_window
        self.reads: set[int] = set()
        self.shared: set[Plan] = set()

    def query(self, query: syntax.Query) -> BoundItem:
        if query.ctes:
            raise Unsupported("WITH is not supported in a continuous query yet", query.ctes[0].span)
        if query.emit == "FINAL":
            raise Unsupported("EMIT FINAL is not supported yet", query.span, hint="use EMIT CHANGES")
        if query.as_of is not None:
            raise OutOfRange("AS OF asks about the past; a continuous query has no past to stop at", query.as_of.span)
        if isinstance(query.body, syntax.Query):
            return self.query(query.body)
        if not isinstance(query.body, syntax.Select):
            what = query.body.operator if isinstance(query.body, syntax.SetOperation) else "VALUES"
            raise Unsupported(f"{what} is not supported in a continuous query yet", query.body.span)
        return self.select(query.body)

    def select(self, select: syntax.Select) -> BoundItem:
        if select.source is None:
            raise Unsupported("a continuous query needs FROM a stream or table", select.span)
        source = self.from_item(select.source)
        if select.window is not None:
            source = _with_stream_time(source, select.window)
        if select.where is not None:
            source = _replace_plan(source, Filter(source.plan, bind_predicate(select.where, source.scope, "WHERE")))
        if select.window is not None:
            source = _with_windows(source, select.window)
        if is_grouped(select):
            return self.grouped(select, source)
        if select.window is not None:
            raise SqlError("WINDOW needs a GROUP BY", select.window.span, hint="add GROUP BY …, or drop the WINDOW")
        items = expand_items(select.items, source.scope)
        if select.distinct:
            plan = Project(source.plan, items)
            return _table(Aggregate(plan, plan.names, ()))
        if source.time is None or source.partition is None:
            return _table(Project(source.plan, items))
        time = (EVENT_TIME, column_expression(source.time, "TIMESTAMP"))
        partition = (PARTITION, column_expression(source.partition, "INTEGER"))
        return _stream(Project(source.plan, (*items, time, partition)))

    def grouped(self, select: syntax.Select, source: BoundItem) -> BoundItem:
        window = (WINDOWSTART, WINDOWEND) if select.window is not None else ()
        grouping = bind_grouping(select, source.plan, source.scope, window)
        plan: Plan = grouping.aggregate
        if grouping.having is not None:
            plan = Filter(plan, grouping.having)
        items = grouping.items
        if window and self.keep_window:
            named = {e.reads[0] for _, e in items if e.is_column}
            kept = tuple((w, column_expression(w, "TIMESTAMP")) for w in window if w not in named)
            items = unique_names((*kept, *items))
        plan = Project(plan, items)
        if select.distinct:
            plan = Aggregate(plan, plan.names, ())
        return _table(plan)

    # ---------------------------------------------------------------- FROM

    def from_item(self, item: syntax.FromItem) -> BoundItem:
        match item:
            case syntax.Relation():
                return self.relation(item)
            case syntax.Derived():
                inner = self.query(item.query)
                if item.query.order_by or item.query.limit is not None:
                    raise Unsupported("ORDER BY and LIMIT inside a continuous query are not supported yet", item.span)
                return _aliased(inner, item.alias.text if item.alias else None)
            case syntax.Join():
                return self.join(item)
            case syntax.TableFunction() | syntax.WindowFunction():
                raise Unsupported("a function in FROM is not supported in a continuous query yet", item.span)

    def relation(self, item: syntax.Relation) -> BoundItem:
        if item.as_of is not None:
            raise OutOfRange("AS OF asks about the past; a continuous query cannot use it", item.as_of.span)
        relation = self.catalog.find(item.name)
        self.reads.add(relation.id)
        plan = self.relation_plan(relation)
        alias = item.alias.text if item.alias else relation.name
        columns = tuple(ScopeColumn(alias, c.name, c.name, c.type, c.name in PSEUDO_COLUMNS) for c in plan.columns)
        if relation.is_stream:
            return BoundItem(plan, Scope(columns), ROWTIME, ROWPARTITION)
        return BoundItem(plan, Scope(columns))

    def relation_plan(self, relation: Relation) -> Plan:
        if self.stored and relation.is_derived:
            if relation.is_stream:
                return relation.source()
            return Changelog(relation.id, relation.name, relation.columns, relation.key)
        plan = relation.content()
        if relation.is_derived and keeps_state(plan):
            self.shared.add(plan)
        return plan

    def join(self, item: syntax.Join) -> BoundItem:
        if item.kind not in ("INNER", "CROSS"):
            raise Unsupported(
                f"{item.kind} JOIN is not supported in a continuous query yet", item.span, hint="use JOIN"
            )
        left, right = _prefixed(self.from_item(item.left)), _prefixed(self.from_item(item.right))
        both = {c.relation for c in left.scope.columns} & {c.relation for c in right.scope.columns}
        if both:
            raise SqlError(
                f'"{both.pop()}" stands on both sides of the join', item.span, hint="give each its own alias"
            )
        if left.is_stream and right.is_stream:
            raise Unsupported(
                "a join of two streams is not supported yet", item.span, hint="keep one of them as a table"
            )
        if right.is_stream:
            left, right = right, left
        keys, rest = self.join_condition(item, left.scope, right.scope)
        left_plan, left_keys = with_keys(left.plan, tuple(k[0] for k in keys), "l")
        right_plan, right_keys = with_keys(right.plan, tuple(k[1] for k in keys), "r")
        plan: Plan = Join(left_plan, right_plan, left_keys, right_keys, by_version=left.is_stream)
        scope = Scope(left.scope.columns + right.scope.columns)
        for condition in rest:
            plan = Filter(plan, bind_predicate(condition, scope, "ON"))
        if item.using:
            hidden = {u.text.lower() for u in item.using}
            scope = Scope(left.scope.columns + tuple(c for c in right.scope.columns if c.name.lower() not in hidden))
        return BoundItem(plan, scope, left.time, left.partition, left.stream_time)

    def join_condition(
        self, item: syntax.Join, left: Scope, right: Scope
    ) -> tuple[list[tuple[Expression, Expression]], list[syntax.Expression]]:
        """Equalities between the sides as pairs of keys of one type, and the conditions that remain."""
        keys: list[tuple[Expression, Expression]] = []
        rest: list[syntax.Expression] = []
        for column in item.using:
            name = syntax.Name((column,), span=column.span)
            keys.append(_same_type(bind_expression(name, left), bind_expression(name, right), column))
        for condition in conjuncts(item.on) if item.on is not None else ():
            pair = _equality(condition, left, right)
            if pair is None:
                rest.append(condition)
            else:
                keys.append(_same_type(*pair, condition))
        return keys, rest


def _table(plan: Plan) -> BoundItem:
    return BoundItem(plan, Scope(tuple(ScopeColumn(None, c.name, c.name, c.type) for c in plan.columns)))


def _stream(plan: Plan) -> BoundItem:
    """A stream as a FROM item: event time and partition go by the names of pseudo-columns, if no column has them."""
    shown = [ScopeColumn(None, c.name, c.name, c.type) for c in plan.columns if c.name not in CARRIED]
    taken = {column.name.upper() for column in shown}
    types = {c.name: c.type for c in plan.columns}
    hidden = [ScopeColumn(None, n, c, types[c], hidden=True) for c, n in CARRIED.items() if n not in taken]
    return BoundItem(plan, Scope((*shown, *hidden)), EVENT_TIME, PARTITION)


def _aliased(source: BoundItem, alias: str | None) -> BoundItem:
    columns = tuple(ScopeColumn(alias, c.name, c.internal, c.type, c.hidden) for c in source.scope.columns)
    return BoundItem(source.plan, Scope(columns), source.time, source.partition, source.stream_time)


def _replace_plan(source: BoundItem, plan: Plan) -> BoundItem:
    return BoundItem(plan, source.scope, source.time, source.partition, source.stream_time)


def _prefixed(source: BoundItem) -> BoundItem:
    """One side of a join, with its columns renamed to `alias.column` so that both sides' names are distinct."""
    if any("." in c.internal for c in source.scope.columns):
        return source
    internal = {c.internal: f"{c.relation}.{c.internal}" for c in source.scope.columns}
    items = tuple(
        (internal[c.name], column_expression(c.name, c.type)) for c in source.plan.columns if c.name in internal
    )
    columns = tuple(
        ScopeColumn(c.relation, c.name, internal[c.internal], c.type, c.hidden) for c in source.scope.columns
    )
    time, partition = internal.get(source.time or ""), internal.get(source.partition or "")
    return BoundItem(Project(source.plan, items), Scope(columns), time, partition)


def _equality(condition: syntax.Expression, left: Scope, right: Scope) -> tuple[Expression, Expression] | None:
    if not (isinstance(condition, syntax.Binary) and condition.operator == "="):
        return None
    for a, b in ((condition.left, condition.right), (condition.right, condition.left)):
        if _belongs(a, left) and _belongs(b, right):
            return bind_expression(a, left), bind_expression(b, right)
    return None


def _belongs(expression: syntax.Expression, scope: Scope) -> bool:
    names = [n for n in syntax.walk(expression) if isinstance(n, syntax.Name)]
    return bool(names) and all(scope.has(n) for n in names)


def _same_type(a: Expression, b: Expression, at: syntax.Node) -> tuple[Expression, Expression]:
    pair = same_type(a, b, at)
    if pair is None:
        if "VARCHAR" not in (a.type, b.type):
            common_type(a.type, b.type, at.span)  # what is wrong with them
        raise TypeProblem(f"cannot join {a.type} with {b.type}", at.span, hint="cast one side")
    return pair


def _with_stream_time(source: BoundItem, window: syntax.Window) -> BoundItem:
    """Stream time is that of the rows of FROM, before WHERE: a row moves it even when it is filtered out."""
    if source.time is None or source.partition is None:
        raise SqlError(
            "WINDOW needs a stream, whose rows have an event time", window.span, hint="window the stream itself"
        )
    plan = StreamTime(source.plan, source.time, source.partition)
    return BoundItem(plan, source.scope, source.time, source.partition, STREAM_TIME)


def _with_windows(source: BoundItem, window: syntax.Window) -> BoundItem:
    assert source.time is not None and source.stream_time is not None
    if window.size_us <= 0 or window.advance_us <= 0:
        raise SqlError("a window's SIZE and ADVANCE BY must be longer than nothing", window.span)
    if window.advance_us > window.size_us:
        raise SqlError(
            "ADVANCE BY must not be longer than SIZE", window.span, hint="rows between two windows would be lost"
        )
    grace = DEFAULT_GRACE_US if window.grace_us is None else window.grace_us
    plan = WindowAssign(source.plan, source.time, source.stream_time, window.size_us, window.advance_us, grace)
    bounds = tuple(ScopeColumn(None, n, n, "TIMESTAMP", hidden=True) for n in (WINDOWSTART, WINDOWEND))
    return BoundItem(plan, Scope((*source.scope.columns, *bounds)), source.time, source.partition, source.stream_time)
