"""The harness is put to the test: it must find every one of these mistakes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headwater.storage import SimulatedDisk, Storage
from headwater.storage.files import File
from tests.storage.enumerator import CrashFailure, enumerate_crashes
from tests.storage.ledger import LEDGER
from tests.storage.passing import PassingFile, PassingStorage


class Unsynced(PassingStorage):
    """A mistake: files whose path ends in a certain way are never synced."""

    def __init__(self, inner: Storage, ending: str) -> None:
        super().__init__(inner)
        self._ending = ending

    def open(self, path: str, *, create: bool = False) -> File:
        file = super().open(path, create=create)
        return UnsyncedFile(file) if path.endswith(self._ending) else file


class UnsyncedFile(PassingFile):
    def sync(self) -> None:
        pass


class UnsyncedDirectories(PassingStorage):
    """A mistake: new names are not synced."""

    def sync_dir(self, path: str) -> None:
        pass


class RowsAfterCommits(PassingStorage):
    """A mistake: rows are synced only after the commit that names them."""

    def __init__(self, inner: Storage) -> None:
        super().__init__(inner)
        self._late: list[File] = []

    def open(self, path: str, *, create: bool = False) -> File:
        file = super().open(path, create=create)
        if path.endswith(("commits.log", ".seg")):
            return LateFile(file, self._late, is_commit_log=path.endswith("commits.log"))
        return file


class LateFile(PassingFile):
    def __init__(self, inner: File, late: list[File], *, is_commit_log: bool) -> None:
        super().__init__(inner)
        self._late = late
        self._is_commit_log = is_commit_log

    def sync(self) -> None:
        if self._is_commit_log:
            super().sync()
            while self._late:
                self._late.pop().sync()
        else:
            self._late.append(self.inner)


MISTAKES: dict[str, Callable[[SimulatedDisk], Storage]] = {
    "rows are not synced": lambda disk: Unsynced(disk, ".seg"),
    "commits are not synced": lambda disk: Unsynced(disk, "commits.log"),
    "images are not synced": lambda disk: Unsynced(disk, ".img"),
    "the format is not synced": lambda disk: Unsynced(disk, "FORMAT.new"),
    "names are not synced": UnsyncedDirectories,
    "rows are synced after their commit": RowsAfterCommits,
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_enumerator_finds_that(mistake: str) -> None:
    with pytest.raises(CrashFailure):
        enumerate_crashes(LEDGER, wrap=MISTAKES[mistake], seeds=range(3))


@pytest.mark.parametrize("unchecked", ["headwater.storage.commits.check_payload", "headwater.storage.frames.crc32c"])
def test_the_enumerator_finds_that_checksums_are_not_checked(unchecked: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unchecked, lambda *_: 0)
    with pytest.raises(CrashFailure):
        enumerate_crashes(LEDGER, seeds=range(3))
