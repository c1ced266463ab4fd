"""Row numbers of which only small ones are asked: a query that keeps no more rows of a partition than those.

`row_number() OVER (PARTITION BY k ORDER BY x) … WHERE n <= 10`, or QUALIFY, needs the first ten rows of each partition;
and `rank() … = 1` those that no row is before, where rows only come.
"""

from __future__ import annotations

from headwater.parser import syntax
from headwater.planner.join_keys import own_items
from headwater.planner.logical import Expression, Filter, Foremost, Over, Plan, Project, SortKey, TopK
from headwater.planner.rewrite import Shared, bottom_up, filtered, tree_of

_SIMPLE = frozenset({
    "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "UTINYINT", "USMALLINT", "UINTEGER", "FLOAT", "DOUBLE", "DECIMAL",
    "VARCHAR", "BOOLEAN", "DATE", "TIMESTAMP",
})  # fmt: skip
_MOST = 1 << 20  # of more rows than these the head would be no smaller than the partition


def limit_rows(plan: Plan, shared: Shared) -> Plan:
    """`plan` with window functions that only number rows bounded by the conditions on the number."""

    def change(node: Plan) -> Plan:
        return _limited(node, [], shared) if isinstance(node, Filter) else node

    return bottom_up(plan, change, shared)


def _limited(node: Plan, conditions: list[Expression], shared: Shared) -> Plan:
    """`node`, a filter or what is below filters, under these conditions too, the outermost first."""
    match node:
        case Filter() if node not in shared:
            return _limited(node.source, [*conditions, node.predicate], shared)
        case Over(source=source, partition=partition, calls=(call,)) if call.function in ("rank", "dense_rank"):
            of_first = [c for c in conditions if _range(tree_of(c.sql), call.name) == (1, 1)]
            if node not in shared and of_first and source.append_only and _is_simple(source, call.order):
                one = (call.name, Expression(f"CAST(1 AS {call.type})", call.type))
                foremost = Project(Foremost(source, partition, call.order), (*own_items(source), one))
                return filtered(foremost, (c for c in reversed(conditions) if c not in of_first))
        case Over(source=source, partition=partition, calls=(call,)) if call.function == "row_number":
            ranges = {c: found for c in conditions if (found := _range(tree_of(c.sql), call.name)) is not None}
            first = max((low for low, _ in ranges.values()), default=1)
            last = min((high for _, high in ranges.values()), default=_MOST)
            if node not in shared and first <= last < _MOST:
                plan = TopK(source, partition, call.order, last - first + 1, first - 1, call.name)
                return filtered(plan, (c for c in reversed(conditions) if c not in ranges))
    return filtered(node, reversed(conditions))


def _is_simple(source: Plan, order: tuple[SortKey, ...]) -> bool:
    """Whether there are keys to order by, all of types whose values are ordered as numbers or texts are."""
    types = {c.name: c.type for c in source.columns}
    return bool(order) and all(types[key.column].partition("(")[0] in _SIMPLE for key in order)


def _range(condition: syntax.Expression, number: str) -> tuple[int, int] | None:
    """The values of the column `number`, from 1, for which `condition` is true, if it says just that."""
    match condition:
        case syntax.Between(operand=name, low=low, high=high, negated=False) if _is(name, number):
            least, most = _value(low), _value(high)
            return None if least is None or most is None else (max(least, 1), most)
        case syntax.Binary(operator=operator, left=name, right=right) if _is(name, number):
            value = _value(right)
        case syntax.Binary(operator=operator, left=left, right=name) if _is(name, number):
            value, operator = _value(left), _TURNED.get(operator, "")
        case _:
            return None
    if value is None:
        return None
    return {"<=": (1, value), "<": (1, value - 1), "=": (max(value, 1), value)}.get(operator)


_TURNED = {">=": "<=", ">": "<", "=": "="}


def _is(expression: syntax.Expression, column: str) -> bool:
    return isinstance(expression, syntax.Name) and expression.parts[0].text == column


def _value(expression: syntax.Expression) -> int | None:
    return int(expression.text) if isinstance(expression, syntax.Literal) and expression.text.isdigit() else None
