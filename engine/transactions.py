"""Transactions: what is written between BEGIN and COMMIT is one commit, or nothing.

A transaction sees the database as of the version at which it began, with what it has written itself. It holds no
locks. COMMIT refuses, with `TransactionConflict`, if something that it has read was written meanwhile; so each that
commits might as well have run alone, at the moment of its commit. One that only inserts never conflicts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from headwater.engine import changes, given_rows, ingest
from headwater.engine.consuming import Consumer
from headwater.engine.own_writes import OwnWrites
from headwater.engine.parts import Parts
from headwater.engine.positions import sources
from headwater.engine.queues import receipts_of
from headwater.engine.reading import Place, key_of
from headwater.engine.reads import Reads
from headwater.engine.result import Result
from headwater.engine.scripts import Outcome, Scripts, refuse_endless
from headwater.engine.session import is_about_session
from headwater.engine.statements import inserted_rows, refuse_derived
from headwater.engine.writing import rows_said
from headwater.errors import HeadwaterError, MemberFenced, SqlError, Unsupported
from headwater.parser import Parameters, syntax
from headwater.planner import Catalog, Input, Relation, refuse_statement
from headwater.planner.key_constants import Key
from headwater.planner.logical import StreamSource, TableSource
from headwater.values import Column

_Change = syntax.Insert | syntax.Update | syntax.Delete
# What is run as outside of a transaction: what only asks about the catalog, and RECEIVE, which lends and gives nothing.
_OUTSIDE = (syntax.Show, syntax.Describe, syntax.Explain, syntax.ExplainRow, syntax.Receive)


class Transaction:
    """A transaction that has begun: a context manager that commits at its end or, after an error, rolls back.

    Not for several threads at once; each can have one of its own.
    """

    def __init__(
        self,
        parts: Parts,
        run_outside: Callable[[syntax.Statement], Outcome],
        prepared: Callable[[_Change], _Change],
    ) -> None:
        """Use `Database.transaction`. `prepared` is a statement with what its names mean in the database."""
        self._pipeline, self._reader, self._writer = parts.pipeline, parts.reader, parts.writer
        self._groups, self._queues = parts.groups, parts.queues
        self._pipeline.catch_up()
        with self._pipeline.lock:
            self._version = self._pipeline.circuit.version
        self._run_outside = run_outside
        self._prepared = prepared
        self._scripts = Scripts(parts.session, self.run)
        self._reads = Reads()
        self._own = OwnWrites(self._pipeline.log)
        self._consumed: list[Consumer] = []
        self._state = "open"  # or 'failed', when a statement has, or 'over'

    @property
    def version(self) -> int:
        """The version that it sees, besides its own writes."""
        return self._version

    @property
    def is_over(self) -> bool:
        """Whether it has been committed, or rolled back."""
        return self._state == "over"

    # ---------------------------------------------------------------- for programs

    def sql(self, text: str, parameters: Parameters = ()) -> Result:
        """Runs one statement in the transaction and gives its result; see `Database.sql` for `parameters`."""
        outcome = self._scripts.run_one(text, parameters)
        refuse_endless(outcome)
        assert isinstance(outcome, Result)
        return outcome

    def execute(self, text: str) -> None:
        """Runs the statements of a script in the transaction, one after the other."""
        for outcome in self._scripts.run(text):
            refuse_endless(outcome)

    def append(self, name: str, rows: Any) -> int:
        """Writes rows to a source stream or table; gives how many. See `Database.append` for what `rows` may be."""
        self._check_open()
        with _Failing(self):
            relation = self._pipeline.catalog.find(syntax.Identifier(name))
            refuse_derived(relation, None)
            return self._write(relation, given_rows.read(relation, rows))

    def consume(self, consumer: Consumer) -> None:
        """Makes what a consumer has fetched, by the time of the commit, part of the transaction: its group goes on
        behind it if what was written is committed, and only then.
        """
        self._check_open()
        if consumer not in self._consumed:
            self._consumed.append(consumer)

    def commit(self) -> int:
        """Commits what was written and consumed, as one; gives the version of that commit, or 0 if there was nothing.

        Raises TransactionConflict if something that the transaction has read was written meanwhile, and whatever a
        commit may raise; then nothing was committed. The transaction is over in any case.
        """
        self._check_open()
        was_failed, self._state = self._state == "failed", "over"
        if was_failed:
            self._rewind()
            raise SqlError(
                "a statement of this transaction has failed, so it cannot be committed",
                hint="nothing was committed, and it is over; BEGIN it again",
            )
        try:
            return self._commit() if self._own.appends or self._consumed else 0
        except HeadwaterError:
            self._rewind()
            raise

    def _commit(self) -> int:
        check = (lambda: self._reads.check(self._pipeline)) if self._reads else None
        while True:
            offsets = [consumer.offsets() for consumer in self._consumed]  # raises MemberFenced where they are lost
            try:
                return self._writer.commit(self._own.appends, offsets, check)
            except MemberFenced:  # the group has begun a generation just now, in which the partitions may be the same
                continue

    def rollback(self) -> None:
        """Forgets what was written; rows that were consumed come again. It is over; another call does nothing."""
        if not self.is_over:
            self._state = "over"
            self._rewind()

    def _rewind(self) -> None:
        for consumer in self._consumed:
            consumer.rewind()

    def __enter__(self) -> Transaction:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.is_over:
            return
        if kind is None:
            self.commit()
        else:
            self.rollback()

    # ---------------------------------------------------------------- statements

    def run(self, statement: syntax.Statement) -> Outcome:
        """Runs a statement. After one that fails, nothing can be done but to roll back."""
        self._check_open(statement)
        match statement:
            case syntax.Transaction(action="ROLLBACK"):
                self.rollback()
                return Result.of_message("rolled back")
            case syntax.Transaction(action="COMMIT"):
                return self._end(statement)
            case _ if is_about_session(statement) or isinstance(statement, _OUTSIDE):
                return self._run_outside(statement)
        if self._state == "failed":
            raise SqlError(
                "a statement of this transaction has failed, so nothing more can be done in it", statement.span,
                hint="ROLLBACK ends it",
            )  # fmt: skip
        with _Failing(self):
            return self._run(statement)

    def _run(self, statement: syntax.Statement) -> Result:
        match statement:
            case syntax.Query(emit=None):
                return self.query(statement)
            case syntax.Insert() | syntax.Update() | syntax.Delete():
                refuse_statement(statement)
                return self._change(self._prepared(statement))
            case syntax.Fetch():
                return self._groups.fetch(statement)
            case syntax.CommitGroup(group=group):
                for member in self._groups.members(group):
                    self.consume(member)
                return Result.of_message(f"what {group.text} has fetched is done with at COMMIT")
            case syntax.Ack() | syntax.Nack():
                return self._settle(statement)
            case syntax.Transaction():
                raise SqlError("a transaction has begun already", statement.span, hint="COMMIT or ROLLBACK ends it")
        raise Unsupported(
            "this cannot be part of a transaction, which has SELECT, INSERT, UPDATE, DELETE and groups and queues",
            statement.span,
            hint="COMMIT or ROLLBACK first",
        )  # fmt: skip

    def _end(self, statement: syntax.Transaction) -> Result:
        rows = self._own.rows
        try:
            version = self.commit()
        except SqlError as error:
            error.span = error.span or statement.span
            raise
        written = f"committed {rows_said(rows)} as version {version}"
        return Result.of_message(written if version else "committed: nothing was written")

    def _change(self, statement: _Change) -> Result:
        relation = self._pipeline.catalog.find(statement.relation)
        refuse_derived(relation, statement.relation.span)
        if isinstance(statement, syntax.Insert):
            if isinstance(statement.query.body, syntax.Values):
                rows = inserted_rows(statement, relation, self._pipeline.catalog.functions)
            else:
                rows = changes.selected(statement, relation, self._pipeline.catalog, self)
            word, count = "inserted", self._write(relation, rows)
        else:
            if isinstance(statement, syntax.Update):
                word, (delta, count) = "updated", changes.updated(statement, relation, self)
            else:
                word, (delta, count) = "deleted", changes.deleted(statement, relation, self)
            self._own.add(relation, ingest.changes(relation, delta, self._pipeline.log))
        return Result.of_message(f"{word} {rows_said(count)}, to be committed", changed=count)

    def _settle(self, statement: syntax.Ack | syntax.Nack) -> Result:
        settling = self._queues.settling(statement, receipts_of(statement, self._reader))
        self._own.add(settling.relation, settling.appends)
        for key in settling.keys:
            self._reads.add(settling.relation.id, settling.version, key)
        return Result.of_message(f"{settling.message}, to be committed")

    def _write(self, relation: Relation, rows: pa.RecordBatch) -> int:
        self._own.add(relation, self._writer.appends(relation, rows))
        return int(rows.num_rows)

    def _check_open(self, at: syntax.Node | None = None) -> None:
        if self.is_over:
            raise SqlError("this transaction is over", None if at is None else at.span, hint="begin another one")

    # ---------------------------------------------------------------- what it sees

    def query(self, query: syntax.Query) -> Result:
        """The answer to a query, as of the transaction's version and with its own writes."""
        return self._reader.query(query, self._place)

    def columns(self, query: syntax.Query, catalog: Catalog) -> tuple[Column, ...]:
        """See `Reader.columns`."""
        return self._reader.columns(query, catalog)

    def numbered(self, query: syntax.Query, relation: Relation, key: Key) -> tuple[pa.RecordBatch, pa.Table]:
        """See `Reader.numbered`."""
        return self._reader.numbered(query, relation, key, self._place)

    def _place(self, source: Input) -> Place | None:
        """Where to read an input: as of the transaction's version, with its own writes on top."""
        if source.as_of is not None or source.changes is not None:
            return None
        own = self._own_of(source)
        if source.relation is not None and not source.relation.is_derived:
            self._reads.add(source.relation.id, self.version, key_of(source))
        else:
            for leaf in _sources(source):
                self._reads.add(leaf.id, self.version)
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

    def fail(self) -> None:
        """Note that a statement of it has failed."""
        self._state = "failed"


class _Failing:
    """A context in which an error of a statement makes its transaction fail."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def __enter__(self) -> None:
        return None

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if isinstance(error, HeadwaterError):
            self._transaction.fail()


def _sources(source: Input) -> list[StreamSource | TableSource]:
    """The relations with a log of their own that an input is computed from."""
    return sources([source.plan if source.relation is None else source.relation.content()])
