"""Nodes of a logical plan for windows that are the same for all rows. `logical.py` is the module to import."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.planner.nodes import Unary, duration
from headwater.values import WINDOWEND, WINDOWSTART, Column


@dataclass(frozen=True, eq=False)
class WindowAssign(Unary):
    """Each row once per window that takes it, with WINDOWSTART and WINDOWEND; rows too late for a window are dropped.

    Windows of `size_us` start at multiples of `advance_us` since the epoch. Cumulative ones are as long as a number of
    `advance_us` and start at multiples of `size_us`. A window takes a row while stream time < window end + `grace_us`,
    where stream time is that of the row's partition before the row.

    With `kept`, rows have these columns alone, and those of a step that are then equal are one row with a weight.
    """

    time: str
    stream_time: str
    size_us: int
    advance_us: int
    grace_us: int
    is_cumulative: bool = False
    kept: tuple[str, ...] | None = None

    @property
    def columns(self) -> tuple[Column, ...]:
        own = [c for c in self.source.columns if self.kept is None or c.name in self.kept]
        return (*own, Column(WINDOWSTART, "TIMESTAMP"), Column(WINDOWEND, "TIMESTAMP"))

    @property
    def append_only(self) -> bool:
        return self.source.append_only and self.kept is None  # rows that only come have no weights

    def label(self) -> str:
        step = duration(self.advance_us)
        kind = "tumbling" if self.size_us == self.advance_us else f"hopping by {step}"
        kind = f"cumulative by {step}" if self.is_cumulative else kind
        merged = "" if self.kept is None else f", equal rows of {', '.join(self.kept) or 'no column'} as one"
        return f"{kind}, size {duration(self.size_us)}, grace {duration(self.grace_us)}, on {self.time}{merged}"
