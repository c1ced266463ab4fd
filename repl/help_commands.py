r"""The commands that look something up in the reference: \h for statements, \df for functions."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from fnmatch import fnmatchcase
from textwrap import fill, indent

import pyarrow as pa

from headwater.engine.database import Database
from headwater.engine.result import Result
from headwater.engine.terminal import Screen, cut
from headwater.errors import HeadwaterError, suggestion
from headwater.planner.function_catalog import FunctionInfo, Kind, function_catalog, sample_data
from headwater.planner.statement_reference import PAGES, Entry, find_entries, statement_reference
from headwater.repl.output import Output
from headwater.values import Column

_FENCE = re.compile(r"^```\w+[ \w]*\n([\s\S]*?)^```$", re.MULTILINE)
_SENTENCE = re.compile(r"(?<=[.])\s(?=[A-Z])")
_NEAREST = 5
_WIDTH_MAX = 120  # lines of running text are no longer
_SAMPLE = "What the examples ask about: \\h sample data"


def help_statement(database: Database, output: Output, argument: str) -> None:
    """Show what a statement is: its syntax, and an example. Without a name, list all."""
    if argument.lower().startswith("sample"):
        output.stream.write(sample_data())
        return
    found = find_entries(argument) if argument else list(statement_reference())
    if not found:
        names = [name for entry in statement_reference() for name in entry.names]
        raise HeadwaterError(
            f'there is no statement "{argument}"', hint=suggestion(argument.upper(), names, "statements")
        )
    screen = Screen.of(output.stream)
    text = _entry_text(found[0], screen) if len(found) == 1 else "\n".join(_list_of(found, screen))
    output.stream.write(f"{text}\n")


def list_functions(database: Database, output: Output, argument: str) -> None:
    """List the functions that a pattern means, or all; with a name, tell all about it."""
    known = sorted((*function_catalog(), *_functions_of_user(database)), key=lambda info: info.name)
    found = _matching(known, argument.lower()) if argument else known
    if not found:
        names = {info.name for info in known}
        raise HeadwaterError(
            f'there is no function "{argument}"', hint=suggestion(argument.lower(), names, "functions")
        )
    if output.format == "table" and len({info.name for info in found}) == 1:
        screen = Screen.of(output.stream)
        output.stream.write("\n".join(_function_text(info, screen) for info in found))
        return
    columns = tuple(Column(name, "") for name in ("name", "signature", "returns", "kind", "description"))
    rows = [row for info in found for row in _rows(info)]
    output.show(Result.of_rows(columns, rows, [pa.string()] * len(columns)))


def _entry_text(entry: Entry, screen: Screen) -> str:
    """An entry as plain text: syntax and examples are indented, and the marks of Markdown left out."""
    parts = [_filled(f"{entry.title}: {entry.summary}", screen), _fitted(entry.syntax, screen)]
    for i, part in enumerate(_FENCE.split(entry.body)):  # text and code by turns
        paragraphs = part.strip().replace("**", "").split("\n\n")
        parts += [indent(part.rstrip(), "  ")] if i % 2 else [_filled(text, screen) for text in paragraphs if text]
    return "\n\n".join((*parts, _SAMPLE))


def _function_text(info: FunctionInfo, screen: Screen) -> str:
    """All that is known of a function, its signatures uncut."""
    same = f"The same as {info.alias_of}()" if info.alias_of else ""
    parts = (indent("\n".join(info.signatures), "  "), _filled(info.description, screen), same)
    example = f"  {info.example}\n  → {info.result}" if info.example else ""
    return "\n\n".join(filter(None, (f"{info.name} ({info.kind})", *parts, example))) + "\n"


def _filled(text: str, screen: Screen) -> str:
    return fill(" ".join(text.split()), min(screen.width or _WIDTH_MAX, _WIDTH_MAX), break_long_words=False)


def _fitted(syntax: str, screen: Screen) -> str:
    """Syntax, indented; lines that are too long for the screen go on below themselves."""
    lines = indent(syntax, "  ").splitlines()
    if screen.width is None:
        return "\n".join(lines)
    return "\n".join(fill(line, screen.width, subsequent_indent=" " * 8, break_long_words=False) for line in lines)


def _list_of(entries: Iterable[Entry], screen: Screen) -> Iterator[str]:
    """The entries a line each, below the titles of their pages."""
    page = ""
    for entry in entries:
        if entry.page != page:
            yield ("\n" if page else "") + PAGES[entry.page]
            page = entry.page
        line = f"  {entry.title:<27}  {entry.summary if entry.is_supported else f'Not supported: {entry.summary}'}"
        yield cut(line, screen.width or len(line), screen.ellipsis)


def _matching(known: list[FunctionInfo], pattern: str) -> list[FunctionInfo]:
    """By wildcards, if there are any; else by name, by a part of the name, or the names that are nearly so."""
    if "*" in pattern or "?" in pattern:
        return [info for info in known if fnmatchcase(info.name.lower(), pattern)]
    for is_meant in (str.__eq__, str.__contains__):
        found = [info for info in known if is_meant(info.name.lower(), pattern)]
        if found:
            return found
    nearest = get_close_matches(pattern, {info.name.lower() for info in known}, _NEAREST)
    return [info for info in known if info.name.lower() in nearest]


def _rows(info: FunctionInfo) -> Iterator[tuple[str, str | None, str | None, str, str]]:
    """A row for each signature, with the first sentence of the description."""
    description = _SENTENCE.split(info.description or f"The same as {info.alias_of}()")[0]
    for signature in info.signatures:
        call, _, returns = signature.rpartition(" -> ")
        yield info.name, call or returns, returns if call else None, info.kind, description


def _functions_of_user(database: Database) -> Iterator[FunctionInfo]:
    shown = database.sql("SHOW FUNCTIONS").arrow().to_pylist()
    for f in shown:
        signature = f"{f['name']}({f['parameters']}) -> {f['returns']}"
        kind: Kind = "aggregate" if "aggregate" in f["kind"] else "scalar"
        yield FunctionInfo(f["name"], kind, (signature,), f"A function of yours: {f['kind']}")
