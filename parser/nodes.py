"""What all syntax trees are made of: nodes with places, names, and the ways to walk over a tree or change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar, cast

from headwater.errors import Span

NOWHERE = Span(0, 0)


@dataclass(frozen=True)
class Node:
    """Base of all syntax: knows where it stood in the text."""

    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Identifier(Node):
    """A name as written. `quoted` names are exact, others are compared without regard to case."""

    text: str
    quoted: bool = False


@dataclass(frozen=True)
class QualifiedName(Identifier):
    """`bank.payments`: a name in a schema or an instance; `text` is the whole, whose parts have no dots in them.

    `inspected` ones stand behind INSPECT, and may mean what is private to an instance.
    """

    inspected: bool = False

    @property
    def parts(self) -> tuple[str, ...]:
        return tuple(self.text.split("."))


T = TypeVar("T")

# Types of fields, as they are written, that hold no nodes.
_PLAIN = frozenset({"str", "int", "bool", "str | None", "int | None", "bool | None"})
_INNER_FIELDS: dict[type[Node], tuple[str, ...]] = {}


def children(node: Node) -> Iterator[Node]:
    """The nodes directly inside `node`, in the order of their fields."""
    for name in _inner_fields(type(node)):
        yield from _nodes(getattr(node, name))


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def walk(node: Node) -> Iterator[Node]:
    """`node` and all nodes below it, outermost first, left to right."""
    waiting = [node]
    while waiting:
        next_one = waiting.pop()
        yield next_one
        waiting += reversed(tuple(children(next_one)))


def _inner_fields(kind: type[Node]) -> tuple[str, ...]:
    """The names of the fields that may hold nodes."""
    names = _INNER_FIELDS.get(kind)
    if names is None:
        names = tuple(f.name for f in fields(kind) if f.name != "span" and f.type not in _PLAIN)
        _INNER_FIELDS[kind] = names
    return names


def rewrite(node: T, change: Callable[[Node], Node | None]) -> T:
    """A copy of `node` in which each node for which `change` gives another one is replaced by it.

    Outermost first: what `change` returns is taken as it is, and not entered. None means "keep, look inside".
    """

    def visit(value: Any) -> Any:
        if isinstance(value, Node):
            changed = change(value)
            if changed is not None:
                return changed
            new = {name: visit(getattr(value, name)) for name in _inner_fields(type(value))}
            if all(new[name] is getattr(value, name) for name in new):
                return value
            return replace(value, **new)
        if isinstance(value, tuple):
            items = tuple(visit(item) for item in value)
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        return value

    return cast(T, visit(node))
