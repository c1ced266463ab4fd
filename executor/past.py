"""Bringing a circuit to a cut of the log: for recovery, for a new query over old events, and for AS OF.

Images of the circuit that runs are spaced so that the log between two of them is no longer than it takes to pay for
them (`image_is_due`). From the nearest image at or before a cut, the rest is replayed; so a question about the past
costs about the same however long the history is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from headwater.errors import CorruptLog, PositionGone
from headwater.executor.chunks import paced
from headwater.executor.circuit import Circuit
from headwater.executor.feed import Cut, first_version
from headwater.executor.frozen import States
from headwater.planner.logical import Plan, StreamSource
from headwater.progress import task
from headwater.storage import Image, Log

logger = logging.getLogger("headwater")

STATE_FORMAT = 2  # of what operators save; images of another format are passed over, and the log is replayed instead

IMAGE_ROWS_MIN = 1 << 16  # an image is not worth its bytes for fewer rows of input


def image_is_due(rows_since: int, state_rows: int) -> bool:
    """Whether to save an image after `rows_since` input rows: as many as the state has, so images cost O(1) a row."""
    return rows_since >= max(IMAGE_ROWS_MIN, state_rows)


def save_image(log: Log, states: States, note: Mapping[str, Any], pause: Callable[[], None] = lambda: None) -> Image:
    """Saves what a circuit has, at the version where it stands, with a note of the caller's.

    Between pieces of work of about a millisecond `pause` is called.
    """
    own = {"format": STATE_FORMAT, "frontier": states.version, "holders": list(states.holders)}
    for _ in states.copying():
        pause()
    parts = {name: paced(chunks, pause) for name, chunks in states.save().items()}
    return log.save_image(parts, {**note, **own})


def circuit_at(
    log: Log,
    roots: Sequence[Plan],
    cut: Cut,
    steps: Sequence[int] = (),
    images: Sequence[Image] | None = None,
    *,
    keep: bool = True,
) -> Circuit:
    """A circuit of `roots` at `cut`, from the nearest images. `steps` are versions at which to end a step on the way.

    Roots that no image has are computed from the beginning of the log. `images` are those to use (default: all).
    With `keep` it has the rows of the roots that are tables. Raises `PositionGone` where retention has taken what that
    needs.
    """
    known = log.images() if images is None else images
    groups: dict[int, tuple[Image | None, list[Plan]]] = {}  # by the image to start from
    for root in dict.fromkeys(roots):
        image = _nearest_image(log, Circuit([root], keep=keep), cut, known)
        if image is None:
            _check_beginning(log, Circuit([root], keep=keep), cut)
        groups.setdefault(image.version if image is not None else 0, (image, []))[1].append(root)
    circuits = []
    for image, members in groups.values():
        circuit = Circuit(members, keep=keep)
        if image is not None and not _restored(circuit, log, image):
            older = [other for other in known if other.version < image.version]
            circuits.append(circuit_at(log, members, cut, steps, older, keep=keep))
            continue
        first = max(circuit.version, first_version(log, [leaf.id for leaf in circuit.leaves]))
        _replay(circuit, log, cut, [v for v in steps if first < v < cut.version])
        circuits.append(circuit)
    if len(circuits) == 1:
        return circuits[0]
    circuit = Circuit(roots, keep=keep, parts=circuits)
    circuit.version = cut.version
    return circuit


def _replay(circuit: Circuit, log: Log, cut: Cut, steps: Sequence[int]) -> None:
    """Moves a circuit to a cut, with a step that ends at each of `steps`."""
    if not steps:
        circuit.advance(log, cut)
        return
    begun = circuit.version
    with task("replaying") as tell:
        for version in (*steps, cut.version):
            circuit.advance(log, cut if version == cut.version else Cut(version))
            tell(version - begun, cut.version - begun)


def check_computable(log: Log, root: Plan, cut: Cut, images: Sequence[Image]) -> None:
    """Raise `PositionGone` unless `root` at a cut can be computed from one of some images, or from the beginning."""
    probe = Circuit([root])
    if _nearest_image(log, probe, cut, images) is None:
        _check_beginning(log, probe, cut)


def covering_images(log: Log, roots: Sequence[Plan]) -> list[Image]:
    """The images that have the state of all operators of `roots`, oldest first."""
    return _covering(log, Circuit(roots))


def _covering(log: Log, probe: Circuit) -> list[Image]:
    return [image for image in log.images() if _covers(image, probe)]


def has_states(image: Image, holders: Collection[str]) -> bool:
    """Whether an image has the state of everything that is named."""
    return image.note.get("format") == STATE_FORMAT and set(holders) <= set(image.note["holders"])


def is_nearest(log: Log, circuit: Circuit, cut: Cut) -> bool:
    """Whether a circuit can go on to a cut, and no image is nearer to that."""
    if not first_version(log, [leaf.id for leaf in circuit.leaves]) <= circuit.version <= cut.version:
        return False
    frontiers = (image.note["frontier"] for image in log.images())
    return _within_limits(log, circuit.version, cut) and not any(circuit.version < f <= cut.version for f in frontiers)


def _covers(image: Image, probe: Circuit) -> bool:
    return has_states(image, probe.holders)


def _restored(circuit: Circuit, log: Log, image: Image) -> bool:
    """Restores `circuit` from an image; False if it cannot be read."""
    try:
        parts = log.load_image(image)
    except CorruptLog as error:
        logger.warning("%s; computing from further back instead", error)
        return False
    circuit.restore(parts, image.note["frontier"])
    return True


def _nearest_image(log: Log, probe: Circuit, cut: Cut, images: Sequence[Image]) -> Image | None:
    """The latest image at or before `cut` that has the state of all operators of `probe`, and from which the log goes
    on without a gap.
    """
    first = first_version(log, _source_ids(probe))
    for image in reversed(images):
        frontier = image.note["frontier"]
        is_between = first <= frontier <= cut.version and _within_limits(log, frontier, cut)
        if is_between and _covers(image, probe):
            return image
    return None


def _check_beginning(log: Log, probe: Circuit, cut: Cut) -> None:
    """Raise `PositionGone` unless what `probe` has at `cut` can be computed from what the log begins with.

    It can be while nothing it reads has lost its beginning; and where a table's changes were folded, from there on.
    What a query made of records that are no more is in its images alone; one that no image has never saw them.
    """
    first = first_version(log, _source_ids(probe))
    covering = _frontiers(log, probe, first)
    if cut.version < first or covering:
        earliest = _earliest(log, probe)
        raise PositionGone(
            f"version {cut.version} is no more: retention has taken what it was computed from",
            earliest=earliest,
            hint=f"the earliest version is {earliest}",
        )


def earliest_version(log: Log, root: Plan) -> int:
    """The earliest version at which `root` can be computed; 0 where retention has taken nothing of what it needs."""
    return _earliest(log, Circuit([root]))


def _earliest(log: Log, probe: Circuit) -> int:
    first = first_version(log, _source_ids(probe))
    return min((frontier for frontier in _frontiers(log, probe, first) if frontier >= first), default=first)


def _frontiers(log: Log, probe: Circuit, first: int) -> list[int]:
    """Where the images stand that have what records gave which are no more; `first` is what `probe` begins with."""
    has_streams = any(isinstance(leaf, StreamSource) for leaf in probe.leaves)
    return [image.note["frontier"] for image in _covering(log, probe)] if first and has_streams else []


def _source_ids(probe: Circuit) -> set[int]:
    return {leaf.id for leaf in probe.leaves}


def _within_limits(log: Log, frontier: int, cut: Cut) -> bool:
    """Whether at `frontier` no record had been read that lies beyond the limits of `cut`."""
    return all(
        end <= limits.get(partition, 0)
        for relation, limits in cut.limits.items()
        for partition, end in log.ends(relation, frontier).items()
    )
