"""\\tutorial: lessons whose statements are run for real, in a database in memory that is thrown away.

What the user types is compared by what it does: after it, the database must answer as it does after the lesson's own
statement. If it does not, that is said, and the database is put back to where the step began.
"""

from __future__ import annotations

import textwrap
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from headwater.engine.database import Database, connect
from headwater.engine.terminal import Screen
from headwater.errors import HeadwaterError
from headwater.parser import parse_statement, syntax, unparse
from headwater.repl.lessons import LESSONS, Lesson, Step
from headwater.repl.output import Output
from headwater.repl.report import show_error
from headwater.repl.settings import Settings
from headwater.repl.words import command_of

_BETWEEN_SECONDS = 0.4  # from one row that comes meanwhile to the next
_WIDTH_MAX = 90
_PROMPT = "lesson {}> "


def tutorial(database: Database, output: Output, argument: str) -> None:
    """\\tutorial [lesson]: the lessons from one on, until the user leaves; the user's own database is not touched."""
    number = argument or "1"
    if not number.isdecimal() or not 1 <= int(number) <= len(LESSONS):
        raise HeadwaterError(f"there is no lesson {number}", hint=f"they go from 1 to {len(LESSONS)}")
    if output.ask is None:
        raise HeadwaterError("the tutorial is for a prompt", hint="headwater, then \\tutorial")
    settings = Settings(format="table", timing=False)
    scratch = Output(output.stream, settings, ask=output.ask)
    _say(scratch, "Type each statement, or press Enter to have it typed. \\skip goes to the next lesson, \\q leaves.")
    try:
        for at, lesson in enumerate(LESSONS[int(number) - 1 :], int(number)):
            _teach(lesson, at, scratch)
    except EOFError:
        _say(scratch, f"You left the tutorial. \\tutorial {at} begins this lesson again.")
        return
    _say(scratch, "That was all. Your own database is as it was; \\? shows what else there is.")


class _Skip(Exception):
    """The user wants the next lesson."""


def _teach(lesson: Lesson, number: int, output: Output) -> None:
    screen = Screen.of(output.stream)
    output.stream.write("\n" + screen.paint(f"Lesson {number} of {len(LESSONS)}: {lesson.title}", "bold") + "\n")
    done: list[str] = [lesson.setup]
    try:
        with _prepared(done) as first:
            database = first
            for step in lesson.steps:
                _say(output, step.text)
                output.stream.write("\n  " + "\n  ".join(_folded(step.statement, screen)) + "\n\n")
                while not _try(database, step, number, output, done):
                    pass
                if step.check is not None:  # a question changes nothing
                    done.append(step.statement)
                done.extend(step.meanwhile)
    except _Skip:
        pass


@contextmanager
def _prepared(statements: Sequence[str]) -> Iterator[Database]:
    """A database in memory in which statements have been run."""
    with connect() as database:
        for statement in statements:
            database.execute(statement)
            database.settle()  # so that what changed is the same each time
        yield database


def _try(database: Database, step: Step, number: int, output: Output, done: Sequence[str]) -> bool:
    """Ask for the statement of a step and run it; whether it did what it should. What did not is run elsewhere, so that
    `database` stays as the step found it.
    """
    assert output.ask is not None
    typed = output.ask(_PROMPT.format(number))
    if not typed.strip():
        typed = step.statement
        output.stream.write(Screen.of(output.stream).paint(f"{typed}\n", "dim"))
    elif typed.strip().rstrip(";") in ("\\skip", "\\next"):
        raise _Skip
    elif (command := command_of(typed)) is not None:
        _command(database, output, command)
        return False
    try:
        remark = _remark(step, typed, done)
        if remark is None:
            with _meanwhile(database, step.meanwhile):
                output.run(database, typed)
            return True
        with _prepared(done) as other:
            output.run(other, typed)
    except KeyboardInterrupt:
        output.stream.write("\n")
        return remark is None
    except HeadwaterError as error:
        show_error(error, output.stream)
        remark = "That cannot be run."
    _say(output, f"{remark} Try once more, or press Enter to have the statement above typed.")
    return False


def _command(database: Database, output: Output, command: str) -> None:
    from headwater.repl.commands import run_command  # which has this one, too

    try:
        run_command(database, output, command)
    except HeadwaterError as error:
        show_error(error, output.stream)


@contextmanager
def _meanwhile(database: Database, statements: Sequence[str]) -> Iterator[None]:
    """While it lasts, statements are run one after the other, with time to see each."""
    ended = threading.Event()

    def write() -> None:
        for statement in statements:
            ended.wait(_BETWEEN_SECONDS)
            database.execute(statement)

    thread = threading.Thread(target=write, name="headwater-tutorial", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _remark(step: Step, typed: str, done: Sequence[str]) -> str | None:
    """What is to be said of a statement, None if it does what the step wants. Raises HeadwaterError if it cannot run.

    Both it and the lesson's own statement are tried in databases of their own.
    """
    with _prepared(done) as wanted, _prepared(done) as given:
        variables = given.session.values
        model, own = parse_statement(step.statement), parse_statement(typed, variables)
        if type(own) is not type(model):
            return "That runs, but it is another kind of statement."
        if isinstance(model, syntax.Query):
            assert isinstance(own, syntax.Query)
            if (own.emit is None) != (model.emit is None):
                end = "ends in EMIT CHANGES" if model.emit else "is about now, without EMIT CHANGES"
                return f"The query of this lesson {end}."
            return _difference(wanted, _plain(model), given, _plain(own))
        wanted.execute(step.statement)
        given.execute(typed)
        if step.check is None:
            return None
        return _difference(wanted, step.check, given, step.check)


def _plain(query: syntax.Query) -> str:
    """A query as a question about now: all its rows."""
    return unparse(replace(query, emit=None, limit=None) if query.emit is not None else query)


def _difference(wanted: Database, question: str, given: Database, own: str) -> str | None:
    """What is different in the answers of two databases, whose rows have no order; None if nothing is."""
    try:
        rows = given.sql(own)
    except HeadwaterError as error:
        return f"That ran, but {error.message}."
    expected = wanted.sql(question)
    if len(rows.columns) != len(expected.columns):
        return f"That gives {len(rows.columns)} columns, and the lesson wants {', '.join(expected.names)}."
    if sorted(map(repr, rows.fetchall())) != sorted(map(repr, expected.fetchall())):
        return f"That runs, but its rows are others: it gives {len(rows)}, the lesson's statement {len(expected)}."
    return None


def _say(output: Output, text: str) -> None:
    screen = Screen.of(output.stream)
    output.stream.write("\n".join(textwrap.wrap(text, min(screen.width or _WIDTH_MAX, _WIDTH_MAX))) + "\n")
    output.stream.flush()


def _folded(statement: str, screen: Screen) -> list[str]:
    """A statement on lines that fit the screen."""
    return textwrap.wrap(statement, min(screen.width or _WIDTH_MAX, _WIDTH_MAX) - 2, break_long_words=False)
