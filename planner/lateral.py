"""LATERAL: a subquery in FROM that reads columns of what stands before it.

    a, LATERAL (SELECT x FROM b WHERE b.k = a.k ORDER BY x LIMIT 2) q

It is asked once for each value that it reads, rather than for each row: those values come first in its own FROM, and
belong to its groups, its DISTINCT and the partitions of its windows. The result is joined with `a` by them.

    values  SELECT DISTINCT k FROM a
    q       SELECT x, values.k FROM values, b WHERE b.k = values.k
              QUALIFY row_number() OVER (PARTITION BY values.k ORDER BY x) <= 2
    result  a JOIN q ON a.k IS NOT DISTINCT FROM q.k
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count
from typing import TypeVar

from headwater.errors import Unsupported
from headwater.parser import quote, syntax
from headwater.parser.syntax import Identifier
from headwater.planner.aggregates import is_grouped
from headwater.planner.expressions import bind_predicate, column_expression
from headwater.planner.from_items import BoundItem, aliased, prefixed
from headwater.planner.join_keys import KeyPair, own_items
from headwater.planner.joins import by_version, joined, refuse_same_alias
from headwater.planner.limit_rows import limit_rows
from headwater.planner.logical import Aggregate, Expression, Plan, Project
from headwater.planner.marks import null_safe
from headwater.planner.match_joins import inner_join, lookup_join, outer_join
from headwater.planner.names import names_in, with_names
from headwater.planner.prune import prune
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.subquery_rows import Binder, has_subquery, means, of_no_rows
from headwater.values import Column

T = TypeVar("T", bound=syntax.Node)

_VALUE = "$o{}".format  # names of the values, in order
_THERE = "$there"  # is true in each row of a result
_KEEPS_LEFT = ("INNER", "CROSS", "LEFT")


@dataclass(frozen=True, slots=True)
class Dependent:
    """The rows of a subquery for all values that it reads of the query around it.

    `item` shows the columns of the subquery, and hidden after them `values`, which are columns of the outer query, by
    the names `_VALUE(0)` … With `empty`, there is a row for each value in truth: what is missing has these values.
    """

    item: BoundItem
    values: tuple[Column, ...]
    empty: tuple[syntax.Expression | None, ...] | None

    @property
    def is_one_row(self) -> bool:
        """Whether there is one row at most for each value."""
        key = limit_rows(self.item.plan, frozenset()).key  # ORDER BY … LIMIT 1 keeps one of each value
        return self.empty is not None or (key is not None and {_VALUE(i) for i in range(len(self.values))} >= set(key))

    def keys(self, prefix: str) -> list[KeyPair]:
        """What the outer query is joined with it by, whose columns are called by `prefix` and their names."""
        named = [Column(f"{prefix}{_VALUE(i)}", c.type) for i, c in enumerate(self.values)]
        return [(null_safe(own), null_safe(other)) for own, other in zip(self.values, named, strict=True)]


def lateral_joined(item: syntax.Join, left: BoundItem, derived: syntax.Derived, binder: Binder) -> BoundItem:
    """The rows of `left`, each with the rows that a LATERAL subquery has for it."""
    if item.kind not in _KEEPS_LEFT or item.using or item.natural:
        raise Unsupported(f"{item.kind} JOIN of a LATERAL subquery is not supported in a continuous query", item.span,
                          hint="use a comma, JOIN … ON or LEFT JOIN … ON")  # fmt: skip
    left = prefixed(left)
    found = dependent(left, derived.query, binder, derived)
    if found is None:
        plain = aliased(binder.inner(derived.query, derived), _alias(derived), derived.columns)
        return joined(item, left, plain)
    right = prefixed(aliased(found.item, _alias(derived) or "$lateral", derived.columns))
    refuse_same_alias(item, left, right)
    prefix = f"{_alias(derived) or '$lateral'}."
    scope = Scope((*left.scope.columns, *(c for c in right.scope.columns if not c.hidden)))
    then = by_version(left, right)
    on = [] if item.on is None or item.on == syntax.Literal("boolean", "true") else [item.on]
    conditions = [bind_predicate(condition, scope, "ON") for condition in on]
    if found.empty is not None and (item.kind != "LEFT" or not conditions):
        plan = with_empty(lookup_join(left.plan, right.plan, found.keys(prefix), by_version=then), right, found, prefix)
        for condition in on:
            plan = binder.where(BoundItem(plan, scope), condition).plan
    elif found.empty is not None:
        raise Unsupported("LEFT JOIN of a LATERAL aggregate takes no condition in a continuous query", item.span,
                          hint="write ON true")  # fmt: skip
    elif item.kind == "LEFT":
        plan = outer_join("LEFT", left.plan, right.plan, found.keys(prefix), conditions, by_version=then)
    else:
        plan = inner_join(left.plan, right.plan, found.keys(prefix), conditions, by_version=then)
    return replace(left if then else BoundItem(plan, scope), plan=plan, scope=scope, is_join=True)


def with_empty(plan: Plan, right: BoundItem, found: Dependent, prefix: str) -> Plan:
    """A join with a result that has a row for each value, in which the rows that are missing have their values."""
    assert found.empty is not None
    there = quote(f"{prefix}{_THERE}")
    items = dict(own_items(plan))
    for column, empty in zip(right.scope.visible(), found.empty, strict=True):
        if empty is not None:
            sql = f"CASE WHEN {there} THEN {quote(column.internal)} ELSE CAST({_text(empty)} AS {column.type}) END"
            items[column.internal] = Expression(sql, column.type, (f"{prefix}{_THERE}", column.internal))
    return Project(plan, tuple(items.items()))


def _text(empty: syntax.Expression) -> str:
    assert isinstance(empty, syntax.Literal)
    return "'" + empty.text.replace("'", "''") + "'"


def _alias(derived: syntax.Derived) -> str | None:
    return derived.alias.text if derived.alias else None


# ---------------------------------------------------------------- the subquery


def dependent(outer: BoundItem, query: syntax.Query, binder: Binder, at: syntax.Node) -> Dependent | None:
    """A subquery for all values that it reads of `outer`; None if it reads none."""
    named = [name for name in names_in(query) if outer.scope.has(name)]
    inside = set(_aliases(query))
    foreign = [name for name in named if len(name.parts) == 1 or name.parts[0].text.lower() not in inside]
    columns = _columns(outer, foreign)
    if not columns:
        return None
    written = query.body
    if not isinstance(written, syntax.Select) or written.window is not None or query.ctes or query.limit is not None:
        raise Unsupported(
            "a subquery that reads the query around it is one SELECT in a continuous query", at.span,
            hint="put UNION, WITH or WINDOW into a subquery of its FROM, which reads nothing of the outside",
        )  # fmt: skip
    select, source, used = _over_values(written, outer, columns, binder)
    if not used:
        return None
    if len(_columns(outer, used)) < len(columns):  # some names turned out to be those of its own FROM
        columns = _columns(outer, used)
        select, source, _ = _over_values(written, outer, columns, binder)
    is_total = is_grouped(select) and not select.group_by
    empty = _empty(select) if is_total else None
    return Dependent(_hidden(binder.selected(_by_values(select, len(columns)), source)), columns, empty)


def _over_values(
    select: syntax.Select, outer: BoundItem, columns: tuple[Column, ...], binder: Binder
) -> tuple[syntax.Select, BoundItem, list[syntax.Name]]:
    """The SELECT reading values instead of columns of `outer`; its FROM with the values; and the names that were so."""
    alias = next(a for a in map("$outer{}".format, count()) if a not in binder.ctes)
    items = tuple((_VALUE(i), column_expression(c.name, c.type)) for i, c in enumerate(columns))
    values = prune(Aggregate(Project(outer.plan, items), tuple(name for name, _ in items), ()))
    scope = Scope(tuple(ScopeColumn(None, _VALUE(i), _VALUE(i), c.type, hidden=True) for i, c in enumerate(columns)))
    places = {c.name: i for i, c in enumerate(columns)}
    used: list[syntax.Name] = []

    def value(name: syntax.Name) -> syntax.Name:
        column, rest = outer.scope.resolve(name)
        used.append(name)
        own = (Identifier(alias, quoted=True), Identifier(_VALUE(places[column.internal]), quoted=True))
        return syntax.Name((*own, *rest), span=name.span)

    inside = set(_aliases(select))

    def in_from(node: syntax.Node) -> syntax.Node | None:
        if isinstance(node, syntax.TableFunction):
            return replace(node, call=with_names(node.call, foreign))
        return node if isinstance(node, syntax.Derived) else None

    def foreign(name: syntax.Name) -> syntax.Name:
        is_own = len(name.parts) == 1 and not isinstance(select.source, syntax.TableFunction)
        return name if is_own or name.parts[0].text.lower() in inside or not outer.scope.has(name) else value(name)

    relation = syntax.Relation(Identifier(alias, quoted=True))
    known, binder.ctes = binder.ctes, {**binder.ctes, alias: BoundItem(values, scope, is_history=True)}
    try:
        source = binder.from_item(
            relation if select.source is None else _after(relation, syntax.rewrite(select.source, in_from))
        )
    finally:
        binder.ctes = known
    own = Scope(tuple(c for c in source.scope.columns if c.relation != alias))
    is_plain = not has_subquery(replace(select, source=None))

    def change(name: syntax.Name) -> syntax.Name:
        is_outer = is_plain or (len(name.parts) > 1 and name.parts[0].text.lower() not in inside)
        return value(name) if is_outer and not means(name, own) and outer.scope.has(name) else name

    rest = with_names(replace(select, source=None), change)
    return replace(rest, source=relation), source, used


def _after(values: syntax.Relation, item: syntax.FromItem) -> syntax.FromItem:
    """FROM with the values first, so that all that follows may read them."""
    if isinstance(item, syntax.Join) and item.kind in _KEEPS_LEFT:
        return replace(item, left=_after(values, item.left))
    return syntax.Join("CROSS", values, item, span=item.span)


def _by_values(select: syntax.Select, number: int) -> syntax.Select:
    """The SELECT with the values among what it gives, groups by, and partitions by."""
    assert isinstance(select.source, syntax.Relation)
    alias = select.source.name
    names = tuple(syntax.Name((alias, Identifier(_VALUE(i), quoted=True)), span=select.span) for i in range(number))

    def partitioned(node: syntax.Node) -> syntax.Node | None:
        if isinstance(node, syntax.WindowSpec) and node.base is None:
            return replace(node, partition_by=(*names, *node.partition_by))
        return None

    items = tuple(syntax.SelectItem(n, Identifier(_VALUE(i), quoted=True)) for i, n in enumerate(names))
    there = syntax.SelectItem(syntax.Literal("boolean", "true"), Identifier(_THERE, quoted=True))
    by_all = any(isinstance(key, syntax.All) for key in select.group_by)
    keys = (*select.group_by, *names) if is_grouped(select) and not by_all else select.group_by
    select = syntax.rewrite(replace(select, source=None), partitioned)
    return replace(select, items=(*select.items, *items, there), group_by=keys, source=None)


def _hidden(item: BoundItem) -> BoundItem:
    """A result in which the values are hidden."""
    own = {_THERE, *(c.name for c in item.plan.columns if c.name.startswith("$o"))}
    return replace(item, scope=Scope(tuple(replace(c, hidden=c.hidden or c.name in own) for c in item.scope.columns)))


def _empty(select: syntax.Select) -> tuple[syntax.Expression | None, ...]:
    """What an aggregate of all rows gives where there are none."""
    if select.having is not None:
        raise Unsupported("HAVING without GROUP BY cannot read the query around it", select.having.span,
                          hint="put the condition into WHERE around it")  # fmt: skip
    return tuple(of_no_rows(item.expression) for item in select.items)


def _columns(outer: BoundItem, names: list[syntax.Name]) -> tuple[Column, ...]:
    """The columns of `outer` that names mean, each once."""
    found = {c.internal: Column(c.internal, c.type) for c in (outer.scope.resolve(name)[0] for name in names)}
    return tuple(found.values())


def _aliases(node: syntax.Node) -> Iterator[str]:
    """The names, in lower case, that items of FROM inside `node` go by."""
    for inner in syntax.walk(node):
        match inner:
            case syntax.Relation(alias=alias, name=name):
                yield (alias or name).text.lower()
            case syntax.Derived(alias=Identifier(text=text)) | syntax.TableFunction(alias=Identifier(text=text)):
                yield text.lower()
