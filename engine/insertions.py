"""Which query has inserted a record into a stream of users, and which of its rows the record is.

No commit says so of each record. But what a query gave in a step is a function of the log, so the step is taken again:
of the rows that its queries give, the record is one that is equal. Of several that are equal, each is taken once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.engine import ingest
from headwater.engine.catalogs import NOTE as DEFINED
from headwater.engine.catalogs import Catalogs
from headwater.engine.outputs import created_at
from headwater.engine.recovery import named
from headwater.engine.stops import NOTE as CONTROL
from headwater.engine.stops import stops_of
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut, read_rows
from headwater.executor.key_index import KeyIndex
from headwater.executor.keys import row_words
from headwater.executor.past import circuit_at
from headwater.executor.trouble import Trouble
from headwater.planner import Catalog, Plan, Relation, walk_plan
from headwater.planner.logical import StreamSource
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Log
from headwater.values import ROWOFFSET, ROWPARTITION, ROWTIME, Column, Delta, concat_deltas

_TIME = pa.timestamp("us")
_PLACES = (Column(ROWPARTITION, "INTEGER"), Column(ROWOFFSET, "BIGINT"))


@dataclass(frozen=True)
class Inserted:
    """The query of a record, and its row there as it was at a cut; no row where retention has taken what it read."""

    query: Relation
    row: pa.RecordBatch | None
    cut: Cut


@dataclass(frozen=True)
class _Given:
    """What a query gave in a step: rows as its plan has them, and as they are inserted."""

    query: Relation
    rows: pa.RecordBatch | None
    fitted: pa.RecordBatch | None
    cut: Cut


class Insertions:
    """Finds the queries that have inserted records."""

    def __init__(self, log: Log, catalogs: Catalogs) -> None:
        self._log = log
        self._catalogs = catalogs
        self._known: dict[tuple[int, int], list[_Given]] = {}

    def of(self, stream: int, version: int, partition: int, offset: int) -> Inserted | None:
        """What a query had inserted as a record of a stream that a version committed; None where no query did."""
        given = self._given(stream, version)
        if not given:
            return None
        target = self._catalogs.at(version).by_id(stream)
        records = _records(self._log, target, version)
        place = _place(records, partition, offset)
        index = KeyIndex()
        names = [column.name for column in target.columns] + [ROWTIME] * (target.timestamp is None)
        wanted = index.insert(row_words(records.select(names)))
        left = int(np.count_nonzero(wanted[:place] == wanted[place]))  # equal records before it have the first ones
        for each in given:
            if each.rows is None or each.fitted is None:
                continue
            equal = np.flatnonzero(index.find(row_words(each.fitted.select(names))) == wanted[place])
            if left < len(equal):
                return Inserted(each.query, each.rows.slice(int(equal[left]), 1), each.cut)
            left -= len(equal)
        gone = [Inserted(each.query, None, each.cut) for each in given if each.rows is None]
        return gone[0] if len(gone) == 1 else None

    def _given(self, stream: int, version: int) -> list[_Given]:
        """What queries that insert into a stream gave in the step that a version committed, in order."""
        if (stream, version) not in self._known:
            catalog = self._catalogs.at(version)
            inserting = [r for r in catalog.ordered() if r.insertion is not None and r.insertion.stream == stream]
            steps = [(query, self._step(query, version, catalog)) for query in inserting]
            self._known[stream, version] = [self._taken(query, catalog, *step) for query, step in steps if step]
        return self._known[stream, version]

    def _step(self, query: Relation, version: int, catalog: Catalog) -> tuple[int, int] | None:
        """From which version up to which a query read for what a version committed; None where that has none of it."""
        log, name = self._log, named("step", query.clock)
        made = created_at(log, version) if not query.clock else {}
        if any(at == version for at, _ in log.kept(DEFINED, version)):
            return (0, made[query.id]) if query.id in made and query.id not in created_at(log, version - 1) else None
        step = log.note_before(name, version)
        if step is None or step[0] != version:
            return None
        seen = catalog.in_clock(query.clock)
        stopped = stops_of(log, seen, version - 1).get(query.id)
        resumed = [id for at, note in log.kept(CONTROL, version) if at == version for id in note.get("resume", ())]
        if resumed:
            return (stopped.version, step[1]["to"]) if stopped is not None and query.id in resumed else None
        now = stops_of(log, seen, version).get(query.id)
        if stopped is not None or (now is not None and now.state == "failed"):
            return None
        before = log.note_before(name, version - 1)
        return max(before[1]["to"] if before is not None else 0, made.get(query.id, 0)), step[1]["to"]

    def _taken(self, query: Relation, catalog: Catalog, began: int, to: int) -> _Given:
        assert query.query_plan is not None and query.insertion is not None
        plan, cut = query.query_plan, Cut(to)
        if any(self._log.start(leaf.id).version for leaf in walk_plan(plan) if isinstance(leaf, StreamSource)):
            return _Given(query, None, None, cut)
        rows = _rows(self._log, plan, began, to)
        target = catalog.by_id(query.insertion.stream)
        fitted = ingest.fitted(rows, target)
        if target.timestamp is None and fitted.column(ROWTIME).null_count:  # such a row has got the time of its step
            times = pc.fill_null(fitted.column(ROWTIME), pa.scalar(self._log.time_of(to), pa.int64()).cast(_TIME))
            fitted = fitted.set_column(fitted.schema.get_field_index(ROWTIME), ROWTIME, times)
        return _Given(query, rows, fitted, cut)


def _rows(log: Log, plan: Plan, began: int, to: int) -> pa.RecordBatch:
    """The rows that a plan gives which reads the versions (began, to]."""
    circuit = circuit_at(log, [plan], Cut(began), keep=False) if began else Circuit([plan], keep=False)
    deltas: list[Delta] = []
    while circuit.version < to:
        deltas += circuit.advance(log, Cut(circuit.step_end(log, to)), trouble=Trouble())[plan]
    return concat_deltas(arrow_schema(plan.columns), deltas).rows


def _records(log: Log, target: Relation, version: int) -> pa.RecordBatch:
    """The records of a stream that a version committed, with their places."""
    leaf = StreamSource(target.id, target.name, (*target.columns, Column(ROWTIME, "TIMESTAMP"), *_PLACES))
    return read_rows(log, leaf, version - 1, Cut(version))


def _place(records: pa.RecordBatch, partition: int, offset: int) -> int:
    """Where a record is among others."""
    partitions, offsets = (records.column(name).to_numpy() for name in (ROWPARTITION, ROWOFFSET))
    return int(np.flatnonzero((partitions == partition) & (offsets == offset))[0])
