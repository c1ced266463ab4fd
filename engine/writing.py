"""What statements and programs put into source relations, change there, or take out: each a commit, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import pyarrow as pa

from headwater.engine import changes, ingest, versions
from headwater.engine.gate import Gate
from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.reads import Reads
from headwater.engine.result import Acknowledgement, Result
from headwater.engine.statements import inserted_rows, refuse_derived
from headwater.parser import syntax
from headwater.planner import Relation
from headwater.planner.once import checked_key, idempotency_key
from headwater.storage import Append, Commit, GroupOffsets, OnceKey


class Writer:
    """Writes into the source relations of a database. Safe to use from several threads."""

    def __init__(self, pipeline: Pipeline, reader: Reader, now_us: Callable[[], int]) -> None:
        self._pipeline = pipeline
        self._log = pipeline.log
        self._reader = reader
        self._now_us = now_us
        self._gate = Gate()

    def append(self, relation: Relation, rows: pa.RecordBatch, once: OnceKey | None = None) -> Acknowledgement:
        """Commits rows, which have the columns of the relation, if no commit had the key before."""
        appends = self.appends(relation, rows)
        with self._gate.together():
            return self._commit(relation, appends, once)

    def made(self, once: OnceKey | None) -> int | None:
        """The version of the commit that had a key, if there was one."""
        made = None if once is None else self._log.state.once.find(once)
        return None if made is None else made.version

    def appends(self, relation: Relation, rows: pa.RecordBatch) -> list[Append]:
        """Rows, which have the columns of the relation, as they are committed. Raises DataError if they must not be."""
        return ingest.appends(relation, rows, self._log, self._now_us())

    def commit(
        self,
        appends: Sequence[Append],
        offsets: Sequence[GroupOffsets],
        check: Callable[[], None] | None,
        once: OnceKey | None = None,
    ) -> Commit:
        """Commits what a transaction has written and the groups' offsets, if `check`, during which nobody else writes,
        does not raise. If a commit had the key before, nothing is checked or written, and it is the answer.
        """
        with self._gate.together() if check is None else self._gate.alone():
            if check is not None and self.made(once) is None:
                check()
            return self._log.commit(appends, offsets=offsets, stamp=once)

    def append_all(self, relation: Relation, batches: Iterable[pa.RecordBatch]) -> Acknowledgement:
        """Commits rows that come in batches, all or none: nothing is written before the last batch is here."""
        now_us = self._now_us()
        appends = [append for rows in batches for append in ingest.appends(relation, rows, self._log, now_us)]
        with self._gate.together():
            return self._commit(relation, appends)

    def insert(self, statement: syntax.Insert) -> Result:
        """Runs INSERT. Raises SqlError for rows that do not fit, or a relation that is no source."""
        relation = self._pipeline.catalog.find(statement.relation)
        refuse_derived(relation, statement.relation.span)
        once = once_of(idempotency_key(statement.properties))
        if isinstance(statement.query.body, syntax.Values):
            rows = inserted_rows(statement, relation, self._pipeline.catalog.functions)
            if statement.if_version is None:
                return _inserted(self.append(relation, rows, once), once)
        with self._gate.alone():
            if not isinstance(statement.query.body, syntax.Values):
                rows = changes.selected(statement, relation, self._pipeline.catalog, self._reader)
            if self.made(once) is None:
                self._require(statement, relation, rows)
            return _inserted(self._commit(relation, self.appends(relation, rows), once), once)

    def change(self, statement: syntax.Update | syntax.Delete) -> Result:
        """Runs UPDATE or DELETE: no rows come in between the state that it sees and its commit."""
        with self._gate.alone(), self._pipeline.lock:
            relation = self._pipeline.catalog.find(statement.relation)
            if isinstance(statement, syntax.Update):
                delta, count = changes.updated(statement, relation, self._reader)
            else:
                delta, count = changes.deleted(statement, relation, self._reader)
            self._require(statement, relation)
            self._commit(relation, ingest.changes(relation, delta, self._log))
        word = "updated" if isinstance(statement, syntax.Update) else "deleted"
        return Result.of_message(f"{word} {rows_said(count)}", changed=count)

    def _require(self, statement: versions.Change, relation: Relation, rows: pa.RecordBatch | None = None) -> None:
        """Raises TransactionConflict if a statement names a version after which something was written. To be alone."""
        reads = Reads()
        versions.require(reads, statement, relation, self._log.version, rows)
        reads.check(self._pipeline)

    def _commit(self, relation: Relation, appends: Sequence[Append], once: OnceKey | None = None) -> Acknowledgement:
        if not appends and once is None:
            return Acknowledgement(self._log.version, {}, 0)
        return _acknowledgement(relation, self._log.commit(appends, stamp=once))


def once_of(idempotency_key: str | None) -> OnceKey | None:
    """The key with which a program writes once. Raises SqlError for one that cannot be."""
    return None if idempotency_key is None else OnceKey(checked_key(idempotency_key))


def repeated_said(once: OnceKey, version: int) -> str:
    """Why nothing was written."""
    return f"nothing was written: a commit with the key '{once.text}' was made before, as version {version}"


def _inserted(done: Acknowledgement, once: OnceKey | None) -> Result:
    if once is not None and done.repeated:
        return Result.of_message(repeated_said(once, done.version), changed=0)
    return Result.of_message(f"inserted {rows_said(done.rows)}", changed=done.rows)


def rows_said(count: int) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{count:,} row{'' if count == 1 else 's'}"


def _acknowledgement(relation: Relation, commit: Commit) -> Acknowledgement:
    offsets: dict[int, tuple[int, int]] = {}
    extents = [extent for extent in commit.extents if extent.stream == relation.id]
    for extent in extents:
        first = offsets.get(extent.partition, (extent.offset, 0))[0]
        offsets[extent.partition] = (first, extent.offset + extent.count)
    return Acknowledgement(commit.version, offsets, sum(extent.count for extent in extents), commit.duplicate)
