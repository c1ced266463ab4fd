"""Operators of set operations that keep nothing: rows of several inputs, and rows as often as a column says."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headwater.executor.state import consolidate, empty_delta, select_rows
from headwater.planner.logical import Repeat, Union
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta, concat_deltas


class Concatenation:
    """The operator of `Union`: the rows of all inputs, one input after the other."""

    def __init__(self, node: Union) -> None:
        self.schema = arrow_schema(node.columns)

    def step(self, *deltas: Delta) -> Delta:
        rows = (pa.RecordBatch.from_arrays(delta.rows.columns, schema=self.schema) for delta in deltas)
        weighted = [Delta(batch, delta.weights) for batch, delta in zip(rows, deltas, strict=True)]
        return concat_deltas(self.schema, weighted)


class Repetition:
    """The operator of `Repeat`: the weight of a row times the number in it.

    input   (a, 2 times) −1, (a, 3 times) +1
    output  (a) +1
    """

    def __init__(self, node: Repeat) -> None:
        self.schema = arrow_schema(node.columns)
        self._times = node.times

    def step(self, delta: Delta) -> Delta:
        if not len(delta):
            return empty_delta(self.schema)
        weights = delta.weight_array * delta.rows.column(self._times).to_numpy()
        rows = Delta(delta.rows.select(self.schema.names), weights)
        return consolidate(select_rows(rows, np.flatnonzero(weights)))
