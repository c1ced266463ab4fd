"""The whole protocol of a log, against a model, in any order, on a disk that fails, is full, and loses power.

HEADWATER_CASES sets how many random lives are tried, of 50 steps each.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, TypeVar

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from headwater.errors import MemberFenced, OutOfRange, PositionGone, Rejected, StorageError, UnknownProducer
from headwater.storage import GroupOffsets, Stamp
from headwater.storage.consumers import Consumers, Edge, Member, Since
from tests.storage.lives import SECOND, Lives
from tests.storage.protocol import PARTITIONS, STREAMS, Answer, Content, Reader, Sharing, batch, scanned

CASES = int(os.environ.get("HEADWATER_CASES", "300"))
STEPS = 50
GROUPS = {"riders": 0, "drivers": 1}  # with the stream that each reads
FREE = "free"  # a group without members

T = TypeVar("T")
Mode = Literal["next", "again", "gap", "other content", "old epoch", "new epoch", "long ago"]

places = st.tuples(st.sampled_from(STREAMS), st.sampled_from(PARTITIONS))
sizes = st.lists(st.sampled_from((5, 40, 400)), min_size=1, max_size=3)  # characters in the rows of a batch
some_sizes = st.dictionaries(places, sizes, max_size=3)
groups = st.sampled_from(sorted(GROUPS))
streams = st.sampled_from(STREAMS)
shares = st.floats(0, 1)  # how far along something that has a beginning and an end
notes = st.sampled_from((0, 900))  # characters


class Protocol(Lives):
    """All that can be done with a log, by those who use it."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def begin(self) -> None:
        self.consumers = Consumers(self.log)
        self.sharings = {group: Sharing() for group in GROUPS}
        self.members: list[tuple[str, Member, Reader]] = []

    # ---------------------------------------------------------------- commits

    @rule(sizes=some_sizes, padding=notes, keep=st.booleans())
    def append(self, sizes: Mapping[tuple[int, int], list[int]], padding: int, keep: bool) -> None:
        self.commit(self.content(sizes, padding, keep))

    @rule(count=st.integers(2, 6), padding=notes)
    def append_some_more(self, count: int, padding: int) -> None:
        for number in range(count):
            self.commit(self.content({(number % 3, number % 2): [5]}, padding))

    @rule(generation=st.integers(-1, 1), partition=st.sampled_from(PARTITIONS), offset=st.integers(0, 9))
    def commit_offsets_of_a_free_group(self, generation: int, partition: int, offset: int) -> None:
        current, _ = self.model.groups.get(FREE, (0, {}))
        offsets = GroupOffsets(FREE, current + generation, {(0, partition): offset})
        self.commit(self.content({(1, 0): [5]}, offsets=(offsets,)), MemberFenced if generation < 0 else None)

    @rule(name=st.sampled_from(("car", "van")))
    def register(self, name: str) -> None:
        stamp = self.attempt(
            lambda: self.log.register(name), lambda time_us: self.model.add_registration(time_us, name)
        )
        if stamp is not None:
            known = self.model.producers[name]
            assert stamp == Stamp(known.number, known.epoch, len(known.answers))

    @precondition(lambda self: self.model.producers)
    @rule(
        which=st.integers(0, 1),
        mode=st.sampled_from(("next", "next", "again", "gap", "other content", "old epoch", "new epoch", "long ago")),
        back=st.integers(0, 4),
        sizes=some_sizes,
    )
    def commit_with_a_stamp(
        self, which: int, mode: Mode, back: int, sizes: Mapping[tuple[int, int], list[int]]
    ) -> None:
        producer = list(self.model.producers.values())[which % len(self.model.producers)]
        number, epoch, sequence = producer.number, producer.epoch, len(producer.answers) + 1
        content = self.content(sizes)
        match mode:
            case "again" | "other content" if producer.answers:
                sequence = max(1, sequence - 1 - back)
                content = producer.answers[sequence - 1].content if mode == "again" else content
            case "gap":
                sequence += 1 + back
            case "old epoch":
                epoch -= 1
            case "new epoch":
                epoch += 1
            case "long ago":
                sequence = 1
        stamp = Stamp(number, epoch, sequence)
        verdict = producer.verdict(stamp, content)
        if isinstance(verdict, type):
            self.attempt(lambda: self.log.commit(*of(content), stamp=stamp), lambda _: None, verdict)
        elif isinstance(verdict, Answer):
            commit = self.attempt(lambda: self.log.commit(*of(content), stamp=stamp), lambda _: None)
            if commit is not None:
                assert (commit.duplicate, commit.version, commit.extents) == (True, verdict.version, verdict.extents)
        else:
            self.commit(content, stamp=stamp, enter=producer.answers.append)

    @rule()
    def commit_with_the_stamp_of_a_stranger(self) -> None:
        self.commit(self.content({}), UnknownProducer, stamp=Stamp(99, 1, 1))

    def content(
        self,
        sizes: Mapping[tuple[int, int], list[int]],
        padding: int = 0,
        keep: bool = False,
        offsets: tuple[GroupOffsets, ...] = (),
    ) -> Content:
        """Rows of these sizes, of which none was there before."""
        return Content(
            {place: tuple(self.text(size) for size in some) for place, some in sizes.items()},
            self.text(padding),
            keep,
            offsets,
        )

    def text(self, size: int = 0) -> str:
        self.count += 1
        return f"{self.count}".ljust(size, ".")

    def commit(
        self,
        content: Content,
        refusal: type[Rejected] | None = None,
        stamp: Stamp | None = None,
        enter: Callable[[Answer], object] = lambda answer: None,
    ) -> None:
        appends, note = of(content)
        commit = self.attempt(
            lambda: self.log.commit(appends, note, keep=content.keep, offsets=content.offsets, stamp=stamp),
            lambda time_us: enter(self.model.add_content(time_us, content)),
            refusal,
        )
        if commit is not None:
            assert (commit.version, commit.time_us) == (self.model.version, self.model.times[-1])
            assert all(self.model.ends[-1][e.stream, e.partition] == e.offset + e.count for e in commit.extents)

    # ---------------------------------------------------------------- images, retention, compaction

    @rule(chunks=st.lists(st.integers(0, 3), min_size=1, max_size=4), size=st.sampled_from((10, 300)))
    def save_an_image(self, chunks: list[int], size: int) -> None:
        """Chunks are of four kinds, so that images share them."""
        note = self.text()
        parts = {"some": tuple((f"{chunk}" * size,) for chunk in chunks), "none": ((),)}
        tables = {name: pa.Table.from_batches([batch(chunk) for chunk in chunks]) for name, chunks in parts.items()}
        self.attempt(
            lambda: self.log.save_image(tables, {"id": note}),
            lambda time_us: self.model.add_image(time_us, note, parts),
        )

    @rule(cuts=st.dictionaries(streams, shares, max_size=3), images=st.integers(1, 3), history=shares)
    def retain(self, cuts: Mapping[int, float], images: int, history: float) -> None:
        note = self.text()
        starts = {stream: self.some_version(stream, share) for stream, share in cuts.items()}
        needed = int(self.model.version * history)
        self.attempt(
            lambda: self.log.retain(starts, history=needed, discard=self.log.images()[:-images], note={"id": note}),
            lambda time_us: self.model.add_retention(time_us, note, starts, images, needed),
        )

    @rule(stream=streams, share=shares, some=sizes)
    def compact(self, stream: int, share: float, some: list[int]) -> None:
        note = self.text()
        version = self.some_version(stream, share)
        rows = tuple(self.text(size) for size in some)
        self.attempt(
            lambda: self.log.compact(stream, version, Content({(stream, 0): rows}).appends(), {"id": note}),
            lambda time_us: self.model.add_compaction(time_us, note, stream, version, rows),
        )

    def some_version(self, stream: int, share: float) -> int:
        """A version that can be a stream's beginning."""
        first = max(self.model.beginnings[stream].version, self.log.first_version - 1)
        return first + round((self.model.version - first) * share)

    # ---------------------------------------------------------------- groups

    @rule(group=groups, start=st.sampled_from(("earliest", "latest")))
    def join(self, group: str, start: Edge) -> None:
        stream = GROUPS[group]
        edge = self.edge(stream, start)
        _, committed = self.model.groups.get(group, (0, {}))
        first = {(stream, number): edge.get(number, 0) for number in PARTITIONS if (stream, number) not in committed}
        member = self.attempt(
            lambda: self.consumers.join(group, stream, len(PARTITIONS), start),
            lambda time_us: self.begin_generation(time_us, group, first),
        )
        if member is not None:
            reader = Reader()
            self.members.append((group, member, reader))
            self.sharings[group].members.append(reader)
            self.sharings[group].divide()

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 9))
    def leave(self, which: int) -> None:
        group, member, reader = self.member(which)
        sharing = self.sharings[group]

        def enter(time_us: int) -> None:
            self.begin_generation(time_us, group, {})
            sharing.members.remove(reader)
            sharing.divide()

        self.attempt(member.leave, enter)
        if (group, member, reader) in self.members and reader not in sharing.members:
            self.members.remove((group, member, reader))
            with pytest.raises(MemberFenced, match="has left"):
                member.fetch(1)

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 9), max_rows=st.integers(1, 12))
    def fetch(self, which: int, max_rows: int) -> None:
        group, member, reader = self.member(which)
        stream = GROUPS[group]
        self.settle(group, reader)
        if reader.generation != self.log.generation(group):
            reader.unsettled.clear()
            self.enter_generation(group, reader)
        ends, starts = self.model.ends_at(stream, self.model.version), self.model.beginnings[stream].ends
        behind = {number: at for number, at in reader.positions.items() if at < ends.get(number, 0)}
        try:
            found = [
                (chunk.version, chunk.partition, chunk.offset + number, value)
                for chunk in member.fetch(max_rows)
                for number, value in enumerate(chunk.rows.column(0).to_pylist())
            ]
        except StorageError:
            assert self.storage.plan, "reading fails only if the disk does"
        except PositionGone:
            assert any(at < starts.get(number, 0) for number, at in behind.items())
        else:
            rows = [row for row in self.model.rows[stream] if row[1] in behind and row[2] >= behind[row[1]]]
            assert found == rows[:max_rows]
            reader.positions |= {partition: offset + 1 for _, partition, offset, _ in found}
            reader.unsettled |= {partition for _, partition, _, _ in found}
        self.calm()
        assert member.partitions == tuple(reader.claims)

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 9))
    def commit_what_was_read(self, which: int) -> None:
        group, member, reader = self.member(which)
        offsets = self.offsets(group, member, reader)
        if offsets is None or not offsets.offsets:
            return

        def enter(time_us: int) -> None:
            self.model.add_content(time_us, Content(offsets=(offsets,)))
            reader.unsettled.clear()

        self.attempt(member.commit, enter)

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 9), sizes=some_sizes)
    def commit_what_was_read_and_made_of_it(self, which: int, sizes: Mapping[tuple[int, int], list[int]]) -> None:
        group, member, reader = self.member(which)
        offsets = self.offsets(group, member, reader)
        if offsets is not None:
            self.commit(self.content(sizes, offsets=(offsets,)))

    @precondition(lambda self: self.members)
    @rule(which=st.integers(0, 9))
    def rewind(self, which: int) -> None:
        group, member, reader = self.member(which)
        member.rewind()
        reader.unsettled.clear()
        self.enter_generation(group, reader)

    @rule(group=groups, to=st.sampled_from(("earliest", "latest")) | st.integers(-2, 60))
    def seek(self, group: str, to: Edge | int) -> None:
        stream = GROUPS[group]
        _, committed = self.model.groups.get(group, (0, {}))
        known = {partition for _, partition in committed} | self.model.ends_at(stream, self.model.version).keys()
        starts = self.model.beginnings[stream].ends
        found = starts
        if to == "latest":
            found = self.edge(stream, "latest")
        elif isinstance(to, int):
            version = self.model.version_at(to * SECOND - 1)
            found = self.model.ends_at(stream, version) if version >= self.model.beginnings[stream].version else {}
        self.move(
            group,
            Since(to * SECOND) if isinstance(to, int) else to,
            {number: max(found.get(number, 0), starts.get(number, 0)) for number in known},
        )

    @rule(group=groups, partition=st.sampled_from(PARTITIONS), offset=st.integers(0, 12))
    def seek_an_offset(self, group: str, partition: int, offset: int) -> None:
        stream = GROUPS[group]
        end = self.edge(stream, "latest").get(partition, 0)
        gone = offset < min(end, self.edge(stream, "earliest").get(partition, 0))
        if offset > end or gone:
            with pytest.raises(PositionGone if gone else OutOfRange):
                self.consumers.seek(group, stream, {partition: offset})
        else:
            self.move(group, {partition: offset}, {partition: offset})

    def move(self, group: str, to: Edge | Since | Mapping[int, int], offsets: Mapping[int, int]) -> None:
        stream = GROUPS[group]
        life = self.log
        self.attempt(
            lambda: self.consumers.seek(group, stream, to),
            lambda time_us: self.begin_generation(
                time_us, group, {(stream, number): offset for number, offset in sorted(offsets.items())}
            ),
        )
        if self.log is life:
            self.sharings[group].renew(set(offsets))

    def member(self, which: int) -> tuple[str, Member, Reader]:
        return self.members[which % len(self.members)]

    def edge(self, stream: int, edge: Edge) -> dict[int, int]:
        if edge == "earliest":
            return self.model.beginnings[stream].ends
        return self.model.ends_at(stream, self.model.version)

    def begin_generation(self, time_us: int, group: str, offsets: Mapping[tuple[int, int], int]) -> None:
        generation, _ = self.model.groups.get(group, (0, {}))
        self.model.add_content(time_us, Content(offsets=(GroupOffsets(group, generation + 1, offsets),)))

    def settle(self, group: str, reader: Reader) -> None:
        """In one generation, what was committed is committed by its reader."""
        generation, committed = self.model.groups[group]
        if reader.generation == generation:
            stream = GROUPS[group]
            reader.unsettled -= {p for p in reader.unsettled if committed[stream, p] == reader.positions[p]}

    def enter_generation(self, group: str, reader: Reader) -> None:
        generation, committed = self.model.groups[group]
        placed = {partition: offset for (_, partition), offset in committed.items()}
        self.sharings[group].enter(reader, generation, placed)

    def offsets(self, group: str, member: Member, reader: Reader) -> GroupOffsets | None:
        """What a member may commit; None if its partitions were given to others."""
        self.settle(group, reader)
        if reader.generation != self.log.generation(group):
            if not self.sharings[group].may_commit(reader):
                with pytest.raises(MemberFenced):
                    member.commit()
                with pytest.raises(MemberFenced):
                    member.offsets()
                return None
            self.enter_generation(group, reader)
        offsets = member.offsets()
        placed = {(GROUPS[group], partition): reader.positions[partition] for partition in reader.unsettled}
        assert offsets == GroupOffsets(group, reader.generation, placed)
        return offsets

    # ---------------------------------------------------------------- reading

    @rule(stream=streams, share=shares, upto=shares, count=st.integers(1, 30))
    def look_back(self, stream: int, share: float, upto: float, count: int) -> None:
        """Positions are found in the past, or are gone, as the model says."""
        log, model = self.log, self.model
        self.calm()
        version, last = int(model.version * share), int(model.version * upto)
        assert answer(lambda: scanned(log, stream, version, last)) == answer(lambda: model.scan(stream, version, last))
        if version >= max(model.beginnings[stream].version, log.first_version - 1):
            assert log.ends(stream, version) == model.ends_at(stream, version)
            assert log.row_count(stream, version) == model.row_count(stream, version)
            assert answer(lambda: log.first(stream, count, version)) == answer(
                lambda: model.first(stream, count, version)
            )
        for row in model.rows[stream][-count:]:
            known = row[0] > model.beginnings[stream].version
            assert answer(partial(log.version_of, stream, *row[1:3])) == (row[0] if known else PositionGone)
        if version >= log.first_version:
            assert log.version_at(model.times[version]) == model.version_at(model.times[version])

    @rule(stream=streams)
    def read_while_the_disk_may_fail(self, stream: int) -> None:
        try:
            assert scanned(self.log, stream) == self.model.scan(stream)
        except StorageError:
            assert self.storage.plan, "reading fails only if the disk does"
        self.calm()


def of(content: Content) -> tuple[list[Any], dict[str, str]]:
    return content.appends(), {"id": content.note} if content.note else {}


def answer(ask: Callable[[], T]) -> T | type[PositionGone]:
    try:
        return ask()
    except PositionGone:
        return PositionGone


Protocol.TestCase.settings = settings(
    max_examples=CASES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
)
TestProtocol = Protocol.TestCase
