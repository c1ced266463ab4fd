"""What statements and programs put into source relations, change there, or take out: each a commit, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence, Set
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from threading import Lock
from types import MappingProxyType

import pyarrow as pa

from headwater.engine import changes, conflicts, ingest, versions
from headwater.engine.apart import Apart
from headwater.engine.counts import counted
from headwater.engine.own_writes import OwnWrites
from headwater.engine.reading import Reader
from headwater.engine.reads import Reads
from headwater.engine.rejecting import NotReady, Sentry
from headwater.engine.result import Acknowledgement, Result
from headwater.engine.sight import Sight
from headwater.engine.statements import inserted_rows
from headwater.engine.violations import Counts, Written, offsets_of, sort_out, together, written
from headwater.errors import TransactionConflict
from headwater.parser import syntax
from headwater.planner import Relation
from headwater.planner.alter import added_checks
from headwater.planner.inserts import refuse_if_once
from headwater.planner.once import checked_key, idempotency_key
from headwater.planner.targets import target_named
from headwater.storage import Append, Commit, GroupOffsets, OnceKey, Pending

NOTHING = Pending()

_TRIES = 3  # of a change of one row, before nobody else may write until it is made


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

    def __init__(self, apart: Apart, reader: Reader, now_us: Callable[[], int]) -> None:
        self._apart = apart
        self._pipeline = apart.main
        self._log = apart.main.log
        self._reader = reader
        self._now_us = now_us
        self._gate = apart.main.gate
        self._turns = Lock()  # of those who write what can come into a loop
        self._sentry = Sentry(apart.main)

    def defining(self, statement: syntax.Statement) -> AbstractContextManager[None]:
        """Inside, nobody writes, if the statement may make a CHECK or an assertion that refuses what is written."""
        is_new = isinstance(statement, syntax.CreateAssertion) and statement.action == "REJECT"
        is_new = is_new or (isinstance(statement, syntax.Alter) and bool(added_checks(statement)))
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
        reads: Reads | None,
        counts: Counts = MappingProxyType({}),
        once: OnceKey | None = None,
        relations: Iterable[Relation] = (),
    ) -> Commit:
        """Commits what a transaction has written, into `relations`, the groups' offsets, and how many rows checks have
        left out, if what it has read is still so. If a commit had the key before, nothing is looked at or written, and
        it is the answer.
        """
        with self._inside(_streams(appends), alone=bool(counts)):
            if self.made(once) is None:
                self._refuse_altered(relations)
            return self._committed(appends, [*offsets, *offsets_of(counts, self._log)], once, reads)

    def append_all(self, relation: Relation, batches: Iterable[pa.RecordBatch]) -> Acknowledgement:
        """Commits rows that come in batches, all or none: nothing is written before the last batch is here."""
        return self._commit_written(relation, [self.written(relation, rows) for rows in batches])

    def insert(self, statement: syntax.Insert) -> Result:
        """Runs INSERT once. Raises SqlError for rows that do not fit, or a relation that is no source."""
        relation = target_named(statement.relation, self._pipeline.catalog)
        refuse_if_once(statement)
        once = once_of(idempotency_key(statement.properties))
        if isinstance(statement.query.body, syntax.Values) and statement.on_conflict is None:
            inserted = self.inserted(statement, relation, self._reader)
            reads = self.required(statement, relation, inserted.given)
            done = self._commit_written(relation, [inserted.written], once, reads)
        else:
            still = self._pipeline.lock if statement.on_conflict is not None else nullcontext()
            with self._inside(_concerned(relation), alone=True), still:
                inserted = self.inserted(statement, relation, self._reader)
                reads = self.required(statement, relation, inserted.given)
                done = self._commit(inserted.written, relation, once, reads)
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
        """Runs UPDATE or DELETE: nothing of what it sees is written between that and its commit."""
        relation = target_named(statement.relation, self._pipeline.catalog)
        for _ in range(_TRIES if changes.key_of(statement, relation) else 0):
            with suppress(TransactionConflict):
                return self._change_seen(statement, relation)
        with self._inside(_concerned(relation), alone=True), self._pipeline.lock:
            relation = target_named(statement.relation, self._pipeline.catalog)
            made, count = self.changed(statement, relation, self._reader)
            self._commit(made, relation, reads=self.required(statement, relation))
        return changed_said(statement, count, made)

    def _change_seen(self, statement: syntax.Update | syntax.Delete, relation: Relation) -> Result:
        """Runs a statement as a transaction of its own: others write meanwhile. Raises TransactionConflict if they have
        written what it sees.
        """
        sight = Sight(self._pipeline, self._reader, OwnWrites(self._log))
        made, count = self.changed(statement, relation, sight)
        versions.require(sight.reads, statement, relation, self._log.version)
        with self._inside(_streams(made.appends), alone=bool(made.counts)):
            self._commit(made, relation, reads=sight.reads)
        return changed_said(statement, count, made)

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

    def required(self, statement: versions.Change, relation: Relation, rows: pa.RecordBatch | None = None) -> Reads:
        """What has to be as it was when a statement is committed, since it names a version; see `versions.require`."""
        reads = Reads()
        versions.require(reads, statement, relation, self._log.version, rows)
        return reads

    def refuse_changed(self, reads: Reads, pending: Pending = NOTHING) -> None:
        """Raises TransactionConflict if something that was read has been written since, or is about to be."""
        found = reads.changed(self._reader.writes, pending)
        if found is not None:
            names = {relation.id: relation.name for relation in self._pipeline.catalog.ordered()}
            name = names.get(found[0], "what is gone now")
            raise TransactionConflict(
                f'"{name}" was written since version {found[1]}, as of which it was read',
                hint="nothing was committed; read it again, and begin again",
            )

    def _commit_written(
        self, relation: Relation, parts: Sequence[Written], once: OnceKey | None = None, reads: Reads | None = None
    ) -> Acknowledgement:
        """Commits rows that were sorted out: alone where some are left out, as their count goes on from the last."""
        made = parts[0] if len(parts) == 1 else together(parts)
        with self._inside(_streams(made.appends), alone=bool(made.counts)):
            return self._commit(made, relation, once, reads)

    def _commit(
        self, made: Written, relation: Relation, once: OnceKey | None = None, reads: Reads | None = None
    ) -> Acknowledgement:
        self._refuse_altered(relation for relation, _ in made.parts)
        appends = made.appends
        if not appends and not made.counts and once is None:
            self.refuse_changed(reads or Reads())
            return Acknowledgement(self._log.version, {}, 0)
        return _acknowledgement(self._committed(appends, offsets_of(made.counts, self._log), once, reads), relation)

    def _refuse_altered(self, relations: Iterable[Relation]) -> None:
        """Raises TransactionConflict if one has other checks than those that the rows for it were sorted by."""
        for relation in relations:
            now = self._pipeline.catalog.get(relation.name)
            if now is not None and now.id == relation.id and now.checks != relation.checks:
                raise TransactionConflict(
                    f'"{relation.name}" got a CHECK while this was written', hint="nothing was written; write it again"
                )

    @contextmanager
    def _inside(self, streams: Set[int], *, alone: bool) -> Iterator[None]:
        """Inside, rows of relations may be committed, by one alone if it has to be; and nobody makes what would refuse
        them.

        What may come into a loop of queries is written by one at a time, and when the loops are at rest. So the log has
        a commit, then the rounds that follow from it, then the next commit, whenever steps are made. What is found out
        before the gate holds if it is still so behind it, where nobody changes the loops.
        """
        is_inside = False
        while not is_inside:
            has_turn = not self._apart.loops().streams.isdisjoint(streams)
            with self._turns if has_turn else nullcontext():
                if has_turn:
                    self._apart.rest()
                with self._gate.alone() if alone else self._gate.together():
                    is_inside = self._may_write(streams, has_turn)
                    if is_inside:
                        yield

    def _may_write(self, streams: Set[int], has_turn: bool) -> bool:
        """Whether one that is inside the gate has its turn, if it needs one."""
        return self._apart.loops().streams.isdisjoint(streams) or (has_turn and not self._apart.behind())

    def _committed(
        self,
        appends: Sequence[Append],
        offsets: Sequence[GroupOffsets],
        once: OnceKey | None = None,
        reads: Reads | None = None,
    ) -> Commit:
        """Commits, unless something that was read has changed, or that would break an assertion."""
        is_guarded = self._sentry.concerns(_streams(appends))

        def check(pending: Pending) -> None:
            if reads:
                self.refuse_changed(reads, pending)
            if is_guarded:
                self._sentry.look(appends, pending)

        while True:
            if is_guarded:
                self._sentry.prepare()
            with suppress(NotReady):
                given = check if reads or is_guarded else None
                return self._log.commit(appends, offsets=offsets, stamp=once, check=given)


def _streams(appends: Iterable[Append]) -> Set[int]:
    """The relations into which rows go."""
    return {append.stream for append in appends}


def _concerned(relation: Relation) -> Set[int]:
    """The relations into which rows may go that are written into one."""
    return {relation.id} | relation.outlets


def once_of(idempotency_key: str | None) -> OnceKey | None:
    """The key with which a program writes once. Raises SqlError for one that cannot be."""
    return None if idempotency_key is None else OnceKey(checked_key(idempotency_key))


def repeated_said(once: OnceKey, version: int) -> str:
    """Why nothing was written."""
    return f"nothing was written: a commit with the key '{once.text}' was made before, as version {version}"


def changed_said(statement: syntax.Update | syntax.Delete, count: int, made: Written) -> Result:
    """The answer to an UPDATE or DELETE."""
    word = "updated" if isinstance(statement, syntax.Update) else "deleted"
    return Result.of_message(f"{word} {rows_said(count, made.left_out)}", changed=count)


def rows_said(count: int, left_out: int = 0) -> str:
    """`1 row`, `1,200 rows`; and how many a CHECK has left out."""
    said = counted(count, "row")
    return f"{said}, and left out {left_out:,} that violate{'s' if left_out == 1 else ''} a CHECK" if left_out else said


def _acknowledgement(commit: Commit, relation: Relation) -> Acknowledgement:
    """Where the rows of a relation went."""
    offsets: dict[int, tuple[int, int]] = {}
    extents = [extent for extent in commit.extents if extent.stream == relation.id]
    for extent in extents:
        first = offsets.get(extent.partition, (extent.offset, 0))[0]
        offsets[extent.partition] = (first, extent.offset + extent.count)
    return Acknowledgement(commit.version, offsets, sum(extent.count for extent in extents), commit.duplicate)
