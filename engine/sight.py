"""What a transaction sees: the database as of one version, with what it has written itself on top."""

from __future__ import annotations

import pyarrow as pa

from headwater.engine.own_writes import OwnWrites
from headwater.engine.pipeline import Pipeline
from headwater.engine.positions import sources
from headwater.engine.reading import Place, Reader, key_of, scalars
from headwater.engine.reads import Reads
from headwater.engine.result import Result
from headwater.engine.stops import stops_of
from headwater.errors import Unsupported
from headwater.executor.feed import Cut
from headwater.parser import syntax
from headwater.planner import Catalog, Input, Relation
from headwater.planner.key_constants import Key
from headwater.planner.logical import Arrivals, CommitTimes, Now, StreamOutput, StreamSource, TableSource, walk_plan
from headwater.values import Column


class Sight:
    """Answers queries as a `Reader` does, and notes in `reads` what was read for that."""

    def __init__(self, pipeline: Pipeline, reader: Reader, own: OwnWrites) -> None:
        pipeline.catch_up()
        with pipeline.lock:
            self.version = pipeline.circuit.version
        self.reads = Reads()
        self._pipeline = pipeline
        self._reader = reader
        self._own = own

    def query(self, query: syntax.Query) -> Result:
        """The answer to a query."""
        return self._reader.query(query, self._place)

    def columns(self, query: syntax.Query, catalog: Catalog) -> tuple[Column, ...]:
        """See `Reader.columns`."""
        return self._reader.columns(query, catalog)

    def present_rows(self, relation: Relation) -> pa.RecordBatch:
        """See `Reader.present_rows`."""
        return self._reader.present_rows(relation, self._place)

    def over_rows(self, query: syntax.Query, relation: Relation, rows: pa.RecordBatch) -> pa.Table:
        """See `Reader.over_rows`."""
        return self._reader.over_rows(query, relation, rows, self._place)

    def row(self, relation: Relation, key: Key) -> pa.RecordBatch:
        """See `Reader.row`."""
        values = scalars(key, relation.columns)
        self.reads.add(relation.id, self.version, values)
        own = self._own.row(relation, values)
        return self._reader.row_at(relation, values, self.version) if own is None else own

    def _place(self, source: Input) -> Place | None:
        """Where to read an input: as of the transaction's version, with its own writes on top."""
        if source.as_of is not None or source.changes is not None:
            return None
        relation, own = source.relation, self._own.relations
        if relation is not None and not relation.is_derived:
            self.reads.add(relation.id, self.version, key_of(source))
            is_changed = relation.id in own
        else:
            leaves = _sources(source)
            for leaf in leaves:
                self.reads.add(leaf.id, self.version)
            is_changed = any(leaf.id in own for leaf in leaves)
        if not is_changed and self._pipeline.circuit.version == self._pipeline.log.version == self.version:
            return None  # it is what it is now
        cut = self._reader.at(source, self.version)
        if not is_changed:
            return cut
        if relation is not None and not relation.is_derived:
            return lambda: self._own.over(relation, self._reader.rows(source, cut), self.version)
        return self._following(source, cut)

    def _following(self, source: Input, cut: Cut) -> Place:
        """Where to read what is computed from a relation to which this transaction has written.

        Raises Unsupported where that depends on when it is committed.
        """
        relation = source.relation
        if relation is not None and relation.id in stops_of(self._pipeline.log, self._pipeline.catalog, self.version):
            return cut  # its query stands still, and would after COMMIT
        if any(isinstance(node, Now | Arrivals | CommitTimes) for node in walk_plan(source.plan)):
            what = "this" if relation is None else f'"{relation.name}"'
            raise Unsupported(
                f"{what} depends on when the writes of this transaction are committed", hint="ask after COMMIT"
            )

        def rows() -> pa.Table:
            made = self._own.following(source.plan, self._reader.past.circuit(source.plan, Cut(self.version)))
            if not isinstance(source.plan, StreamOutput):
                return made
            before = self._reader.rows(source, cut)
            return pa.concat_tables([before, made.select(before.column_names)])

        return rows


def _sources(source: Input) -> list[StreamSource | TableSource]:
    """The relations with a log of their own that an input is computed from."""
    return sources([source.plan if source.relation is None else source.relation.content()])
