"""The command `headwater`: reads its arguments and runs the shell, a script, tests, the demo, a benchmark, or what
looks after a database.

Exit codes: 0; 1 after an error in SQL or in the database; 2 for wrong usage; 130 when Ctrl-C stopped a script, 143
after SIGTERM and 129 after SIGHUP, when the database was closed first. What can wait is imported when it is needed,
so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, TextIO

from headwater import __version__
from headwater.errors import HeadwaterError
from headwater.repl.importing import importing
from headwater.repl.report import show_error
from headwater.repl.settings import FORMATS, Settings
from headwater.repl.signals import Ended, exit_code, interruptible, take_signals

if TYPE_CHECKING:
    from headwater.engine.database import Database

_EXAMPLES = """\
examples:
  headwater                                    a prompt on a database in memory
  headwater shop.hw                            a prompt on the database in the directory shop.hw
  headwater shop.hw -c "SELECT * FROM hot"     run SQL and print what it gives
  headwater shop.hw -f load.sql                the same from a file
  headwater shop.hw --format csv < query.sql   the same from standard input
  headwater tail -f app.jsonl "SELECT level, count(*) GROUP BY level"     ask a file that grows; also a pipe: -
  headwater demo                               see what Headwater does
  headwater example                            list worked examples; headwater example clickstream runs one
  headwater generate orders shop.hw            make sample data; others: headwater generate --help
  headwater bench log                          measure the commit log on this machine; others: headwater bench --help
  headwater test tests/                        run tests written in SQL
  headwater config                             say where the configuration is, and what the options are
  headwater check shop.hw                      verify every byte; see also repair, backup and fork
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program with `arguments` (None: those of the process) and give its exit code. Never a traceback."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if arguments is None:
        take_signals()
    try:
        run = _COMMANDS.get(given[0]) if given else None
        code = run(given[1:]) if run is not None else _run(given)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Whoever read the output has had enough. Python flushes again at exit, and would complain: let that go nowhere.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return exit_code() or 130
    except Ended:
        return exit_code() or 1
    except Exception as error:
        if (ended := exit_code()) is not None:
            return ended  # such as that the terminal is gone
        show_error(error, sys.stderr)
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater",
        description="Streaming SQL that you can embed, and rewind.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("directory", nargs="?", metavar="DIR", help="the database; without it, one in memory")
    source = parser.add_mutually_exclusive_group()
    source.add_argument("-c", dest="sql", metavar="SQL", help="run these statements, then exit")
    source.add_argument("-f", dest="file", metavar="FILE", help="run the statements of this file, then exit")
    parser.add_argument(
        "--format",
        choices=FORMATS,
        help="how rows are printed (default: table)",
    )
    parser.add_argument("--version", action="version", version=f"headwater {__version__}")
    return parser


def _run(arguments: Sequence[str]) -> int:
    """Run the shell at a terminal, else the script from `-c`, `-f` or standard input."""
    parser = _parser()
    options = parser.parse_args(arguments)
    script: str | None = options.sql
    if options.file is not None:
        from headwater.repl.sql_files import read_sql

        try:
            script = read_sql(options.file)
        except HeadwaterError as error:
            parser.error(str(error))
    elif script is None and not (sys.stdin.isatty() and sys.stdout.isatty()):
        script = sys.stdin.read()
    if script is None:
        _run_shell(options.directory, options.format)
    else:
        _run_script(options.directory, options.format or "table", script, options.file)
    return 0


def _run_shell(directory: str | None, format: str | None) -> None:
    from headwater.repl.shell import run_shell

    def opened() -> Database:
        from headwater.engine.database import connect

        return connect(directory)

    run_shell(opened, directory, _prepared(sys.stdout, format or "table"), format)


def _run_script(directory: str | None, format: str, script: str, file: str | None) -> None:
    with importing():
        from headwater.engine.database import connect
        from headwater.repl.command_lines import run_script
        from headwater.repl.output import Output
        from headwater.repl.progress import shown_progress

    output = Output(_prepared(sys.stdout, format), Settings.of_script(format))
    with shown_progress(sys.stderr):
        database = connect(directory)
    with database:
        try:
            with interruptible(database.reader.interrupt):
                run_script(database, output, script, file=file)
        finally:
            output.close()


def _demo(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="headwater demo", description="Show what Headwater does, on real data.")
    parser.add_argument("directory", nargs="?", metavar="DIR", help="the demo's database (default: flights.hw here)")
    directory: str | None = parser.parse_args(arguments).directory

    from headwater.repl.demo import run

    _prepared(sys.stdout, "table")
    return run(directory)


def _example(arguments: Sequence[str]) -> int:
    from headwater.repl.example import run

    _prepared(sys.stdout, "table")
    return run(arguments)


def _bench(arguments: Sequence[str]) -> int:
    from headwater.bench.main import main as run

    return run(arguments)


def _test(arguments: Sequence[str]) -> int:
    from headwater.repl.testing import run

    _prepared(sys.stdout, "table")
    return run(arguments)


def _generate(arguments: Sequence[str]) -> int:
    from headwater.repl.generate import run

    _prepared(sys.stdout, "ndjson")
    return run(arguments)


def _operate(name: str, arguments: Sequence[str]) -> int:
    from headwater.repl.operate import COMMANDS

    _prepared(sys.stdout, "table")
    return COMMANDS[name](arguments)


def _tail(arguments: Sequence[str]) -> int:
    from headwater.repl.tail import run

    return run(arguments, _prepared)


def _config(arguments: Sequence[str]) -> int:
    argparse.ArgumentParser(
        prog="headwater config", description="Say where the configuration file is, and what the options are."
    ).parse_args(arguments)

    from headwater.repl.settings import OPTIONS, config_file, configured

    file = config_file()
    settings = configured(file)
    print(f"# {file}{'' if file.exists() else ' (there is none: these are the defaults)'}\n[shell]")
    for name, option in OPTIONS.items():
        print(f"{name} = {settings.toml(name)}  # {option.meaning}; takes {option.taken}")
    return 0


_COMMANDS: dict[str, Callable[[Sequence[str]], int]] = {
    "demo": _demo,
    "example": _example,
    "generate": _generate,
    "bench": _bench,
    "test": _test,
    "tail": _tail,
    "check": partial(_operate, "check"),
    "repair": partial(_operate, "repair"),
    "backup": partial(_operate, "backup"),
    "fork": partial(_operate, "fork"),
    "config": _config,
}


def _prepared(stream: TextIO, format: str) -> TextIO:
    """`stream`, set so that no character fails: JSON and CSV are UTF-8; a table says what its terminal cannot show."""
    assert hasattr(stream, "reconfigure"), "standard output is a text file"
    if format == "table":
        stream.reconfigure(errors="backslashreplace")
    else:
        stream.reconfigure(encoding="utf-8", newline="\n")
    return stream
