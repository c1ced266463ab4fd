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


def test_a_dead_process_leaves_what_it_did_not_sync_to_the_next_power_cut() -> None:
    disk = disk_with_file()
    disk.open("a").pwrite(3, b"new")
    disk.open("b", create=True)
    restarted = disk.crash("kill9")
    assert restarted.crash("drop").files() == {"a": b"old"}
    restarted.open("a").sync()
    restarted.sync_dir(".")
    assert restarted.crash("drop").files() == {"a": b"oldnew", "b": b""}


def test_a_dead_process_whose_sync_had_failed_leaves_bytes_that_are_shown_and_not_durable() -> None:
    disk = disk_with_file()
    file = disk.open("a")
    file.pwrite(3, b"new")
    file.lose_unsynced()
    restarted = disk.crash("kill9")
    restarted.open("a").sync()
    assert restarted.files() == {"a": b"oldnew"}
    assert restarted.crash("drop").files() == {"a": b"old"}


@pytest.mark.parametrize("model", ["ops", "random"])
def test_names_that_were_not_synced_come_in_order(model: CrashModel) -> None:
    disk = SimulatedDisk()
    for name in ("a", "b", "c"):
        disk.open(name, create=True)
    names = {tuple(disk.crash(model, seed).files()) for seed in SEEDS}
    assert names == {(), ("a",), ("a", "b"), ("a", "b", "c")}


def test_on_the_worst_file_system_any_of_the_names_that_were_not_synced_are_there() -> None:
    disk = SimulatedDisk()
    for name in ("a", "b", "c"):
        disk.open(name, create=True)
    names = {tuple(disk.crash("names_any", seed).files()) for seed in SEEDS}
    assert names == {tuple(name for name in "abc" if name in some) for some in ("", *"abc", "ab", "ac", "bc", "abc")}


def test_on_the_worst_file_system_a_removal_is_lost_that_a_later_name_depends_on() -> None:
    disk = disk_with_file()
    disk.remove("a")
    disk.open("b", create=True)
    names = {tuple(disk.crash("names_any", seed).files()) for seed in SEEDS}
    assert names == {("a",), ("a", "b"), (), ("b",)}


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


def test_a_fork_is_a_disk_of_its_own() -> None:
    disk = disk_with_file()
    disk.open("a").pwrite(3, b"new")
    disk.rename("a", "b")
    fork = disk.fork()
    assert fork.state() == disk.state()
    fork.open("b").truncate(0)
    assert fork.state() != disk.state()
    assert disk.files() == {"b": b"oldnew"}
    assert (fork.crash("drop").files(), fork.crash("kill9").files()) == ({"a": b"old"}, {"b": b""})


def test_a_fork_before_each_operation_shows_what_a_crash_at_it_would_leave() -> None:
    def work(disk: SimulatedDisk) -> None:
        file = disk.open("a", create=True)
        file.pwrite(0, b"newest")
        file.sync()
        disk.sync_dir(".")
        disk.rename("a", "b")
        file.truncate(2)

    disk, forks = SimulatedDisk(seed=0), []
    disk.on_operation = lambda: forks.append(disk.fork())
    work(disk)
    assert len(forks) == disk.operations == 6
    for operation, fork in enumerate(forks, 1):
        crashed = SimulatedDisk(seed=0, crash_at=operation)
        with pytest.raises(SimulatedCrash):
            work(crashed)
        for model in CRASH_MODELS:
            assert fork.crash(model).files() == crashed.crash(model).files()


def test_disks_differ_in_what_is_shown_in_what_is_durable_and_in_what_is_pending() -> None:
    written, synced = disk_with_file(), disk_with_file()
    assert written.state() == synced.state()
    written.open("a").pwrite(3, b"new")
    assert written.state() != synced.state()
    synced.open("a").pwrite(3, b"new")
    assert written.state() == synced.state()
    synced.open("a").sync()
    assert written.files() == synced.files()
    assert written.state() != synced.state()


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


def test_a_second_name_that_was_not_synced_is_lost_by_a_power_cut_and_the_first_is_not() -> None:
    disk = SimulatedDisk(seed=0)
    disk.mkdir("d")
    file = disk.open("a", create=True)
    file.pwrite(0, b"hello")
    file.sync()
    disk.sync_dir(".")
    disk.link("a", "d/b")
    assert disk.crash("drop").files() == {"a": b"hello"}
    assert disk.crash("all_names").open("a").is_shared()
    disk.sync_dir("d")
    disk.remove("a")
    assert disk.crash("drop").files() == {"a": b"hello", "d/b": b"hello"}
    disk.sync_dir(".")
    assert disk.crash("drop").files() == {"d/b": b"hello"}


def test_disks_on_which_other_names_are_of_one_file_are_not_the_same() -> None:
    shared, apart = SimulatedDisk(seed=0), SimulatedDisk(seed=0)
    for disk in (shared, apart):
        disk.open("a", create=True)
    shared.link("a", "b")
    apart.open("b", create=True)
    for disk in (shared, apart):
        disk.sync_dir(".")
    assert shared.files() == apart.files()
    assert shared.state() != apart.state()
