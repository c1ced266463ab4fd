"""The prompt: statements and commands are typed, answers printed, until the user leaves.

Enter runs a statement that is complete and otherwise begins a new line. Nothing that goes wrong in a statement ends the
shell.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from itertools import islice
from threading import Timer

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory, ConditionalAutoSuggest
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.filters import Condition
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.layout.processors import HighlightMatchingBracketProcessor

from headwater.engine.database import Database
from headwater.engine.terminal import choose_colours
from headwater.errors import HeadwaterError
from headwater.repl.command_lines import last_of, run_script
from headwater.repl.commands import COMMANDS, run_command
from headwater.repl.complete import SqlCompleter
from headwater.repl.highlight import STYLE, SqlLexer
from headwater.repl.history import bound, history_file
from headwater.repl.keys import editing_mode, key_bindings, mode
from headwater.repl.names import names_of
from headwater.repl.output import Output
from headwater.repl.ranking import count_uses
from headwater.repl.report import show_error
from headwater.repl.settings import Settings, config_file, configured
from headwater.repl.signals import interruptible, refuse_to_go_on
from headwater.repl.toolbar import Toolbar
from headwater.repl.underline import ErrorUnderliner
from headwater.repl.words import command_of

PROMPT = "headwater"
_DRAWN_SECONDS = 0.1  # after which the prompt stands there
_REMEMBERED = 500  # texts of the history whose words say what is used most


def run_shell(database: Database, output: Output, format: str | None = None) -> None:
    """Read and run statements until \\q or Ctrl-D. A `format` that is given comes before the configured one."""
    output.settings = _settings(output)
    if format is not None:
        output.settings.set("format", format)
    choose_colours(output.settings.colour)
    output.ask = _ask
    completer = SqlCompleter(COMMANDS)
    session = _session(database, completer, output)
    output.stream.write("Headwater. Statements end with ;  \\? shows help, \\q leaves.\n")
    preparing = Timer(_DRAWN_SECONDS, _prepare, (session, completer))
    preparing.daemon = True
    preparing.start()
    while True:
        completer.names = names_of(database)
        session.editing_mode = editing_mode(output.settings.keys)
        try:
            draft, output.draft = output.draft, ""
            text = session.prompt(default=draft)
        except KeyboardInterrupt:
            refuse_to_go_on()
            continue
        except EOFError:
            return
        try:
            _run(database, output, text)
        except EOFError:
            return
        completer.uses.update(count_uses([text]))


def _prepare(session: PromptSession[str], completer: SqlCompleter) -> None:
    """What the first completion needs, made while the prompt stands there already."""
    deque(completer.get_completions(Document("SELECT c"), CompleteEvent()))
    completer.uses.update(count_uses(islice(session.history.load_history_strings(), _REMEMBERED)))


def _settings(output: Output) -> Settings:
    """What the configuration file says; if there is something wrong with it that is shown, and the defaults hold."""
    try:
        return configured(config_file())
    except HeadwaterError as error:
        show_error(error, output.stream)
        return Settings()


def _run(database: Database, output: Output, text: str) -> None:
    """Run what was typed at one prompt, and say what went wrong."""
    try:
        with interruptible(database.reader.interrupt):
            _run_typed(database, output, text)
    except KeyboardInterrupt:
        refuse_to_go_on()
        output.stream.write("\ninterrupted\n")
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:  # also one of ours that nobody foresaw: a bug must not cost the user the session
        refuse_to_go_on()
        show_error(error, output.stream)


def _run_typed(database: Database, output: Output, text: str) -> None:
    command = command_of(text)
    if "\n" in text.strip() and any(line.lstrip().startswith("\\") for line in text.splitlines()):
        run_script(database, output, text)
    elif command is not None:
        run_command(database, output, command)
    elif text.strip():
        output.last = last_of(text)
        output.run(database, text)


def _session(database: Database, completer: SqlCompleter, output: Output) -> PromptSession[str]:
    def prompt() -> StyleAndTextTuples:
        """`headwater> ` or, where the user stands at a version, `headwater@42> `."""
        position = output.travel.position(database)
        return [("class:prompt", f"{PROMPT}> " if position is None else f"{PROMPT}@{position}> ")]

    return PromptSession(
        prompt,
        multiline=True,
        prompt_continuation=lambda width, line, is_wrapped: "-> ".rjust(width),
        lexer=SqlLexer(),
        style=STYLE,
        completer=completer,
        complete_while_typing=Condition(lambda: output.settings.menu),
        auto_suggest=ConditionalAutoSuggest(AutoSuggestFromHistory(), Condition(lambda: output.settings.suggestions)),
        input_processors=[HighlightMatchingBracketProcessor(chars="[](){}"), ErrorUnderliner()],
        tempfile_suffix=".sql",
        history=_history(output.settings.history),
        key_bindings=key_bindings(),
        bottom_toolbar=_toolbar(database, output),
        refresh_interval=0.5,  # for the version in the toolbar, which moves while queries run
    )


def _ask(question: str) -> str:
    """What the user types at another prompt than that of the shell, which its history does not keep."""
    session: PromptSession[str] = PromptSession(
        [("class:prompt", question)], multiline=True, lexer=SqlLexer(), style=STYLE, key_bindings=key_bindings(),
        prompt_continuation=lambda width, line, is_wrapped: "-> ".rjust(width),
    )  # fmt: skip
    return session.prompt()


def _toolbar(database: Database, output: Output) -> Callable[[], str]:
    toolbar = Toolbar(database, output.travel)

    def text() -> str:
        app = get_app()
        is_open = "\n" in app.current_buffer.text
        return toolbar.text(app.output.get_size().columns, is_open=is_open, keys=mode())

    return text


def _history(count: int) -> History:
    """What was typed in earlier sessions, kept in a file; only for this session where that cannot be written."""
    file = history_file()
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
        bound(file, count)
    except OSError:
        return InMemoryHistory()
    return FileHistory(file)
