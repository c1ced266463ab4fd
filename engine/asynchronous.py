"""Waiting in asyncio, so that the event loop goes on meanwhile: for the log, and for what is done in a thread.

What is done in a thread is short: nothing sleeps there. While there is nothing to do one thread sleeps for all tasks
that wait for a log, and ends when none does. So a task can be cancelled at any time, and nothing goes on without it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TypeVar

from headwater.errors import StorageError
from headwater.storage import Log

T = TypeVar("T")

_SLEEP_SECONDS = 0.5  # at most, before the thread looks whether anybody waits


async def in_thread(work: Callable[[], T], undo: Callable[[T], object] | None = None) -> T:
    """Does work in a thread. A task that is cancelled meanwhile hears of it when the work has ended, and what came of
    it was undone.
    """
    done = asyncio.get_running_loop().run_in_executor(None, work)
    cancelled: asyncio.CancelledError | None = None
    while not done.done():
        try:
            await asyncio.wait([done])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is None:
        return done.result()
    if done.exception() is None and undo is not None:
        await in_thread(partial(undo, done.result()))
    raise cancelled from done.exception()


class Sleepers:
    """The tasks that wait for a log to have more."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.RLock()  # guards the rest
        self._wakes: set[Callable[[], object]] = set()  # one for each task
        self._has_thread = False

    async def first(
        self,
        attempt: Callable[[], tuple[T | None, float]],
        undo: Callable[[T], object],
        timeout: float | None,
    ) -> T | None:
        """What an attempt finds, which is made again whenever the log has more, within so many seconds (None: for
        ever); None if none finds anything.

        An attempt also says in how many seconds to make the next one at the latest; 0 ends it. If the task is cancelled
        in the midst of one, what that has found is undone.
        """
        loop = asyncio.get_running_loop()
        deadline = None if timeout is None else loop.time() + timeout
        while True:
            version = self._log.version
            found, pause = await in_thread(attempt, lambda result: result[0] is not None and undo(result[0]))
            if found is not None:
                return found
            left = pause if deadline is None else min(pause, deadline - loop.time())
            if left <= 0:
                return None
            await self._sleep(version, left)

    def wake(self) -> None:
        """Lets all make their next attempt now."""
        with self._lock:
            for wake in tuple(self._wakes):
                try:
                    wake()
                except RuntimeError:  # its event loop was closed while it waited
                    self._wakes.discard(wake)

    async def _sleep(self, after: int, seconds: float) -> None:
        """Until there is a version above `after`, the log is closed, or for so many seconds."""
        woken = asyncio.Event()
        wake = partial(asyncio.get_running_loop().call_soon_threadsafe, woken.set)
        with self._lock:
            self._wakes.add(wake)
            if not self._has_thread:
                self._has_thread = True
                watch = partial(self._watch, self._log.version)  # as of before this task looks at it below
                threading.Thread(target=watch, name="headwater-sleepers", daemon=True).start()
        try:
            if self._log.version == after:
                with suppress(TimeoutError):
                    async with asyncio.timeout(seconds):
                        await woken.wait()
        finally:
            with self._lock:
                self._wakes.discard(wake)

    def _watch(self, version: int) -> None:
        """The thread: wakes all whenever there is more than up to a version."""
        is_open = True
        while True:
            seen = version
            try:
                version = self._log.wait(seen, _SLEEP_SECONDS)
            except StorageError:  # the log is closed, as those who are woken find, too
                is_open = False
            with self._lock:
                if version > seen or not is_open:
                    self.wake()
                if not self._wakes or not is_open:
                    self._has_thread = False
                    return
