"""Who is reading: so that files are removed only when nobody needs them any more."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Readers:
    """The readers of a log that are under way, and what waits until some of them are gone."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next = 0
        self._active: set[int] = set()
        self._waiting: list[tuple[set[int], Callable[[], None]]] = []

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep what there is now for as long as this lasts."""
        with self._lock:
            reader = self._next
            self._next += 1
            self._active.add(reader)
        try:
            yield
        finally:
            self._leave(reader)

    def when_gone(self, action: Callable[[], None]) -> None:
        """Call `action` once all who are reading now have finished; at once if there are none."""
        with self._lock:
            if self._active:
                self._waiting.append((set(self._active), action))
                return
        action()

    def _leave(self, reader: int) -> None:
        due = []
        with self._lock:
            self._active.discard(reader)
            for awaited, action in self._waiting:
                awaited.discard(reader)
                if not awaited:
                    due.append(action)
            self._waiting = [waiting for waiting in self._waiting if waiting[0]]
        for action in due:
            action()
