"""The shell's own commands, which begin with a backslash, as one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from headwater.engine.database import Database
from headwater.engine.result import Result
from headwater.errors import HeadwaterError, suggestion
from headwater.repl.charts import draw_chart
from headwater.repl.debugger import back, bisect, goto, now, scrub, step, track_question, untrack
from headwater.repl.editing import edit
from headwater.repl.help_commands import help_statement, list_functions
from headwater.repl.output import Output
from headwater.repl.settings import AUTO, OPTIONS
from headwater.repl.showing import copy_rows, expand, redirect
from headwater.values import Column


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
    name, _, argument = line.strip().rstrip(";").partition(" ")
    command = COMMANDS.get(name)
    if command is None:
        raise HeadwaterError(f"there is no command {name}", hint=suggestion(name, COMMANDS, "commands"))
    if argument.strip() and not command.argument:
        raise HeadwaterError(f"{name} takes no argument")
    command.action(database, output, argument.strip())


def _describe(database: Database, output: Output, argument: str) -> None:
    if argument:
        output.run(database, f"DESCRIBE {argument}")
        return
    columns = (Column("name", ""), Column("kind", ""), Column("columns", ""))
    rows = [
        (relation.name, relation.kind.lower(), ", ".join(column.name for column in relation.columns))
        for relation in database.relations()
    ]
    output.show(Result.of_rows(columns, rows, [pa.string()] * len(columns)))


def _run_file(database: Database, output: Output, argument: str) -> None:
    from headwater.repl.command_lines import run_script  # which runs commands

    run_script(database, output, read_sql(argument), file=argument)


def _set_row_limit(database: Database, output: Output, argument: str) -> None:
    if argument:
        output.settings.set("rows", argument)
    limit = output.settings.row_limit
    shown = "all rows" if limit is None else f"the first {limit:,} rows"
    if output.settings.rows == AUTO:
        shown = f"all rows in the pager; without one, {shown}"
    output.say(f"tables show {shown} of a result")


def _toggle_timing(database: Database, output: Output, argument: str) -> None:
    output.settings.timing = not output.settings.timing
    output.stream.write(f"timing is {output.settings.word('timing')}\n")


def _set(database: Database, output: Output, argument: str) -> None:
    name, _, value = argument.partition(" ")
    if name and value:
        output.settings.set(name, value.strip())
    elif name:
        output.settings.word(name)
    columns = (Column("option", ""), Column("value", ""), Column("meaning", ""), Column("takes", ""))
    rows = [
        (option, output.settings.word(option), OPTIONS[option].meaning, OPTIONS[option].taken)
        for option in ([name] if name else OPTIONS)
    ]
    output.show(Result.of_rows(columns, rows, [pa.string()] * len(columns)))


def _help(database: Database, output: Output, argument: str) -> None:
    usages = {f"{command.name} {command.argument}": command.summary for command in COMMANDS.values()}
    longest = max(map(len, usages))
    for usage, summary in usages.items():
        output.stream.write(f"  {usage:<{longest}}  {summary}\n")
    output.stream.write(
        "\nA statement ends with ; and may have many lines. Tab completes, Ctrl-R searches\n"
        "the history, Ctrl-C clears the line or stops what is running, Ctrl-D leaves.\n"
    )


def _quit(database: Database, output: Output, argument: str) -> None:
    raise EOFError


COMMANDS = {
    command.name: command
    for command in (
        Command("\\d", "[name]", "list streams and tables, or describe one", _describe, "relation"),
        Command("\\df", "[pattern]", "list functions, or tell all about one", list_functions),
        Command(
            "\\h", "[statement]", "what a statement is, with its syntax and an example", help_statement, "statement"
        ),
        Command("\\e", "[file]", "edit the last statement, or a file, in your editor", edit, "file"),
        Command("\\i", "file", "run the statements of a file", _run_file, "file"),
        Command("\\rows", "[n|all|auto]", "how many rows of a result to show", _set_row_limit, "rows"),
        Command("\\set", "[option [value]]", "list the options, or set one", _set, "option"),
        Command("\\timing", "", "show how long statements take, or stop showing it", _toggle_timing),
        Command("\\x", "[on|off|auto]", "show rows with a line for each column", expand),
        Command("\\o", "[file | |command]", "rows go to a file or a command, until \\o", redirect, "file"),
        Command(
            "\\copy",
            "what to|from file",
            "a relation or (SELECT …) to a file; a file into a relation",
            copy_rows,
            "relation",
        ),
        Command(
            "\\chart",
            "what [column …]",
            "a curve over the versions of a relation or SELECT, or live",
            draw_chart,
            "relation query",
        ),
        Command(
            "\\track",
            "[what]",
            "ask a table or SELECT again at each position; or list them",
            track_question,
            "relation query",
        ),
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


def read_sql(path: str) -> str:
    """The text of a file of SQL; one that cannot be read is a HeadwaterError."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise HeadwaterError(f'cannot read "{path}": {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise HeadwaterError(f'"{path}" is not UTF-8 text (byte {error.start})') from error
