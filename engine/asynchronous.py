"""Waiting for changes in asyncio: polls that wait in a thread, so that the event loop does not.

The thread is made by the first poll and ends when the subscription is closed or forgotten. A poll whose task is
cancelled goes on; what it finds is given to the next one, so that nothing is lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

from headwater.engine.result import ChangeBatch

Poll = Callable[[float], ChangeBatch | None]


class Polls:
    """The polls of one subscription, one at a time."""

    def __init__(self) -> None:
        self._thread: ThreadPoolExecutor | None = None
        self._pending: Future[ChangeBatch | None] | None = None

    async def next(self, poll: Poll, timeout: float) -> ChangeBatch | None:
        """What a poll that was cancelled has found, or what a new one does."""
        if self._pending is None:
            self._thread = self._thread or ThreadPoolExecutor(1, "headwater subscription")
            self._pending = self._thread.submit(poll, timeout)
        try:
            batch = await asyncio.shield(asyncio.wrap_future(self._pending))
        except asyncio.CancelledError:
            raise  # the poll stays pending
        except BaseException:
            self._pending = None
            raise
        self._pending = None
        return batch

    def left_over(self) -> ChangeBatch | None:
        """What a poll that was cancelled has found, once it has ended."""
        pending, self._pending = self._pending, None
        return None if pending is None else pending.result()

    def close(self) -> None:
        """Lets the thread end, as soon as its poll has."""
        if self._thread is not None:
            self._thread.shutdown(wait=False)
            self._thread = None
