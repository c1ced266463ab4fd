"""Filters and projections: a chain of them is one vectorised DuckDB query over the delta.

DuckDB evaluates the expressions, so a continuous query computes what a snapshot query would. Projections that only
choose, reorder or rename columns do not need it.
"""

from __future__ import annotations

import threading

import duckdb
import numpy as np
import pyarrow as pa

from headwater.executor.state import empty_delta, select_rows
from headwater.parser import quote
from headwater.planner.logical import Filter, Plan, Project
from headwater.planner.sql_types import arrow_schema, cast_from_arrow, open_duckdb
from headwater.values import WEIGHT, Delta, concat_deltas, empty_batch

_local = threading.local()


def connection() -> duckdb.DuckDBPyConnection:
    """This thread's in-memory DuckDB, for expressions over deltas."""
    if not hasattr(_local, "connection"):
        _local.connection = open_duckdb(threads=1)
    found: duckdb.DuckDBPyConnection = _local.connection
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
        self._input = chain[0].source
        self._renames = _renames(chain)
        weighted = not self._input.append_only
        self._sql = _chain_sql(chain, weighted)

    def step(self, delta: Delta) -> Delta:
        if not len(delta):
            return empty_delta(self.schema)
        if self._renames is not None:
            columns = [delta.rows.column(name) for name in self._renames]
            return Delta(pa.RecordBatch.from_arrays(columns, schema=self.schema), delta.weights)
        try:
            return self._run(delta)
        except duckdb.Error as error:
            return self._run_around(delta, error)

    def _run(self, delta: Delta) -> Delta:
        rows = delta.rows
        if not self._input.append_only:
            rows = rows.append_column(WEIGHT, pa.array(delta.weight_array))
        con = connection()
        con.register("delta", pa.Table.from_batches([rows]))
        result = con.sql(self._sql).to_arrow_table().combine_chunks()
        con.unregister("delta")
        if not result.num_rows:
            return empty_delta(self.schema)
        weights = None
        if not self._input.append_only:
            weights = result.column(WEIGHT).to_numpy()
            result = result.drop_columns([WEIGHT])
        (batch,) = result.cast(self.schema).to_batches() if result.num_columns else (empty_batch(self.schema),)
        return Delta(batch, weights)

    def _run_around(self, delta: Delta, error: duckdb.Error) -> Delta:
        """Halves the delta until the rows that fail stand alone."""
        if len(delta) == 1:
            self.failed_rows += 1
            self.last_failure = str(error).partition("\n")[0]
            return empty_delta(self.schema)
        middle = len(delta) // 2
        halves = (np.arange(middle), np.arange(middle, len(delta)))
        return concat_deltas(self.schema, [self.step(select_rows(delta, half)) for half in halves])


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


def chain_below(node: Plan) -> tuple[Filter | Project, ...]:
    """The longest chain of filters and projections that ends in `node`, the lowest first."""
    chain: list[Filter | Project] = []
    while isinstance(node, Filter | Project):
        chain.append(node)
        node = node.source
    return tuple(reversed(chain))
