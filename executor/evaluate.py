"""Filters and projections: a chain of them is one vectorised DuckDB query over the delta.

DuckDB evaluates the expressions, so a continuous query computes what a snapshot query would. Projections that only
choose, reorder or rename columns do not need it, nor do simple expressions (arrow_path.py).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from headwater.executor.arrow_path import arrow_path
from headwater.executor.expressions import Chain, chain_sql, connection, run_sql, run_tried_sql
from headwater.executor.row_errors import ROW_ERRORS, Failures, failing_rows
from headwater.executor.state import empty_delta, select_rows
from headwater.executor.time_texts import TimeText, TimeTexts, with_text_columns
from headwater.parser import quote
from headwater.planner.logical import Checked, Filter, Plan, Project
from headwater.planner.sql_types import arrow_schema, cast_from_arrow
from headwater.values import WEIGHT, Delta

__all__ = ["ROW_ERRORS", "Evaluate", "chain_below", "connection", "run_sql"]


class Evaluate:
    """The operator of a chain of `Filter` and `Project` nodes, given from the input upwards.

    A row on which an expression fails (a bad cast, an overflow) is left out and, where it was to be added, told of in
    `failures`. Whether a row fails depends on the row alone, not on its batch.
    """

    def __init__(self, chain: Chain) -> None:
        self.schema = arrow_schema(chain[-1].columns)
        self.failures: list[Failures] = []
        self._chain = chain
        self._renames = _renames(chain)
        self._weighted = not chain[0].source.append_only
        quick, texts = _with_text_columns(chain)
        self._texts = TimeTexts(texts)
        names = tuple(text.name for text in texts)
        self._arrow = arrow_path(quick, names)
        weight = (WEIGHT,) if self._weighted else ()
        self._sql = chain_sql(quick, chain[0].source, weight, names)
        self._plain_sql = chain_sql(chain, chain[0].source, weight)
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
        with_texts = self._texts.added_to(delta.rows, connection())
        sql, rows = (self._plain_sql, delta.rows) if with_texts is None else (self._sql, with_texts)
        if self._arrow is not None and with_texts is not None:
            found = self._arrow.run(Delta(with_texts, delta.weights))
            if found is not None:
                return found
        if self._weighted:
            rows = rows.append_column(WEIGHT, pa.array(delta.weight_array))
        result = run_sql(sql, rows)
        if not result.num_rows:
            return empty_delta(self.schema)
        weights = None
        if self._weighted:
            weights = result.column(WEIGHT).to_numpy()
            result = result.drop_columns([WEIGHT])
        (batch,) = result.select(self.schema.names).cast(self.schema).to_batches()  # without columns that were given
        return Delta(batch, weights)

    def _run_without_failing(self, delta: Delta, error: Exception) -> Delta:
        failing = run_tried_sql(self._failing_sql, delta.rows).column(0).to_numpy()
        if not len(failing):
            raise error
        self.failures += failing_rows(self._chain, delta, failing)
        return self.step(select_rows(delta, np.delete(np.arange(len(delta)), failing)))


def _renames(chain: Chain) -> list[str] | None:
    """For each output column the input column that it is, if the chain only chooses and renames columns."""
    names = {name: name for name in chain[0].source.names}
    for node in chain:
        if isinstance(node, Filter) or not all(e.is_column for _, e in node.items):
            return None
        names = {name: names[e.reads[0]] for name, e in node.items}
    return [names[name] for name in chain[-1].names]


def _with_text_columns(chain: Chain) -> tuple[Chain, list[TimeText]]:
    """The chain with the times that its lowest nodes write as text read from columns; those columns."""
    result: list[Filter | Project] = []
    texts: list[TimeText] = []
    columns = chain[0].source.columns
    for place, node in enumerate(chain):
        if isinstance(node, Filter):
            predicate, found = with_text_columns(node.predicate, columns)
            result.append(replace(node, predicate=predicate))
            texts += found
            continue
        rewritten = [(name, *with_text_columns(expression, columns)) for name, expression in node.items]
        result.append(replace(node, items=tuple((name, expression) for name, expression, _ in rewritten)))
        texts += [text for _, _, found in rewritten for text in found]
        result += chain[place + 1 :]  # these read what it gives
        break
    return tuple(result), list(dict.fromkeys(texts))


def _failing_sql(chain: Chain) -> str:
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


def chain_below(node: Plan) -> Chain:
    """The longest chain of filters and projections that ends in `node`, the lowest first. A check stands alone."""
    chain: list[Filter | Project] = []
    while isinstance(node, Filter | Project) and not isinstance(node, Checked):
        chain.append(node)
        node = node.source
    return tuple(reversed(chain))
