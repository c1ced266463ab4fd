"""Where rows go: the terminal or standard output, a file, or a command that reads them; in any format."""

from __future__ import annotations

import io
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import pyarrow as pa

from headwater.errors import HeadwaterError
from headwater.repl.binary_writers import BINARY_WRITERS
from headwater.repl.writers import WRITERS, RowWriter
from headwater.values import Column

ENDINGS = {
    ".csv": "csv", ".tsv": "tsv", ".json": "json", ".ndjson": "ndjson", ".jsonl": "ndjson", ".md": "markdown",
    ".parquet": "parquet", ".arrow": "arrow", ".feather": "arrow",
}  # fmt: skip


@dataclass(slots=True)
class Sink:
    """A place for rows. `format` is what the name of a file says, if it says one; `name` what the user calls it."""

    stream: TextIO
    name: str = "standard output"
    format: str | None = None
    is_file: bool = False
    process: subprocess.Popen[bytes] | None = None
    is_full: bool = False  # has what nothing can follow

    def writer(self, format: str, columns: tuple[Column, ...], schema: pa.Schema) -> RowWriter:
        """A writer of rows with these columns. Raises HeadwaterError for a format that cannot go here."""
        if format in WRITERS:
            return WRITERS[format](columns, self.stream.write)
        if self.stream.isatty():
            raise HeadwaterError(
                f"{format} is not for the eye: its bytes would garble the terminal",
                hint=f"\\o rows.{format} writes to a file, --format {format} > rows.{format} to standard output",
            )
        if self.is_full:
            raise HeadwaterError(
                f"{self.name} has the rows of a statement already, and {format} holds those of one",
                hint="write each result to a file of its own",
            )
        buffer = getattr(self.stream, "buffer", None)
        if buffer is None:
            raise HeadwaterError(f"{self.name} takes text only, and {format} is not text", hint="\\o writes to a file")
        self.stream.flush()
        self.is_full = True
        return BINARY_WRITERS[format](schema, buffer, self.is_file)

    def close(self) -> None:
        """Ends a file, or a command, for which it waits."""
        try:
            self.stream.close()
        except BrokenPipeError:  # it had enough
            pass
        if self.process is not None:
            self.process.wait()


def open_sink(text: str) -> Sink:
    """The sink that a user names: a file or, after `|`, a command of the system's shell."""
    if text.startswith("|"):
        command = text[1:].strip()
        process = subprocess.Popen(command, shell=True, stdin=subprocess.PIPE)
        assert process.stdin is not None
        return Sink(io.TextIOWrapper(process.stdin, encoding="utf-8"), f'"{command}"', process=process)
    path = path_of(text)
    return Sink(_opened(path), f'"{path}"', ENDINGS.get(path.suffix.lower()), is_file=True)


class Draft:
    """A file that is there under its name only when all of it has been written."""

    def __init__(self, text: str) -> None:
        self._path = path_of(text)
        self._part = self._path.with_name(self._path.name + ".part")

    def __enter__(self) -> Sink:
        self._sink = Sink(_opened(self._part), f'"{self._path}"', ENDINGS.get(self._path.suffix.lower()), is_file=True)
        return self._sink

    def __exit__(self, kind: object, *_: object) -> None:
        self._sink.close()
        if kind is None:
            os.replace(self._part, self._path)
        else:
            self._part.unlink()


def path_of(text: str) -> Path:
    """The file that a user names, perhaps in quotes."""
    unquoted = text[1:-1].replace("''", "'") if len(text) > 1 and text[0] == text[-1] == "'" else text
    return Path(unquoted).expanduser()


def _opened(path: Path) -> TextIO:
    try:
        return path.open("w", encoding="utf-8", newline="\n")
    except OSError as error:
        raise HeadwaterError(f'cannot write "{path}": {error.strerror}') from error
