"""Work queues: RECEIVE hands out the records of a stream, each to one worker for a time, until an ACK.

What is handed out is in the table of the queue, a row per record, and how far records were handed out at all is the
offset of a consumer group. So a RECEIVE is one commit, of rows of that table and of offsets, that is durable before
the worker gets anything; an ACK removes rows, a NACK lets them be due at once, and a worker that dies does neither: its
rows become due by themselves. Each record is handed out at least once; what follows from it counts once where the ACK
is part of the transaction that writes it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.engine import ingest
from headwater.engine.consuming import Consumer, Groups
from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.reads import Key, Reads
from headwater.engine.result import Result
from headwater.engine.writing import Writer, rows_said
from headwater.errors import MemberFenced, NotHeld, PositionGone, SqlError, TransactionConflict, suggestion
from headwater.executor.feed import rows_of
from headwater.parser import syntax
from headwater.planner import Relation
from headwater.planner.catalog import PSEUDO_TYPES, Queue
from headwater.planner.logical import StreamSource
from headwater.planner.queues import ATTEMPTS, PARTITION, RECEIPT, RECORD, VISIBLE_AT, group_of, queues_seen
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Append, Chunk
from headwater.values import ROWOFFSET, ROWPARTITION, Column, Delta

_TIME = pa.timestamp("us")
_SECOND_US = 1_000_000


@dataclass(frozen=True)
class Settling:
    """What an ACK or NACK writes, and what it has read for that, at which version."""

    relation: Relation
    appends: Sequence[Append]
    keys: Sequence[Key]
    version: int
    message: str


class Queues:
    """The queues of a database. Safe to use from several threads."""

    def __init__(self, pipeline: Pipeline, writer: Writer, groups: Groups, now_us: Callable[[], int]) -> None:
        self._pipeline = pipeline
        self._writer = writer
        self._groups = groups
        self._now_us = now_us
        self._lock = threading.Lock()  # who hands out
        self._members: dict[int, Consumer] = {}  # who reads the stream of a queue, by the id of the queue

    # ---------------------------------------------------------------- receive

    def receive(self, statement: syntax.Receive) -> Result:
        """Hands out up to so many records, those that are due again first; waits for some as long as it says."""
        until = self._now_us() + (statement.wait_us or 0)
        while True:
            version = self._pipeline.log.version
            handed, pause = self.attempt(statement)
            left = (until - self._now_us()) / _SECOND_US
            if len(handed) or left <= 0:
                return handed
            self._pipeline.log.wait(version, min(left, pause))

    def attempt(self, statement: syntax.Receive) -> tuple[Result, float]:
        """Hands out what there is without waiting; and in how many seconds the next record is due that is held."""
        relation, queue = self.find(statement.queue)
        if statement.count < 1:
            raise SqlError("RECEIVE takes at least one record", statement.span, hint="RECEIVE 10 FROM …")
        with self._lock:
            handed = self._hand_out(relation, queue, statement.count)
        return handed, 0 if len(handed) else self._next_due(relation) / _SECOND_US

    def _hand_out(self, relation: Relation, queue: Queue, count: int) -> Result:
        """One try after the other to hand out what is there, until nobody has come in between."""
        while True:
            member = self._member(relation, queue)
            try:
                return self._handed(relation, queue, member, count)
            except (TransactionConflict, MemberFenced):
                member.rewind()
            except BaseException:
                member.rewind()
                raise

    def _handed(self, relation: Relation, queue: Queue, member: Consumer, count: int) -> Result:
        now = self._now_us()
        version, held = self._held(relation)
        due = _due(held, now)
        again, dead = due, due.slice(0, 0)
        if queue.retries is not None:
            is_tried = pc.less_equal(due.column(ATTEMPTS), queue.retries)
            again, dead = due.filter(is_tried), due.filter(pc.invert(is_tried))
        again = again.slice(0, count)
        stream = self._pipeline.catalog.by_id(queue.stream)
        records = pa.concat_tables(
            [self._records(stream, again), member.fetch(count - again.num_rows).arrow()]
            if again.num_rows < count
            else [self._records(stream, again)]
        )
        rows = _rows(relation, records, again, now + queue.visibility_us)
        writes = ingest.changes(relation, Delta(rows), self._pipeline.log)
        gone = pa.concat_batches([dead, _without(again, records)])
        writes += ingest.changes(relation, Delta(gone, np.full(gone.num_rows, -1)), self._pipeline.log)
        if queue.dead_letter is not None and dead.num_rows:
            letters = self._records(stream, dead).select([column.name for column in stream.columns])
            into = self._pipeline.catalog.by_id(queue.dead_letter)
            writes += self._writer.appends(into, ingest.conform(into, letters))
        if writes:
            reads = Reads()
            for key in _keys(due):
                reads.add(relation.id, version, key)
            self._writer.commit(writes, [member.offsets()], reads)
        given = [rows.column(RECEIPT), rows.column(ATTEMPTS), *records.columns]
        columns = (Column(RECEIPT, "VARCHAR"), Column("attempt", "INTEGER"), *stream.columns, *PSEUDO_TYPES)
        return Result(columns, pa.table(given, names=[column.name for column in columns]))

    def _records(self, stream: Relation, held: pa.RecordBatch) -> pa.Table:
        """The records of a stream that rows of a queue stand for; those that retention has taken are left out."""
        leaf = StreamSource(stream.id, stream.name, (*stream.columns, *PSEUDO_TYPES))
        places = _places(held, PARTITION, RECORD)
        found: dict[tuple[int, int], Chunk] = {}
        versions = {self._version_of(stream, place) for place in places}
        for version in sorted(v for v in versions if v is not None):
            for chunk in self._pipeline.log.scan(stream.id, version - 1, version):
                for partition, offset in places:
                    row = offset - chunk.offset
                    if chunk.partition == partition and 0 <= row < chunk.rows.num_rows:
                        one = chunk.rows.slice(row, 1)
                        found[partition, offset] = Chunk(version, chunk.time_us, partition, offset, one)
        return pa.Table.from_batches([rows_of([found[place] for place in places if place in found], leaf)])

    def _version_of(self, stream: Relation, place: tuple[int, int]) -> int | None:
        """The version that committed a record; None if retention has taken it."""
        try:
            return self._pipeline.log.version_of(stream.id, *place)
        except PositionGone:
            return None

    def _next_due(self, relation: Relation) -> int:
        """In how many µs the next record that is held is due."""
        _, held = self._held(relation)
        if not held.num_rows:
            return 3600 * _SECOND_US
        first = pc.min(held.column(VISIBLE_AT).cast(pa.int64())).as_py()
        return max(int(first) - self._now_us(), 1000)

    def _member(self, relation: Relation, queue: Queue) -> Consumer:
        if relation.id not in self._members:
            stream = self._pipeline.catalog.by_id(queue.stream)
            self._members[relation.id] = self._groups.join(group_of(relation), stream)
        return self._members[relation.id]

    # ---------------------------------------------------------------- ack, nack

    def settle(self, statement: syntax.Ack | syntax.Nack, receipts: Sequence[object]) -> Result:
        """Runs ACK or NACK: what was received under these receipts is done with, or to be handed out again at once."""
        while True:
            settling = self.settling(statement, receipts)
            reads = Reads()
            for key in settling.keys:
                reads.add(settling.relation.id, settling.version, key)
            try:
                self._writer.commit(settling.appends, [], reads)
            except TransactionConflict:
                continue
            return Result.of_message(settling.message)

    def settling(self, statement: syntax.Ack | syntax.Nack, receipts: Sequence[object]) -> Settling:
        """What an ACK or NACK is to commit. Raises NotHeld for a receipt that it does not wait for."""
        relation, _ = self.find(statement.queue)
        version, held = self._held(relation)
        wanted = pa.array([None if r is None else str(r) for r in receipts], pa.string())
        rows = held.filter(pc.is_in(held.column(RECEIPT), wanted))
        known = set(rows.column(RECEIPT).to_pylist())
        for receipt in wanted.to_pylist():
            if receipt not in known:
                raise NotHeld(
                    f'"{receipt}" is no receipt that {relation.name} waits for', statement.span,
                    hint="it is of another queue, or was settled already, or the time was over and the record was "
                    "handed out again: nothing was changed",
                )  # fmt: skip
        if isinstance(statement, syntax.Ack):
            delta, word = Delta(rows, np.full(rows.num_rows, -1)), "done with"
        else:
            due = pa.array(np.full(rows.num_rows, self._now_us())).cast(_TIME)
            delta, word = Delta(rows.set_column(rows.schema.names.index(VISIBLE_AT), VISIBLE_AT, due)), "given back"
        appends = ingest.changes(relation, delta, self._pipeline.log)
        message = f"{word}: {rows_said(rows.num_rows)} of {relation.name}"
        return Settling(relation, appends, _keys(rows), version, message)

    # ---------------------------------------------------------------- what is held

    def find(self, name: syntax.Identifier) -> tuple[Relation, Queue]:
        """The queue of that name, and the table of its state. Raises SqlError if there is none."""
        relation = self._pipeline.catalog.get(name.text)
        if relation is None or relation.queue is None:
            queues = [r.name for r in queues_seen(self._pipeline.catalog)]
            raise SqlError(
                f'there is no queue "{name.text}"', name.span,
                hint=suggestion(name.text, queues, "queues") or f"CREATE QUEUE {name.text} ON a stream",
            )  # fmt: skip
        self._pipeline.catalog.find(name)  # raises SqlError for one that is private to an instance
        return relation, relation.queue

    def _held(self, relation: Relation) -> tuple[int, pa.RecordBatch]:
        """What a queue has handed out and not heard of again, and at which version."""
        self._pipeline.catch_up()
        with self._pipeline.lock:
            return self._pipeline.circuit.version, self._pipeline.circuit.rows(relation.content())


def receipts_of(statement: syntax.Ack | syntax.Nack, reader: Reader) -> Sequence[object]:
    """The values of the receipts that an ACK or NACK names."""
    select = syntax.Select(tuple(syntax.SelectItem(id) for id in statement.ids), span=statement.span)
    return reader.query(syntax.Query(select, span=statement.span)).fetchall()[0]


def _due(held: pa.RecordBatch, now_us: int) -> pa.RecordBatch:
    """What is to be handed out again, what has waited longest first."""
    times = held.column(VISIBLE_AT).cast(pa.int64()).to_numpy()
    due = np.flatnonzero(times <= now_us)
    return held.take(pa.array(due[np.argsort(times[due], kind="stable")]))


def _places(rows: pa.RecordBatch | pa.Table, partition: str, record: str) -> list[tuple[int, int]]:
    return list(zip(rows.column(partition).to_pylist(), rows.column(record).to_pylist(), strict=True))


def _without(again: pa.RecordBatch, records: pa.Table) -> pa.RecordBatch:
    """Those of `again` whose records are no more."""
    there = set(_places(records, ROWPARTITION, ROWOFFSET))
    return again.filter(pa.array([p not in there for p in _places(again, PARTITION, RECORD)], pa.bool_()))


def _rows(relation: Relation, records: pa.Table, again: pa.RecordBatch, visible_us: int) -> pa.RecordBatch:
    """The rows of a queue's table for records that are handed out."""
    tried = dict(zip(_places(again, PARTITION, RECORD), again.column(ATTEMPTS).to_pylist(), strict=True))
    places = _places(records, ROWPARTITION, ROWOFFSET)
    attempts = [tried.get(place, 0) + 1 for place in places]
    values = {
        PARTITION: [partition for partition, _ in places],
        RECORD: [record for _, record in places],
        RECEIPT: [
            f"{relation.id}.{p}.{record}.{attempt}" for (p, record), attempt in zip(places, attempts, strict=True)
        ],
        ATTEMPTS: attempts,
        VISIBLE_AT: [visible_us] * len(places),
    }
    schema = arrow_schema(relation.columns)
    return pa.RecordBatch.from_arrays([pa.array(values[f.name], f.type) for f in schema], schema=schema)


def _keys(rows: pa.RecordBatch) -> list[Key]:
    schema = rows.schema
    return [
        {PARTITION: pa.scalar(p, schema.field(PARTITION).type), RECORD: pa.scalar(r, schema.field(RECORD).type)}
        for p, r in _places(rows, PARTITION, RECORD)
    ]
