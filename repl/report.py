"""Errors as the user sees them: text, never a traceback."""

from __future__ import annotations

import os
import traceback
from typing import TextIO

from headwater.engine.terminal import Screen
from headwater.errors import HeadwaterError


def show_error(error: Exception, stream: TextIO) -> None:
    """Write `error` to `stream`: the first line red at a terminal, the lines with the caret plain, to be read.

    One that is not ours is named in a line; HEADWATER_DEBUG=1 shows where it came from.
    """
    message, newline, rest = str(as_ours(error, stream)).partition("\n")
    stream.write(f"{Screen.of(stream).paint(f'error: {message}', 'red')}{newline}{rest}\n")
    stream.flush()


def as_ours(error: Exception, stream: TextIO) -> HeadwaterError:
    """`error`, or one that names it in a line if nobody foresaw it. HEADWATER_DEBUG=1 shows on `stream` where."""
    if isinstance(error, HeadwaterError):
        return error
    if os.environ.get("HEADWATER_DEBUG"):
        traceback.print_exception(error, file=stream)
    what = f"unexpected {type(error).__name__}: {error}".rstrip(": ").replace("\n", " ")
    return HeadwaterError(what, hint="this is a bug; HEADWATER_DEBUG=1 shows where it came from")
