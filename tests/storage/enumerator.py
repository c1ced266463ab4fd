"""Tries every crash: a harness that recovery of any part of the database can be tested with.

A `Workload` says what to do, and what must be found afterwards. It runs once, on a simulated disk that is copied
before each of its I/O operations, together with the notes of what had been tried and acknowledged by then. From each
copy every model of a crash makes a disk, and on that `check_life` recovers, compares, goes on, and cuts the power.
The recovery is crashed in turn, at each of its operations and by every model, and so is the recovery from that, at one
operation. Disks that were checked already are left out.

In: a workload; out: the number of different states that were checked, or a `CrashFailure` that says which crash to
look at, and how to do it again.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, Self, TypeVar

from headwater.storage import CRASH_MODELS, CrashModel, SimulatedDisk, Storage


class Subject(Protocol):
    """What a workload works on: a log, a database."""

    def close(self) -> None: ...


class Journal(Protocol):
    """What a workload notes: what was acknowledged, and what was tried without an answer."""

    def copy(self) -> Self:
        """The same notes, to go on with apart from these."""

    def key(self) -> Hashable:
        """A value that is equal for journals that say the same."""

    def refused(self) -> None:
        """Note that what was tried last was refused, so that it must never show."""


S = TypeVar("S", bound=Subject)
J = TypeVar("J", bound=Journal)
Wrap = Callable[[SimulatedDisk], Storage]


@dataclass(frozen=True, slots=True)
class Workload(Generic[S, J]):
    """What to do, and what must be found afterwards.

    `steps` are done one by one, on a new disk or where an earlier life ended. `settle` asserts that the subject holds
    all that was acknowledged, whole and in order, and besides it at most what was tried without an answer; then it
    takes what it has found for acknowledged and begins a new life in the journal, in which nothing is unanswered.
    `go_on` is what is done after a recovery: less than all steps.
    """

    name: str
    journal: Callable[[], J]
    open: Callable[[Storage], S]
    steps: Sequence[Callable[[S, J], None]]
    settle: Callable[[S, J], None]
    go_on: Callable[[S, J], None]


class CrashFailure(AssertionError):
    """A crash after which something is wrong; the cause says what."""


@dataclass(frozen=True, slots=True)
class Moment(Generic[J]):
    """A disk just before an I/O operation, or after the last one, and what the journal said then."""

    disk: SimulatedDisk
    journal: J


@dataclass(frozen=True, slots=True)
class Crash:
    """Where and how a workload is crashed. With the workload's name this is all that it takes to do it again."""

    operation: int  # from 1; one more than there are, for a crash after the last
    model: CrashModel
    seed: int


@dataclass(slots=True)
class Explorer(Generic[S, J]):
    """The crashes of one workload: which of them were looked at, and how many different states they left.

    `wrap` puts something between the disk and its users, for instance a mistake that must be found.
    """

    workload: Workload[S, J]
    wrap: Wrap = lambda disk: disk
    moments: list[Moment[J]] = field(init=False)
    states: int = field(init=False, default=0)
    _seen: set[int] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        self.moments = run_and_record(self.workload, self.wrap)

    @property
    def operations(self) -> range:
        """The numbers that a crash can have."""
        return range(1, len(self.moments) + 1)

    def explore(self, crashes: Iterable[Crash]) -> None:
        """Check what each crash leaves behind, and what crashes of the recovery from it leave behind."""
        for crash in crashes:
            moment = self.moments[crash.operation - 1]
            found = moment.disk.crash(crash.model, crash.seed)
            self._explore(found, moment.journal, crash, random.Random(f"{crash}"), "", 0)

    def _explore(
        self, found: SimulatedDisk, journal: J, crash: Crash, chance: random.Random, place: str, depth: int
    ) -> None:
        key = hash((found.state(), journal.key()))
        if key in self._seen:
            return
        self._seen.add(key)
        self.states += 1
        try:
            recovery = check_life(self.workload, found, journal, self.wrap)
        except Exception as error:
            raise CrashFailure(
                f"crash of {self.workload.name} at operation {crash.operation}, model {crash.model}, "
                f"seed {crash.seed}{place}; to do it again: python -m tests.storage.crashes --workload "
                f'"{self.workload.name}" --operation {crash.operation} --model {crash.model} --seed {crash.seed}'
            ) from error
        if depth == 2:
            return
        numbered = list(enumerate(recovery, 1))
        for number, moment in [chance.choice(numbered)] if depth else numbered:
            for model in [chance.choice(CRASH_MODELS)] if depth else CRASH_MODELS:
                again = moment.disk.crash(model, crash.seed)
                then = f"{place}, then at operation {number} of recovery, model {model}"
                self._explore(again, moment.journal, crash, chance, then, depth + 1)


def enumerate_crashes(workload: Workload[S, J], *, wrap: Wrap = lambda disk: disk, seeds: Sequence[int] = (0,)) -> int:
    """Crash a workload at every I/O operation, by every model, with each seed. The number of different states."""
    explorer = Explorer(workload, wrap)
    for seed in seeds:
        explorer.explore(every_crash(explorer.operations, seed, again=seed != seeds[0]))
    return explorer.states


def every_crash(operations: Iterable[int], seed: int, *, again: bool = False) -> Iterator[Crash]:
    """A crash at each operation by each model; if they were tried `again`, by those that leave something to chance."""
    for operation in operations:
        for model in CRASH_MODELS:
            if not again or model not in ("kill9", "drop"):
                yield Crash(operation, model, seed)


def run(workload: Workload[S, J], storage: Storage, journal: J) -> None:
    """Do all steps, as one life that ends well."""
    subject = workload.open(storage)
    for step in workload.steps:
        step(subject, journal)
    subject.close()


def run_and_record(workload: Workload[S, J], wrap: Wrap) -> list[Moment[J]]:
    """The disk and the journal before each I/O operation of a workload, and at its end."""
    disk, journal = SimulatedDisk(seed=0), workload.journal()
    moments = []

    def record() -> None:
        moments.append(Moment(disk.fork(), journal.copy()))

    disk.on_operation = record
    run(workload, wrap(disk), journal)
    disk.on_operation = None
    record()
    return moments


def check_life(
    workload: Workload[S, J], found: SimulatedDisk, journal: J, wrap: Wrap = lambda disk: disk
) -> list[Moment[J]]:
    """Recover, compare with the journal, go on, compare, cut the power, and compare again.

    Gives back the moments of the recovery: before each of its operations, and when what it found had been seen.
    """
    recovery: list[Moment[J]] = []
    found.on_operation = lambda: recovery.append(Moment(found.fork(), journal))
    subject = workload.open(wrap(found))
    found.on_operation = None
    settled = journal.copy()
    workload.settle(subject, settled)
    recovery.append(Moment(found.fork(), settled.copy()))
    workload.go_on(subject, settled)
    workload.settle(subject, settled)
    again = workload.open(wrap(found.crash("drop")))
    workload.settle(again, settled)
    again.close()
    return recovery
