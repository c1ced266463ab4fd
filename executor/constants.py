"""Rows of constants, which are there before anything is read."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headwater.executor.chunks import int_chunks, int_column
from headwater.executor.evaluate import connection
from headwater.executor.operators import ChunkedParts, Parts
from headwater.executor.state import empty_delta
from headwater.parser import quote
from headwater.planner.logical import Constant
from headwater.planner.sql_types import arrow_schema
from headwater.values import Delta


class ConstantRows:
    """The operator of `Constant`: gives all rows in the first step, and remembers that it has."""

    def __init__(self, node: Constant) -> None:
        self.node = node
        self.schema = arrow_schema(node.columns)
        self._is_given = False

    @property
    def nbytes(self) -> int:
        return 0

    @property
    def state_rows(self) -> int:
        return 0

    def step(self) -> Delta:
        if self._is_given:
            return empty_delta(self.schema)
        self._is_given = True
        names = ", ".join(quote(c.name) for c in self.node.columns)
        items = ", ".join(f"CAST({quote(c.name)} AS {c.type})" for c in self.node.columns)
        result = connection().sql(f"SELECT {items} FROM ({self.node.sql}) AS v ({names})").to_arrow_table()
        columns = [
            column.combine_chunks().cast(field.type) for column, field in zip(result.columns, self.schema, strict=True)
        ]
        return Delta(pa.RecordBatch.from_arrays(columns, schema=self.schema))

    def save(self) -> ChunkedParts:
        return {"given": int_chunks(given=np.array([self._is_given], dtype=np.int64))}

    def restore(self, parts: Parts) -> None:
        self._is_given = bool(int_column(parts["given"], "given")[0])
