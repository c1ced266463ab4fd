"""FORK: a second database that begins as this one was at some point, and shares its files.

In: a log, and a point of it; out: a database in another directory, or an error before anything is made of it. What is
shared, and how, is the business of `storage/fork.py`; here is what a point means, and whether the queries that ran then
can still be computed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from typing import Any

from headwater.engine.catalogs import Catalogs
from headwater.engine.outputs import created_at
from headwater.engine.positions import Points, no_more
from headwater.engine.recovery import images_of, recorded
from headwater.engine.result import Result
from headwater.engine.stops import stops_of
from headwater.errors import OutOfRange, PositionGone, StorageError
from headwater.executor.feed import Cut
from headwater.executor.past import check_computable
from headwater.parser import syntax
from headwater.planner import Catalog
from headwater.storage import Log, OsStorage
from headwater.storage.fork import Fork, fork


def run(statement: syntax.Fork, points: Points, path: str | None) -> Result:
    """Runs FORK in a database of whose log `points` may be named, and is in a directory if it is not in memory."""
    log, as_of = points.log, statement.as_of
    version = None if as_of is None else _version_at(as_of, replace(points, latest=log.version))
    try:
        made = fork_log(log, path, absolute(statement.path), version)
    except PositionGone as gone:
        raise no_more(gone, statement.span if as_of is None else as_of.span) from gone
    return Result.of_message(f'forked version {made.version:,} to "{statement.path}"')


def fork_directory(path: str, target: str, version: int | None) -> Fork:
    """Forks the database in a directory, which another process may have open, as of a version (default: now)."""
    with closing(Log.open(OsStorage(read_only=True), path, create=False, read_only=True)) as log:
        return fork_log(log, path, target, version)


def fork_log(log: Log, path: str | None, target: str, version: int | None) -> Fork:
    """Forks the database at `path`, None if it is in memory, as of a version (default: now).

    Raises `PositionGone`, or a `StorageError` where that cannot be.
    """
    if path is None:
        hint = "connect to a directory instead"
        raise StorageError("a database in memory has no files that a fork could share", hint=hint)
    if f"{absolute(target)}/".startswith(f"{absolute(path)}/"):
        raise StorageError(f'"{target}" is inside the database: give the name of a directory outside')
    if version is None:
        version = log.version  # and not what is being committed just now
    elif 0 <= version < log.version:
        _check_computable(log, version)
    if log.is_read_only:
        return fork(OsStorage(), path, target, version, _is_of)
    return log.fork(target, version, _is_of)


def _is_of(note: Mapping[str, Any], version: int) -> bool:
    """Whether an image with this note shows the queries as they were at a version or before."""
    return "frontier" in note and max(note["frontier"], note["last_step"][0]) <= version


def _check_computable(log: Log, version: int) -> None:
    """Raises PositionGone unless all that ran at a version can be computed from what retention has left."""
    catalog = Catalogs(log).at(version)
    if not any(log.start(relation.id).version for relation in catalog.ordered()):
        return
    clocks = {relation.clock for relation in catalog.ordered()}
    earliest = [gone for clock in clocks for gone in _not_computable(log, version, catalog.in_clock(clock))]
    if earliest:
        raise PositionGone(
            f"version {version} is no more: retention has taken what it was made of",
            earliest=max(earliest),
            hint=f"the earliest version is {max(earliest)}",
        )


def _not_computable(log: Log, version: int, catalog: Catalog) -> Iterator[int]:
    """For each relation of the catalog's clock that cannot be computed as it was at a version: since when it can be."""
    clock = catalog.clock
    images = [image for image in images_of(log, clock) if _is_of(image.note, version)]
    stopped, created = stops_of(log, catalog, version), {} if clock else created_at(log)
    kept = [r for r in catalog.ordered() if (r.is_derived or not r.is_stream) and r.id not in stopped]
    last = recorded(log, images, version, clock=clock).last_step[1]
    frontier = max([last, *(created.get(r.id, 0) for r in kept if r.is_derived)])
    for relation in kept:
        try:
            check_computable(log, relation.content(), Cut(frontier), images)
        except PositionGone as gone:
            yield gone.earliest


def _version_at(as_of: syntax.AsOf, points: Points) -> int:
    """The version that a point means. Raises OutOfRange for one that is not there, or lies inside a commit."""
    relations = points.present.ordered()
    cut = points.cut(as_of, [r.source() for r in relations if r.is_stream or not r.is_derived])
    for relation, limits in cut.limits.items():
        ends = points.log.ends(relation, cut.version)
        if any(limits.get(partition, 0) != end for partition, end in ends.items()):
            raise OutOfRange(
                "a fork has commits as a whole, and this point is inside one", as_of.span,
                hint=f"AS OF VERSION {cut.version - 1} is before it, AS OF VERSION {cut.version} after it",
            )  # fmt: skip
    return cut.version


def absolute(path: str | os.PathLike[str]) -> str:
    """A path that stays what it is when the program goes to another directory."""
    return os.path.abspath(os.path.expanduser(os.fspath(path)))
