"""\\watch: a query asked again and again, what has changed marked, until Ctrl-C."""

from __future__ import annotations

import re
import shutil
import time
from datetime import UTC, datetime

from headwater.engine.database import Database
from headwater.engine.result import Result
from headwater.engine.terminal import Screen, cut
from headwater.errors import HeadwaterError
from headwater.repl.marking import marked
from headwater.repl.output import Output
from headwater.repl.pictures import painted, summary, table

_SECONDS = 2.0
_SECONDS_MIN = 0.1
_ARGUMENT = re.compile(r"(\d+(?:\.\d+)?)?\s*(.*)", re.DOTALL)


def watch(database: Database, output: Output, argument: str) -> None:
    """\\watch [seconds] [query]: without a query, the last statement. Ctrl-C ends it, and nothing else."""
    found = _ARGUMENT.fullmatch(argument)
    assert found is not None, "both parts may be missing"
    seconds = max(float(found[1] or _SECONDS), _SECONDS_MIN)
    query = found[2].rstrip("; \n") or output.last
    if not query:
        raise HeadwaterError("there is no query to repeat yet", hint="\\watch SELECT …")
    if re.match(r"(?i)\s*(insert|update|delete|create|drop|alter)\b", query):
        raise HeadwaterError("\\watch repeats queries, not what changes the database", hint="\\watch SELECT …")
    before, drawn = None, 0
    try:
        while True:
            answer = database.sql(query)
            told = f"every {seconds:g} s · {_clock(database)} · Ctrl-C ends it"
            drawn = _show(answer, before, output, drawn, told)
            before = answer
            time.sleep(seconds)
    except KeyboardInterrupt:
        output.stream.write("\n" if Screen.of(output.stream).width is not None else "")  # the terminal has echoed ^C


def _show(answer: Result, before: Result | None, output: Output, drawn: int, told: str) -> int:
    """Draw an answer, at a terminal in the place of the `drawn` lines of the one before; the lines it takes."""
    screen = Screen.of(output.stream)  # which may have another size than before
    if screen.width is None or not answer.columns or output.settings.format != "table":
        output.show(answer)
        return 0
    size = shutil.get_terminal_size()
    room = max(size.lines - 8, 1)  # without edges, header, summary, the line of the clock, and that of the cursor
    rows = marked(before, answer, None, room)
    text = painted(table(rows, screen), screen) + "".join(
        screen.paint(cut(line, size.columns, screen.ellipsis), "dim") + "\n" for line in (summary(rows), told)
    )
    output.stream.write((f"\x1b[{drawn}F\x1b[J" if drawn else "") + text)
    output.stream.flush()
    return text.count("\n")


def _clock(database: Database) -> str:
    return datetime.fromtimestamp(database.reader.points().now_us / 1e6, UTC).strftime("%H:%M:%S UTC")
