"""CHANGES: what happened to a relation between two points of the log, as rows.

A relation that is written has an entry per commit. One that a query keeps has an entry per step: its changelog as it
was written, whose entries have the version of the input that the step had read, so that AS OF that version is the
relation right after them. A point inside a step divides the entry of that step; the parts are computed. A view has no
changelog: its changes are computed, an entry per commit of its input.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from heapq import merge
from itertools import takewhile

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from headwater.engine.recovery import images_of
from headwater.engine.stops import NOTE
from headwater.errors import Unsupported
from headwater.executor import change_rows
from headwater.executor.clocks import commit_time
from headwater.executor.feed import Cut, read_chunks, rows_of, with_weights
from headwater.executor.past import circuit_at
from headwater.executor.ranges import (
    BEGINNING,
    Changes,
    Moving,
    ends_at,
    is_within,
    joined,
    moved,
    per_version,
    recorded,
    versions_of,
)
from headwater.executor.upserts import Upserts
from headwater.parser import syntax
from headwater.planner import Plan, Relation
from headwater.planner.logical import Changelog, StreamSource, TableSource, has_order_of_log
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Log
from headwater.values import Column

Versions = npt.NDArray[np.int64]


def changes_in(
    log: Log,
    relation: Relation | None,
    plan: Plan,
    start: Cut,
    end: Cut,
    shown: Sequence[Column],
    records: tuple[Cut, Cut] | None = None,
) -> Changes:
    """The changes of a relation, or without one of a view's plan, with the columns `shown` at least.

    Of a derived stream `records` are the two cuts in its own log. Raises `PositionGone` for what is no more.
    """
    if relation is None:
        return Moving(log, plan, start).through(end)
    if relation.is_stream:
        leaf = StreamSource(relation.id, relation.name, tuple(shown))
        if records is None:
            return recorded(log, leaf, start, end)
        return _by_step(log, relation, recorded(log, leaf, *records), end.version)
    if relation.is_derived:
        return _stored(log, relation, plan, start, end)
    assert isinstance(plan, TableSource)
    return Upserts(log, plan, start).through(end) if plan.primary_key else recorded(log, plan, start, end)


def as_rows(log: Log, changes: Changes, columns: Sequence[Column]) -> pa.RecordBatch:
    """A row per change, by version, removals first; `columns` are some of CHANGE_COLUMNS and of the relation."""
    return change_rows.as_rows(changes.delta, changes.versions, columns, partial(_times, log))


def _times(log: Log, versions: Versions) -> pa.Array:
    """When each version was committed; NULL before the first commit."""
    distinct, numbers = np.unique(versions, return_inverse=True)
    times = change_rows.times_of([commit_time(log, version) for version in distinct.tolist()])
    return times.take(pa.array(numbers))


def records_at(log: Log, relation: Relation, cut: Cut, point: syntax.AsOf, written: int) -> Cut:
    """The cut of a derived stream's log, at version `written`, for one of its sources: the first so many records."""
    assert relation.plan is not None
    if relation.id in cut.limits:
        return Cut(written, {relation.id: ends_at(log, relation.id, cut)})
    if cut.limits and has_order_of_log(relation.plan):
        raise Unsupported(
            f'"{relation.name}" has its records in the order of the log, so offsets of its sources are no place in it',
            point.span, hint="use its own OFFSET, or a VERSION",
        )  # fmt: skip
    return Cut(written, {relation.id: circuit_at(log, [relation.plan], cut).ends(relation.plan)})


# ---------------------------------------------------------------- what steps wrote


def steps_of(log: Log, relation: Relation, after: int) -> Iterator[tuple[int, int]]:
    """The commits after a version that made a relation, or brought it further, each with the version of the input that
    its log had the output of by then. Images tell of some steps that wrote nothing.

    A query that stood still is as of each version what it was when it stopped, until the commit with which it goes on.
    What was committed while it caught up comes with the next step, so that commit is no place to divide changes at.
    """
    made = next((v, note["frontier"]) for v, note in log.kept("ddl") if relation.id in _ids(note))
    still = _standing_still(log, relation)
    steps = ((version, step["to"]) for version, step in log.notes("step", max(after, made[0])))
    images = sorted((image.note["last_step"][0], image.note["frontier"]) for image in images_of(log))
    if made[0] > after:
        yield made
    for written, to in merge(steps, images):
        if written <= max(after, made[0]) or any(begin <= written < end for begin, end in still):
            continue
        if not any(end == written for _, end in still):
            yield written, to
        elif to == written - 1:
            yield written, written


def _ids(note: dict[str, object]) -> list[object]:
    made = note.get("replace", [note])
    assert isinstance(made, list)
    return [item.get("id") for item in made]


def _standing_still(log: Log, relation: Relation) -> list[tuple[int, float]]:
    """From which commits on the query of a relation stood still, and at which it went on."""
    found: list[tuple[int, float]] = []
    for version, note in log.kept(NOTE):
        if any(stop["id"] == relation.id for stop in note.get("stop", ())):
            found.append((version, float("inf")))
        if relation.id in note.get("resume", ()):
            found[-1] = (found[-1][0], version)
    return found


def _stored(log: Log, relation: Relation, plan: Plan, start: Cut, end: Cut) -> Changes:
    """The changelog of a derived table; what lies inside a step is computed."""
    begin = log.start(relation.id).version
    found = takewhile(lambda step: step[1] <= end.version, steps_of(log, relation, max(start.version, 0)))
    steps = [
        (written, to)
        for written, to in found
        if written >= begin and is_within(log, start, Cut(to)) and is_within(log, Cut(to), end)
    ]
    if not steps:
        return moved(log, plan, start, end)
    (first, first_to), (last, last_to) = steps[0], steps[-1]
    if start is BEGINNING:
        parts = [written_between(log, relation, (), 0, last)]
    else:
        parts = [moved(log, plan, start, Cut(first_to)), written_between(log, relation, (), first, last)]
    return joined(arrow_schema(plan.columns), [*parts, moved(log, plan, Cut(last_to), end)])


def written_between(log: Log, relation: Relation, shown: Sequence[Column], after: int, upto: int) -> Changes:
    """What the steps committed in (after, upto] wrote in a derived relation's log; of a stream the columns `shown`."""
    if relation.is_stream:
        records = recorded(log, StreamSource(relation.id, relation.name, tuple(shown)), Cut(after), Cut(upto))
        return _by_step(log, relation, records, upto)
    leaf = Changelog(relation.id, relation.name, relation.columns, None)
    chunks = read_chunks(log, leaf, after, Cut(upto))
    steps = list(takewhile(lambda step: step[0] <= upto, steps_of(log, relation, after)))
    return per_version(Changes(with_weights(rows_of(chunks, leaf)), _inputs_of(versions_of(chunks), steps)))


def _by_step(log: Log, relation: Relation, records: Changes, last: int) -> Changes:
    """Records of a derived stream, with the versions of the input that they come from, which end at `last`."""
    if not len(records):
        return records
    first, end = int(records.versions[0]), int(records.versions[-1])
    steps = takewhile(lambda step: step[0] <= end, steps_of(log, relation, first - 1))
    inputs = [(written, min(to, last)) for written, to in steps]
    return replace(records, versions=_inputs_of(records.versions, inputs))


def _inputs_of(written: Versions, steps: list[tuple[int, int]]) -> Versions:
    """For the versions of commits the input versions of the steps that they belong to."""
    if not len(written):
        return written
    commits, inputs = np.array(steps, dtype=np.int64).T
    found: Versions = inputs[np.searchsorted(commits, written)]
    return found
