"""Ledgers: partitions of which the log knows a hash of all records, and keeps it in every commit that adds some.

The records of a partition are the leaves of one Merkle tree, in the order of their offsets. A commit that adds records
has an *entry* for each partition of a ledger: how many records there are now, the root of the tree, and a hash of this
commit that includes the one of the commit before. So what was committed once cannot be changed without changing every
entry that follows. `docs/ledgers.md` has the layout.

In: hashes of records, which whoever appends them computes; out: entries, and the ledgers that they add up to.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from headwater.storage.merkle import HASH_BYTES, Frontier

Entry = list[Any]  # stream, partition, size, root, chain, the nodes of the frontier that are new; hashes as hexadecimal


@dataclass(frozen=True, slots=True)
class Ledger:
    """One partition of a ledger: the tree of its records, and the hash of the last commit that added some."""

    tree: Frontier = Frontier()
    chain: bytes = bytes(HASH_BYTES)

    def extended(self, stream: int, partition: int, version: int, time_us: int, leaves: bytes) -> Ledger:
        """The ledger with the records that a commit adds."""
        tree = self.tree.extended(leaves)
        return Ledger(tree, self.chained(stream, partition, version, time_us, tree.size, tree.root))

    def chained(self, stream: int, partition: int, version: int, time_us: int, size: int, root: bytes) -> bytes:
        """The hash of a commit after which there are `size` records whose tree has `root`."""
        fields = [self.chain.hex(), stream, partition, version, time_us, self.tree.size, size, root.hex()]
        return sha256(json.dumps(fields, separators=(",", ":")).encode()).digest()

    def entry(self, stream: int, partition: int, after: Ledger) -> Entry:
        """What the record of a commit says of the ledger that was this one before and is `after` now."""
        tree = after.tree
        new = tree.nodes[self.tree.kept(tree.size) :]
        return [stream, partition, tree.size, tree.root.hex(), after.chain.hex(), [node.hex() for node in new]]

    def entered(self, entry: Entry) -> Ledger:
        """The ledger after a commit that has an entry of it."""
        _, _, size, _, chain, new = entry
        kept = self.tree.nodes[: self.tree.kept(size)]
        return Ledger(Frontier(size, (*kept, *map(bytes.fromhex, new))), bytes.fromhex(chain))

    def to_json(self) -> list[Any]:
        """All of it, for `from_json`."""
        return [self.tree.size, self.chain.hex(), [node.hex() for node in self.tree.nodes]]

    @classmethod
    def from_json(cls, packed: Sequence[Any]) -> Ledger:
        """The inverse of `to_json`."""
        size, chain, nodes = packed
        return cls(Frontier(size, tuple(map(bytes.fromhex, nodes))), bytes.fromhex(chain))
