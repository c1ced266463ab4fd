"""The line below the prompt: which database, at which version, how its queries are, and where the user stands.

It is drawn at every key, so it looks at nothing that steps hold a lock for, and counts errors anew only when there is a
new version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from headwater.engine.database import Database
from headwater.engine.render import count
from headwater.engine.terminal import visible, width
from headwater.repl.travel import Travel

_SEPARATOR = " · "


@dataclass(frozen=True, slots=True)
class Part:
    """Something that the line says; where there is no room, what has the smallest `weight` is left out first."""

    text: str
    weight: int


@dataclass(slots=True)
class Toolbar:
    """What stands in the line of one shell."""

    database: Database
    travel: Travel
    _errors: tuple[int, int] = field(default=(-1, 0))  # a version, and how many rows had failed by then

    def text(self, columns: int, *, is_open: bool = False, keys: str = "") -> str:
        """The line. `is_open` says that what is typed has several lines, `keys` the mode of keys that have modes."""
        return " " + fitted(self.parts(is_open=is_open, keys=keys), columns - 1)

    def parts(self, *, is_open: bool, keys: str) -> list[Part]:
        """What there is to say, in order."""
        database, pipeline = self.database, self.database.pipeline
        position = self.travel.position(database)
        queries = sum(relation.has_query for relation in list(pipeline.catalog.relations.values()))
        stopped, failed = sum(len(p.stopped) for p in database.apart.all), self._failed()
        behind = database.version - pipeline.position if queries > stopped else 0
        where = "in memory" if database.path is None else visible(database.path)
        said = [
            (where, 4),
            (f"version {database.version:,}", 8),
            (f"at {position:,}, \\now returns" if position is not None else "", 9),
            (f"{queries - stopped:,} running" if queries else "", 5),
            (f"{behind:,} behind" if behind > 1 else "", 6),  # one is what the step itself has just written
            (f"{stopped:,} stopped" if stopped else "", 7),
            (count(failed, "failed row") if failed else "", 3),
            (keys, 2),
            ("end the statement with ; or clear it with Ctrl-C" if is_open else "", 1),
        ]
        return [Part(text, weight) for text, weight in said if text]

    def _failed(self) -> int:
        """On how many rows queries have failed."""
        version = self.database.version
        if self._errors[0] != version:
            failed = (p.failed_rows.count(r) for p in self.database.apart.all for r in p.derived())
            self._errors = (version, sum(failed))
        return self._errors[1]


def fitted(parts: Sequence[Part], columns: int) -> str:
    """As many parts as there is room for: the lightest go first, what weighs most is cut."""
    left = list(parts)
    while len(left) > 1 and width(_SEPARATOR.join(part.text for part in left)) > columns:
        left.remove(min(left, key=lambda part: part.weight))
    return _SEPARATOR.join(part.text for part in left)[: max(columns, 0)]
