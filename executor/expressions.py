"""Expressions over the rows of a delta, which DuckDB computes."""

from __future__ import annotations

import threading

import duckdb
import pyarrow as pa

from headwater.executor.python_functions import give_functions, raise_interrupt
from headwater.parser import quote
from headwater.planner.logical import Filter, Plan, Project
from headwater.planner.sql_types import cast_from_arrow, open_duckdb

Chain = tuple[Filter | Project, ...]  # each the source of the next

_local = threading.local()


def connection() -> duckdb.DuckDBPyConnection:
    """This thread's in-memory DuckDB, for expressions over deltas."""
    if not hasattr(_local, "connection"):
        _local.connection = open_duckdb(threads=1)
    found: duckdb.DuckDBPyConnection = _local.connection
    give_functions(found)
    return found


def run_sql(sql: str, rows: pa.RecordBatch) -> pa.Table:
    """The answer of `sql` over `rows`, which it calls delta."""
    con = connection()
    con.register("delta", pa.Table.from_batches([rows]))
    try:
        return con.sql(sql).to_arrow_table().combine_chunks()
    finally:
        con.unregister("delta")
        raise_interrupt()


def run_tried_sql(sql: str, rows: pa.RecordBatch) -> pa.Table:
    """The answer of `sql` in which TRY stands: an expression that is computed once for several places would be computed
    outside of TRY, and fail there.
    """
    con = connection()
    con.execute("SET disabled_optimizers = 'common_subexpressions'")
    try:
        return run_sql(sql, rows)
    finally:
        con.execute("RESET disabled_optimizers")


def chain_sql(chain: Chain, source: Plan, carried: tuple[str, ...] = (), given: tuple[str, ...] = ()) -> str:
    """SQL for the rows of the chain over the rows of `source`, with columns that are `carried` along, and others that
    are `given` to its lowest projection.
    """
    more = [quote(name) for name in carried]
    casts = [cast_from_arrow(c) for c in source.columns]
    sql = f"SELECT {', '.join([*casts, *more, *(quote(name) for name in given)])} FROM delta"
    for node in chain:
        if isinstance(node, Filter):
            sql = f"SELECT * FROM ({sql}) WHERE {node.predicate.sql}"
        else:
            items = [f"{e.sql} AS {quote(name)}" for name, e in node.items]
            sql = f"SELECT {', '.join([*items, *more])} FROM ({sql})"
    return sql
