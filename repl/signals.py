"""SIGTERM and SIGHUP end the program as if it had been left: the database is closed, the terminal is as it was."""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_ended_by: int | None = None


class Ended(SystemExit):
    """The program was told to end. Event loops let this pass, and no other error that is none of theirs."""


def take_signals() -> None:
    """Let SIGTERM, and SIGHUP when the terminal goes away, raise `Ended` in the program's own thread."""
    signal.signal(signal.SIGTERM, _end)
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # nohup
        signal.signal(signal.SIGHUP, _end)


@contextmanager
def interruptible(interrupt: Callable[[], None]) -> Iterator[None]:
    """Inside, a signal that is to end what runs also calls `interrupt`, in a thread of its own: the program's thread
    may be in a library then, as in DuckDB, where Python's handlers have to wait.
    """
    told, telling = socket.socketpair()
    telling.setblocking(False)
    before = signal.set_wakeup_fd(telling.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=_watch, args=(told, interrupt), daemon=True)
    watcher.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        telling.close()
        watcher.join()
        told.close()


def _watch(told: socket.socket, interrupt: Callable[[], None]) -> None:
    """Python writes the number of each signal that comes; nothing more comes when the other end is closed."""
    while numbers := told.recv(64):
        if any(number in _ENDING for number in numbers):
            interrupt()


def exit_code() -> int | None:
    """The code with which a program ends that a signal has ended; None if none has. What ran when it came may have made
    another error of `Ended`, so ask this whatever error ends the program.
    """
    return None if _ended_by is None else 128 + _ended_by


def refuse_to_go_on() -> None:
    """Raises `Ended` if the program was told to end, and what ran then has made something else of it."""
    if _ended_by is not None:
        raise Ended


def _end(number: int, frame: FrameType | None) -> None:
    global _ended_by
    if _ended_by is None:  # a second one does not interrupt the closing
        _ended_by = number
        raise Ended
