"""The command `headwater example`: the worked examples, whose pages are run while they are read.

An example is a folder in `examples/`. Its README.md is the script: what stands between the prose is run, statement by
statement, in a directory that holds a copy of the folder, and what each gives is shown as the shell shows it.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import chdir, contextmanager
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from textwrap import indent

from headwater.engine.database import Database, connect
from headwater.engine.terminal import Screen
from headwater.errors import HeadwaterError, suggestion
from headwater.parser import pieces
from headwater.repl.literate import Block, read_page, run_program
from headwater.repl.output import Output
from headwater.repl.prose import as_text
from headwater.repl.report import show_error
from headwater.repl.settings import AUTO, Settings
from headwater.repl.signals import interruptible

_EXAMPLES = """\
examples:
  headwater example                            list the examples
  headwater example clickstream                run one, in a directory that is thrown away
  headwater example clickstream --keep my      the same in the directory "my", and go on there at the prompt
  headwater example clickstream --sql          only its statements, to read or to pipe into headwater
"""


_SECTION = re.compile(r"^(?=## )", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """A folder with a page to run. `title` and `about`, the first paragraph, are as the page has them."""

    folder: Path
    title: str
    about: str

    @property
    def name(self) -> str:
        """What the command calls it."""
        return self.folder.name

    @property
    def page(self) -> str:
        """The page as it is written."""
        return (self.folder / "README.md").read_text(encoding="utf-8")


def examples() -> dict[str, Example]:
    """All examples that are installed, by name."""
    spec = find_spec("headwater.examples")
    assert spec is not None and spec.origin is not None, "the examples are part of the package"
    found = [_example(path.parent) for path in sorted(Path(spec.origin).parent.glob("*/README.md"))]
    return {example.name: example for example in found}


def _example(folder: Path) -> Example:
    heading, about, *_ = (folder / "README.md").read_text(encoding="utf-8").split("\n\n")
    return Example(folder, heading.lstrip("# "), as_text(about, Screen(None)))


def run(arguments: Sequence[str]) -> int:
    """`headwater example`."""
    options = _parser().parse_args(arguments)
    known = examples()
    output = Output(sys.stdout, replace(Settings.of_script(), expanded=AUTO))
    if options.name is None:
        _list(list(known.values()), output)
        return 0
    if options.name not in known:
        raise HeadwaterError(f'there is no example "{options.name}"', hint=suggestion(options.name, known, "examples"))
    example = known[options.name]
    if options.sql:
        output.stream.write(script(example.page))
        return 0
    with _directory(options.keep) as directory, chdir(directory):
        shutil.copytree(example.folder, ".", dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
        play(example, output)
        if options.keep is None:
            _say(f"To keep all this and go on: headwater example {example.name} --keep DIR", output)
        else:
            _go_on(example, directory, output)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="headwater example",
        description="Run a worked example: its page, statement by statement, with what each gives.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", metavar="NAME", help="the example; without it, all are listed")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--keep", metavar="DIR", help="run it in this new directory, and go on there")
    how.add_argument("--sql", action="store_true", help="do not run it, but print its statements")
    return parser


def _list(known: Sequence[Example], output: Output) -> None:
    screen = Screen.of(output.stream)
    for example in known:
        output.stream.write(f"{screen.paint(example.name, 'bold')}: {example.title}\n")
        output.stream.write(f"{indent(as_text(example.about, _narrower(screen)), '  ')}\n\n")
    _say("headwater example NAME runs one.", output)


def _narrower(screen: Screen) -> Screen:
    return Screen(None if screen.width is None else screen.width - 2, screen.has_colours, screen.has_unicode)


@contextmanager
def _directory(kept: str | None) -> Iterator[str]:
    """The directory to run in: a new one, which is kept if it has a name."""
    if kept is None:
        with tempfile.TemporaryDirectory(prefix="headwater-") as directory:
            yield directory
        return
    path = Path(kept)
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise HeadwaterError(f'"{kept}" is there already', hint="name a directory that is new, or empty")
    path.mkdir(parents=True, exist_ok=True)
    yield kept


def script(page: str) -> str:
    """The statements of a page alone."""
    blocks = [piece for piece in read_page(page) if isinstance(piece, Block)]
    return "\n".join(block.text for block in blocks if block.how in ("", "setup"))


# ---------------------------------------------------------------- running a page


def play(example: Example, output: Output) -> None:
    """Run the page of an example in the current directory, and show it."""
    screen = Screen.of(output.stream)
    with connect(_database(example), background=False) as database, interruptible(database.reader.interrupt):
        for piece in read_page(example.page):
            if isinstance(piece, Block):
                _run_block(piece, database, output)
            elif not all(_tell(part, screen, output) for part in _SECTION.split(piece.text)):
                return


def _tell(prose: str, screen: Screen, output: Output) -> bool:
    """Show prose. At a terminal a section waits until the reader has read the one before; False if it is not wanted."""
    if prose.startswith("## ") and not _wants_more(screen, output):
        return False
    text = as_text(prose, screen)
    output.stream.write(f"{text}\n\n" if text else "")
    return True


def _wants_more(screen: Screen, output: Output) -> bool:
    if not (sys.stdin.isatty() and output.stream.isatty()):
        return True
    output.stream.write(screen.paint("Enter goes on, q leaves ", "dim"))
    output.stream.flush()
    typed = sys.stdin.readline()
    if screen.can_move:
        output.stream.write("\x1b[A\r\x1b[K" if typed.endswith("\n") else "\r\x1b[K")
    return typed.strip() not in ("q", "\\q") and typed != ""


def _database(example: Example) -> str:
    return f"{example.name}.hw"


def _run_block(block: Block, database: Database, output: Output) -> None:
    if block.how == "setup":
        database.execute(block.text)
    elif block.how == "fragment":
        _say(indent(block.text, "  "), output)
    elif block.how == "program":
        _say(f"{block.text}{run_program(block.text)}", output)
    else:
        for statement in statements(block.text):
            _show(statement, database, output, fails=block.how == "fails")


def statements(sql: str) -> Iterator[str]:
    """The statements of a text one by one, each with its semicolon and the comments before it or on its last line."""
    begin = 0
    for piece in pieces(sql):
        line_end = sql.find("\n", piece.span.end)
        rest = sql[piece.span.end : line_end].removeprefix(";").strip()
        end = line_end if not rest or rest.startswith("--") else piece.span.end + 1
        yield sql[begin:end].strip()
        begin = end


def _show(statement: str, database: Database, output: Output, *, fails: bool) -> None:
    """Print a statement as it would be typed, and its answer."""
    prompt = Screen.of(output.stream).paint("headwater>", "bold")
    _say(f"{prompt} {indent(statement, '        -> ').removeprefix('        -> ')}", output)
    try:
        output.run(database, statement)
    except HeadwaterError as error:
        if not fails:
            raise
        show_error(error, output.stream)
    _say("", output)


def _go_on(example: Example, directory: str, output: Output) -> None:
    """Open the shell where the example has ended, if there is somebody to type; say how to come back."""
    _say(f"To come back: cd {directory}; headwater {_database(example)}\n", output)
    if sys.stdin.isatty() and sys.stdout.isatty():
        from headwater.repl.shell import run_shell  # only a terminal needs the prompt and what it imports

        place = _database(example)
        run_shell(lambda: connect(place), place, sys.stdout)


def _say(text: str, output: Output) -> None:
    output.stream.write(f"{text}\n")
    output.stream.flush()
