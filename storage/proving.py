"""The tree of a ledger's partition as proofs need it: from the nodes that commits keep, and the records of few blocks.

A proof needs a few nodes of each height. A commit's entry has those from the height of blocks on; what is below is
computed from the records of its block. Nobody need trust these nodes: what is proven is that they make the root.

In: a log, a partition, and who hashes its rows; out: roots of subtrees, and proofs.
"""

from __future__ import annotations

import pyarrow as pa

from headwater.errors import CorruptLog
from headwater.storage.ledgers import BLOCK, Ledger, entries_of
from headwater.storage.log import Log
from headwater.storage.merkle import (
    HASH_BYTES,
    WIDTH,
    Frontier,
    Proof,
    consistency,
    inclusion,
    node_hash,
    pieces,
)
from headwater.storage.verify import Hashed


class LedgerTree:
    """The tree of the first `size` records of a partition, while nothing else is kept of it than a ledger."""

    def __init__(self, log: Log, stream: int, partition: int, ledger: Ledger, size: int, hashed: Hashed) -> None:
        self._log = log
        self._stream = stream
        self._partition = partition
        self._ledger = ledger
        self._size = size
        self._hashed = hashed
        self._blocks: dict[int, bytes] = {}  # hashes of the leaves, by where the block begins

    def inclusion(self, offset: int) -> Proof:
        """That the record at an offset is in the tree. Raises `CorruptLog` if it is not the one that was hashed."""
        return self._checked(inclusion(self._subtree, offset, 0, self._size))

    def consistency(self, before: int) -> Proof:
        """That the tree begins with the one of the first records. Raises `CorruptLog` if there are others."""
        return self._checked(consistency(self._subtree, before, 0, self._size))

    def record(self, offset: int) -> pa.RecordBatch:
        """The record at an offset."""
        (rows,) = self._records(offset, offset + 1)
        return rows

    def _checked(self, proof: Proof) -> Proof:
        """A proof, of which the root is that of the ledger, or of an earlier tree that the ledger's begins with."""
        grown = consistency(self._subtree, self._size, 0, self._ledger.tree.size)
        if (grown.before, grown.root) != (proof.root, self._ledger.tree.root):
            raise self._corrupt()
        return proof

    def _subtree(self, begin: int, end: int) -> bytes:
        size, block = end - begin, begin // BLOCK * BLOCK
        if size < BLOCK:
            leaves = self._leaves(block)[(begin - block) * HASH_BYTES : (end - block) * HASH_BYTES]
            return Frontier().extended(leaves).root
        full = BLOCK
        while full < size:
            full *= WIDTH
        if size == full:
            return self._node(begin, end)
        return node_hash(b"".join(self._subtree(*piece) for piece in pieces(begin, end)))

    def _node(self, begin: int, end: int) -> bytes:
        """The node above some blocks, which the commit has that added the last record."""
        version = self._log.version_of(self._stream, self._partition, end - 1)
        extents = self._log.extents(self._stream, version - 1, version)
        before = min(extent.offset for _, extent in extents if extent.partition == self._partition)
        for stream, partition, entry in entries_of(self._log.effects(version)):
            if (stream, partition) == (self._stream, self._partition) and entry is not None:
                node = entry.subtree(before, begin, end)
                if len(node) == HASH_BYTES:
                    return node
        raise self._corrupt()

    def _leaves(self, block: int) -> bytes:
        """The hashes of the records of a block, as far as the ledger goes."""
        if block not in self._blocks:
            end = min(block + BLOCK, self._ledger.tree.size)
            leaves = b"".join(self._hashed(rows, self._partition) for rows in self._records(block, end))
            if len(leaves) != (end - block) * HASH_BYTES:
                raise self._corrupt()
            self._blocks[block] = leaves
        return self._blocks[block]

    def _records(self, begin: int, end: int) -> list[pa.RecordBatch]:
        """The records between two offsets."""
        first, last = (self._log.version_of(self._stream, self._partition, offset) for offset in (begin, end - 1))
        found = []
        for chunk in self._log.scan(self._stream, first - 1, last):
            start, stop = max(begin, chunk.offset), min(end, chunk.offset + chunk.rows.num_rows)
            if chunk.partition == self._partition and start < stop:
                found.append(chunk.rows.slice(start - chunk.offset, stop - start))
        return found

    def _corrupt(self) -> CorruptLog:
        return CorruptLog(
            "the records of the ledger are not those that were hashed: there is no proof of them",
            hint="VERIFY STREAM says where the first difference is",
        )
