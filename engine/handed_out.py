"""Work queues for programs: RECEIVE gives messages; ACK and NACK are methods of these, or the end of a `with`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from typing import Any

from headwater.engine.asynchronous import Sleepers, in_thread
from headwater.engine.queues import Queues
from headwater.engine.result import Result
from headwater.errors import NotHeld
from headwater.parser import syntax
from headwater.planner.catalog import PSEUDO_TYPES

_WAIT_SECONDS = 3600.0  # how long one wait of an iteration lasts before it begins again
_PSEUDO = frozenset(column.name for column in PSEUDO_TYPES)


class Message:
    """A record that a queue has handed out, for a time: `message["id"]` is the value of a column, also of ROWTIME,
    ROWPARTITION and ROWOFFSET.

    A context manager: at the end of the block it is done with, after an error it is given back; also in asyncio.
    `attempt` counts how often it was handed out, this time included.
    """

    def __init__(self, queue: Queue, receipt: str, attempt: int, record: dict[str, Any]) -> None:
        """Use `Queue.receive`."""
        self.queue = queue
        self.receipt = receipt
        self.attempt = attempt
        self._record = record
        self.is_settled = False  # whether the end of a block has nothing to do

    def __getitem__(self, column: str) -> Any:
        return self._record[column]

    @property
    def values(self) -> dict[str, Any]:
        """The record by the columns of its stream, as `append` takes it."""
        return {name: value for name, value in self._record.items() if name not in _PSEUDO}

    def __repr__(self) -> str:
        return f"Message({self.receipt!r}, attempt={self.attempt}, {self.values!r})"

    def ack(self) -> None:
        """It is done with, and does not come again. Raises NotHeld if its time was over and it was handed out again."""
        self.queue.ack(self)

    def nack(self) -> None:
        """It is not done, and comes again at once. Raises NotHeld if it was handed out again already."""
        self.queue.nack(self)

    async def ack_async(self) -> None:
        """`ack` for asyncio."""
        await in_thread(self.ack)

    async def nack_async(self) -> None:
        """`nack` for asyncio."""
        await in_thread(self.nack)

    def __enter__(self) -> Message:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            with suppress(NotHeld):  # then it was given back already; the error of the block is what matters
                self.nack()
        elif not self.is_settled:
            self.ack()

    async def __aenter__(self) -> Message:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        await in_thread(lambda: self.__exit__(kind))


class Queue:
    """A work queue: iterate over its messages, which come one at a time for as long as there is a database, or
    `receive` some. Several workers, threads or tasks, may use one. In asyncio: `async for`, and the methods whose names
    end in `_async`.
    """

    def __init__(self, name: str, queues: Queues, sleepers: Sleepers) -> None:
        """Use `Database.queue`."""
        self.identifier = syntax.Identifier(name)
        self._queues = queues
        self._sleepers = sleepers
        queues.find(self.identifier)

    @property
    def name(self) -> str:
        """Its name."""
        return self.identifier.text

    def receive(self, count: int = 1, timeout: float = 0.0) -> list[Message]:
        """Up to so many messages; none if there are none within `timeout` seconds. They are for this worker alone until
        they are settled, or the `visibility` of the queue is over.
        """
        return self._messages(self._queues.receive(syntax.Receive(count, self.identifier, round(timeout * 1e6))))

    async def receive_async(self, count: int = 1, timeout: float = 0.0) -> list[Message]:
        """`receive` for asyncio. If the task is cancelled, what was handed out to it meanwhile is given back."""

        def attempt() -> tuple[list[Message] | None, float]:
            handed, pause = self._queues.attempt(syntax.Receive(count, self.identifier))
            return self._messages(handed) or None, pause

        return await self._sleepers.first(attempt, lambda messages: self.nack(*messages), timeout) or []

    def ack(self, *messages: Message) -> None:
        """Messages are done with, in one commit. Raises NotHeld, and changes nothing, if one was handed out again."""
        self._settle(syntax.Ack(self.identifier, ()), messages)

    def nack(self, *messages: Message) -> None:
        """Messages are not done, and come again at once. Raises NotHeld, and changes nothing, if one did already."""
        self._settle(syntax.Nack(self.identifier, ()), messages)

    async def ack_async(self, *messages: Message) -> None:
        """`ack` for asyncio."""
        await in_thread(lambda: self.ack(*messages))

    async def nack_async(self, *messages: Message) -> None:
        """`nack` for asyncio."""
        await in_thread(lambda: self.nack(*messages))

    def __iter__(self) -> Iterator[Message]:
        while True:
            yield from self.receive(timeout=_WAIT_SECONDS)

    async def __aiter__(self) -> AsyncIterator[Message]:
        while True:
            for message in await self.receive_async(timeout=_WAIT_SECONDS):
                yield message

    def _settle(self, statement: syntax.Ack | syntax.Nack, messages: tuple[Message, ...]) -> None:
        if messages:
            self._queues.settle(statement, [message.receipt for message in messages])
        for message in messages:
            message.is_settled = True

    def _messages(self, handed: Result) -> list[Message]:
        names = handed.names[2:]  # behind the receipt and the attempt
        return [
            Message(self, receipt, attempt, dict(zip(names, values, strict=True)))
            for receipt, attempt, *values in handed
        ]
