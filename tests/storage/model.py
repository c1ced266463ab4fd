"""What a log must hold: a model of it in dictionaries, and the journal in which a workload notes what it does.

A `Change` can be made on a log and entered into `Contents`, which are what a log holds as far as anyone can see. The
`Model` keeps the changes that were acknowledged, and those that were tried without an answer. A log is right if what is
seen in it is the sum of the former and of none, some or all of the latter, in order.

Every change has an identity, which goes into its note and into its rows, so that a change tried again after a crash
differs from the first try.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pyarrow as pa

from headwater.storage import Append, Chunk, Log
from headwater.storage import Commit as Committed
from headwater.storage.groups import GroupOffsets
from headwater.storage.once import OnceKey
from headwater.storage.producers import Stamp

Rows = tuple[str, ...]
Place = tuple[int, int]  # stream and partition
SMALL, TORN, LARGE = 20, 700, 3000  # characters in a row: within a sector, over two of them, too many to be inline


@dataclass(slots=True)
class Contents:
    """All that can be seen of a log."""

    version: int = 0
    identities: dict[int, str] = field(default_factory=dict)  # by version
    kept: dict[int, str] = field(default_factory=dict)  # by version
    rows: dict[int, list[tuple[int, int, int, Rows]]] = field(default_factory=dict)  # version, partition, offset, rows
    starts: dict[int, int] = field(default_factory=dict)  # by stream, the version up to which rows are no more
    ends: dict[int, dict[int, int]] = field(default_factory=dict)
    images: dict[int, Mapping[str, str]] = field(default_factory=dict)  # by version
    groups: dict[str, tuple[int, dict[Place, int]]] = field(default_factory=dict)
    producers: dict[str, Stamp] = field(default_factory=dict)  # with the number of the last commit
    once: dict[str, int] = field(default_factory=dict)  # by key, the version of the commit that had it
    history: int = 1  # the first version whose record must be there

    def add_commit(self, identity: str) -> None:
        self.version += 1
        self.identities[self.version] = identity

    def add_rows(self, place: Place, rows: Rows) -> None:
        stream, partition = place
        self.starts.setdefault(stream, 0)
        ends = self.ends.setdefault(stream, {})
        offset = ends.get(partition, 0)
        self.rows.setdefault(stream, []).append((self.version, partition, offset, rows))
        ends[partition] = offset + len(rows)

    def remove_rows(self, stream: int, version: int) -> None:
        self.starts[stream] = version
        self.rows[stream] = [row for row in self.rows[stream] if row[0] > version]


@dataclass(frozen=True, slots=True)
class Change:
    """Something that is done to a log by one commit."""

    identity: str

    @property
    def note(self) -> dict[str, str]:
        return {"identity": self.identity}

    def make(self, log: Log) -> object:
        raise NotImplementedError

    def enter(self, contents: Contents) -> None:
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Commit(Change):
    """Rows are added: one of so many characters for each place."""

    sizes: Mapping[Place, int]
    column: str = "value"
    keep: bool = False
    stamp: tuple[str, Stamp] | OnceKey | None = None  # with the name of the producer
    offsets: tuple[GroupOffsets, ...] = ()

    def make(self, log: Log) -> Committed:
        stamp = self.stamp[1] if isinstance(self.stamp, tuple) else self.stamp
        return log.commit(self.appends(), self.note, keep=self.keep, stamp=stamp, offsets=self.offsets)

    def enter(self, contents: Contents) -> None:
        if isinstance(self.stamp, OnceKey):
            if self.stamp.text in contents.once:
                return  # it was made before
            contents.once[self.stamp.text] = contents.version + 1
        elif self.stamp is not None:
            name, stamp = self.stamp
            if stamp.sequence <= contents.producers[name].sequence:
                return  # it was made before
            contents.producers[name] = replace(contents.producers[name], sequence=stamp.sequence)
        contents.add_commit(self.identity)
        if self.keep:
            contents.kept[contents.version] = self.identity
        for place in self.sizes:
            contents.add_rows(place, self.rows(place))
        for committed in self.offsets:
            _, before = contents.groups.get(committed.group, (0, {}))
            contents.groups[committed.group] = committed.generation, before | dict(committed.offsets)

    def appends(self) -> list[Append]:
        return [Append(*place, batch(self.rows(place), self.column)) for place in self.sizes]

    def rows(self, place: Place) -> Rows:
        return f"{self.identity} at {place}", text(self.identity, self.sizes[place])


@dataclass(frozen=True, slots=True)
class Registration(Change):
    """A producer is registered. It has no note, so the identity does not show."""

    name: str

    def make(self, log: Log) -> None:
        log.register(self.name)

    def enter(self, contents: Contents) -> None:
        contents.version += 1
        known = contents.producers.get(self.name, Stamp(len(contents.producers) + 1, 0, 0))
        contents.producers[self.name] = replace(known, epoch=known.epoch + 1)


@dataclass(frozen=True, slots=True)
class Imaging(Change):
    """An image is saved: for each part a text."""

    parts: Mapping[str, str]

    def make(self, log: Log) -> None:
        log.save_image({name: batch((part,)) for name, part in self.parts.items()}, self.note)

    def enter(self, contents: Contents) -> None:
        contents.add_commit(self.identity)
        contents.images[contents.version] = self.parts


@dataclass(frozen=True, slots=True)
class Retention(Change):
    """Of streams the rows up to a version go, all images but the youngest ones, and history before a version."""

    starts: Mapping[int, int]
    images: int = 1
    history: int = 0

    def make(self, log: Log) -> None:
        discard = log.images()[: -self.images]
        log.retain(self.starts, history=self.history, discard=discard, note=self.note)

    def enter(self, contents: Contents) -> None:
        contents.add_commit(self.identity)
        contents.history = max(contents.history, self.history)
        for stream, version in self.starts.items():
            if version > contents.starts[stream]:
                contents.remove_rows(stream, version)
        for version in list(contents.images)[: -self.images]:
            del contents.images[version]


@dataclass(frozen=True, slots=True)
class Compaction(Change):
    """One row takes the place of all that a stream has up to a version."""

    stream: int
    version: int
    size: int

    def make(self, log: Log) -> None:
        log.compact(self.stream, self.version, [Append(self.stream, 0, batch(self.rows()))], self.note)

    def enter(self, contents: Contents) -> None:
        contents.add_commit(self.identity)
        contents.remove_rows(self.stream, self.version)
        contents.rows[self.stream].insert(0, (self.version, 0, 0, self.rows()))

    def rows(self) -> Rows:
        return (text(self.identity, self.size),)


@dataclass(slots=True)
class Model:
    """The changes that were made, and those that were tried without an answer. `missed` are those of the last life."""

    made: list[Change] = field(default_factory=list)
    tried: list[Change] = field(default_factory=list)
    missed: list[Change] = field(default_factory=list)
    count: int = 0

    def copy(self) -> Model:
        return Model(self.made.copy(), self.tried.copy(), self.missed.copy(), self.count)

    def key(self) -> tuple[object, ...]:
        return tuple(change.identity for change in self.made), tuple(change.identity for change in self.tried)

    def refused(self) -> None:
        self.tried.clear()

    def name(self) -> str:
        """An identity that was never used."""
        self.count += 1
        return f"change{self.count}"

    def attempt(self, log: Log, change: Change) -> object:
        """Note a change, make it, note that it was made, and give back the answer."""
        return self.attempt_together([change], lambda: change.make(log))

    def attempt_together(self, changes: Sequence[Change], make: Callable[[], object]) -> object:
        """As `attempt`, of changes that are made by one call."""
        self.tried += changes
        answer = make()
        self.made += changes
        self.tried.clear()
        return answer

    def contents(self, tried: int = 0) -> Contents:
        """What a log must hold, if of the changes without an answer the first `tried` were made."""
        contents = Contents()
        for change in [*self.made, *self.tried[:tried]]:
            change.enter(contents)
        return contents

    def settle(self, log: Log) -> None:
        """Assert that a log holds what it must. What is there counts as made from now on."""
        found = contents_of(log)
        possible = [self.contents(tried) for tried in range(len(self.tried) + 1)]
        right = [tried for tried, contents in enumerate(possible) if contents.version == found.version]
        assert right, f"version {found.version} was found, and {[contents.version for contents in possible]} can be"
        tried = right[-1]
        expected = possible[tried]
        assert log.first_version <= expected.history, "commit records are kept as long as they were asked for"
        expected.identities = {v: name for v, name in expected.identities.items() if v >= log.first_version}
        assert found == expected
        self.made += self.tried[:tried]
        self.missed, self.tried = self.tried, []

    def go_on(self, log: Log) -> None:
        """Try again what had no answer. With a stamp it is the same commit, which must not be made twice."""
        for change in self.missed:
            is_stamped = isinstance(change, Commit) and change.stamp is not None
            self.attempt(log, change if is_stamped else replace(change, identity=self.name()))
        self.missed = []


def contents_of(log: Log) -> Contents:
    """All that can be seen of a log."""
    state = log.state
    times = [log.time_of(version) for version in range(log.first_version, log.version + 1)]
    assert all(before <= after for before, after in pairwise(times)), "time does not go back"
    return Contents(
        log.version,
        dict(log.notes("identity")),
        dict(log.kept("identity")),
        {stream: [_chunk(chunk) for chunk in log.scan(stream)] for stream in state.streams},
        {stream: log.start(stream).version for stream in state.streams},
        {stream: log.ends(stream) for stream in state.streams},
        {image.version: _parts(log.load_image(image)) for image in log.images()},
        {group: (log.generation(group), log.group_offsets(group)) for group in log.groups()},
        {name: Stamp(number, epoch, last) for number, name, epoch, last, _ in state.producers.to_json()},
        {key: version for key, version, _ in state.once.to_json()},
        state.history,
    )


def batch(rows: Rows, column: str = "value") -> pa.RecordBatch:
    return pa.record_batch({column: list(rows)})


def text(identity: str, size: int) -> str:
    """So many characters that are of nobody else."""
    return (identity + " ") * (size // (len(identity) + 1))


def _chunk(chunk: Chunk) -> tuple[int, int, int, Rows]:
    return chunk.version, chunk.partition, chunk.offset, tuple(chunk.rows.column(0).to_pylist())


def _parts(parts: Mapping[str, pa.RecordBatch]) -> dict[str, str]:
    return {name: part.column(0)[0].as_py() for name, part in parts.items()}
