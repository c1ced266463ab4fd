"""Every position of a log has one answer, whatever became of its files.

A random history of commits, images, retention and compaction is written in several lives, with commit files and
segments of any size, and with index files that are lost or damaged in between. Then the log is asked everything, and
must say what a plain list of the commits says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headwater.errors import PositionGone
from headwater.storage import Append, Commit, Extent, Image, Log, SimulatedDisk, chain

PATH = "shop.hw"
STREAMS = range(3)
KEYS = ("a", "b")

Values = list[str | None]
Row = tuple[int, int, int, Values]  # version, partition, offset, values


@dataclass(frozen=True, slots=True)
class Committing:
    """A commit of rows; each append is stream, partition, values, codec."""

    appends: list[tuple[int, int, Values, Any]]
    note: dict[str, int]
    keep: bool
    later_us: int


@dataclass(frozen=True, slots=True)
class Saving:
    """An image with parts of so many rows."""

    parts: dict[str, int]


@dataclass(frozen=True, slots=True)
class Retaining:
    """What is older than the newest so many versions goes: rows of streams; history and images if that is asked for."""

    streams: set[int]
    newest: int
    history: bool
    images: bool


@dataclass(frozen=True, slots=True)
class Compacting:
    """Values take the place of what is older than the newest so many versions."""

    stream: int
    newest: int
    replacement: Values


@dataclass(frozen=True, slots=True)
class Reopening:
    """The log is closed and opened; and index files lost, or damaged, before."""

    indexes: str  # keep, lose, damage


texts = st.text("xyż", max_size=40) | st.none()
appends = st.tuples(
    st.sampled_from(STREAMS),
    st.integers(0, 2),
    st.lists(texts, max_size=4),
    st.sampled_from([None, None, "lz4", "zstd"]),
)
notes = st.dictionaries(st.sampled_from(KEYS), st.integers(0, 9))
committing = st.builds(Committing, st.lists(appends, max_size=3), notes, st.booleans(), st.integers(-5, 20))
steps = st.one_of(
    committing,
    committing,
    st.builds(Saving, st.dictionaries(st.sampled_from(KEYS), st.integers(0, 3), min_size=1)),
    st.builds(Retaining, st.sampled_from([set(STREAMS), {0}, {1, 2}]), st.integers(0, 6), st.booleans(), st.booleans()),
    st.builds(Compacting, st.sampled_from(STREAMS), st.integers(0, 4), st.lists(texts, max_size=3)),
    st.builds(Reopening, st.sampled_from(["keep", "lose", "damage"])),
)


@dataclass(slots=True)
class Model:
    """What a log must know, as plainly as possible."""

    commits: list[Commit] = field(default_factory=list)
    kept: set[int] = field(default_factory=set)
    rows: dict[int, list[Row]] = field(default_factory=lambda: {stream: [] for stream in STREAMS})  # that ever were
    starts: dict[int, int] = field(default_factory=lambda: dict.fromkeys(STREAMS, 0))
    replacements: dict[int, list[Row]] = field(default_factory=lambda: {stream: [] for stream in STREAMS})
    images: list[tuple[Image, dict[str, pa.RecordBatch]]] = field(default_factory=list)
    history: int = 1

    @property
    def version(self) -> int:
        return len(self.commits)

    def first_needed(self) -> int:
        """The log must know of all versions from this one on."""
        oldest = [max([self.starts[s] + 1, self.rows[s][0][0]]) for s in STREAMS if self.rows[s]]
        return min([self.history, *oldest])

    def ends(self, stream: int, version: int) -> dict[int, int]:
        rows = [row for row in self.rows[stream] if row[0] <= version]
        return dict(sorted({partition: offset + len(values) for _, partition, offset, values in rows}.items()))

    def row_count(self, stream: int, version: int) -> int:
        return sum(self.ends(stream, version).values())

    def first(self, stream: int, count: int, upto: int) -> tuple[int, dict[int, int]] | None:
        ends: dict[int, int] = {}
        seen = 0
        for version, partition, offset, values in self.rows[stream]:
            if version > upto:
                return None
            ends[partition] = offset + min(len(values), count - seen)
            seen += len(values)
            if seen >= count:
                return version, dict(sorted(ends.items()))
        return None

    def scan(self, stream: int, after: int, upto: int) -> list[Row]:
        start = self.starts[stream]
        replaced = self.replacements[stream] if after < start else []
        return replaced + [row for row in self.rows[stream] if max(after, start) < row[0] <= upto]

    def version_at(self, time_us: int, since: int) -> int:
        """The last version no younger than a time, if it is known when that was."""
        found = sum(commit.time_us <= time_us for commit in self.commits)
        return found if found >= since - 1 else 0


class History:
    """A log and its model, written step by step."""

    def __init__(self, segment_bytes: int, inline_bytes: int, commits_bytes: int) -> None:
        self.disk = SimulatedDisk()
        self.disk.clock_us = 1000
        self.model = Model()
        self._sizes = {
            "segment_bytes": segment_bytes,
            "inline_bytes": inline_bytes,
            "commits_bytes": commits_bytes,
        }
        self.log = self._open()

    def _open(self) -> Log:
        return Log.open(self.disk, PATH, **self._sizes)

    def do(self, step: object) -> None:
        match step:
            case Committing():
                self._commit(step)
            case Saving(parts):
                batches = {name: text_batch(["part"] * count) for name, count in parts.items()}
                image = self.log.save_image(batches, {"a": -1})
                self.model.images.append((image, batches))
                self.model.commits.append(Commit(image.version, self.log.time_of(image.version), (), {"a": -1}))
            case Retaining():
                self._retain(step)
            case Compacting(stream, newest, replacement):
                version = max(self.model.starts[stream], self._version_before(newest))
                appends = [Append(stream, 1, text_batch(replacement))]
                self.model.commits.append(self.log.compact(stream, version, appends))
                self.model.starts[stream] = version
                self.model.replacements[stream] = [(version, 1, 0, replacement)] if replacement and version else []
            case Reopening(indexes):
                self._reopen(indexes)

    def _commit(self, step: Committing) -> None:
        assert self.disk.clock_us is not None
        self.disk.clock_us += step.later_us
        appends = [Append(s, partition, text_batch(values), codec) for s, partition, values, codec in step.appends]
        commit = self.log.commit(appends, step.note, keep=step.keep)
        extents = iter(commit.extents)
        for stream, partition, values, _ in step.appends:
            if values:
                offset = self.model.ends(stream, commit.version).get(partition, 0)
                assert next(extents) == Extent(stream, partition, offset, len(values))
                self.model.rows[stream].append((commit.version, partition, offset, values))
        self.model.commits.append(commit)
        if step.keep:
            self.model.kept.add(commit.version)

    def _retain(self, step: Retaining) -> None:
        model = self.model
        version = self._version_before(step.newest)
        discard = [image for image, _ in model.images if image.version <= version and step.images]
        history = version if step.history else 0
        starts = dict.fromkeys(step.streams, version)
        model.commits.append(self.log.retain(starts, history=history, discard=discard))
        model.images = [(image, parts) for image, parts in model.images if image not in discard]
        model.history = max(model.history, history)
        for stream in step.streams:
            if version > model.starts[stream]:
                model.starts[stream] = version
                model.replacements[stream] = []

    def _version_before(self, newest: int) -> int:
        """The version before the newest ones, or the oldest that is known."""
        return max(self.log.first_version - 1, self.model.version - newest)

    def _reopen(self, indexes: str) -> None:
        self.log.close()
        for name in self.disk.listdir(f"{PATH}/commits"):
            if name.endswith(".idx"):
                match indexes:
                    case "lose":
                        self.disk.remove(f"{PATH}/commits/{name}")
                    case "damage":
                        self.disk.open(f"{PATH}/commits/{name}").pwrite(70, b"damaged")
        self.log = self._open()


@settings(max_examples=300, deadline=None)
@given(
    st.lists(steps, min_size=5, max_size=25),
    st.integers(1, 3000),
    st.sampled_from([0, 500, 1 << 15]),
    st.sampled_from([0, 0, 1000, 1 << 20]),
)
def test_every_position_has_the_answer_of_a_plain_list(
    steps: list[object], segment_bytes: int, inline_bytes: int, commits_bytes: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chain, "BASE_SHARE", 0)  # files are rolled at the size that is asked for, however small
        history = History(segment_bytes, inline_bytes, commits_bytes)
        for step in steps:
            history.do(step)
        check(history.log, history.model)
        history.do(Reopening("keep"))
        check(history.log, history.model)
        reader = Log.open(history.disk, PATH, read_only=True)
        check(reader, history.model)
        history.log.close()


def check(log: Log, model: Model) -> None:
    """Ask a log everything, and compare with the model."""
    since = log.first_version
    assert log.version == model.version
    assert 1 <= since <= max(1, model.first_needed())
    for commit in model.commits[since - 1 :]:
        assert log.time_of(commit.version) == commit.time_us
    for time_us in {time for commit in model.commits for time in (commit.time_us - 1, commit.time_us)}:
        assert log.version_at(time_us) == model.version_at(time_us, since)
    for key in KEYS:
        noted = [(commit.version, commit.note[key]) for commit in model.commits if key in commit.note]
        assert list(log.kept(key)) == [item for item in noted if item[0] in model.kept]
        for after in range(model.version + 1):
            assert list(log.notes(key, after)) == [item for item in noted if item[0] >= since and item[0] > after]
    assert [(image, log.load_image(image)) for image in log.images()] == model.images
    for stream in STREAMS:
        check_stream(log, model, stream)


def check_stream(log: Log, model: Model, stream: int) -> None:
    start, since = model.starts[stream], log.first_version
    assert log.start(stream).version == start
    assert log.starts(stream) == model.ends(stream, start)
    for version in range(model.version + 1):
        known = version == start or (version > start and version >= since - 1)
        check_or_gone(known, lambda v=version: log.ends(stream, v), model.ends(stream, version))
        check_or_gone(known, lambda v=version: log.row_count(stream, v), model.row_count(stream, version))
    for version, partition, offset, values in model.rows[stream]:
        for number in range(offset, offset + len(values)):
            check_or_gone(version > start, lambda p=partition, n=number: log.version_of(stream, p, n), version)
    before = model.row_count(stream, start)
    for upto in range(max(start, since - 1), model.version + 1):
        for count in range(1, model.row_count(stream, model.version) + 2):
            if count == before <= model.row_count(stream, upto):
                assert log.first(stream, count, upto) == (start, model.ends(stream, start))
            else:
                known = count > before
                check_or_gone(known, lambda c=count, u=upto: log.first(stream, c, u), model.first(stream, count, upto))
    for after, upto in positions(model.version):
        known = (after == 0 or after >= start) and (upto >= start or upto <= after)
        expected = model.scan(stream, after, upto) if upto > after else []
        check_or_gone(known, lambda a=after, u=upto: scanned(log, model, stream, a, u), expected)
        extents = [(v, Extent(stream, partition, offset, len(values))) for v, partition, offset, values in expected]
        check_or_gone(known, lambda a=after, u=upto: list(log.extents(stream, a, u)), extents)


def positions(version: int) -> Iterator[tuple[int, int]]:
    """Pairs of versions: all that are near the ends or near each other."""
    for after in range(version + 1):
        for upto in {after, after + 1, after + 3, version}:
            if upto <= version:
                yield after, upto


def scanned(log: Log, model: Model, stream: int, after: int, upto: int) -> list[Row]:
    found = []
    for chunk in log.scan(stream, after, upto):
        assert chunk.time_us == model.commits[chunk.version - 1].time_us
        found.append((chunk.version, chunk.partition, chunk.offset, chunk.rows.column(0).to_pylist()))
    return found


def check_or_gone(known: bool, ask: Callable[[], object], expected: object) -> None:
    """A position has an answer, or an error that names the earliest one that has."""
    if known:
        assert ask() == expected
        return
    with pytest.raises(PositionGone):
        ask()


def text_batch(values: Values) -> pa.RecordBatch:
    return pa.record_batch({"value": pa.array(values, pa.string())})
