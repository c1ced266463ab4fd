"""The columns of a stream of files that its definition leaves out: DuckDB says what a file has, and the definition is
kept with these columns in it.
"""

from __future__ import annotations

from dataclasses import replace

import duckdb

from headwater.engine.arrow_files import schema_of
from headwater.engine.forking import absolute
from headwater.errors import DataError, SqlError
from headwater.parser import syntax
from headwater.planner.file_options import FileOptions
from headwater.planner.file_sources import file_source
from headwater.planner.properties import read_properties
from headwater.storage.files import matching_files
from headwater.values import Column


def is_of_files(statement: syntax.CreateRelation) -> bool:
    """Whether a definition is one of a stream of files."""
    return any(p.name.lower() == "connector" for p in statement.properties)


def completed(statement: syntax.CreateRelation) -> syntax.CreateRelation:
    """The definition of a stream of files with its columns, and a path that means the same wherever the program is."""
    source = file_source(statement, read_properties(statement)) if is_of_files(statement) else None
    if source is None:
        return statement
    path = absolute(source.path)
    properties = tuple(replace(p, value=path) if p.name.lower() == "path" else p for p in statement.properties)
    statement = replace(statement, properties=properties)
    if statement.columns:
        return statement
    found = matching_files(path)
    if not found:
        raise SqlError(
            f"there is no file '{source.path}' to tell the columns", statement.name.span,
            hint=f"write them: CREATE STREAM {statement.name.text} (id BIGINT, …) WITH (…)",
        )  # fmt: skip
    try:
        columns = columns_of(found[0], source.options)
    except (duckdb.Error, DataError) as error:
        raise SqlError(
            f'cannot tell the columns of "{found[0]}": {str(error).splitlines()[0]}', statement.name.span,
            hint=f"write them: CREATE STREAM {statement.name.text} (id BIGINT, …) WITH (…)",
        ) from error  # fmt: skip
    definitions = [syntax.ColumnDefinition(syntax.Identifier(c.name), c.type) for c in columns]
    return replace(statement, columns=tuple(definitions))


def columns_of(path: str, options: FileOptions) -> tuple[Column, ...]:
    """The columns that a file has, as DuckDB finds them in its first rows."""
    with duckdb.connect() as con:
        match options.format:
            case "csv":
                words = f"header = {options.header}, delim = $delimiter, quote = $quote, nullstr = $null"
                values = {"delimiter": options.delimiter, "quote": options.quote, "null": options.null}
                found = con.execute(f"DESCRIBE FROM read_csv($path, {words})", {"path": path, **values}).fetchall()
            case "ndjson":
                sql = "DESCRIBE FROM read_json($path, format = 'newline_delimited', ignore_errors = true)"
                found = con.execute(sql, {"path": path}).fetchall()
            case _:
                con.register("input", schema_of(path, options).empty_table())
                found = con.execute("DESCRIBE FROM input").fetchall()
    return tuple(Column(row[0], "VARCHAR" if row[1] == '"NULL"' else row[1]) for row in found)
