"""The type system, which is DuckDB's: asks it for the type of an expression and for the Arrow form of a type.

One in-memory DuckDB connection that never sees a row of data serves as the oracle, so that a continuous query has by
construction the types that the same SELECT has as a snapshot query.
"""

from __future__ import annotations

import atexit
import contextlib
import threading
import weakref
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from inspect import Parameter, Signature
from typing import Any

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from headwater.errors import Span, TypeProblem, Unsupported
from headwater.parser import quote
from headwater.planner.duckdb_errors import explain_duckdb_error, type_hint
from headwater.values import Column

_lock = threading.Lock()
_connection: duckdb.DuckDBPyConnection | None = None

# Types whose values keep a fixed or variable width in Arrow that DuckDB reads back as another type.
_LOSSY_IN_ARROW = ("HUGEINT", "UHUGEINT", "UUID", "JSON", "BIT", "TIMETZ", "VARINT", "BIGNUM")


def _oracle() -> duckdb.DuckDBPyConnection:
    global _connection
    if _connection is None:
        _connection = open_duckdb(threads=1)
    return _connection


def open_duckdb(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """An in-memory DuckDB that looks at no files, no variables of the program, no network, and lives in UTC."""
    con = duckdb.connect(":memory:", config={"python_enable_replacements": "false"})
    con.execute("SET autoinstall_known_extensions = false")
    with contextlib.suppress(duckdb.Error):  # without its ICU extension DuckDB knows no other zone than UTC
        con.execute("SET TimeZone = 'UTC'")
    if threads is not None:
        con.execute(f"SET threads = {threads}")
    con.execute("SET enable_external_access = false")
    return con


# The functions that each connection has been given, by their names.
_functions_of: weakref.WeakKeyDictionary[duckdb.DuckDBPyConnection, dict[str, object]] = weakref.WeakKeyDictionary()


def add_function(
    con: duckdb.DuckDBPyConnection,
    name: str,
    function: Callable[..., pa.Array],
    parameters: Sequence[str],
    returns: str,
) -> None:
    """Lets `con` call `function` of Arrow columns, NULLs among them, by `name`; it takes the place of one before it."""
    known = _functions_of.setdefault(con, {})
    if known.get(name) is function:
        return
    if name in known:
        con.remove_function(name)
    types: list[Any] = [con.sqltype(parameter) for parameter in parameters]
    arrow, special = PythonUDFType.ARROW, FunctionNullHandling.SPECIAL
    counted = _of_so_many(function, len(types))
    con.create_function(name, counted, types, con.sqltype(returns), type=arrow, null_handling=special)
    known[name] = function


def _of_so_many(function: Callable[..., pa.Array], count: int) -> Callable[..., pa.Array]:
    """`function` with so many parameters, which DuckDB looks for: it would take more for one of any number."""

    def counted(*columns: pa.ChunkedArray) -> pa.Array:
        return function(*columns)

    parameters = [Parameter(f"a{i}", Parameter.POSITIONAL_ONLY) for i in range(count)]
    counted.__signature__ = Signature(parameters)  # type: ignore[attr-defined]
    return counted


def keep_functions(con: duckdb.DuckDBPyConnection, names: Collection[str]) -> None:
    """Takes from `con` all functions that it has been given but these."""
    known = _functions_of.get(con, {})
    for name in [name for name in known if name not in names]:
        con.remove_function(name)
        del known[name]


@atexit.register
def _remove_functions() -> None:
    """DuckDB complains of functions that are still there when the program ends."""
    for con, names in list(_functions_of.items()):
        for name in names:
            with contextlib.suppress(duckdb.Error):
                con.remove_function(name)


def declare_function(name: str, parameters: Sequence[str], returns: str) -> None:
    """Tells the oracle the types of a user's function, which is never called here."""
    with _lock:
        add_function(_oracle(), name, _not_called, parameters, returns)


def _not_called(*_: object) -> pa.Array:
    raise AssertionError("the planner runs no functions of users")


def empty_relation(columns: Sequence[Column]) -> str:
    """SQL of a relation with `columns` and no rows."""
    if not columns:
        return "(SELECT 1 WHERE false)"
    items = ", ".join(f"CAST(NULL AS {c.type}) AS {quote(c.name)}" for c in columns)
    return f"(SELECT {items} WHERE false)"


@lru_cache(maxsize=4096)
def expression_types(expressions: tuple[str, ...], columns: tuple[Column, ...]) -> tuple[str, ...]:
    """The SQL type of each expression over a relation with `columns`. Raises duckdb.Error as DuckDB words it."""
    items = ", ".join(f"({e}) AS c{i}" for i, e in enumerate(expressions))
    with _lock:
        rows = _oracle().execute(f"DESCRIBE SELECT {items} FROM {empty_relation(columns)} AS input").fetchall()
    return tuple(row[1] for row in rows)


def type_of(expression: str, columns: tuple[Column, ...], span: Span) -> str:
    """The SQL type of one expression; a DuckDB complaint becomes a TypeProblem or UnknownName at `span`."""
    try:
        return expression_types((expression,), columns)[0]
    except duckdb.Error as error:
        raise explain_duckdb_error(error, span) from error


def row_type_of(expression: str, columns: tuple[Column, ...], span: Span) -> str:
    """As `type_of`, for an expression of one row. Raises Unsupported for one of many rows, or that gives many rows."""
    found = type_of(expression, columns, span)
    kind = _many_rows(expression, columns)
    if kind is not None:
        raise Unsupported(f"{kind} is not supported here in a continuous query", span)
    return found


@lru_cache(maxsize=4096)
def constant_value(expression: str) -> tuple[str | None, str] | None:
    """The value of an expression of constants as text, and its type; None for one that fails."""
    try:
        with _lock:
            rows = (
                _oracle().execute(f"SELECT CAST(v AS VARCHAR), typeof(v) FROM (SELECT ({expression}) AS v)").fetchall()
            )
    except duckdb.Error:
        return None
    return rows[0]


# How DuckDB refuses in WHERE what is not computed from one row.
_MANY_ROWS = (
    ("contain aggregates", "this aggregate"),
    ("contain window functions", "a window function"),
    ("UNNEST not supported", "a function that gives several rows"),
)


@lru_cache(maxsize=4096)
def _many_rows(expression: str, columns: tuple[Column, ...]) -> str | None:
    """What `expression` holds that cannot be computed from one row alone, if anything."""
    try:
        with _lock:
            sql = f"DESCRIBE SELECT 1 FROM {empty_relation(columns)} AS input WHERE ({expression}) IS NULL"
            _oracle().execute(sql).fetchall()
    except duckdb.Error as error:
        return next((kind for words, kind in _MANY_ROWS if words in str(error)), None)
    return None


# Macros of DuckDB that are made of aggregates, and how to write them without.
AGGREGATE_MACROS = {
    "geomean": "exp(avg(ln(x)))",
    "geometric_mean": "exp(avg(ln(x)))",
    "json_group_array": "to_json(list(x ORDER BY …))",
    "json_group_object": "to_json(map(list(k ORDER BY k), list(v ORDER BY k)))",
    "wavg": "sum(value * weight) / sum(weight)",
    "weighted_avg": "sum(value * weight) / sum(weight)",
}


@lru_cache(maxsize=1)
def aggregate_functions() -> frozenset[str]:
    """The names of DuckDB's aggregates."""
    with _lock:
        rows = (
            _oracle()
            .execute("SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'aggregate'")
            .fetchall()
        )
    return frozenset(name for (name,) in rows).union(AGGREGATE_MACROS)


@lru_cache(maxsize=1)
def volatile_functions() -> frozenset[str]:
    """The functions whose value is not decided by their arguments, as DuckDB says."""
    with _lock:
        rows = (
            _oracle()
            .execute("SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'")
            .fetchall()
        )
    return frozenset(name for (name,) in rows) - {"error"}


def common_type(left: str, right: str, span: Span) -> str:
    """The type both sides of an equality at `span` are compared in."""
    if left == right:
        return left
    try:
        return expression_types(("CASE WHEN true THEN l ELSE r END",), (Column("l", left), Column("r", right)))[0]
    except duckdb.Error as error:
        raise TypeProblem(f"cannot compare {left} with {right}", span, hint="cast one side") from error


def set_operation_columns(
    left: Sequence[Column], right: Sequence[Column], by_name: bool, span: Span
) -> tuple[Column, ...]:
    """The columns of a set operation at `span` on two queries with these columns, as many unless it is `by_name`."""
    operator = " UNION ALL BY NAME " if by_name else " UNION ALL "
    sides = operator.join(f"FROM {empty_relation(columns)}" for columns in (left, right))
    try:
        with _lock:
            rows = _oracle().execute(f"DESCRIBE ({sides})").fetchall()
    except duckdb.Error as error:
        raise explain_duckdb_error(error, span) from error
    return tuple(Column(row[0], row[1]) for row in rows)


def values_columns(sql: str, span: Span) -> tuple[Column, ...]:
    """The columns of VALUES, whose rows are computed once to see that they can be; complaints point to `span`."""
    try:
        with _lock:
            _oracle().execute(sql).fetchall()
            rows = _oracle().execute(f"DESCRIBE {sql}").fetchall()
    except duckdb.Error as error:
        raise explain_duckdb_error(error, span) from error
    return tuple(Column(row[0], "INTEGER" if row[1] == '"NULL"' else row[1]) for row in rows)


@lru_cache(maxsize=1024)
def normal_type(type_name: str) -> str:
    """The one spelling of a type (`int` → `INTEGER`). Raises TypeProblem for an unknown one."""
    try:
        return expression_types((f"CAST(NULL AS {type_name})",), ())[0]
    except duckdb.Error as error:
        raise TypeProblem(f'there is no type "{type_name}"', hint=type_hint(type_name)) from error


@lru_cache(maxsize=1024)
def arrow_type(type_name: str) -> pa.DataType:
    """The Arrow type in which DuckDB hands out values of a SQL type (HUGEINT is decimal128(38, 0))."""
    with _lock:
        return _oracle().sql(f"SELECT CAST(NULL AS {type_name}) AS c").to_arrow_table().schema.field(0).type


def arrow_schema(columns: Sequence[Column]) -> pa.Schema:
    """The Arrow schema of `columns`, all nullable."""
    return pa.schema([pa.field(c.name, arrow_type(c.type)) for c in columns])


def cast_from_arrow(column: Column) -> str:
    """SQL that reads `column` from its Arrow form with its declared type."""
    name = quote(column.name)
    return f"CAST({name} AS {column.type}) AS {name}" if column.type in _LOSSY_IN_ARROW else name
