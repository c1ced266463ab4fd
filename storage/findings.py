"""What a check of a database finds: plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headwater.storage.records import Extent

Severity = Literal["damage", "remark"]
Subject = Literal["format", "commits", "rows", "segment", "image", "file", "ledger"]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something at a place of a database: damage, or a remark about what does no harm.

    `version` is, for damaged rows, the commit that they belong to; for a damaged commit file, the last commit before
    the damage; for an image, the commit that published it. `extent` says which rows cannot be read. That a ledger was
    changed is damage of its own kind: it is evidence, so no repair removes it.
    """

    severity: Severity
    subject: Subject
    path: str
    position: int  # in bytes
    message: str
    version: int = 0
    extent: Extent | None = None

    @property
    def place(self) -> str:
        """File and position."""
        return f"{self.path}:{self.position}"

    @property
    def is_damage(self) -> bool:
        """Whether something that was committed cannot be read."""
        return self.severity == "damage"

    def __str__(self) -> str:
        return f"{self.severity}: {self.place}: {self.message}"


def damage(
    subject: Subject, path: str, position: int, message: str, version: int = 0, extent: Extent | None = None
) -> Finding:
    """Something that was committed, and cannot be read."""
    return Finding("damage", subject, path, position, message, version, extent)


def remark(subject: Subject, path: str, position: int, message: str) -> Finding:
    """Something that does no harm."""
    return Finding("remark", subject, path, position, message)
