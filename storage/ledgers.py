"""Ledgers: partitions of which the log knows a hash of all records, and keeps it in every commit that adds some.

The records of a partition are the leaves of one Merkle tree, in the order of their offsets. A commit that adds records
has an *entry* for each partition of a ledger: how many records there are now, the root of the tree, and a hash of this
commit that includes the one of the commit before. So what was committed once cannot be changed without changing every
entry that follows. Besides, an entry has what saves reading records: nodes of the tree, for proofs, and sums, which
tell which record is another one. `docs/ledgers.md` has the layout.

Somebody may have written entries who is not Headwater. One that cannot be read makes its ledger unreadable, which who
uses it says; it keeps nobody from the rest of the log.

In: hashes of records, which whoever appends them computes; out: entries, and the ledgers that they add up to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from hashlib import sha256
from typing import Any

from headwater.storage.merkle import HASH_BYTES, WIDTH, Frontier, height_of
from headwater.storage.sums import sums_of

BLOCK_HEIGHT = 3  # entries have the nodes from this height on
BLOCK = WIDTH**BLOCK_HEIGHT  # records below such a node

_LIMITS = (1 << 32, 1 << 32, 1 << 63)
_HEXADECIMAL = re.compile("[0-9a-f]*")


@dataclass(frozen=True, slots=True)
class Entry:
    """What the record of a commit says of one partition of a ledger. Hashes are one behind the other."""

    stream: int
    partition: int
    size: int
    root: bytes
    chain: bytes
    nodes: bytes  # of the frontier, those that are new
    complete: bytes  # nodes from the height of blocks on that this commit completes: by height, then in order
    sums: bytes  # of the hashes of the commit's records, see `sums.py`

    def pack(self) -> list[Any]:
        """As JSON."""
        hashes = self.root, self.chain, self.nodes, self.complete, self.sums
        return [self.stream, self.partition, self.size, *(some.hex() for some in hashes)]

    @classmethod
    def unpack(cls, packed: list[Any]) -> Entry | None:
        """The inverse of `pack`; None for what is no entry."""
        if len(packed) != len(fields(cls)) or not all(map(_is_number, packed, _LIMITS)):
            return None
        stream, partition, size, *texts = packed
        hashes = [found for text in texts if (found := _hashes(text)) is not None]
        if len(hashes) != len(texts) or len(hashes[0]) != HASH_BYTES or len(hashes[1]) != HASH_BYTES:
            return None
        return cls(stream, partition, size, *hashes)

    def subtree(self, before: int, begin: int, end: int) -> bytes:
        """The root of a full tree, at least as high as a block, that this commit completes after `before` records."""
        place, width = 0, BLOCK
        while width < end - begin:
            place += self.size // width - before // width
            width *= WIDTH
        place += begin // width - before // width
        return self.complete[place * HASH_BYTES : (place + 1) * HASH_BYTES]


@dataclass(frozen=True, slots=True)
class Ledger:
    """One partition of a ledger: the tree of its records, and the hash of the last commit that added some."""

    tree: Frontier = Frontier()
    chain: bytes = bytes(HASH_BYTES)
    is_readable: bool = True  # whether all entries so far were

    def extended(self, stream: int, partition: int, version: int, time_us: int, leaves: bytes) -> tuple[Ledger, Entry]:
        """The ledger with the records that a commit adds, and what the commit says of it."""
        tree, complete = self.tree.grown(leaves)
        root = tree.root
        after = Ledger(tree, self.chained(stream, partition, version, time_us, tree.size, root))
        kept = _kept(self.tree, tree.size)
        nodes = b"".join(level[len(old) :] for level, old in zip(tree.levels, kept, strict=True))
        blocks = b"".join(complete[BLOCK_HEIGHT:])
        return after, Entry(stream, partition, tree.size, root, after.chain, nodes, blocks, sums_of(leaves))

    def chained(self, stream: int, partition: int, version: int, time_us: int, size: int, root: bytes) -> bytes:
        """The hash of a commit after which there are `size` records whose tree has `root`."""
        said = [self.chain.hex(), stream, partition, version, time_us, self.tree.size, size, root.hex()]
        return sha256(json.dumps(said, separators=(",", ":")).encode()).digest()

    def entered(self, entry: Entry | None) -> Ledger:
        """The ledger after a commit that has an entry of it, or something that is none."""
        if entry is None or entry.size < self.tree.size or not self.is_readable:
            return UNREADABLE
        levels, nodes = list[bytes](), entry.nodes
        for height, old in enumerate(_kept(self.tree, entry.size)):
            new = _digit(entry.size, height) * HASH_BYTES - len(old)
            levels.append(old + nodes[:new])
            nodes = nodes[new:]
        after = Ledger(Frontier(entry.size, tuple(levels)), entry.chain)
        return after if not nodes and after._is_whole and after.tree.root == entry.root else UNREADABLE

    @property
    def _is_whole(self) -> bool:
        """Whether the tree has as many nodes as its size says."""
        tree = self.tree
        sizes = [_digit(tree.size, height) * HASH_BYTES for height in range(height_of(tree.size))]
        return sizes == [len(level) for level in tree.levels]

    def to_json(self) -> list[Any]:
        """All of it, for `from_json`."""
        if not self.is_readable:
            return []
        return [self.tree.size, self.chain.hex(), [level.hex() for level in self.tree.levels]]

    @classmethod
    def from_json(cls, packed: Sequence[Any]) -> Ledger:
        """The inverse of `to_json`. What is no ledger is one that cannot be read."""
        if len(packed) != 3 or not _is_number(packed[0], _LIMITS[-1]) or not isinstance(packed[2], list):
            return UNREADABLE
        size, *texts = packed[0], packed[1], *packed[2]
        hashes = [found for text in texts if (found := _hashes(text)) is not None]
        if len(hashes) != len(texts) or len(hashes[0]) != HASH_BYTES:
            return UNREADABLE
        ledger = cls(Frontier(size, tuple(hashes[1:])), hashes[0])
        return ledger if ledger._is_whole else UNREADABLE


UNREADABLE = Ledger(is_readable=False)


def entries_of(effects: Mapping[str, Any]) -> list[tuple[int, int, Entry | None]]:
    """What the effects of a commit say of ledgers: stream, partition, and the entry, None if it cannot be read."""
    return [(packed[0], packed[1], Entry.unpack(packed)) for packed in _placed(effects.get("ledgers", []), 2)]


def ledgers_of(packed: Any) -> dict[int, Ledger]:
    """The ledgers of a stream by partition, as its state has them."""
    return {partition: Ledger.from_json(ledger) for partition, *ledger in _placed(packed, 1)}


def _placed(packed: Any, numbers: int) -> list[list[Any]]:
    """What begins with so many numbers that say where it belongs. Others belong nowhere, and are missed there."""
    found = [item for item in packed if isinstance(item, list)] if isinstance(packed, list) else []
    return [item for item in found if len(item) >= numbers and all(_is_number(n, 1 << 32) for n in item[:numbers])]


def _kept(tree: Frontier, size: int) -> list[bytes]:
    """The nodes of each level that stay when a tree grows to `size`: all of those that are in no larger tree then."""
    levels = [*tree.levels, *[b""] * (height_of(size) - len(tree.levels))]
    return [b"" if (tree.size ^ size) >> 3 * (height + 1) else level for height, level in enumerate(levels)]


def _digit(size: int, height: int) -> int:
    """How many nodes of a height a frontier has."""
    return size >> 3 * height & 7


def _is_number(value: Any, limit: int) -> bool:
    return type(value) is int and 0 <= value < limit


def _hashes(text: Any) -> bytes | None:
    """Hashes, one behind the other, of hexadecimal digits as Headwater writes them; None for anything else."""
    if not isinstance(text, str) or len(text) % (2 * HASH_BYTES) or not _HEXADECIMAL.fullmatch(text):
        return None
    return bytes.fromhex(text)
