"""A log that lives many lives beside a model of it: on a disk that fails, is full, and loses power.

In: commits, by way of `attempt`; out: an error in a test when the log shows anything else than the model.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from headwater.errors import AlreadyOpen, NoSpace, Rejected, StorageError
from headwater.storage import CRASH_MODELS, CrashModel, Fault, FaultyStorage, Log, SimulatedCrash, SimulatedDisk
from headwater.storage.faults import Operation
from tests.storage.protocol import Model

PATH = "shop.hw"
SECOND = 1_000_000

T = TypeVar("T")


def opened(storage: FaultyStorage) -> Log:
    """A log whose files are small, so that there are many."""
    return Log.open(storage, PATH, segment_bytes=2000, inline_bytes=600, commits_bytes=1500)


class Lives(RuleBasedStateMachine):
    """A log, a model of it, a reader beside it, and the next misfortune, which meets one rule at most."""

    def __init__(self) -> None:
        super().__init__()
        self.disk = SimulatedDisk(seed=0)
        self.disk.clock_us = SECOND
        self.model = Model()
        self.cut: tuple[CrashModel, int] = ("drop", 0)
        self.beside: Log | None = None
        self.plan: tuple[Fault, ...] = ()
        self.open()
        self.begin()

    # ---------------------------------------------------------------- lives

    def open(self) -> None:
        """Begin a life. A power cut may end it at once, a fault of the disk may keep it from beginning.

        The fault is no failed sync: nobody who opens the log again could know which bytes that has cost.
        """
        self.storage = FaultyStorage(self.disk, [fault for fault in self.plan if fault.operation != "sync"])
        try:
            self.log = opened(self.storage)
        except (SimulatedCrash, StorageError) as error:
            if isinstance(error, SimulatedCrash):
                self.cut_power()
            else:
                assert self.storage.plan, "opening fails only if the disk does"
            self.storage = FaultyStorage(self.disk)
            self.log = opened(self.storage)
        self.calm()
        self.broken = False
        self.unanswered: Callable[[], object] = lambda: None  # what enters the commit without an answer into the model

    def cut_power(self) -> None:
        self.close_beside()
        self.disk = self.disk.crash(*self.cut)

    def close_beside(self) -> None:
        if self.beside is not None:
            self.beside.close()
        self.beside = None

    def calm(self) -> None:
        """What was to go wrong and did not will not."""
        self.storage.plan = self.plan = ()
        self.disk.crash_at = None

    def begin_life(self) -> None:
        """Open the log as it was left; the commit that had no answer was made, or not."""
        enter = self.unanswered
        self.open()
        if self.log.version > self.model.version:
            enter()
        self.model.check(self.log)
        self.begin()

    def begin(self) -> None:
        """What a life begins with."""

    def attempt(
        self, make: Callable[[], T], enter: Callable[[int], object], refusal: type[Rejected] | None = None
    ) -> T | None:
        """Make one commit. If it was made, `enter` it into the model, with its time."""
        assert self.disk.clock_us is not None
        time_us = max(self.disk.clock_us, self.model.times[-1])
        may_fail = self.broken or bool(self.storage.plan)
        before = self.log.version
        try:
            made = make()
        except SimulatedCrash:
            if not self.broken:
                self.unanswered = lambda: enter(time_us)
            self.cut_power()
            self.begin_life()
            return None
        except StorageError as error:
            assert may_fail, "a commit fails only if the disk does"
            self.calm()
            if self.log.version > before:
                assert not isinstance(error, NoSpace)
                enter(time_us)
            elif "open it again" in str(error) and not self.broken:
                self.broken = True
                self.unanswered = lambda: enter(time_us)
            return None
        except Rejected as error:
            assert type(error) is refusal
            self.calm()
            return None
        assert refusal is None and not self.broken
        self.calm()
        enter(time_us)
        return made

    # ---------------------------------------------------------------- misfortunes

    @rule(
        operation=st.sampled_from(
            ("pwrite", "sync", "open", "truncate", "sync_dir", "mkdir", "view", "read", "remove")
        ),
        nth=st.integers(1, 4),
        effect=st.sampled_from((errno.EIO, errno.ENOSPC, errno.EMFILE)),
        times=st.integers(1, 3),
    )
    def fail_next(self, operation: Operation, nth: int, effect: int, times: int) -> None:
        self.storage.counts.clear()
        self.storage.plan = self.plan = (Fault(operation, nth, effect, times),)

    @rule(nth=st.integers(1, 4))
    def write_short_next(self, nth: int) -> None:
        self.storage.counts.clear()
        self.storage.plan = self.plan = (Fault("pwrite", nth, "short", 3),)

    @rule(nth=st.integers(1, 8), model=st.sampled_from(CRASH_MODELS), seed=st.integers(0, 99))
    def cut_power_soon(self, nth: int, model: CrashModel, seed: int) -> None:
        self.disk.crash_at = self.disk.operations + nth
        self.cut = model, seed

    @rule(model=st.sampled_from(CRASH_MODELS), seed=st.integers(0, 99))
    def cut_power_now(self, model: CrashModel, seed: int) -> None:
        self.cut = model, seed
        self.cut_power()
        self.begin_life()

    @rule()
    def reopen(self) -> None:
        if self.broken:
            self.close_beside()
        try:
            self.log.close()
        except SimulatedCrash:
            self.cut_power()
        self.begin_life()

    @rule(seconds=st.sampled_from((-3600, -1, 1, 60)))
    def jump_the_clock(self, seconds: int) -> None:
        assert self.disk.clock_us is not None
        self.disk.clock_us += seconds * SECOND

    @rule(spoil=st.booleans())
    def lose_the_index_files(self, spoil: bool) -> None:
        self.calm()
        for path in self.disk.files():
            if path.endswith(".idx"):
                file = self.disk.open(path)
                file.truncate(100)
                file.close()
                if not spoil:
                    self.disk.remove(path)

    @rule()
    def open_a_second_time(self) -> None:
        with pytest.raises(AlreadyOpen):
            Log.open(self.disk, PATH)

    # ---------------------------------------------------------------- reading

    @invariant()
    def everything_is_as_in_the_model(self) -> None:
        plan, self.storage.plan = self.storage.plan, ()
        counts = self.storage.counts.copy()
        self.model.check(self.log)
        self.storage.plan, self.storage.counts = plan, counts

    @precondition(lambda self: not self.broken)
    @rule()
    def read_beside(self) -> None:
        """Another process that only reads sees what was committed, when it looks."""
        if self.beside is None:
            self.beside = Log.open(self.disk, PATH, read_only=True)
        self.beside.refresh()
        self.model.check(self.beside)

    def teardown(self) -> None:
        self.calm()
        with suppress(StorageError):
            self.log.close()
        self.cut = "drop", 0
        self.cut_power()
        self.begin_life()
        self.log.close()
