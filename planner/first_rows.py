"""ORDER BY … LIMIT … OFFSET and DISTINCT ON, said with row numbers: QUALIFY row_number() OVER (ORDER BY …) <= 10.

A table that a query keeps has no order, but it can hold the first rows of one. So there is one way to keep the rows
of a partition in order, and one way to keep only the first (`limit_rows`).
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import SqlError, Unsupported
from headwater.parser import syntax
from headwater.parser.syntax import Identifier, Literal, OrderItem
from headwater.planner.select_list import output_name


def with_row_numbers(query: syntax.Query) -> syntax.Query:
    """`query`, and the queries in it, without ORDER BY, OFFSET and DISTINCT ON; a LIMIT alone stays where it is.

    ORDER BY without LIMIT says nothing of the rows of a query inside another one, and is left out there.
    """

    def change(node: syntax.Node) -> syntax.Node | None:
        return with_row_numbers(unordered(node)) if isinstance(node, syntax.Query) and node is not query else None

    return _of_query(syntax.rewrite(query, change))


def unordered(query: syntax.Query) -> syntax.Query:
    """`query` without an ORDER BY that does not decide which rows it has."""
    return replace(query, order_by=()) if is_only_ordered(query) else query


def is_only_ordered(query: syntax.Query) -> bool:
    """Whether ORDER BY decides nothing in `query` but the order in which its rows are shown."""
    decides = isinstance(query.body, syntax.Select) and query.body.distinct_on
    return bool(query.order_by) and query.limit is None and query.offset is None and not decides


def _of_query(query: syntax.Query) -> syntax.Query:
    body, order = query.body, query.order_by
    if isinstance(body, syntax.Select) and body.distinct_on:
        keys = tuple(_by_output(item, body) for item in order)
        partition = tuple(_by_output(OrderItem(e, span=e.span), body).expression for e in body.distinct_on)
        if body.qualify is not None:
            raise Unsupported(
                "QUALIFY with DISTINCT ON is not supported in a continuous query yet", body.qualify.span,
                hint="put the one into a subquery",
            )  # fmt: skip
        body = replace(body, distinct_on=(), qualify=_numbers(partition, keys, 1, 1))
        if query.limit is None and query.offset is None:
            return replace(query, body=body, order_by=())
    if not order:
        return replace(query, body=body)
    if query.limit is None:
        raise Unsupported(
            "changes come as they happen, and ORDER BY without LIMIT would sort them", order[0].span,
            hint="leave it out, or keep a table and order it when you ask: SELECT … FROM it ORDER BY …",
        )  # fmt: skip
    offset = 0 if query.offset is None else _whole_number(query.offset, "OFFSET")
    limit = _whole_number(query.limit, "LIMIT")
    if isinstance(body, syntax.Select) and not body.distinct and body.qualify is None:
        keys = tuple(_by_output(item, body) for item in order)
        return _without_order(query, replace(body, qualify=_numbers((), keys, offset + 1, offset + limit)))
    keys = tuple(_output_column(item, body) for item in order)
    rows = syntax.Derived(_without_order(query, body), span=query.span)
    numbers = _numbers((), keys, offset + 1, offset + limit)
    star = syntax.SelectItem(syntax.Star(span=query.span), span=query.span)
    return _without_order(replace(query, ctes=()), syntax.Select((star,), rows, qualify=numbers, span=query.span))


def _without_order(query: syntax.Query, body: syntax.QueryBody) -> syntax.Query:
    return replace(query, body=body, order_by=(), limit=None, offset=None)


def _numbers(
    partition: tuple[syntax.Expression, ...], order: tuple[OrderItem, ...], first: int, last: int
) -> syntax.Expression:
    """The condition that a row's number in its partition is in a range."""
    call = syntax.Call("row_number", (), over=syntax.WindowSpec(partition, order))
    return syntax.Between(call, Literal("number", str(first)), Literal("number", str(last)))


def _whole_number(expression: syntax.Expression, clause: str) -> int:
    if not isinstance(expression, Literal) or not expression.text.isdigit():
        raise Unsupported(f"{clause} takes a whole number in a continuous query", expression.span)
    return int(expression.text)


def _by_output(item: OrderItem, select: syntax.Select) -> OrderItem:
    """A key with an ordinal or an alias of the select list replaced by what it stands for."""
    found = _item(item.expression, select)
    return item if found is None else replace(item, expression=found.expression)


def _output_column(item: OrderItem, body: syntax.QueryBody) -> OrderItem:
    """A key as a column of the body's result."""
    found = _item(item.expression, body) if isinstance(body, syntax.Select) else None
    if found is None:
        return item
    name = Identifier(output_name(found), quoted=True, span=item.expression.span)
    return replace(item, expression=syntax.Name((name,), span=item.expression.span))


def _item(key: syntax.Expression, select: syntax.Select) -> syntax.SelectItem | None:
    """The item of the select list that a key means by its ordinal, its alias, or its own words."""
    items = select.items
    if isinstance(key, syntax.All):
        raise Unsupported("ORDER BY ALL is not supported in a continuous query yet", key.span, hint="name the columns")
    if isinstance(key, Literal) and key.kind == "number":
        if any(isinstance(item.expression, syntax.Star) for item in items):
            raise Unsupported("a place in the select list is not counted over *", key.span, hint="name the column")
        if not key.text.isdigit() or not 1 <= int(key.text) <= len(items):
            what = f"ORDER BY {key.text} is not a place in the select list"
            raise SqlError(what, key.span, hint=f"1 to {len(items)}")
        return items[int(key.text) - 1]
    word = key.parts[0].text.lower() if isinstance(key, syntax.Name) and len(key.parts) == 1 else None
    by_alias = (item for item in items if item.alias is not None and item.alias.text.lower() == word)
    return next(by_alias, None) or next((item for item in items if item.expression == key), None)
