"""Snapshot queries: what is it now, what was it then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pyarrow as pa

from headwater.engine.past import Past
from headwater.engine.pipeline import Pipeline
from headwater.engine.positions import resolve
from headwater.engine.result import Result
from headwater.errors import OutOfRange, PositionGone, Unsupported
from headwater.executor.feed import Cut, read_chunks, rows_of
from headwater.executor.past import circuit_at
from headwater.executor.snapshot import SnapshotReader
from headwater.parser import syntax
from headwater.planner import Catalog, Input, Plan, Relation, SnapshotQuery, plan_snapshot
from headwater.planner.logical import StreamSource, has_order_of_log
from headwater.planner.sql_types import arrow_schema
from headwater.values import Column

ROWS = "$rows"  # how a query names the rows of a table that a statement changes
ROW_NUMBER = "$row"


class Reader:
    """Answers snapshot queries over the relations of a database. Reading changes nothing."""

    def __init__(self, pipeline: Pipeline, now_us: Callable[[], int]) -> None:
        self._pipeline = pipeline
        self._log = pipeline.log
        self._now_us = now_us
        self.past = Past(pipeline.log)
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

    def columns(self, query: syntax.Query, catalog: Catalog) -> tuple[Column, ...]:
        """The columns that a query has, which is not run. Raises SqlError as `query` does."""
        snapshot = plan_snapshot(query, catalog)
        tables = {i.name: (arrow_schema(i.columns).empty_table(), i.columns) for i in snapshot.inputs}
        return self._duckdb.run(snapshot.sql, tables, query, has_user_calls=snapshot.has_user_calls)[0]

    def numbered(self, query: syntax.Query, relation: Relation) -> tuple[pa.RecordBatch, pa.Table]:
        """The rows that a source table has, and the answer to a query in which ROWS is the table with one more column,
        ROW_NUMBER: the place of each row.
        """
        numbered = replace(relation, name=ROWS, columns=(*relation.columns, Column(ROW_NUMBER, "BIGINT")))
        with self._pipeline.lock:
            while self._pipeline.step():  # not waited for: that would let go of the lock
                pass
            snapshot = plan_snapshot(query, self._pipeline.catalog.add(numbered))
            rows = self._pipeline.circuit.rows(relation.content())
            with_numbers = rows.append_column(ROW_NUMBER, pa.array(np.arange(rows.num_rows)))
            places = self._places(snapshot.inputs, {numbered.source(): with_numbers})
        return rows, self._run(snapshot, places, query).arrow()

    def _answer(self, query: syntax.Query) -> Result:
        self._pipeline.catch_up()
        with self._pipeline.lock:
            # Where each input stands is decided under the lock, at one version; the rest does not hold up the steps.
            snapshot = plan_snapshot(query, self._pipeline.catalog)
            places = self._places(snapshot.inputs, {})
        return self._run(snapshot, places, query)

    def _places(self, inputs: tuple[Input, ...], given: Mapping[Plan, pa.RecordBatch]) -> list[Cut | pa.RecordBatch]:
        """Where to read each input, or its rows, which some are given."""
        places: list[Cut | pa.RecordBatch] = []
        for source in inputs:
            if source.plan in given:
                places.append(given[source.plan])
            elif source.as_of is None:
                places.append(self._present(source))
            else:
                places.append(self._cut(source, source.as_of, inputs))
        return places

    def _run(self, snapshot: SnapshotQuery, places: Sequence[Cut | pa.RecordBatch], query: syntax.Query) -> Result:
        tables = {
            source.name: (self._table(source, place), source.columns)
            for source, place in zip(snapshot.inputs, places, strict=True)
        }
        columns, table = self._duckdb.run(snapshot.sql, tables, query, has_user_calls=snapshot.has_user_calls)
        return Result(columns, table)

    def _present(self, source: Input) -> Cut | pa.RecordBatch:
        """What an input is now: the rows of a table, which the running circuit has, or else where to read it."""
        circuit = self._pipeline.circuit
        if source.relation is None:
            return Cut(circuit.version)
        self._pipeline.check_running(source.relation)
        stop = self._pipeline.stopped.get(source.relation.id)
        if not source.relation.is_stream:
            if stop is not None:
                return Cut(stop.version)
            return circuit.row(source.plan, _key(source)) if source.key else circuit.rows(source.plan)
        # A derived stream's rows are committed after the input that its circuit has read.
        return Cut(self._log.version if source.relation.is_derived else circuit.version)

    def _cut(self, source: Input, as_of: syntax.AsOf, inputs: tuple[Input, ...]) -> Cut:
        """Where to read `source` as of a point. An offset of a stream asked for alone counts its own records."""
        plans = [other.plan for other in inputs if other.as_of is as_of]
        by_name = any(isinstance(key, str) for key, _ in as_of.positions)
        latest = self._pipeline.circuit.version
        if len(plans) == 1 and source.relation is not None and source.relation.is_stream and not by_name:
            plans = [source.relation.source()]
            if source.relation.is_derived and as_of.kind in ("offset", "offsets"):
                latest = self._log.version  # its records are committed after the input that its circuit has read
        cut = resolve(as_of, plans, self._log, latest, self._now_us)
        if source.relation is not None:
            self._pipeline.check_running(source.relation, cut.version)
        return cut

    def _table(self, source: Input, place: Cut | pa.RecordBatch) -> pa.Table:
        """The rows of an input, at a cut or as they were found."""
        if source.relation is not None and source.relation.is_stream:
            return self._stream(source, source.relation, place)
        if isinstance(place, Cut):
            rows = self.past.rows(source.plan, source.relation, place, _key(source))
        else:
            rows = pa.Table.from_batches([place])
        return rows.select([c.name for c in source.columns])

    def _stream(self, source: Input, relation: Relation, cut: Cut) -> pa.Table:
        """The records of a stream; those of a derived one at a cut of its sources are the first so many of its log."""
        if source.as_of is not None and relation.plan is not None and relation.id not in cut.limits:
            if cut.limits and has_order_of_log(relation.plan):
                raise Unsupported(
                    f'"{relation.name}" has the records of several streams in the order of the log, so offsets of its '
                    "sources are no place in it", source.as_of.span, hint="use its own OFFSET, or a VERSION",
                )  # fmt: skip
            ends = circuit_at(self._log, [relation.plan], cut).ends(relation.plan)
            cut = Cut(self._log.version, {relation.id: ends})
        leaf = StreamSource(relation.id, relation.name, source.columns)
        batches = [rows_of([chunk], leaf) for chunk in read_chunks(self._log, leaf, 0, cut)]
        return pa.Table.from_batches(batches, schema=arrow_schema(source.columns))


def _key(source: Input) -> dict[str, pa.Scalar]:
    """The values that are asked of the columns of a key; empty where all rows are."""
    schema = arrow_schema(source.columns)
    return {name: pa.scalar(value, schema.field(name).type) for name, value in source.key}
