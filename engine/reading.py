"""Snapshot queries: what is it now, what was it then."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from headwater.engine.pipeline import Pipeline
from headwater.engine.positions import resolve
from headwater.engine.result import Result
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
        """The answer to a query, all its relations at one version but for those with an AS OF of their own."""
        self._pipeline.catch_up()
        with self._pipeline.lock:
            # The inputs are taken under the lock, so that they stand at one version; DuckDB then works without it.
            snapshot = plan_snapshot(query, self._pipeline.catalog)
            cuts = [self._cut(source, snapshot.inputs) for source in snapshot.inputs]
            tables = {
                source.name: (self.table(source, cut), source.columns)
                for source, cut in zip(snapshot.inputs, cuts, strict=True)
            }
        columns, table = self._duckdb.run(snapshot.sql, tables, query)
        return Result(columns, table)

    def _cut(self, source: Input, inputs: tuple[Input, ...]) -> Cut | None:
        """Where to read `source`; None for now. An offset of a stream asked for alone counts its own records."""
        if source.as_of is None:
            return None
        plans = [other.plan for other in inputs if other.as_of is source.as_of]
        by_name = any(isinstance(key, str) for key, _ in source.as_of.positions)
        if len(plans) == 1 and source.relation is not None and source.relation.is_stream and not by_name:
            plans = [source.relation.source()]
        return resolve(source.as_of, plans, self._log, self._pipeline.circuit.version, self._now_us)

    def table(self, source: Input, cut: Cut | None) -> pa.Table:
        """The rows of an input at `cut`, or now."""
        if source.relation is not None and source.relation.is_stream:
            return self._stream(source, source.relation, cut)
        circuit = self._pipeline.circuit
        if cut is not None or source.relation is None:
            circuit = circuit_at(self._log, [source.plan], cut or Cut(circuit.version))
        rows = circuit.rows(source.plan)
        return pa.Table.from_batches([rows]).select([c.name for c in source.columns])

    def _stream(self, source: Input, relation: Relation, cut: Cut | None) -> pa.Table:
        """The records of a stream; those of a derived one at a cut of its sources are the first so many of its log."""
        leaf = StreamSource(relation.id, relation.name, source.columns)
        if cut is None:
            # A derived stream's rows are committed after the input that its circuit has read.
            cut = Cut(self._log.version if relation.is_derived else self._pipeline.circuit.version)
        elif relation.plan is not None and relation.id not in cut.limits:
            ends = circuit_at(self._log, [relation.plan], cut).ends(relation.plan)
            cut = Cut(self._log.version, {relation.id: ends})
        chunks = read_chunks(self._log, relation.id, 0, cut)
        batches = [rows_of([chunk], leaf) for chunk in chunks]
        return pa.Table.from_batches(batches, schema=arrow_schema(source.columns))
