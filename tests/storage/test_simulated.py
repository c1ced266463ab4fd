"""What a simulated disk holds after a crash."""

from __future__ import annotations

import pytest

from headwater.storage import CRASH_MODELS, CrashModel, SimulatedCrash, SimulatedDisk
from headwater.storage.simulated import SECTOR_BYTES

SEEDS = range(200)


def disk_with_file(content: bytes = b"old") -> SimulatedDisk:
    disk = SimulatedDisk()
    file = disk.open("a", create=True)
    file.pwrite(0, content)
    file.sync()
    disk.sync_dir(".")
    return disk


def found(disk: SimulatedDisk, model: CrashModel, name: str = "a") -> set[bytes | None]:
    return {disk.crash(model, seed).files().get(name) for seed in SEEDS}


@pytest.mark.parametrize("model", CRASH_MODELS)
def test_what_was_synced_is_there_after_every_crash(model: CrashModel) -> None:
    assert found(disk_with_file(), model) == {b"old"}


def test_a_dead_process_leaves_all_its_writes() -> None:
    disk = disk_with_file()
    disk.open("a").pwrite(3, b"new")
    disk.open("b", create=True)
    assert disk.crash("kill9").files() == {"a": b"oldnew", "b": b""}


def test_a_strict_power_cut_leaves_nothing_unsynced() -> None:
    disk = disk_with_file()
    disk.open("a").pwrite(3, b"new")
    disk.open("b", create=True).sync()
    assert disk.crash("drop").files() == {"a": b"old"}


def test_unsynced_operations_are_there_or_not_in_any_combination() -> None:
    disk = disk_with_file()
    disk.open("a").pwrite(3, b"1")
    disk.open("a").pwrite(4, b"2")
    assert found(disk, "ops") == {b"old", b"old1", b"old\x002", b"old12"}


def test_unsynced_writes_are_torn_at_sectors() -> None:
    disk = disk_with_file(b"")
    disk.open("a").pwrite(0, b"1" * SECTOR_BYTES + b"2" * SECTOR_BYTES)
    sectors = {content[SECTOR_BYTES:] for content in found(disk, "random") if content is not None}
    firsts = {content[:SECTOR_BYTES] for content in found(disk, "random") if content is not None}
    assert {b"", b"2" * SECTOR_BYTES, bytes(SECTOR_BYTES)} < sectors
    assert {b"", b"1" * SECTOR_BYTES, bytes(SECTOR_BYTES)} < firsts
    assert len(sectors) > 10, "garbage, and ends cut short"


def test_names_that_were_not_synced_come_in_order() -> None:
    disk = SimulatedDisk()
    for name in ("a", "b", "c"):
        disk.open(name, create=True)
    names = {tuple(disk.crash("random", seed).files()) for seed in SEEDS}
    assert names == {(), ("a",), ("a", "b"), ("a", "b", "c")}


def test_a_file_in_a_directory_whose_name_was_not_synced_is_lost() -> None:
    disk = SimulatedDisk()
    disk.mkdir("d")
    disk.open("d/a", create=True).sync()
    disk.sync_dir("d")
    assert disk.crash("drop").files() == {}
    disk.sync_dir(".")
    assert disk.crash("drop").files() == {"d/a": b""}


def test_a_rename_happens_as_a_whole() -> None:
    disk = disk_with_file()
    disk.open("new", create=True)
    disk.sync_dir(".")
    disk.rename("new", "a")
    states = {tuple(disk.crash("random", seed).files().items()) for seed in SEEDS}
    assert states == {(("a", b"old"), ("new", b"")), (("a", b""),)}


def test_bytes_whose_sync_failed_are_shown_but_never_durable() -> None:
    disk = disk_with_file()
    file = disk.open("a")
    file.pwrite(3, b"new")
    file.lose_unsynced()
    file.sync()
    assert disk.files() == {"a": b"oldnew"}
    assert disk.crash("drop").files() == {"a": b"old"}


def test_the_crashing_write_is_cut_in_half_and_nothing_works_afterwards() -> None:
    disk = disk_with_file()
    file = disk.open("a")
    disk.crash_at = disk.operations + 1
    with pytest.raises(SimulatedCrash):
        file.pwrite(3, b"newest")
    for call in (lambda: file.pwrite(0, b"x"), lambda: file.read(0, 1), file.sync, lambda: disk.open("a")):
        with pytest.raises(SimulatedCrash):
            call()
    assert disk.crash("kill9").files() == {"a": b"oldnew"}


def test_the_same_seed_gives_the_same_disk() -> None:
    disk = disk_with_file()
    disk.open("a").pwrite(3, b"x" * 5000)
    assert disk.crash("random", 7).files() == disk.crash("random", 7).files()
    assert len(found(disk, "random")) > 50


def test_a_disk_that_is_synced_keeps_no_books() -> None:
    disk = disk_with_file()
    file = disk.open("a")
    for _ in range(100):
        file.pwrite(0, b"again")
        file.sync()
    assert disk._pending_names == []
    assert file._inode.pending == []


def test_the_clock_stands_where_it_is_set() -> None:
    disk = SimulatedDisk()
    disk.clock_us = 3_000_000
    assert (disk.now_us(), disk.monotonic()) == (3_000_000, 3.0)
