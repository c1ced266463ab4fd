"""What SHOW STREAMS | TABLES EXTENDED tells about the log of a relation."""

from __future__ import annotations

from datetime import UTC, datetime

from headwater.planner import Relation
from headwater.storage import Log

NAMES = ("offsets", "segments", "bytes", "rows per second", "kept since")
NUMBERS = frozenset({"segments", "bytes", "rows per second"})

_MINUTE_US = 60_000_000


def log_facts(relation: Relation, log: Log, now_us: int) -> tuple[object, ...]:
    """Values for `NAMES`: offsets by partition, first to next; files; bytes of all rows; the rate of the last minute;
    and the time from which on history is there, NULL if all of it is.
    """
    segments, _ = log.stream_files(relation.id)
    return (
        _offsets(relation, log),
        segments,
        log.bytes_after(relation.id),
        _rows_per_second(relation, log, now_us),
        _kept_since(relation, log),
    )


def _offsets(relation: Relation, log: Log) -> str | None:
    begins = log.starts(relation.id)
    parts = [f"{p}: {begins.get(p, 0)} to {end}" for p, end in sorted(log.ends(relation.id).items())]
    return ", ".join(parts) or None


def _rows_per_second(relation: Relation, log: Log, now_us: int) -> int:
    before = max(log.version_at(now_us - _MINUTE_US), log.start(relation.id).version, log.first_version - 1)
    return round((log.row_count(relation.id) - log.row_count(relation.id, before)) / 60)


def _kept_since(relation: Relation, log: Log) -> str | None:
    version = log.start(relation.id).version
    if not version:
        return None
    return datetime.fromtimestamp(log.time_of(version) / 1e6, UTC).strftime("%Y-%m-%d %H:%M:%S")
