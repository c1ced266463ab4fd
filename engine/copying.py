"""COPY: rows of files into a relation, in one commit; rows of a query into a file, which is whole or not there."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

import duckdb
import pyarrow as pa

from headwater.engine import ingest
from headwater.engine.arrow_files import WHOLE_FILES, batches_of, schema_of
from headwater.engine.counts import counted
from headwater.engine.file_rows import (
    BadRow,
    Piece,
    filled,
    header_of,
    next_piece,
    read_columns,
    read_objects,
    read_piece,
    refuse_unknown,
)
from headwater.engine.forking import absolute
from headwater.engine.reading import Reader
from headwater.engine.result import Result
from headwater.engine.writing import Writer
from headwater.errors import DataError, SqlError, StorageError
from headwater.parser import quote, syntax
from headwater.planner import Catalog, Relation
from headwater.planner.file_options import FileOptions, copy_options
from headwater.planner.sql_types import cast_from_arrow
from headwater.planner.targets import target_named, targets_of
from headwater.storage.files import OsStorage, empty_file, matching_files, parent, sync_file
from headwater.values import ROWTIME, Column

FLOAT_DIGITS = 15
_BEYOND_PARQUET = ("INTERVAL", "UNION", "TIME WITH TIME ZONE", "BIT", "BIGNUM")


# ---------------------------------------------------------------- from files


def copy_from(statement: syntax.Copy, catalog: Catalog, writer: Writer) -> Result:
    """Runs COPY … FROM: all rows of all files that match in one commit or, on any error, none."""
    assert isinstance(statement.source, syntax.Identifier)
    relation = target_named(statement.source, catalog)
    options = copy_options(statement)
    columns = targets_of(statement.columns, relation) if statement.columns else read_columns(relation)
    paths = matching_files(absolute(statement.path))
    if not paths:
        raise SqlError(
            f"there is no file '{statement.path}'", statement.span, hint="a pattern may have *, ? and, for folders, **"
        )
    by_position = [c for c in columns if statement.columns or c.name != ROWTIME]
    try:
        batches = (rows for path in paths for rows in _rows_of(path, options, relation, columns, by_position))
        rows = writer.append_all(relation, batches).rows
    except DataError as error:
        raise SqlError(error.message, statement.span, hint=error.hint or "nothing was changed") from error
    except OSError as error:
        raise SqlError(f"cannot read '{statement.path}': {error.strerror}", statement.span) from error
    files = f" from {len(paths)} files" if len(paths) > 1 else ""
    return Result.of_message(f"copied {counted(rows, 'row')}{files}", changed=rows)


def _rows_of(
    path: str, options: FileOptions, relation: Relation, columns: Sequence[Column], by_position: Sequence[Column]
) -> Iterator[pa.RecordBatch]:
    """The rows of a file as the relation has them. Raises DataError for what cannot be read, and says where it is."""
    if options.format in WHOLE_FILES:
        yield from _rows_of_arrow(path, options, relation, columns)
        return
    rows = 0
    for piece in _pieces(path, options, columns, by_position):
        refuse_unknown(relation, piece, path)
        if piece.bad:
            raise _refused(path, rows, piece.bad[0])
        _refuse_null(path, rows, relation, piece)
        yield filled(relation, piece.rows, len(piece.numbers))
        rows += piece.count


def _refused(path: str, before: int, bad: BadRow) -> DataError:
    return DataError(f'"{path}", row {before + bad.row + 1}: {bad.cause}')


def _refuse_null(path: str, before: int, relation: Relation, piece: Piece) -> None:
    for name in relation.not_null:
        place = piece.rows.schema.get_field_index(name)
        if place < 0 and len(piece.numbers):
            raise DataError(f'"{path}" has no "{name}", which cannot be NULL in "{relation.name}"')
        if place >= 0 and piece.rows.column(place).null_count:
            row = piece.rows.column(place).is_null().index(True).as_py()
            raise DataError(f'"{path}", row {before + int(piece.numbers[row]) + 1}: "{name}" cannot be NULL')


def _pieces(
    path: str, options: FileOptions, columns: Sequence[Column], by_position: Sequence[Column]
) -> Iterator[Piece]:
    file = OsStorage(read_only=True).open(path)
    try:
        position, names = 0, [c.name for c in by_position]
        if options.format == "json" and file.read(0, 1024).lstrip()[:1] == b"[":
            yield read_objects(_elements(path, file.read(0, file.size())), columns, options)
            return
        if options.format == "csv" and options.header:
            names, position = header_of(next_piece(file, 0, options, is_complete=True) + b"\n", options)
            position = min(position, file.size())
        while data := next_piece(file, position, options, is_complete=True):
            yield read_piece(data, options, names, columns)
            position += len(data)
    except DataError as error:
        raise DataError(f'"{path}": {error.message}', hint=error.hint) from error
    finally:
        file.close()


def _elements(path: str, data: bytes) -> pa.Array:
    """The elements of a JSON array, as texts."""
    with duckdb.connect() as con:
        con.register("input", pa.table({"text": [data.decode(errors="replace")]}))
        try:
            elements = "unnest(json_extract(text, '$[*]')) AS e"
            found = con.sql(f"SELECT CAST(e AS VARCHAR) FROM (SELECT {elements} FROM input)").to_arrow_table()
        except duckdb.Error as error:
            raise DataError(f"this is not a JSON array as it should be: {str(error).splitlines()[0]}") from error
    return pa.concat_arrays(found.column(0).chunks) if len(found) else pa.array([], pa.string())


def _rows_of_arrow(
    path: str, options: FileOptions, relation: Relation, columns: Sequence[Column]
) -> Iterator[pa.RecordBatch]:
    row, wanted = 0, {c.name.lower() for c in columns}
    try:
        schema = schema_of(path, options)
        for name in schema.names:
            if name.lower() not in wanted:
                ingest.conform(relation, schema.empty_table())  # which knows no such column, or it is left out
                raise DataError(f'"{name}" is not among the columns that are copied')
        for batch in batches_of(path, options):
            rows = ingest.conform(relation, batch)
            for name in relation.not_null:
                if rows.column(name).null_count:
                    at = rows.column(name).is_null().index(True).as_py()
                    raise DataError(f'row {row + at + 1}: "{name}" cannot be NULL')
            yield rows
            row += batch.num_rows
    except DataError as error:
        raise DataError(f'"{path}": {error.message}', hint=error.hint) from error


# ---------------------------------------------------------------- to a file


def copy_to(statement: syntax.Copy, reader: Reader) -> Result:
    """Runs COPY … TO. The file gets its name when all is in it: one that fails leaves what was there before."""
    options = copy_options(statement)
    result = reader.query(_query_of(statement))
    if len({name.lower() for name in result.names}) < len(result.names):
        raise SqlError("two columns have one name", statement.span, hint="give each a name of its own: AS name")
    path = absolute(statement.path)
    storage, temporary = OsStorage(), f"{path}.new"
    try:
        empty_file(storage, temporary).close()
        try:
            _write(temporary, result, options, statement)
            file = storage.open(temporary)
            sync_file(file)
            file.close()
            storage.rename(temporary, path)
        except BaseException:
            storage.remove(temporary)
            raise
        storage.sync_dir(parent(path))
    except OSError as error:
        raise StorageError(f"cannot write '{statement.path}': {error.strerror or error}") from error
    return Result.of_message(f"copied {counted(len(result), 'row')}", changed=len(result))


def _query_of(statement: syntax.Copy) -> syntax.Query:
    if isinstance(statement.source, syntax.Query):
        return statement.source
    items = tuple(syntax.SelectItem(syntax.Name((name,), span=name.span)) for name in statement.columns)
    source = syntax.Relation(statement.source, span=statement.source.span)
    return syntax.Query(syntax.Select(items or (syntax.SelectItem(syntax.Star()),), source), span=statement.span)


def _write(path: str, result: Result, options: FileOptions, statement: syntax.Copy) -> None:
    table = result.arrow()
    try:
        if options.format == "arrow":
            with pa.ipc.new_file(path, table.schema) as writer:
                writer.write_table(table)
        elif options.format == "parquet":
            _refuse_types(result.columns, statement)
            import pyarrow.parquet as parquet  # which takes a while

            parquet.write_table(table, path)
        else:
            _write_text(path, table, result.columns, options)
    except DataError as error:
        raise SqlError(error.message, statement.span, hint=error.hint) from error
    except (pa.ArrowException, duckdb.Error) as error:
        raise SqlError(f"cannot write this as {options.format}: {_first_line(error)}", statement.span) from error


def _refuse_types(columns: Sequence[Column], statement: syntax.Copy) -> None:
    for column in columns:
        if any(name in column.type for name in _BEYOND_PARQUET):
            raise SqlError(
                f'Parquet has no type for "{column.name}", which is {column.type}', statement.span,
                hint=f"FORMAT arrow, or CAST({column.name} AS VARCHAR)",
            )  # fmt: skip


def _write_text(path: str, table: pa.Table, columns: Sequence[Column], options: FileOptions) -> None:
    selected = ", ".join(cast_from_arrow(c) if options.format == "csv" else _as_json(c) for c in columns)
    if options.format == "csv":
        texts = [options.delimiter, options.quote, options.quote, options.null]
        words = f"FORMAT csv, HEADER {options.header}, DELIMITER {{}}, QUOTE {{}}, ESCAPE {{}}, NULLSTR {{}}"
        words = words.format(*map(_literal, texts))
    else:
        words = f"FORMAT json, ARRAY {options.format == 'json'}"
    with duckdb.connect() as con:
        con.execute("SET TimeZone = 'UTC'")
        con.register("rows", table)
        con.execute(f"COPY (SELECT {selected} FROM rows) TO {_literal(path)} ({words})")


def _as_json(column: Column) -> str:
    """What becomes JSON of a column. A DECIMAL of more digits than a float has is a text, which keeps them all."""
    digits = [int(n) for n in re.findall(r"DECIMAL\((\d+)", column.type)]
    if max(digits, default=0) <= FLOAT_DIGITS:
        return cast_from_arrow(column)
    if column.type.startswith("DECIMAL") and not column.type.endswith("]"):
        return f"CAST({quote(column.name)} AS VARCHAR) AS {quote(column.name)}"
    raise DataError(
        f'JSON would lose digits of "{column.name}", which is {column.type}', hint="FORMAT arrow or parquet keep them"
    )


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0]
