"""Scripts in which lines that begin with a backslash are the shell's commands, as at the prompt.

Such a line stands between statements. Inside one, as in a string or a function's body, it is part of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from headwater.engine.database import Database
from headwater.errors import HeadwaterError, Span
from headwater.parser import is_complete, split
from headwater.repl.commands import run_command
from headwater.repl.output import Output


@dataclass(frozen=True, slots=True)
class Part:
    """Statements or, if `is_command`, one command; where it stands in the script."""

    span: Span
    is_command: bool = False


def parts(text: str) -> Iterator[Part]:
    """Commands, and the statements between them, in order."""
    start = end = 0
    for line in text.splitlines(keepends=True):
        begin, end = end, end + len(line)
        before = text[start:begin]
        if line.lstrip().startswith("\\") and (is_complete(before) or not split(before)):
            yield Part(Span(start, begin))
            yield Part(Span(end - len(line.lstrip()), begin + len(line.rstrip())), is_command=True)
            start = end
    yield Part(Span(start, end))


def last_of(text: str) -> str:
    """The last statement of a text, without its semicolon."""
    statements = split(text)
    return statements[-1][0].strip().rstrip("; \n") if statements else ""


def run_script(database: Database, output: Output, text: str, *, file: str | None = None) -> None:
    """Run a script and show what each statement and command gives before the next begins; an error or \\q ends it.

    Without commands it is run as one, checked as a whole before it begins. `file` is where the text is from.
    """
    with _within(file, output):
        _run_parts(database, output, text, file)


@contextmanager
def _within(file: str | None, output: Output) -> Iterator[None]:
    """While it lasts, files that `\\i` names are looked for beside `file`."""
    if file is not None:
        if Path(file).resolve() in (Path(known).resolve() for known in output.files):
            raise HeadwaterError(f'"{file}" runs itself', hint="it is being run: " + " runs ".join(output.files))
        output.files.append(file)
    try:
        yield
    finally:
        if file is not None:
            output.files.pop()


def _run_parts(database: Database, output: Output, text: str, file: str | None) -> None:
    for part in parts(text):
        own = text[part.span.start : part.span.end]
        if not part.is_command:
            if split(own):
                lines = "\n" * text.count("\n", 0, part.span.start)  # so that errors name the lines of the script
                output.last = last_of(own)
                output.run(database, lines + own, file=file)
            continue
        try:
            run_command(database, output, own)
        except HeadwaterError as error:
            error.attach(text, file=file, statement=part.span)
            raise
        except EOFError:
            return
