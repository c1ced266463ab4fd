"""UNNEST(list), generate_series(…) and their like in FROM and in the select list: a row for each element of a list.

A function in FROM may read the columns of what stands before it, whether LATERAL is written or not. The elements of a
stream's lists are a stream.
"""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import SqlError, TypeProblem, Unsupported
from headwater.parser import syntax
from headwater.parser.syntax import Identifier
from headwater.planner.constants import ONE_ROW
from headwater.planner.expressions import bind_expression, bind_predicate
from headwater.planner.from_items import BoundItem, prefixed
from headwater.planner.join_keys import own_items
from headwater.planner.logical import Expression, Plan, Project, Unnest
from headwater.planner.rewrite import filtered
from headwater.planner.scope import Scope, ScopeColumn
from headwater.values import Column

Items = tuple[syntax.SelectItem, ...]

_LIST = "$list"
_ELEMENT = "$element"
_AS_LIST = {  # functions that give rows, and those that give the same as a list
    "generate_series": "generate_series",
    "range": "range",
    "regexp_split_to_table": "regexp_split_to_array",
}


def elements(item: syntax.TableFunction) -> BoundItem:
    """A function that is the first item of FROM."""
    return _with_elements(ONE_ROW, item, outer=False)


def joined_elements(item: syntax.Join, left: BoundItem, function: syntax.TableFunction) -> BoundItem:
    """The rows of `left`, each with the rows that a function of it gives."""
    if item.kind not in ("INNER", "CROSS", "LEFT") or item.using or item.natural:
        raise Unsupported(
            "a function in FROM is joined by a comma, CROSS JOIN, JOIN … ON or LEFT JOIN … ON true", item.span,
            hint="put it into a subquery: (SELECT * FROM …)",
        )  # fmt: skip
    outer = item.kind == "LEFT"
    result = _with_elements(left, function, outer=outer)
    if item.on is None or item.on == syntax.Literal("boolean", "true"):
        return result
    if outer:
        raise Unsupported(
            "LEFT JOIN of a function takes no condition in a continuous query", item.on.span, hint="write ON true"
        )
    return replace(result, plan=filtered(result.plan, [bind_predicate(item.on, result.scope, "ON")]))


def _with_elements(left: BoundItem, item: syntax.TableFunction, *, outer: bool) -> BoundItem:
    left = prefixed(left)
    function = item.call.name.lower()
    alias = item.alias.text if item.alias else function
    if any(c.relation is not None and c.relation.lower() == alias.lower() for c in left.scope.columns):
        raise SqlError(f'"{alias}" stands twice in FROM', item.span, hint="give each its own alias")
    names = [identifier.text for identifier in item.columns] or [alias]
    names += ["ordinality"] if item.ordinality and len(names) < 2 else []
    if len(names) > 1 + item.ordinality:
        hint = "add WITH ORDINALITY" if not item.ordinality else None
        raise SqlError(f'"{alias}" has fewer columns than names', item.columns[-1].span, hint=hint)
    internal = [f"{alias}.{name}" for name in names]
    plan, element = _unnested(left, _list(item), internal[0], internal[1] if item.ordinality else None, outer=outer)
    types = [element.type, "BIGINT"]
    added = tuple(ScopeColumn(alias, n, i, t) for n, i, t in zip(names, internal, types, strict=False))
    return replace(left, plan=plan, scope=Scope((*left.scope.columns, *added)), is_join=True)


def _list(item: syntax.TableFunction) -> syntax.Expression:
    """The list whose elements a function in FROM gives."""
    call, name = item.call, item.call.name.lower()
    if name == "unnest" and len(call.arguments) == 1:
        return call.arguments[0]
    if name == "unnest":
        raise Unsupported("UNNEST of several lists is not supported in a continuous query yet", item.span)
    if name not in _AS_LIST:
        raise Unsupported(
            f"{name}() in FROM is not supported in a continuous query yet", item.span,
            hint="use unnest, generate_series or range",
        )  # fmt: skip
    return replace(call, name=_AS_LIST[name])


def _unnested(
    left: BoundItem, items: syntax.Expression, element: str, place: str | None, *, outer: bool
) -> tuple[Plan, Column]:
    """The plan of `left` with a row for each element of a list, and the column of the elements."""
    bound = bind_expression(items, left.scope)
    kind, _, size = bound.type.rpartition("[")
    if not bound.type.endswith("]"):
        raise TypeProblem(f"UNNEST takes a list, and this is {bound.type}", items.span, hint="name a column of lists")
    if size != "]":
        bound = Expression(f"CAST({bound.sql} AS {kind}[])", f"{kind}[]", bound.reads)
    with_list = Project(left.plan, (*own_items(left.plan), (_LIST, bound)))
    column = Column(element, kind)
    return Unnest(with_list, _LIST, column, place, outer), column


# ---------------------------------------------------------------- in the select list


def is_unnest(node: syntax.Node) -> bool:
    """Whether `node` is UNNEST(…)."""
    return isinstance(node, syntax.Call) and node.name.lower() == "unnest"


def with_unnested(
    source: BoundItem, items: tuple[syntax.SelectItem, ...]
) -> tuple[BoundItem, tuple[syntax.SelectItem, ...]]:
    """`source` with a row for each element of the list that a select list unnests, and the select list over that."""
    calls = list(dict.fromkeys(node for item in items for node in syntax.walk(item) if is_unnest(node)))
    first = calls[0]
    assert isinstance(first, syntax.Call)
    if len(calls) > 1 or len(first.arguments) != 1:
        raise Unsupported(
            "UNNEST of several lists is not supported in a continuous query yet", calls[-1].span,
            hint="unnest one in FROM: FROM s, UNNEST(s.list) AS u (element)",
        )  # fmt: skip
    plan, element = _unnested(source, first.arguments[0], _ELEMENT, None, outer=False)
    column = syntax.Name((Identifier(_ELEMENT, quoted=True),), span=first.span)

    def change(node: syntax.Node) -> syntax.Node | None:
        return column if is_unnest(node) else None

    scope = Scope((*source.scope.columns, ScopeColumn(None, _ELEMENT, _ELEMENT, element.type, hidden=True)))
    return replace(source, plan=plan, scope=scope), syntax.rewrite(items, change)
