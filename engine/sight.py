"""What a transaction sees: the database as of one version, with what it has written itself on top."""

from __future__ import annotations

import pyarrow as pa

from headwater.engine.own_writes import OwnWrites
from headwater.engine.pipeline import Pipeline
from headwater.engine.positions import sources
from headwater.engine.reading import Place, Reader, key_of, scalars
from headwater.engine.reads import Reads
from headwater.engine.result import Result
from headwater.errors import SqlError
from headwater.parser import syntax
from headwater.planner import Catalog, Input, Relation
from headwater.planner.key_constants import Key as KeyConstants
from headwater.planner.logical import StreamSource, TableSource
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

    def numbered(self, query: syntax.Query, relation: Relation, key: KeyConstants) -> tuple[pa.RecordBatch, pa.Table]:
        """See `Reader.numbered`."""
        return self._reader.numbered(query, relation, key, self._place)

    def row(self, relation: Relation, key: KeyConstants) -> pa.RecordBatch:
        """See `Reader.row`."""
        values = scalars(key, relation.columns)
        self.reads.add(relation.id, self.version, values)
        own = self._own.row(relation, values)
        return self._reader.row_at(relation, values, self.version) if own is None else own

    def _place(self, source: Input) -> Place | None:
        """Where to read an input: as of the transaction's version, with its own writes on top."""
        if source.as_of is not None or source.changes is not None:
            return None
        own = self._own_of(source)
        if source.relation is not None and not source.relation.is_derived:
            self.reads.add(source.relation.id, self.version, key_of(source))
        else:
            for leaf in _sources(source):
                self.reads.add(leaf.id, self.version)
        if own is None and self._pipeline.circuit.version == self._pipeline.log.version == self.version:
            return None  # it is what it is now
        cut = self._reader.at(source, self.version)
        if own is None:
            return cut
        return lambda: self._own.over(own, self._reader.rows(source, cut), self.version)

    def _own_of(self, source: Input) -> Relation | None:
        """The relation that is read, if this transaction has written to it.

        Raises SqlError for one that is computed from such a relation.
        """
        relation = source.relation
        if relation is not None and not relation.is_derived:
            return self._own.relations.get(relation.id)
        for leaf in _sources(source):
            if leaf.id in self._own.relations:
                what = "this" if relation is None else f'"{relation.name}"'
                raise SqlError(
                    f'{what} is computed from "{leaf.name}", to which this transaction has written',
                    hint="ask after COMMIT, or before the transaction writes there",
                )
        return None


def _sources(source: Input) -> list[StreamSource | TableSource]:
    """The relations with a log of their own that an input is computed from."""
    return sources([source.plan if source.relation is None else source.relation.content()])
