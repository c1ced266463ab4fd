"""What the log says of the steps so far: where the running queries were, and what their tables held."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headwater.engine.failed_rows import NOTE as FAILED_ROWS
from headwater.engine.outputs import digest_of
from headwater.errors import CorruptLog, PositionGone
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.executor.past import circuit_at
from headwater.planner import Plan, Relation
from headwater.storage import Image, Log

logger = logging.getLogger("headwater")


def named(note: str, clock: int) -> str:
    """What a note of a step is called: each clock has its own."""
    return f"{note}:{clock}" if clock else note


def images_of(log: Log, clock: int = 0) -> list[Image]:
    """The images that the queries of a clock have saved, oldest first."""
    return [image for image in log.images() if image.note.get("clock", 0) == clock]


@dataclass(frozen=True)
class Recorded:
    """What was recorded with the last image and the steps after it."""

    last_step: tuple[int, int]  # (version up to which derived logs are read, version up to which their input was)
    steps: tuple[int, ...]  # the versions at which steps ended since the image
    digests: Mapping[str, int]  # id of a derived table → digest of its content
    failed_rows: Mapping[str, Any]  # the note that counts rows that failed
    frontier: int  # of the image; 0 without one


def recorded(log: Log, images: Sequence[Image] | None = None, upto: int | None = None, *, clock: int = 0) -> Recorded:
    """What the log says of the queries of a clock as of a version (default: now), going by the last of their images
    (default: all that there are).

    Steps that were made while the image was being saved come after it, wherever they stand. What an image says itself
    of rows that failed is no younger than its last step.
    """
    images = images_of(log, clock) if images is None else images
    failed_name = named(FAILED_ROWS, clock)
    upto = log.version if upto is None else upto
    published = {image.version for image in log.images()}
    note = images[-1].note if images else {}
    digests, last_step = note.get("digests", {}), tuple(note.get("last_step", (0, 0)))
    begin = last_step[0]
    counts = [count for version, count in log.notes(failed_name, begin) if version <= upto and version not in published]
    steps = []
    for version, step in log.notes(named("step", clock), begin):
        if version > upto:
            break
        digests, last_step = step["digests"], (version, step["to"])
        steps.append(step["to"])
    failed_rows = {failed_name: counts[-1]} if counts else note
    return Recorded(last_step, tuple(steps), digests, failed_rows, note.get("frontier", 0))


def again(log: Log, roots: list[Plan], frontier: int, stops: Sequence[int]) -> Circuit:
    """The circuit of running queries at a version, through the same steps as before. Raises CorruptLog if it cannot be
    computed any more.
    """
    try:
        return circuit_at(log, roots, Cut(frontier), stops)
    except PositionGone as gone:
        raise CorruptLog(
            "no image of the running queries can be read, and retention has taken what they were computed from",
            hint="restore the images from a copy",
        ) from gone


def checked(relations: list[Relation], circuit: Circuit, digests: Mapping[str, int], log: Log) -> dict[int, int]:
    """The digests of all tables, by their ids, compared with those that were recorded.

    After a repair, which says that rows were given up, they may differ: then a table goes on from what is left, or from
    an image that still counts the lost rows. Otherwise this raises CorruptLog.
    """
    is_repaired = any("rows" in note for _, note in log.kept("repair"))
    found: dict[int, int] = {}
    for relation in relations:
        found |= digest_of(relation, circuit)
        digest = found.get(relation.id)
        if digests.get(str(relation.id), digest) == digest:
            continue
        if is_repaired:
            logger.warning('"%s" goes on without the rows that a repair gave up', relation.name)
        else:
            raise CorruptLog(
                f'the rows of "{relation.name}", computed again from the log, are not those that were recorded',
                hint="keep the directory as it is and report this",
            )
    return found
