"""ASOF JOIN, bound: equalities, and one comparison that says which row of the right side is the nearest.

The result is a table, of streams too: a nearer row may come, and takes the place of the one before. Conditions on one
side decide which of its rows can match.
"""

from __future__ import annotations

from typing import get_args

from headwater.errors import SqlError, Unsupported
from headwater.parser import syntax
from headwater.planner.expressions import bind_expression, bind_predicate, conjuncts
from headwater.planner.from_items import BoundItem, prefixed
from headwater.planner.join_keys import KeyPair, restored, with_keys
from headwater.planner.joins import belongs, comparable, equality_of, merged, refuse_same_alias
from headwater.planner.logical import AsofJoin, Expression, Plan
from headwater.planner.past_nodes import Comparison
from headwater.planner.rewrite import filtered
from headwater.planner.scope import Scope

_TURNED: dict[str, Comparison] = {">=": "<=", ">": "<", "<=": ">=", "<": ">"}
_TIMES = (
    "TINYINT SMALLINT INTEGER BIGINT UTINYINT USMALLINT UINTEGER UBIGINT FLOAT DOUBLE DATE TIME TIMESTAMP "
    "TIMESTAMP_S TIMESTAMP_MS TIMESTAMP_NS"
).split()

_Nearest = tuple[KeyPair, Comparison]


def asof_joined(item: syntax.Join, first: BoundItem, second: BoundItem) -> BoundItem:
    """The ASOF join of two items of FROM."""
    if item.kind not in ("ASOF", "ASOF LEFT"):
        raise Unsupported(
            f"{item.kind} JOIN is not supported in a continuous query",
            item.span,
            hint="use ASOF JOIN or ASOF LEFT JOIN",
        )
    left, right = prefixed(first), prefixed(second)
    refuse_same_alias(item, left, right)
    outer = item.kind == "ASOF LEFT"
    keys, (times, comparison), own, other = _condition(item, left.scope, right.scope)
    right_plan, left_plan, until = filtered(right.plan, other), left.plan, times[0]
    if own and outer:
        condition = " AND ".join(f"({e.sql})" for e in own)
        reads = tuple(dict.fromkeys((*until.reads, *(name for e in own for name in e.reads))))
        until = Expression(f"CASE WHEN {condition} THEN {until.sql} END", until.type, reads)
    else:
        left_plan = filtered(left_plan, own)
    left_plan, (*left_keys, left_time) = with_keys(left_plan, (*(k[0] for k in keys), until), "l")
    right_plan, (*right_keys, right_time) = with_keys(right_plan, (*(k[1] for k in keys), times[1]), "r")
    plan: Plan = AsofJoin(
        left_plan, right_plan, tuple(left_keys), tuple(right_keys), left_time, right_time, comparison, outer
    )
    plan = restored(plan, left.plan, right.plan)
    return BoundItem(plan, merged(left.scope, right.scope, item.using), is_join=True)


def _condition(
    item: syntax.Join, left: Scope, right: Scope
) -> tuple[list[KeyPair], _Nearest, list[Expression], list[Expression]]:
    """The equalities, the comparison, and the conditions on the left side and on the right one."""
    if item.using:
        *equal, time = [syntax.Name((column,), span=column.span) for column in item.using]
        keys = [comparable(bind_expression(n, left), bind_expression(n, right), n) for n in equal]
        return keys, (_times(time, time, left, right, time), ">="), [], []
    keys, found, own, other = [], None, [], []
    for condition in conjuncts(item.on) if item.on is not None else ():
        pair = equality_of(condition, left, right)
        nearest = _comparison(condition, left, right) if pair is None else None
        if pair is not None:
            keys.append(comparable(*pair, condition))
        elif nearest is not None and found is not None:
            raise SqlError(
                "an ASOF JOIN has one comparison that says what is nearest", condition.span,
                hint="put others into WHERE",
            )  # fmt: skip
        elif nearest is not None:
            found = nearest
        elif belongs(condition, left):
            own.append(bind_predicate(condition, left, "ON"))
        elif belongs(condition, right):
            other.append(bind_predicate(condition, right, "ON"))
        else:
            raise Unsupported(
                "an ASOF JOIN takes equalities, one comparison, and conditions on one side, in a continuous query",
                condition.span, hint="put it into WHERE",
            )  # fmt: skip
    if found is None:
        raise SqlError(
            "an ASOF JOIN needs a comparison that says what is nearest", (item.on or item).span,
            hint="add AND a.time >= b.time",
        )  # fmt: skip
    return keys, found, own, other


def _comparison(condition: syntax.Expression, left: Scope, right: Scope) -> _Nearest | None:
    """The times that an inequality compares, and how the left one stands to the right; None if it is no such."""
    if not (isinstance(condition, syntax.Binary) and condition.operator in get_args(Comparison)):
        return None
    a, b = condition.left, condition.right
    operator: Comparison = condition.operator  # type: ignore[assignment]
    if belongs(a, left) and belongs(b, right):
        return _times(a, b, left, right, condition), operator
    if belongs(b, left) and belongs(a, right):
        return _times(b, a, left, right, condition), _TURNED[operator]
    return None


def _times(a: syntax.Expression, b: syntax.Expression, left: Scope, right: Scope, at: syntax.Node) -> KeyPair:
    pair = comparable(bind_expression(a, left), bind_expression(b, right), at)
    kind = pair[0].type
    if not (kind in _TIMES or kind.startswith("TIMESTAMP WITH") or _is_short_decimal(kind)):
        raise Unsupported(
            f"an ASOF JOIN compares numbers, dates and times in a continuous query, and this is {kind}", at.span,
            hint="cast both sides to BIGINT, DOUBLE or TIMESTAMP",
        )  # fmt: skip
    return pair


def _is_short_decimal(kind: str) -> bool:
    digits = kind.removeprefix("DECIMAL(").partition(",")[0]
    return kind.startswith("DECIMAL(") and int(digits) <= 18
