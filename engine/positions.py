"""AS OF: from what a user writes to a cut of the log."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from headwater.engine.catalogs import Catalogs
from headwater.engine.counts import counted
from headwater.errors import OutOfRange, PositionGone, Span, SqlError, UnknownName, suggestion
from headwater.executor.evaluate import connection
from headwater.executor.feed import Cut
from headwater.executor.past import earliest_version
from headwater.parser.syntax import AsOf
from headwater.planner import Catalog, Plan, walk_plan
from headwater.planner.logical import StreamSource, TableSource
from headwater.storage import Log

_AGO = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s+ago\s*", re.IGNORECASE)
_UNITS_US = {
    "millisecond": 1_000, "second": 1_000_000, "minute": 60_000_000, "hour": 3_600_000_000, "day": 86_400_000_000,
    "week": 604_800_000_000,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Points:
    """The points that one statement names, at most at version `latest`. What is now does not change meanwhile.

    A point of the database is a version, and a name means there what it meant then, or if it was not known yet, what it
    means in `present`. Points that count records of relations keep the present catalog.
    """

    log: Log
    catalogs: Catalogs
    present: Catalog
    latest: int
    now_us: int

    def version(self, as_of: AsOf) -> int | None:
        """The version of a point of the database; None for one that counts records. Raises OutOfRange."""
        match as_of.kind:
            case "version":
                return _version(as_of, self.latest)
            case "timestamp" | "ago":
                return _time(as_of, self.log, self.latest, self.now_us)
            case "latest":
                return self.latest
            case _:
                return None

    def catalog(self, as_of: AsOf | None, *, or_present: bool = False) -> Catalog:
        """What names mean as of a point, or if that is not there, and you say so, what they mean now."""
        try:
            version = None if as_of is None else self.version(as_of)
        except OutOfRange:
            if not or_present:
                raise
            version = None
        if version is None:
            return self.present
        then = self.catalogs.at(version)
        return self.present if then is self.catalogs.latest() else then.before(self.present)

    def cut(self, as_of: AsOf, plans: Sequence[Plan]) -> Cut:
        """The cut that `as_of` means for relations computed by `plans`. Raises OutOfRange for one that is not there."""
        version = self.version(as_of)
        if version is not None:
            return Cut(version)
        match as_of.kind:
            case "earliest":
                return Cut(max((earliest_version(self.log, plan) for plan in plans), default=0))
            case "offset":
                source = _one_source(as_of, plans)
                reached, limits = _first_records(as_of, source, int(as_of.value), self.log, self.latest)
                return Cut(reached, {source.id: limits})
            case _ if all(isinstance(key, int) for key, _ in as_of.positions):
                return self._partition_offsets(as_of, _one_source(as_of, plans))
            case _:
                return _offsets(as_of, plans, self.log, self.latest)

    def _partition_offsets(self, as_of: AsOf, source: StreamSource | TableSource) -> Cut:
        ends = self.log.ends(source.id, self.latest)
        there = next((r.partitions for r in self.present.relations.values() if r.id == source.id), 1)
        wanted = {int(key): count for key, count in as_of.positions}
        for partition, count in wanted.items():
            if partition >= there:
                end = ", ".join(f"{p} => {ends.get(p, 0)}" for p in range(there))
                raise OutOfRange(
                    f'there is no partition {partition} of "{source.name}", '
                    f"which has {there} partition{'' if there == 1 else 's'}",
                    as_of.span, hint=f"the end is OFFSET ({end})",
                )  # fmt: skip
            if count > ends.get(partition, 0):
                raise OutOfRange(
                    f'offset {count} is beyond the end of partition {partition} of "{source.name}", '
                    f"which has {counted(ends.get(partition, 0), 'record')}", as_of.span,
                )  # fmt: skip
        reached = max((self.log.version_of(source.id, p, count - 1) for p, count in wanted.items() if count), default=0)
        return Cut(reached, {source.id: {**self.log.ends(source.id, reached), **wanted}})


def no_more(gone: PositionGone, span: Span | None) -> OutOfRange:
    """The error for a point that retention has taken, with its place."""
    hint = f"the earliest is AS OF VERSION {gone.earliest}"
    return OutOfRange("this point is no more: retention has taken what it was made of", span, hint=hint)


def _version(as_of: AsOf, latest: int) -> int:
    version = int(as_of.value)
    if version > latest:
        raise OutOfRange(f"version {version} is not there yet: the latest is {latest}", as_of.span)
    return version


def _time(as_of: AsOf, log: Log, latest: int, now_us: int) -> int:
    if as_of.kind == "ago":
        match = _AGO.fullmatch(as_of.value)
        unit = _UNITS_US.get(match[2].lower()) if match else None
        if match is None or unit is None:
            raise SqlError(f"cannot read '{as_of.value}' as a time", as_of.span, hint="write AS OF '5 minutes ago'")
        time_us = now_us - int(float(match[1]) * unit)
    else:
        time_us = _timestamp_us(as_of)
    if time_us > now_us:
        now = f"{_text_of(now_us)}, at version {latest}"
        raise OutOfRange(f"'{as_of.value}' has not come yet: now is {now}", as_of.span)
    version, first = log.version_at(time_us), log.first_version
    if not version and first > 1:
        raise OutOfRange(
            f"'{as_of.value}' is before what retention has kept",
            as_of.span, hint=f"the earliest is AS OF VERSION {first}, of {_text_of(log.time_of(first))}",
        )  # fmt: skip
    return min(version, latest)


def _timestamp_us(as_of: AsOf) -> int:
    try:
        ((time_us,),) = connection().execute("SELECT epoch_us(CAST(? AS TIMESTAMPTZ))", [as_of.value]).fetchall()
    except duckdb.Error as error:
        hint = "write AS OF TIMESTAMP '2026-01-31 12:00:00'"
        raise SqlError(f"cannot read '{as_of.value}' as a timestamp", as_of.span, hint=hint) from error
    return int(time_us)


def _text_of(time_us: int) -> str:
    ((text,),) = connection().execute("SELECT CAST(make_timestamp(?) AS VARCHAR)", [time_us]).fetchall()
    return str(text).partition(".")[0]


def sources(plans: Sequence[Plan]) -> list[StreamSource | TableSource]:
    """The relations with a log of their own that `plans` are computed from."""
    leaves = [leaf for plan in plans for leaf in walk_plan(plan) if isinstance(leaf, StreamSource | TableSource)]
    return list({leaf.id: leaf for leaf in leaves}.values())


def _one_source(as_of: AsOf, plans: Sequence[Plan]) -> StreamSource | TableSource:
    """The source that a bare offset counts in: the only stream, or the only table where there is no stream."""
    found = sources(plans)
    streams = [leaf for leaf in found if isinstance(leaf, StreamSource)]
    candidates = streams or found
    if len(candidates) == 1:
        return candidates[0]
    if not candidates:
        raise OutOfRange("this is computed from constants alone, which have no offsets", as_of.span)
    named = ", ".join(f"{leaf.name} => {as_of.value or 'n'}" for leaf in candidates)
    raise OutOfRange("an offset of which source?", as_of.span, hint=f"AS OF OFFSET ({named})")


def _first_records(
    as_of: AsOf, source: StreamSource | TableSource, count: int, log: Log, latest: int
) -> tuple[int, dict[int, int]]:
    """The version at which a relation had `count` records, and the offsets that its first `count` records end at."""
    if not count:
        return 0, {}
    found = log.first(source.id, count, latest)
    if found is None:
        there = counted(sum(log.ends(source.id, latest).values()), "record")
        raise OutOfRange(f'offset {count} is beyond the end of "{source.name}", which has {there}', as_of.span)
    return found


def _offsets(as_of: AsOf, plans: Sequence[Plan], log: Log, latest: int) -> Cut:
    """OFFSET (relation => n, …)."""
    known = {leaf.name.lower(): leaf for leaf in sources(plans)}
    version, limits = 0, dict[int, dict[int, int]]()
    for key, count in as_of.positions:
        leaf = known.get(str(key).lower())
        if leaf is None:
            hint = suggestion(str(key), (s.name for s in known.values()), "its sources")
            raise UnknownName(f'"{key}" is not a source of what is asked', as_of.span, hint=hint)
        reached, limits[leaf.id] = _first_records(as_of, leaf, count, log, latest)
        version = max(version, reached)
    return Cut(version, limits)
