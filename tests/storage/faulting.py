"""Tries every failure of an I/O operation: a harness that any part of the database can be tested with.

A workload is run stubbornly, so that it goes on after errors, on a disk of which one operation fails: each operation,
with each of some errors, once or for ever. Of writes, each is also taken short. Last, the whole disk is gone from some
operation on, and comes back when the machine is started again. Then three things must hold: what came out were
`StorageError`s; what was acknowledged is there, in the log that is still open, and after a crash on top; and with the
fault gone commits are taken again, after opening the log anew at the latest.

In: a workload; out: the number of faults that were tried, or a `FaultFailure`.
"""

from __future__ import annotations

import errno
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import get_args

from headwater.errors import StorageError
from headwater.storage import CrashModel, Fault, FaultyStorage, SimulatedDisk, Storage
from headwater.storage.faults import Operation
from tests.storage.enumerator import J, S, Workload, check_life, run

ERRORS = (errno.EIO, errno.ENOSPC, errno.EMFILE)
FOR_EVER = sys.maxsize
CRASHES_ON_TOP: tuple[CrashModel, ...] = ("drop", "kill9", "random")
OPERATIONS: tuple[Operation, ...] = get_args(Operation)


class FaultFailure(AssertionError):
    """A fault after which something is wrong; the cause says what."""


def enumerate_faults(workload: Workload[S, J], faults: Iterable[Fault] | None = None) -> int:
    """Check that a workload survives each fault; by default, every one. The number of faults."""
    tried = 0
    for fault in every_fault(workload) if faults is None else faults:
        try:
            check_fault(workload, fault)
        except Exception as error:
            code = errno.errorcode[fault.effect] if isinstance(fault.effect, int) else fault.effect
            span = "once" if fault.times == 1 else "for ever"
            raise FaultFailure(
                f'{workload.name} with {code} {span} at operation "{fault.operation}" number {fault.nth}; to do it '
                f'again: python -m tests.storage.crashes --workload "{workload.name}" --fault '
                f"{fault.operation}/{fault.nth}/{code}/{'once' if fault.times == 1 else 'ever'}"
            ) from error
        tried += 1
    return tried


def every_fault(workload: Workload[S, J]) -> Iterator[Fault]:
    """Each operation of a workload × each error × once and for ever; writes that are short; and the end of the disk."""
    storage = FaultyStorage(SimulatedDisk(seed=0))
    run(workload, storage, workload.journal())
    for operation in OPERATIONS:
        for nth in range(1, storage.counts[operation] + 1):
            for effect in (*ERRORS, "short") if operation == "pwrite" else ERRORS:
                for times in (1, FOR_EVER):
                    yield Fault(operation, nth, effect, times)
    for nth in range(1, storage.counts["any"] + 1):
        yield Fault("any", nth, errno.EIO, FOR_EVER)


def check_fault(workload: Workload[S, J], fault: Fault) -> None:
    """Run a workload with a fault, and check what holds afterwards."""
    disk, journal = SimulatedDisk(seed=0), workload.journal()
    storage = FaultyStorage(disk, [fault])
    subject = _run_stubbornly(workload, storage, journal)
    storage.plan = ()
    if fault.operation == "any":
        subject, disk = None, disk.crash("drop")
        storage = FaultyStorage(disk)
    model = CRASHES_ON_TOP[fault.nth % len(CRASHES_ON_TOP)]
    check_life(workload, disk.crash(model, fault.nth), journal)
    if subject is None:
        subject = workload.open(storage)
    workload.settle(subject, journal)
    workload.go_on(subject, journal)
    workload.settle(subject, journal)
    subject.close()
    check_life(workload, disk.crash("drop"), journal)


def _run_stubbornly(workload: Workload[S, J], storage: Storage, journal: J) -> S | None:
    """Do all steps that can be done. What they worked on is given back if it is open and not known to be broken."""
    subject: S | None = None
    for step in workload.steps:
        if subject is None:
            subject = _reopened(workload, storage, journal)
        if subject is None:
            continue
        try:
            step(subject, journal)
        except StorageError as error:
            if "open it again" not in str(error):
                journal.refused()
                continue
            with suppress(StorageError):
                workload.settle(subject, journal.copy())
            subject.close()
            subject = None
    return subject


def _reopened(workload: Workload[S, J], storage: Storage, journal: J) -> S | None:
    subject: S | None = None
    try:
        subject = workload.open(storage)
        workload.settle(subject, journal)
    except StorageError:
        if subject is not None:
            subject.close()
        return None
    return subject
