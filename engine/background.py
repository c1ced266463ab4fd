"""The thread that moves continuous queries along the log, beside whatever else the program does."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Protocol

from headwater.errors import StorageError
from headwater.storage import Log


class Moving(Protocol):
    """What is moved: see `Pipeline`."""

    @property
    def is_closed(self) -> bool: ...

    @property
    def due(self) -> int | None: ...

    def step(self) -> bool: ...

    def tick(self, due: int | None) -> bool: ...

    def tried(self, version: int, failure: Exception | None) -> None:
        """Hears that all up to a version has gone through the queries, or why it has not."""


class Background:
    """A thread that takes steps while there are commits, then sleeps until there are more, or something is due."""

    def __init__(
        self, moving: Moving, log: Log, now_us: Callable[[], int], idle: Callable[[], float | None], name: str
    ) -> None:
        """`idle` is called between steps, and gives the seconds after which to call it again at the latest."""
        self._moving = moving
        self._log = log
        self._now_us = now_us
        self._idle = idle
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def is_this(self) -> bool:
        """Whether the caller is this thread."""
        return threading.current_thread() is self._thread

    def join(self) -> None:
        """Waits for the thread to end; what it moves is closed, and the log, which wakes it."""
        if self._thread.is_alive() and not self.is_this():
            self._thread.join()

    def _run(self) -> None:
        while not self._moving.is_closed:
            seen, due = self._log.version, None
            try:
                while self._moving.step():
                    pass
                due = self._moving.due
                self._moving.tick(due)
                self._moving.tried(seen, None)
            except Exception as error:  # who waits is told; the next commit is the next try
                self._moving.tried(seen, error)
                due = None
            try:
                self._log.wait(seen, self._seconds_until(due))
            except StorageError:
                return

    def _seconds_until(self, due: int | None) -> float | None:
        """How long the thread may sleep; a clock that is set anew is noticed within an hour."""
        until = None if due is None else min(max(due - self._now_us(), 0) / 1e6, 3600.0)
        return min((seconds for seconds in (until, self._idle()) if seconds is not None), default=None)
