"""Running statements and showing what each gives back, for scripts and for the shell alike.

What goes to the output stream is the statements' rows, unless \\o says another place. In a format that programs read,
messages such as "stream bids created" go to standard error instead.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import perf_counter
from typing import TextIO

from headwater.engine.database import Database
from headwater.engine.render import Look, count, print_result
from headwater.engine.result import Result
from headwater.engine.subscription import Subscription
from headwater.engine.terminal import Screen
from headwater.repl.live import show_live
from headwater.repl.pager import paged, pager_command
from headwater.repl.progress import shown_progress
from headwater.repl.settings import AUTO, Settings
from headwater.repl.sinks import Sink
from headwater.repl.travel import Travel

_ROWS_AT_ONCE = 1000
_AROUND = 6  # lines of a table that are not rows


@dataclass(slots=True)
class Output:
    """Where answers go, and how they look there: as `settings` say.

    Messages go to `stream`, rows to `target` or, without one, there too. `travel` is from which point of the log the
    user of this output looks. `last` is the last statement that was run, `draft` the text with which the next prompt
    begins. `files` are those that are being run, the outermost first. `ask` reads a line from the user, where there is
    one.
    """

    stream: TextIO
    settings: Settings = field(default_factory=Settings.of_script)
    travel: Travel = field(default_factory=Travel)
    target: Sink | None = None
    _home: Sink | None = None
    draft: str = ""
    last: str = ""
    files: list[str] = field(default_factory=list)
    ask: Callable[[str], str] | None = None

    def run(self, database: Database, text: str, *, file: str | None = None) -> None:
        """Run the statements of `text` one after the other and show each answer before the next begins.

        An error ends it; what came before stays done and shown. `file` is where the text is from.
        """
        started = perf_counter()
        answers = database.run(text, file=file)
        while (answer := _next(answers)) is not None:
            if isinstance(answer, Subscription):
                if self.target is not None and self.stream.isatty():
                    self.say(f"changes go to {self.target.name} until Ctrl-C")
                show_live(answer, self.sink, self.format, in_place=self.settings.live == "table")
            else:
                self.show(answer, _duration(perf_counter() - started) if self.settings.timing else None)
            started = perf_counter()

    @property
    def sink(self) -> Sink:
        """Where rows go."""
        if self.target is not None:
            return self.target
        if self._home is None or self._home.stream is not self.stream:
            self._home = Sink(self.stream)
        return self._home

    @property
    def format(self) -> str:
        """The format of rows there: what the name of a file says goes before what is set."""
        return self.sink.format or self.settings.format

    def show(self, result: Result, note: str | None = None) -> None:
        """Write a result; below a table, the note in brackets."""
        if not result.columns:
            if result.message:
                self.say(f"{result.message} ({note})" if note and self.settings.format == "table" else result.message)
            return
        limit, command = self._limit(), self._pager(result)
        if command is None:
            self._write(result, self.sink, limit, note)
        else:
            screen = Screen.of(self.stream)
            with paged(command, self.stream.encoding or "utf-8") as stream:
                self._write(result, Sink(stream), limit, note, screen)
        self.sink.stream.flush()
        if self.target is not None and self.stream.isatty():
            self.say(f"{count(len(result), 'row')} to {self.target.name}{f' ({note})' if note else ''}")

    def _write(self, result: Result, sink: Sink, limit: int | None, note: str | None,
               screen: Screen | None = None) -> None:  # fmt: skip
        if self.format == "table":
            expanded = self.settings.expanded
            look = Look(None if isinstance(expanded, str) else expanded, self.settings.null, screen)
            print_result(result, limit=limit, stream=sink.stream, note=note, look=look)
        else:
            write_rows(result, sink, self.format)

    def _limit(self) -> int | None:
        """How many rows of a table to show."""
        is_all = self.settings.rows == AUTO and (self.target is not None or self._has_pager)
        return None if is_all else self.settings.row_limit

    @property
    def _has_pager(self) -> bool:
        return self.settings.pager == AUTO and self.stream.isatty() and pager_command() is not None

    def _pager(self, result: Result) -> str | None:
        """The pager that a result needs: one that is longer than the screen, and goes there as text."""
        if self.target is not None or self.format in ("parquet", "arrow") or not self._has_pager:
            return None
        limit = self._limit()
        rows = len(result) if limit is None or self.format != "table" else min(limit, len(result))
        lines = rows * (len(result.columns) + 1) if self.settings.expanded else rows + _AROUND
        return pager_command() if lines > shutil.get_terminal_size().lines else None

    def close(self) -> None:
        """Ends what \\o opened."""
        if self.target is not None:
            self.target.close()
            self.target = None

    def say(self, text: str) -> None:
        """Write a message on a line of its own."""
        stream = self.stream if self.settings.format == "table" else sys.stderr
        stream.write(f"{text}\n")
        stream.flush()


def write_rows(result: Result, sink: Sink, format: str) -> None:
    """Write all rows of a result in a format for programs."""
    writer = sink.writer(format, result.columns, result.arrow().schema)
    for batch in result.arrow().to_batches(max_chunksize=_ROWS_AT_ONCE):
        writer.add(batch)
    writer.close()


def _next(answers: Iterator[Result | Subscription]) -> Result | Subscription | None:
    """The answer to the next statement, which is run now."""
    with shown_progress(sys.stderr):
        return next(answers, None)


def _duration(seconds: float) -> str:
    """`0.4 ms`, `12 ms`, `3.21 s`."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
