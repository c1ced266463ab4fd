"""Rows in files: from pieces of text to rows of a relation, and what is wrong with those that cannot be read.

A text is read column by column: its values are first texts, and then what the relation declares, by DuckDB's casts,
as in any query. Both COPY and streams that follow files read this way; they differ in what becomes of a bad row.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from headwater.errors import DataError, suggestion
from headwater.executor.evaluate import connection
from headwater.parser import quote
from headwater.planner import Relation
from headwater.planner.file_options import FileOptions
from headwater.planner.sql_types import arrow_schema
from headwater.storage.files import File
from headwater.values import ROWTIME, Column

PIECE_BYTES = 8 << 20  # how much of a file is read at once
ROW_BYTES_MAX = 256 << 20

INTEGERS = frozenset(f"{sign}{size}INT" for sign in ("", "U") for size in ("TINY", "SMALL", "BIG", "HUGE")) | {
    "INTEGER",
    "UINTEGER",
}

_NESTED = ("STRUCT", "MAP", "UNION", "JSON")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be read: the how manieth it is of its piece, in which column, why, and its text."""

    row: int
    column: str | None
    cause: str
    text: str


@dataclass(frozen=True, slots=True)
class Piece:
    """What a piece of text holds: the rows that can be read, which of the piece's rows these are, and the bad ones."""

    rows: pa.RecordBatch
    numbers: np.ndarray
    bad: tuple[BadRow, ...]
    count: int  # of all rows
    unknown: tuple[str, ...]  # names in the file that are not columns


@dataclass(frozen=True, slots=True)
class _Texts:
    """Rows as texts, SQL that gives their values from the table `input`, and which of a piece's rows they are."""

    table: pa.Table
    source: str
    numbers: np.ndarray
    options: FileOptions

    def row(self, at: int) -> str:
        """A row about as it was written."""
        values = [column[at].as_py() for column in self.table.columns]
        return self.options.delimiter.join(self.options.null if value is None else value for value in values)


def whole_rows(data: bytes, options: FileOptions) -> int:
    """How many bytes at the beginning of `data`, which begins with a row, are rows that have an end."""
    end = data.rfind(b"\n") + 1
    if options.format != "csv":
        return end
    mark = options.quote.encode()
    quotes = data.count(mark, 0, end)
    while end and quotes % 2:  # this line's end is inside quotes
        before = data.rfind(b"\n", 0, end - 1) + 1
        quotes -= data.count(mark, before, end)
        end = before
    return end


def next_piece(file: File, position: int, options: FileOptions, *, is_complete: bool) -> bytes:
    """The next rows of a text file, whole ones; of a file that `is_complete` the last row needs no end of line."""
    size = PIECE_BYTES
    while True:
        data = file.read(position, size)
        if len(data) < size and is_complete:
            return data
        end = whole_rows(data, options)
        if end or len(data) < size:
            return data[:end]
        if size >= ROW_BYTES_MAX:
            raise DataError(f"a row that begins at byte {position} has no end within {size >> 20} MB")
        size *= 2


def header_of(data: bytes, options: FileOptions) -> tuple[list[str], int]:
    """The names in the first row of a CSV file, and how many bytes that has; 0 while it has no end."""
    end = 0
    while (end := data.find(b"\n", end) + 1) and data.count(options.quote.encode(), 0, end) % 2:
        pass
    if not end:
        return [], 0
    table = _csv(data[:end].removeprefix(b"\xef\xbb\xbf"), None, options, [])
    return [str(column[0].as_py() or "") for column in table.columns], end


def read_piece(data: bytes, options: FileOptions, names: Sequence[str], columns: Sequence[Column]) -> Piece:
    """The rows in a piece of CSV, whose fields have `names`, or of JSON, a row a line, with the types of `columns`."""
    if options.format == "csv":
        bad: list[BadRow] = []
        texts = _csv(data, names, options, bad)
        known = {c.name.lower(): c for c in columns}
        items = [(known[name.lower()], quote(name)) for name in texts.column_names if name.lower() in known]
        unknown = tuple(name for name in names if name.lower() not in known)
        numbers = np.delete(np.arange(len(texts) + len(bad)), [b.row for b in bad])
        return _cast(_Texts(texts, "input", numbers, options), items, bad, unknown)
    lines = [line for line in data.split(b"\n") if line.strip()]
    return read_objects(pa.array([line.decode(errors="replace") for line in lines], pa.string()), columns, options)


def read_objects(lines: pa.Array, columns: Sequence[Column], options: FileOptions) -> Piece:
    """The rows in texts that are JSON objects, with the types of `columns`."""
    con = connection()
    con.register("input", pa.table({"line": lines}))
    try:
        # Where a line is no JSON, what is asked of it would fail; that it is some is asked with its kind.
        kinds = con.sql("SELECT CASE WHEN json_valid(line) THEN json_type(line) END AS kind FROM input")
        is_object = pc.equal(kinds.to_arrow_table().combine_chunks().column("kind"), "OBJECT").fill_null(False)
        good = is_object.to_numpy().astype(bool)
        texts = pa.table({"line": lines.filter(pa.array(good, pa.bool_()))})
        con.register("input", texts)
        found = con.sql("SELECT DISTINCT json_keys(line) FROM input").fetchall()
    finally:
        con.unregister("input")
    bad = [BadRow(int(i), None, "this is not a JSON object", lines[int(i)].as_py()) for i in np.flatnonzero(~good)]
    keys = sorted({key for (row,) in found for key in row})
    by_name: dict[str, list[str]] = {}
    for key in keys:
        by_name.setdefault(key.lower(), []).append(key)
    present = [c for c in columns if c.name.lower() in by_name]
    # All values of a line are taken out of it at once; of names in several spellings, one after the other.
    structure = {by_name[c.name.lower()][0]: "JSON" if _is_nested(c.type) else "VARCHAR" for c in present}
    source = (
        f"(SELECT line, from_json(line, {_literal(json.dumps(structure))}) AS r FROM input)" if present else "input"
    )
    known = {c.name.lower() for c in columns}
    unknown = tuple(key for key in keys if key.lower() not in known)
    items = [(c, _json_value(c, by_name[c.name.lower()])) for c in present]
    return _cast(_Texts(texts, source, np.flatnonzero(good), options), items, bad, unknown)


def _json_value(column: Column, keys: Sequence[str]) -> str:
    first, *others = keys
    field = 'r."' + first.replace('"', '""') + '"'
    arrow = "->" if _is_nested(column.type) else "->>"
    paths = [_literal('$."' + key.replace('"', '\\"') + '"') for key in others]
    values = [field, *(f"line {arrow} {path}" for path in paths)]
    if _is_nested(column.type):
        values = [f"nullif({value}, 'null'::JSON)" for value in values]
    return f"coalesce({', '.join(values)}, NULL)"


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _is_nested(type_name: str) -> bool:
    return type_name.startswith(_NESTED) or type_name.endswith("]")


def _csv(data: bytes, names: Sequence[str] | None, options: FileOptions, bad: list[BadRow]) -> pa.Table:
    """The fields of CSV as texts. Rows with too many or too few fields go to `bad`, by their places among all rows."""

    def refuse(row: pyarrow.csv.InvalidRow) -> str:
        cause = f"{row.actual_columns} fields, and there should be {row.expected_columns}"
        bad.append(BadRow(0 if row.number is None else row.number - 1, None, cause, row.text))
        return "skip"

    if not data:
        return pa.table({name: pa.array([], pa.string()) for name in names or ()})
    reading = pyarrow.csv.ReadOptions(
        column_names=names, autogenerate_column_names=names is None, use_threads=False, block_size=3 * len(data) + 1
    )
    parsing = pyarrow.csv.ParseOptions(
        delimiter=options.delimiter, quote_char=options.quote, double_quote=True, newlines_in_values=True,
        ignore_empty_lines=names is None or len(names) > 1, invalid_row_handler=refuse,
    )  # fmt: skip
    fields = names or [f"f{i}" for i in range(data.count(options.delimiter.encode()) + 1)]
    converting = pyarrow.csv.ConvertOptions(
        column_types=dict.fromkeys(fields, pa.string()), null_values=[options.null], strings_can_be_null=True,
        quoted_strings_can_be_null=False,
    )  # fmt: skip
    try:
        data.decode()
    except UnicodeDecodeError:
        data = data.decode(errors="replace").encode()
    try:
        return pyarrow.csv.read_csv(pa.BufferReader(data), reading, parsing, converting)
    except pa.ArrowException as error:
        raise DataError(f"this is not CSV as it should be: {error}") from error


def _cast(texts: _Texts, items: Sequence[tuple[Column, str]], bad: list[BadRow], unknown: tuple[str, ...]) -> Piece:
    """The columns as what they are declared to be; rows with a value that cannot be read that way become bad ones."""
    numbers = texts.numbers
    count = len(numbers) + len(bad)
    schema = arrow_schema([column for column, _ in items])
    if not items:
        return Piece(pa.RecordBatch.from_arrays([], schema=schema), numbers, tuple(bad), count, unknown)
    table = _read(texts, items)
    lost = np.zeros(len(table), dtype=bool)
    for i, (column, _) in enumerate(items):
        given = table.column(f"lost{i}")
        for at in np.flatnonzero(given.is_valid().to_numpy() & ~lost):
            cause = f'cannot read {given[int(at)].as_py()!r} as {column.type} for column "{column.name}"'
            bad.append(BadRow(int(numbers[at]), column.name, cause, texts.row(int(at))))
            lost[at] = True
    keep = pa.array(~lost, pa.bool_())
    arrays = [
        pa.concat_arrays(chunks).cast(field.type) if (chunks := c.filter(keep).chunks) else pa.nulls(0, field.type)
        for c, field in zip((table.column(f"v{i}") for i in range(len(items))), schema, strict=True)
    ]
    rows = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return Piece(rows, numbers[~lost], tuple(sorted(bad, key=lambda b: b.row)), count, unknown)


def _read(texts: _Texts, items: Sequence[tuple[Column, str]]) -> pa.Table:
    """Of each item its value, v0, v1 …, and where that is NULL the text it was read from, lost0, lost1 …"""
    given = ", ".join(f"{value} AS t{i}" for i, (_, value) in enumerate(items))
    read = ", ".join(f"t{i}, {_reading(column, f't{i}')} AS v{i}" for i, (column, _) in enumerate(items))
    both = ", ".join(
        f"v{i}, CASE WHEN v{i} IS NULL THEN CAST(t{i} AS VARCHAR) END AS lost{i}" for i in range(len(items))
    )
    con = connection()
    con.register("input", texts.table)
    try:
        return con.sql(
            f"WITH given AS MATERIALIZED (SELECT {given} FROM {texts.source}), "
            f"read AS MATERIALIZED (SELECT {read} FROM given) SELECT {both} FROM read"
        ).to_arrow_table().combine_chunks()  # fmt: skip
    finally:
        con.unregister("input")


def _reading(column: Column, text: str) -> str:
    if column.type == "VARCHAR":
        return text
    read = f"TRY(CAST({text} AS {column.type}))"
    if column.type in INTEGERS:  # CAST would round
        return f"CASE WHEN regexp_full_match({text}, '\\s*[-+]?[0-9]+(\\.0*)?\\s*') THEN {read} END"
    return read


def read_columns(relation: Relation) -> tuple[Column, ...]:
    """The columns that a file may have for a relation: its own, and ROWTIME where that is given with the row."""
    time = (Column(ROWTIME, "TIMESTAMP"),) if relation.is_stream and relation.timestamp is None else ()
    return (*relation.columns, *time)


def filled(relation: Relation, rows: pa.RecordBatch, count: int) -> pa.RecordBatch:
    """Rows with all columns of the relation: those that a file does not have are NULL."""
    given = {field.name: rows.column(i) for i, field in enumerate(rows.schema)}
    time = [Column(ROWTIME, "TIMESTAMP")] if ROWTIME in given else []
    schema = arrow_schema([*relation.columns, *time])
    arrays = [given[f.name] if f.name in given else pa.nulls(count, f.type) for f in schema]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def refuse_unknown(relation: Relation, piece: Piece, path: str) -> None:
    """Raises DataError for a file that has something else than the relation's columns."""
    if piece.unknown:
        hint = suggestion(piece.unknown[0], (c.name for c in relation.columns), "columns")
        raise DataError(f'"{path}" has "{piece.unknown[0]}", and "{relation.name}" has no such column', hint=hint)
