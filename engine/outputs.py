"""What queries give, as the log keeps it: rows of derived streams, digests of derived tables, and where they began."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from headwater.engine.ingest import append_of
from headwater.executor.circuit import Circuit, stored_changes
from headwater.executor.keys import Words, mix, row_words
from headwater.executor.state import consolidated
from headwater.planner import Relation
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Append, Log
from headwater.values import ROWOFFSET, ROWPARTITION, Delta, Weights, concat_deltas


def created_at(log: Log, upto: int | None = None) -> dict[int, int]:
    """The version of their input at which the relations were made that a version has (default: now), by their ids."""
    notes = [note for _, note in log.kept("ddl", upto) if "frontier" in note]
    return {made["id"]: note["frontier"] for note in notes for made in note.get("replace", [note]) if "id" in made}


class Digests:
    """The digests of the contents of derived tables, by their ids."""

    def __init__(self, known: dict[int, int] | None = None) -> None:
        self.known = known or {}

    def output(self, relation: Relation, deltas: Sequence[Delta]) -> list[Append]:
        """What a derived relation's log gains, which is counted into the digest of a table."""
        appends, digest = output_of(relation, deltas)
        if appends and not relation.is_stream:
            self.known[relation.id] = (self.known.get(relation.id, 0) + digest) % 2**64
        return appends

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


def output_of(relation: Relation, deltas: Sequence[Delta]) -> tuple[list[Append], int]:
    """What a derived relation's log gains, and what the digest of a table does."""
    assert relation.plan is not None
    delta = concat_deltas(arrow_schema(relation.plan.columns), deltas)
    if not len(delta):
        return [], 0
    if relation.is_stream:
        return by_partition(relation, delta.rows), 0
    delta, words = consolidated(delta)
    digest = content_digest(words, delta.weight_array)
    stored = [Append(relation.id, 0, stored_changes(delta), relation.log.compression)] if len(delta) else []
    return stored, digest


def by_partition(relation: Relation, rows: pa.RecordBatch) -> list[Append]:
    """The rows of a derived stream as appends to its partitions."""
    partitions = rows.column(ROWPARTITION).to_numpy(zero_copy_only=False)
    stored = rows.drop_columns([ROWPARTITION, ROWOFFSET])
    return [
        append_of(relation, partition, stored.take(pa.array(np.flatnonzero(partitions == partition))))
        for partition in np.unique(partitions).tolist()
    ]
