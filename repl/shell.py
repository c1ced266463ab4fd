"""The prompt: statements and commands are typed, answers printed, until the user leaves.

Enter runs a statement that is complete and otherwise begins a new line. Nothing that goes wrong in a statement ends the
shell.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from itertools import islice
from pathlib import Path
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
from headwater.errors import HeadwaterError
from headwater.repl.command_lines import run_script
from headwater.repl.commands import COMMANDS, run_command
from headwater.repl.complete import SqlCompleter
from headwater.repl.highlight import STYLE, SqlLexer
from headwater.repl.keys import WORDS, editing_mode, key_bindings, mode
from headwater.repl.names import names_of
from headwater.repl.output import Output
from headwater.repl.ranking import count_uses
from headwater.repl.report import show_error
from headwater.repl.settings import Settings, config_file, configured
from headwater.repl.underline import ErrorUnderliner

PROMPT = "headwater"
_DRAWN_SECONDS = 0.1  # after which the prompt stands there
_REMEMBERED = 500  # texts of the history whose words say what is used most


def run_shell(database: Database, output: Output, format: str | None = None) -> None:
    """Read and run statements until \\q or Ctrl-D. A `format` that is given comes before the configured one."""
    output.settings = _settings(output)
    if format is not None:
        output.settings.set("format", format)
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
    line = WORDS.get(text.strip().rstrip(";").lower(), text.strip())
    try:
        if "\n" in line and any(one.lstrip().startswith("\\") for one in line.splitlines()):
            run_script(database, output, text)
        elif line.startswith("\\"):
            run_command(database, output, line)
        else:
            output.typed = text or output.typed
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
        complete_while_typing=Condition(lambda: output.settings.menu),
        auto_suggest=ConditionalAutoSuggest(AutoSuggestFromHistory(), Condition(lambda: output.settings.suggestions)),
        input_processors=[HighlightMatchingBracketProcessor(chars="[](){}"), ErrorUnderliner()],
        tempfile_suffix=".sql",
        history=_history(),
        key_bindings=key_bindings(),
        bottom_toolbar=_toolbar(database),
        refresh_interval=0.5,  # for the version in the toolbar, which moves while queries run
    )


def _toolbar(database: Database) -> Callable[[], str]:
    where = database.path or "in memory"

    def text() -> str:
        typed = get_app().current_buffer.text
        way_out = " · end the statement with ; or clear it with Ctrl-C" if "\n" in typed else ""
        keys = mode() and f" · {mode()}"
        return f" {where} · version {database.version}{keys}{way_out}"

    return text


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
