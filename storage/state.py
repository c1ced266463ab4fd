"""The state of a log: the sum of its commits.

A `State` is what a log needs to know to go on, and no more: where each stream begins and ends, which files are part of
it, schemas, images, producers and consumer groups. It is a fold of the records in the commit log. Each commit file
begins with it (`to_json`), so that the files before need not be read.

What a record changes, besides adding rows, are its *effects*, a JSON object:

    schemas    [[number, Arrow schema as base64], …]             schemas that rows of this commit are the first to have
    keep       true                                              the commit's note is part of the state
    register   [producer, epoch, name]                           a producer was registered
    stamp      [producer, epoch, sequence, digest]               the commit is this one of the producer's
    key        text                                              no other commit with this key is made
    offsets    [[group, generation, [[stream, partition, next], …]], …]
    image      [number, seal, position, bytes, [numbers of older image files that it refers to]]
    discard    [versions of images that are no more]
    starts     [[stream, version, rows, [[partition, offset], …], [fields of a replacement, …]], …]
    history    the first version whose record is still needed
    lost       [[stream, version, partition, offset, count], …]  rows that somebody accepted to have lost
    ledgers    [entry of `ledgers.py`, …]                        what the ledgers are that rows were added to
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from typing import Any

import pyarrow as pa

from headwater.errors import CorruptLog
from headwater.storage.commits import INLINE, Placed, Record, parse_json
from headwater.storage.groups import GroupOffsets, Groups
from headwater.storage.ledgers import Ledger, entries_of, ledgers_of
from headwater.storage.once import Made, OnceKey, OnceKeys
from headwater.storage.producers import Producers, Stamp
from headwater.storage.records import Extent, Image

_FIELDS = 6  # of a stream as JSON; one that is a ledger has its partitions behind them


@dataclass(slots=True)
class Segment:
    """A segment file of a stream: up to where it is true, the seal of the last frame, and the last version in it."""

    number: int
    end: int
    seal: int
    version: int


@dataclass(frozen=True, slots=True)
class Start:
    """Where a stream begins: rows of commits up to `version` are no more, or replaced by fewer.

    `rows` counts the rows before, `ends` are their next offsets by partition, `replacement` says where rows are that
    stand for them.
    """

    version: int = 0
    rows: int = 0
    ends: Mapping[int, int] = field(default_factory=dict)
    replacement: tuple[Placed, ...] = ()


@dataclass(slots=True)
class StreamState:
    """One stream: its beginning, its end, its files."""

    oldest: int  # no row is of this version or an older one
    start: Start = field(default_factory=Start)
    ends: dict[int, int] = field(default_factory=dict)  # partition -> next offset
    rows: int = 0  # of all commits, also before the start
    segments: list[Segment] = field(default_factory=list)
    file: int = 0  # the youngest commit file that adds rows to it, by its first version
    ledgers: dict[int, Ledger] = field(default_factory=dict)  # by partition, if it is a ledger

    def ledger(self, partition: int) -> Ledger:
        """One partition of a ledger: empty if it has no records."""
        return self.ledgers.get(partition, Ledger())


@dataclass(frozen=True, slots=True)
class ImageState:
    """A published image: the file, the frame in it that lists its parts, and other files that it needs."""

    version: int
    number: int
    seal: int
    position: int
    nbytes: int
    others: tuple[int, ...]
    note: Mapping[str, Any]

    @property
    def image(self) -> Image:
        """What others know of it."""
        return Image(self.version, self.note, f"{self.number}.img")


class State:
    """The state after commit `version`."""

    def __init__(self, origin: int) -> None:
        """The state of an empty log. `origin` stands for the database's identity."""
        self.origin = origin
        self.version = 0
        self.time_us = 0
        self.history = 1
        self.streams: dict[int, StreamState] = {}
        self.schemas: list[pa.Schema] = []
        self.images: dict[int, ImageState] = {}  # by version
        self.image_number = 0  # of the youngest image, also if it is no more
        self.kept: dict[int, Mapping[str, Any]] = {}  # notes that are kept, by version
        self.lost: list[tuple[int, ...]] = []
        self.producers = Producers()
        self.once = OnceKeys()
        self.groups = Groups()

    def apply(self, record: Record, file: int) -> None:
        """Add the next commit, whose record is in the commit file that begins with version `file`."""
        self.version, self.time_us = record.version, record.time_us
        for placed in record.extents:
            self._add_rows(record.version, placed, file)
        if record.effects:
            self._apply_effects(record, record.effects)

    def _add_rows(self, version: int, placed: Placed, file: int) -> None:
        stream = self.streams.get(placed.stream)
        if stream is None:
            stream = self.streams[placed.stream] = StreamState(version - 1)
        stream.ends[placed.partition] = placed.offset + placed.count
        stream.rows += placed.count
        stream.file = file
        if placed.segment != INLINE:
            self.extend_segment(stream, version, placed)

    @staticmethod
    def extend_segment(stream: StreamState, version: int, placed: Placed) -> None:
        """Note that a segment now ends with a frame."""
        if not stream.segments or stream.segments[-1].number != placed.segment:
            stream.segments.append(Segment(placed.segment, 0, 0, version))
        segment = stream.segments[-1]
        segment.end, segment.seal, segment.version = placed.end, placed.seal, version

    def _apply_effects(self, record: Record, effects: Mapping[str, Any]) -> None:
        for number, text in effects.get("schemas", ()):
            assert number == len(self.schemas), "schemas are numbered in order"
            self.schemas.append(unpack_schema(text))
        if "keep" in effects:
            self.kept[record.version] = parse_json(record.note)
        if "register" in effects:
            producer, epoch, name = effects["register"]
            self.producers.register(name, producer, epoch)
        if "stamp" in effects:
            *stamp, digest = effects["stamp"]
            self.producers.accept(Stamp(*stamp), digest, record.version, extents_of(record))
        if "key" in effects:
            self.once.accept(OnceKey(effects["key"]), Made(record.version, extents_of(record)))
        for offsets in effects.get("offsets", ()):
            self.groups.apply(unpack_offsets(offsets))
        if "image" in effects:
            number, seal, position, nbytes, others = effects["image"]
            note = parse_json(record.note)
            self.images[record.version] = ImageState(
                record.version, number, seal, position, nbytes, tuple(others), note
            )
            self.image_number = number
        for version in effects.get("discard", ()):
            self.images.pop(version, None)
        for packed in effects.get("starts", ()):
            self._start(record.version, *packed)
        self.history = max(self.history, effects.get("history", 0))
        self.lost += [tuple(lost) for lost in effects.get("lost", ())]
        for number, partition, entry in entries_of(effects):
            if (stream := self.streams.get(number)) is not None:
                stream.ledgers[partition] = stream.ledger(partition).entered(entry)

    def _start(self, now: int, number: int, version: int, rows: int, ends: Any, replacement: Any) -> None:
        stream = self.streams.setdefault(number, StreamState(version))  # one without rows can be cut, too
        placed = tuple(Placed(number, *fields) for fields in replacement)
        stream.start = Start(version, rows, dict(ends), placed)
        stream.oldest = version if placed else max(stream.oldest, version)  # a replacement has rows of the version
        for part in placed:
            self.extend_segment(stream, now, part)
        # The last segment stays, since it is the one to go on with.
        stream.segments = [s for s in stream.segments[:-1] if s.version > version] + stream.segments[-1:]

    def to_json(self) -> dict[str, Any]:
        """All of it, for `from_json`."""
        return {
            "origin": self.origin,
            "version": self.version,
            "time": self.time_us,
            "history": self.history,
            "streams": [[number, _pack_stream(stream)] for number, stream in self.streams.items()],
            "schemas": [pack_schema(schema) for schema in self.schemas],
            "images": [astuple(image) for image in self.images.values()],
            "image_number": self.image_number,
            "kept": list(self.kept.items()),
            "lost": self.lost,
            "producers": self.producers.to_json(),
            "once": self.once.to_json(),
            "groups": self.groups.to_json(),
        }

    @classmethod
    def from_json(cls, packed: Mapping[str, Any]) -> State:
        """The inverse of `to_json`."""
        state = cls(packed["origin"])
        state.version, state.time_us, state.history = packed["version"], packed["time"], packed["history"]
        state.streams = {number: _unpack_stream(number, stream) for number, stream in packed["streams"]}
        state.schemas = [unpack_schema(text) for text in packed["schemas"]]
        state.images = {fields[0]: _unpack_image(fields) for fields in packed["images"]}
        state.image_number = packed["image_number"]
        state.kept = dict(packed["kept"])
        state.lost = [tuple(lost) for lost in packed["lost"]]
        state.producers = Producers.from_json(packed["producers"])
        state.once = OnceKeys.from_json(packed.get("once", []))  # databases of before have none
        state.groups = Groups.from_json(packed["groups"])
        return state


def check_ledger(state: State, stream: int, partition: int) -> Ledger:
    """One partition of a ledger. Raises `CorruptLog` if it is not what the records in it need."""
    known = state.streams.get(stream, StreamState(0))
    ledger = known.ledger(partition)
    if not ledger.is_readable or ledger.tree.size != known.ends.get(partition, 0):
        raise CorruptLog(
            f"somebody changed what the commits say of the ledger (stream {stream}, partition {partition}): it takes "
            "no more records, and proves nothing",
            hint="VERIFY STREAM says where the first change is",
        )
    return ledger


def extents_of(record: Record) -> tuple[Extent, ...]:
    """Where the rows are that a commit adds."""
    return tuple(Extent(placed.stream, placed.partition, placed.offset, placed.count) for placed in record.extents)


def pack_schema(schema: pa.Schema) -> str:
    """A schema, with its metadata, as text."""
    return base64.b64encode(schema.serialize()).decode()


def unpack_schema(text: str) -> pa.Schema:
    """The inverse of `pack_schema`."""
    return pa.ipc.read_schema(pa.py_buffer(base64.b64decode(text)))


def pack_offsets(offsets: GroupOffsets) -> list[Any]:
    """Offsets of a group as the effects of a record have them."""
    return [offsets.group, offsets.generation, [[*place, offset] for place, offset in offsets.offsets.items()]]


def unpack_offsets(packed: list[Any]) -> GroupOffsets:
    """The inverse of `pack_offsets`."""
    group, generation, offsets = packed
    return GroupOffsets(group, generation, {(stream, partition): offset for stream, partition, offset in offsets})


def named_by(record: Record) -> list[Placed]:
    """All frames of rows that a commit names: those that it adds, and those that stand for older ones."""
    starts = record.effects.get("starts", ())
    return [*record.extents, *(Placed(stream, *fields) for stream, *_, placed in starts for fields in placed)]


def pack_placed(placed: Placed) -> list[int]:
    """A place as the effects of a record have it, without its stream."""
    return list(astuple(placed)[1:])


def pack_start(stream: int, start: Start) -> list[Any]:
    """The start of a stream as the effects of a record have it."""
    replacement = [pack_placed(placed) for placed in start.replacement]
    return [stream, start.version, start.rows, list(start.ends.items()), replacement]


def without_ledgers(packed: Mapping[str, Any]) -> dict[str, Any]:
    """A state as JSON, without what it says of ledgers: the last fields of streams."""
    return {**packed, "streams": [[number, stream[:_FIELDS]] for number, stream in packed["streams"]]}


def _pack_stream(stream: StreamState) -> list[Any]:
    packed = [
        stream.oldest,
        pack_start(0, stream.start)[1:],
        list(stream.ends.items()),
        stream.rows,
        [astuple(segment) for segment in stream.segments],
        stream.file,
    ]
    if stream.ledgers:
        packed.append([[partition, *ledger.to_json()] for partition, ledger in stream.ledgers.items()])
    return packed


def _unpack_stream(number: int, packed: list[Any]) -> StreamState:
    oldest, (version, rows, start_ends, replacement), ends, total, segments, file, *ledgers = packed
    start = Start(version, rows, dict(start_ends), tuple(Placed(number, *fields) for fields in replacement))
    known = ledgers_of(ledgers[0]) if ledgers else {}
    return StreamState(oldest, start, dict(ends), total, [Segment(*s) for s in segments], file, known)


def _unpack_image(packed: list[Any]) -> ImageState:
    version, number, seal, position, nbytes, others, note = packed
    return ImageState(version, number, seal, position, nbytes, tuple(others), note)
