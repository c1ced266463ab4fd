"""`%load_ext headwater`: SQL in cells of IPython and Jupyter.

    %hw --connect shop.hw            open a database (without this, one in memory)
    %hw --use db                     use the database that a variable holds
    %hw SELECT count(*) FROM bids    one statement; its result is the value of the line

    %%hw -o hot                      a cell of statements; the last result goes to the variable hot as well
    SELECT * FROM hot

A query that ends in EMIT CHANGES shows its changes below the cell until the kernel is interrupted, which ends it alone.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from typing import Any

from headwater.engine.database import Database, connect
from headwater.engine.result import Result
from headwater.engine.subscription import Subscription
from headwater.errors import HeadwaterError, InterfaceError
from headwater.repl.live import show_changes
from headwater.repl.sinks import Sink

_USAGE = "%hw [--connect DIR | --use VARIABLE] [-o VARIABLE] [SQL]"
_OPTION = re.compile(r"""(?P<name>--connect|--use|-o)\s+(?P<value>"[^"]*"|'[^']*'|\S+)\s*""")


@dataclass(slots=True)
class Magic:
    """The magics of one IPython shell, and the database that they use."""

    shell: Any
    database: Database | None = None
    is_own: bool = False  # opened here, so closed here when another takes its place

    def __call__(self, line: str, cell: str | None = None) -> Result | None:
        """Runs the line or the cell. An error is shown without a traceback: it points into the SQL."""
        try:
            options, rest = _options(line)
            self._choose(options)
            if cell is not None and rest:
                raise InterfaceError(f'"{rest}" is no option of %%hw', hint=_USAGE)
            result = self._run(rest if cell is None else cell)
        except HeadwaterError as error:
            print(error, file=sys.stderr)
            return None
        if "-o" in options:
            self.shell.user_ns[options["-o"]] = result
        return result

    def close(self) -> None:
        """Closes the database, if it was opened here."""
        if self.database is not None and self.is_own:
            self.database.close()
        self.database = None

    def _choose(self, options: dict[str, str]) -> None:
        if "--use" in options:
            name = options["--use"]
            database = self.shell.user_ns.get(name)
            if not isinstance(database, Database):
                raise InterfaceError(f'"{name}" is no open database', hint=f"{name} = headwater.connect(…)")
            self.close()
            self.database, self.is_own = database, False
        elif "--connect" in options:
            self.close()
            self.database, self.is_own = connect(options["--connect"]), True

    def _run(self, text: str) -> Result | None:
        """Runs statements; shows what continuous queries and all results but the last give, and gives the last."""
        if self.database is None:
            self.database, self.is_own = connect(), True
        last: Result | None = None
        for outcome in self.database.run(text):
            if last is not None:
                self._show(last)
            last = None
            if isinstance(outcome, Subscription):
                show_changes(outcome, Sink(sys.stdout), "table")
            elif outcome.columns:
                last = outcome
            else:
                print(outcome.message)
        return last

    def _show(self, result: Result) -> None:
        from IPython.display import display

        display(result)  # type: ignore[no-untyped-call]  # IPython's own, which is not typed


def register(shell: Any) -> None:
    """Makes `%hw` and `%%hw` in an IPython shell."""
    magic = Magic(shell)
    shell.register_magic_function(magic, "line_cell", "hw")


def _options(line: str) -> tuple[dict[str, str], str]:
    """The options at the beginning of a line, and the SQL after them, as it stands."""
    options: dict[str, str] = {}
    rest = line.strip()
    while found := _OPTION.match(rest):
        options[found["name"]] = found["value"].strip("\"'")
        rest = rest[found.end() :]
    return options, rest
