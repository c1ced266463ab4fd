"""What the writers of SQL share: the function that finds the writer of a node, and words put together.

The writers themselves are in the modules whose names begin with write_; unparse.py has them all.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import singledispatch

from headwater.parser.durations import in_largest_unit
from headwater.parser.syntax import Node


@singledispatch
def unparse(node: Node) -> str:
    """The canonical SQL of any node, without a `;`."""
    raise NotImplementedError(f"no writer for {type(node).__name__}")


def string(text: str) -> str:
    """A text as a string in SQL."""
    return "'" + text.replace("'", "''") + "'"


def listed(nodes: Iterable[Node]) -> str:
    """Nodes with commas between them."""
    return ", ".join(map(unparse, nodes))


def words(*words: str | None) -> str:
    """The non-empty of `words`, separated by spaces."""
    return " ".join(word for word in words if word)


def when(condition: object, text: str) -> str | None:
    """`text` if the condition holds."""
    return text if condition else None


def clause(keyword: str, node: Node | None) -> str | None:
    """A node with a keyword before it, if there is one."""
    return None if node is None else f"{keyword} {unparse(node)}"


def list_clause(keyword: str, nodes: Iterable[Node]) -> str | None:
    """A list with a keyword before it, if it has items."""
    text = listed(nodes)
    return f"{keyword} {text}" if text else None


def in_parentheses(nodes: Iterable[Node], keyword: str = "") -> str | None:
    """A list in parentheses, with a keyword before it, if it has items."""
    text = listed(nodes)
    return words(keyword, f"({text})") if text else None


def optional(node: Node | None) -> str | None:
    """A node, if there is one."""
    return None if node is None else unparse(node)


def duration(microseconds: int) -> str:
    """A length of time: 10 SECONDS."""
    amount, unit = in_largest_unit(microseconds)
    return f"{amount} {unit}{'' if amount == 1 else 'S'}"
