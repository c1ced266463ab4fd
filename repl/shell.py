"""The prompt: statements and commands are typed, answers printed, until the user leaves.

Enter runs a statement that is complete and otherwise begins a new line. Nothing that goes wrong in a statement ends the
shell. The prompt stands there before the engine is imported and the database open: what is typed meanwhile has no
colours, and waits. So this module, and what it imports, must not import the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.auto_suggest import AutoSuggestFromHistory, ConditionalAutoSuggest
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from headwater.engine.terminal import choose_colours, visible
from headwater.errors import HeadwaterError
from headwater.repl.history import bound, history_file
from headwater.repl.importing import importing
from headwater.repl.keys import editing_mode, key_bindings
from headwater.repl.opening import Opening
from headwater.repl.report import show_error
from headwater.repl.settings import Settings, config_file, configured
from headwater.repl.signals import refuse_to_go_on
from headwater.repl.styles import PROMPT, STYLE, continuation

if TYPE_CHECKING:
    from headwater.engine.database import Database
    from headwater.repl.desk import Desk


def run_shell(open_database: Callable[[], Database], where: str | None, stream: TextIO,
              format: str | None = None) -> None:  # fmt: skip
    """Read and run statements until \\q or Ctrl-D, and close the database.

    `where` is its directory, None for one in memory. A `format` that is given comes before the configured one. Raises
    what `open_database` raises.
    """
    settings = _settings(stream)
    if format is not None:
        settings.set("format", format)
    choose_colours(settings.colour)
    session = _session(settings)
    opening = Opening(partial(_desk, open_database, stream, settings, session))
    session.bottom_toolbar = partial(_line_below, opening, where)
    stream.write("Headwater. Statements end with ;  \\? shows help, \\q leaves.\n")
    stream.flush()
    try:
        while True:
            try:
                text = _read(session, opening, settings)
                desk = opening.result()
            except KeyboardInterrupt:
                refuse_to_go_on()
                continue
            desk.run(text)
    except EOFError:
        return
    finally:
        found = opening.given_up()
        if found is not None:
            found.close()


def _desk(open_database: Callable[[], Database], stream: TextIO, settings: Settings,
          session: PromptSession[str]) -> Desk:  # fmt: skip
    with importing():
        from headwater.repl.desk import Desk

        database = open_database()
    desk = Desk(database, stream, settings)
    desk.take(session)
    return desk


def _settings(stream: TextIO) -> Settings:
    """What the configuration file says; if there is something wrong with it that is shown, and the defaults hold."""
    try:
        return configured(config_file())
    except HeadwaterError as error:
        show_error(error, stream)
        return Settings()


def _read(session: PromptSession[str], opening: Opening[Desk], settings: Settings) -> str:
    """What is typed at one prompt."""
    session.editing_mode = editing_mode(settings.keys)
    if not opening.is_done:
        return session.prompt(pre_run=lambda: _meanwhile(_open(opening)))
    desk = opening.result()
    desk.look()
    draft, desk.output.draft = desk.output.draft, ""
    return session.prompt(default=draft)


def _meanwhile(work: Coroutine[None, None, None]) -> None:
    """Does something while the prompt stands there; it begins when the prompt is drawn."""
    get_app().create_background_task(work)


async def _open(opening: Opening[Desk]) -> None:
    """Waits for the desk; where it fails, the prompt goes away and raises what that raised."""
    app = get_app()
    try:
        await opening.waited_for()
    except Exception as error:
        app.erase_when_done = True
        app.exit(exception=error)
        return
    if app.current_buffer.text and app.current_buffer.complete_while_typing():
        app.current_buffer.start_completion()
    app.invalidate()


def _session(settings: Settings) -> PromptSession[str]:
    """The prompt as it is without a desk."""
    return PromptSession(
        [("class:prompt", f"{PROMPT}> ")],
        multiline=True,
        prompt_continuation=continuation,
        style=STYLE,
        include_default_pygments_style=False,
        complete_while_typing=Condition(lambda: settings.menu),
        auto_suggest=ConditionalAutoSuggest(AutoSuggestFromHistory(), Condition(lambda: settings.suggestions)),
        tempfile_suffix=".sql",
        history=_history(settings.history),
        key_bindings=key_bindings(),
        refresh_interval=0.5,  # for the version in the toolbar, which moves while queries run
    )


def _line_below(opening: Opening[Desk], where: str | None) -> str:
    """What the line below the prompt says until the database is open."""
    return f" {'in memory' if where is None else visible(where)} · opening {opening.share}".rstrip()


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
