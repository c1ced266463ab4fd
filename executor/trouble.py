"""What goes wrong while a circuit moves: rows that fail, and operators that cannot go on."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from headwater.executor.key_index import Slots
from headwater.executor.row_errors import Failures, error_schema
from headwater.planner.logical import Checked, Plan, StreamSource, StreamTime, walk_plan
from headwater.storage import Log
from headwater.values import empty_batch


@dataclass(slots=True)
class Trouble:
    """Collected by a circuit on its way, for whoever moves it: by the node of an operator, what it could not do.

    `rows` are those of an error stream, `violations` those that a check has left out. `failed` are operators that
    raised an error; what follows is `broken`.
    """

    rows: dict[Plan, list[pa.RecordBatch]] = field(default_factory=dict)
    violations: dict[Plan, list[pa.RecordBatch]] = field(default_factory=dict)
    failed: dict[Plan, Exception] = field(default_factory=dict)
    broken: set[Plan] = field(default_factory=set)

    def fail(self, node: Plan, error: Exception) -> None:
        """Notes an operator that cannot go on."""
        self.failed[node] = error
        self.broken.add(node)

    def cause(self, root: Plan) -> tuple[Plan, Exception] | None:
        """The operator because of which `root` cannot be computed any more, with its error."""
        if root not in self.broken:
            return None
        return next((node, self.failed[node]) for node in walk_plan(root) if node in self.failed)

    def violating(self, check: Checked) -> pa.RecordBatch | None:
        """The rows that a check has left out, if there are any."""
        found = self.violations.get(check)
        return pa.concat_batches(found) if found else None

    def errors(self, root: Plan) -> pa.RecordBatch:
        """The rows that failed on the way to `root`."""
        if not self.rows:
            return empty_batch(error_schema())
        found = [batch for node in walk_plan(root) for batch in self.rows.get(node, ())]
        return pa.concat_batches(found) if found else empty_batch(error_schema())


def told(failures: Failures, source: Plan, log: Log, after: int, upto: int) -> pa.RecordBatch:
    """The error rows of an operator over `source`, in a step that read the versions (after, upto] of the log."""
    leaf = source.source if isinstance(source, StreamTime) else source
    if not isinstance(leaf, StreamSource) or failures.places is None:
        return failures.told(None, None, None)
    return failures.told(leaf.name, *_places(log, leaf, after, upto, failures.places))


def _places(log: Log, leaf: StreamSource, after: int, upto: int, places: Slots) -> tuple[Slots, Slots]:
    """The partitions and offsets of the records at `places` among those of a stream in (after, upto]."""
    extents = [extent for _, extent in log.extents(leaf.id, after, upto)]
    begins = dict(leaf.start)
    read = [max(0, e.count - max(0, begins.get(e.partition, 0) - e.offset)) for e in extents]
    ends = np.cumsum(read)
    which = np.searchsorted(ends, places, side="right")
    partitions = np.array([extent.partition for extent in extents])[which]
    firsts = np.array([extent.offset + extent.count for extent in extents])[which] - ends[which]
    return partitions, firsts + places
