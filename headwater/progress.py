"""How far work has come that may take long: told by whoever does it, shown by whoever watches in the same thread.

    with task("replaying") as tell:
        for done in …:
            tell(done, total)

There need not be anybody who watches. Work inside of other work is a part of it, and is not told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[str, int, int], object]  # is given what is done, how much of it, and of how much, in versions
Tell = Callable[[int, int], object]

_watcher: ContextVar[Watcher | None] = ContextVar("headwater_progress", default=None)


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Tells `watcher` of the work in this block."""
    before = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(before)


@contextmanager
def task(what: str) -> Iterator[Tell]:
    """Work that is called `what`; gives what to tell how far it has come."""
    watcher = _watcher.get()
    before = _watcher.set(None)
    try:
        yield _tell_nobody if watcher is None else lambda done, total: watcher(what, done, total)
    finally:
        _watcher.reset(before)


def _tell_nobody(done: int, total: int) -> None:
    """Nobody watches."""
