"""UNION, INTERSECT and EXCEPT: set operations of two queries as unions, groups of equal rows, and counts of them.

UNION ALL of two streams is a stream: its rows are in the order of the log. All other results are tables.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import TypeProblem
from headwater.parser import syntax
from headwater.planner.expressions import column_expression
from headwater.planner.from_items import BoundItem, stream_item, table_item
from headwater.planner.join_keys import own_items
from headwater.planner.logical import (
    EVENT_TIME,
    PARTITION,
    Aggregate,
    AggregateCall,
    Expression,
    Filter,
    Plan,
    Project,
    Repeat,
    Union,
)
from headwater.planner.sql_types import set_operation_columns
from headwater.values import Column

# Hidden columns of the rows of both sides: which side a row is of, and how often it is in the result.
_LEFT, _RIGHT, _TIMES = "$left", "$right", "$times"

_Items = tuple[tuple[str, Expression], ...]


def combined(operation: syntax.SetOperation, left: BoundItem, right: BoundItem) -> BoundItem:
    """The result of a set operation on two bound queries, with the columns that DuckDB gives it."""
    shown = [_shown(item) for item in (left, right)]
    if not operation.by_name and len(shown[0]) != len(shown[1]):
        raise TypeProblem(
            f"the sides of {operation.operator} have {len(shown[0])} and {len(shown[1])} columns",
            operation.right.span, hint="select as many on both sides, or write BY NAME",
        )  # fmt: skip
    columns = set_operation_columns(shown[0], shown[1], operation.by_name, operation.span)
    sides = [_as(columns, names, operation.by_name) for names in shown]
    if operation.operator != "UNION":
        return table_item(_counted(operation, Project(left.plan, sides[0]), Project(right.plan, sides[1])))
    if operation.all and left.is_stream and right.is_stream:
        whole = [(*items, *_carried(item)) for items, item in zip(sides, (left, right), strict=True)]
        plan = Union((Project(left.plan, whole[0]), Project(right.plan, whole[1])), in_order=True)
        return stream_item(Project(plan, own_items(plan)), max(left.partitions, right.partitions))
    plan = Union((Project(left.plan, sides[0]), Project(right.plan, sides[1])), in_order=False)
    if operation.all:
        return replace(table_item(plan), is_history=all(item.is_stream or item.is_history for item in (left, right)))
    return table_item(Aggregate(plan, plan.names, ()))


def _shown(item: BoundItem) -> tuple[Column, ...]:
    return tuple(Column(c.internal, c.type) for c in item.scope.visible())


def _as(columns: tuple[Column, ...], own: tuple[Column, ...], by_name: bool) -> _Items:
    """The columns of one side as those of the result: in their places or by their names, and in their types."""
    named = {c.name.lower(): c for c in own}
    sources = [named.get(c.name.lower()) for c in columns] if by_name else list(own)
    return tuple((c.name, _cast(source, c.type)) for c, source in zip(columns, sources, strict=True))


def _cast(source: Column | None, type_name: str) -> Expression:
    if source is None:
        return Expression(f"CAST(NULL AS {type_name})", type_name)
    column = column_expression(source.name, source.type)
    if source.type == type_name:
        return column
    return Expression(f"CAST({column.sql} AS {type_name})", type_name, column.reads)


def _carried(item: BoundItem) -> _Items:
    assert item.time is not None and item.partition is not None
    return (
        (EVENT_TIME, column_expression(item.time, "TIMESTAMP")),
        (PARTITION, column_expression(item.partition, "INTEGER")),
    )


def _counted(operation: syntax.SetOperation, left: Project, right: Project) -> Plan:
    """INTERSECT and EXCEPT: each distinct row with its number on the left and on the right, which decide."""
    true, null = Expression("true", "BOOLEAN"), Expression("CAST(NULL AS BOOLEAN)", "BOOLEAN")
    of_left = replace(left, items=(*left.items, (_LEFT, true), (_RIGHT, null)))
    of_right = replace(right, items=(*right.items, (_LEFT, null), (_RIGHT, true)))
    both = Union((of_left, of_right), in_order=False)
    counts = tuple(AggregateCall(f"count({side})", "count", side, "BIGINT") for side in (_LEFT, _RIGHT))
    plan = Aggregate(both, left.names, counts)
    l, r = (column_expression(call.name, "BIGINT") for call in counts)  # noqa: E741
    own = tuple(item for item in own_items(plan) if item[0] in left.names)
    reads = (*l.reads, *r.reads)
    if operation.all:
        number = f"least({l}, {r})" if operation.operator == "INTERSECT" else f"greatest({l} - {r}, 0)"
        return Repeat(Project(plan, (*own, (_TIMES, Expression(number, "BIGINT", reads)))), _TIMES)
    condition = f"{l} > 0 AND {r} > 0" if operation.operator == "INTERSECT" else f"{l} > 0 AND {r} = 0"
    return Project(Filter(plan, Expression(condition, "BOOLEAN", reads)), own)
