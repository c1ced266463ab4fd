"""What stands behind the prompt once the database is open: it runs what was typed, and helps while somebody types."""

from __future__ import annotations

from collections import deque
from itertools import islice
from threading import Timer
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import CompleteEvent
from prompt_toolkit.document import Document
from prompt_toolkit.formatted_text import StyleAndTextTuples
from prompt_toolkit.history import History
from prompt_toolkit.layout.processors import HighlightMatchingBracketProcessor

from headwater.engine.database import Database
from headwater.repl.command_lines import last_of, run_script
from headwater.repl.commands import COMMANDS, run_command
from headwater.repl.complete import SqlCompleter
from headwater.repl.highlight import SqlLexer
from headwater.repl.keys import key_bindings, mode
from headwater.repl.names import names_of
from headwater.repl.output import Output
from headwater.repl.ranking import count_uses
from headwater.repl.report import show_error
from headwater.repl.settings import Settings
from headwater.repl.signals import interruptible, refuse_to_go_on
from headwater.repl.styles import PROMPT, STYLE, continuation
from headwater.repl.toolbar import Toolbar
from headwater.repl.underline import ErrorUnderliner
from headwater.repl.words import command_of

_LATER_SECONDS = 0.1  # so that what was typed meanwhile goes first
_REMEMBERED = 500  # texts of the history whose words say what is used most


class Desk:
    """A database, and what the user of its shell has before it."""

    def __init__(self, database: Database, stream: TextIO, settings: Settings) -> None:
        self.output = Output(stream, settings, ask=_ask)
        self._database = database
        self._completer = SqlCompleter(COMMANDS)
        self._toolbar = Toolbar(database, self.output.travel)

    def take(self, session: PromptSession[str]) -> None:
        """Lets the prompt have colours, completion, underlined errors and a line below, and prepares all that."""
        session.lexer = SqlLexer()
        session.completer = self._completer
        session.input_processors = [HighlightMatchingBracketProcessor(chars="[](){}"), ErrorUnderliner()]
        session.bottom_toolbar = self._line_below
        session.message = self._prompt
        self.look()
        preparing = Timer(_LATER_SECONDS, self._prepare, (session.history,))
        preparing.daemon = True
        preparing.start()

    def look(self) -> None:
        """Lets completion know of what there is now."""
        self._completer.names = names_of(self._database)

    def run(self, text: str) -> None:
        """Run what was typed at one prompt, and say what went wrong. Raises EOFError to leave the shell."""
        try:
            with interruptible(self._database.reader.interrupt):
                self._run(text)
        except KeyboardInterrupt:
            refuse_to_go_on()
            self.output.stream.write("\ninterrupted\n")
        except (EOFError, BrokenPipeError):
            raise
        except Exception as error:  # also one of ours that nobody foresaw: a bug must not cost the user the session
            refuse_to_go_on()
            show_error(error, self.output.stream)
        self._completer.uses.update(count_uses([text]))

    def close(self) -> None:
        """Closes the database, and what \\o opened."""
        self.output.close()
        self._database.close()

    def _run(self, text: str) -> None:
        command = command_of(text)
        if "\n" in text.strip() and any(line.lstrip().startswith("\\") for line in text.splitlines()):
            run_script(self._database, self.output, text)
        elif command is not None:
            run_command(self._database, self.output, command)
        elif text.strip():
            self.output.last = last_of(text)
            self.output.run(self._database, text)

    def _prompt(self) -> StyleAndTextTuples:
        """`headwater> ` or, where the user stands at a version, `headwater@42> `."""
        position = self.output.travel.position(self._database)
        return [("class:prompt", f"{PROMPT}> " if position is None else f"{PROMPT}@{position}> ")]

    def _line_below(self) -> str:
        app = get_app()
        is_open = "\n" in app.current_buffer.text
        return self._toolbar.text(app.output.get_size().columns, is_open=is_open, keys=mode())

    def _prepare(self, history: History) -> None:
        """What the first completion needs, made while the prompt stands there already."""
        deque(self._completer.get_completions(Document("SELECT c"), CompleteEvent()))
        self._completer.uses.update(count_uses(islice(history.load_history_strings(), _REMEMBERED)))


def _ask(question: str) -> str:
    """What the user types at another prompt than that of the shell, which its history does not keep."""
    session: PromptSession[str] = PromptSession(
        [("class:prompt", question)], multiline=True, lexer=SqlLexer(), style=STYLE, key_bindings=key_bindings(),
        prompt_continuation=continuation,
    )  # fmt: skip
    return session.prompt()
