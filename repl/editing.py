"""An editor of the user's own for the text at the prompt: the command \\e."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import NamedTemporaryFile

from headwater.engine.database import Database
from headwater.errors import HeadwaterError
from headwater.repl.output import Output
from headwater.repl.sql_files import read_sql

_EDITORS = ("sensible-editor", "nano", "vim", "vi", "emacs")


def edit(database: Database, output: Output, argument: str) -> None:
    """\\e [file]: opens the last statement, or a file, in the editor; its text then stands at the prompt, to be run."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise HeadwaterError("\\e needs a terminal", hint="\\i runs the statements of a file")
    if argument:
        path = Path(argument).expanduser()
        _open(path)
        output.draft = _text_of(path)
        return
    with NamedTemporaryFile("w", suffix=".sql", encoding="utf-8", delete=False) as file:
        file.write(f"{output.last};\n" if output.last else "")
    try:
        _open(Path(file.name))
        output.draft = _text_of(Path(file.name))
    finally:
        Path(file.name).unlink(missing_ok=True)


def editor() -> list[str]:
    """The command of the user's editor: VISUAL, EDITOR, or the first that there is of some."""
    named = os.environ.get("VISUAL") or os.environ.get("EDITOR")
    command = shlex.split(named) if named else [next(filter(shutil.which, _EDITORS), "")]
    if not command or shutil.which(command[0]) is None:
        said = f'there is no editor "{command[0]}"' if named and command else "no editor was found"
        raise HeadwaterError(said, hint="set EDITOR to one: EDITOR=nano headwater")
    return command


def _open(path: Path) -> None:
    done = subprocess.run([*editor(), str(path)], check=False)
    if done.returncode:
        raise HeadwaterError(f"the editor ended with exit code {done.returncode}")


def _text_of(path: Path) -> str:
    return read_sql(str(path)).rstrip() if path.exists() else ""  # it was not saved
