"""FROM stream FROM point: from what a user writes to the offsets at which a query begins to read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from headwater.engine.pipeline import Pipeline
from headwater.engine.positions import Points
from headwater.errors import OutOfRange, PositionGone
from headwater.executor.feed import Cut
from headwater.executor.past import circuit_at
from headwater.parser import syntax
from headwater.planner import Relation
from headwater.planner.starts import N, with_starts
from headwater.storage import Log


def begun(node: N, pipeline: Pipeline, points: Points) -> N:
    """`node` with the offsets that its points after FROM are now. Raises SqlError for what is not there."""

    def offsets_at(relation: Relation, point: syntax.AsOf) -> Mapping[int, int]:
        if relation.is_derived:
            pipeline.catch_up()  # to its records so far
        return _offsets(relation, point, points)

    return with_starts(node, points.present, offsets_at)


def _offsets(relation: Relation, point: syntax.AsOf, points: Points) -> Mapping[int, int]:
    if point.kind == "earliest":
        return {}
    log = points.log
    try:
        offsets = _offsets_at(relation, point, replace(points, latest=log.version), log)
    except PositionGone as gone:
        raise _gone(relation, point) from gone
    if any(offsets.get(partition, 0) < first for partition, first in log.starts(relation.id).items()):
        raise _gone(relation, point)
    return offsets


def _offsets_at(relation: Relation, point: syntax.AsOf, points: Points, log: Log) -> Mapping[int, int]:
    if point.kind == "latest":
        return log.ends(relation.id)
    version = points.version(point)
    if version is not None and relation.plan is not None:
        return circuit_at(log, [relation.plan], Cut(version)).ends(relation.plan)
    if version is not None:
        return log.ends(relation.id, version)
    return points.cut(point, [relation.source()]).limits[relation.id]


def _gone(relation: Relation, point: syntax.AsOf) -> OutOfRange:
    return OutOfRange(
        f'records of "{relation.name}" that this begins with are no more: retention has taken them', point.span,
        hint="FROM EARLIEST begins with the first that is there",
    )  # fmt: skip
