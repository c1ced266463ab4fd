"""Snapshot queries run by DuckDB over Arrow tables, handed over without a copy."""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping

import duckdb
import pyarrow as pa

from headwater.errors import Span, SqlError, Unsupported
from headwater.executor.python_functions import give_functions, raise_interrupt
from headwater.parser import quote, syntax
from headwater.planner.duckdb_errors import explain_duckdb_error, function_that_raised, with_users_names
from headwater.planner.sql_types import cast_from_arrow, open_duckdb
from headwater.values import Column


class SnapshotReader:
    """An in-memory DuckDB that answers SELECTs over given tables and sees nothing else: no files, no variables."""

    def __init__(self) -> None:
        # Opened by the first query. Those that call functions of users run in the thread that asks: Python runs one
        # thread at a time anyway, and Ctrl-C stops what runs in that of the program.
        self._database: duckdb.DuckDBPyConnection | None = None
        self._calling: duckdb.DuckDBPyConnection | None = None
        self._opening = threading.Lock()
        self._running: set[duckdb.DuckDBPyConnection] = set()

    def run(
        self,
        sql: str,
        tables: Mapping[str, tuple[pa.Table, tuple[Column, ...]]],
        query: syntax.Node,
        *,
        has_user_calls: bool = False,
    ) -> tuple[tuple[Column, ...], pa.Table]:
        """The columns and rows of `sql` over `tables` (their rows and SQL types). Complaints point into `query`."""
        con = self._with_functions() if has_user_calls else self._cursor()
        self._running.add(con)
        try:
            for name, (table, columns) in tables.items():
                _register(con, name, table, columns)
            relation = con.sql(sql)
            columns = tuple(Column(n, str(t)) for n, t in zip(relation.columns, relation.types, strict=True))
            return columns, relation.to_arrow_table()
        except duckdb.Error as error:
            raise _located(error, query) from error
        except RuntimeError as error:
            if "interrupted" in str(error):  # what DuckDB makes of Ctrl-C
                raise KeyboardInterrupt from None
            raise
        finally:
            self._running.discard(con)
            con.close()
            raise_interrupt()

    def interrupt(self) -> None:
        """Stops the queries that are running, which raise SqlError. May be called from any thread."""
        for con in tuple(self._running):
            con.interrupt()

    def _cursor(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._database is None:
                self._database = open_duckdb()
        return self._database.cursor()

    def _with_functions(self) -> duckdb.DuckDBPyConnection:
        with self._opening:
            if self._calling is None:
                self._calling = open_duckdb(threads=1)
        give_functions(self._calling)
        return self._calling.cursor()

    def close(self) -> None:
        for database in (self._database, self._calling):
            if database is not None:
                database.close()


def _register(con: duckdb.DuckDBPyConnection, name: str, table: pa.Table, columns: tuple[Column, ...]) -> None:
    casts = [cast_from_arrow(c) for c in columns]
    if all(cast == quote(c.name) for cast, c in zip(casts, columns, strict=True)):
        con.register(name, table)
        return
    con.register(f"arrow${name}", table)
    con.execute(f"CREATE TEMP VIEW {quote(name)} AS SELECT {', '.join(casts)} FROM {quote(f'arrow${name}')}")


def _located(error: duckdb.Error, query: syntax.Node) -> SqlError:
    """DuckDB's complaint with the place in the user's text of the name that it quotes."""
    text = with_users_names(str(error))
    if isinstance(error, duckdb.InterruptException):
        return SqlError("interrupted")
    found = explain_duckdb_error(error, None)
    raised = function_that_raised(error)
    found.span = (_span_of_quoted(text, query) if raised is None else _span_of_call(raised, query)) or query.span
    if isinstance(error, duckdb.NotImplementedException):
        return Unsupported(found.message, found.span, hint=found.hint)
    return found


def _span_of_quoted(text: str, query: syntax.Node) -> Span | None:
    """Where the first name, function or literal that DuckDB's complaint quotes stands in the query."""
    for double, single, name in re.findall(r"""\"([^"]+)\"|'([^']+)'|name (\w+)""", text):
        quoted = (double or name or single).rpartition(".")[2].partition("(")[0].lower()
        for node in syntax.walk(query):
            if _is_called(node, quoted):
                return node.span
    return None


def _span_of_call(name: str, query: syntax.Node) -> Span | None:
    """Where a function is called first in the query."""
    calls = (node for node in syntax.walk(query) if isinstance(node, syntax.Call))
    return next((call.span for call in calls if call.name.lower() == name.lower()), None)


def _is_called(node: syntax.Node, text: str) -> bool:
    match node:
        case syntax.Name(parts=parts):
            return any(part.text.lower() == text for part in parts)
        case syntax.Call(name=name):
            return name.lower() == text
        case syntax.Literal(text=value):
            return value.lower() == text
    return False
