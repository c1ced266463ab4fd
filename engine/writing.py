"""What statements and programs put into source relations, change there, or take out: each a commit, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType

import pyarrow as pa

from headwater.engine import changes, conflicts, ingest, versions
from headwater.engine.gate import Gate
from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.reads import Reads
from headwater.engine.rejecting import Sentry
from headwater.engine.result import Acknowledgement, Result
from headwater.engine.statements import inserted_rows
from headwater.engine.violations import Counts, Written, offsets_of, sort_out, together, written
from headwater.parser import syntax
from headwater.planner import Relation
from headwater.planner.inserts import refuse_if_once
from headwater.planner.once import checked_key, idempotency_key
from headwater.planner.targets import refuse_derived
from headwater.storage import Append, Commit, GroupOffsets, OnceKey


@dataclass(frozen=True)
class Inserted:
    """What an INSERT writes: the rows that it was given, and what becomes of them."""

    given: pa.RecordBatch
    written: Written
    resolved: conflicts.Resolved

    @property
    def count(self) -> int:
        """How many rows are written."""
        return int(self.resolved.rows.num_rows) - self.written.left_out

    @property
    def said(self) -> str:
        left_out, updated = self.written.left_out, self.resolved.updated
        if not updated:
            return f"inserted {rows_said(self.count, left_out)}"
        if left_out:
            return f"inserted or updated {rows_said(self.count, left_out)}"
        return f"inserted {rows_said(self.count - updated)}, and updated {updated:,}"


class Writer:
    """Writes into the source relations of a database. Safe to use from several threads."""

    def __init__(self, pipeline: Pipeline, reader: Reader, now_us: Callable[[], int]) -> None:
        self._pipeline = pipeline
        self._log = pipeline.log
        self._reader = reader
        self._now_us = now_us
        self._gate = Gate()
        self._turns = Lock()  # of those who write what can come into a loop
        self._sentry = Sentry(pipeline)

    def defining(self, statement: syntax.Statement) -> AbstractContextManager[None]:
        """Inside, nobody writes, if the statement may make an assertion that REJECTs what is written."""
        is_new = isinstance(statement, syntax.CreateAssertion) and statement.action == "REJECT"
        may_be_remade = getattr(statement, "or_replace", False) and self._sentry.has_guards
        return self._gate.alone() if is_new or may_be_remade else nullcontext()

    def append(self, relation: Relation, rows: pa.RecordBatch, once: OnceKey | None = None) -> Acknowledgement:
        """Commits rows, which have the columns of the relation, if no commit had the key before."""
        return self._commit_written(relation, [self.written(relation, rows)], once)

    def made(self, once: OnceKey | None) -> int | None:
        """The version of the commit that had a key, if there was one."""
        made = None if once is None else self._log.state.once.find(once)
        return None if made is None else made.version

    def appends(self, relation: Relation, rows: pa.RecordBatch) -> list[Append]:
        """Rows, which have the columns of the relation, as they are committed. Raises DataError if they must not be."""
        return ingest.appends(relation, rows, self._log, self._now_us())

    def written(self, relation: Relation, rows: pa.RecordBatch) -> Written:
        """Rows, which have the columns of the relation, as its checks let them be committed. Raises DataError if they
        must not be.
        """
        if not relation.checks:
            return Written([(relation, self.appends(relation, rows))], {})
        ingest.refuse_nulls(relation, rows)
        found = sort_out(relation, rows)
        own = self.appends(relation, rows.take(pa.array(found.passing)))
        return written(relation, found, own, self._pipeline.catalog, self.appends)

    def commit(
        self,
        appends: Sequence[Append],
        offsets: Sequence[GroupOffsets],
        check: Callable[[], None] | None,
        counts: Counts = MappingProxyType({}),
        once: OnceKey | None = None,
    ) -> Commit:
        """Commits what a transaction has written, the groups' offsets, and how many rows checks have left out, if
        `check`, during which nobody else writes, does not raise. If a commit had the key before, nothing is checked or
        written, and it is the answer.
        """
        with self._inside(appends, alone=check is not None or bool(counts)):
            if check is not None and self.made(once) is None:
                check()
            return self._committed(appends, [*offsets, *offsets_of(counts, self._log)], once)

    def append_all(self, relation: Relation, batches: Iterable[pa.RecordBatch]) -> Acknowledgement:
        """Commits rows that come in batches, all or none: nothing is written before the last batch is here."""
        return self._commit_written(relation, [self.written(relation, rows) for rows in batches])

    def insert(self, statement: syntax.Insert) -> Result:
        """Runs INSERT once. Raises SqlError for rows that do not fit, or a relation that is no source."""
        relation = self._pipeline.catalog.find(statement.relation)
        refuse_derived(relation, statement.relation.span)
        refuse_if_once(statement)
        once = once_of(idempotency_key(statement.properties))
        is_given = isinstance(statement.query.body, syntax.Values)
        if is_given and statement.if_version is None and statement.on_conflict is None:
            inserted = self.inserted(statement, relation, self._reader)
            done = self._commit_written(relation, [inserted.written], once)
        else:
            alone = self._pipeline.lock if statement.on_conflict is not None else nullcontext()
            with self._turn([relation.id]), self._gate.alone(), alone:
                inserted = self.inserted(statement, relation, self._reader)
                self._require(statement, relation, inserted.given, once)
                done = self._commit(inserted.written, relation, once)
        if once is not None and done.repeated:
            return Result.of_message(repeated_said(once, done.version), changed=0)
        return Result.of_message(inserted.said, changed=inserted.count)

    def inserted(self, statement: syntax.Insert, relation: Relation, seen: changes.Asked) -> Inserted:
        """What an INSERT writes that sees what `seen` does. To be alone if it has a SELECT or ON CONFLICT."""
        catalog = self._pipeline.catalog
        if isinstance(statement.query.body, syntax.Values):
            rows = inserted_rows(statement, relation, catalog.functions)
        else:
            rows = changes.selected(statement, relation, catalog, seen)
        found = conflicts.resolved(statement, relation, rows, seen)
        return Inserted(rows, self.written(relation, found.rows), found)

    def change(self, statement: syntax.Update | syntax.Delete) -> Result:
        """Runs UPDATE or DELETE: no rows come in between the state that it sees and its commit."""
        relation = self._pipeline.catalog.find(statement.relation)
        with self._turn([relation.id]), self._gate.alone(), self._pipeline.lock:
            relation = self._pipeline.catalog.find(statement.relation)
            made, count = self.changed(statement, relation, self._reader)
            self._require(statement, relation)
            self._commit(made, relation)
        word = "updated" if isinstance(statement, syntax.Update) else "deleted"
        return Result.of_message(f"{word} {rows_said(count, made.left_out)}", changed=count)

    def changed(
        self, statement: syntax.Update | syntax.Delete, relation: Relation, seen: changes.Asked
    ) -> tuple[Written, int]:
        """What an UPDATE or DELETE writes that sees what `seen` does, and how many rows it changes."""
        if isinstance(statement, syntax.Delete):
            delta, count = changes.deleted(statement, relation, seen)
            return Written([(relation, ingest.changes(relation, delta, self._log))], {}), count
        delta, found = changes.updated(statement, relation, seen)
        own = ingest.changes(relation, delta, self._log)
        return written(relation, found, own, self._pipeline.catalog, self.appends), len(found.passing)

    def _require(
        self,
        statement: versions.Change,
        relation: Relation,
        rows: pa.RecordBatch | None = None,
        once: OnceKey | None = None,
    ) -> None:
        """Raises TransactionConflict if a statement names a version after which something was written. To be alone.

        One that was made before, with the same key, is not refused.
        """
        if self.made(once) is None:
            reads = Reads()
            versions.require(reads, statement, relation, self._log.version, rows)
            reads.check(self._pipeline)

    def _commit_written(
        self, relation: Relation, parts: Sequence[Written], once: OnceKey | None = None
    ) -> Acknowledgement:
        """Commits rows that were sorted out: alone where some are left out, as their count goes on from the last."""
        made = parts[0] if len(parts) == 1 else together(parts)
        with self._inside(made.appends, alone=bool(made.counts)):
            return self._commit(made, relation, once)

    def _commit(self, made: Written, relation: Relation, once: OnceKey | None = None) -> Acknowledgement:
        appends = made.appends
        if not appends and not made.counts and once is None:
            return Acknowledgement(self._log.version, {}, 0)
        return _acknowledgement(self._committed(appends, offsets_of(made.counts, self._log), once), relation)

    @contextmanager
    def _inside(self, appends: Sequence[Append], alone: bool) -> Iterator[None]:
        """Inside, `appends` may be committed: by one alone if it has to be, or if an assertion has to look at them."""
        with self._turn(append.stream for append in appends):
            if not alone:
                with self._gate.together():
                    if not self._sentry.concerns(appends):
                        yield
                        return
            with self._gate.alone():
                yield

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

    def _committed(
        self, appends: Sequence[Append], offsets: Sequence[GroupOffsets], once: OnceKey | None = None
    ) -> Commit:
        """Commits, unless that would break an assertion."""
        if self._sentry.concerns(appends) and self.made(once) is None:
            return self._sentry.commit(appends, lambda: self._log.commit(appends, offsets=offsets, stamp=once))
        return self._log.commit(appends, offsets=offsets, stamp=once)


def once_of(idempotency_key: str | None) -> OnceKey | None:
    """The key with which a program writes once. Raises SqlError for one that cannot be."""
    return None if idempotency_key is None else OnceKey(checked_key(idempotency_key))


def repeated_said(once: OnceKey, version: int) -> str:
    """Why nothing was written."""
    return f"nothing was written: a commit with the key '{once.text}' was made before, as version {version}"


def rows_said(count: int, left_out: int = 0) -> str:
    """`1 row`, `1,200 rows`; and how many a CHECK has left out."""
    said = f"{count:,} row{'' if count == 1 else 's'}"
    return f"{said}, and left out {left_out:,} that violate{'s' if left_out == 1 else ''} a CHECK" if left_out else said


def _acknowledgement(commit: Commit, relation: Relation) -> Acknowledgement:
    """Where the rows of a relation went."""
    offsets: dict[int, tuple[int, int]] = {}
    extents = [extent for extent in commit.extents if extent.stream == relation.id]
    for extent in extents:
        first = offsets.get(extent.partition, (extent.offset, 0))[0]
        offsets[extent.partition] = (first, extent.offset + extent.count)
    return Acknowledgement(commit.version, offsets, sum(extent.count for extent in extents), commit.duplicate)
