"""Filters and projections: a chain of them is one vectorised DuckDB query over the delta.

DuckDB evaluates the expressions, so a continuous query computes what a snapshot query would. Projections that only
choose, reorder or rename columns do not need it.
"""

from __future__ import annotations

import threading

import duckdb
import numpy as np
import pyarrow as pa

from headwater.executor.python_functions import give_functions, raise_interrupt
from headwater.executor.state import empty_delta, select_rows
from headwater.parser import quote
from headwater.planner.duckdb_errors import cause_of
from headwater.planner.logical import Filter, Plan, Project
from headwater.planner.sql_types import arrow_schema, cast_from_arrow, open_duckdb
from headwater.values import WEIGHT, Delta

# What the values of a row can bring about; anything else is not the row's fault, and ends the step.
ROW_ERRORS = (duckdb.ConversionException, duckdb.OutOfRangeException, duckdb.InvalidInputException)

_local = threading.local()


def connection() -> duckdb.DuckDBPyConnection:
    """This thread's in-memory DuckDB, for expressions over deltas."""
    if not hasattr(_local, "connection"):
        _local.connection = open_duckdb(threads=1)
    found: duckdb.DuckDBPyConnection = _local.connection
    give_functions(found)
    return found


class Evaluate:
    """The operator of a chain of `Filter` and `Project` nodes, given from the input upwards.

    A row on which an expression fails (a bad cast, an overflow) is left out and counted in `failed_rows`;
    `last_failure` is DuckDB's word for it. Whether a row fails depends on the row alone, not on its batch.
    """

    def __init__(self, chain: tuple[Filter | Project, ...]) -> None:
        self.schema = arrow_schema(chain[-1].columns)
        self.failed_rows = 0
        self.last_failure: str | None = None
        self._renames = _renames(chain)
        self._weighted = not chain[0].source.append_only
        self._sql = _chain_sql(chain, self._weighted)
        self._failing_sql = _failing_sql(chain)

    def step(self, delta: Delta) -> Delta:
        if not len(delta):
            return empty_delta(self.schema)
        if self._renames is not None:
            columns = [delta.rows.column(name) for name in self._renames]
            return Delta(pa.RecordBatch.from_arrays(columns, schema=self.schema), delta.weights)
        try:
            return self._run(delta)
        except ROW_ERRORS as error:
            return self._run_without_failing(delta, error)

    def _run(self, delta: Delta) -> Delta:
        rows = delta.rows
        if self._weighted:
            rows = rows.append_column(WEIGHT, pa.array(delta.weight_array))
        result = run_sql(self._sql, rows)
        if not result.num_rows:
            return empty_delta(self.schema)
        weights = None
        if self._weighted:
            weights = result.column(WEIGHT).to_numpy()
            result = result.drop_columns([WEIGHT])
        (batch,) = result.cast(self.schema).to_batches()
        return Delta(batch, weights)

    def _run_without_failing(self, delta: Delta, error: duckdb.Error) -> Delta:
        failing = run_sql(self._failing_sql, delta.rows).column(0).to_numpy()
        if not len(failing):
            raise error
        self.failed_rows += len(failing)
        self.last_failure = cause_of(error)
        return self.step(select_rows(delta, np.delete(np.arange(len(delta)), failing)))


def run_sql(sql: str, rows: pa.RecordBatch) -> pa.Table:
    """The answer of `sql` over `rows`, which it calls delta."""
    con = connection()
    con.register("delta", pa.Table.from_batches([rows]))
    try:
        return con.sql(sql).to_arrow_table().combine_chunks()
    finally:
        con.unregister("delta")
        raise_interrupt()


def _renames(chain: tuple[Filter | Project, ...]) -> list[str] | None:
    """For each output column the input column that it is, if the chain only chooses and renames columns."""
    names = {name: name for name in chain[0].source.names}
    for node in chain:
        if isinstance(node, Filter) or not all(e.is_column for _, e in node.items):
            return None
        names = {name: names[e.reads[0]] for name, e in node.items}
    return [names[name] for name in chain[-1].names]


def _chain_sql(chain: tuple[Filter | Project, ...], weighted: bool) -> str:
    casts = [cast_from_arrow(c) for c in chain[0].source.columns]
    weight = [quote(WEIGHT)] if weighted else []
    sql = f"SELECT {', '.join([*casts, *weight])} FROM delta"
    for node in chain:
        if isinstance(node, Filter):
            sql = f"SELECT * FROM ({sql}) WHERE {node.predicate.sql}"
        else:
            items = [f"{e.sql} AS {quote(name)}" for name, e in node.items]
            sql = f"SELECT {', '.join([*items, *weight])} FROM ({sql})"
    return sql


def _failing_sql(chain: tuple[Filter | Project, ...]) -> str:
    """SQL for the places of the rows on which some expression of the chain fails.

    TRY gives NULL for a row that fails; around a struct, which is never NULL itself, that cannot be mistaken.
    """
    casts = [cast_from_arrow(c) for c in chain[0].source.columns]
    sql = f'SELECT {", ".join(casts)}, row_number() OVER () - 1 AS "$place", false AS "$failed" FROM delta'
    for node in chain:
        items = (("p", node.predicate),) if isinstance(node, Filter) else node.items
        tried = f"TRY({{{', '.join(f'{quote(name)}: {e.sql}' for name, e in items)}}})"
        sql = f'SELECT *, {tried} AS "$tried" FROM ({sql})'
        failed = '"$failed" OR "$tried" IS NULL AS "$failed"'
        if isinstance(node, Filter):
            kept = '"$failed" OR "$tried" IS NULL OR "$tried".p'
            sql = f'SELECT * EXCLUDE ("$tried", "$failed"), {failed} FROM ({sql}) WHERE {kept}'
        else:
            values = ", ".join(f'"$tried".{quote(name)} AS {quote(name)}' for name, _ in items)
            sql = f'SELECT {values}, "$place", {failed} FROM ({sql})'
    return f'SELECT "$place" FROM ({sql}) WHERE "$failed" ORDER BY 1'


def chain_below(node: Plan) -> tuple[Filter | Project, ...]:
    """The longest chain of filters and projections that ends in `node`, the lowest first."""
    chain: list[Filter | Project] = []
    while isinstance(node, Filter | Project):
        chain.append(node)
        node = node.source
    return tuple(reversed(chain))
