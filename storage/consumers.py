"""Consumers: how the members of a group share the partitions of a stream, and read on where the group stopped.

In: an open log; members that join and leave. Out: for each member the rows of its partitions, and the offsets to commit
when it is done with them.

A partition is read by one member at a time. Whenever a member joins or leaves, or the group is moved by a seek, a new
generation of the group begins, by a commit; from then on the log refuses offsets of older ones. How far a group has
read is in the log and nowhere else. A member's position only runs ahead of that, and starts again from there when the
member sees a new generation. So each row is read at least once; and it counts exactly once if the member commits its
offsets together with what it made of the rows.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from headwater.errors import MemberFenced, OutOfRange, PositionGone
from headwater.storage.files import monotonic_seconds
from headwater.storage.groups import GroupOffsets
from headwater.storage.log import Log
from headwater.storage.records import Chunk

Edge = Literal["earliest", "latest"]


@dataclass(frozen=True, slots=True)
class Since:
    """The first rows that were committed at or after a time in µs since 1970."""

    time_us: int


class Consumers:
    """The consumer groups of an open log, which has no other coordinator. All methods may be called from any thread."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()  # a new generation, and who reads what in it, change together
        self._sharings: dict[tuple[str, int], _Sharing] = {}

    def join(self, group: str, stream: int, partitions: int, start: Edge = "earliest") -> Member:
        """Add a member to those who share the partitions 0 … `partitions` − 1 of a stream; all share them anew.

        A partition that the group has never read is read from `start`, as of now: that is committed, too, so that it
        is the same after a crash. Raises as `Log.commit` does; then nothing has changed.
        """
        assert partitions > 0, "a stream has a partition"
        member = Member(self, self._log, group, stream)
        with self._lock:
            sharing = self._sharings.get((group, stream), _Sharing())
            count = max(sharing.partitions, partitions)
            self._begin_generation(group, stream, self._first_offsets(group, stream, count, start))
            sharing.partitions = count
            sharing.members.append(member)
            sharing.divide()
            self._sharings[group, stream] = sharing
        return member

    def seek(self, group: str, stream: int, to: Edge | Since | Mapping[int, int]) -> None:
        """Move a group, in all partitions of a stream or in those of a map partition -> next offset.

        Running members go on from there at their next fetch; what they had read and not committed is refused. Raises
        `PositionGone` for an offset that retention has passed, `OutOfRange` for one that is not there yet, or as
        `Log.commit` does.
        """
        with self._lock:
            offsets = self._target(group, stream, to)
            sharing = self._sharings.get((group, stream))
            if sharing is not None:  # before the commit: a claim that is renewed for nothing does no harm
                sharing.renew(offsets)
            self._begin_generation(group, stream, offsets)

    def lag(self, group: str, stream: int) -> dict[int, int]:
        """How many rows of each partition the group has yet to read, as far as it has committed."""
        committed = self._log.group_offsets(group)
        starts = self._log.starts(stream)
        return {
            partition: end - max(committed.get((stream, partition), 0), starts.get(partition, 0))
            for partition, end in self._log.ends(stream).items()
        }

    def claims(self, member: Member) -> tuple[int, dict[int, Claim]]:
        """The current generation, and a member's claims on partitions in it.

        Raises `MemberFenced` if the member has left.
        """
        with self._lock:
            sharing = self._sharings.get((member.group, member.stream))
            if sharing is None or member not in sharing.members:
                raise MemberFenced(f'this member has left the consumer group "{member.group}"', hint="join again")
            own = {number: claim for number, claim in sharing.claims.items() if claim.owner is member}
            return self._log.generation(member.group), own

    def remove(self, member: Member) -> None:
        """See `Member.leave`."""
        with self._lock:
            sharing = self._sharings.get((member.group, member.stream))
            if sharing is None or member not in sharing.members:
                return
            self._begin_generation(member.group, member.stream, {})
            sharing.members.remove(member)
            sharing.divide()
            if not sharing.members:
                del self._sharings[member.group, member.stream]

    def _begin_generation(self, group: str, stream: int, offsets: Mapping[int, int]) -> None:
        generation = self._log.generation(group) + 1
        placed = {(stream, partition): offset for partition, offset in offsets.items()}
        self._log.commit([], offsets=[GroupOffsets(group, generation, placed)])

    def _first_offsets(self, group: str, stream: int, partitions: int, start: Edge) -> dict[int, int]:
        """Where to start in each partition that the group has never read."""
        edge = self._log.starts(stream) if start == "earliest" else self._log.ends(stream)
        committed = self._log.group_offsets(group)
        return {number: edge.get(number, 0) for number in range(partitions) if (stream, number) not in committed}

    def _target(self, group: str, stream: int, to: Edge | Since | Mapping[int, int]) -> dict[int, int]:
        """The offsets that `seek` is to commit."""
        starts, ends = self._log.starts(stream), self._log.ends(stream)
        if isinstance(to, Mapping):
            for partition, offset in to.items():
                end = ends.get(partition, 0)
                if not 0 <= offset <= end:
                    raise OutOfRange(f"partition {partition} of stream {stream} ends at offset {end}, not {offset}")
                if offset < end:
                    _version_of(self._log, stream, partition, offset)
            return dict(to)
        found = starts
        if to == "latest":
            found = ends
        elif isinstance(to, Since):
            found = self._ends_before(stream, to.time_us)
        read = {partition for other, partition in self._log.group_offsets(group) if other == stream}
        return {number: max(found.get(number, 0), starts.get(number, 0)) for number in sorted(read | ends.keys())}

    def _ends_before(self, stream: int, time_us: int) -> dict[int, int]:
        """Next offsets as of the last version before a time; none if retention has passed it."""
        try:
            return self._log.ends(stream, self._log.version_at(time_us - 1))
        except PositionGone:
            return {}


class Member:
    """One consumer of a group. Use `Consumers.join`. All methods may be called from any thread."""

    def __init__(self, consumers: Consumers, log: Log, group: str, stream: int) -> None:
        self.group = group
        self.stream = stream
        self._consumers = consumers
        self._log = log
        self._lock = threading.Lock()  # guards the rest
        self._generation = 0  # that the claims and positions are of; 0 is before the first
        self._claims: dict[int, Claim] = {}
        self._positions: dict[int, int] = {}  # partition -> next offset to read
        self._unsettled: set[int] = set()  # partitions whose position is not known to be committed

    @property
    def generation(self) -> int:
        """The generation that this member is in. When a fetch changes it, rows that were not committed come again."""
        return self._generation

    @property
    def partitions(self) -> tuple[int, ...]:
        """The partitions of this member in its generation."""
        return tuple(sorted(self._claims))

    def fetch(self, max_rows: int, timeout: float = 0.0) -> list[Chunk]:
        """The next rows of this member's partitions, in the order of the log; then the position is behind them.

        If there are none, wait for at most `timeout` seconds. When the group is in a new generation, the member enters
        it and starts again from the group's offsets. Raises `MemberFenced` if the member has left, and `PositionGone`
        if retention has passed the position.
        """
        assert max_rows > 0, "a fetch of no rows would never end"
        deadline = monotonic_seconds() + timeout
        while True:
            version = self._log.version
            with self._lock:
                if not self._settle():
                    self._unsettled.clear()
                    self._renew()
                chunks = self._read(max_rows)
            left = deadline - monotonic_seconds()
            if chunks or left <= 0:
                return chunks
            self._log.wait(version, left)

    def offsets(self) -> GroupOffsets:
        """What `commit` would commit, to be given to `Log.commit` together with what was made of the rows.

        This raises `MemberFenced` if a partition that was read is no longer this member's, or was moved by a seek; so
        may that commit. Then nothing of it was made: fetch, and do the work again.
        """
        with self._lock:
            return self._offsets()

    def commit(self) -> None:
        """Commit how far this member has read; that is nothing if it has read nothing since.

        Raises `MemberFenced` if a partition that was read is no longer this member's, or was moved by a seek; then
        nothing is committed, and the next fetch starts again from the group's offsets. Or raises as `Log.commit` does.
        """
        with self._lock:
            while (wanted := self._offsets()).offsets:
                try:
                    self._log.commit([], offsets=[wanted])
                except MemberFenced:  # a generation has begun just now; in it the partitions may still be its own
                    continue
                self._unsettled.clear()
                return

    def rewind(self) -> None:
        """Forget what was read and not committed: the next fetch starts again from the group's offsets."""
        with self._lock:
            self._unsettled.clear()
            self._renew()

    def unread(self, chunks: Sequence[Chunk]) -> None:
        """Go back before rows that were the last to be fetched: they come again, and `commit` does not pass them."""
        with self._lock:
            for chunk in chunks:
                if (position := self._positions.get(chunk.partition)) is not None:
                    self._positions[chunk.partition] = min(position, chunk.offset)
            self._settle()

    def leave(self) -> None:
        """Give the partitions back: those who stay share them anew. Commits no offsets. Idempotent."""
        self._consumers.remove(self)

    def _offsets(self) -> GroupOffsets:
        if not self._settle():
            self._renew()
        placed = {(self.stream, partition): self._positions[partition] for partition in sorted(self._unsettled)}
        return GroupOffsets(self.group, self._generation, placed)

    def _settle(self) -> bool:
        """See which positions were committed. False, and nothing done, if there is a new generation."""
        committed = self._log.group_offsets(self.group)
        if self._generation != self._log.generation(self.group):
            return False
        # In this generation nobody else commits these offsets. In a new one another member may have come as far.
        self._unsettled -= {p for p in self._unsettled if self._positions[p] == committed[self.stream, p]}
        return True

    def _renew(self) -> None:
        """Enter the current generation, with the group's offsets except in partitions that are unsettled.

        Raises `MemberFenced` if one of these is not this member's any more, and changes nothing then.
        """
        generation, claims = self._consumers.claims(self)
        lost = sorted(
            partition for partition in self._unsettled if claims.get(partition) is not self._claims[partition]
        )
        if lost:
            raise MemberFenced(
                f'the consumer group "{self.group}" has given partition {", ".join(map(str, lost))} to another member, '
                "or was moved there, since this member read it",
                hint="fetch again: rows that were not committed come again",
            )
        committed = self._log.group_offsets(self.group)
        kept = {partition: self._positions[partition] for partition in self._unsettled}
        self._positions = {partition: committed[self.stream, partition] for partition in claims} | kept
        self._generation, self._claims = generation, claims

    def _read(self, max_rows: int) -> list[Chunk]:
        """The next rows, if there are any."""
        ends = self._log.ends(self.stream)
        behind = {number: at for number, at in self._positions.items() if at < ends.get(number, 0)}
        if not behind:
            return []
        first = min(_version_of(self._log, self.stream, number, at) for number, at in behind.items())
        left = min(max_rows, sum(ends[number] - at for number, at in behind.items()))
        chunks = []
        for chunk in self._log.scan(self.stream, first - 1):
            position = behind.get(chunk.partition)
            if position is None or chunk.offset + chunk.rows.num_rows <= position:
                continue
            if chunk.offset > position:  # retention has passed it just now, or a repair gave up the rows between
                _version_of(self._log, self.stream, chunk.partition, position)
                position = chunk.offset
            rows = chunk.rows.slice(position - chunk.offset, left)
            chunks.append(replace(chunk, offset=position, rows=rows))
            behind[chunk.partition] = position + rows.num_rows
            left -= rows.num_rows
            if left == 0:
                break
        else:  # rows that the scan did not come to were given up by a repair
            behind = {number: max(at, ends[number]) for number, at in behind.items()}
        self._positions |= behind
        self._unsettled |= {chunk.partition for chunk in chunks}
        return chunks


@dataclass(frozen=True, slots=True, eq=False)
class Claim:
    """That a member reads a partition. One that was broken off and begun again is another."""

    owner: Member


@dataclass(slots=True)
class _Sharing:
    """The members of a group that read one stream, in the order in which they joined, and who reads what."""

    partitions: int = 0
    members: list[Member] = field(default_factory=list)
    claims: dict[int, Claim] = field(default_factory=dict)

    def divide(self) -> None:
        """Give each member its part, as large as the others' or by one larger. Claims that stay are left alone."""
        claims = {}
        for partition in range(self.partitions if self.members else 0):
            owner = self.members[partition % len(self.members)]
            known = self.claims.get(partition)
            claims[partition] = known if known is not None and known.owner is owner else Claim(owner)
        self.claims = claims

    def renew(self, partitions: Mapping[int, int]) -> None:
        """Break the claims on some partitions: their owners keep them, but not what they have read of them."""
        for partition in partitions.keys() & self.claims.keys():
            self.claims[partition] = Claim(self.claims[partition].owner)


def _version_of(log: Log, stream: int, partition: int, offset: int) -> int:
    """The version that committed a row. Raises `PositionGone`, with the offset to go on from, if the row is no more."""
    try:
        return log.version_of(stream, partition, offset)
    except PositionGone as gone:
        start = log.starts(stream)[partition]
        raise PositionGone(
            f"offset {offset} of partition {partition} of stream {stream} is gone: the earliest that retention kept is "
            f"{start}",
            earliest=gone.earliest,
            hint=f'move the consumer group to {{{partition}: {start}}}, or to "earliest" in all partitions',
        ) from None
