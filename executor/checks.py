"""CHECK: rows that violate a condition are left out, and kept until somebody has been told of them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headwater.executor.evaluate import Evaluate
from headwater.executor.row_errors import Failures
from headwater.executor.state import consolidate
from headwater.planner.logical import Checked, Filter
from headwater.values import Delta


class Checks:
    """The operator of `Checked`: `violating` are the rows that were to be added in the last step and are left out.

    A row on which the condition cannot be computed is one that fails. While all rows pass, it costs what a filter does.
    """

    def __init__(self, node: Checked) -> None:
        self._kept = Evaluate((Filter(node.source, node.predicate),))
        self._left_out = Evaluate((Filter(node.source, node.violated),))
        self.schema = self._kept.schema
        self.violating: pa.RecordBatch | None = None

    @property
    def failures(self) -> list[Failures]:
        """The rows on which the condition cannot be computed."""
        return self._kept.failures

    @failures.setter
    def failures(self, left: list[Failures]) -> None:
        self._kept.failures = left

    def step(self, delta: Delta) -> Delta:
        kept = self._kept.step(delta)
        self.violating = None
        if len(kept) < len(delta):
            left_out, self._left_out.failures = self._left_out.step(delta), []  # what fails is told of once
            self.violating = _added(left_out)
        return kept


def _added(delta: Delta) -> pa.RecordBatch | None:
    """The rows that a delta adds, each as often as it does; None without any."""
    if delta.weights is not None:
        delta = consolidate(delta)
    counts = np.maximum(delta.weight_array, 0)
    rows = delta.rows.take(pa.array(np.repeat(np.arange(len(delta)), counts)))
    return rows if rows.num_rows else None
