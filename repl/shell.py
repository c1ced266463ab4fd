"""The prompt: statements and commands are typed, answers printed, until the user leaves.

Enter runs a statement that is complete and otherwise begins a new line. Nothing that goes wrong in a statement ends the
shell.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.enums import DEFAULT_BUFFER
from prompt_toolkit.filters import has_focus
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from headwater.engine.database import Database
from headwater.errors import HeadwaterError
from headwater.parser import is_complete
from headwater.repl.commands import COMMANDS, run_command
from headwater.repl.complete import SqlCompleter
from headwater.repl.highlight import STYLE, SqlLexer
from headwater.repl.output import Output
from headwater.repl.report import show_error
from headwater.repl.settings import Settings, config_file, configured

PROMPT = "headwater"
_WORDS = {"exit": "\\q", "quit": "\\q", "help": "\\?"}  # what people type before they know the commands


def run_shell(database: Database, output: Output, format: str | None = None) -> None:
    """Read and run statements until \\q or Ctrl-D. A `format` that is given comes before the configured one."""
    output.settings = _settings(output)
    if format is not None:
        output.settings.set("format", format)
    completer = SqlCompleter({name: command.summary for name, command in COMMANDS.items()})
    session = _session(database, completer, output)
    output.stream.write("Headwater. Statements end with ;  \\? shows help, \\q leaves.\n")
    while True:
        completer.relations = database.relations()
        try:
            text = session.prompt()
        except KeyboardInterrupt:
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
    line = _WORDS.get(text.strip().rstrip(";").lower(), text.strip())
    try:
        if line.startswith("\\"):
            run_command(database, output, line)
        else:
            output.run(database, text)
    except KeyboardInterrupt:
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
        history=_history(),
        key_bindings=_key_bindings(),
        bottom_toolbar=_toolbar(database),
        refresh_interval=0.5,  # for the version in the toolbar, which moves while queries run
    )


def _toolbar(database: Database) -> Callable[[], str]:
    where = database.path or "in memory"

    def text() -> str:
        typed = get_app().current_buffer.text
        way_out = " · end the statement with ; or clear it with Ctrl-C" if "\n" in typed else ""
        return f" {where} · version {database.version}{way_out}"

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
    return not typed or typed.startswith("\\") or typed.lower() in _WORDS or is_complete(text)


def _history() -> History:
    """What was typed in earlier sessions, kept in a file; only for this session where that cannot be written."""
    state = os.environ.get("XDG_STATE_HOME") or "~/.local/state"
    file = Path(state).expanduser() / "headwater" / "history"
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        file.touch(mode=0o600)
    except OSError:
        return InMemoryHistory()
    return FileHistory(file)
