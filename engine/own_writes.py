"""What a transaction has written and not committed yet, and what tables and streams are with it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import pyarrow as pa

from headwater.engine.reads import Key, words_of
from headwater.engine.violations import Written
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut, Leaf, rows_of, with_weights
from headwater.executor.key_index import KeyIndex
from headwater.executor.keys import key_words
from headwater.executor.state import TableState
from headwater.planner import Plan, Relation
from headwater.planner.logical import StreamOutput, StreamSource, TableSource
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Append, Chunk, Log
from headwater.values import Delta


class OwnWrites:
    """Rows for source relations, in the order in which they were written."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._appends: list[Append] = []
        self._latest: dict[int, _Latest] = {}  # of tables of which rows of a key were asked for
        self.counts = Counter[tuple[int, int]]()  # how many rows each check has left out
        self.relations: dict[int, Relation] = {}  # those that have some

    @property
    def appends(self) -> Sequence[Append]:
        """What is to be committed."""
        return self._appends

    @property
    def rows(self) -> int:
        """How many rows there are to commit."""
        return sum(append.rows.num_rows for append in self._appends)

    def add(self, relation: Relation, appends: Sequence[Append]) -> None:
        """Take up what a statement writes into a source relation."""
        written = [append for append in appends if append.rows.num_rows]
        if written:
            self._appends += written
            self.relations[relation.id] = relation

    def add_written(self, made: Written) -> None:
        """Take up what a statement writes, with the rows that go elsewhere."""
        for relation, appends in made.parts:
            self.add(relation, appends)
        self.counts.update(made.counts)

    def row(self, relation: Relation, key: Key) -> pa.RecordBatch | None:
        """The row of a key of a table, or an empty batch if it was deleted; None if nothing was written to that key."""
        if relation.id not in self.relations:
            return None
        leaf = relation.source()
        assert isinstance(leaf, TableSource) and leaf.key is not None, "only a table with a key has rows by it"
        latest = self._latest.setdefault(relation.id, _Latest(leaf))
        latest.read([append.rows for append in self._appends if append.stream == relation.id])
        return latest.row(key)

    def following(self, plan: Plan, circuit: Circuit) -> pa.Table:
        """What the step that COMMIT brings makes of a circuit of a plan: the rows of a table, or the records that are
        new in a derived stream. The circuit is of no use any more.
        """
        version = circuit.version
        given = {leaf: delta_of(leaf, self._appends, self._log, version) for leaf in circuit.leaves}
        changes = circuit.advance(self._log, Cut(version), given)
        if not isinstance(plan, StreamOutput):
            return pa.Table.from_batches([circuit.rows(plan)])
        return pa.Table.from_batches([delta.rows for delta in changes[plan]], arrow_schema(plan.columns))

    def over(self, relation: Relation, rows: pa.Table, version: int) -> pa.Table:
        """The rows of a source relation, which has `rows` at a version, with what was written since."""
        leaf = relation.source()
        assert isinstance(leaf, StreamSource | TableSource), "only source relations are written"
        own = rows_of(chunks_of(self._appends, relation.id, self._log, version), leaf)
        if isinstance(leaf, StreamSource):
            return pa.concat_tables([rows, pa.Table.from_batches([own.select(rows.column_names)])])
        return pa.Table.from_batches([_changed(leaf, rows, with_weights(own))])


class _Latest:
    """Where the latest of the rows that were written to a table is for each key."""

    def __init__(self, leaf: TableSource) -> None:
        assert leaf.key is not None
        self._leaf, self._names = leaf, leaf.key
        self._index = KeyIndex()
        self._places: dict[int, tuple[pa.RecordBatch, int]] = {}  # by slot of the index
        self._read = 0

    def read(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Go on to the end of all that was written."""
        for batch in batches[self._read :]:
            slots = self._index.insert(key_words([batch.column(name) for name in self._names], batch.num_rows))
            self._places.update((slot, (batch, row)) for row, slot in enumerate(slots.tolist()))
        self._read = len(batches)

    def row(self, key: Key) -> pa.RecordBatch | None:
        (slot,) = self._index.find(words_of([key], self._names)).tolist()
        if slot < 0:
            return None
        batch, row = self._places[slot]
        delta = with_weights(rows_of([Chunk(0, 0, 0, 0, batch.slice(row, 1))], self._leaf))
        return delta.rows if delta.weight_array[0] > 0 else delta.rows.slice(0, 0)


def chunks_of(appends: Sequence[Append], id: int, log: Log, version: int, before: Sequence[Append] = ()) -> list[Chunk]:
    """Appends to a relation as the log will have them after a version and what is committed `before` them, if nothing
    else is written to it meanwhile.
    """
    ends = Counter(log.ends(id, version))
    for append in before:
        if append.stream == id:
            ends[append.partition] += append.rows.num_rows
    chunks = []
    for append in appends:
        if append.stream == id and append.rows.num_rows:
            chunks.append(Chunk(version + 1, 0, append.partition, ends[append.partition], append.rows))
            ends[append.partition] += append.rows.num_rows
    return chunks


def delta_of(leaf: Leaf, appends: Sequence[Append], log: Log, version: int, before: Sequence[Append] = ()) -> Delta:
    """What a leaf of a circuit reads of appends, if they are committed after a version and what comes `before` them."""
    rows = rows_of(chunks_of(appends, leaf.id, log, version, before), leaf)
    return Delta(rows) if isinstance(leaf, StreamSource) else with_weights(rows)


def _changed(leaf: TableSource, rows: pa.Table, delta: Delta) -> pa.RecordBatch:
    """The rows of a table after a delta."""
    schema = delta.rows.schema
    table = TableState(schema, leaf.key)
    for batch in rows.select(schema.names).to_batches():
        table.apply(Delta(batch))
    if leaf.key is None:
        table.apply(delta)
    else:
        table.upsert(delta.rows, delta.weight_array)
    return table.rows()
