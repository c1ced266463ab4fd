"""A storage that does nothing but pass on: the base of storages that do one thing differently."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from headwater.storage import File, Lock, Storage


class PassingStorage:
    def __init__(self, inner: Storage) -> None:
        self.inner = inner

    def lock(self, path: str) -> Lock:
        return self.inner.lock(path)

    def open(self, path: str, *, create: bool = False) -> File:
        return self.inner.open(path, create=create)

    def sync_all(self, files: Sequence[File]) -> None:
        for file in files:
            file.sync()

    def listdir(self, path: str) -> list[str]:
        return self.inner.listdir(path)

    def exists(self, path: str) -> bool:
        return self.inner.exists(path)

    def rename(self, source: str, target: str) -> None:
        self.inner.rename(source, target)

    def link(self, source: str, target: str) -> None:
        self.inner.link(source, target)

    def remove(self, path: str) -> None:
        self.inner.remove(path)

    def mkdir(self, path: str) -> None:
        self.inner.mkdir(path)

    def sync_dir(self, path: str) -> None:
        self.inner.sync_dir(path)

    def now_us(self) -> int:
        return self.inner.now_us()

    def monotonic(self) -> float:
        return self.inner.monotonic()

    def random_bytes(self, count: int) -> bytes:
        return self.inner.random_bytes(count)


class PassingFile:
    def __init__(self, inner: File) -> None:
        self.inner = inner

    def read(self, offset: int, size: int) -> bytes:
        return self.inner.read(offset, size)

    def view(self, offset: int, size: int) -> pa.Buffer:
        return self.inner.view(offset, size)

    def pwrite(self, offset: int, data: bytes | memoryview) -> int:
        return self.inner.pwrite(offset, data)

    def pwritev(self, offset: int, parts: Sequence[bytes | pa.Buffer]) -> int:
        return self.pwrite(offset, b"".join(parts))

    def truncate(self, size: int) -> None:
        self.inner.truncate(size)

    def sync(self) -> None:
        self.inner.sync()

    def size(self) -> int:
        return self.inner.size()

    def is_shared(self) -> bool:
        return self.inner.is_shared()

    def close(self) -> None:
        self.inner.close()


class UnchangeableStorage(PassingStorage):
    """A storage of which nothing may be changed, or even locked."""

    def lock(self, path: str) -> Lock:
        raise AssertionError(f"{path} was locked")

    def open(self, path: str, *, create: bool = False) -> File:
        assert not create, f"{path} was created"
        return UnchangeableFile(super().open(path))

    def rename(self, source: str, target: str) -> None:
        raise AssertionError(f"{source} was renamed")

    def link(self, source: str, target: str) -> None:
        raise AssertionError(f"{target} was linked")

    def remove(self, path: str) -> None:
        raise AssertionError(f"{path} was removed")

    def mkdir(self, path: str) -> None:
        raise AssertionError(f"{path} was made")

    def sync_dir(self, path: str) -> None:
        raise AssertionError(f"{path} was synced")


class UnchangeableFile(PassingFile):
    def pwrite(self, offset: int, data: bytes | memoryview) -> int:
        raise AssertionError("a file was written to")

    def truncate(self, size: int) -> None:
        raise AssertionError("a file was cut")

    def sync(self) -> None:
        raise AssertionError("a file was synced")
