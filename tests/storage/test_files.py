"""What a log relies on a storage for: the same on the real disk and on the simulated one."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from headwater.errors import AlreadyOpen
from headwater.storage import File, OsStorage, SimulatedDisk, Storage
from headwater.storage.files import REMAP_BYTES, empty_file, own_file, parent, write_all


@pytest.fixture(params=["disk", "memory"])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    monkeypatch.chdir(tmp_path)
    return OsStorage() if request.param == "disk" else SimulatedDisk()


def test_what_is_written_is_read(storage: Storage) -> None:
    file = storage.open("a", create=True)
    write_all(file, 0, b"hello")
    write_all(file, 3, b"p!")
    write_all(file, 7, b"x")
    assert file.read(0, 99) == b"help!\0\0x"
    assert (file.read(2, 2), file.read(8, 5), file.read(99, 5)) == (b"lp", b"", b"")
    assert file.size() == 8


def test_a_file_is_cut_and_lengthened(storage: Storage) -> None:
    file = storage.open("a", create=True)
    write_all(file, 0, b"hello")
    file.truncate(2)
    file.truncate(4)
    assert file.read(0, 99) == b"he\0\0"


def test_opening_again_shows_the_same_file(storage: Storage) -> None:
    write_all(storage.open("a", create=True), 0, b"hello")
    assert storage.open("a", create=True).read(0, 5) == storage.open("a").read(0, 5) == b"hello"


def test_a_file_can_have_a_second_name_and_stays_when_it_loses_one(storage: Storage) -> None:
    storage.mkdir("d")
    write_all(storage.open("a", create=True), 0, b"hello")
    storage.link("a", "d/b")
    write_all(storage.open("a"), 5, b"!")
    assert storage.open("d/b").read(0, 99) == b"hello!"
    assert storage.open("a").is_shared() and storage.open("d/b").is_shared()
    storage.remove("a")
    assert storage.open("d/b").read(0, 99) == b"hello!"
    assert not storage.open("d/b").is_shared()
    with pytest.raises(FileNotFoundError):
        storage.link("a", "c")
    storage.open("c", create=True)
    with pytest.raises(FileExistsError):
        storage.link("c", "d/b")


@pytest.mark.parametrize("change", [empty_file, own_file])
def test_a_file_with_a_second_name_stays_what_it_is_under_that(
    storage: Storage, change: Callable[[Storage, str], File]
) -> None:
    for shared in (True, False):
        write_all(storage.open("a", create=True), 0, b"hello")
        if shared:
            storage.link("a", "b")
        file = change(storage, "a")
        assert file.read(0, 99) == (b"" if change is empty_file else b"hello")
        write_all(file, 0, b"J")
        assert storage.open("a").read(0, 1) == b"J"
        assert storage.open("b").read(0, 99) == b"hello"


def test_a_missing_file_is_not_opened(storage: Storage) -> None:
    with pytest.raises(FileNotFoundError):
        storage.open("a")
    with pytest.raises(FileNotFoundError):
        storage.open("b/a", create=True)
    assert not storage.exists("a")


def test_directories_list_their_names(storage: Storage) -> None:
    storage.mkdir("d")
    storage.mkdir("d/sub")
    storage.open("d/b", create=True)
    storage.open("d/sub/c", create=True)
    assert storage.listdir("d") == ["b", "sub"]
    assert storage.exists("d") and storage.exists("d/sub/c")
    storage.sync_dir("d")
    with pytest.raises(FileExistsError):
        storage.mkdir("d")
    with pytest.raises(NotADirectoryError):
        storage.listdir("d/b")
    with pytest.raises(FileNotFoundError):
        storage.listdir("e")


def test_a_renamed_file_replaces_the_one_that_had_the_name(storage: Storage) -> None:
    write_all(storage.open("a", create=True), 0, b"new")
    write_all(storage.open("b", create=True), 0, b"old")
    storage.rename("a", "b")
    assert storage.open("b").read(0, 9) == b"new"
    assert not storage.exists("a")


def test_a_removed_file_is_gone(storage: Storage) -> None:
    storage.open("a", create=True)
    storage.remove("a")
    assert not storage.exists("a")
    with pytest.raises(FileNotFoundError):
        storage.remove("a")


def test_a_lock_is_held_by_one_until_it_is_released(storage: Storage) -> None:
    lock = storage.lock("LOCK")
    with pytest.raises(AlreadyOpen, match="this process"):
        storage.lock("LOCK")
    lock.release()
    lock.release()
    storage.lock("LOCK").release()


def test_views_stay_valid_when_the_file_grows_is_closed_and_is_removed(storage: Storage) -> None:
    file = storage.open("a", create=True)
    views = []
    for number in range(4):
        write_all(file, number * REMAP_BYTES, bytes([number]) * REMAP_BYTES)
        views.append(file.view(number * REMAP_BYTES, REMAP_BYTES))
    file.close()
    storage.remove("a")
    for number, view in enumerate(views):
        assert view.to_pybytes() == bytes([number]) * REMAP_BYTES


def test_a_view_ends_where_the_file_ends(storage: Storage) -> None:
    file = storage.open("a", create=True)
    write_all(file, 0, b"hello")
    assert file.view(3, 99).to_pybytes() == b"lo"
    write_all(file, 5, bytes(REMAP_BYTES))
    assert file.view(3, 2 * REMAP_BYTES).size == REMAP_BYTES + 2


def test_a_small_write_that_was_not_mapped_yet_is_seen(storage: Storage) -> None:
    file = storage.open("a", create=True)
    write_all(file, 0, bytes(REMAP_BYTES))
    file.view(0, 1)
    write_all(file, REMAP_BYTES, b"more")
    assert file.view(REMAP_BYTES, 4).to_pybytes() == b"more"
    assert file.view(REMAP_BYTES - 2, 4).to_pybytes() == b"\0\0mo"


def test_clocks_and_chance(storage: Storage) -> None:
    assert storage.now_us() > 1_500_000_000_000_000
    assert storage.monotonic() <= storage.monotonic()
    assert storage.random_bytes(16) != storage.random_bytes(16)


def test_a_closed_file_gives_its_descriptor_back(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.exists("/proc/self/fd") else 0
    for number in range(50):
        OsStorage().open(str(tmp_path / str(number)), create=True)
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize("path, directory", [("a", "."), ("/a", "/"), ("a/b", "a"), ("/a/b/", "/a"), ("../a", "..")])
def test_the_parent_of_a_path(path: str, directory: str) -> None:
    assert parent(path) == directory
