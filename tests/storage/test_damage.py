"""Every byte of a store can rot, and every file be cut short: that is noticed, or it does not matter."""

from __future__ import annotations

import multiprocessing
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest

from headwater.errors import CorruptLog, NotADatabase, StorageError
from headwater.storage import Log, SimulatedDisk, Storage
from tests.storage.rot import PATH, RottenStorage, Stretch, facts, store, stretches, verdicts
from tests.thoroughness import amount

PROCESSES = 2
STEP = amount(5, 1)  # bytes from one that rots to the next, with each of them by itself
NAMES = sorted(store().disk.files())
NEWEST = max(name for name in NAMES if name.endswith(".log"))


def read_all(storage: Storage) -> list[object]:
    """Whatever can be read from a store; None for what is refused."""
    log = Log.open(storage, PATH)
    found: list[object] = []
    for part in (facts, *(part for part, _ in store().parts)):
        try:
            found.append(part(log))
        except StorageError:
            found.append(None)
    return found


EXPECTED = [store().facts, *(expected for _, expected in store().parts)]


def verdict(storage: Storage) -> str:
    try:
        found = read_all(storage)
    except StorageError:
        return "detected"
    if not all(one is None or one == expected for one, expected in zip(found, EXPECTED, strict=True)):
        return "wrong"
    return "detected" if None in found else "harmless"


def test_the_store_has_files_of_all_kinds_and_a_mebibyte() -> None:
    sizes = {name.removeprefix(f"{PATH}/"): len(content) for name, content in store().disk.files().items()}
    kinds = Counter(name.rpartition("/")[0] + " " + name.rpartition(".")[2] for name in sizes)
    assert kinds == {
        " FORMAT": 1, "commits log": 3, "commits idx": 1, "streams/0 seg": 2, "streams/1 seg": 1, "images img": 2,
    }  # fmt: skip
    assert sum(sizes.values()) > 1 << 20
    frames = {content[at : at + 4] for content in store().disk.files().values() for at in range(0, len(content), 64)}
    assert {b"HWF" + kind for kind in (b"D", b"W", b"C", b"B", b"R", b"E", b"I", b"X")} <= frames


def test_a_byte_that_rots_is_noticed_or_does_not_matter(
    monkeypatch: pytest.MonkeyPatch, record_property: Callable[[str, object], None]
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2])  # where the processes find this module
    everything = sorted(stretches(), key=lambda stretch: not stretch.at_first)  # what takes longest comes first
    some = partial(verdicts, step=STEP)
    with ProcessPoolExecutor(PROCESSES, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = sum(pool.map(some, everything, chunksize=4), Counter[str]())
    record_property("flipped bytes", sum(found.values()))
    assert sum(found.values()) >= sum(len(content) for content in store().disk.files().values()) // STEP
    assert found["wrong"] == 0
    assert found["detected"] > 0.99 * sum(found.values()), "only zeros between frames, and index files, do not matter"


@cache
def stretches_of(name: str) -> list[Stretch]:
    return [stretch for stretch in stretches() if stretch.path == name]


@pytest.mark.parametrize("name", NAMES)
def test_a_store_that_is_opened_and_read_anew_agrees_with_the_verdict_on_a_byte(name: str) -> None:
    chance = random.Random(name)
    size = len(store().disk.files()[name])
    for position in chance.sample(range(size), min(size, 30)):
        storage = RottenStorage(store().disk.fork())
        storage.rot(name, position)
        (stretch,) = (s for s in stretches_of(name) if s.start <= position < s.end)
        (expected,) = verdicts(replace(stretch, start=position, end=position + 1))
        assert verdict(storage) == expected.replace("not read", "harmless")


@pytest.mark.parametrize("name", [name for name in NAMES if name != NEWEST])
def test_a_file_that_is_cut_short_is_noticed_or_does_not_matter(name: str) -> None:
    # The newest commit file is another matter: cut short, it is one that a crash cut short.
    chance = random.Random(name)
    size = len(store().disk.files()[name])
    for length in [0, 64, size - 64, size - 1, *chance.sample(range(size), 20)]:
        assert verdict(cut(name, length)) in ("detected", "harmless")


def cut(name: str, length: int) -> SimulatedDisk:
    disk = store().disk.fork()
    disk.open(name).truncate(length)
    return disk


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_is_missing_is_noticed_or_does_not_matter(name: str) -> None:
    disk = store().disk.fork()
    disk.remove(name)
    if name.endswith("FORMAT"):
        with pytest.raises(NotADatabase):
            Log.open(disk, PATH)
    elif name == NEWEST:
        with pytest.raises(CorruptLog, match="is missing"):
            Log.open(disk, PATH)
    else:
        assert verdict(disk) == ("harmless" if name.endswith(".idx") else "detected")
