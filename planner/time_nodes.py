"""Nodes of a logical plan for the progress of time. `logical.py` is the module to import."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.planner.nodes import WATERMARK, Clocked, Moment, PlanNode, Unary
from headwater.values import Column


@dataclass(frozen=True)
class Watermark(Unary):
    """One row: the stream time of the partition of `source` that is furthest behind; no row until each has had a row.

    What is decided by it is decided for good: a row with a time before it is behind the stream time of its partition.
    """

    time: str
    partition: str
    partitions: int

    __hash__ = PlanNode.__hash__

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column(WATERMARK, "TIMESTAMP"),)

    @property
    def append_only(self) -> bool:
        return False

    @property
    def key(self) -> tuple[str, ...]:
        return ()

    def label(self) -> str:
        return f"of {self.time} over {self.partitions} partition{'s' if self.partitions != 1 else ''}"


@dataclass(frozen=True)
class TemporalFilter(Clocked):
    """The rows with `visible_from` <= clock < `visible_until`, as far as they are given.

    The clock has one row or, at first, none: then nothing is visible that has a moment to wait for. A row that has NULL
    for one of its moments is never visible. `is_final` says that no row changes once its `visible_from` has come.
    """

    visible_from: Moment | None
    visible_until: Moment | None
    is_final: bool = False

    __hash__ = PlanNode.__hash__

    @property
    def append_only(self) -> bool:
        return self.visible_until is None and (self.is_final or self.source.append_only)

    @property
    def key(self) -> tuple[str, ...] | None:
        return self.source.key

    def label(self) -> str:
        bounds = (("from", self.visible_from), ("until", self.visible_until))
        given = ", ".join(f"{word} {moment}" for word, moment in bounds if moment is not None)
        return f"visible {given}{', final' if self.is_final else ''}"
