"""Running statements and showing what each gives back, for scripts and for the shell alike.

What goes to the output stream is the statements' rows. In a format that programs read, messages such as "stream bids
created" go to standard error instead.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import TextIO

from headwater.engine.database import Database
from headwater.engine.render import print_result
from headwater.engine.result import Result
from headwater.engine.subscription import Subscription
from headwater.repl.live import show_changes
from headwater.repl.settings import Settings
from headwater.repl.travel import Travel
from headwater.repl.writers import WRITERS

_ROWS_AT_ONCE = 1000


@dataclass(slots=True)
class Output:
    """Where answers go, and how they look there: as `settings` say.

    `travel` is from which point of the log the user of this output looks, `last` the statement that was run last, and
    `files` are those that are being run, the outermost first. `ask` reads a line from the user, where there is one.
    """

    stream: TextIO
    settings: Settings = field(default_factory=Settings.of_script)
    travel: Travel = field(default_factory=Travel)
    last: str = ""
    files: list[str] = field(default_factory=list)
    ask: Callable[[str], str] | None = None

    def run(self, database: Database, text: str, *, file: str | None = None) -> None:
        """Run the statements of `text` one after the other and show each answer before the next begins.

        An error ends it; what came before stays done and shown. `file` is where the text is from.
        """
        started = perf_counter()
        for answer in database.run(text, file=file):
            if isinstance(answer, Subscription):
                show_changes(answer, self.stream, self.settings.format)
            else:
                self.show(answer, _duration(perf_counter() - started) if self.settings.timing else None)
            started = perf_counter()

    def show(self, result: Result, note: str | None = None) -> None:
        """Write a result; below a table, the note in brackets."""
        if self.settings.format == "table":
            print_result(result, limit=self.settings.rows, stream=self.stream, note=note)
        elif not result.columns:
            self.say(result.message or "")
        else:
            writer = WRITERS[self.settings.format](result.columns, self.stream.write)
            for batch in result.arrow().to_batches(max_chunksize=_ROWS_AT_ONCE):
                writer.add(batch)
            writer.close()
        self.stream.flush()

    def say(self, text: str) -> None:
        """Write a message on a line of its own."""
        stream = self.stream if self.settings.format == "table" else sys.stderr
        stream.write(f"{text}\n")
        stream.flush()


def _duration(seconds: float) -> str:
    """`0.4 ms`, `12 ms`, `3.21 s`."""
    if seconds >= 1:
        return f"{seconds:.2f} s"
    milliseconds = seconds * 1000
    return f"{milliseconds:.1f} ms" if milliseconds < 10 else f"{milliseconds:.0f} ms"
