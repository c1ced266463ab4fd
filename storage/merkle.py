"""Merkle trees as RFC 6962 (Certificate Transparency) has them: one hash for any number of records, in order.

A leaf is SHA-256 of a zero byte and the record; a node is SHA-256 of a one byte and the two hashes below it. The left
half of n leaves is the largest power of two that is smaller than n. That a record is in a tree, or that a tree is how
another one began, is proven by a few hashes: `inclusion` and `consistency`.

In: hashes of leaves, of 32 bytes each, one behind the other; out: hashes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256

HASH_BYTES = 32


def leaf_hashes(records: Iterable[bytes]) -> bytes:
    """The hashes of records, one behind the other."""
    return b"".join([sha256(b"\x00" + record).digest() for record in records])


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two trees side by side."""
    return sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` leaves, as far as is needed to add more: the roots of the full trees that it is made of.

    There is one for each bit of `size`, the largest first.
    """

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    @property
    def root(self) -> bytes:
        """The hash of the whole tree."""
        if not self.nodes:
            return sha256().digest()
        *larger, root = self.nodes
        for node in reversed(larger):
            root = node_hash(node, root)
        return root

    def extended(self, leaves: bytes) -> Frontier:
        """The tree with more leaves."""
        kept, added = list(self.nodes), list[bytes]()
        count, level = self.size, leaves
        while level:
            if count & 1:
                level = kept.pop() + level
            if len(level) // HASH_BYTES & 1:
                added.append(level[-HASH_BYTES:])
                level = level[:-HASH_BYTES]
            level = _parents(level)
            count >>= 1
        return Frontier(self.size + len(leaves) // HASH_BYTES, (*kept, *reversed(added)))

    def kept(self, size: int) -> int:
        """How many of the nodes stay the same when the tree grows to `size`."""
        return (self.size >> (self.size ^ size).bit_length()).bit_count()


def _parents(level: bytes) -> bytes:
    """The nodes above an even number of nodes."""
    pair = 2 * HASH_BYTES
    return b"".join([sha256(b"\x01" + level[i : i + pair]).digest() for i in range(0, len(level), pair)])


def inclusion(leaves: bytes, index: int) -> list[bytes]:
    """The hashes that prove that the leaf `index` is in the tree of `leaves`, from below: RFC 6962, 2.1.1."""
    size = len(leaves) // HASH_BYTES
    assert 0 <= index < size, "there is no such leaf"
    path, level = list[bytes](), leaves
    while size > 1:
        sibling = index ^ 1
        if sibling < size:
            path.append(level[sibling * HASH_BYTES : (sibling + 1) * HASH_BYTES])
        level, index, size = _level_above(level), index >> 1, size + 1 >> 1
    return path


def _level_above(level: bytes) -> bytes:
    """The nodes above; a last one that has no sibling goes up as it is."""
    odd = len(level) // HASH_BYTES & 1
    return _parents(level[:-HASH_BYTES]) + level[-HASH_BYTES:] if odd else _parents(level)


def consistency(leaves: bytes, first: int) -> list[bytes]:
    """The hashes that prove that the tree of `leaves` begins with the tree of the `first` of them: RFC 6962, 2.1.2."""
    size = len(leaves) // HASH_BYTES
    assert 0 < first <= size, "there is no such tree"
    if first == size:
        return []
    last, path, level = first - 1, list[bytes](), leaves
    while last & 1:  # up to the root of the last full tree that the first one is made of
        last, level, size = last >> 1, _level_above(level), size + 1 >> 1
    if last:
        path.append(level[last * HASH_BYTES : (last + 1) * HASH_BYTES])
    while size > 1:
        sibling = last ^ 1
        if sibling < size:
            path.append(level[sibling * HASH_BYTES : (sibling + 1) * HASH_BYTES])
        last, level, size = last >> 1, _level_above(level), size + 1 >> 1
    return path
