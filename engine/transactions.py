"""Transactions: what is written between BEGIN and COMMIT is one commit, or nothing.

A transaction sees the database as of the version at which it began, with what it has written itself. It holds no
locks. COMMIT refuses, with `TransactionConflict`, if something that it has read was written meanwhile; so each that
commits might as well have run alone, at the moment of its commit. One that only inserts never conflicts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from headwater.engine import given_rows, versions
from headwater.engine.consuming import Consumer
from headwater.engine.handed_out import Message
from headwater.engine.own_writes import OwnWrites
from headwater.engine.parts import Parts
from headwater.engine.queues import receipts_of
from headwater.engine.result import Result
from headwater.engine.scripts import Outcome, Scripts, refuse_endless
from headwater.engine.session import is_about_session
from headwater.engine.sight import Sight
from headwater.engine.writing import repeated_said, rows_said
from headwater.errors import HeadwaterError, MemberFenced, SqlError, Unsupported
from headwater.parser import Parameters, syntax
from headwater.planner import Relation, refuse_statement
from headwater.planner.inserts import goes_on, refuse_if_once
from headwater.planner.targets import target_named
from headwater.storage import OnceKey

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
        once: OnceKey | None = None,
    ) -> None:
        """Use `Database.transaction`. `prepared` is a statement with what its names mean in the database."""
        self._pipeline, self._reader, self._writer = parts.pipeline, parts.reader, parts.writer
        self._groups, self._queues = parts.groups, parts.queues
        self._run_outside = run_outside
        self._prepared = prepared
        self._scripts = Scripts(parts.session, self.run)
        self._own = OwnWrites(self._pipeline.log)
        self._sight = Sight(self._pipeline, self._reader, self._own)
        self._consumed: list[Consumer] = []
        self._once = once
        self._is_repeated = self._writer.made(once) is not None
        self._state = "open"  # or 'failed', when a statement has, or 'over'

    @property
    def version(self) -> int:
        """The version that it sees, besides its own writes."""
        return self._sight.version

    @property
    def is_over(self) -> bool:
        """Whether it has been committed, or rolled back."""
        return self._state == "over"

    @property
    def is_repeated(self) -> bool:
        """Whether a transaction with its idempotency key was committed before: what is written here is forgotten."""
        return self._is_repeated

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
        with self._failing():
            relation = target_named(syntax.Identifier(name), self._pipeline.catalog)
            return self._write(relation, given_rows.read(relation, rows))

    def consume(self, consumer: Consumer) -> None:
        """Makes what a consumer has fetched, by the time of the commit, part of the transaction: its group goes on
        behind it if what was written is committed, and only then.
        """
        self._check_open()
        if consumer not in self._consumed:
            self._consumed.append(consumer)

    def ack(self, *messages: Message) -> None:
        """Makes it part of the transaction that messages of queues are done with: they are if what was written is
        committed, and only then. Raises NotHeld for one that was handed out again.
        """
        self._check_open()
        with self._failing():
            for queue in dict.fromkeys(message.queue for message in messages):
                mine = [message for message in messages if message.queue is queue]
                self._settle(syntax.Ack(queue.identifier, ()), [message.receipt for message in mine])
        for message in messages:
            message.is_settled = True

    def commit(self) -> int:
        """Commits what was written and consumed, as one; gives the version of that commit, or 0 if there was nothing.

        If a transaction with its idempotency key was committed before, nothing is committed, and the version is of that
        one.
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
            own = self._own
            return self._commit() if own.appends or own.counts or self._consumed or self._once is not None else 0
        except HeadwaterError:
            self._rewind()
            raise

    def _commit(self) -> int:
        own, reads = self._own, self._sight.reads
        while True:
            offsets = [consumer.offsets() for consumer in self._consumed]  # raises MemberFenced where they are lost
            try:
                own = self._own
                commit = self._writer.commit(
                    own.appends, offsets, reads, own.counts, self._once, own.relations.values()
                )
            except MemberFenced:  # the group has begun a generation just now, in which the partitions may be the same
                continue
            self._is_repeated = commit.duplicate
            if commit.duplicate:
                self._rewind()
            return commit.version

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
        with self._failing():
            return self._run(statement)

    def _run(self, statement: syntax.Statement) -> Result:
        match statement:
            case syntax.Query(emit=None):
                return self._sight.query(statement)
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
                return self._settle(statement, receipts_of(statement, self._reader))
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
        if self._once is not None and self._is_repeated:
            return Result.of_message(repeated_said(self._once, version))
        written = f"committed {rows_said(rows)} as version {version}"
        return Result.of_message(written if version else "committed: nothing was written")

    def _change(self, statement: _Change) -> Result:
        relation = target_named(statement.relation, self._pipeline.catalog)
        if isinstance(statement, syntax.Insert):
            if goes_on(statement, self._pipeline.catalog):
                raise Unsupported(
                    "an INSERT that goes on for ever cannot be part of a transaction", statement.span,
                    hint="SELECT … AS OF LATEST inserts what is there now, once",
                )  # fmt: skip
            if statement.properties:
                raise SqlError(
                    "a transaction is made once as a whole, not a statement of it", statement.properties[0].span,
                    hint="BEGIN WITH (idempotency_key = '…')",
                )  # fmt: skip
            refuse_if_once(statement)
            inserted = self._writer.inserted(statement, relation, self._sight)
            self._require(statement, relation, inserted.given)
            made, count, said = inserted.written, inserted.count, inserted.said
        else:
            word = "updated" if isinstance(statement, syntax.Update) else "deleted"
            made, count = self._writer.changed(statement, relation, self._sight)
            self._require(statement, relation)
            said = f"{word} {rows_said(count, made.left_out)}"
        self._own.add_written(made)
        return Result.of_message(f"{said}, to be committed", changed=count)

    def _require(self, statement: _Change, relation: Relation, rows: pa.RecordBatch | None = None) -> None:
        """Raises TransactionConflict if something was written after the version that is named, as may COMMIT."""
        self._writer.refuse_changed(self._writer.required(statement, relation, rows))
        versions.require(self._sight.reads, statement, relation, self._pipeline.log.version, rows)

    def _settle(self, statement: syntax.Ack | syntax.Nack, receipts: Sequence[object]) -> Result:
        settling = self._queues.settling(statement, receipts)
        self._own.add(settling.relation, settling.appends)
        for key in settling.keys:
            self._sight.reads.add(settling.relation.id, settling.version, key)
        return Result.of_message(f"{settling.message}, to be committed")

    def _write(self, relation: Relation, rows: pa.RecordBatch) -> int:
        made = self._writer.written(relation, rows)
        self._own.add_written(made)
        return int(rows.num_rows) - made.left_out

    def _check_open(self, at: syntax.Node | None = None) -> None:
        if self.is_over:
            raise SqlError("this transaction is over", None if at is None else at.span, hint="begin another one")

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """Inside, an error of a statement makes the transaction fail."""
        try:
            yield
        except HeadwaterError:
            self._state = "failed"
            raise
