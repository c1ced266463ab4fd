"""PREVIEW CREATE OR REPLACE: the rows that a definition would take away and bring, without making it.

The new query is run beside the old one to where that is, as it would be to replace it; then both are compared as bags.
"""

from __future__ import annotations

import pyarrow as pa

from headwater.engine.definitions import making
from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.result import Result
from headwater.errors import SqlError
from headwater.executor.feed import Cut, read_rows
from headwater.executor.state import consolidated
from headwater.parser import quote, syntax
from headwater.planner import Relation
from headwater.planner.logical import StreamSource
from headwater.planner.sql_types import arrow_schema
from headwater.values import Column, concat_deltas

OPERATION = "_op"

_Rows = tuple[pa.Table, tuple[Column, ...]]


def preview(statement: syntax.Preview, pipeline: Pipeline, reader: Reader) -> Result:
    """Rows with `_op`, DELETE or INSERT, and the columns of the new relation and the old one, by name.

    Raises what the definition itself would.
    """
    create = statement.statement
    if create.query is None:
        raise SqlError(
            "only what a query makes can be previewed", create.span,
            hint=f"PREVIEW CREATE OR REPLACE {create.kind} {create.name.text} AS SELECT …",
        )  # fmt: skip
    with pipeline.defining:
        planned = making(create, pipeline, reader)
        new = planned.relations[0].seen_from(planned.relations[0].clock)
        coming = pipeline.coming([new], planned.catalog)
        with pipeline.lock:
            while pipeline.step():
                pass
            frontier = pipeline.circuit.version
            existing = pipeline.catalog.get(create.name.text)
            old = None if existing is None else _there(existing, pipeline)
        coming.reach(frontier)
    assert new.plan is not None
    delta, _ = consolidated(concat_deltas(arrow_schema(new.plan.columns), coming.changes[new.plan]))
    rows = _repeated(delta.rows, delta.weight_array.tolist()).select([c.name for c in new.columns])
    return _compared(old or (arrow_schema(new.columns).empty_table(), new.columns), (rows, new.columns), reader, create)


def _there(relation: Relation, pipeline: Pipeline) -> _Rows:
    """The rows that a relation has; call with the lock held."""
    if relation.is_stream:
        leaf = StreamSource(relation.id, relation.name, relation.columns)
        table = pa.Table.from_batches([read_rows(pipeline.log, leaf, 0, Cut(pipeline.log.version))])
    else:
        content = pipeline.content(relation)
        table = _repeated(content.rows, content.weight_array.tolist())
    return table.select([c.name for c in relation.columns]), relation.columns


def _repeated(rows: pa.RecordBatch, weights: list[int]) -> pa.Table:
    """Each row as often as its weight says."""
    table = pa.Table.from_batches([rows])
    if all(weight == 1 for weight in weights):
        return table
    return table.take(pa.array([place for place, weight in enumerate(weights) for _ in range(weight)], pa.int64()))


def _compared(old: _Rows, new: _Rows, reader: Reader, at: syntax.Node) -> Result:
    """What is in one and not in the other, in order. Rows with other columns are other rows."""
    is_same = old[1] == new[1]
    gone = "SELECT * FROM old EXCEPT ALL SELECT * FROM new" if is_same else "SELECT * FROM old"
    come = "SELECT * FROM new EXCEPT ALL SELECT * FROM old" if is_same else "SELECT * FROM new"
    names = dict.fromkeys([OPERATION, *(column.name for column in (*new[1], *old[1]))])
    sql = (
        f"SELECT {', '.join(map(quote, names))} FROM (SELECT 'DELETE' AS {OPERATION}, * FROM ({gone}) "
        f"UNION ALL BY NAME SELECT 'INSERT' AS {OPERATION}, * FROM ({come})) ORDER BY ALL"
    )
    return reader.over(sql, {"old": old, "new": new}, at)
