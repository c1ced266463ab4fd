"""What the log's protocol promises, as a model in dictionaries: one number per commit, one text per row.

In: the changes that were acknowledged, in order, each as a call of a method. Out: all that a log must show after them.
Every `add_…` is one commit. Which stamps and members are to be refused is said by `verdict` and `Sharing.may_commit`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from headwater.errors import (
    DuplicateSequence,
    PositionGone,
    ProducerFenced,
    Rejected,
    SequenceConflict,
    SequenceGap,
    UnknownProducer,
)
from headwater.storage import Append, Extent, GroupOffsets, Log, Stamp
from headwater.storage.producers import WINDOW

STREAMS = range(3)
PARTITIONS = range(2)

Place = tuple[int, int]  # stream and partition
Row = tuple[int, int, int, str]  # version, partition, offset, value
Batches = Mapping[Place, tuple[str, ...]]  # the rows of a commit
Parts = Mapping[str, tuple[tuple[str, ...], ...]]  # the tables of an image, each as its chunks


@dataclass(frozen=True, slots=True)
class Content:
    """What a commit adds."""

    batches: Batches = field(default_factory=dict)
    note: str = ""
    keep: bool = False
    offsets: tuple[GroupOffsets, ...] = ()

    def appends(self) -> list[Append]:
        return [Append(*place, batch(rows)) for place, rows in self.batches.items()]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a stamped commit was answered."""

    content: Content
    version: int
    extents: tuple[Extent, ...]


@dataclass(slots=True)
class Producer:
    """A producer and all its commits: number n is at n − 1."""

    number: int
    epoch: int = 0
    answers: list[Answer] = field(default_factory=list)

    def next_stamp(self) -> Stamp:
        return Stamp(self.number, self.epoch, len(self.answers) + 1)

    def verdict(self, stamp: Stamp, content: Content) -> type[Rejected] | Answer | None:
        """None for a commit that is to be made, the first answer for one that was made."""
        last = len(self.answers)
        if stamp.epoch != self.epoch:
            return ProducerFenced if stamp.epoch < self.epoch else UnknownProducer
        if stamp.sequence == last + 1:
            return None
        if not 1 <= stamp.sequence <= last:
            return SequenceGap
        if stamp.sequence <= last - WINDOW:
            return DuplicateSequence
        answer = self.answers[stamp.sequence - 1]
        return answer if answer.content == content else SequenceConflict


@dataclass(slots=True)
class Beginning:
    """Where a stream begins: version, next offsets there, and the rows that stand for those before."""

    version: int = 0
    ends: dict[int, int] = field(default_factory=dict)
    replacement: list[Row] = field(default_factory=list)


class Model:
    """All that a log shows. Lists that are indexed by version have an entry for version 0, before all commits."""

    def __init__(self) -> None:
        self.times = [0]
        self.ends: list[dict[Place, int]] = [{}]
        self.history = 1  # the first version whose record was asked to stay
        self.notes: dict[int, str] = {}
        self.kept: dict[int, str] = {}
        self.rows: dict[int, list[Row]] = {stream: [] for stream in STREAMS}  # of all commits
        self.beginnings = {stream: Beginning() for stream in STREAMS}
        self.producers: dict[str, Producer] = {}
        self.groups: dict[str, tuple[int, dict[Place, int]]] = {}
        self.images: dict[int, Parts] = {}

    # ---------------------------------------------------------------- commits

    @property
    def version(self) -> int:
        return len(self.times) - 1

    def add_commit(self, time_us: int, note: str) -> int:
        """Any commit; its version."""
        self.times.append(time_us)
        self.ends.append(dict(self.ends[-1]))
        if note:
            self.notes[self.version] = note
        return self.version

    def add_content(self, time_us: int, content: Content) -> Answer:
        version = self.add_commit(time_us, content.note)
        if content.keep:
            self.kept[version] = content.note
        extents = []
        for place, rows in content.batches.items():
            stream, partition = place
            first = self.ends[-1].get(place, 0)
            self.rows[stream] += [(version, partition, first + number, row) for number, row in enumerate(rows)]
            self.ends[-1][place] = first + len(rows)
            extents.append(Extent(stream, partition, first, len(rows)))
        for offsets in content.offsets:
            _, before = self.groups.get(offsets.group, (0, {}))
            self.groups[offsets.group] = offsets.generation, before | dict(offsets.offsets)
        return Answer(content, version, tuple(extents))

    def add_registration(self, time_us: int, name: str) -> None:
        self.add_commit(time_us, "")
        self.producers.setdefault(name, Producer(len(self.producers) + 1)).epoch += 1

    def add_image(self, time_us: int, note: str, parts: Parts) -> None:
        self.images[self.add_commit(time_us, note)] = parts

    def add_retention(self, time_us: int, note: str, starts: Mapping[int, int], images: int, history: int) -> None:
        """Streams are cut at versions, all images but so many are discarded, history before a version may go."""
        for stream, version in starts.items():
            if version > self.beginnings[stream].version:
                self.beginnings[stream] = Beginning(version, self.ends_at(stream, version))
        self.images = dict(list(self.images.items())[-images:])
        self.history = max(self.history, history)
        self.add_commit(time_us, note)

    def add_compaction(self, time_us: int, note: str, stream: int, version: int, rows: tuple[str, ...]) -> None:
        """Rows in partition 0 stand for all that a stream has up to a version."""
        replacement = [(version, 0, offset, row) for offset, row in enumerate(rows)]
        self.beginnings[stream] = Beginning(version, self.ends_at(stream, version), replacement)
        self.add_commit(time_us, note)

    # ---------------------------------------------------------------- what is seen

    def ends_at(self, stream: int, version: int) -> dict[int, int]:
        return {partition: end for (other, partition), end in sorted(self.ends[version].items()) if other == stream}

    def row_count(self, stream: int, version: int) -> int:
        return sum(self.ends_at(stream, version).values())

    def scan(self, stream: int, after: int = 0, upto: int | None = None) -> list[Row]:
        beginning = self.beginnings[stream]
        upto = self.version if upto is None else upto
        if 0 < after < beginning.version or after < upto < beginning.version:
            raise PositionGone("", earliest=beginning.version)
        found = beginning.replacement if after < beginning.version <= upto else []
        return found + [row for row in self.rows[stream] if max(after, beginning.version) < row[0] <= upto]

    def first(self, stream: int, count: int, upto: int) -> tuple[int, dict[int, int]] | None:
        beginning = self.beginnings[stream]
        if count > self.row_count(stream, upto):
            return None
        if count < sum(beginning.ends.values()):
            raise PositionGone("", earliest=beginning.version)
        if count == sum(beginning.ends.values()):
            return beginning.version, beginning.ends
        rows = self.rows[stream][:count]
        return rows[-1][0], dict(sorted({partition: offset + 1 for _, partition, offset, _ in rows}.items()))

    def version_at(self, time_us: int) -> int:
        return max(version for version, time in enumerate(self.times) if version == 0 or time <= time_us)

    def check(self, log: Log) -> None:
        """Assert that a log shows this, and nothing else."""
        assert log.version == self.version
        for stream in STREAMS:
            assert scanned(log, stream) == self.scan(stream)
            assert log.ends(stream) == self.ends_at(stream, self.version)
            assert log.starts(stream) == self.beginnings[stream].ends
            assert log.row_count(stream) == self.row_count(stream, self.version)
        first = log.first_version
        needed = [row[0] for stream in STREAMS for row in self.scan(stream) if row[0] > self.beginnings[stream].version]
        assert first <= min([self.history, *needed]), "what is needed is there"
        assert [log.time_of(version) for version in range(first, log.version + 1)] == self.times[first:]
        assert dict(log.notes("id")) == {version: note for version, note in self.notes.items() if version >= first}
        assert dict(log.kept("id")) == self.kept
        assert {name: (log.generation(name), log.group_offsets(name)) for name in log.groups()} == self.groups
        assert {image.version: loaded(log.load_image(image)) for image in log.images()} == {
            version: {name: [row for chunk in chunks for row in chunk] for name, chunks in parts.items()}
            for version, parts in self.images.items()
        }


@dataclass(slots=True, eq=False)
class Reader:
    """A member of a group, as it knows itself: `positions` of its generation, and what it has read since its commit."""

    generation: int = 0
    claims: dict[int, int] = field(default_factory=dict)
    positions: dict[int, int] = field(default_factory=dict)
    unsettled: set[int] = field(default_factory=set)


@dataclass(slots=True)
class Sharing:
    """The members of a group: they share the partitions of a stream in turn.

    A claim has a new number whenever another member gets the partition, or the group is moved there.
    """

    members: list[Reader] = field(default_factory=list)
    claims: dict[int, tuple[Reader, int]] = field(default_factory=dict)
    count: int = 0

    def divide(self) -> None:
        for partition in PARTITIONS:
            owner = self.members[partition % len(self.members)] if self.members else None
            if owner is None:
                self.claims.pop(partition, None)
            elif partition not in self.claims or self.claims[partition][0] is not owner:
                self.claim(partition, owner)

    def claim(self, partition: int, owner: Reader) -> None:
        self.count += 1
        self.claims[partition] = owner, self.count

    def renew(self, partitions: set[int]) -> None:
        for partition in partitions & self.claims.keys():
            self.claim(partition, self.claims[partition][0])

    def claims_of(self, reader: Reader) -> dict[int, int]:
        return {partition: claim for partition, (owner, claim) in sorted(self.claims.items()) if owner is reader}

    def may_commit(self, reader: Reader) -> bool:
        """Whether all that a reader has read is still its own."""
        now = self.claims_of(reader)
        return all(now.get(partition) == reader.claims[partition] for partition in reader.unsettled)

    def enter(self, reader: Reader, generation: int, committed: Mapping[int, int]) -> None:
        """A reader takes up a generation. Where it has read what it may still commit, it stays."""
        kept = {partition: reader.positions[partition] for partition in reader.unsettled}
        reader.generation, reader.claims = generation, self.claims_of(reader)
        reader.positions = {partition: committed[partition] for partition in reader.claims} | kept


def batch(rows: tuple[str, ...]) -> pa.RecordBatch:
    return pa.record_batch({"value": pa.array(rows, pa.string())})


def scanned(log: Log, stream: int, after: int = 0, upto: int | None = None) -> list[Row]:
    return [
        (chunk.version, chunk.partition, chunk.offset + number, value)
        for chunk in log.scan(stream, after, upto)
        for number, value in enumerate(chunk.rows.column(0).to_pylist())
    ]


def loaded(parts: Mapping[str, pa.RecordBatch]) -> dict[str, list[str]]:
    return {name: part.column(0).to_pylist() for name, part in parts.items()}
