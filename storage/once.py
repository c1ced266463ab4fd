"""Keys of commits: a commit with a key that one before it had is not made again.

In: what the log says, in its order: commits with a key. Out: the answer that a commit with a key was given, if it was
made. It is a fold of the log, without files or threads, so it is the same again after a restart.

The last `REMEMBERED` keys are known, so that a log of any length needs only so much memory. What a commit contains does
not count: the first one with a key is the one that is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from headwater.storage.records import Extent

REMEMBERED = 10_000  # keys, of the whole log


@dataclass(frozen=True, slots=True)
class OnceKey:
    """Names a commit, so that whoever sends it again does not make it twice."""

    text: str


@dataclass(frozen=True, slots=True)
class Made:
    """A commit that was made: its version, and where its rows are."""

    version: int
    extents: tuple[Extent, ...]


class OnceKeys:
    """The youngest keys of a log, oldest first."""

    def __init__(self, known: Iterable[tuple[str, Made]] = ()) -> None:
        """Use `OnceKeys()` for an empty log, or `from_json`."""
        self._made = dict(known)

    def find(self, key: OnceKey) -> Made | None:
        """The commit that had a key, if it is remembered. May be called from any thread."""
        return self._made.get(key.text)

    def accept(self, key: OnceKey, made: Made) -> None:
        """Enter a commit with a key for which `find` gave None."""
        assert key.text not in self._made, f"the key {key.text!r} was accepted twice"
        self._made[key.text] = made
        if len(self._made) > REMEMBERED:
            del self._made[next(iter(self._made))]

    def to_json(self) -> list[Any]:
        """All of it, for `from_json`, as lists, strings and numbers."""
        return [
            [text, made.version, [[e.stream, e.partition, e.offset, e.count] for e in made.extents]]
            for text, made in self._made.items()
        ]

    @classmethod
    def from_json(cls, value: list[Any]) -> OnceKeys:
        """What `to_json` was called on."""
        return cls(
            (text, Made(version, tuple(Extent(*extent) for extent in extents))) for text, version, extents in value
        )
