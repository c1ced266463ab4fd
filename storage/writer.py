"""Group commit: from the requests of many threads to durable, published commits.

A commit goes through five stages. One of the threads that wait runs them for all requests that have gathered:

 1. Every request gets the next version, and its rows their offsets and places.
 2. The rows are written to their segments, and those are synced.
 3. The records of the commits are written to the commit log, and that is synced: now they are true.
 4. They are published: readers see them.
 5. The requests return.

A failure before the end of stage 3 takes everything back. A sync that fails cannot be repeated, because the system may
have dropped what it did not write; so it is a fault that keeps all further commits out until the log is opened again.
"""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from headwater.errors import NoSpace, StorageError
from headwater.storage.commits import CommitLog, PlacedImage, Record, parse_note
from headwater.storage.files import Storage, SyncFailed
from headwater.storage.index import Index
from headwater.storage.records import Commit, Extent
from headwater.storage.rows import Rows
from headwater.storage.segments import Group, Segments

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PASSING = NO_SPACE | {errno.EMFILE, errno.ENFILE}  # what the same call may not meet again later


@dataclass(slots=True, eq=False)
class Request:
    """A commit somebody waits for: rows by stream and partition, perhaps an image. Done with a result or an error."""

    appends: Sequence[tuple[int, int, Rows]]
    image: PlacedImage | None
    packed_note: bytes
    note: Mapping[str, Any]
    result: Commit | None = None
    error: StorageError | None = None

    @property
    def done(self) -> bool:
        """Whether there is nothing left to wait for."""
        return self.result is not None or self.error is not None


def make_request(
    appends: Sequence[tuple[int, int, Rows]], image: PlacedImage | None, note: Mapping[str, Any] | None
) -> Request:
    """A request with a note that is what will be read back: a copy, made by way of JSON."""
    packed = json.dumps(note, allow_nan=False, separators=(",", ":")).encode() if note else b""
    return Request(appends, image, packed, parse_note(packed))


class Writer:
    """Makes commits, in order, for any number of threads.

    `changed` is notified whenever there is a new version, and when the writer closes.
    """

    def __init__(self, storage: Storage, path: str, commits: CommitLog, segments: Segments, index: Index) -> None:
        self._storage = storage
        self._path = path
        self._commits = commits
        self._segments = segments
        self._index = index
        self.changed = threading.Condition()  # guards the rest
        self.closed = False
        self._queue: list[Request] = []
        self._writing = False
        self._fault: str | None = None

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
            with suppress(OSError):
                self._commits.mark_end(self._index.version)
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
        group = self._segments.group()
        records = self._place(requests, group)
        try:
            group.write()
            group.sync()
            positions = self._commits.write(records)
            self._commits.sync()
        except BaseException as error:
            self._take_back(group, error)
            raise
        try:
            group.keep()
            with self.changed:
                for request, record, position in zip(requests, records, positions, strict=True):
                    self._index.publish(record, position, request.note)
                    request.result = _commit(record, request.note)
        except BaseException:
            self._set_fault("a commit was interrupted while it was published")
            raise

    def _place(self, requests: Sequence[Request], group: Group) -> list[Record]:
        """Stage 1: a record for each request."""
        version = self._index.version
        time_us = self._storage.now_us()
        if version:
            time_us = max(time_us, self._index.commits.time_of(version))
        ends: dict[int, dict[int, int]] = {}
        records = []
        for request in requests:
            version += 1
            extents = []
            for stream, partition, rows in request.appends:
                if stream not in ends:
                    ends[stream] = self._index.ends(stream)
                offset = ends[stream].get(partition, 0)
                ends[stream][partition] = offset + rows.count
                extents.append(group.add(stream, partition, offset, version, rows))
            records.append(Record(version, time_us, tuple(extents), request.image, request.packed_note))
        return records

    def _take_back(self, group: Group, error: BaseException) -> None:
        """Leave the files as they were before the group, or, where that cannot be trusted, set a fault."""
        if isinstance(error, SyncFailed) or (isinstance(error, OSError) and error.errno not in _PASSING):
            self._set_fault(f"the disk failed ({error.strerror or error})")
            with suppress(OSError):
                self._commits.forget()
            return
        try:
            self._commits.undo()  # first: a record must not outlive its rows
            group.undo()
        except BaseException as another:
            self._set_fault(f"a commit could not be taken back ({another!r})")

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


def _commit(record: Record, note: Mapping[str, Any]) -> Commit:
    extents = tuple(Extent(placed.stream, placed.partition, placed.offset, placed.count) for placed in record.extents)
    return Commit(record.version, record.time_us, extents, note)
