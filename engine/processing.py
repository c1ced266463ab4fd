"""What programs that process records begin: transactions, members of consumer groups, and workers of queues."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from headwater.engine.asynchronous import in_thread
from headwater.engine.consuming import Consumer
from headwater.engine.handed_out import Queue
from headwater.engine.parts import Parts
from headwater.engine.running import Runner
from headwater.engine.transactions import Transaction
from headwater.engine.writing import once_of
from headwater.parser import syntax


class Processing(ABC):
    """The part of `Database` for programs that take records and write what follows from them."""

    _parts: Parts
    _runner: Runner

    @abstractmethod
    def _check_open(self) -> None:
        """Raises StorageError if the database is closed."""

    def transaction(self, *, idempotency_key: str | None = None) -> Transaction:
        """Begins a transaction: what is written in it is one commit, or nothing, and it sees one version throughout.
        Of those with the same `idempotency_key` only the first is committed, also after a restart.

        >>> import headwater
        >>> with headwater.connect() as db:
        ...     db.execute("CREATE STREAM orders (id BIGINT, item BIGINT); CREATE TABLE stock (item BIGINT, n INTEGER)")
        ...     _ = db.append("stock", [(7, 3)])
        ...     with db.transaction() as t:
        ...         _ = t.append("orders", [{"id": 1, "item": 7}])
        ...         t.execute("UPDATE stock SET n = n - 1 WHERE item = 7")
        ...     db.sql("SELECT n, (SELECT count(*) FROM orders) FROM stock").fetchall()
        [(2, 1)]
        """
        self._check_open()
        return self._runner.begin(once_of(idempotency_key))

    @asynccontextmanager
    async def transaction_async(self, *, idempotency_key: str | None = None) -> AsyncIterator[Transaction]:
        """`transaction` for asyncio: `async with db.transaction_async() as t`. It begins and ends in a thread.

        If the task is cancelled in the block, it is rolled back; while it is committed, the task hears of that when it
        has been.
        """
        begun = await in_thread(lambda: self.transaction(idempotency_key=idempotency_key), Transaction.rollback)
        try:
            yield begun
        except BaseException:
            await in_thread(begun.rollback)
            raise
        if not begun.is_over:
            await in_thread(begun.commit)

    def consumer(self, stream: str, group: str, start: Literal["earliest", "latest"] = "earliest") -> Consumer:
        """A new member of a consumer group, which reads a stream on from where the group has come; a group that is new
        begins at `start`. The members of a group share the partitions of the stream.

        >>> import headwater
        >>> with headwater.connect() as db:
        ...     db.execute("CREATE STREAM jobs (id BIGINT); INSERT INTO jobs VALUES (1), (2), (3)")
        ...     with db.consumer("jobs", "workers") as worker:
        ...         [row[0] for row in worker.fetch(max_rows=2)]
        ...         worker.commit()
        ...     with db.consumer("jobs", "workers") as another:
        ...         [row[0] for row in another.fetch()]
        [1, 2]
        [3]
        """
        self._check_open()
        groups = self._parts.groups
        return groups.join(group, groups.stream(syntax.Identifier(stream)), start)

    @asynccontextmanager
    async def consumer_async(
        self, stream: str, group: str, start: Literal["earliest", "latest"] = "earliest"
    ) -> AsyncIterator[Consumer]:
        """`consumer` for asyncio: `async with db.consumer_async(…) as consumer`. Whatever ends the block, it has left
        the group then.

        >>> import asyncio, headwater
        >>> async def work(db):
        ...     async with db.consumer_async("jobs", "workers") as worker:
        ...         async for rows in worker:
        ...             async with db.transaction_async() as t:
        ...                 t.consume(worker)
        ...                 _ = t.append("done", rows.arrow().select(["id"]))
        ...             return len(rows)
        >>> with headwater.connect() as db:
        ...     db.execute("CREATE STREAM jobs (id BIGINT); CREATE STREAM done (id BIGINT)")
        ...     _ = db.append("jobs", [(1,), (2,), (3,)])
        ...     asyncio.run(work(db))
        3
        """
        joined = await in_thread(lambda: self.consumer(stream, group, start), Consumer.close)
        try:
            yield joined
        finally:
            await in_thread(joined.close)

    def queue(self, name: str) -> Queue:
        """A work queue that CREATE QUEUE has made, to receive its messages: in a loop, or some at a time.

        >>> import headwater
        >>> with headwater.connect() as db:
        ...     db.execute("CREATE STREAM jobs (id BIGINT); CREATE QUEUE work ON jobs; INSERT INTO jobs VALUES (7)")
        ...     for message in db.queue("work"):
        ...         with message:
        ...             print(message["id"], message.attempt)
        ...         break
        ...     len(db.queue("work").receive())
        7 1
        0
        """
        self._check_open()
        return Queue(name, self._parts.queues, self._parts.pipeline.sleepers)
