"""The vocabulary below everything: columns, the names of pseudo-columns, and deltas (Z-sets).

A delta is an Arrow record batch with a weight per row: +1 added, −1 removed. It is the only thing that flows between
operators; folding the deltas of a table up to a version gives the table at that version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa

ROWTIME = "ROWTIME"
ROWPARTITION = "ROWPARTITION"
ROWOFFSET = "ROWOFFSET"
WINDOWSTART = "WINDOWSTART"
WINDOWEND = "WINDOWEND"

# Weight column of changelogs and of source tables' logs, as stored. Columns of users do not begin with $.
WEIGHT = "$weight"

PSEUDO_COLUMNS = (ROWTIME, ROWPARTITION, ROWOFFSET)

Weights = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Column:
    """A named column and its type, in DuckDB's spelling (`BIGINT`, `VARCHAR[]`, `DECIMAL(18,2)`)."""

    name: str
    type: str


@dataclass(frozen=True, slots=True, eq=False)
class Delta:
    """Rows with weights (int64, one per row, never 0). `weights` None means +1 for every row."""

    rows: pa.RecordBatch
    weights: Weights | None = None

    def __post_init__(self) -> None:
        assert self.weights is None or len(self.weights) == self.rows.num_rows

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def weight_array(self) -> Weights:
        """The weights as an array, also where they are all +1."""
        return np.ones(len(self), dtype=np.int64) if self.weights is None else self.weights

    def select(self, names: Sequence[str]) -> Delta:
        """The same rows with only the columns `names`, in that order."""
        return Delta(self.rows.select(list(names)), self.weights)


def empty_batch(schema: pa.Schema) -> pa.RecordBatch:
    """A record batch of `schema` without rows."""
    return pa.RecordBatch.from_arrays([pa.array([], type=f.type) for f in schema], schema=schema)


def concat_deltas(schema: pa.Schema, deltas: Sequence[Delta]) -> Delta:
    """The deltas one after the other. Weightless only if all of them are."""
    present = [d for d in deltas if len(d)]
    if not present:
        return Delta(empty_batch(schema))
    if len(present) == 1:
        return present[0]
    rows = pa.concat_batches([d.rows for d in present])
    if all(d.weights is None for d in present):
        return Delta(rows)
    return Delta(rows, np.concatenate([d.weight_array for d in present]))
