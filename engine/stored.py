"""What the log has stored of a table: up to which version of its own log it is what it was at a cut of its input.

A source table's log is its input. The log of a derived one has what each step gave, and the step's commit says up to
which version it had read. Where a cut lies between what two steps had read, or inside a commit, or where the query did
not run, nothing that is stored says what the table was: then a circuit computes it.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from headwater.engine.recovery import images_of
from headwater.engine.stops import NOTE
from headwater.executor.circuit import holder_of
from headwater.executor.feed import Cut, first_version
from headwater.executor.past import has_states
from headwater.planner import Plan, Relation, walk_plan
from headwater.planner.logical import Arrivals, Now, Source
from headwater.storage import Image, Log


@dataclass(frozen=True, slots=True)
class Stretch:
    """A time for which a query ran: from the commit `begin`, which brought it to version `first` of its input, to
    before the commit `end`, since when it stands at version `last`; None where it still runs.
    """

    begin: int
    first: int
    end: int | None = None
    last: int | None = None

    def has(self, version: int) -> bool:
        """Whether the query ran at a version of its input."""
        return self.first <= version and (self.last is None or version <= self.last)

    def wrote(self, version: int) -> bool:
        """Whether a version of its log is from this time."""
        return self.begin <= version and (self.end is None or version < self.end)


@dataclass(frozen=True, slots=True)
class Point:
    """An image with the rows of a table, and the version of the table's log at which it had these."""

    version: int
    image: Image


def stored_at(log: Log, relation: Relation, cut: Cut) -> int | None:
    """The version up to which a table's log makes it what it was at a cut; None if the log does not say."""
    if not _is_whole(log, cut) or any("rows" in note for _, note in log.kept("repair")):
        return None
    upto = cut.version if relation.plan is None else _step_at(log, relation, relation.plan, cut.version)
    return upto if upto is not None and upto >= log.start(relation.id).version else None


def points_around(log: Log, relation: Relation, upto: int) -> tuple[Iterator[Point], int | None]:
    """The images from which the changes in a table's log go on to a version of it, the nearest first, and the version
    of the log at which the next one stands, if there is one.
    """
    images = images_of(log)
    first = bisect_right(images, upto, key=lambda image: _stands_at(image, relation))
    following = next(_points(log, relation, images[first:]), None)
    return _points(log, relation, reversed(images[:first])), None if following is None else following.version


def _points(log: Log, relation: Relation, images: Iterable[Image]) -> Iterator[Point]:
    """Those of some images that have a table as its log has it."""
    holder, start = holder_of(relation.content()), log.start(relation.id).version
    times = stretches(log, relation) if relation.is_derived else [Stretch(0, 0)]
    for image in images:
        version = _stands_at(image, relation)
        if version >= start and has_states(image, [holder]) and any(time.wrote(version) for time in times):
            yield Point(version, image)


def _stands_at(image: Image, relation: Relation) -> int:
    """The version of a table's log up to which an image has read it."""
    version: int = image.note.get("last_step", (0, 0))[0] if relation.is_derived else image.note["frontier"]
    return version


def stretches(log: Log, relation: Relation) -> list[Stretch]:
    """The times for which the query of a derived table ran, in their order."""
    found: list[Stretch] = []
    for version, note in sorted([*log.kept("ddl"), *log.kept(NOTE)], key=lambda kept: kept[0]):
        is_running = bool(found) and found[-1].end is None
        if is_running and relation.name in note.get("drop", ()):
            found[-1] = replace(found[-1], end=version, last=_last_read(log, found[-1], version))
        for stop in note.get("stop", ()):
            if is_running and stop["id"] == relation.id:
                found[-1] = replace(found[-1], end=version, last=stop["version"])
        if any(made.get("id") == relation.id for made in note.get("replace", [note])):
            found.append(Stretch(version, note["frontier"]))
        if relation.id in note.get("resume", ()):
            found.append(Stretch(version, _last_read(log, Stretch(0, 0), version)))
    return found


def _last_read(log: Log, stretch: Stretch, version: int) -> int:
    """Up to which version of its input a query had come with a commit."""
    step = log.note_before("step", version)
    return stretch.first if step is None or step[0] < stretch.begin else int(step[1]["to"])


def _step_at(log: Log, relation: Relation, plan: Plan, version: int) -> int | None:
    """The commit of the last step that had read no more of a query's input than a version has, and all of that."""
    stretch = next((time for time in reversed(stretches(log, relation)) if time.has(version)), None)
    if stretch is None:
        return None
    done, upto = stretch.begin, stretch.first
    before = log.note_before("step", version)  # what it had read is older than itself
    if before is not None and before[0] > done:
        done, upto = before[0], before[1]["to"]
    for later, step in log.notes("step", done):
        if step["to"] > version:
            break
        done, upto = later, step["to"]
    return done if upto == version or _is_the_same(log, plan, upto, version) else None


def _is_the_same(log: Log, plan: Plan, before: int, version: int) -> bool:
    """Whether nothing that a plan gives changed between two versions."""
    nodes = list(walk_plan(plan))
    if any(isinstance(node, Now | Arrivals) for node in nodes):
        return False  # time alone may change it
    ids = {node.id for node in nodes if isinstance(node, Source)}
    if before < first_version(log, ids):
        return False
    return all(log.row_count(id, before) == log.row_count(id, version) for id in ids)


def _is_whole(log: Log, cut: Cut) -> bool:
    """Whether a cut has all records that were committed up to its version."""
    return all(
        cut.version >= log.start(id).version
        and all(limits.get(partition, 0) >= end for partition, end in log.ends(id, cut.version).items())
        for id, limits in cut.limits.items()
    )
