"""What keys do at the prompt beside what they do in any text: Enter, and the editor."""

from __future__ import annotations

from prompt_toolkit.application import get_app
from prompt_toolkit.enums import DEFAULT_BUFFER, EditingMode
from prompt_toolkit.filters import emacs_insert_mode, has_focus
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.key_binding.vi_state import InputMode

from headwater.repl.words import command_of

_MODES = {
    InputMode.INSERT: "insert", InputMode.INSERT_MULTIPLE: "insert", InputMode.NAVIGATION: "normal",
    InputMode.REPLACE: "replace", InputMode.REPLACE_SINGLE: "replace",
}  # fmt: skip


def key_bindings() -> KeyBindings:
    """The keys of the prompt."""
    bindings = KeyBindings()
    at_prompt = has_focus(DEFAULT_BUFFER)

    @bindings.add("enter", filter=at_prompt)
    def _(event: KeyPressEvent) -> None:
        """Take the chosen completion, run what is complete, or begin a new line."""
        buffer = event.current_buffer
        if buffer.complete_state is not None and buffer.complete_state.current_completion is not None:
            buffer.complete_state = None
        elif is_ready(buffer.text):
            buffer.validate_and_handle()
        else:
            buffer.newline()

    @bindings.add("f4", filter=at_prompt)
    @bindings.add("c-x", "c-e", filter=at_prompt & emacs_insert_mode)
    def _(event: KeyPressEvent) -> None:
        """Open the text in the editor; what comes of it stands at the prompt again."""
        event.current_buffer.open_in_editor()

    return bindings


def is_ready(text: str) -> bool:
    """Whether Enter runs `text`: statements with their `;`, a command, a word such as `exit`, or nothing at all."""
    from headwater.parser import is_complete  # which is being imported while the prompt stands there already

    typed = text.strip()
    before, _, last = typed.rpartition("\n")
    is_command = last.lstrip().startswith("\\") and (not before or is_ready(before))
    is_word = not typed.startswith("\\") and command_of(typed) is not None
    return not typed or is_command or is_word or is_complete(text)


def editing_mode(keys: str) -> EditingMode:
    """The mode for a value of the option `keys`."""
    return EditingMode.VI if keys == "vi" else EditingMode.EMACS


def mode() -> str:
    """What the keys do now, for the toolbar: `vi: normal`; "" with the keys of emacs, which have no modes."""
    app = get_app()
    return f"vi: {_MODES[app.vi_state.input_mode]}" if app.editing_mode is EditingMode.VI else ""
