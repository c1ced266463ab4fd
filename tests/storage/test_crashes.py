"""The harness is put to the test: it must find every one of these mistakes."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from headwater.storage import SimulatedDisk, Storage, commits, directory, frames, images, index_files, rows, writer
from headwater.storage.files import File
from tests.storage.chains import run_chain
from tests.storage.enumerator import CrashFailure, enumerate_crashes
from tests.storage.passing import PassingFile, PassingStorage
from tests.storage.workloads import EVERYTHING, PATH, WORKLOADS


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


class UnsyncedDirectory(PassingStorage):
    """A mistake: new names in directories whose path ends in a certain way are not synced."""

    def __init__(self, inner: Storage, ending: str) -> None:
        super().__init__(inner)
        self._ending = ending

    def sync_dir(self, path: str) -> None:
        if not path.endswith(self._ending):
            super().sync_dir(path)


class UncutFiles(PassingStorage):
    """A mistake: files are not cut, so that what a crash left behind their ends stays there."""

    def __init__(self, inner: Storage, ending: str) -> None:
        super().__init__(inner)
        self._ending = ending

    def open(self, path: str, *, create: bool = False) -> File:
        file = super().open(path, create=create)
        return UncutFile(file) if path.endswith(self._ending) else file


class UncutFile(PassingFile):
    def truncate(self, size: int) -> None:
        pass


MISTAKES: dict[str, Callable[[SimulatedDisk], Storage]] = {
    "rows are not synced": lambda disk: Unsynced(disk, ".seg"),
    "commits are not synced": lambda disk: Unsynced(disk, ".log"),
    "images are not synced": lambda disk: Unsynced(disk, ".img"),
    "the format is not synced": lambda disk: Unsynced(disk, "FORMAT.new"),
    "the name of the database is not synced": lambda disk: UnsyncedDirectory(disk, PATH),
    "names of commit files are not synced": lambda disk: UnsyncedDirectory(disk, "commits"),
    "names of images are not synced": lambda disk: UnsyncedDirectory(disk, "images"),
    "names of segments are not synced": lambda disk: UnsyncedDirectory(disk, "1"),
    "names of streams are not synced": lambda disk: UnsyncedDirectory(disk, "streams"),
    "the remains of commits are not cut": lambda disk: UncutFiles(disk, ".log"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_the_enumerator_finds_that(mistake: str) -> None:
    with pytest.raises(CrashFailure):
        enumerate_crashes(EVERYTHING, wrap=MISTAKES[mistake], seeds=range(3))


def test_the_enumerator_finds_that_payloads_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frames, "check_payload", lambda *_: None)
    with pytest.raises(CrashFailure):
        enumerate_crashes(EVERYTHING, seeds=range(3))


def test_the_enumerator_finds_that_all_checksums_are_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (frames, commits, directory, images, index_files, rows, writer):
        monkeypatch.setattr(module, "crc32c", lambda _: 0)
    with pytest.raises(CrashFailure):
        enumerate_crashes(WORKLOADS["group commit"])


@pytest.mark.parametrize("mistake", MISTAKES)
def test_chains_of_lives_find_that(mistake: str) -> None:
    with pytest.raises(CrashFailure):
        for seed in range(200):
            run_chain(EVERYTHING, seed, wrap=MISTAKES[mistake])
