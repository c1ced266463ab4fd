"""The commands that say where rows go and how they look: \\x, \\o and \\copy."""

from __future__ import annotations

import re
from time import perf_counter

from headwater.engine.database import Database
from headwater.engine.render import count, print_result
from headwater.errors import HeadwaterError
from headwater.repl.output import Output, write_rows
from headwater.repl.settings import FORMATS
from headwater.repl.sinks import ENDINGS, Draft, open_sink, path_of

_NAME = r'"(?:[^"]|"")+"|[^\s(]+'
_COPY = re.compile(
    rf"(?P<what>\(.+\)|{_NAME})\s+(?P<way>to|from)\s+"
    r"(?P<file>'(?:[^']|'')+'|\S+)(?:\s+\(?(?:format\s+)?(?P<format>\w+)\)?)?$",
    re.IGNORECASE | re.DOTALL,
)


def expand(database: Database, output: Output, argument: str) -> None:
    """\\x [on|off|auto]: sets it, or turns it on or off."""
    settings = output.settings
    settings.set("expanded", argument or ("off" if settings.expanded is True else "on"))
    output.say(f"expanded is {settings.word('expanded')}")


def redirect(database: Database, output: Output, argument: str) -> None:
    """\\o FILE | |COMMAND: rows go there from now on; without an argument to the terminal again."""
    target = open_sink(argument) if argument else None  # before the last one is given up
    output.close()
    output.target = target


def copy_rows(database: Database, output: Output, argument: str) -> None:
    """\\copy RELATION | (QUERY) TO FILE [FORMAT]: a file of rows. \\copy RELATION FROM FILE: what COPY does."""
    found = _COPY.match(argument)
    if found is None:
        raise HeadwaterError(
            "\\copy takes what to copy, TO or FROM, and a file",
            hint="\\copy bids to bids.parquet, or \\copy (SELECT …) to 'rows.csv'",
        )
    what, file = found["what"].strip(), found["file"]
    if found["way"].lower() == "from":
        form = f" (FORMAT {found['format']})" if found["format"] else ""
        text = str(path_of(file)).replace("'", "''")
        output.run(database, f"COPY {what} FROM '{text}'{form}")
        return
    format = _format(file, found["format"])
    started = perf_counter()
    result = database.sql(what[1:-1] if what.startswith("(") else f"SELECT * FROM {what}")
    with Draft(file) as sink:
        if format == "table":
            print_result(result, stream=sink.stream)
        else:
            write_rows(result, sink, format)
    output.say(f"copied {count(len(result), 'row')} to {sink.name} in {perf_counter() - started:.2f} s")


def _format(file: str, named: str | None) -> str:
    """The format of a file: the one that is named, or what its name ends in; CSV where that says nothing."""
    if named is None:
        return ENDINGS.get(path_of(file).suffix.lower(), "csv")
    if named.lower() not in FORMATS:
        raise HeadwaterError(f"there is no format {named}", hint=f"formats are {', '.join(FORMATS)}")
    return named.lower()
