"""A fork is a database of its own, as of any version, which shares its files with the original; neither disturbs the
other.
"""

from __future__ import annotations

import errno
import random
import shutil
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pytest

from headwater.errors import NoSpace, NotADatabase, PositionGone, StorageError
from headwater.storage import (
    CRASH_MODELS,
    Append,
    Fault,
    FaultyStorage,
    Log,
    OsStorage,
    SimulatedDisk,
    Storage,
)
from headwater.storage.check import Check
from headwater.storage.fork import fork
from headwater.storage.repair import LostCommits, repair
from tests.storage.damaged import PATH, SIZES, copy_of, database, flip, numbers, rows
from tests.storage.model import (
    LARGE,
    SMALL,
    TORN,
    Change,
    Commit,
    Compaction,
    Contents,
    Imaging,
    Model,
    Retention,
    text,
)
from tests.storage.passing import PassingStorage
from tests.storage.test_backup import a_busy_writer

DISK = database()
FORK = "fork.hw"


def opened(storage: Storage, path: str) -> Log:
    return Log.open(storage, path, create=False, **SIZES)


def damages_of(storage: Storage, path: str) -> list[str]:
    return [str(finding) for finding in Check(storage, path).findings() if finding.is_damage]


def test_a_fork_has_all_that_the_original_has_and_shares_its_files() -> None:
    disk = copy_of(DISK)
    made = fork(disk, PATH, FORK)
    assert list(Check(disk, FORK).findings()) == []
    original, forked = opened(disk, PATH), opened(disk, FORK)
    assert made.version == forked.version == original.version
    assert rows(forked) == rows(original)
    assert list(forked.notes("count")) == list(original.notes("count"))
    assert [forked.load_image(i) for i in forked.images()] == [original.load_image(i) for i in original.images()]
    bytes_in_all = sum(map(len, DISK.files().values()))
    assert made.shared > 10 and made.copied < bytes_in_all / 10


def history_of(log: Log, upto: int) -> dict[object, object]:
    """All that can be asked about a log as of a version."""
    return {
        "rows": {
            (s, c.version, c.partition, c.offset): c.rows
            for s in log.state.streams
            if log.start(s).version <= upto
            for c in log.scan(s, 0, upto)
        },
        "ends": {s: log.ends(s, upto) for s in log.state.streams if log.row_count(s, upto)},
        "notes": [(version, note) for version, note in log.notes("count") if version <= upto],
        "kept": [(version, note) for version, note in log.kept("count") if version <= upto],
        "images": [log.load_image(image) for image in log.images() if image.version <= upto],
        "times": [log.time_of(version) for version in range(log.first_version, upto + 1)],
    }


def test_a_fork_of_the_past_has_what_there_was_then_as_far_as_it_is_kept() -> None:
    original = opened(copy_of(DISK), PATH)
    kept_from = max(original.start(stream).version for stream in original.state.streams)
    assert kept_from == 10
    for version in range(kept_from, original.version + 1, 3):
        disk = copy_of(DISK)
        fork(disk, PATH, FORK, version)
        assert damages_of(disk, FORK) == []
        forked = opened(disk, FORK)
        assert forked.version in (version, version + 1), "one more where retention has taken something since"
        assert history_of(forked, version) == history_of(original, version)
        forked.commit([Append(1, 0, numbers(300)), Append(0, 0, numbers(1))])
        assert damages_of(disk, FORK) == damages_of(disk, PATH) == []


def test_a_version_that_is_no_more_or_not_yet_is_one_clear_error_and_nothing_is_made() -> None:
    disk = copy_of(DISK)
    with pytest.raises(PositionGone, match="version 9 is no more") as gone:
        fork(disk, PATH, FORK, 9)
    assert gone.value.earliest == 10
    with pytest.raises(StorageError, match="there is no version 99: the latest is 44"):
        fork(disk, PATH, FORK, 99)
    assert not disk.exists(FORK)


def test_a_fork_goes_where_nothing_is() -> None:
    disk = copy_of(DISK)
    disk.mkdir("full")
    disk.open("full/photo.jpg", create=True)
    disk.mkdir("empty")
    with pytest.raises(StorageError, match="not empty"):
        fork(disk, PATH, "full")
    with pytest.raises(StorageError, match="is a file"):
        fork(disk, PATH, "full/photo.jpg")
    with pytest.raises(StorageError, match="there is no directory"):
        fork(disk, PATH, "no/such/place")
    with pytest.raises(NotADatabase):
        fork(disk, "empty", FORK)
    fork(disk, PATH, "empty")
    with pytest.raises(StorageError, match="not empty"):
        fork(disk, PATH, "empty")


def moments_of_a_fork() -> list[SimulatedDisk]:
    """A small database before each I/O operation of the making of a fork, and after the last one."""
    disk = SimulatedDisk(seed=0)
    log = Log.open(disk, PATH, **SIZES)
    for count in range(1, 9):
        log.commit([Append(0, 0, numbers(count)), Append(1, 0, numbers(300))], {"count": count})
    log.save_image({"state": numbers(100)})
    log.retain({1: 4})
    log.close()
    moments: list[SimulatedDisk] = []
    disk.on_operation = lambda: moments.append(disk.fork())
    fork(disk, PATH, FORK, 7)
    disk.on_operation = None
    return [*moments, disk]


def test_a_fork_that_was_not_finished_is_no_database_and_the_original_is_whole() -> None:
    *unfinished, finished = moments_of_a_fork()
    before = rows(opened(copy_of(finished), PATH))
    seen = set()
    for number, moment in enumerate(unfinished):
        for model in CRASH_MODELS:
            after = moment.crash(model, seed=number)
            if after.state() in seen:
                continue
            seen.add(after.state())
            if after.exists(f"{FORK}/FORMAT"):
                assert damages_of(after, FORK) == []
                assert opened(after, FORK).row_count(0) == sum(range(8))
            else:
                with pytest.raises(NotADatabase):
                    opened(after, FORK)
            assert damages_of(after, PATH) == []
            assert rows(opened(after, PATH)) == before
    assert len(seen) > 50
    assert damages_of(finished.crash("drop"), FORK) == []


def test_a_fork_is_durable_although_the_original_has_not_synced_its_last_commit() -> None:
    """Another process has written a commit, and is not done with it: who reads takes it for made."""
    disk = SimulatedDisk(seed=0)
    log = Log.open(disk, PATH, **SIZES)
    log.commit([Append(0, 0, numbers(300))])
    unsynced: list[SimulatedDisk] = []

    def look() -> None:
        unsynced.append(disk.fork())

    disk.on_operation = look
    log.commit([Append(0, 0, numbers(300))])
    seen = 0
    for moment in unsynced:
        if fork(moment, PATH, FORK).version == 2:
            seen += 1
            after = moment.crash("drop")
            assert damages_of(after, FORK) == []
            assert opened(after, FORK).row_count(0) == 600
    assert seen


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EPERM, errno.EMLINK])
def test_where_files_cannot_have_a_second_name_they_are_copied(code: int) -> None:
    disk = copy_of(DISK)
    made = fork(FaultyStorage(disk, [Fault("link", 1, code, 1000)]), PATH, FORK, 41)
    assert made.shared == 0
    assert damages_of(disk, FORK) == []
    assert history_of(opened(disk, FORK), 41) == history_of(opened(disk, PATH), 41)


def test_a_full_disk_is_one_clear_error() -> None:
    disk = FaultyStorage(copy_of(DISK), [Fault("link", nth=5, effect=errno.ENOSPC)])
    with pytest.raises(NoSpace, match='cannot fork "shop.hw" to "fork.hw": no space left'):
        fork(disk, PATH, FORK)


# ---------------------------------------------------------------- independence


@dataclass(frozen=True, slots=True)
class Taken(Change):
    """What a fork begins with: what the original, which had made some changes by then, has given up since."""

    original: Model

    def enter(self, contents: Contents) -> None:
        now = self.original.contents()
        for stream, start in now.starts.items():
            if start > contents.starts.get(stream, start):
                contents.starts[stream] = start
                contents.rows[stream] = [row for row in now.rows[stream] if row[0] <= contents.version]
        contents.images = {version: parts for version, parts in contents.images.items() if version in now.images}
        contents.history = now.history
        contents.version += 1


def forked_model(model: Model, version: int, found: int) -> Model:
    """The model of a fork as of a version, in which that many versions were found."""
    copy = model.copy()
    copy.made = copy.made[:version]
    if found > version:
        copy.made.append(Taken("taken", model.copy()))
    return copy


def change_at_random(log: Log, model: Model, chance: random.Random) -> None:
    """Make one change of whatever kind."""
    name = model.name()
    streams = [stream for stream in log.state.streams if log.row_count(stream)]
    choices: list[Callable[[], Change]] = [
        *3 * [lambda: Commit(name, {(chance.randint(1, 3), chance.randint(0, 1)): chance.choice((SMALL, TORN))})],
        *3 * [lambda: Commit(name, {(chance.randint(1, 3), 0): LARGE, (4, 0): LARGE})],
        lambda: Imaging(name, {"fixed": text("fixed", LARGE), "changing": text(name, TORN)}),
    ]
    if streams:
        at = max(0, log.version - chance.randint(0, 6))
        choices.append(lambda: Retention(name, {chance.choice(streams): at}, 2, at))
        choices.append(lambda: Compaction(name, chance.choice(streams), log.version, chance.choice((SMALL, LARGE))))
    model.attempt(log, chance.choice(choices)())


class Family:
    """A database and forks of it, and forks of those, each beside its model; each is changed at random."""

    def __init__(self, storage: Storage, directory: str, seed: int) -> None:
        self.storage = storage
        self.directory = directory
        self.chance = random.Random(seed)
        self.members: dict[str, tuple[Log, Model]] = {}
        self.born = 0
        self.keep("0.hw", Model())

    def open(self, path: str) -> Log:
        return Log.open(self.storage, path, inline_bytes=2000, commits_bytes=1500, segment_bytes=2 * LARGE)

    def keep(self, name: str, model: Model) -> None:
        path = f"{self.directory}{name}"
        self.members[path] = self.open(path), model

    def live(self) -> None:
        path = self.chance.choice(list(self.members))
        log, model = self.members[path]
        match self.chance.randint(0, 9):
            case 0 if log.version and len(self.members) < 4:
                self.fork(path)
            case 1:
                log.close()
                self.members[path] = self.open(path), model
            case 2 if len(self.members) > 1:
                log.close()
                del self.members[path]
                self.remove(path)
            case 3 if isinstance(self.storage, SimulatedDisk):
                self.storage = self.storage.crash(self.chance.choice(CRASH_MODELS), self.chance.randint(0, 99))
                self.members = {path: (self.open(path), model) for path, (_, model) in self.members.items()}
            case _:
                change_at_random(log, model, self.chance)

    def remove(self, path: str) -> None:
        for name in self.storage.listdir(path):
            try:
                self.storage.listdir(f"{path}/{name}")
            except NotADirectoryError:
                self.storage.remove(f"{path}/{name}")
            else:
                self.remove(f"{path}/{name}")

    def fork(self, path: str) -> None:
        log, model = self.members[path]
        earliest = max([log.first_version, *(log.start(stream).version for stream in log.state.streams)])
        version = self.chance.choice([log.version, self.chance.randint(min(earliest, log.version), log.version)])
        self.born += 1
        name = f"{self.born}.hw"
        fork(self.storage, path, f"{self.directory}{name}", version)
        found = self.open(f"{self.directory}{name}")
        self.members[f"{self.directory}{name}"] = found, forked_model(model, version, found.version)

    def check(self) -> None:
        for path, (log, model) in self.members.items():
            model.settle(log)
            assert damages_of(self.storage, path) == []


@pytest.mark.parametrize("seed", range(6))
def test_whatever_becomes_of_one_does_not_matter_to_the_other(seed: int) -> None:
    family = Family(SimulatedDisk(seed=seed), "", seed)
    for _ in range(10):
        for _ in range(6):
            family.live()
        family.check()


@pytest.mark.parametrize("seed", range(2))
def test_so_it_is_with_real_files(seed: int, tmp_path: Path) -> None:
    family = Family(OsStorage(), f"{tmp_path}/", seed)
    for _ in range(60):
        family.live()
    family.check()


def test_a_fork_of_the_past_neither_cuts_nor_overwrites_what_the_original_has_more() -> None:
    disk = SimulatedDisk(seed=0)
    log = Log.open(disk, PATH, **SIZES)
    log.commit([Append(0, 0, numbers(300))])
    log.commit([Append(0, 0, numbers(301))])
    fork(disk, PATH, FORK, 1)
    forked = opened(disk, FORK)
    assert [chunk.rows.num_rows for chunk in log.scan(0)] == [300, 301]
    forked.commit([Append(0, 0, numbers(302))])
    assert [chunk.rows.num_rows for chunk in log.scan(0)] == [300, 301]
    assert [chunk.rows.num_rows for chunk in forked.scan(0)] == [300, 302]
    assert damages_of(disk, FORK) == damages_of(disk, PATH) == []


def test_a_fork_does_not_go_on_in_the_files_of_the_original_even_when_that_was_deleted(tmp_path: Path) -> None:
    """Whoever still has the original open may go on in them, or hold rows that are mapped from them."""
    original, path, sizes = str(tmp_path / "a.hw"), str(tmp_path / "b.hw"), {**SIZES, "segment_bytes": 100_000}
    log = Log.open(OsStorage(), original, **sizes)
    log.commit([Append(0, 0, numbers(300))])
    log.commit([Append(0, 0, numbers(301))])
    fork(OsStorage(), original, path, 1)
    held = [chunk.rows for chunk in log.scan(0)]
    shutil.rmtree(original)
    with closing(Log.open(OsStorage(), path, **sizes)) as forked:
        log.commit([Append(0, 0, numbers(302))])
        forked.commit([Append(0, 0, numbers(303))])
        assert [chunk.rows.num_rows for chunk in forked.scan(0)] == [300, 303]
        assert forked.stream_files(0)[0] == 2
    assert damages_of(OsStorage(), path) == []
    assert held == [numbers(300), numbers(301)]


def test_what_is_shared_does_not_grow(tmp_path: Path) -> None:
    original, path = str(tmp_path / "a.hw"), str(tmp_path / "b.hw")
    log = Log.open(OsStorage(), original, **SIZES)
    log.commit([Append(0, 0, numbers(300))])
    fork(OsStorage(), original, path)
    log.commit([Append(0, 0, numbers(300))])
    log.commit([Append(0, 0, numbers(300))])
    assert log.stream_files(0)[0] == 2
    log.close()


def test_a_commit_that_is_taken_back_leaves_a_fork_that_has_it_as_it_is() -> None:
    """A fork that another process makes may take a commit for made which fails in the end."""
    disk = SimulatedDisk(seed=0)
    log = Log.open(disk, PATH, **SIZES)
    log.commit([Append(0, 0, numbers(300))])

    def interrupt() -> None:
        disk.on_operation = None
        assert fork(disk, PATH, FORK).version == 2
        raise KeyboardInterrupt

    file_writes = 0

    def count() -> None:
        nonlocal file_writes
        file_writes += 1
        if file_writes == 3:  # rows and record are written, and not synced
            interrupt()

    disk.on_operation = count
    with pytest.raises(KeyboardInterrupt):
        log.commit([Append(0, 0, numbers(301))])
    log.commit([Append(0, 0, numbers(302))])
    assert [chunk.rows.num_rows for chunk in log.scan(0)] == [300, 302]
    assert damages_of(disk, FORK) == damages_of(disk, PATH) == []
    assert [chunk.rows.num_rows for chunk in opened(disk, FORK).scan(0)] == [300, 301]


class ChangedMeanwhile(PassingStorage):
    """Something is done just before the first file gets its second name."""

    def __init__(self, inner: Storage, change: Callable[[], object]) -> None:
        super().__init__(inner)
        self._change: Callable[[], object] | None = change

    def link(self, source: str, target: str) -> None:
        if self._change is not None:
            change, self._change = self._change, None
            change()
        super().link(source, target)


def test_a_commit_that_is_taken_back_meanwhile_is_not_in_the_fork() -> None:
    disk = SimulatedDisk(seed=0)
    log = Log.open(disk, PATH, **SIZES)
    log.commit([Append(0, 0, numbers(300))])
    whole = copy_of(disk)
    writing = Log.open(whole, PATH, **SIZES)
    writing.commit([Append(0, 0, numbers(301))])

    def take_back() -> None:
        """As a failed commit does: the commit file is cut, then the segment, and something else takes its place."""
        for name, content in disk.files().items():
            if name.endswith((".log", ".seg")):
                whole.open(name).truncate(len(content))

    made = fork(ChangedMeanwhile(whole, take_back), PATH, FORK)
    assert made.version == 1
    assert damages_of(whole, FORK) == []


def test_a_fork_stays_as_it_is_when_commits_of_the_original_are_given_up() -> None:
    for version in (None, 30):
        disk = copy_of(DISK)
        fork(disk, PATH, FORK, version)
        before = rows(opened(copy_of(disk), FORK))
        give_up_the_end(disk, PATH)
        assert damages_of(disk, FORK) == damages_of(disk, PATH) == []
        assert rows(opened(disk, FORK)) == before


def test_the_original_stays_as_it_is_when_commits_of_a_fork_are_given_up() -> None:
    for version in (None, 30):
        disk = copy_of(DISK)
        fork(disk, PATH, FORK, version)
        before = rows(opened(copy_of(disk), PATH))
        give_up_the_end(disk, FORK)
        assert damages_of(disk, FORK) == damages_of(disk, PATH) == []
        assert rows(opened(disk, PATH)) == before


def give_up_the_end(disk: SimulatedDisk, path: str) -> None:
    """Damage the last commit file but one, give up what follows, and go on with other commits and images."""
    *_, last = sorted(name for name in disk.files() if name.startswith(f"{path}/commits/") and name.endswith(".log"))
    log = opened(disk, path)
    first_bad = log.first_version if last.endswith("/00000000000000000001.log") else int(last[-24:-4])
    log.close()
    flip(disk, last, 100)
    found = next(f for f in Check(disk, path).findings() if f.subject == "commits" and f.is_damage)
    repair(disk, path, [LostCommits(found.version)])
    assert found.version <= first_bad
    log = opened(disk, path)
    for count in range(10):
        log.commit([Append(0, 0, numbers(1)), Append(1, 0, numbers(300 + count))], {"count": count})
        log.save_image({"state": numbers(2000 + count)})
    log.close()


def test_forks_of_a_database_that_is_written_are_prefixes_of_it(tmp_path: Path) -> None:
    storage, path = OsStorage(), str(tmp_path / "busy.hw")
    with a_busy_writer(path) as log:
        made = []
        for number in range(8):
            before = log.version
            version = fork(storage, path, f"{path}.{number}").version
            assert before <= version <= log.wait(version - 1, 10), "the last commit may have been under way"
            made.append(version)
    with_numbers = dict(Log.open(storage, path).notes("number"))
    for number, version in enumerate(made):
        assert damages_of(storage, f"{path}.{number}") == []
        forked = Log.open(storage, f"{path}.{number}", create=False, **SIZES)
        assert forked.version == version
        notes = dict(forked.notes("number"))
        assert all(notes[at] == with_numbers[at] for at in notes.keys() & with_numbers.keys())
        assert sum(c.rows.num_rows for c in forked.scan(1)) == forked.row_count(1) - forked.start(1).rows
        forked.commit([Append(1, 0, pa.record_batch({"number": [number] * 400}))])
        forked.close()
