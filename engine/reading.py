"""Snapshot queries: what is it now, what was it then."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import pyarrow as pa

from headwater.engine.catalogs import Catalogs
from headwater.engine.changelogs import as_rows, changes_in, records_at
from headwater.engine.functions import Functions
from headwater.engine.past import Past
from headwater.engine.pipeline import Pipeline
from headwater.engine.positions import Points, no_more
from headwater.engine.reads import LastWrites, words_of
from headwater.engine.result import Result
from headwater.engine.stops import stops_of
from headwater.errors import OutOfRange, PositionGone, UnknownName
from headwater.executor.feed import Cut, read_chunks, rows_of
from headwater.executor.ranges import BEGINNING, is_within
from headwater.executor.snapshot import SnapshotReader
from headwater.parser import syntax
from headwater.planner import Catalog, Input, Relation, SnapshotQuery, plan_snapshot, point_of, with_named_types
from headwater.planner.change_rows import ChangeSource
from headwater.planner.key_constants import Key
from headwater.planner.logical import StreamSource
from headwater.planner.past_nodes import CHANGE_COLUMNS
from headwater.planner.sql_types import arrow_schema, arrow_type
from headwater.values import Column, empty_batch


@dataclass(frozen=True)
class Range:
    """From where and up to where changes are asked for, when the log was at version `written`."""

    start: Cut
    end: Cut
    written: int


# Where to read an input; or its rows, or what makes them without holding up the steps.
Place: TypeAlias = Cut | pa.RecordBatch | Range | Callable[[], pa.Table]
Given: TypeAlias = Callable[[Input], Place | None]  # where to read an input that is not read as others are

ROWS = "$rows"  # how a query names the rows of a table that a statement changes


class Reader:
    """Answers snapshot queries over the relations of a database. Reading changes nothing."""

    def __init__(self, pipeline: Pipeline, catalogs: Catalogs, functions: Functions, now_us: Callable[[], int]) -> None:
        self._pipeline = pipeline
        self._log = pipeline.log
        self.catalogs = catalogs
        self._functions = functions
        self._now_us = now_us
        self.past = Past(pipeline.log)
        self.writes = LastWrites(pipeline.log)
        self._duckdb = SnapshotReader()

    def close(self) -> None:
        self._duckdb.close()

    def interrupt(self) -> None:
        """Stops the snapshot queries that are running: they raise SqlError. May be called from any thread."""
        self._duckdb.interrupt()

    def query(self, query: syntax.Query, given: Given = lambda _: None) -> Result:
        """The answer to a query, all its relations at one version but for those with an AS OF of their own, and those
        for which `given` has a place.

        Raises OutOfRange for a point that is not there yet, or no more.
        """
        try:
            return self._answer(query, given)
        except UnknownName as error:
            self._tell_of_the_past(error, query)
            raise
        except PositionGone as gone:
            span = next((node.span for node in syntax.walk(query) if isinstance(node, syntax.AsOf)), query.span)
            raise no_more(gone, span) from gone

    def points(self, present: Catalog | None = None) -> Points:
        """The points that a statement may name now, where names mean by default what they mean in `present`."""
        with self._pipeline.lock:
            known, latest = present or self._pipeline.catalog, self._pipeline.circuit.version
        return Points(self._log, self.catalogs, known, latest, self._now_us())

    def _tell_of_the_past(self, error: UnknownName, query: syntax.Query) -> None:
        """Lets an error about a relation that is no more say when it was there."""
        for node in syntax.walk(query):
            if isinstance(node, syntax.Relation) and node.name.span == error.span:
                then = self.catalogs.last_with(node.name.text)
                if then is not None:
                    error.hint = f"it was there up to version {then}: AS OF VERSION {then}"

    def columns(self, query: syntax.Query, catalog: Catalog) -> tuple[Column, ...]:
        """The columns that a query has, which is not run: it may name points that are not there yet.

        Raises SqlError as `query` does.
        """
        with self._pipeline.lock:
            points = self.points(catalog)
            snapshot = plan_snapshot(query, catalog, lambda as_of: points.catalog(as_of, or_present=True))
        tables = {i.name: (arrow_schema(i.columns).empty_table(), i.columns) for i in snapshot.inputs}
        return self._duckdb.run(snapshot.sql, tables, query, has_user_calls=bool(snapshot.functions))[0]

    def plan(self, query: syntax.Query) -> SnapshotQuery:
        """How a query is answered, which is not run. Raises SqlError as `query` does."""
        self._pipeline.catch_up()
        with self._pipeline.lock:
            points = self.points()
            return plan_snapshot(query, points.present, points.catalog)

    def present_rows(self, relation: Relation, given: Given = lambda _: None) -> pa.RecordBatch:
        """The rows that a source table has. See `query` for `given`."""
        with self._pipeline.lock:
            while self._pipeline.step():  # not waited for: that would let go of the lock
                pass
            source = Input(relation.name, relation, relation.content(), relation.columns, None)
            place = given(source) or self._present(source)
        if isinstance(place, pa.RecordBatch):
            return place
        batches = self._table(source, place).combine_chunks().to_batches()
        return batches[0] if batches else empty_batch(arrow_schema(source.columns))

    def over_rows(
        self, query: syntax.Query, relation: Relation, rows: pa.RecordBatch, given: Given = lambda _: None
    ) -> pa.Table:
        """The answer to a query in which ROWS is a table that has the columns of `relation` and these rows."""
        table = replace(relation, name=ROWS)
        with self._pipeline.lock:
            points = self.points(self._pipeline.catalog.add(table))
            snapshot = plan_snapshot(query, points.present, points.catalog)
            own = {table.source(): rows}
            places = self._places(snapshot.inputs, points, lambda i: own[i.plan] if i.plan in own else given(i))
        return self._run(snapshot, places, query).arrow()

    def row(self, relation: Relation, key: Key) -> pa.RecordBatch:
        """The row that a source table has with a key, if there is one."""
        with self._pipeline.lock:
            while self._pipeline.step():  # not waited for: that would let go of the lock
                pass
            return self._pipeline.circuit.row(relation.content(), scalars(key, relation.columns))

    def row_at(self, relation: Relation, key: Mapping[str, pa.Scalar], version: int) -> pa.RecordBatch:
        """The row that a source table had with a key as of a version, to which the pipeline has come."""
        names = tuple(key)
        with self._pipeline.lock:
            row = self._pipeline.circuit.row(relation.content(), key)
            now = self._pipeline.circuit.version
        if now == version or not self.writes.any_of(words_of([key], names), relation.id, names, version):
            return row
        rows = self.past.rows(relation.content(), relation, Cut(version), key).select(row.schema.names)
        return rows.combine_chunks().to_batches()[0] if rows.num_rows else row.slice(0, 0)

    def over(self, sql: str, tables: Mapping[str, tuple[pa.Table, tuple[Column, ...]]], at: syntax.Node) -> Result:
        """The answer to DuckDB's SQL over tables that are given; complaints point at a node."""
        return Result(*self._duckdb.run(sql, tables, at))

    def _answer(self, query: syntax.Query, given: Given) -> Result:
        self._pipeline.catch_up()
        with self._pipeline.lock:
            # Where each input stands is decided under the lock, at one version; the rest does not hold up the steps.
            points = self.points()
            catalog = points.catalog(point_of(query))
            query = with_named_types(query, catalog.types)
            self._functions.check(query, catalog)
            snapshot = plan_snapshot(query, points.present, points.catalog)
            self._check_functions(snapshot, points, query)
            places = self._places(snapshot.inputs, points, given)
        return self._run(snapshot, places, query)

    def _check_functions(self, snapshot: SnapshotQuery, points: Points, query: syntax.Query) -> None:
        """Raises SqlError for a view or relation of the past that needs a function which the program has not given."""
        for function in snapshot.functions:
            self._functions.check_given(function, query.span)
        for source in snapshot.inputs:
            if source.relation is not None and source.as_of is not None:
                self._functions.check_relation(source.relation, points.catalog(source.as_of), source.as_of.span)

    def _places(self, inputs: tuple[Input, ...], points: Points, given: Given) -> list[Place]:
        """Where to read each input."""
        places: list[Place] = []
        for source in inputs:
            own = given(source)
            if own is not None:
                places.append(own)
            elif source.changes is not None:
                start = self._point(source, source.changes.start, inputs, points)
                places.append(Range(start, self._point(source, source.as_of, inputs, points), self._log.version))
            elif source.as_of is None:
                places.append(self._present(source))
            else:
                places.append(self._cut(source, source.as_of, inputs, points))
        return places

    def _run(self, snapshot: SnapshotQuery, places: Sequence[Place], query: syntax.Query) -> Result:
        tables = {
            source.name: (self._table(source, place), source.columns)
            for source, place in zip(snapshot.inputs, places, strict=True)
        }
        columns, table = self._duckdb.run(snapshot.sql, tables, query, has_user_calls=bool(snapshot.functions))
        return Result(columns, table)

    def start_of(self, leaf: ChangeSource) -> Cut:
        """Where the changes begin that a continuous query reads. Raises OutOfRange for a point that is not there."""
        self._pipeline.catch_up()
        with self._pipeline.lock:
            relation = self._pipeline.catalog.by_id(leaf.id)
            source = Input(relation.name, relation, relation.content(), (), None)
            return self._point(source, leaf.since, (source,), self.points())

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
            return circuit.row(source.plan, key_of(source)) if source.key else circuit.rows(source.plan)
        # A derived stream's rows are committed after the input that its circuit has read.
        return Cut(self._log.version if source.relation.is_derived else circuit.version)

    def _point(self, source: Input, point: syntax.AsOf | None, inputs: tuple[Input, ...], points: Points) -> Cut:
        """Where changes of `source` begin or end: at a point, or now."""
        if point is not None and point.kind == "earliest":
            return BEGINNING
        if point is not None and point.kind != "latest":
            return self._cut(source, point, inputs, points)
        now = self._pipeline.circuit.version
        if source.relation is None:
            return Cut(now)
        self._pipeline.check_running(source.relation)
        stop = self._pipeline.stopped.get(source.relation.id)
        return Cut(now if stop is None else stop.version)

    def _cut(self, source: Input, as_of: syntax.AsOf, inputs: tuple[Input, ...], points: Points) -> Cut:
        """Where to read `source` as of a point. Offsets of a derived stream count its own records where it is asked for
        alone, or named.
        """
        asked = [other for other in inputs if other.as_of is as_of] or [source]
        plans = [other.plan for other in asked]
        streams = [other.relation for other in asked if other.relation is not None and other.relation.is_stream]
        derived = [stream for stream in streams if stream.is_derived]
        if as_of.kind == "offsets" and any(isinstance(key, str) for key, _ in as_of.positions):
            plans += [stream.source() for stream in derived]
        elif as_of.kind in ("offset", "offsets") and len(asked) == 1 and streams:
            plans = [streams[0].source()]
        if derived and as_of.kind in ("offset", "offsets"):
            # Its records are committed after the input that its circuit has read.
            points = replace(points, latest=self._log.version)
        cut = points.cut(as_of, plans)
        return cut if source.relation is None else self.as_it_ran(source.relation, cut, points.catalog(as_of))

    def as_it_ran(self, relation: Relation, cut: Cut, catalog: Catalog) -> Cut:
        """`cut` or, of a query that stood still then, where it stood. Raises QueryFailed for one that had failed."""
        self._pipeline.check_running(relation, cut.version)
        failed = stops_of(self._log, catalog).get(relation.id)
        if failed is not None and failed.state == "failed" and cut.version > failed.version:
            raise failed.error(relation, catalog)
        stop = stops_of(self._log, catalog, cut.version).get(relation.id)
        stood = stop is not None and stop.state != "failed" and not cut.limits
        return Cut(min(stop.version, cut.version)) if stop is not None and stood else cut

    def at(self, source: Input, version: int) -> Cut:
        """Where to read an input as it was at a version, whatever has been committed since."""
        if source.relation is None:
            return Cut(version)
        cut = self.as_it_ran(source.relation, Cut(version), self._pipeline.catalog)
        if source.relation.is_stream and source.relation.is_derived:
            point = syntax.AsOf("version", value=str(version))
            return records_at(self._log, source.relation, cut, point, self._log.version)
        return cut

    def rows(self, source: Input, cut: Cut) -> pa.Table:
        """The rows of an input at a cut."""
        return self._table(source, cut)

    def _table(self, source: Input, place: Place) -> pa.Table:
        """The rows of an input, at a cut or as they were found, or its changes in a range."""
        if isinstance(place, Range):
            return self._changes(source, place)
        if callable(place):
            return place().select([c.name for c in source.columns])
        if source.relation is not None and source.relation.is_stream:
            return self._stream(source, source.relation, place)
        if isinstance(place, Cut):
            rows = self.past.rows(source.plan, source.relation, place, key_of(source))
        else:
            rows = pa.Table.from_batches([place])
        return rows.select([c.name for c in source.columns])

    def _stream(self, source: Input, relation: Relation, cut: Cut) -> pa.Table:
        """The records of a stream; those of a derived one at a cut of its sources are the first so many of its log."""
        if source.as_of is not None and relation.is_derived:
            cut = records_at(self._log, relation, cut, source.as_of, self._log.version)
        leaf = StreamSource(relation.id, relation.name, source.columns)
        batches = [rows_of([chunk], leaf) for chunk in read_chunks(self._log, leaf, 0, cut)]
        return pa.Table.from_batches(batches, schema=arrow_schema(source.columns))

    def _changes(self, source: Input, place: Range) -> pa.Table:
        """The changes of an input in a range."""
        relation, asked = source.relation, source.changes
        assert asked is not None
        records = None
        if relation is not None and relation.is_stream and relation.is_derived:
            points = (place.start, asked.start), (place.end, source.as_of)
            first, last = (self._records(relation, cut, point, place.written) for cut, point in points)
            records = first, last
        if place.end is BEGINNING or not is_within(self._log, *(records or (place.start, place.end))):
            raise OutOfRange(
                "these changes end before they begin", asked.span,
                hint="CHANGES FROM the earlier point TO the later one",
            )  # fmt: skip
        shown = source.columns[len(CHANGE_COLUMNS) :]
        changes = changes_in(self._log, relation, source.plan, place.start, place.end, shown, records)
        return pa.Table.from_batches([as_rows(self._log, changes, source.columns)])

    def _records(self, relation: Relation, cut: Cut, point: syntax.AsOf | None, written: int) -> Cut:
        """Where changes of a derived stream begin or end in its own log."""
        if cut is BEGINNING:
            return cut
        if point is None or point.kind == "latest":
            return Cut(written)
        return records_at(self._log, relation, cut, point, written)


def key_of(source: Input) -> dict[str, pa.Scalar]:
    """The values that are asked of the columns of a key; empty where all rows are."""
    return scalars(source.key, source.columns)


def scalars(key: Key, columns: Sequence[Column]) -> dict[str, pa.Scalar]:
    """The values of the columns of a key, in their types."""
    types = {column.name: column.type for column in columns}
    return {name: pa.scalar(value, arrow_type(types[name])) for name, value in key}
