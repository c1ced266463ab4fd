"""What is done for each kind of statement: one case per kind, and who does it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, TypeVar

from headwater.engine import (
    asserts,
    copying,
    definitions,
    forking,
    ledgers,
    looking_back,
    retention,
    statements,
    why,
    why_missing,
)
from headwater.engine.control import control
from headwater.engine.file_columns import completed, is_of_files
from headwater.engine.parts import Parts
from headwater.engine.preview import preview
from headwater.engine.queues import receipts_of
from headwater.engine.result import Result
from headwater.engine.session import AUTO_OFFSET_RESET, is_about_session
from headwater.engine.starts import begun
from headwater.engine.subscription import Subscription
from headwater.engine.transactions import Transaction
from headwater.engine.writing import once_of
from headwater.errors import OutOfRange, SqlError
from headwater.parser import syntax
from headwater.planner import refuse_statement, with_named_types
from headwater.planner.inserts import goes_on
from headwater.planner.once import idempotency_key
from headwater.storage import OnceKey

_Node = TypeVar("_Node", bound=syntax.Node)


class Runner:
    """Runs the statements of a session."""

    def __init__(self, parts: Parts, diff: Callable[[syntax.Diff], Result]) -> None:
        """`diff` runs DIFF, which opens another database."""
        self._parts = parts
        self._diff = diff
        self._transaction: Transaction | None = None  # that BEGIN has begun

    def ask(self, statement: syntax.Statement) -> Result | Subscription:
        """Runs a statement of the session, which may be about the past, or part of a transaction."""
        if self._transaction is not None and not self._transaction.is_over:
            return self._transaction.run(statement)
        asked = self._parts.session.asked(statement)
        try:
            return self.run(asked)
        except OutOfRange as error:
            if asked is not statement:
                error.hint = "; ".join(filter(None, (error.hint, "UNSET as_of asks about now")))
            raise

    def run(self, statement: syntax.Statement) -> Result | Subscription:
        """Runs a statement by itself. Raises SqlError, and then nothing has changed."""
        parts = self._parts
        pipeline, reader = parts.pipeline, parts.reader
        refuse_statement(statement)
        if isinstance(statement, syntax.Query) and statement.emit is None:
            return reader.query(statement)
        if isinstance(statement, looking_back.Looking) and statement.as_of is not None:
            return looking_back.answer(statement, pipeline, reader)
        statement = self.prepared(statement)
        match statement:
            case syntax.Query():
                return self.watch(statement)
            case syntax.Insert() if not goes_on(statement, pipeline.catalog):
                return parts.writer.insert(statement)
            case _ if isinstance(statement, definitions.Definition):
                return self._define(statement)
            case syntax.Update() | syntax.Delete():
                return parts.writer.change(statement)
            case syntax.Fetch() | syntax.CommitGroup() | syntax.Seek():
                return parts.groups.run(statement)
            case syntax.Receive():
                return parts.queues.receive(statement)
            case syntax.Ack() | syntax.Nack():
                return parts.queues.settle(statement, receipts_of(statement, reader))
            case _ if isinstance(statement, ledgers.LedgerStatement):
                return ledgers.run(statement, parts)
            case syntax.Transaction():
                return self._begin(statement)
            case syntax.Copy(direction="FROM"):
                return copying.copy_from(statement, pipeline.catalog, parts.writer)
            case syntax.Copy():
                return copying.copy_to(statement, reader)
            case syntax.Preview():
                return preview(statement, pipeline, reader)
            case syntax.Control():
                return control(statement, parts.apart)
            case syntax.Fork():
                return forking.run(statement, reader.points(), parts.place)
            case syntax.Diff():
                return self._diff(statement)
            case syntax.Checkpoint():
                parts.following.poll()
                pipeline.catch_up()
                version = max(clock.checkpoint() for clock in parts.apart.all)
                retention.retain(parts.apart, parts.retaining.now_us())
                return Result.of_message(f"checkpoint at version {version}")
            case syntax.Describe(name=name, kind="FUNCTION"):
                return statements.describe_function(name, pipeline.catalog)
            case syntax.Describe(name=name, kind=None) if view := pipeline.catalog.view(name):
                columns = definitions.columns_of_view(view, pipeline.catalog, reader)
                return statements.describe_view(view, columns, statement.extended)
            case syntax.AssertValues() | syntax.AssertRelation():
                return self._assert(statement)
            case syntax.AssertTopic() | syntax.AssertSchema():
                raise asserts.refuse_topic(statement)
            case syntax.ExplainRow(missing=False):
                return why.explain_row(statement, pipeline, reader)
            case syntax.ExplainRow():
                return why_missing.explain_missing(statement, pipeline, reader)
            case _ if is_about_session(statement):
                result = parts.session.run(statement)
                parts.apart.limit_state(parts.session.state_limit)
                return result
            case _:
                return statements.show(
                    statement, pipeline, reader, parts.storage.now_us(), parts.following.facts, parts.apart
                )

    def watch(self, query: syntax.Query, from_version: int | None = None) -> Subscription:
        """Watches a query, from now or from the version that a client has."""
        parts = self._parts
        query = begun(query, parts.pipeline, parts.reader.points())
        subscription = Subscription(
            parts.pipeline, query,
            start_of=parts.reader.start_of, idle_us=parts.session.idle_us, from_version=from_version,
        )  # fmt: skip
        if from_version is None and parts.session.setting(AUTO_OFFSET_RESET) == "latest":
            subscription.skip()
        return subscription

    def prepared(self, statement: _Node) -> _Node:
        """A statement with what its names mean. Raises SqlError where it calls a function that is not given."""
        statement = with_named_types(statement, self._parts.pipeline.catalog.types)
        self._parts.functions.check(statement, self._parts.pipeline.catalog)
        return statement

    def begin(self, once: OnceKey | None = None) -> Transaction:
        """Begins a transaction, which is committed if no commit had its key before."""
        return Transaction(self._parts, self.run, self.prepared, once)

    def end(self, action: Literal["COMMIT", "ROLLBACK"]) -> None:
        """Ends the transaction that BEGIN has begun; does nothing if there is none."""
        if self._transaction is not None and not self._transaction.is_over:
            self._transaction.run(syntax.Transaction(action))

    def _define(self, statement: definitions.Definition) -> Result:
        parts = self._parts
        if isinstance(statement, syntax.CreateRelation):
            statement = completed(statement)
        with parts.pipeline.defining, parts.writer.defining(statement):
            result = definitions.define(statement, parts.pipeline, parts.reader, parts.functions)
        if isinstance(statement, syntax.CreateRelation) and is_of_files(statement):
            parts.following.start()
            parts.following.poll()  # so that what is in them is there when the statement has ended
        return result

    def _begin(self, statement: syntax.Transaction) -> Result:
        if statement.action != "BEGIN":
            raise SqlError("there is no transaction to end", statement.span, hint="BEGIN begins one")
        self._transaction = self.begin(once_of(idempotency_key(statement.properties)))
        begun = f"begun at version {self._transaction.version}"
        if self._transaction.is_repeated:
            begun += ", and was committed before with this key: what is written will be forgotten"
        return Result.of_message(begun)

    def _assert(self, statement: syntax.AssertValues | syntax.AssertRelation) -> Result:
        pipeline, session = self._parts.pipeline, self._parts.session
        self._parts.apart.settle()
        if isinstance(statement, syntax.AssertRelation):
            return asserts.assert_relation(statement, pipeline.catalog.find(statement.name))
        relation = pipeline.catalog.find(statement.relation)
        return asserts.assert_values(statement, relation, session.records(relation, pipeline.log))
