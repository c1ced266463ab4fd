"""Idempotent producers: whether a stamped commit is new, made already, or not allowed.

In: what the log says, in its order: registrations of producers, and commits with a stamp. Out: the verdict on the next
stamp. It is a fold of the log, without files or threads, so it is the same again after a restart.

A producer is registered under a name and gets an id and an epoch. Registering the name again gives the same id and the
next epoch, and keeps producers of older epochs out. It numbers its commits 1, 2, 3 …; the numbers go on across epochs.
So a program that starts again learns from the last number how far it had come, and one that missed an answer sends the
commit again: the last few are known by number and digest, and are answered as they were the first time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from headwater.errors import DuplicateSequence, ProducerFenced, SequenceConflict, SequenceGap, UnknownProducer
from headwater.storage.records import Extent

WINDOW = 5  # commits of a producer that are remembered; as many as it may have under way at once


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who makes a commit, and which of its commits this is. Numbers start at 1."""

    producer: int
    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Accepted:
    """A stamped commit that was made: its number, a digest of its content, and the answer it was given."""

    sequence: int
    digest: int
    version: int
    extents: tuple[Extent, ...]


@dataclass(frozen=True, slots=True)
class _Producer:
    """What is known of a producer; `window` has its last commits, oldest first."""

    name: str
    epoch: int
    last: int
    window: tuple[Accepted, ...]


class Producers:
    """All producers of a log."""

    def __init__(self, known: Iterable[tuple[int, _Producer]] = ()) -> None:
        """Use `Producers()` for an empty log, or `from_json`."""
        self._producers = dict(known)
        self._ids = {producer.name: number for number, producer in self._producers.items()}

    def next_registration(self, name: str) -> tuple[int, int]:
        """Id and epoch that registering this name would give."""
        number = self._ids.get(name)
        if number is None:
            return max(self._producers, default=0) + 1, 1
        return number, self._producers[number].epoch + 1

    def register(self, name: str, producer: int, epoch: int) -> None:
        """Enter a registration. From here on older epochs of the producer are fenced."""
        assert (producer, epoch) == self.next_registration(name), f'"{name}" was registered out of order'
        known = self._producers.get(producer, _Producer(name, epoch, 0, ()))
        self._producers[producer] = replace(known, epoch=epoch)
        self._ids[name] = producer

    def find(self, stamp: Stamp, digest: int) -> Accepted | None:
        """None if the commit may be made now; if it was made already, the answer that it was given.

        Raises `UnknownProducer`, `ProducerFenced`, `SequenceGap`, `SequenceConflict` if the number was used for content
        with another digest, or `DuplicateSequence` if it is older than what is remembered.
        """
        known = self._current(stamp)
        expected = known.last + 1
        if stamp.sequence == expected:
            return None
        if not 1 <= stamp.sequence < expected:
            raise SequenceGap(
                f'the next commit of producer "{known.name}" is number {expected}, not {stamp.sequence}',
                expected=expected,
                got=stamp.sequence,
                hint=f"commit number {expected} first; commits are numbered from 1, without gaps",
            )
        for accepted in known.window:
            if accepted.sequence == stamp.sequence:
                if accepted.digest == digest:
                    return accepted
                raise SequenceConflict(
                    f'commit {stamp.sequence} of producer "{known.name}" was made with other content, as version '
                    f"{accepted.version}",
                    hint=f"give new content the next number, which is {expected}",
                )
        raise DuplicateSequence(
            f'commit {stamp.sequence} of producer "{known.name}" was made long ago: the last is number {known.last}, '
            f"and only {WINDOW} are remembered",
            hint="do not send it again",
        )

    def accept(self, stamp: Stamp, digest: int, version: int, extents: tuple[Extent, ...]) -> None:
        """Enter a commit for which `find` gave None."""
        known = self._producers[stamp.producer]
        assert (stamp.epoch, stamp.sequence) == (known.epoch, known.last + 1), f"{stamp} was accepted out of order"
        window = (*known.window, Accepted(stamp.sequence, digest, version, extents))[-WINDOW:]
        self._producers[stamp.producer] = replace(known, last=stamp.sequence, window=window)

    def last_sequence(self, producer: int) -> int:
        """Number of a registered producer's last commit, of any epoch; 0 if it made none."""
        return self._producers[producer].last

    def copy(self) -> Producers:
        """The same producers, to try commits on that may yet fail. Costs little: nothing that is known is copied."""
        return Producers(self._producers.items())

    def to_json(self) -> list[Any]:
        """All of it, for `from_json`, as lists, strings and numbers."""
        return [
            [number, known.name, known.epoch, known.last, [_pack(accepted) for accepted in known.window]]
            for number, known in self._producers.items()
        ]

    @classmethod
    def from_json(cls, value: list[Any]) -> Producers:
        """What `to_json` was called on."""
        return cls(
            (number, _Producer(name, epoch, last, tuple(_unpack(accepted) for accepted in window)))
            for number, name, epoch, last, window in value
        )

    def _current(self, stamp: Stamp) -> _Producer:
        """The producer of a stamp, if the stamp is of its current epoch."""
        known = self._producers.get(stamp.producer)
        if known is None:
            raise UnknownProducer(f"there is no producer {stamp.producer}", hint="register the producer first")
        if stamp.epoch > known.epoch:
            raise UnknownProducer(
                f'producer "{known.name}" has no epoch {stamp.epoch}: the current one is {known.epoch}',
                hint="register the producer again",
            )
        if stamp.epoch < known.epoch:
            raise ProducerFenced(
                f'producer "{known.name}" of epoch {stamp.epoch} was replaced: epoch {known.epoch} has taken over',
                hint="stop this one, or register the producer again to stop the other",
            )
        return known


def _pack(accepted: Accepted) -> list[Any]:
    extents = [[extent.stream, extent.partition, extent.offset, extent.count] for extent in accepted.extents]
    return [accepted.sequence, accepted.digest, accepted.version, extents]


def _unpack(packed: list[Any]) -> Accepted:
    sequence, digest, version, extents = packed
    return Accepted(sequence, digest, version, tuple(Extent(*extent) for extent in extents))
