"""A file system that does not wait for the disk, to build large databases in a short time."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from headwater.storage import File, OsStorage


class UnsyncedStorage(OsStorage):
    """The real file system, whose files become durable only with `make_durable`."""

    def __init__(self) -> None:
        super().__init__()
        self._paths: set[str] = set()

    def open(self, path: str, *, create: bool = False) -> File:
        self._paths.add(path)
        return _UnsyncedFile(super().open(path, create=create))

    def sync_all(self, files: Sequence[File]) -> None:
        pass

    def sync_dir(self, path: str) -> None:
        pass

    def make_durable(self) -> None:
        """Make all files that were opened durable."""
        for path in sorted(self._paths):
            if self.exists(path):
                super().open(path).sync()


class _UnsyncedFile:
    def __init__(self, file: File) -> None:
        self._file = file

    def read(self, offset: int, size: int) -> bytes:
        return self._file.read(offset, size)

    def view(self, offset: int, size: int) -> pa.Buffer:
        return self._file.view(offset, size)

    def pwrite(self, offset: int, data: bytes | memoryview) -> int:
        return self._file.pwrite(offset, data)

    def pwritev(self, offset: int, parts: Sequence[bytes | pa.Buffer]) -> int:
        return self._file.pwritev(offset, parts)

    def truncate(self, size: int) -> None:
        self._file.truncate(size)

    def sync(self) -> None:
        pass

    def size(self) -> int:
        return self._file.size()

    def is_shared(self) -> bool:
        return self._file.is_shared()

    def close(self) -> None:
        self._file.close()
