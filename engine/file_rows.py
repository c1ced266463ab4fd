"""Rows in files: from pieces of text to rows of a relation, and what is wrong with those that cannot be read.

A text is read column by column: its values are first texts, and then what the relation declares, by DuckDB's casts,
as in any query. Both COPY and streams that follow files read this way; they differ in what becomes of a bad row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
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
        items = [
            (known[name.lower()], quote(name), quote(name)) for name in texts.column_names if name.lower() in known
        ]
        unknown = tuple(name for name in names if name.lower() not in known)
        numbers = np.delete(np.arange(len(texts) + len(bad)), [b.row for b in bad])
        return _cast(texts, items, numbers, bad, unknown, options)
    lines = [line for line in data.split(b"\n") if line.strip()]
    return read_objects(pa.array([line.decode(errors="replace") for line in lines], pa.string()), columns, options)


def read_objects(lines: pa.Array, columns: Sequence[Column], options: FileOptions) -> Piece:
    """The rows in texts that are JSON objects, with the types of `columns`."""
    numbers = np.arange(len(lines))
    con = connection()
    con.register("input", pa.table({"line": lines, "nr": numbers}))
    try:
        valid = con.sql(
            "SELECT nr, CASE WHEN json_valid(line) THEN coalesce(json_type(line) = 'OBJECT', false) ELSE false END "
            "FROM input ORDER BY nr"
        ).fetchnumpy()
        good = np.asarray([bool(v) for v in list(valid.values())[1]], dtype=bool)
        texts = pa.table({"line": lines.filter(pa.array(good, pa.bool_()))})
        con.register("input", texts)
        keys = [k for (k,) in con.sql("SELECT DISTINCT unnest(json_keys(line)) AS k FROM input ORDER BY k").fetchall()]
    finally:
        con.unregister("input")
    bad = [BadRow(int(i), None, "this is not a JSON object", lines[int(i)].as_py()) for i in np.flatnonzero(~good)]
    by_name: dict[str, list[str]] = {}
    for key in keys:
        by_name.setdefault(key.lower(), []).append(key)
    items = [_json_item(c, by_name[c.name.lower()]) for c in columns if c.name.lower() in by_name]
    known = {c.name.lower() for c in columns}
    unknown = tuple(key for key in keys if key.lower() not in known)
    return _cast(texts, items, numbers[good], bad, unknown, options)


def _json_item(column: Column, keys: Sequence[str]) -> tuple[Column, str, str]:
    paths = ["'" + ('$."' + key.replace('"', '\\"') + '"').replace("'", "''") + "'" for key in keys]
    text = "coalesce(" + ", ".join(f"line ->> {path}" for path in paths) + ", NULL)"
    if not _is_nested(column.type):
        return column, text, text
    json = "coalesce(" + ", ".join(f"nullif(line -> {path}, 'null'::JSON)" for path in paths) + ", NULL)"
    return column, json, json


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
        column_names=names, autogenerate_column_names=names is None, use_threads=False, block_size=len(data) + 1
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
        return pyarrow.csv.read_csv(pa.BufferReader(data), reading, parsing, converting)
    except pa.ArrowException as error:
        raise DataError(f"this is not CSV as it should be: {error}") from error


def _cast(
    texts: pa.Table,
    items: Sequence[tuple[Column, str, str]],
    numbers: np.ndarray,
    bad: list[BadRow],
    unknown: tuple[str, ...],
    options: FileOptions,
) -> Piece:
    """The columns as what they are declared to be; rows with a value that cannot be read that way become bad ones."""
    count = len(numbers) + len(bad)
    schema = arrow_schema([column for column, _, _ in items])
    if not items:
        empty = pa.RecordBatch.from_arrays([], schema=schema)
        return Piece(empty, numbers, tuple(bad), count, unknown)
    con = connection()
    con.register("input", texts)
    selected = []
    for i, (column, given, value) in enumerate(items):
        read = f"TRY(CAST({value} AS {column.type}))"
        if column.type in INTEGERS:  # CAST would round
            read = f"CASE WHEN regexp_full_match({value}, '\\s*[-+]?[0-9]+(\\.0*)?\\s*') THEN {read} END"
        selected += [f"{read} AS v{i}", f"CASE WHEN {read} IS NULL THEN CAST({given} AS VARCHAR) END AS lost{i}"]
    try:
        table = con.sql(f"SELECT {', '.join(selected)} FROM input").to_arrow_table().combine_chunks()
    finally:
        con.unregister("input")
    lost = np.zeros(len(table), dtype=bool)
    for i, (column, _, _) in enumerate(items):
        given = table.column(f"lost{i}")
        for at in np.flatnonzero(given.is_valid().to_numpy() & ~lost):
            cause = f'cannot read {given[int(at)].as_py()!r} as {column.type} for column "{column.name}"'
            bad.append(BadRow(int(numbers[at]), column.name, cause, _text(texts, int(at), options)))
            lost[at] = True
    keep = pa.array(~lost, pa.bool_())
    arrays = [
        pa.concat_arrays(chunks).cast(field.type) if (chunks := c.filter(keep).chunks) else pa.nulls(0, field.type)
        for c, field in zip((table.column(f"v{i}") for i in range(len(items))), schema, strict=True)
    ]
    rows = pa.RecordBatch.from_arrays(arrays, schema=schema)
    return Piece(rows, numbers[~lost], tuple(sorted(bad, key=lambda b: b.row)), count, unknown)


def _text(texts: pa.Table, at: int, options: FileOptions) -> str:
    values = [column[at].as_py() for column in texts.columns]
    return options.delimiter.join(options.null if value is None else value for value in values)


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
