"""Nodes of a logical plan for the progress of time. `logical.py` is the module to import."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.planner.nodes import (
    ARRIVED,
    NOW,
    PARTITION,
    STREAM_TIME,
    WATERMARK,
    Clocked,
    Moment,
    PlanNode,
    duration,
)
from headwater.values import Column


@dataclass(frozen=True, eq=False)
class Now(PlanNode):
    """A leaf: one row, the time of the commit up to which the log has been read; no row before the first commit."""

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column(NOW, "TIMESTAMP"),)

    @property
    def append_only(self) -> bool:
        return False

    @property
    def key(self) -> tuple[str, ...]:
        return ()

    def label(self) -> str:
        return "the time of the commit"


@dataclass(frozen=True, eq=False)
class Arrivals(PlanNode):
    """A leaf: when the streams `ids` got rows, by partition, and when the log said that time passes (NULL, a tick).

    Of the partitions in `starts`, triples of a stream, a partition and an offset, only the rows from there on count.
    """

    ids: tuple[int, ...]
    starts: tuple[tuple[int, int, int], ...] = ()

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column(PARTITION, "INTEGER"), Column(ARRIVED, "TIMESTAMP"))

    @property
    def append_only(self) -> bool:
        return True

    def label(self) -> str:
        begin = ", ".join(f"#{id} {partition} => {offset}" for id, partition, offset in self.starts)
        return f"of {', '.join(f'#{id}' for id in self.ids)}{f' from {begin}' if begin else ''}"


@dataclass(frozen=True, eq=False)
class Silence(Clocked):
    """To which stream time partitions are brought that have had no row for `idle_us`. The clock is `Arrivals`.

    While others have rows, it is the stream time of the one of these that is furthest behind. When all are silent, it
    is `close_us` after the largest event time: as long as a window takes rows.
    """

    time: str
    partition: str
    partitions: int
    idle_us: int
    close_us: int

    @property
    def columns(self) -> tuple[Column, ...]:
        return (Column(PARTITION, "INTEGER"), Column(STREAM_TIME, "TIMESTAMP"))

    def label(self) -> str:
        return f"of {duration(self.idle_us)} over {self.partitions} partition{'s' if self.partitions != 1 else ''}"


@dataclass(frozen=True, eq=False)
class StreamTime(Clocked):
    """Adds to each row the stream time of its partition before the row: the largest event time seen so far there.

    The clock, a `Silence`, brings partitions to a later stream time without a row.
    """

    time: str
    partition: str

    @property
    def columns(self) -> tuple[Column, ...]:
        return (*self.source.columns, Column(STREAM_TIME, "TIMESTAMP"))

    def label(self) -> str:
        return f"of {self.time}"


@dataclass(frozen=True, eq=False)
class Watermark(Clocked):
    """One row: the stream time of the partition of `source` that is furthest behind; no row until each has had a row.

    What is decided by it is decided for good: a row with a time before it is behind the stream time of its partition.
    The clock is that of the partitions' `StreamTime`.
    """

    time: str
    partition: str
    partitions: int

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


@dataclass(frozen=True, eq=False)
class TemporalFilter(Clocked):
    """The rows with `visible_from` <= clock < `visible_until`, as far as they are given.

    The clock has one row or, at first, none: then nothing is visible that has a moment to wait for. A row that has NULL
    for one of its moments is never visible. `is_final` says that no row changes once its `visible_from` has come.
    """

    visible_from: Moment | None
    visible_until: Moment | None
    is_final: bool = False

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
