"""Items of FROM, bound: the plan of each, what can be named in it, and how aliases and joins make new ones of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headwater.errors import SqlError, TypeProblem, Unsupported
from headwater.parser import syntax
from headwater.parser.syntax import Identifier
from headwater.planner.expressions import bind_expression, bind_predicate, column_expression, conjuncts
from headwater.planner.join_keys import KeyPair, same_type, with_keys
from headwater.planner.logical import EVENT_TIME, PARTITION, Expression, Filter, Join, Plan, Project
from headwater.planner.names import names_in
from headwater.planner.scope import Scope, ScopeColumn
from headwater.planner.sql_types import common_type
from headwater.values import ROWPARTITION, ROWTIME

CARRIED = {EVENT_TIME: ROWTIME, PARTITION: ROWPARTITION}  # hidden columns of a stream's plan, and what they are called


@dataclass(frozen=True)
class BoundItem:
    """A bound FROM item: its plan, what can be named, and for a stream the columns of its event time and partition.

    The columns of a join go by `alias.column` in its plan.
    """

    plan: Plan
    scope: Scope
    time: str | None = None
    partition: str | None = None
    stream_time: str | None = None
    is_join: bool = False

    @property
    def is_stream(self) -> bool:
        return self.time is not None


def table_item(plan: Plan) -> BoundItem:
    """The result of a query that is a table."""
    return BoundItem(plan, Scope(tuple(ScopeColumn(None, c.name, c.name, c.type) for c in plan.columns)))


def stream_item(plan: Plan) -> BoundItem:
    """The result of a query that is a stream: event time and partition go by the names of pseudo-columns, if free."""
    shown = [ScopeColumn(None, c.name, c.name, c.type) for c in plan.columns if c.name not in CARRIED]
    taken = {column.name.upper() for column in shown}
    types = {c.name: c.type for c in plan.columns}
    hidden = [ScopeColumn(None, n, c, types[c], hidden=True) for c, n in CARRIED.items() if n not in taken]
    return BoundItem(plan, Scope((*shown, *hidden)), EVENT_TIME, PARTITION)


def aliased(source: BoundItem, alias: str | None, names: tuple[Identifier, ...] = ()) -> BoundItem:
    """`source` under an alias, which may give its first columns other `names`."""
    shown = [c for c in source.scope.columns if not c.hidden]
    if len(names) > len(shown):
        raise SqlError(
            f'"{alias}" has {len(shown)} columns, and here are {len(names)} names', names[len(shown)].span,
            hint=f"columns: {', '.join(c.name for c in shown)}",
        )  # fmt: skip
    called = {c.internal: i.text for c, i in zip(shown, names, strict=False)}
    columns = tuple(replace(c, relation=alias, name=called.get(c.internal, c.name)) for c in source.scope.columns)
    return replace(source, scope=Scope(columns), is_join=False)


def prefixed(source: BoundItem) -> BoundItem:
    """One side of a join, with its columns renamed to `alias.column` so that both sides' names are distinct."""
    if source.is_join:
        return source
    internal = {c.internal: f"{c.relation}.{c.internal}" for c in source.scope.columns}
    items = tuple(
        (internal[c.name], column_expression(c.name, c.type)) for c in source.plan.columns if c.name in internal
    )
    columns = tuple(replace(c, internal=internal[c.internal]) for c in source.scope.columns)
    time, partition = internal.get(source.time or ""), internal.get(source.partition or "")
    return BoundItem(Project(source.plan, items), Scope(columns), time, partition)


# ---------------------------------------------------------------- joins


def joined(item: syntax.Join, first: BoundItem, second: BoundItem) -> BoundItem:
    """The join of two items. A stream on the right changes places with the table on the left; `*` does not notice."""
    if item.kind not in ("INNER", "CROSS"):
        raise Unsupported(f"{item.kind} JOIN is not supported in a continuous query yet", item.span, hint="use JOIN")
    first, second = prefixed(first), prefixed(second)
    aliases = {c.relation.lower() if c.relation else "" for c in first.scope.columns}
    for column in second.scope.columns:
        if (column.relation.lower() if column.relation else "") in aliases:
            raise SqlError(
                f'"{column.relation}" stands on both sides of the join' if column.relation
                else "a query on each side of the join has no name", item.span, hint="give each its own alias",
            )  # fmt: skip
    if first.is_stream and second.is_stream:
        raise Unsupported("a join of two streams is not supported yet", item.span, hint="keep one of them as a table")
    left, right = (second, first) if second.is_stream else (first, second)
    shared = item.using or (_natural(item, first.scope, second.scope) if item.natural else ())
    keys, rest = _condition(item, shared, left.scope, right.scope)
    left_plan, left_keys = with_keys(left.plan, tuple(k[0] for k in keys), "l")
    right_plan, right_keys = with_keys(right.plan, tuple(k[1] for k in keys), "r")
    plan: Plan = Join(left_plan, right_plan, left_keys, right_keys, by_version=left.is_stream)
    scope = Scope(first.scope.columns + second.scope.columns)
    for condition in rest:
        plan = Filter(plan, bind_predicate(condition, scope, "ON"))
    return BoundItem(
        plan, _merged(first.scope, second.scope, shared), left.time, left.partition, left.stream_time, is_join=True
    )


def _natural(item: syntax.Join, first: Scope, second: Scope) -> tuple[Identifier, ...]:
    """The columns that both sides of a NATURAL JOIN have."""
    names = {c.name.lower() for c in second.visible()}
    shared = tuple(Identifier(c.name) for c in first.visible() if c.name.lower() in names)
    if not shared:
        raise SqlError("the sides of this NATURAL JOIN have no column in common", item.span, hint="write ON …")
    return shared


def _merged(first: Scope, second: Scope, shared: tuple[Identifier, ...]) -> Scope:
    """The columns of both sides; those of USING are one, the first side's."""
    names = {identifier.text.lower() for identifier in shared}
    merged = tuple(replace(c, merged=True) if c.name.lower() in names else c for c in second.columns)
    return Scope(first.columns + merged)


def _condition(
    item: syntax.Join, shared: tuple[Identifier, ...], left: Scope, right: Scope
) -> tuple[list[KeyPair], list[syntax.Expression]]:
    """Equalities between the sides as pairs of keys of one type, and the conditions that remain."""
    keys: list[KeyPair] = []
    rest: list[syntax.Expression] = []
    for column in shared:
        name = syntax.Name((column,), span=column.span)
        keys.append(_same_type(bind_expression(name, left), bind_expression(name, right), column))
    for condition in conjuncts(item.on) if item.on is not None else ():
        pair = _equality(condition, left, right)
        if pair is None:
            rest.append(condition)
        else:
            keys.append(_same_type(*pair, condition))
    return keys, rest


def _equality(condition: syntax.Expression, left: Scope, right: Scope) -> KeyPair | None:
    if not (isinstance(condition, syntax.Binary) and condition.operator == "="):
        return None
    for a, b in ((condition.left, condition.right), (condition.right, condition.left)):
        if _belongs(a, left) and _belongs(b, right):
            return bind_expression(a, left), bind_expression(b, right)
    return None


def _belongs(expression: syntax.Expression, scope: Scope) -> bool:
    names = list(names_in(expression))
    return bool(names) and all(scope.has(n) for n in names)


def _same_type(a: Expression, b: Expression, at: syntax.Node) -> KeyPair:
    pair = same_type(a, b, at)
    if pair is None:
        if "VARCHAR" not in (a.type, b.type):
            common_type(a.type, b.type, at.span)  # what is wrong with them
        raise TypeProblem(f"cannot join {a.type} with {b.type}", at.span, hint="cast one side")
    return pair
