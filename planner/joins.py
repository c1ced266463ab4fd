"""JOIN … ON, USING and NATURAL, bound: which kind of join two items of FROM make, and what can be named in it.

Two tables are joined as they are, which is SQL's join. A row of a stream meets a table as it was then: the stream is
the left side, wherever it is written. Two streams are joined over their whole past, and the result is a table.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import SqlError, TypeProblem, Unsupported
from headwater.parser import syntax
from headwater.parser.syntax import Identifier
from headwater.planner.expressions import bind_expression, bind_predicate, column_expression, conjuncts
from headwater.planner.from_items import BoundItem, prefixed
from headwater.planner.join_keys import KeyPair, own_items, same_type
from headwater.planner.logical import Expression, Plan, Project
from headwater.planner.match_joins import Kind, inner_join, outer_join, semi_join
from headwater.planner.names import names_in
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.sql_types import common_type
from headwater.planner.within_joins import check_within, within_anti_join, within_join

_OUTER: dict[str, Kind] = {"LEFT": "LEFT", "RIGHT": "RIGHT", "FULL": "FULL"}
_SEMI = ("SEMI", "ANTI")
_KINDS = ("INNER", "CROSS", *_OUTER, *_SEMI)
_SHARED = "$using."  # begins the names of columns that USING makes of one of each side
_OTHER_SIDE: dict[Kind, Kind] = {"LEFT": "RIGHT", "RIGHT": "LEFT", "FULL": "FULL"}


def joined(item: syntax.Join, first: BoundItem, second: BoundItem) -> BoundItem:
    """The join of two items. A stream on the right changes places with the table on the left; `*` does not notice."""
    if item.kind not in _KINDS:
        raise Unsupported(f"{item.kind} JOIN is not supported in a continuous query yet", item.span, hint="use JOIN")
    first, second = prefixed(first), prefixed(second)
    refuse_same_alias(item, first, second)
    shared = item.using or (natural(item, first.scope, second.scope) if item.natural else ())
    if item.within is not None:
        check_within(item, first, second)
    if item.kind in _SEMI:
        return _semi_joined(item, first, second, shared)

    if item.within is not None:
        return _within_joined(item, item.within, first, second, shared)
    swapped = by_version(second, first)
    left, right = (second, first) if swapped else (first, second)
    keys, rest = condition_of(item, shared, left.scope, right.scope)
    then = by_version(left, right)
    scope = merged(first.scope, second.scope, shared)
    kind = _OUTER.get(item.kind)
    if kind is None:
        plan = inner_join(left.plan, right.plan, keys, rest, by_version=then)
    else:
        kind = _OTHER_SIDE[kind] if swapped else kind
        if then and kind != "LEFT":
            raise Unsupported(
                f"{item.kind} JOIN cannot keep all rows of a table that a stream is joined with: their matches are yet "
                "to come", item.span, hint="keep all rows of the stream, or keep the stream as a table",
            )  # fmt: skip
        plan = outer_join(kind, left.plan, right.plan, keys, rest, by_version=then)
        if shared and item.kind != "LEFT":
            plan, scope = _with_shared(plan, scope, first.scope, second.scope, shared)
    if then:
        return replace(left, plan=plan, scope=scope, is_join=True)
    grows = kind is None and all(side.is_stream or side.is_history for side in (left, right))
    return BoundItem(plan, scope, is_join=True, is_history=grows)


def _within_joined(
    item: syntax.Join, within: syntax.Within, left: BoundItem, right: BoundItem, shared: tuple[Identifier, ...]
) -> BoundItem:
    keys, rest = condition_of(item, shared, left.scope, right.scope)
    scope = merged(left.scope, right.scope, shared)
    found = within_join(_OUTER.get(item.kind), within, left, right, keys, rest, scope)
    if not shared or item.kind not in ("RIGHT", "FULL"):
        return found
    plan, scope = _with_shared(found.plan, scope, left.scope, right.scope, shared)
    return replace(found, plan=plan, scope=scope)


def by_version(left: BoundItem, right: BoundItem) -> bool:
    """Whether a row of `left` meets `right` as it was then: a stream and a table."""
    return left.is_stream and not right.is_stream and not right.is_history


def _semi_joined(item: syntax.Join, left: BoundItem, right: BoundItem, shared: tuple[Identifier, ...]) -> BoundItem:
    keys, rest = condition_of(item, shared, left.scope, right.scope)
    if item.within is not None:
        return within_anti_join(item.within, left, right, keys, rest, merged(left.scope, right.scope, shared))
    return matched(left, right.plan, keys, rest, negated=item.kind == "ANTI", then=by_version(left, right))


def matched(
    left: BoundItem, right: Plan, keys: list[KeyPair], rest: list[Expression], *, negated: bool, then: bool
) -> BoundItem:
    """The rows of `left` with a match in `right`, or if `negated` without one; a stream stays one if `then`."""
    plan = semi_join(left.plan, right, keys, rest, negated=negated, by_version=then)
    if then:
        return replace(left, plan=plan)
    return replace(left, plan=plan, time=None, partition=None, stream_time=None, is_history=False)


def refuse_same_alias(item: syntax.Join, first: BoundItem, second: BoundItem) -> None:
    """Raises if a name stands on both sides of a join."""
    aliases = {c.relation.lower() if c.relation else "" for c in first.scope.columns if not _is_shared(c)}
    for column in second.scope.columns:
        if not _is_shared(column) and (column.relation.lower() if column.relation else "") in aliases:
            raise SqlError(
                f'"{column.relation}" stands on both sides of the join' if column.relation
                else "a query on each side of the join has no name", item.span, hint="give each its own alias",
            )  # fmt: skip


def natural(item: syntax.Join, first: Scope, second: Scope) -> tuple[Identifier, ...]:
    """The columns that both sides of a NATURAL JOIN have."""
    names = {c.name.lower() for c in second.visible()}
    shared = tuple(Identifier(c.name) for c in first.visible() if c.name.lower() in names)
    if not shared:
        raise SqlError("the sides of this NATURAL JOIN have no column in common", item.span, hint="write ON …")
    return shared


def merged(first: Scope, second: Scope, shared: tuple[Identifier, ...]) -> Scope:
    """The columns of both sides; those of USING are one, the first side's."""
    names = {identifier.text.lower() for identifier in shared}
    merged = tuple(replace(c, merged=True) if c.name.lower() in names else c for c in second.columns)
    return Scope(first.columns + merged)


def _with_shared(
    plan: Plan, scope: Scope, first: Scope, second: Scope, shared: tuple[Identifier, ...]
) -> tuple[Plan, Scope]:
    """A join that keeps all rows of its second side, in which a column of USING is that of whichever side has a row."""
    items, columns = own_items(plan), list(scope.columns)
    for identifier in shared:
        name = syntax.Name((identifier,), span=identifier.span)
        own, other = first.resolve(name)[0], second.resolve(name)[0]
        a, b = (column_expression(c.internal, c.type) for c in (own, other))
        kind = common_type(a.type, b.type, identifier.span)
        internal = f"{_SHARED}{own.internal}"
        items = (*items, (internal, Expression(f"coalesce({a.sql}, {b.sql})", kind, (*a.reads, *b.reads))))
        at = columns.index(own)
        columns[at : at + 1] = [ScopeColumn(None, own.name, internal, kind), replace(own, merged=True)]
    return Project(plan, items), Scope(tuple(columns))


def _is_shared(column: ScopeColumn) -> bool:
    return column.internal.startswith(_SHARED)


def condition_of(
    item: syntax.Join, shared: tuple[Identifier, ...], left: Scope, right: Scope
) -> tuple[list[KeyPair], list[Expression]]:
    """What a join asks: equalities between the sides as pairs of keys of one type, and the conditions that remain."""
    keys: list[KeyPair] = []
    rest: list[Expression] = []
    both = Scope((*left.columns, *right.columns))
    for column in shared:
        name = syntax.Name((column,), span=column.span)
        keys.append(comparable(bind_expression(name, left), bind_expression(name, right), column))
    for condition in conjuncts(item.on) if item.on is not None else ():
        pair = equality_of(condition, left, right)
        if pair is None:
            rest.append(bind_predicate(condition, both, "ON"))
        else:
            keys.append(comparable(*pair, condition))
    return keys, rest


def equality_of(condition: syntax.Expression, left: Scope, right: Scope) -> KeyPair | None:
    """The two sides of an equality between the sides of a join; None if it is no such."""
    if not (isinstance(condition, syntax.Binary) and condition.operator == "="):
        return None
    for a, b in ((condition.left, condition.right), (condition.right, condition.left)):
        if belongs(a, left) and belongs(b, right):
            return bind_expression(a, left), bind_expression(b, right)
    return None


def belongs(expression: syntax.Expression, scope: Scope) -> bool:
    """Whether an expression reads columns of `scope` and nothing else."""
    names = list(names_in(expression))
    return bool(names) and all(scope.has(n) for n in names)


def comparable(a: Expression, b: Expression, at: syntax.Node) -> KeyPair:
    """Both sides of an equality in the type in which they are compared. Raises TypeProblem if there is none."""
    pair = same_type(a, b, at)
    if pair is None:
        if "VARCHAR" not in (a.type, b.type):
            common_type(a.type, b.type, at.span)  # what is wrong with them
        raise TypeProblem(f"cannot join {a.type} with {b.type}", at.span, hint="cast one side")
    return pair
