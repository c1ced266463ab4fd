"""Retention: taking the oldest out of the logs of relations, as their properties say.

A stream loses its oldest records. A table's changelog is folded: the rows that the table had then take the place of the
changes up to there, so the table loses history and no rows. Nothing goes that recovery needs: the running queries can
always be computed from the older of two images, so retention stays behind it. Of what stays, the earliest position is
known, and errors name it.

In: a pipeline; out: a commit that says what is no more, or nothing if there was nothing worth it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np

from headwater.engine.apart import Apart
from headwater.engine.ingest import FRAME_ROWS
from headwater.engine.past import Past
from headwater.engine.pipeline import Pipeline
from headwater.engine.positions import sources
from headwater.engine.recovery import images_of
from headwater.errors import StorageError
from headwater.executor.circuit import stored_changes
from headwater.executor.feed import Cut
from headwater.executor.past import covering_images
from headwater.executor.state import consolidate
from headwater.planner import Relation
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Append, Image, Log, Storage
from headwater.values import Delta, concat_deltas

logger = logging.getLogger("headwater")

INTERVAL_SECONDS = 30.0  # how often retention looks for something to do
WORTH_SHARE = 8  # a log is cut once at least one part in so many of its rows can go


class Retaining:
    """Retention from time to time, by the clock of a storage."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._opened = storage.now_us(), storage.monotonic()
        self._looked_at = storage.monotonic()

    def idle(self, apart: Apart) -> float | None:
        """Does what is due between steps; gives the seconds until there may be more to do."""
        if not is_wanted(apart.main):
            return None
        now = self._storage.monotonic()
        if now - self._looked_at >= INTERVAL_SECONDS:
            self._looked_at = now
            try:
                retain(apart, self.now_us())
            except StorageError as error:
                logger.warning("retention has to wait: %s", error)
        return INTERVAL_SECONDS

    def now_us(self) -> int:
        """The time, in µs since 1970, but never further from the opening than has passed since: a clock that jumps
        forward must not make everything old.
        """
        opened_us, opened = self._opened
        elapsed_us = int((self._storage.monotonic() - opened) * 1e6)
        return min(self._storage.now_us(), opened_us + elapsed_us)


def is_wanted(pipeline: Pipeline) -> bool:
    """Whether any relation has a limit to what it keeps."""
    return any(not relation.log.is_kept_for_ever for relation in pipeline.catalog.ordered())


def retain(apart: Apart, now_us: int) -> bool:
    """Take out what need not be kept any more at a time in µs since 1970; False if nothing was.

    While a definition is being made, nothing is: it may read all of the log.
    """
    if not apart.main.defining.acquire(blocking=False):
        return False
    try:
        return _retain(apart, now_us)
    finally:
        apart.main.defining.release()


def _retain(apart: Apart, now_us: int) -> bool:
    pipeline = apart.main
    with pipeline.lock:
        log = pipeline.log
        moving = [r for r in pipeline.catalog.ordered() if r.id not in pipeline.stopped]
        kept = [*moving, *pipeline.catalog.error_streams()]
        wanted = {r: v for r in kept if (v := _limit(log, r, now_us)) and _is_worth_it(log, r, v)}
        if not wanted:
            return False
        for clock in apart.all:
            if max(wanted.values()) > _horizon(clock):
                clock.checkpoint()
        horizon = min(map(_horizon, apart.all))
        wanted = {r: min(v, horizon) for r, v in wanted.items() if _is_worth_it(log, r, min(v, horizon))}
        for relation, version in wanted.items():
            if not relation.is_stream:
                _fold(pipeline, relation, version)
        starts = {relation.id: version for relation, version in wanted.items() if relation.is_stream}
        unusable = [image for clock in apart.all for image in _unusable_images(clock, starts)]
        oldest = min(_begin(clock, unusable, horizon) for clock in apart.all)
        if starts or unusable:
            log.retain(starts, history=oldest, discard=unusable)
        return bool(wanted)


def _limit(log: Log, relation: Relation, now_us: int) -> int:
    """The version up to which a relation's log may be taken out, by age and by size; 0 if not at all."""
    options = relation.log
    by_age = log.version_at(now_us - options.retention_us - 1) if options.retention_us is not None else 0
    by_size = log.version_before(relation.id, options.retention_bytes) if options.retention_bytes is not None else 0
    return max(by_age, by_size)


def _is_worth_it(log: Log, relation: Relation, version: int) -> bool:
    start = log.start(relation.id)
    if version <= start.version:
        return False
    removed = log.row_count(relation.id, version) - start.rows
    return removed > 0 and removed * WORTH_SHARE >= log.row_count(relation.id) - start.rows


def _horizon(pipeline: Pipeline) -> int:
    """The version that retention may reach: where the older of two images of all that runs stands."""
    roots = pipeline.roots()
    if not roots:
        return pipeline.log.version
    frontiers = [image.note["frontier"] for image in covering_images(pipeline.log, roots)]
    return frontiers[-2] if len(frontiers) > 1 else 0


def _fold(pipeline: Pipeline, relation: Relation, version: int) -> None:
    """Put the rows that a table had at a version in the place of the changes up to there."""
    log, root, frontier = pipeline.log, relation.content(), version
    if relation.is_derived:
        step = log.note_before("step", version)
        if step is None:
            return
        version, frontier = step[0], step[1]["to"]
    # As its own log has it, if that says it: what a derived one was computed from may be folded further already.
    then = Past(log).rows(root, relation, Cut(frontier)).combine_chunks().to_batches()
    there = concat_deltas(
        arrow_schema(root.columns), [Delta(batch, np.ones(len(batch), dtype=np.int64)) for batch in then]
    )
    rows = stored_changes(consolidate(there))
    parts = [rows.slice(begin, FRAME_ROWS) for begin in range(0, rows.num_rows, FRAME_ROWS)]
    log.compact(relation.id, version, [Append(relation.id, 0, part, relation.log.compression) for part in parts])


def _begin(pipeline: Pipeline, unusable: Sequence[Image], horizon: int) -> int:
    """The first version that is needed to know where the queries of a clock are."""
    images = (image for image in images_of(pipeline.log, pipeline.catalog.clock) if image not in unusable)
    begins = (min(image.version, image.note["last_step"][0]) for image in images)
    return next(begins, min(horizon, pipeline.last_step[0]) if pipeline.catalog.clock else horizon)


def _unusable_images(pipeline: Pipeline, moved: Mapping[int, int]) -> list[Image]:
    """Images from before the start of something that each query needs; the youngest are kept in any case."""
    log = pipeline.log
    needs = [
        max((max(log.start(leaf.id).version, moved.get(leaf.id, 0)) for leaf in sources([root])), default=0)
        for root in pipeline.roots()
    ]
    return [
        image for image in images_of(log, pipeline.catalog.clock)[:-2] if image.note["frontier"] < min(needs, default=0)
    ]
