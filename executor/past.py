"""Bringing a circuit to a cut of the log: for recovery, for a new query over old events, and for AS OF.

Images of the circuit that runs are spaced so that the log between two of them is no longer than it takes to pay for
them (`image_is_due`). From the nearest image at or before a cut, the rest is replayed; so a question about the past
costs about the same however long the history is.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from headwater.errors import CorruptLog
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut
from headwater.planner.logical import Plan
from headwater.storage import Image, Log

logger = logging.getLogger("headwater")

STATE_FORMAT = 1  # of what operators save; images of another format are passed over, and the log is replayed instead

IMAGE_ROWS_MIN = 1 << 16  # an image is not worth its bytes for fewer rows of input


def image_is_due(rows_since: int, state_rows: int) -> bool:
    """Whether to save an image after `rows_since` input rows: as many as the state has, so images cost O(1) a row."""
    return rows_since >= max(IMAGE_ROWS_MIN, state_rows)


def save_image(log: Log, circuit: Circuit, note: Mapping[str, Any]) -> Image:
    """Saves the state of `circuit`, at the version where it stands, with a note of the caller's."""
    own = {"format": STATE_FORMAT, "frontier": circuit.version, "holders": circuit.holder_names}
    return log.save_image(circuit.save(), {**note, **own})


def circuit_at(log: Log, roots: Sequence[Plan], cut: Cut, steps: Sequence[int] = ()) -> Circuit:
    """A circuit of `roots` at `cut`, from the nearest images. `steps` are versions at which to end a step on the way.

    Roots that no image has are computed from the beginning of the log.
    """
    groups: dict[str, tuple[Image | None, list[Plan]]] = {}  # by the image to start from
    for root in dict.fromkeys(roots):
        image = _nearest_image(log, root, cut)
        groups.setdefault(image.name if image is not None else "", (image, []))[1].append(root)
    circuits = []
    for image, members in groups.values():
        circuit = Circuit(members)
        if image is not None:
            _restore(circuit, log, image)
        for version in (*(v for v in steps if circuit.version < v < cut.version), cut.version):
            circuit.advance(log, cut if version == cut.version else Cut(version))
        circuits.append(circuit)
    if len(circuits) == 1:
        return circuits[0]
    circuit = Circuit(roots, parts=circuits)
    circuit.version = cut.version
    return circuit


def _restore(circuit: Circuit, log: Log, image: Image) -> None:
    """Restores `circuit` from an image; from one that cannot be read it stays at the beginning of the log."""
    try:
        parts = log.load_image(image)
    except CorruptLog as error:
        logger.warning("%s; computing from the beginning of the log instead", error)
        return
    circuit.restore(parts, image.note["frontier"])


def _nearest_image(log: Log, root: Plan, cut: Cut) -> Image | None:
    """The latest image at or before `cut` that has the state of all operators of `root`."""
    probe = Circuit([root])
    for image in reversed(log.images()):
        note = image.note
        is_before = note["frontier"] <= cut.version and _within_limits(log, note["frontier"], cut)
        if is_before and note.get("format") == STATE_FORMAT and probe.can_restore(frozenset(note["holders"])):
            return image
    return None


def _within_limits(log: Log, frontier: int, cut: Cut) -> bool:
    """Whether at `frontier` no record had been read that lies beyond the limits of `cut`."""
    return all(
        end <= limits.get(partition, 0)
        for relation, limits in cut.limits.items()
        for partition, end in log.ends(relation, frontier).items()
    )
