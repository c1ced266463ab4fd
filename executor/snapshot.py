"""Snapshot queries run by DuckDB over Arrow tables, handed over without a copy."""

from __future__ import annotations

import re
from collections.abc import Mapping

import duckdb
import pyarrow as pa

from headwater.errors import Span, SqlError, Unsupported
from headwater.parser import quote, syntax
from headwater.planner.sql_types import cast_from_arrow, explain_duckdb_error, open_duckdb
from headwater.values import Column


class SnapshotReader:
    """An in-memory DuckDB that answers SELECTs over given tables and sees nothing else: no files, no variables."""

    def __init__(self) -> None:
        self._database: duckdb.DuckDBPyConnection | None = None  # opened by the first query

    def run(
        self, sql: str, tables: Mapping[str, tuple[pa.Table, tuple[Column, ...]]], query: syntax.Node
    ) -> tuple[tuple[Column, ...], pa.Table]:
        """The columns and rows of `sql` over `tables` (their rows and SQL types). Complaints point into `query`."""
        if self._database is None:
            self._database = open_duckdb()
        con = self._database.cursor()
        try:
            for name, (table, columns) in tables.items():
                _register(con, name, table, columns)
            relation = con.sql(sql)
            columns = tuple(Column(n, str(t)) for n, t in zip(relation.columns, relation.types, strict=True))
            return columns, relation.to_arrow_table()
        except duckdb.Error as error:
            raise _located(error, query) from error
        finally:
            con.close()

    def close(self) -> None:
        if self._database is not None:
            self._database.close()


def _register(con: duckdb.DuckDBPyConnection, name: str, table: pa.Table, columns: tuple[Column, ...]) -> None:
    casts = [cast_from_arrow(c) for c in columns]
    if all(cast == quote(c.name) for cast, c in zip(casts, columns, strict=True)):
        con.register(name, table)
        return
    con.register(f"arrow${name}", table)
    con.execute(f"CREATE TEMP VIEW {quote(name)} AS SELECT {', '.join(casts)} FROM {quote(f'arrow${name}')}")


def _located(error: duckdb.Error, query: syntax.Node) -> SqlError:
    """DuckDB's complaint with the place in the user's text of the name that it quotes."""
    text = str(error)
    if isinstance(error, duckdb.InterruptException):
        return SqlError("interrupted")
    found = explain_duckdb_error(error, None)
    found.span = _span_of_quoted(text, query) or query.span
    if isinstance(error, duckdb.NotImplementedException):
        return Unsupported(found.message, found.span, hint=found.hint)
    candidates = re.search(r"Candidate bindings: (.*)", text)
    if candidates:
        names = re.findall(r'"((?:[^"]|"")+)"', candidates[1])
        found.hint = f'did you mean "{names[0]}"?' if names else found.hint
    return found


def _span_of_quoted(text: str, query: syntax.Node) -> Span | None:
    """Where the first name that DuckDB quotes (or says the function name of) stands in the query."""
    quoted = [a or b for a, b in re.findall(r'"([^"]+)"|name (\w+)', text)]
    for name in quoted:
        last = name.rpartition(".")[2].lower()
        for node in syntax.walk(query):
            if isinstance(node, syntax.Name) and node.parts[-1].text.lower() == last:
                return node.span
            if isinstance(node, syntax.Call) and node.name.lower() == last:
                return node.span
    return None
