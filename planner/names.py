"""The column names in an expression: those that a lambda binds are its own, and mean no column."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from headwater.parser import syntax

N = TypeVar("N", bound=syntax.Node)
Bound = frozenset[str]

NONE: Bound = frozenset()


def bound_by(node: syntax.Lambda, outer: Bound = NONE) -> Bound:
    """The names, in lower case, that stand for no column inside a lambda."""
    return outer | {parameter.text.lower() for parameter in node.parameters}


def is_bound(name: syntax.Name, bound: Bound) -> bool:
    """Whether `name` is a parameter of a lambda around it, or a field of one."""
    return name.parts[0].text.lower() in bound


def names_in(node: syntax.Node, bound: Bound = NONE) -> Iterator[syntax.Name]:
    """The names in `node` that mean columns, left to right."""
    if isinstance(node, syntax.Name):
        if not is_bound(node, bound):
            yield node
        return
    inner = bound_by(node, bound) if isinstance(node, syntax.Lambda) else bound
    for child in syntax.children(node):
        yield from names_in(child, inner)


def with_names(node: N, change: Callable[[syntax.Name], syntax.Node], bound: Bound = NONE) -> N:
    """`node` with each name that means a column replaced by what `change` gives."""

    def visit(inner: syntax.Node) -> syntax.Node | None:
        match inner:
            case syntax.Name():
                return inner if is_bound(inner, bound) else change(inner)
            case syntax.Lambda():
                return replace(inner, body=with_names(inner.body, change, bound_by(inner, bound)))
        return None

    return syntax.rewrite(node, visit)


def relations_in(query: syntax.Query) -> list[syntax.Identifier]:
    """The names in `query` that mean relations or views."""
    queries = [node for node in syntax.walk(query) if isinstance(node, syntax.Query)]
    ctes = {cte.name.text.lower() for node in queries for cte in node.ctes}
    relations = [node for node in syntax.walk(query) if isinstance(node, syntax.Relation)]
    return [relation.name for relation in relations if relation.name.text.lower() not in ctes]
