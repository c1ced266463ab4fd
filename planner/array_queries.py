"""ARRAY(SELECT x … ORDER BY y), said as a value: (SELECT coalesce(list(x ORDER BY y), []) …)."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

from headwater.errors import Unsupported
from headwater.parser import syntax
from headwater.planner.aggregates import is_grouped

N = TypeVar("N", bound=syntax.Node)


def with_lists(node: N) -> N:
    """`node` with each ARRAY(…) as a subquery that stands for a value."""

    def change(inner: syntax.Node) -> syntax.Node | None:
        return _value(with_lists(inner.query), inner) if isinstance(inner, syntax.ArrayQuery) else None

    return syntax.rewrite(node, change)


def _value(query: syntax.Query, at: syntax.Node) -> syntax.Subquery:
    select = query.body
    is_plain = query.limit is None and query.offset is None and query.as_of is None
    if not isinstance(select, syntax.Select) or is_grouped(select) or select.distinct or select.distinct_on:
        is_plain = False
    if not is_plain or not isinstance(select, syntax.Select) or len(select.items) != 1:
        raise Unsupported(
            "ARRAY(…) takes a SELECT of one column, without groups, DISTINCT or LIMIT, in a continuous query", at.span,
            hint="put those into a subquery of its FROM",
        )  # fmt: skip
    if not query.order_by:
        raise Unsupported(
            "an array has an order, and the rows of this subquery have none", at.span, hint="write ORDER BY in it"
        )
    rows = syntax.Call("list", (select.items[0].expression,), order_by=query.order_by, span=at.span)
    value = syntax.Call("coalesce", (rows, syntax.Array((), span=at.span)), span=at.span)
    listed = replace(select, items=(syntax.SelectItem(value, span=at.span),))
    return syntax.Subquery(replace(query, body=listed, order_by=()), span=at.span)
