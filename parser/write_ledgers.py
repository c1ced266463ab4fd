"""Statements about ledgers as SQL."""

from __future__ import annotations

from headwater.parser import syntax
from headwater.parser.quoting import quote
from headwater.parser.writing import optional, string, unparse, words


def _number(word: str, number: int | None) -> str | None:
    return None if number is None else f"{word} {number}"


def _partition(number: int) -> str | None:
    return _number("PARTITION", number or None)


@unparse.register
def _verify(node: syntax.Verify) -> str:
    first, last = _number("FROM", node.first), _number("TO", node.last)
    return words("VERIFY", node.kind, quote(node.name), first, last, optional(node.against))


@unparse.register
def _against(node: syntax.Against) -> str:
    return words("AGAINST", string(node.root), f"SIZE {node.size}", _partition(node.partition))


@unparse.register
def _show_proof(node: syntax.ShowProof) -> str:
    size = _number("SIZE", node.size)
    return words("SHOW PROOF OF", quote(node.name), f"OFFSET {node.offset}", size, _partition(node.partition))


@unparse.register
def _show_extension(node: syntax.ShowExtension) -> str:
    size = _number("TO SIZE", node.size)
    return words("SHOW PROOF OF", quote(node.name), f"FROM SIZE {node.before}", size, _partition(node.partition))


@unparse.register
def _show_root(node: syntax.ShowRoot) -> str:
    return f"SHOW ROOT OF {quote(node.name)}"


@unparse.register
def _state_root(node: syntax.StateRoot) -> str:
    return words("STATE ROOT OF", quote(node.name), optional(node.as_of))
