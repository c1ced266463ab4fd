"""Where the records of a commit are others than were hashed: which one, by the sums of its entry, or in which block.

In: what a commit says of a ledger, and the hashes that its records have now; out: the change, if there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from headwater.storage.commits import Placed, Record
from headwater.storage.ledgers import BLOCK, BLOCK_HEIGHT, Entry, Ledger
from headwater.storage.merkle import HASH_BYTES, Frontier
from headwater.storage.sums import changed, sums_of


@dataclass(frozen=True, slots=True)
class Change:
    """Records that are others than were hashed, from one offset to another; or, without a last one, what an entry says
    besides of records that are right.
    """

    first: int
    last: int | None
    message: str


@dataclass(frozen=True, slots=True)
class Said:
    """What a commit says of one partition: what the ledger was before and is after it, and where its records are."""

    record: Record
    before: Ledger
    after: Ledger
    entry: Entry
    placed: Sequence[Placed]

    def change(self, leaves: bytes) -> Change | None:
        """The first change, by the hashes that the records have now; None without one, or if not all can be read."""
        first, size, version = self.before.tree.size, self.after.tree.size, self.record.version
        if len(leaves) != (size - first) * HASH_BYTES:
            return None
        tree, complete = self.before.tree.grown(leaves)
        if tree == self.after.tree:
            if (b"".join(complete[BLOCK_HEIGHT:]), sums_of(leaves)) == (self.entry.complete, self.entry.sums):
                return None
            return Change(first, None, f"what commit {version} has to prove and to locate records is not of its own")
        offset = self._changed(leaves)
        if offset is not None:
            return Change(offset, offset, f"the record {offset} (commit {version}) is not the one that was hashed")
        begin, end = self._changed_block(b"".join(complete[BLOCK_HEIGHT : BLOCK_HEIGHT + 1]))
        what = f"the records {begin} to {end - 1} (commit {version}) are not all those that were hashed"
        return Change(begin, end - 1, what)

    def _changed(self, leaves: bytes) -> int | None:
        """The offset of the one record that is another one, if it is one: with its own hash the tree is right."""
        if len(leaves) == HASH_BYTES:
            return self.before.tree.size
        found = changed(leaves, self.entry.sums)
        if found is None:
            return None
        number, leaf = found
        mended = leaves[: number * HASH_BYTES] + leaf + leaves[(number + 1) * HASH_BYTES :]
        return self.before.tree.size + number if self.before.tree.extended(mended) == self.after.tree else None

    def _changed_block(self, blocks: bytes) -> tuple[int, int]:
        """The first block, as far as it is in the commit, that is another one than the entry has. If this has not those
        of the tree, it is all of the commit.
        """
        first, size = self.before.tree.size, self.after.tree.size
        hashed = self.entry.complete[: len(blocks)]
        if _above_blocks(self.before.tree).extended(hashed) != _above_blocks(self.after.tree):
            return first, size
        begin = first
        for place in range(0, len(blocks), HASH_BYTES):
            end = (first // BLOCK + place // HASH_BYTES + 1) * BLOCK
            if blocks[place : place + HASH_BYTES] != hashed[place : place + HASH_BYTES]:
                return begin, end
            begin = end
        return begin, size

    def frame_of(self, offset: int) -> Placed:
        """Where a record is."""
        return next(placed for placed in reversed(self.placed) if placed.offset <= offset)


def _above_blocks(tree: Frontier) -> Frontier:
    """The tree of which the full blocks of a tree are the leaves."""
    return Frontier(tree.size // BLOCK, tree.levels[BLOCK_HEIGHT:])
