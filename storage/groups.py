"""Consumer groups: how far each group has read, and which of its generations may say so.

In: the offsets that commits carry, in the order of the log. Out: whether the next ones are allowed, and the offsets of
each group. It is a fold of the log, without files or threads, so it is the same again after a restart.

Each change of who reads what in a group begins a new generation. Offsets of an older one are refused: they come from a
consumer that has not noticed that others may read its partitions by now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from headwater.errors import MemberFenced


@dataclass(frozen=True, slots=True)
class GroupOffsets:
    """Offsets to be committed for a group: (stream, partition) -> the next offset to read. May be empty.

    With the generation after the current one, the commit begins that generation.
    """

    group: str
    generation: int
    offsets: Mapping[tuple[int, int], int]

    def __post_init__(self) -> None:
        assert all(offset >= 0 for offset in self.offsets.values()), "an offset is negative"


@dataclass(frozen=True, slots=True)
class _Group:
    generation: int
    offsets: Mapping[tuple[int, int], int]


_NEW = _Group(0, {})


class Groups:
    """All consumer groups of a log. A group that was never heard of is in generation 0, and has read nothing."""

    def __init__(self, known: Iterable[tuple[str, _Group]] = ()) -> None:
        """Use `Groups()` for an empty log, or `from_json`."""
        self._groups = dict(known)

    def check(self, wanted: GroupOffsets) -> None:
        """Raise `MemberFenced` if the offsets are of an older generation. They may go backwards: that is a seek."""
        generation = self.generation(wanted.group)
        if wanted.generation < generation:
            raise MemberFenced(
                f'the consumer group "{wanted.group}" is in generation {generation}, and these offsets are of '
                f"generation {wanted.generation}",
                hint="fetch again: the group's partitions were shared anew",
            )
        assert wanted.generation <= generation + 1, f"generation {wanted.generation} does not follow {generation}"

    def apply(self, committed: GroupOffsets) -> None:
        """Enter offsets that `check` allows."""
        self.check(committed)
        known = self._groups.get(committed.group, _NEW)
        self._groups[committed.group] = _Group(committed.generation, {**known.offsets, **committed.offsets})

    def generation(self, group: str) -> int:
        """The current generation of a group."""
        return self._groups.get(group, _NEW).generation

    def offsets(self, group: str) -> dict[tuple[int, int], int]:
        """(stream, partition) -> the next offset to read, where the group has committed one."""
        return dict(self._groups.get(group, _NEW).offsets)

    def names(self) -> tuple[str, ...]:
        """The groups that there are, sorted."""
        return tuple(sorted(self._groups))

    def copy(self) -> Groups:
        """The same groups, to try commits on that may yet fail. Costs little: nothing that is known is copied."""
        return Groups(self._groups.items())

    def to_json(self) -> list[Any]:
        """All of it, for `from_json`, as lists, strings and numbers."""
        return [
            [
                name,
                group.generation,
                [[stream, partition, offset] for (stream, partition), offset in group.offsets.items()],
            ]
            for name, group in self._groups.items()
        ]

    @classmethod
    def from_json(cls, value: list[Any]) -> Groups:
        """What `to_json` was called on."""
        return cls(
            (name, _Group(generation, {(stream, partition): offset for stream, partition, offset in offsets}))
            for name, generation, offsets in value
        )
