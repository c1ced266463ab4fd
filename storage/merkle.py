"""Merkle trees: one hash for any number of records, in order.

They are those of RFC 6962 (Certificate Transparency) with up to eight nodes below each instead of two, which is a
seventh of the hashes for each record. A leaf is SHA-256 of a zero byte and the record; a node is SHA-256 of a one byte
and the hashes below it. The tree of n > 1 records has its records in pieces of k, the largest power of eight that is
smaller than n, of which the last may be shorter; each piece is such a tree. That a record is in a tree, or that a tree
is how another one began, is proven by a few hashes: `inclusion` and `consistency`.

In: hashes of leaves, of 32 bytes each, one behind the other; out: hashes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32
WIDTH = 8  # nodes below a node
_ROW = WIDTH * HASH_BYTES

Subtree = Callable[[int, int], bytes]  # from which leaf up to which: the root of their tree


def leaf_hashes(records: Iterable[bytes]) -> bytes:
    """The hashes of records, one behind the other."""
    return b"".join([sha256(b"\x00" + record).digest() for record in records])


def node_hash(below: bytes) -> bytes:
    """The hash of trees side by side; a single one is that itself."""
    return below if len(below) == HASH_BYTES else sha256(b"\x01" + below).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves, as far as is needed to add more: on each level, from the leaves up, the nodes that are
    not below another one yet, one behind the other.

    They are the digits of `size`, written with the base eight.
    """

    size: int = 0
    levels: tuple[bytes, ...] = ()

    @property
    def root(self) -> bytes:
        """The hash of the whole tree."""
        root = b""
        for level in self.levels:
            if below := level + root:
                root = node_hash(below)
        return root or sha256().digest()

    def extended(self, leaves: bytes) -> Frontier:
        """The tree with more leaves."""
        return self.grown(leaves)[0]

    def grown(self, leaves: bytes) -> tuple[Frontier, list[bytes]]:
        """The tree with more leaves; and the nodes that are complete by that, by their height, from the leaves up."""
        levels, complete, level = list[bytes](), list[bytes](), leaves
        for height in range(max(len(self.levels), height_of(self.size + len(leaves) // HASH_BYTES))):
            complete.append(level)
            level = (self.levels[height] if height < len(self.levels) else b"") + level
            full = len(level) // _ROW * _ROW
            levels.append(level[full:])
            level = b"".join([sha256(b"\x01" + level[i : i + _ROW]).digest() for i in range(0, full, _ROW)])
        return Frontier(self.size + len(leaves) // HASH_BYTES, tuple(levels)), complete


def height_of(size: int) -> int:
    """How many digits a size has with the base eight."""
    return -(-size.bit_length() // 3)


def pieces(begin: int, end: int) -> list[tuple[int, int]]:
    """The trees below the root of the tree of some leaves, by which leaves they have."""
    size = 1
    while size * WIDTH < end - begin:
        size *= WIDTH
    return [(first, min(first + size, end)) for first in range(begin, end, size)]


@dataclass(frozen=True, slots=True)
class Proof:
    """The hashes that somebody needs who has the root of a tree, in order; and the roots that they prove."""

    path: list[bytes]
    before: bytes  # the root of an earlier tree
    root: bytes


def inclusion(subtree: Subtree, index: int, begin: int, end: int) -> Proof:
    """That the leaf `index` is in the tree of some: all hashes beside its way up. The earlier tree ends with it."""
    return _proof(subtree, index + 1, begin, end, to_leaf=True)


def consistency(subtree: Subtree, before: int, begin: int, end: int) -> Proof:
    """That the tree of some leaves begins with the tree of those up to `before`: the hashes of all trees that are in
    both, or behind the earlier one.
    """
    return _proof(subtree, before, begin, end, to_leaf=False)


def _proof(subtree: Subtree, upto: int, begin: int, end: int, *, to_leaf: bool) -> Proof:
    """The proof goes down where the leaves up to `upto` end inside a piece; or to the last one of these itself."""
    if to_leaf and end - begin == 1:
        leaf = subtree(begin, end)
        return Proof([], leaf, leaf)
    path, before, root = list[bytes](), b"", b""
    for first, last in pieces(begin, end):
        if first < upto < last + to_leaf:
            below = _proof(subtree, upto, first, last, to_leaf=to_leaf)
        else:
            known = subtree(first, last)
            below = Proof([known], known, known)
        path += below.path
        root += below.root
        if first < upto:
            before += below.before
    return Proof(path, node_hash(before), node_hash(root))
