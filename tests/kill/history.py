"""Checks what the clients of a log saw and were told, as Jepsen checks Kafka: without looking at the log itself.

In: a `History`, which is what clients recorded: what they sent and the answers, what they read, how far consumer groups
said they had come; at the end, all that the log holds. Every value is sent once, so that a value tells who wrote it.
Out: the anomalies, which should be none. An answer that never came is an outcome of its own: the commit was made, or
not, but as a whole.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

Place = tuple[int, int]  # stream and partition
Outcome = Literal["made", "refused", "unknown"]
Kind = Literal[
    "lost write", "duplicate", "inconsistent offset", "aborted read", "pre-committed read", "poll skip",
    "non-monotonic poll", "non-monotonic send", "group offset going back", "fractured transaction",
    "retry made twice", "lost work", "work done twice",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """A value, where it was found, or where an answer says that it is."""

    place: Place
    offset: int
    value: str


@dataclass(frozen=True, slots=True)
class Send:
    """One try of a transaction: what it adds where. If it was `made`, `version` and `rows` are what was answered."""

    client: str
    sequence: int
    values: tuple[tuple[Place, str], ...]
    outcome: Outcome
    version: int = 0
    rows: tuple[Row, ...] = ()


@dataclass(frozen=True, slots=True)
class Poll:
    """Rows read at once. In a session a client reads on from where it was. A `whole` one is of whole commits."""

    session: str
    rows: tuple[Row, ...]
    whole: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """A commit, of which the client knows that it was made, of how far a group has read."""

    group: str
    version: int
    place: Place
    offset: int


@dataclass(frozen=True, slots=True)
class Anomaly:
    kind: Kind
    what: str


@dataclass(slots=True)
class History:
    """What was recorded, and what there is at the end: all rows, and how far the groups came that make results."""

    sends: list[Send] = field(default_factory=list)
    polls: list[Poll] = field(default_factory=list)
    progress: list[Progress] = field(default_factory=list)
    final: list[Row] = field(default_factory=list)
    final_offsets: dict[tuple[str, Place], int] = field(default_factory=dict)

    def operations(self) -> int:
        return len(self.sends) + len(self.polls) + len(self.progress)

    def read(self) -> Iterator[Row]:
        for poll in self.polls:
            yield from poll.rows

    def check(self) -> list[Anomaly]:
        """All anomalies that there are."""
        return [
            *self._lost_writes(),
            *self._duplicates(),
            *self._inconsistent_offsets(),
            *self._reads_of_what_is_not_there(),
            *self._polls_out_of_order(),
            *self._sends_out_of_order(),
            *self._groups_going_back(),
            *self._fractured_transactions(),
            *self._retries_made_twice(),
            *self._lost_work(),
        ]

    def _answered(self) -> Iterator[Row]:
        for send in self.sends:
            yield from send.rows

    def _lost_writes(self) -> Iterator[Anomaly]:
        """What was acknowledged is found at the end."""
        found = {row.value for row in self.final}
        for row in self._answered():
            if row.value not in found:
                yield Anomaly("lost write", f"{row} was acknowledged and is not there")

    def _duplicates(self) -> Iterator[Anomaly]:
        """A value is at one offset."""
        offsets: dict[str, set[tuple[Place, int]]] = defaultdict(set)
        for row in (*self.read(), *self._answered(), *self.final):
            offsets[row.value].add((row.place, row.offset))
        for value, several in offsets.items():
            if len(several) > 1:
                yield Anomaly("duplicate", f"{value} is at {sorted(several)}")

    def _inconsistent_offsets(self) -> Iterator[Anomaly]:
        """An offset has one value, whoever looks."""
        values: dict[tuple[Place, int], set[str]] = defaultdict(set)
        for row in (*self.read(), *self._answered(), *self.final):
            values[row.place, row.offset].add(row.value)
        for offset, several in values.items():
            if len(several) > 1:
                yield Anomaly("inconsistent offset", f"{offset} has {sorted(several)}")

    def _reads_of_what_is_not_there(self) -> Iterator[Anomaly]:
        """Nobody reads what was refused, or what turns out not to have been committed."""
        made = {value for send in self.sends if send.outcome != "refused" for _, value in send.values}
        refused = {value for send in self.sends if send.outcome == "refused" for _, value in send.values} - made
        found = {row.value for row in self.final}
        for value in sorted({row.value for row in (*self.read(), *self.final)}):
            if value in refused:
                yield Anomaly("aborted read", f"{value} was refused, and read")
            elif value not in found:
                yield Anomaly("pre-committed read", f"{value} was read, and is not there")

    def _polls_out_of_order(self) -> Iterator[Anomaly]:
        """In a session the offsets of a partition follow each other."""
        for (session, place), offsets in self._sessions().items():
            for before, after in pairwise(offsets):
                if after > before + 1:
                    yield Anomaly("poll skip", f"{session} read {after} of {place} after {before}")
                elif after <= before:
                    yield Anomaly("non-monotonic poll", f"{session} read {after} of {place} after {before}")

    def _sessions(self) -> dict[tuple[str, Place], list[int]]:
        sessions: dict[tuple[str, Place], list[int]] = defaultdict(list)
        for poll in self.polls:
            for row in poll.rows:
                sessions[poll.session, row.place].append(row.offset)
        return sessions

    def _sends_out_of_order(self) -> Iterator[Anomaly]:
        """What a client sends later comes later."""
        sent: dict[tuple[str, Place], dict[int, list[int]]] = defaultdict(dict)
        offsets = {row.value: row.offset for row in self.final}
        for send in self.sends:
            for place, value in send.values:
                if value in offsets and send.outcome != "refused":
                    sent[send.client, place].setdefault(send.sequence, []).append(offsets[value])
        for (client, place), by_sequence in sent.items():
            for (before, lower), (after, higher) in pairwise(sorted(by_sequence.items())):
                if max(lower) >= min(higher):
                    yield Anomaly(
                        "non-monotonic send", f"{client} sent {after} to {place} after {before}, but it is first"
                    )

    def _groups_going_back(self) -> Iterator[Anomaly]:
        """How far a group has read never goes back; at the end it is no less than what was acknowledged."""
        reached: dict[tuple[str, Place], int] = {}
        for progress in sorted(self.progress, key=lambda progress: progress.version):
            before = reached.get((progress.group, progress.place), 0)
            if progress.offset < before:
                yield Anomaly("group offset going back", f"{progress} after {before}")
            reached[progress.group, progress.place] = progress.offset
        for key, offset in reached.items():
            if self.final_offsets.get(key, 0) < offset:
                yield Anomaly("group offset going back", f"{key} was at {offset}, and is not")

    def _fractured_transactions(self) -> Iterator[Anomaly]:
        """Of a transaction all is seen or nothing, in each look at all streams, and at the end."""
        transactions: dict[str, frozenset[str]] = {}
        for send in self.sends:
            values = frozenset(value for _, value in send.values)
            transactions |= dict.fromkeys(values, values)
        looks = {f"{poll.session}, at {poll.rows[:1]}": poll.rows for poll in self.polls if poll.whole}
        for where, rows in (looks | {"the end": tuple(self.final)}).items():
            seen = {row.value for row in rows}
            for values in {transactions[value] for value in seen if value in transactions}:
                if not values <= seen:
                    yield Anomaly("fractured transaction", f"{where}: {sorted(values - seen)} is missing")

    def _retries_made_twice(self) -> Iterator[Anomaly]:
        """Whoever sends a transaction again gets the answer of the first time."""
        answers: dict[tuple[str, int], set[int]] = defaultdict(set)
        for send in self.sends:
            if send.outcome == "made":
                answers[send.client, send.sequence].add(send.version)
        for sent, versions in answers.items():
            if len(versions) > 1:
                yield Anomaly("retry made twice", f"{sent} is version {sorted(versions)}")

    def _lost_work(self) -> Iterator[Anomaly]:
        """Of each row that a group is done with there is one result, and of each other row none."""
        results = Counter(source_of(row.value) for row in self.final)
        for row in self.final:
            for (group, place), offset in self.final_offsets.items():
                expected = 1 if row.offset < offset else 0
                if place == row.place and results[row.value] < expected:
                    yield Anomaly("lost work", f"{group} is done with {row}, and made nothing of it")
                elif place == row.place and results[row.value] > expected:
                    yield Anomaly(
                        "work done twice", f"{group} made {results[row.value]} of {row}, and stands at {offset}"
                    )


def result_of(value: str, attempt: str) -> str:
    """The value that a consumer makes of one that it read. Each attempt makes another."""
    return f"{value}>{attempt}"


def source_of(value: str) -> str | None:
    """What a value was made of; None if a producer sent it."""
    source, arrow, _ = value.rpartition(">")
    return source if arrow else None
