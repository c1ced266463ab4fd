"""Nodes of a logical plan for the progress of time. `logical.py` is the module to import."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.planner.nodes import WATERMARK, PlanNode, Unary
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
