"""Where a circuit meets the log: what its leaves make of stored records, and the offsets of a derived stream."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import PartitionState, TableState, empty_delta
from headwater.planner.logical import Source, StreamOutput, TableSource
from headwater.planner.sql_types import arrow_schema
from headwater.values import ROWPARTITION, Delta


class LogReader:
    """The operator of a leaf whose log holds deltas as they are: a stream, a bag, a stored changelog."""

    def __init__(self, node: Source) -> None:
        self.schema = arrow_schema(node.columns)

    def step(self, delta: Delta) -> Delta:
        return delta


class Upsert:
    """The operator of a source table with a primary key: each record replaces the row of its key, or removes it."""

    def __init__(self, node: TableSource) -> None:
        self.schema = arrow_schema(node.columns)
        self.table = TableState(self.schema, node.primary_key)

    @property
    def nbytes(self) -> int:
        return self.table.nbytes

    @property
    def state_rows(self) -> int:
        return len(self.table)

    def step(self, delta: Delta) -> Delta:
        if not len(delta):
            return empty_delta(self.schema)
        changed = self.table.upsert(delta.rows, delta.weight_array)
        if self.table.is_sparse:
            self.table.compact()
        return changed

    def save(self) -> ChunkedParts:
        return self.table.save()

    def restore(self, parts: Parts) -> None:
        self.table.restore(parts)


class OffsetCounter(PartitionState):
    """The operator of `StreamOutput`: `numbers` are the next offsets of the derived stream's partitions."""

    def __init__(self, node: StreamOutput) -> None:
        super().__init__()
        self.schema = arrow_schema(node.columns)

    def step(self, delta: Delta) -> Delta:
        partitions = delta.rows.column(ROWPARTITION).to_numpy(zero_copy_only=False)
        offsets = np.empty(len(delta), dtype=np.int64)
        for partition in np.unique(partitions).tolist():
            rows = np.flatnonzero(partitions == partition)
            first = self.numbers.get(partition, 0)
            offsets[rows] = first + np.arange(len(rows))
            self.numbers[partition] = first + len(rows)
        return Delta(pa.RecordBatch.from_arrays([*delta.rows.columns, pa.array(offsets)], schema=self.schema))
