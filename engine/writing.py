"""What statements and programs put into source relations, change there, or take out: each a commit, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from threading import Lock

import pyarrow as pa

from headwater.engine import changes, ingest
from headwater.engine.gate import Gate
from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.result import Acknowledgement, Result
from headwater.engine.statements import inserted_rows
from headwater.parser import syntax
from headwater.planner import Relation
from headwater.planner.inserts import refuse_if_once
from headwater.planner.targets import refuse_derived
from headwater.storage import Append, Commit, GroupOffsets


class Writer:
    """Writes into the source relations of a database. Safe to use from several threads."""

    def __init__(self, pipeline: Pipeline, reader: Reader, now_us: Callable[[], int]) -> None:
        self._pipeline = pipeline
        self._log = pipeline.log
        self._reader = reader
        self._now_us = now_us
        self._gate = Gate()
        self._turns = Lock()  # of those who write what can come into a loop

    def append(self, relation: Relation, rows: pa.RecordBatch) -> Acknowledgement:
        """Commits rows, which have the columns of the relation."""
        appends = self.appends(relation, rows)
        with self._turn([relation.id]), self._gate.together():
            return self._commit(appends)

    def appends(self, relation: Relation, rows: pa.RecordBatch) -> list[Append]:
        """Rows, which have the columns of the relation, as they are committed. Raises DataError if they must not be."""
        return ingest.appends(relation, rows, self._log, self._now_us())

    def commit(
        self, appends: Sequence[Append], offsets: Sequence[GroupOffsets], check: Callable[[], None] | None
    ) -> int:
        """Commits what a transaction has written and the groups' offsets, if `check`, during which nobody else writes,
        does not raise. Gives the version.
        """
        with self._turn([a.stream for a in appends]), self._gate.together() if check is None else self._gate.alone():
            if check is not None:
                check()
            return self._log.commit(appends, offsets=offsets).version

    def append_all(self, relation: Relation, batches: Iterable[pa.RecordBatch]) -> Acknowledgement:
        """Commits rows that come in batches, all or none: nothing is written before the last batch is here."""
        now_us = self._now_us()
        appends = [append for rows in batches for append in ingest.appends(relation, rows, self._log, now_us)]
        with self._turn([relation.id]), self._gate.together():
            return self._commit(appends)

    def insert(self, statement: syntax.Insert) -> Result:
        """Runs INSERT once. Raises SqlError for rows that do not fit, or a relation that is no source."""
        relation = self._pipeline.catalog.find(statement.relation)
        refuse_derived(relation, statement.relation.span)
        refuse_if_once(statement)
        if isinstance(statement.query.body, syntax.Values):
            rows = inserted_rows(statement, relation, self._pipeline.catalog.functions)
            count = self.append(relation, rows).rows
            return Result.of_message(f"inserted {rows_said(count)}", changed=count)
        with self._turn([relation.id]), self._gate.alone():
            rows = changes.selected(statement, relation, self._pipeline.catalog, self._reader)
            self._commit(self.appends(relation, rows))
        return Result.of_message(f"inserted {rows_said(rows.num_rows)}", changed=rows.num_rows)

    def change(self, statement: syntax.Update | syntax.Delete) -> Result:
        """Runs UPDATE or DELETE: no rows come in between the state that it sees and its commit."""
        relation = self._pipeline.catalog.find(statement.relation)
        with self._turn([relation.id]), self._gate.alone(), self._pipeline.lock:
            relation = self._pipeline.catalog.find(statement.relation)
            if isinstance(statement, syntax.Update):
                delta, count = changes.updated(statement, relation, self._reader)
            else:
                delta, count = changes.deleted(statement, relation, self._reader)
            self._commit(ingest.changes(relation, delta, self._log))
        word = "updated" if isinstance(statement, syntax.Update) else "deleted"
        return Result.of_message(f"{word} {rows_said(count)}", changed=count)

    @contextmanager
    def _turn(self, relations: Iterable[int]) -> Iterator[None]:
        """Inside, one writes what may come into a loop of queries: one at a time, and when the loops are at rest.

        So the log has a commit, then the rounds that follow from it, then the next commit, whenever steps are made.
        """
        pipeline = self._pipeline
        if pipeline.feeding.loops(pipeline.catalog).streams.isdisjoint(relations):
            yield
            return
        with self._turns:
            pipeline.catch_up()
            yield

    def _commit(self, appends: Sequence[Append]) -> Acknowledgement:
        return _acknowledgement(self._log.commit(appends)) if appends else Acknowledgement(self._log.version, {}, 0)


def rows_said(count: int) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def _acknowledgement(commit: Commit) -> Acknowledgement:
    offsets: dict[int, tuple[int, int]] = {}
    for extent in commit.extents:
        first = offsets.get(extent.partition, (extent.offset, 0))[0]
        offsets[extent.partition] = (first, extent.offset + extent.count)
    return Acknowledgement(commit.version, offsets, sum(extent.count for extent in commit.extents))
