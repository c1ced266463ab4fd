"""What is longer than the screen, shown by a program for that: `$PAGER`, or less."""

from __future__ import annotations

import io
import os
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

_LESS = "-SRXF"  # no wrapping, colours, what was shown stays, and nothing for what fits


def pager_command() -> str | None:
    """The command to run: none where there is no less, or where PAGER is set to nothing."""
    named = os.environ.get("PAGER")
    if named is not None:
        return named.strip() or None
    return "less" if shutil.which("less") else None


@contextmanager
def paged(command: str, encoding: str) -> Iterator[TextIO]:
    """A stream that a pager shows, in the encoding of the terminal. It is written as far as the pager reads.

    The pager may be left at any time; Ctrl-C is its own meanwhile, and does not end it.
    """
    environment = {**os.environ, "LESS": os.environ.get("LESS", _LESS)}
    process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE, env=environment)
    assert process.stdin is not None
    stream = io.TextIOWrapper(process.stdin, encoding=encoding, errors="backslashreplace")
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with suppress(BrokenPipeError):
            yield stream
    finally:
        with suppress(BrokenPipeError):
            stream.close()
        process.wait()
        signal.signal(signal.SIGINT, before)
