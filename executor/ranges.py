"""What happened between two cuts of the log, with the version of each change.

    content at `end` = content at `start` + the sum of the changes in between

That holds for all cuts, also those inside a commit. A plan is moved from the one to the other by a circuit; a relation
with a log of its own is read.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headwater.errors import PositionGone
from headwater.executor.circuit import Circuit
from headwater.executor.clocks import ticks
from headwater.executor.feed import Cut, first_version, read_chunks, rows_of, with_weights
from headwater.executor.past import circuit_at
from headwater.executor.state import consolidate, consolidated, empty_delta
from headwater.planner.logical import Arrivals, Now, Plan, Source, StreamSource, TableSource, walk_plan
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Chunk, Log
from headwater.values import Delta, Weights, concat_deltas

BEGINNING = Cut(-1)  # before everything, also before what a query gives without any input


@dataclass(frozen=True, eq=False)
class Changes:
    """Changes, in order, and the version of the input after which each was made."""

    delta: Delta
    versions: Weights

    def __len__(self) -> int:
        return len(self.delta)


def changes_at(version: int, delta: Delta) -> Changes:
    """A delta as changes of one version."""
    return Changes(delta, np.full(len(delta), version))


def joined(schema: pa.Schema, parts: Sequence[Changes]) -> Changes:
    """Changes one after the other."""
    present = [part for part in parts if len(part)]
    versions = np.concatenate([np.empty(0, dtype=np.int64), *(part.versions for part in present)])
    return Changes(concat_deltas(schema, [part.delta for part in present]), versions)


# ---------------------------------------------------------------- the order of cuts


def is_within(log: Log, start: Cut, end: Cut) -> bool:
    """Whether everything before `start` is before `end`, too."""
    if start.version > end.version:
        return False
    return start.version < 0 or all(
        count <= ends_at(log, id, end).get(partition, 0)
        for id in {*start.limits, *end.limits}
        for partition, count in ends_at(log, id, start).items()
    )


def ends_at(log: Log, id: int, cut: Cut) -> dict[int, int]:
    """The next offset of each partition of a relation at a cut."""
    ends = log.ends(id, cut.version)
    limits = cut.limits.get(id)
    return ends if limits is None else {p: min(end, limits.get(p, 0)) for p, end in ends.items()}


# ---------------------------------------------------------------- logs


def recorded(log: Log, leaf: StreamSource | TableSource, start: Cut, end: Cut) -> Changes:
    """What the log of a stream, or of a table without a key, gained; per commit equal rows of a table as one."""
    chunks = list(chunks_between(log, leaf, start, end))
    rows = rows_of(chunks, leaf)
    if isinstance(leaf, StreamSource):
        return Changes(Delta(rows), versions_of(chunks))
    return per_version(Changes(with_weights(rows), versions_of(chunks)))


def versions_of(chunks: Sequence[Chunk]) -> Weights:
    """The version of each row."""
    return np.repeat([c.version for c in chunks], [c.rows.num_rows for c in chunks]).astype(np.int64)


def per_version(changes: Changes) -> Changes:
    """Equal rows of one version as one; what cancels out is gone."""
    delta, names = changes.delta, changes.delta.rows.schema.names
    with_versions = Delta(delta.rows.append_column("$version", pa.array(changes.versions)), delta.weight_array)
    found, _ = consolidated(with_versions)
    return Changes(found.select(names), found.rows.column("$version").to_numpy())


def chunks_between(log: Log, leaf: StreamSource | TableSource, start: Cut, end: Cut) -> Iterator[Chunk]:
    """The rows of a relation's log before `end` and not before `start`, in log order.

    Raises `PositionGone` where retention has taken some of them.
    """
    limits, kept = start.limits.get(leaf.id), log.start(leaf.id)
    if start is not BEGINNING and start.version < kept.version:
        raise PositionGone("changes that this asks for are no more", earliest=kept.version)
    if limits is None:
        yield from read_chunks(log, leaf, max(start.version, 0), end)
        return
    unread = [(p, limits.get(p, 0)) for p, n in log.ends(leaf.id, start.version).items() if limits.get(p, 0) < n]
    after = min((log.version_of(leaf.id, p, offset) - 1 for p, offset in unread), default=start.version)
    for chunk in read_chunks(log, leaf, after, end):
        read = max(0, limits.get(chunk.partition, 0) - chunk.offset) if chunk.version <= start.version else 0
        if not read:
            yield chunk
        elif read < chunk.rows.num_rows:
            rows = chunk.rows.slice(read)
            yield Chunk(chunk.version, chunk.time_us, chunk.partition, chunk.offset + read, rows)


# ---------------------------------------------------------------- circuits


def resumed(log: Log, plan: Plan, cut: Cut) -> Circuit:
    """A circuit of a plan at a cut, without the rows that the plan has there: to be moved on."""
    circuit = Circuit([plan], keep=False)
    if circuit.holders:
        return circuit_at(log, [plan], cut, keep=False)
    first = first_version(log, [leaf.id for leaf in circuit.leaves])
    if cut.version < first:
        raise PositionGone(f"version {cut.version} is no more", earliest=first)
    circuit.version = cut.version
    return circuit


class Moving:
    """A circuit of one plan, moved from cut to cut."""

    def __init__(self, log: Log, plan: Plan, start: Cut) -> None:
        self._log = log
        self._plan = plan
        self.cut = start
        self._circuit = Circuit([plan]) if start is BEGINNING else circuit_at(log, [plan], start)

    def to(self, end: Cut) -> Delta:
        """Moves to a cut that is not before the one where it is; gives what changed."""
        plan, start = self._plan, self.cut
        self.cut = end
        if start is BEGINNING:
            self._circuit = circuit_at(self._log, [plan], end)
            return self._circuit.content(plan)
        if start.limits:  # there is no way on from inside a commit, as rows that were left out would come too late
            before = self._circuit.content(plan)
            self._circuit = circuit_at(self._log, [plan], end)
            after = self._circuit.content(plan)
            weights = np.concatenate([-before.weight_array, after.weight_array])
            return consolidate(Delta(pa.concat_batches([before.rows, after.rows]), weights))
        return consolidate(concat_deltas(arrow_schema(plan.columns), self._circuit.advance(self._log, end)[plan]))

    def through(self, end: Cut) -> Changes:
        """Moves to a cut that is not before the one where it is; gives what changed, by the commits of the input."""
        log, plan = self._log, self._plan
        first = self.cut.version if self.cut is not BEGINNING else _earliest(log, plan)
        whole = [Cut(version) for version in (first, *_input_versions(log, plan, first, end.version))]
        points = [*(cut for cut in whole if is_within(log, cut, end)), end]
        parts = [changes_at(cut.version, self.to(cut)) for cut in points if cut != self.cut]
        return joined(arrow_schema(plan.columns), parts)


def moved(log: Log, plan: Plan, start: Cut, end: Cut) -> Changes:
    """What changed in the content of a plan, as one change at `end`."""
    has_limits = bool(start.limits or end.limits)
    if start == end or (start is not BEGINNING and not has_limits and not _has_input(log, plan, start, end)):
        return changes_at(end.version, empty_delta(arrow_schema(plan.columns)))
    return changes_at(end.version, Moving(log, plan, start).to(end))


def _earliest(log: Log, plan: Plan) -> int:
    """The earliest version of which the content of a plan can still be told."""
    first = first_version(log, [leaf.id for leaf in _sources(plan)])
    try:
        circuit_at(log, [plan], Cut(first))
    except PositionGone as gone:
        return gone.earliest
    return first


def _input_versions(log: Log, plan: Plan, after: int, upto: int) -> list[int]:
    """The versions in (after, upto] that have input for a plan: records, and ticks where it follows time."""
    found = {version for leaf in _sources(plan) for version, _ in log.extents(leaf.id, after, upto)}
    return sorted(found.union(ticks(log, after, upto) if _follows_time(plan) else ()))


def _has_input(log: Log, plan: Plan, start: Cut, end: Cut) -> bool:
    if _follows_time(plan):
        return True
    return any(log.row_count(leaf.id, end.version) > log.row_count(leaf.id, start.version) for leaf in _sources(plan))


def _follows_time(plan: Plan) -> bool:
    return any(isinstance(node, Now | Arrivals) for node in walk_plan(plan))


def _sources(plan: Plan) -> list[Source]:
    return [node for node in walk_plan(plan) if isinstance(node, Source)]
