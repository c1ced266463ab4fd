"""The prompt: statements and commands are typed, answers printed, until the user leaves.

Enter runs a statement that is complete and otherwise begins a new line. Nothing that goes wrong in a statement ends the
shell.
"""

from __future__ import annotations

from collections.abc import Callable

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.enums import DEFAULT_BUFFER, EditingMode
from prompt_toolkit.filters import has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from headwater.engine.database import Database
from headwater.engine.terminal import choose_colours
from headwater.errors import HeadwaterError
from headwater.parser import is_complete
from headwater.repl.command_lines import last_of
from headwater.repl.commands import COMMANDS, run_command
from headwater.repl.complete import SqlCompleter
from headwater.repl.highlight import STYLE, SqlLexer
from headwater.repl.history import bound, history_file
from headwater.repl.output import Output
from headwater.repl.report import show_error
from headwater.repl.settings import Settings, config_file, configured
from headwater.repl.signals import let_signals_interrupt, refuse_to_go_on
from headwater.repl.toolbar import Toolbar
from headwater.repl.words import command_of

PROMPT = "headwater"


def run_shell(database: Database, output: Output, format: str | None = None) -> None:
    """Read and run statements until \\q or Ctrl-D. A `format` that is given comes before the configured one."""
    output.settings = _settings(output)
    if format is not None:
        output.settings.set("format", format)
    choose_colours(output.settings.colour)
    output.ask = _ask
    completer = SqlCompleter({name: command.summary for name, command in COMMANDS.items()})
    session = _session(database, completer, output)
    output.stream.write("Headwater. Statements end with ;  \\? shows help, \\q leaves.\n")
    while True:
        completer.relations = database.relations()
        try:
            text = session.prompt()
        except KeyboardInterrupt:
            refuse_to_go_on()
            continue
        except EOFError:
            return
        try:
            _run(database, output, text)
        except EOFError:
            return


def _settings(output: Output) -> Settings:
    """What the configuration file says; if there is something wrong with it that is shown, and the defaults hold."""
    try:
        return configured(config_file())
    except HeadwaterError as error:
        show_error(error, output.stream)
        return Settings()


def _run(database: Database, output: Output, text: str) -> None:
    """Run what was typed at one prompt, and say what went wrong."""
    command = command_of(text)
    let_signals_interrupt()
    try:
        if command is not None:
            run_command(database, output, command)
        elif text.strip():
            output.last = last_of(text)
            output.run(database, text)
    except KeyboardInterrupt:
        refuse_to_go_on()
        output.stream.write("\ninterrupted\n")
    except (EOFError, BrokenPipeError):
        raise
    except Exception as error:  # also one of ours that nobody foresaw: a bug must not cost the user the session
        show_error(error, output.stream)


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
        history=_history(output.settings.history),
        key_bindings=_key_bindings(),
        bottom_toolbar=_toolbar(database, output),
        refresh_interval=0.5,  # for the version in the toolbar, which moves while queries run
    )


def _ask(question: str) -> str:
    """What the user types at another prompt than that of the shell, which its history does not keep."""
    session: PromptSession[str] = PromptSession(
        [("class:prompt", question)], multiline=True, lexer=SqlLexer(), style=STYLE, key_bindings=_key_bindings(),
        prompt_continuation=lambda width, line, is_wrapped: "-> ".rjust(width),
    )  # fmt: skip
    return session.prompt()


def _toolbar(database: Database, output: Output) -> Callable[[], str]:
    toolbar = Toolbar(database, output.travel)

    def text() -> str:
        app = get_app()
        is_open, is_vi = "\n" in app.current_buffer.text, app.editing_mode == EditingMode.VI
        return toolbar.text(app.output.get_size().columns, is_open=is_open, is_vi=is_vi)

    return text


def _key_bindings() -> KeyBindings:
    bindings = KeyBindings()

    @bindings.add("enter", filter=has_focus(DEFAULT_BUFFER))
    def _(event: KeyPressEvent) -> None:
        """Take the chosen completion, run what is complete, or begin a new line."""
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None
        elif _is_ready(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.newline()

    return bindings


def _is_ready(text: str) -> bool:
    """Whether Enter runs `text`: a statement with its `;`, a command, a word such as `exit`, or nothing at all."""
    typed = text.strip()
    return not typed or command_of(typed) is not None or is_complete(text)


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
