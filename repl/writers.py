"""Rows as CSV, TSV, JSON, newline-delimited JSON and Markdown, a batch at a time.

A writer is given Arrow batches and writes text; it keeps no rows. What the text means: a number is a number in JSON,
a timestamp is ISO 8601, a nested value is JSON in all formats. In CSV, NULL is nothing and '' is ""; in TSV it is \\N.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

import pyarrow as pa

from headwater.engine.cells import json_texts, texts
from headwater.engine.render import is_number
from headwater.engine.terminal import Write, visible
from headwater.values import Column

_TSV_ESCAPES = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NEEDS_QUOTES = re.compile(r'[",\r\n]|^\s|\s$|^$')


class RowWriter(Protocol):
    """Takes rows of fixed columns, in order, and writes them in some format."""

    def add(self, rows: pa.RecordBatch) -> None:
        """Write these rows."""

    def close(self) -> None:
        """Write what comes after the last row."""


class CsvWriter:
    """RFC 4180 with a header line; lines end with a line feed."""

    def __init__(self, columns: tuple[Column, ...], write: Write) -> None:
        self._write = write
        self._write(",".join(_csv_field(column.name) for column in columns) + "\n")

    def add(self, rows: pa.RecordBatch) -> None:
        """One line per row."""
        for row in zip(*(texts(column) for column in rows.columns), strict=True):
            self._write(",".join(map(_csv_field, row)) + "\n")

    def close(self) -> None:
        """Nothing comes after the last row."""


class TsvWriter:
    """Fields between tabs, a header line first. A backslash, tab or line break in a field is \\\\, \\t, \\n or \\r."""

    def __init__(self, columns: tuple[Column, ...], write: Write) -> None:
        self._write = write
        self._write("\t".join(_tsv_field(column.name) for column in columns) + "\n")

    def add(self, rows: pa.RecordBatch) -> None:
        """One line per row."""
        for row in zip(*(texts(column) for column in rows.columns), strict=True):
            self._write("\t".join(map(_tsv_field, row)) + "\n")

    def close(self) -> None:
        """Nothing comes after the last row."""


class MarkdownWriter:
    """A table of GitHub's Markdown, with numbers to the right."""

    def __init__(self, columns: tuple[Column, ...], write: Write) -> None:
        self._write = write
        self._line([_markdown_field(column.name) for column in columns])
        self._line(["---:" if is_number(column.type) else "---" for column in columns])

    def add(self, rows: pa.RecordBatch) -> None:
        """One line per row."""
        for row in zip(*(texts(column) for column in rows.columns), strict=True):
            self._line([_markdown_field(text) for text in row])

    def close(self) -> None:
        """Nothing comes after the last row."""

    def _line(self, fields: list[str]) -> None:
        self._write(f"| {' | '.join(fields)} |\n")


class NdjsonWriter:
    """One JSON object per line."""

    def __init__(self, columns: tuple[Column, ...], write: Write) -> None:
        self._columns = columns
        self._write = write

    def add(self, rows: pa.RecordBatch) -> None:
        """One line per row."""
        for text in _objects(self._columns, rows):
            self._write(text + "\n")

    def close(self) -> None:
        """Nothing comes after the last row."""


class JsonWriter:
    """One array of objects, an object per line."""

    def __init__(self, columns: tuple[Column, ...], write: Write) -> None:
        self._columns = columns
        self._write = write
        self._separator = "["

    def add(self, rows: pa.RecordBatch) -> None:
        """One object per row."""
        for text in _objects(self._columns, rows):
            self._write(f"{self._separator}{text}")
            self._separator = ",\n"

    def close(self) -> None:
        """End the array, also one that has no rows."""
        self._write("[]\n" if self._separator == "[" else "]\n")


def _objects(columns: tuple[Column, ...], rows: pa.RecordBatch) -> Iterator[str]:
    """Each row as a JSON object."""
    keys = [json_texts(pa.array([name]))[0] for name in _distinct(column.name for column in columns)]
    cells = [
        _json_lines(values) if column.type == "JSON" else json_texts(values)
        for column, values in zip(columns, rows.columns, strict=True)
    ]
    for row in zip(*cells, strict=True):
        yield "{" + ", ".join(f"{key}: {value}" for key, value in zip(keys, row, strict=True)) + "}"


def _json_lines(values: pa.Array) -> list[str]:
    """The values of a JSON column, which are JSON text already; a line break can only be white space between tokens."""
    return ["null" if text is None else re.sub(r"[\r\n]", " ", text) for text in texts(values)]


def _distinct(names: Iterable[str]) -> list[str]:
    """The names, with `_1`, `_2` … after one that was there before: an object has each key once."""
    found: list[str] = []
    for name in names:
        candidate, count = name, 0
        while candidate in found:
            count += 1
            candidate = f"{name}_{count}"
        found.append(candidate)
    return found


def _csv_field(text: str | None) -> str:
    if text is None:
        return ""
    return '"' + text.replace('"', '""') + '"' if _NEEDS_QUOTES.search(text) else text


def _tsv_field(text: str | None) -> str:
    return "\\N" if text is None else text.translate(_TSV_ESCAPES)


def _markdown_field(text: str | None) -> str:
    if text is None:
        return "NULL"
    return "<br>".join(visible(line) for line in text.replace("|", "\\|").splitlines())


WRITERS: dict[str, Callable[[tuple[Column, ...], Write], RowWriter]] = {
    "csv": CsvWriter,
    "tsv": TsvWriter,
    "json": JsonWriter,
    "ndjson": NdjsonWriter,
    "markdown": MarkdownWriter,
}
