"""Rows for the elements of lists."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.executor.state import consolidate, empty_delta
from headwater.planner.logical import Unnest
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta


class Elements:
    """The operator of `Unnest`.

    input   (a, [x, y]) −1, (a, [x, z]) +1
    output  (a, y) −1, (a, z) +1
    """

    def __init__(self, node: Unnest) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._kept = [name for name in node.source.names if name != node.items]

    def step(self, delta: Delta) -> Delta:
        if not len(delta):
            return empty_delta(self.schema)
        lists = delta.rows.column(self.node.items)
        lengths = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False).astype(np.int64)
        counts = np.maximum(lengths, 1) if self.node.outer else lengths
        parents = np.repeat(np.arange(len(delta)), counts)
        place = np.arange(len(parents)) - np.repeat(np.cumsum(counts) - counts, counts)
        first = np.cumsum(lengths) - lengths
        is_missing = lengths[parents] == 0
        wanted = pa.array(first[parents] + place, mask=is_missing)
        elements = lists.flatten().take(wanted).cast(self.schema.field(self.node.element.name).type)
        arrays = [*delta.rows.select(self._kept).take(pa.array(parents)).columns, elements]
        if self.node.place is not None:
            arrays.append(pa.array(place + 1, mask=is_missing))
        weights = None if delta.weights is None else delta.weights[parents]
        return consolidate(Delta(pa.RecordBatch.from_arrays(arrays, schema=self.schema), weights))
