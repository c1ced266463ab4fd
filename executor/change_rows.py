"""Changes as rows: what was added and removed, with the version that did it and its time."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.executor.state import consolidate, empty_delta
from headwater.planner.logical import ChangeRows
from headwater.planner.past_nodes import OP, TIME, VERSION
from headwater.planner.sql_types import arrow_schema
from headwater.values import Column, Delta

Versions = npt.NDArray[np.int64]


class ChangeRecords:
    """The operator of `ChangeRows`.

        table    (1, a) −1, (1, b) +1                       by a commit that is version 7
        output   (DELETE, 7, …, 1, a), (INSERT, 7, …, 1, b)

    The caller cuts steps so that all changes of the table in one are of one commit.
    """

    def __init__(self, node: ChangeRows) -> None:
        self._columns = node.columns
        self.schema = arrow_schema(node.columns)

    def step(self, table: Delta, *commits: Delta) -> Delta:
        """`commits` have those to what the table is computed from; without any, it was so before the first."""
        table = consolidate(table)
        if not len(table):
            return empty_delta(self.schema)
        found = [[column[-1].as_py() for column in commit.rows.columns] for commit in commits if len(commit)]
        time, version = max(found, default=(None, 0))
        versions = np.full(len(table), version, dtype=np.int64)
        return Delta(as_rows(table, versions, self._columns, lambda then: times_of([time] * len(then))))


def as_rows(
    delta: Delta, versions: Versions, columns: Sequence[Column], times: Callable[[Versions], pa.Array]
) -> pa.RecordBatch:
    """A row per change, by the `versions` of changes, removals first; `columns` are some of CHANGE_COLUMNS and of those
    that have changed. `times` tells when versions were committed.
    """
    weights = delta.weight_array
    order = np.lexsort((weights > 0, versions))
    places = np.repeat(order, np.abs(weights[order]))
    versions, is_added = versions[places], weights[places] > 0
    rows = delta.rows.take(pa.array(places))
    made = {
        OP: lambda: pa.array(["DELETE", "INSERT"]).take(pa.array(is_added.astype(np.int8))),
        VERSION: lambda: pa.array(versions),
        TIME: lambda: times(versions),
    }
    arrays = [made[c.name]() if c.name in made else rows.column(c.name) for c in columns]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(columns))


def times_of(microseconds: Sequence[int | None]) -> pa.Array:
    """Times of commits, NULL before the first one."""
    return pa.array(microseconds, type=pa.int64()).cast(pa.timestamp("us"))
