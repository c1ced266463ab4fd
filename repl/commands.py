"""The shell's own commands, which begin with a backslash, as one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from headwater.engine.database import Database
from headwater.engine.render import count
from headwater.engine.result import Result
from headwater.engine.terminal import Screen, choose_colours
from headwater.errors import HeadwaterError, suggestion
from headwater.repl.charts import draw_chart
from headwater.repl.debugger import back, bisect, goto, now, scrub, step, track_question, untrack
from headwater.repl.editing import edit
from headwater.repl.finding import explain, show_info, show_items, show_queries
from headwater.repl.help import overview
from headwater.repl.help_commands import help_statement, list_functions
from headwater.repl.history import entries, history_file, save
from headwater.repl.lineage import show_lineage
from headwater.repl.output import Output
from headwater.repl.settings import AUTO, OPTIONS
from headwater.repl.showing import copy_rows, expand, redirect
from headwater.repl.sql_files import read_sql
from headwater.repl.tutorial import tutorial
from headwater.repl.watching import watch
from headwater.values import Column

_ABBREVIATION_MIN = len("\\abc")


@dataclass(frozen=True, slots=True)
class Command:
    """`action` gets what was typed after the name, without spaces around it; it raises EOFError to leave the shell.

    `takes` is the kind of its argument, for completion: relation, query or both, file, option (and its value), the name
    of an option whose values it takes, or statement (its first words).
    """

    name: str
    argument: str
    summary: str
    action: Callable[[Database, Output, str], None]
    takes: str = ""


def run_command(database: Database, output: Output, line: str) -> None:
    """Run the command in `line`. An unknown one, or a wrong argument, is a HeadwaterError."""
    name, argument = _split(line)
    command = COMMANDS.get(name) or _abbreviated(name)
    if command is None:
        raise HeadwaterError(f"there is no command {name}", hint=suggestion(name, COMMANDS, "commands"))
    if argument and not command.argument:
        raise HeadwaterError(f"{command.name} takes no argument")
    command.action(database, output, argument)
    output.stream.flush()


def _split(line: str) -> tuple[str, str]:
    """The name of a command and what stands behind it, which may be on further lines."""
    name, *rest = line.strip().rstrip(";").split(maxsplit=1)
    return name, rest[0].strip() if rest else ""


def _abbreviated(name: str) -> Command | None:
    """The one command that begins with a name of at least three letters."""
    found = [command for known, command in COMMANDS.items() if known.startswith(name)]
    return found[0] if len(found) == 1 and len(name) >= _ABBREVIATION_MIN else None


def _run_file(database: Database, output: Output, argument: str) -> None:
    from headwater.repl.command_lines import run_script  # which runs commands

    if not argument:
        raise HeadwaterError("\\i needs the name of a file")
    path = Path(argument).expanduser()
    if output.files:
        path = Path(output.files[-1]).expanduser().parent / path
    run_script(database, output, read_sql(str(path)), file=str(path))


def _set_row_limit(database: Database, output: Output, argument: str) -> None:
    if argument:
        output.settings.set("rows", argument)
    limit = output.settings.row_limit
    shown = "all rows" if limit is None else f"the first {limit:,} rows"
    if output.settings.rows == AUTO:
        shown = f"all rows in the pager; without one, {shown}"
    output.say(f"tables show {shown} of a result")


def _set_timing(database: Database, output: Output, argument: str) -> None:
    output.settings.set("timing", argument or ("off" if output.settings.timing else "on"))
    output.stream.write(f"timing is {output.settings.word('timing')}\n")


def _set(database: Database, output: Output, argument: str) -> None:
    name, _, value = argument.partition(" ")
    if name and value:
        output.settings.set(name, value.strip())
        choose_colours(output.settings.colour)
    elif name:
        output.settings.word(name)
    columns = (Column("option", ""), Column("value", ""), Column("meaning", ""), Column("takes", ""))
    rows = [
        (option, output.settings.word(option), OPTIONS[option].meaning, OPTIONS[option].taken)
        for option in ([name] if name else OPTIONS)
    ]
    output.show(Result.of_rows(columns, rows, [pa.string()] * len(columns)))


def _unset(database: Database, output: Output, argument: str) -> None:
    if not argument:
        raise HeadwaterError("\\unset needs the name of an option", hint="\\set lists them")
    output.settings.unset(argument)
    choose_colours(output.settings.colour)
    output.say(f"{argument} is {output.settings.word(argument)}")


def _help(database: Database, output: Output, argument: str) -> None:
    for line in overview(COMMANDS, Screen.of(output.stream)):
        output.stream.write(f"{line}\n")


def _search_history(database: Database, output: Output, argument: str) -> None:
    text, _, path = argument.partition(">")
    found = [entry for entry in entries(history_file()) if text.strip().lower() in entry.lower()]
    if path.strip():
        save(found, path.strip())
        output.say(f"wrote {count(len(found), 'line')} to {path.strip()}")
        return
    limit = output.settings.row_limit or len(found)
    for entry in found[-limit:]:
        output.stream.write(f"{entry}\n")
    if not found:
        output.say("nothing in the history has that" if text.strip() else "the history is empty")


def _quit(database: Database, output: Output, argument: str) -> None:
    raise EOFError


COMMANDS = {
    command.name: command
    for command in (
        Command("\\d", "[name]", "list streams, tables and views, or describe one", show_items, "relation"),
        Command("\\df", "[pattern]", "list functions, or tell all about one", list_functions),
        Command("\\dq", "", "the running queries: rate, lag, state, failed rows", show_queries),
        Command("\\explain", "[query]", "how a query, or the last statement, is computed", explain, "query"),
        Command("\\watch", "[seconds] [query]", "ask it, or the last query, again and again", watch, "query"),
        Command("\\lineage", "[name]", "draw what reads what", show_lineage, "relation"),
        Command("\\tutorial", "[lesson]", "seven short lessons, in a database of their own", tutorial),
        Command("\\info", "", "which database this is, and where the shell keeps its files", show_info),
        Command("\\h", "[statement]", "what a statement is, with syntax and an example", help_statement, "statement"),
        Command("\\e", "[file]", "edit the last statement, or a file, in your editor", edit, "file"),
        Command("\\i", "file", "run the statements of a file", _run_file, "file"),
        Command("\\rows", "[n|all|auto]", "how many rows of a result to show", _set_row_limit, "rows"),
        Command("\\set", "[option [value]]", "list the options, or set one", _set, "option"),
        Command("\\unset", "option", "give an option its default again", _unset, "option"),
        Command("\\s", "[text] [> file]", "the history, or what in it has a text", _search_history),
        Command("\\timing", "[on|off]", "whether to show how long statements take", _set_timing, "timing"),
        Command("\\x", "[on|off|auto]", "show rows with a line for each column", expand, "expanded"),
        Command("\\o", "[file | |command]", "rows go to a file or a command, until \\o", redirect, "file"),
        Command("\\copy", "what to|from file", "rows to a file, or a file into a relation", copy_rows, "relation"),
        Command("\\chart", "what [column …]", "a curve over the versions, or live", draw_chart, "relation query"),
        Command("\\track", "[what]", "ask again at each position; or list what is", track_question, "relation query"),
        Command("\\untrack", "[what]", "stop that, for one or all", untrack, "relation"),
        Command("\\goto", "[position]", "stand at 42, +1, 'OFFSET 9', '5 minutes ago', earliest …", goto),
        Command("\\step", "[n]", "on to where what is tracked changes next", step),
        Command("\\back", "[n]", "back to where it was last something else", back),
        Command("\\now", "", "back to the present", now),
        Command("\\bisect", "condition", "the first version at which a condition is false", bisect, "query"),
        Command("\\scrub", "[number]", "a time line on the whole screen, with a curve", scrub),
        Command("\\?", "", "show this help", _help),
        Command("\\q", "", "leave", _quit),
    )
}
