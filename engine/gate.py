"""Who may write to source relations: many at a time, or one alone that has to see what it changes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Writers of rows pass `together`, and share syncs. Who changes rows by what they are passes `alone`, as does who
    changes what follows from rows. One that is alone may pass again.

    While one waits to be alone, no more are let in, so that it gets its turn.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._inside = 0
        self._is_taken = False  # by one that is alone, or waits for the others to leave
        self._alone: int | None = None  # the thread that is

    @contextmanager
    def together(self) -> Iterator[None]:
        """Inside, others may write, but nobody is alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._is_taken)
            self._inside += 1
        try:
            yield
        finally:
            with self._changed:
                self._inside -= 1
                self._changed.notify_all()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside, nobody else writes."""
        if self._alone == threading.get_ident():
            yield
            return
        with self._changed:
            self._changed.wait_for(lambda: not self._is_taken)
            self._is_taken = True
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self._inside)
                self._alone = threading.get_ident()
            yield
        finally:
            with self._changed:
                self._is_taken, self._alone = False, None
                self._changed.notify_all()
