"""What queries give, as the log keeps it: rows of derived streams, digests of derived tables, and where they began."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from headwater.executor.circuit import Circuit
from headwater.executor.keys import Words, mix, row_words
from headwater.planner import Relation
from headwater.storage import Append, Log
from headwater.values import ROWOFFSET, ROWPARTITION, Weights


def created_at(log: Log) -> dict[int, int]:
    """The version of their input at which relations were made, by their ids."""
    notes = [note for _, note in log.kept("ddl") if "frontier" in note]
    return {made["id"]: note["frontier"] for note in notes for made in note.get("replace", [note]) if "id" in made}


class Digests:
    """The digests of the contents of derived tables, by their ids."""

    def __init__(self, known: dict[int, int] | None = None) -> None:
        self.known = known or {}

    def count(self, id: int, words: Words, weights: Weights) -> None:
        """Counts changes of a table, as words of rows with weights, into its digest."""
        self.known[id] = (self.known.get(id, 0) + content_digest(words, weights)) % 2**64

    def take(self, relations: Iterable[Relation], circuit: Circuit) -> None:
        """Takes those of the relations as a circuit has them."""
        for relation in relations:
            self.known |= digest_of(relation, circuit)

    def forget(self, ids: Iterable[int]) -> None:
        """Forgets those of some tables."""
        for id in list(ids):
            self.known.pop(id, None)

    def note(self) -> dict[str, int]:
        """What a commit has to say of them."""
        return {str(id): digest for id, digest in self.known.items()}


def digest_of(relation: Relation, circuit: Circuit) -> dict[int, int]:
    """By its id, the digest of a derived table's content; nothing for a stream."""
    if relation.is_stream:
        return {}
    content = circuit.content(relation.content())
    return {relation.id: content_digest(row_words(content.rows), content.weight_array)}


def content_digest(words: Words, weights: Weights) -> int:
    """A digest of a multiset of rows, whatever their order: the sum of their hashes times their weights."""
    hashed = mix(words[:, 0] + mix(words[:, 1] + np.uint64(1)))
    return int((hashed * weights.astype(np.uint64)).sum(dtype=np.uint64))


def by_partition(relation: Relation, rows: pa.RecordBatch) -> list[Append]:
    """The rows of a derived stream as appends to its partitions."""
    partitions = rows.column(ROWPARTITION).to_numpy(zero_copy_only=False)
    stored = rows.drop_columns([ROWPARTITION, ROWOFFSET])
    return [
        Append(
            relation.id,
            partition,
            stored.take(pa.array(np.flatnonzero(partitions == partition))),
            relation.log.compression,
        )
        for partition in np.unique(partitions).tolist()
    ]
