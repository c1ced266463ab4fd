"""The workloads that are crashed, chained and starved: all of them, by name.

Each has small files and few commits, so that all that a log does happens within some dozens of operations of the disk.
What must be found afterwards is the same for all: what `Model` says.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from headwater.errors import NoSpace, NotADatabase, Rejected
from headwater.storage import Commit as Committed
from headwater.storage import Fault, FaultyStorage, Log, Storage
from headwater.storage.commits import pack_json
from headwater.storage.groups import GroupOffsets
from headwater.storage.once import OnceKey
from headwater.storage.writer import Request, encode_appends
from tests.storage.enumerator import Workload
from tests.storage.model import (
    LARGE,
    SMALL,
    TORN,
    Commit,
    Compaction,
    Imaging,
    Model,
    Place,
    Registration,
    Retention,
    contents_of,
    text,
)
from tests.storage.passing import UnchangeableStorage

PATH = "shop.hw"
INLINE_BYTES = 2000

Step = Callable[[Log, Model], None]


def open_log(storage: Storage, **options: int) -> Log:
    return Log.open(storage, PATH, **{"inline_bytes": INLINE_BYTES, **options})


def settle(log: Log, model: Model) -> None:
    model.settle(log)


def workload(
    name: str, *steps: Step, open: Callable[[Storage], Log] = open_log, further: Step | None = None
) -> Workload[Log, Model]:
    """A workload on a log. After a recovery it does what was missed, a small and a large commit, and one thing more."""

    def go_on(log: Log, model: Model) -> None:
        model.go_on(log)
        commit({(1, 0): TORN})(log, model)
        commit({(1, 0): LARGE, (2, 0): LARGE})(log, model)
        if further is not None:
            further(log, model)

    return Workload(name, Model, open, steps, settle, go_on)


# ---------------------------------------------------------------- steps


def commit(sizes: Mapping[Place, int], column: str = "value", *, keep: bool = False) -> Step:
    return lambda log, model: model.attempt(log, Commit(model.name(), sizes, column, keep))


def commit_together(sizes: Sequence[Mapping[Place, int]]) -> Step:
    """Commits that share syncs. What brings them together is the business of threads, so it is left out."""

    def step(log: Log, model: Model) -> None:
        changes = [Commit(model.name(), each) for each in sizes]
        requests = [Request(encode_appends(change.appends()), pack_json(change.note)) for change in changes]
        model.attempt_together(changes, lambda: _lead(log, requests))

    return step


def _lead(log: Log, requests: Sequence[Request]) -> None:
    assert log._writer is not None
    log._writer._lead(requests)
    for request in requests:
        if request.error is not None:
            raise request.error


def save_image(**sizes: int) -> Step:
    """An image with parts of so many characters. Those whose name begins with "fixed" are the same in every image."""

    def step(log: Log, model: Model) -> None:
        identity = model.name()
        parts = {name: text("fixed" if name.startswith("fixed") else identity, size) for name, size in sizes.items()}
        model.attempt(log, Imaging(identity, parts))

    return step


def retain(*streams: int, newest: int, history: bool = False) -> Step:
    """Have streams end before the newest few versions."""

    def step(log: Log, model: Model) -> None:
        version = max(0, log.version - newest)
        starts = {stream: version for stream in streams if stream in log.state.streams}
        model.attempt(log, Retention(model.name(), starts, 1, version if history else 0))

    return step


def compact(stream: int, size: int) -> Step:
    def step(log: Log, model: Model) -> None:
        if stream in log.state.streams:
            model.attempt(log, Compaction(model.name(), stream, log.version, size))

    return step


def register(name: str) -> Step:
    return lambda log, model: model.attempt(log, Registration(model.name(), name))


def produce(name: str, sizes: Mapping[Place, int]) -> Step:
    """A stamped commit, sent twice. The answer is the same, so that who missed the first one has missed nothing."""

    def step(log: Log, model: Model) -> None:
        known = model.contents().producers.get(name)
        if known is None:
            return
        change = Commit(model.name(), sizes, stamp=(name, replace(known, sequence=known.sequence + 1)))
        made, again = model.attempt(log, change), model.attempt(log, change)
        assert isinstance(made, Committed) and again == replace(made, duplicate=True)

    return step


def once(key: str, sizes: Mapping[Place, int]) -> Step:
    """A commit with a key, sent again with other content."""

    def step(log: Log, model: Model) -> None:
        made = model.attempt(log, Commit(model.name(), sizes, stamp=OnceKey(key)))
        again = model.attempt(log, Commit(model.name(), {(3, 0): TORN}, stamp=OnceKey(key)))
        assert isinstance(made, Committed) and isinstance(again, Committed)
        assert again.duplicate and (again.version, again.extents) == (made.version, made.extents)

    return step


def consume(group: str) -> Step:
    """Read what is new in stream 1, and commit a result in stream 2 together with how far that has got."""

    def step(log: Log, model: Model) -> None:
        place = (1, 0)
        done = log.group_offsets(group).get(place, 0)
        rows = [row for chunk in log.scan(1) for row in chunk.rows.column(0).to_pylist() if chunk.partition == 0][done:]
        generation = max(1, log.generation(group))
        offsets = GroupOffsets(group, generation, {place: done + len(rows)})
        model.attempt(log, Commit(model.name(), {(2, 0): sum(map(len, rows))}, offsets=(offsets,)))

    return step


def refused(name: str, sizes: Mapping[Place, int], *, ahead: int = 1, epochs_ago: int = 0) -> Step:
    """A commit with a stamp that is not allowed."""

    def step(log: Log, model: Model) -> None:
        known = model.contents().producers.get(name)
        if known is None:
            return
        stamp = replace(known, sequence=known.sequence + ahead, epoch=known.epoch - epochs_ago)
        try:
            model.attempt(log, Commit(model.name(), sizes, stamp=(name, stamp)))
        except Rejected:
            model.refused()
            return
        raise AssertionError("the change was made")

    return step


def on_full_disk(step: Step, writes: int) -> Step:
    """A step during which the disk is full after so many writes."""

    def starved(log: Log, model: Model) -> None:
        storage = log._storage
        assert isinstance(storage, FaultyStorage)
        storage.plan = (Fault("pwrite", storage.counts["pwrite"] + writes + 1, errno.ENOSPC),)
        try:
            step(log, model)
        except NoSpace:
            model.refused()
            return
        finally:
            storage.plan = ()
        raise AssertionError("the change was made")

    return starved


def look(log: Log, model: Model) -> None:
    """Read the log as another process would."""
    reader = Log.open(UnchangeableStorage(log._storage), PATH, read_only=True)
    model.copy().settle(reader)
    reader.close()


# ---------------------------------------------------------------- ways to open


def open_starved(storage: Storage) -> Log:
    return open_log(FaultyStorage(storage))


def open_after_a_look(storage: Storage) -> Log:
    """What another process sees in what a crash left is what there is after the repair."""
    try:
        reader = Log.open(UnchangeableStorage(storage), PATH, read_only=True)
    except NotADatabase:
        return open_log(storage)
    seen = contents_of(reader)
    reader.close()
    log = open_log(storage)
    assert contents_of(log) == seen
    return log


def open_without_indexes(storage: Storage) -> Log:
    directory = f"{PATH}/commits"
    with suppress(OSError):
        for name in storage.listdir(directory):
            if name.endswith(".idx"):
                storage.remove(f"{directory}/{name}")
    return open_log(storage, commits_bytes=1)


# ---------------------------------------------------------------- the workloads

_small, _torn, _large = commit({(1, 0): SMALL}), commit({(1, 1): TORN}), commit({(1, 0): LARGE})
_rolling = partial(open_log, commits_bytes=1)

EVERYTHING = workload(
    "everything",
    _small,
    _large,
    commit({(1, 1): TORN}, "renamed"),
    save_image(fixed=TORN, changing=TORN),
    commit_together([{(1, 0): LARGE, (2, 0): SMALL}, {(1, 0): SMALL}, {(1, 0): LARGE}]),
    commit({(2, 0): TORN}, keep=True),
    save_image(fixed=TORN, changing=LARGE),
    retain(1, newest=4),
    register("p"),
    produce("p", {(1, 0): TORN}),
    commit({(1, 0): TORN, (2, 1): LARGE}),
    open=partial(open_log, commits_bytes=1, segment_bytes=LARGE),
)

_ALL = (
    EVERYTHING,
    workload("append", _small, _torn, _large, commit({(1, 0): TORN}, "renamed"), _large, _small, _torn),
    workload(
        "group commit",
        _small,
        commit_together([{(1, 0): SMALL}, {(1, 0): TORN}, {(2, 0): SMALL}, {(1, 1): TORN}]),
        commit_together([{(1, 0): LARGE}, {(1, 0): SMALL}, {(1, 0): LARGE, (2, 0): TORN}]),
        commit_together([{(1, 0): SMALL}, {(1, 0): SMALL}]),
    ),
    workload(
        "transaction",
        commit({(1, 0): SMALL, (2, 0): TORN, (3, 0): SMALL}),
        commit({(1, 0): LARGE, (2, 0): LARGE, (3, 1): SMALL}),
        commit({(1, 1): TORN, (2, 0): SMALL, (3, 0): TORN}),
        once("k", {(1, 0): TORN, (2, 0): LARGE}),
        commit({(3, 0): LARGE, (2, 0): LARGE, (1, 0): LARGE}),
        once("k", {(1, 0): TORN}),
    ),
    workload(
        "abort",
        register("p"),
        _small,
        refused("p", {(1, 0): LARGE}, ahead=2),
        on_full_disk(_small, 0),
        _torn,
        on_full_disk(_large, 0),
        on_full_disk(_large, 1),
        _large,
        on_full_disk(save_image(part=LARGE), 0),
        _small,
        open=open_starved,
    ),
    workload("roll of commit files", *(6 * (_torn, _small)), _large, *(3 * (_torn,)), open=_rolling),
    workload(
        "roll of segments",
        *(3 * (_large,)),
        commit({(1, 0): LARGE, (1, 1): LARGE, (2, 0): LARGE}),
        _small,
        *(2 * (_large,)),
        open=partial(open_log, segment_bytes=LARGE),
    ),
    workload(
        "checkpoint",
        _small,
        save_image(fixed=LARGE, changing=SMALL),
        _torn,
        save_image(fixed=LARGE, changing=TORN),
        _small,
        save_image(fixed=LARGE, changing=LARGE, other=TORN),
        retain(newest=9),
        save_image(fixed=LARGE, changing=SMALL),
    ),
    workload(
        "retention",
        *(2 * (_large, _torn)),
        save_image(part=TORN),
        commit({(2, 0): LARGE}),
        save_image(part=TORN),
        retain(1, newest=3, history=True),
        *(2 * (_large, _torn)),
        retain(1, 2, newest=1, history=True),
        _torn,
        open=partial(open_log, commits_bytes=1, segment_bytes=LARGE),
    ),
    workload(
        "compaction",
        *(2 * (_large, _torn)),
        compact(1, SMALL),
        _large,
        compact(1, LARGE),
        _small,
        retain(1, newest=1),
        _large,
        open=partial(open_log, commits_bytes=1, segment_bytes=LARGE),
    ),
    workload(
        "producers",
        register("p"),
        produce("p", {(1, 0): SMALL}),
        produce("p", {(1, 0): TORN, (2, 0): SMALL}),
        register("q"),
        produce("p", {(1, 0): LARGE}),
        produce("q", {(1, 0): TORN}),
        *(3 * (produce("p", {(1, 0): SMALL}),)),
        open=_rolling,
        further=produce("p", {(1, 0): TORN}),
    ),
    workload(
        "consumers",
        _small,
        consume("g"),
        *(2 * (commit({(1, 0): TORN}),)),
        consume("g"),
        commit({(1, 0): LARGE}),
        consume("h"),
        consume("g"),
        open=_rolling,
        further=consume("g"),
    ),
    workload(
        "fencing",
        register("p"),
        produce("p", {(1, 0): SMALL}),
        register("p"),
        refused("p", {(1, 0): SMALL}, epochs_ago=1),
        produce("p", {(1, 0): TORN}),
        register("p"),
        refused("p", {(1, 0): SMALL}, epochs_ago=1),
        produce("p", {(1, 0): SMALL}),
    ),
    workload(
        "reading beside",
        look,
        _small,
        look,
        _large,
        *(6 * (_torn,)),
        look,
        save_image(part=TORN),
        look,
        open=open_after_a_look,
    ),
    workload("lost indexes", *(7 * (_torn,)), _large, *(7 * (_torn,)), open=open_without_indexes),
)
WORKLOADS: Mapping[str, Workload[Any, Any]] = {each.name: each for each in _ALL}
