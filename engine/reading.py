"""Snapshot queries: what is it now, what was it then."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from headwater.engine.pipeline import Pipeline
from headwater.engine.positions import resolve
from headwater.engine.result import Result
from headwater.errors import OutOfRange, PositionGone
from headwater.executor.feed import Cut, read_chunks, rows_of
from headwater.executor.past import circuit_at
from headwater.executor.snapshot import SnapshotReader
from headwater.parser import syntax
from headwater.planner import Input, Relation, plan_snapshot
from headwater.planner.logical import StreamSource
from headwater.planner.sql_types import arrow_schema


class Reader:
    """Answers snapshot queries over the relations of a database. Reading changes nothing."""

    def __init__(self, pipeline: Pipeline, now_us: Callable[[], int]) -> None:
        self._pipeline = pipeline
        self._log = pipeline.log
        self._now_us = now_us
        self._duckdb = SnapshotReader()

    def close(self) -> None:
        self._duckdb.close()

    def query(self, query: syntax.Query) -> Result:
        """The answer to a query, all its relations at one version but for those with an AS OF of their own.

        Raises OutOfRange for a point that is not there yet, or no more.
        """
        try:
            return self._answer(query)
        except PositionGone as gone:
            span = next((node.span for node in syntax.walk(query) if isinstance(node, syntax.AsOf)), query.span)
            raise OutOfRange(
                "this point is no more: retention has taken what it was made of",
                span,
                hint=f"the earliest is AS OF VERSION {gone.earliest}",
            ) from gone

    def _answer(self, query: syntax.Query) -> Result:
        self._pipeline.catch_up()
        with self._pipeline.lock:
            # Where each input stands is decided under the lock, at one version; the rest does not hold up the steps.
            snapshot = plan_snapshot(query, self._pipeline.catalog)
            inputs = snapshot.inputs
            places = [self._present(s) if s.as_of is None else self._cut(s, s.as_of, inputs) for s in inputs]
        tables = {
            source.name: (self._table(source, place), source.columns)
            for source, place in zip(inputs, places, strict=True)
        }
        columns, table = self._duckdb.run(snapshot.sql, tables, query)
        return Result(columns, table)

    def _present(self, source: Input) -> Cut | pa.RecordBatch:
        """What an input is now: the rows of a table, which the running circuit has, or else where to read it."""
        circuit = self._pipeline.circuit
        if source.relation is None:
            return Cut(circuit.version)
        if not source.relation.is_stream:
            return circuit.rows(source.plan)
        # A derived stream's rows are committed after the input that its circuit has read.
        return Cut(self._log.version if source.relation.is_derived else circuit.version)

    def _cut(self, source: Input, as_of: syntax.AsOf, inputs: tuple[Input, ...]) -> Cut:
        """Where to read `source` as of a point. An offset of a stream asked for alone counts its own records."""
        plans = [other.plan for other in inputs if other.as_of is as_of]
        by_name = any(isinstance(key, str) for key, _ in as_of.positions)
        if len(plans) == 1 and source.relation is not None and source.relation.is_stream and not by_name:
            plans = [source.relation.source()]
        return resolve(as_of, plans, self._log, self._pipeline.circuit.version, self._now_us)

    def _table(self, source: Input, place: Cut | pa.RecordBatch) -> pa.Table:
        """The rows of an input, at a cut or as they were found."""
        if source.relation is not None and source.relation.is_stream:
            return self._stream(source, source.relation, place)
        rows = circuit_at(self._log, [source.plan], place).rows(source.plan) if isinstance(place, Cut) else place
        return pa.Table.from_batches([rows]).select([c.name for c in source.columns])

    def _stream(self, source: Input, relation: Relation, cut: Cut) -> pa.Table:
        """The records of a stream; those of a derived one at a cut of its sources are the first so many of its log."""
        if source.as_of is not None and relation.plan is not None and relation.id not in cut.limits:
            ends = circuit_at(self._log, [relation.plan], cut).ends(relation.plan)
            cut = Cut(self._log.version, {relation.id: ends})
        leaf = StreamSource(relation.id, relation.name, source.columns)
        batches = [rows_of([chunk], leaf) for chunk in read_chunks(self._log, leaf, 0, cut)]
        return pa.Table.from_batches(batches, schema=arrow_schema(source.columns))
