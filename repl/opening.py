"""What takes a while to make, made in a thread of its own while the user is typing already."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread
from typing import Generic, TypeVar

from headwater.progress import watched

T = TypeVar("T")

_LOOK_SECONDS = 0.1


class Opening(Generic[T]):
    """What `make` gives or raises, once `start` was called."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._made: Future[T] = Future()
        self._thread: Thread | None = None
        self._told: tuple[str, int, int] | None = None
        self._is_given_up = False

    def start(self) -> None:
        """Begins, if that has not been done."""
        if self._thread is None:
            self._made.set_running_or_notify_cancel()  # from here on nobody who waits can cancel it
            self._thread = Thread(target=self._run, daemon=True)
            self._thread.start()

    @property
    def is_done(self) -> bool:
        """Whether it is made, or has failed."""
        return self._made.done()

    @property
    def share(self) -> str:
        """How far it has come, as `43%`; "" where that is not known."""
        if self._told is None:
            return ""
        _, done, total = self._told
        return f"{done / max(total, 1):.0%}"

    async def waited_for(self) -> T:
        """What is made, for who waits among other things."""
        self.start()
        return await asyncio.wrap_future(self._made)

    def result(self) -> T:
        """What is made; until then a bar shows how far that has come, if it takes long."""
        self.start()
        if not self.is_done:
            from headwater.repl.progress import Progress  # which it imports as well

            progress = Progress(sys.stderr)
            try:
                while not wait([self._made], _LOOK_SECONDS).done:
                    if self._told is not None:
                        progress(*self._told)
            finally:
                progress.clear()
        return self._made.result()

    def given_up(self) -> T | None:
        """Ends it; gives what was made by then, and None for nothing."""
        self._is_given_up = True
        if self._thread is None:
            return None
        self._thread.join()
        return None if self._made.exception() else self._made.result()

    def _run(self) -> None:
        try:
            with watched(self._tell):
                made = self._make()
        except BaseException as error:
            self._made.set_exception(error)
        else:
            self._made.set_result(made)

    def _tell(self, what: str, done: int, total: int) -> None:
        if self._is_given_up:
            raise KeyboardInterrupt  # which ends it as Ctrl-C does where it is made in the program's own thread
        self._told = what, done, total
