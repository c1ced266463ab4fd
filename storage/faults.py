"""A storage that goes wrong on request: errors of the disk, short writes, the sudden end of the process.

In: any `Storage` and a plan of `Fault`s; out: a `Storage` whose n-th operation of a kind does what the plan says.
"""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from headwater.storage.files import File, Lock, Storage
from headwater.storage.simulated import SimulatedFile

Operation = Literal[
    "lock", "open", "read", "view", "pwrite", "truncate", "sync", "size",
    "is_shared", "listdir", "exists", "rename", "link", "remove", "mkdir", "sync_dir",
]  # fmt: skip
Counted = Operation | Literal["any"]


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens at the `nth` operation (from 1) of a kind, or of "any" kind, and at `times` of them in a row.

    `effect` is an errno to fail with before anything is done; "short": a write takes half of what it is given; or
    "kill": the process ends by SIGKILL before the operation.
    """

    operation: Counted
    nth: int
    effect: int | Literal["short", "kill"]
    times: int = 1

    def hits(self, operation: Operation, counts: Mapping[Counted, int]) -> bool:
        """Whether it happens at an operation, which is in the counts already. Nothing but a write can be short."""
        if self.operation not in (operation, "any") or (self.effect == "short" and operation != "pwrite"):
            return False
        return 0 <= counts[self.operation] - self.nth < self.times


class FaultyStorage:
    """Passes everything on to `inner`, except for the faults of the plan.

    `counts` tells how often what was asked, and how often "any" of it.
    """

    def __init__(self, inner: Storage, plan: Sequence[Fault] = ()) -> None:
        self.plan = tuple(plan)
        self.counts: Counter[Counted] = Counter()
        self._inner = inner

    def lock(self, path: str) -> Lock:
        self._begin("lock")
        return self._inner.lock(path)

    def open(self, path: str, *, create: bool = False) -> File:
        self._begin("open")
        return _FaultyFile(self, self._inner.open(path, create=create))

    def sync_all(self, files: Sequence[File]) -> None:
        for file in files:
            file.sync()

    def listdir(self, path: str) -> list[str]:
        self._begin("listdir")
        return self._inner.listdir(path)

    def exists(self, path: str) -> bool:
        self._begin("exists")
        return self._inner.exists(path)

    def rename(self, source: str, target: str) -> None:
        self._begin("rename")
        self._inner.rename(source, target)

    def link(self, source: str, target: str) -> None:
        self._begin("link")
        self._inner.link(source, target)

    def remove(self, path: str) -> None:
        self._begin("remove")
        self._inner.remove(path)

    def mkdir(self, path: str) -> None:
        self._begin("mkdir")
        self._inner.mkdir(path)

    def sync_dir(self, path: str) -> None:
        self._begin("sync_dir")
        self._inner.sync_dir(path)

    def now_us(self) -> int:
        return self._inner.now_us()

    def monotonic(self) -> float:
        return self._inner.monotonic()

    def random_bytes(self, count: int) -> bytes:
        return self._inner.random_bytes(count)

    def _begin(self, operation: Operation) -> bool:
        """Count an operation and let its fault happen, if it has one. True if a write is to be short."""
        self.counts[operation] += 1
        self.counts["any"] += 1
        for fault in self.plan:
            if fault.hits(operation, self.counts):
                if fault.effect == "short":
                    return True
                if fault.effect == "kill":
                    os.kill(os.getpid(), signal.SIGKILL)
                else:
                    raise OSError(fault.effect, os.strerror(fault.effect))
        return False


class _FaultyFile:
    def __init__(self, storage: FaultyStorage, inner: File) -> None:
        self._storage = storage
        self._inner = inner

    def read(self, offset: int, size: int) -> bytes:
        self._storage._begin("read")
        return self._inner.read(offset, size)

    def view(self, offset: int, size: int) -> pa.Buffer:
        self._storage._begin("view")
        return self._inner.view(offset, size)

    def pwrite(self, offset: int, data: bytes | memoryview) -> int:
        if self._storage._begin("pwrite"):
            data = data[: (len(data) + 1) // 2]
        return self._inner.pwrite(offset, data)

    def pwritev(self, offset: int, parts: Sequence[bytes | pa.Buffer]) -> int:
        return self.pwrite(offset, b"".join(parts))

    def truncate(self, size: int) -> None:
        self._storage._begin("truncate")
        self._inner.truncate(size)

    def sync(self) -> None:
        try:
            self._storage._begin("sync")
        except OSError:
            if isinstance(self._inner, SimulatedFile):
                self._inner.lose_unsynced()
            raise
        self._inner.sync()

    def size(self) -> int:
        self._storage._begin("size")
        return self._inner.size()

    def is_shared(self) -> bool:
        self._storage._begin("is_shared")
        return self._inner.is_shared()

    def close(self) -> None:
        self._inner.close()
