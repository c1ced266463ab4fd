"""Group commit: from the requests of many threads to durable, published commits.

A commit goes through five stages. One of the threads that wait runs them for all requests that have gathered:

 1. Every request is checked, in its turn, and gets the next version; its rows get their offsets and places. Those of a
    small commit go into the commit file, those of a large one into segments.
 2. Segments that got rows are written, then, with one call, the commit file.
 3. All these files are synced, side by side: now the commits are true. A crash before that may leave records without
    their rows, which opening takes for what they are: commits that were not made.
 4. They are published: readers see them.
 5. The requests return.

A failure before the end of stage 3 takes everything back. A sync that fails cannot be repeated, because the system may
have dropped what it did not write; so it is a fault that keeps all further commits out until the log is opened again.
"""

from __future__ import annotations

import errno
import struct
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa

from headwater.errors import HeadwaterError, NoSpace, StorageError
from headwater.storage.chain import CommitLog
from headwater.storage.commits import CommitGroup, Placed, Record, parse_json
from headwater.storage.failures import NO_SPACE
from headwater.storage.files import Storage, SyncFailed, sync_files
from headwater.storage.frames import Kind, crc32c
from headwater.storage.groups import GroupOffsets
from headwater.storage.images import PlacedImage
from headwater.storage.ledgers import Ledger
from headwater.storage.merkle import HASH_BYTES
from headwater.storage.once import Made, OnceKey
from headwater.storage.pending import Check, Pending
from headwater.storage.producers import Accepted, Stamp
from headwater.storage.records import Append, Commit
from headwater.storage.rows import Rows, encode_rows
from headwater.storage.segments import SegmentGroup, Segments
from headwater.storage.state import Start, check_ledger, extents_of, pack_offsets, pack_schema, pack_start

INLINE_BYTES = 1 << 15  # rows of a commit up to this size are kept in the commit file
_PASSING = NO_SPACE | {errno.EMFILE, errno.ENFILE}  # what the same call may not meet again later
_APPEND = struct.Struct("<IIQQ")

EncodedAppend = tuple[int, int, Rows]  # stream, partition, rows


@dataclass(frozen=True, slots=True)
class Removal:
    """What a commit takes out of the log: the beginnings of streams, images, and records that nobody needs any more.

    A stream gets the new start; rows given with it stand for those that it loses.
    """

    starts: Mapping[int, tuple[Start, Sequence[EncodedAppend]]] = field(default_factory=dict)
    discard: Sequence[int] = ()  # versions of images
    history: int = 0  # the first version whose record is still needed
    lost: Sequence[tuple[int, ...]] = ()


@dataclass(slots=True, eq=False)
class Request:
    """A commit somebody waits for. Done with a result or an error."""

    appends: Sequence[EncodedAppend] = ()
    packed_note: bytes = b""
    keep: bool = False
    stamp: Stamp | OnceKey | None = None
    offsets: Sequence[GroupOffsets] = ()
    given: Sequence[Append] = ()  # the rows in `appends`, as they were before
    check: Check | None = None
    register: str | None = None  # name of a producer
    image: PlacedImage | None = None
    removal: Removal | None = None
    result: Commit | None = None
    registered: Stamp | None = None  # with the number of the producer's last commit
    error: HeadwaterError | None = None

    @property
    def done(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.result is not None or self.error is not None

    @property
    def digest(self) -> int:
        """What tells a stamped commit from others: a checksum of its rows, its note and its offsets."""
        rows = b"".join(
            _APPEND.pack(stream, partition, rows.count, rows.crc) for stream, partition, rows in self.appends
        )
        return crc32c(rows + self.packed_note + repr([pack_offsets(offsets) for offsets in self.offsets]).encode())


def encode_appends(appends: Sequence[Append]) -> list[EncodedAppend]:
    """Appends as requests have them: the expensive part of a commit, done by the thread that asks for it."""
    assert all(0 <= a.stream < 1 << 32 and 0 <= a.partition < 1 << 32 for a in appends), "a number is too large"
    return [(a.stream, a.partition, encode_rows(a.rows, a.codec, a.leaves)) for a in appends if a.rows.num_rows]


class Writer:
    """Makes commits, in order, for any number of threads.

    `changed` is notified whenever there is a new version, and when the writer closes.
    """

    def __init__(self, storage: Storage, path: str, chain: CommitLog, segments: Segments, inline_bytes: int) -> None:
        self._storage = storage
        self._path = path
        self._chain = chain
        self._segments = segments
        self._inline_bytes = inline_bytes
        self.changed = threading.Condition()  # guards the rest
        self.closed = False
        self._queue: list[Request] = []
        self._writing = False
        self._fault: str | None = None
        self._schemas = {_identity(schema): number for number, schema in enumerate(chain.state.schemas)}

    def submit(self, request: Request) -> Commit:
        """Return when the request is committed, by this thread if no other is at it. Raises as `Log.commit` does."""
        group: list[Request] = []
        try:
            with self.changed:
                self._check_writable()
                self._queue.append(request)
                self.changed.wait_for(lambda: request.done or not self._writing)
                if not request.done:
                    self._check_writable()
                    group, self._queue = self._queue, group
                    self._writing = True
            if group:
                self._lead(group)
        finally:
            self._leave(request, group)
        if request.error is not None:
            raise request.error
        assert request.result is not None
        return request.result

    def close(self) -> bool:
        """Finish the group that is under way and refuse the others. True if this call closed it; idempotent."""
        with self.changed:
            if self.closed:
                return False
            self.closed = True
            self.changed.notify_all()
            self.changed.wait_for(lambda: not self._writing)
        if self._fault is None:
            self._chain.close()
        return True

    def check_open(self) -> None:
        """Raise `StorageError` if the log was closed."""
        if self.closed:
            raise StorageError(f'the database "{self._path}" is closed')

    def _check_writable(self) -> None:
        self.check_open()
        if self._fault is not None:
            raise StorageError(self._fault)

    def _lead(self, group: Sequence[Request]) -> None:
        """Commit a group on behalf of all who wait for it."""
        try:
            self._write(group)
        except OSError as error:
            for request in group:
                if not request.done:
                    request.error = self._refusal(error)

    def _leave(self, own: Request, group: Sequence[Request]) -> None:
        """Let others go on, also if this thread was interrupted: then their requests are as good as new."""
        with self.changed:
            if own in self._queue:
                self._queue.remove(own)
            if not group:
                return
            others = [request for request in group if request is not own and not request.done]
            if self._fault is None:
                self._queue[:0] = others
            else:
                for request in others:
                    request.error = StorageError(self._fault)
            self._writing = False
            self.changed.notify_all()

    def _write(self, requests: Sequence[Request]) -> None:
        """Stages 1 to 4. When this raises, nothing of the group is true, or else there is a fault."""
        self._roll_if_due()
        commits = self._chain.current
        placement = _Placement(self._chain, self._segments, self._schemas, self._inline_bytes, self._storage.now_us())
        for request in requests:
            placement.add(request)
        if placement.records:
            try:
                placement.segments.write()
                commits.write(placement.commits)
                sync_files(self._storage, [*placement.segments.files(), commits.file])
                commits.keep(placement.version)
            except BaseException as error:
                self._take_back(placement.segments, error)
                raise
        try:
            with self.changed:
                for record, position in placement.records:
                    self._chain.add(record, position)
                self._chain.published = placement.version
                self._schemas |= placement.new_schemas
                placement.pending.are_made = True
                for request, result in placement.results:
                    request.result = result
        except BaseException:
            self._set_fault("a commit was interrupted while it was published")
            raise

    def _roll_if_due(self) -> None:
        """Begin a new commit file if the current one is full, and if that can be done now."""
        if not self._chain.is_full:
            return
        try:
            self._chain.roll()
        except OSError as error:
            if isinstance(error, SyncFailed) or error.errno not in _PASSING:
                self._set_fault(f"the disk failed ({error.strerror or error})")
                raise

    def _take_back(self, segments: SegmentGroup, error: BaseException) -> None:
        """Leave the files as they were before the group, or, where that cannot be trusted, set a fault."""
        commits = self._chain.current
        if isinstance(error, SyncFailed) or (isinstance(error, OSError) and error.errno not in _PASSING):
            self._set_fault(f"the disk failed ({error.strerror or error})")
            with suppress(OSError):
                commits.forget()
            return
        try:
            commits.undo()
            segments.undo()
        except BaseException as another:
            self._set_fault(f"a commit could not be taken back ({another!r})")
            if not isinstance(another, Exception):
                raise

    def _set_fault(self, cause: str) -> None:
        self._fault = f'the database "{self._path}" takes no more commits because {cause}: close it and open it again'

    def _refusal(self, error: OSError) -> StorageError:
        """What a request is told about a failed commit."""
        if self._fault is not None:
            return StorageError(self._fault)
        what = f'nothing was committed to "{self._path}": {(error.strerror or str(error)).lower()}'
        if error.errno in NO_SPACE:
            return NoSpace(f"{what}; make room and try again")
        return StorageError(f"{what}; try again")


class _Placement:
    """Stage 1: the records of a group of requests, and where their rows go. Nothing is changed by it."""

    def __init__(
        self, chain: CommitLog, segments: Segments, schemas: Mapping[bytes, int], inline_bytes: int, now_us: int
    ) -> None:
        state = chain.state
        self.version = state.version
        self.time_us = max(now_us, state.time_us)
        self.commits: CommitGroup = chain.current.group()
        self.segments = segments.group(state.streams)
        self.records: list[tuple[Record, int]] = []
        self.results: list[tuple[Request, Commit]] = []
        self.new_schemas: dict[bytes, int] = {}
        self.pending = Pending()
        self._state = state
        self._schemas = schemas
        self._inline_bytes = inline_bytes
        self._producers = state.producers.copy()
        self._groups = state.groups.copy()
        self._once: dict[OnceKey, Made] = {}  # of this group
        self._ends: dict[int, dict[int, int]] = {}
        self._ledgers: dict[tuple[int, int], Ledger] = {}

    def add(self, request: Request) -> None:
        """Place a request; one that is not allowed gets its error."""
        try:
            accepted = self._check(request)
        except HeadwaterError as error:
            request.error = error
            return
        if accepted is not None:
            note = parse_json(request.packed_note)
            self.results.append(
                (request, Commit(accepted.version, self.time_us, accepted.extents, note, duplicate=True))
            )
            return
        self.version += 1
        effects = self._effects(request)
        is_inline = (
            all(rows.kind is Kind.ROWS for _, _, rows in request.appends)
            and sum(rows.size for _, _, rows in request.appends) <= self._inline_bytes
        )
        extents = tuple(self._place(*append, effects, is_inline=is_inline) for append in request.appends)
        self._enter(request.appends, effects)
        record = Record(self.version, self.time_us, extents, effects, request.packed_note)
        self.records.append((record, self.commits.add_commit(record)))
        self.pending.commits.append((self.version, request.given))
        if isinstance(request.stamp, OnceKey):
            self._once[request.stamp] = Made(self.version, extents_of(record))
        elif request.stamp is not None:
            self._producers.accept(request.stamp, request.digest, self.version, extents_of(record))
        self.results.append((request, _commit(record)))

    def _check(self, request: Request) -> Accepted | Made | None:
        """The answer that a request was given before; None if it is new. Raises `Rejected`, `CorruptLog`, or what its
        check does.
        """
        made: Accepted | Made | None = None
        if isinstance(request.stamp, OnceKey):
            made = self._once.get(request.stamp) or self._state.once.find(request.stamp)
        elif request.stamp is not None:
            made = self._producers.find(request.stamp, request.digest)
        if made is not None:
            return made
        for stream, partition, rows in request.appends:
            if rows.leaves:
                self._ledger(stream, partition)
        groups = self._groups.copy()
        for offsets in request.offsets:
            groups.apply(offsets)
        if request.check is not None:
            request.check(self.pending)
        self._groups = groups
        return None

    def _effects(self, request: Request) -> dict[str, Any]:
        """What the request changes besides adding rows, see `state.py`."""
        effects: dict[str, Any] = {}
        if request.keep:
            effects["keep"] = True
        if isinstance(request.stamp, OnceKey):
            effects["key"] = request.stamp.text
        elif request.stamp is not None:
            stamp = request.stamp
            effects["stamp"] = [stamp.producer, stamp.epoch, stamp.sequence, request.digest]
        if request.offsets:
            effects["offsets"] = [pack_offsets(offsets) for offsets in request.offsets]
        if request.register is not None:
            producer, epoch = self._producers.next_registration(request.register)
            self._producers.register(request.register, producer, epoch)
            request.registered = Stamp(producer, epoch, self._producers.last_sequence(producer))
            effects["register"] = [producer, epoch, request.register]
        if request.image is not None:
            image = request.image
            effects["image"] = [image.number, image.seal, image.position, image.nbytes, image.others]
        if request.removal is not None:
            self._add_removal(request.removal, effects)
        return effects

    def _add_removal(self, removal: Removal, effects: dict[str, Any]) -> None:
        starts = []
        for stream, (start, replacement) in removal.starts.items():
            ends: dict[int, int] = {}
            placed = []
            for _, partition, rows in replacement:
                offset, schema = ends.get(partition, 0), self._schema(rows, effects)
                placed.append(self.segments.add(stream, partition, offset, self.version, schema, rows))
                ends[partition] = offset + rows.count
            starts.append(pack_start(stream, replace(start, replacement=tuple(placed))))
        if starts:
            effects["starts"] = starts
        if removal.discard:
            effects["discard"] = list(removal.discard)
        if removal.history:
            effects["history"] = removal.history
        if removal.lost:
            effects["lost"] = [list(lost) for lost in removal.lost]

    def _place(self, stream: int, partition: int, rows: Rows, effects: dict[str, Any], *, is_inline: bool) -> Placed:
        if stream not in self._ends:
            known = self._state.streams.get(stream)
            self._ends[stream] = dict(known.ends) if known is not None else {}
        offset = self._ends[stream].get(partition, 0)
        self._ends[stream][partition] = offset + rows.count
        target = self.commits.add_rows if is_inline else self.segments.add
        return target(stream, partition, offset, self.version, self._schema(rows, effects), rows)

    def _enter(self, appends: Sequence[EncodedAppend], effects: dict[str, Any]) -> None:
        """Add the hashes of rows to the ledgers that these go to, and to the effects what the ledgers are then."""
        leaves: dict[tuple[int, int], bytes] = {}
        for stream, partition, rows in appends:
            if rows.leaves:
                assert len(rows.leaves) == rows.count * HASH_BYTES, "a hash for each row"
                leaves[stream, partition] = leaves.get((stream, partition), b"") + rows.leaves
        for (stream, partition), added in leaves.items():
            before = self._ledger(stream, partition)
            after, entry = before.extended(stream, partition, self.version, self.time_us, added)
            self._ledgers[stream, partition] = after
            effects.setdefault("ledgers", []).append(entry.pack())

    def _ledger(self, stream: int, partition: int) -> Ledger:
        """A ledger as it is now. Raises `CorruptLog` if it cannot be gone on with."""
        if (stream, partition) in self._ledgers:
            return self._ledgers[stream, partition]
        return check_ledger(self._state, stream, partition)

    def _schema(self, rows: Rows, effects: dict[str, Any]) -> int:
        """Number of the schema of rows. The first commit that has one brings it along."""
        identity = _identity(rows.schema)
        number = self._schemas.get(identity, self.new_schemas.get(identity))
        if number is None:
            number = self.new_schemas[identity] = len(self._schemas) + len(self.new_schemas)
            effects.setdefault("schemas", []).append([number, pack_schema(rows.schema)])
        return number


def _identity(schema: pa.Schema) -> bytes:
    """What two schemas have in common if they are the same, metadata included."""
    return bytes(schema.serialize())


def _commit(record: Record) -> Commit:
    return Commit(record.version, record.time_us, extents_of(record), parse_json(record.note))
