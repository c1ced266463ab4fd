"""Streams that follow files: each row of a file is in the stream once, whatever happens to this process.

How far a file has been read is committed with the rows that were read, as the offset of a consumer group of its own:
the group's offset 0 is the position, and its offset 1 a checksum of the bytes right before it. A file is known by its
number in the file system, so it may be renamed. One that is shorter than its position, or has other bytes before it,
has been replaced, and is read from its beginning.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from zlib import crc32

import duckdb
import pyarrow as pa

from headwater.engine import ingest
from headwater.engine.arrow_files import WHOLE_FILES, batches_of
from headwater.engine.file_rows import (
    BadRow,
    Piece,
    filled,
    header_of,
    next_piece,
    read_columns,
    read_piece,
)
from headwater.engine.pipeline import Pipeline
from headwater.engine.statements import FILE_GROUP
from headwater.engine.writing import Writer
from headwater.errors import DataError, HeadwaterError, StorageError
from headwater.planner import Relation
from headwater.planner.catalog import error_stream
from headwater.planner.error_streams import ERROR_COLUMNS
from headwater.planner.file_options import FileSource
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Append, GroupOffsets
from headwater.storage.files import File, matching_files, open_with_number, stamp_of

logger = logging.getLogger("headwater")

HEADER_BYTES = 1 << 20  # how long the names in CSV may be
CHECKED_BYTES = 64  # how many bytes before a position tell whether it is still the same file
FOOTER_BYTES = 4096  # how many at the end tell a file of Arrow or Parquet

Stored: TypeAlias = Callable[[Relation, pa.RecordBatch], list[Append]]


@dataclass(frozen=True, slots=True)
class _Place:
    """How far a file is read: bytes or, of one with record batches, rows; and the checksum there."""

    position: int = 0
    check: int = 0


class Following:
    """Reads the files of all streams of a database that have some. `poll` reads what there is; a thread does so again
    and again from `start` on.
    """

    def __init__(self, pipeline: Pipeline, writer: Writer, now_us: Callable[[], int], *, background: bool) -> None:
        self._pipeline = pipeline
        self._log = pipeline.log
        self._writer = writer
        self._now_us = now_us
        self._background = background and not pipeline.log.is_read_only
        self._polling = threading.Lock()
        self._closed = threading.Event()
        self._looked: dict[tuple[int, str], tuple[int, int, int]] = {}  # what files were when all in them was read
        self._troubles: dict[int, dict[str, str]] = {}  # by relation and file
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Starts the thread, if there is something to follow and it is not running."""
        if self._background and self._thread is None and self._relations():
            self._thread = threading.Thread(target=self._run, name="headwater-files", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Returns when the thread has ended, after the piece that it is reading."""
        self._closed.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def poll(self) -> None:
        """Reads what there is in all files, and returns when it is committed. Who can only read the log reads none."""
        if self._log.is_read_only:
            return
        with self._polling:
            for relation, source in self._relations():
                self._read(relation, source)

    def facts(self, relation: Relation) -> list[tuple[str, str]]:
        """How far the files of a stream are read, for DESCRIBE."""
        assert relation.files is not None
        paths = matching_files(relation.files.path)
        sizes = [self._sizes(relation, relation.files, path) for path in paths]
        errors = error_stream(relation)
        facts = [
            ("files", f"{len(paths):,} match {relation.files.path}"),
            ("bytes read", f"{sum(read for read, _ in sizes):,}"),
            ("bytes behind", f"{sum(size - read for read, size in sizes):,}"),
            ("rows that failed", f"{0 if errors is None else self._log.row_count(errors.id):,}"),
        ]
        if self._is_done(relation):
            facts.append(("files are read", "once, and that has been"))
        troubles = self._troubles.get(relation.id, {})
        return facts + [(f"trouble with {path}", trouble) for path, trouble in sorted(troubles.items())]

    def _sizes(self, relation: Relation, source: FileSource, path: str) -> tuple[int, int]:
        """How many bytes of a file are read, and how many it has."""
        try:
            file, number = open_with_number(path)
        except OSError:
            return 0, 0  # it has gone, or cannot be read, which is told of
        try:
            size, group = file.size(), _group_of(relation, number)
            if source.options.format in WHOLE_FILES:
                return (size if self._recorded(relation, group).check == _footer_check(file) else 0), size
            return self._place(relation, group, file).position, size
        finally:
            file.close()

    def _relations(self) -> list[tuple[Relation, FileSource]]:
        return [(r, r.files) for r in self._pipeline.catalog.ordered() if r.files is not None]

    def _run(self) -> None:
        while True:
            try:
                self.poll()
            except StorageError as error:
                if not self._closed.is_set():
                    logger.error("files are followed no more: %s", error)
                return
            pauses = [source.poll_us / 1e6 for _, source in self._relations()]
            if self._closed.wait(min(pauses, default=1.0)):
                return

    def _read(self, relation: Relation, source: FileSource) -> None:
        if self._is_done(relation):
            return
        troubles: dict[str, str] = {}
        paths = matching_files(source.path)
        for path in paths:
            try:
                stamp = stamp_of(path)
                if self._looked.get((relation.id, path)) != stamp:
                    self._read_file(relation, source, path)
                    self._looked[relation.id, path] = stamp
            except FileNotFoundError:
                continue  # it has gone since
            except StorageError:
                raise
            except (OSError, HeadwaterError, duckdb.Error, pa.ArrowException) as error:
                troubles[path] = self._trouble(relation, path, error)
        self._troubles[relation.id] = troubles
        if not source.follow and paths and not troubles and not self._closed.is_set():
            self._commit(relation, [], _done_group(relation), _Place(1))

    def _trouble(self, relation: Relation, path: str, error: Exception) -> str:
        """What is wrong with a file, which is logged when it is new."""
        message = error.message if isinstance(error, HeadwaterError) else str(error)
        if self._troubles.get(relation.id, {}).get(path) != message:
            logger.warning('"%s" cannot be read into "%s": %s', path, relation.name, message)
        return message

    def _read_file(self, relation: Relation, source: FileSource, path: str) -> None:
        file, number = open_with_number(path)
        try:
            group = _group_of(relation, number)
            if source.options.format in WHOLE_FILES:
                self._read_whole(relation, source, path, file, group)
            else:
                self._read_text(relation, source, file, group, path)
        finally:
            file.close()

    def _place(self, relation: Relation, group: str, file: File) -> _Place:
        """Where to go on in a text file: at its beginning, if it is not what was read before."""
        place = self._recorded(relation, group)
        if place.position > file.size() or _check(file, place.position) != place.check:
            return _Place()
        return place

    def _read_text(self, relation: Relation, source: FileSource, file: File, group: str, path: str) -> None:
        """Commits the rows of a file that are new, piece by piece."""
        options = source.options
        columns, position = read_columns(relation), self._place(relation, group, file).position
        names = [c.name for c in relation.columns]
        if options.format == "csv" and options.header:
            names, begin = header_of(file.read(0, HEADER_BYTES), options)
            if not begin:
                return
            position = max(position, begin)
            if not {name.lower() for name in names} & {c.name.lower() for c in columns}:
                raise DataError(f"its header has no column of {relation.name}: {', '.join(names[:10])}")
        while not self._closed.is_set():
            data = next_piece(file, position, options, is_complete=not source.follow)
            if not data:
                break
            piece, begin = read_piece(data, options, names, columns), position
            position += len(data)
            appends = self._appends(relation, path, piece, begin, data)
            self._commit(relation, appends, group, _Place(position, _check(file, position)))

    def _read_whole(self, relation: Relation, source: FileSource, path: str, file: File, group: str) -> None:
        """Commits the batches of a file of Arrow or Parquet that have not been read yet."""
        check = _footer_check(file)
        place = self._recorded(relation, group)
        done = place.position if place.check == check else 0
        row = 0
        for batch in batches_of(path, source.options):
            first, row = row, row + batch.num_rows
            if row <= done or self._closed.is_set():
                continue
            batch = batch.slice(max(0, done - first))
            known = {c.name.lower() for c in read_columns(relation)}
            rows = ingest.conform(relation, batch.select([n for n in batch.schema.names if n.lower() in known]))
            appends = self._sorted_out(relation, path, rows, first)
            self._commit(relation, appends, group, _Place(row, check))

    def _appends(self, relation: Relation, path: str, piece: Piece, position: int, data: bytes) -> list[Append]:
        """The rows of a piece as they are stored, and those that cannot be as rows of the error stream."""
        bad = [_at(row, position, data) for row in piece.bad]
        return self._sorted_out(relation, path, filled(relation, piece.rows, len(piece.numbers)), position, bad)

    def _sorted_out(
        self, relation: Relation, path: str, rows: pa.RecordBatch, first: int, bad: Sequence[tuple[int, str, str]] = ()
    ) -> list[Append]:
        """Rows that begin at `first` as they are stored; those that the relation cannot have are `bad` ones, too."""
        good, refused = _fitting(relation, rows, self._stored)
        return [*good, *self._errors(relation, path, [*bad, *((first, cause, _shown(row)) for cause, row in refused)])]

    def _stored(self, relation: Relation, rows: pa.RecordBatch) -> list[Append]:
        return self._writer.written(relation, rows).appends

    def _errors(self, relation: Relation, path: str, bad: Sequence[tuple[int, str, str]]) -> list[Append]:
        target = error_stream(relation)
        if not bad or target is None:
            return []
        rows = [
            {"cause": cause, "expression": path, "operator": "file", "offset": offset, "row": text}
            for offset, cause, text in bad
        ]
        return self._stored(target, pa.RecordBatch.from_pylist(rows, schema=arrow_schema(ERROR_COLUMNS)))

    def _recorded(self, relation: Relation, group: str) -> _Place:
        offsets = self._log.group_offsets(group)
        return _Place(offsets.get((relation.id, 0), 0), offsets.get((relation.id, 1), 0))

    def _is_done(self, relation: Relation) -> bool:
        return self._recorded(relation, _done_group(relation)).position > 0

    def _commit(self, relation: Relation, appends: Sequence[Append], group: str, place: _Place) -> None:
        """Commits rows, and how far that is, unless the stream has been dropped meanwhile."""
        offsets = {(relation.id, 0): place.position, (relation.id, 1): place.check}
        with self._pipeline.defining:
            if any(r.id == relation.id for r in self._pipeline.catalog.relations.values()):
                self._writer.commit(appends, [GroupOffsets(group, 0, offsets)], None)


def _group_of(relation: Relation, number: int) -> str:
    return f"{FILE_GROUP}{relation.id} {number}"


def _done_group(relation: Relation) -> str:
    return f"{FILE_GROUP}{relation.id} done"


def _check(file: File, position: int) -> int:
    """The checksum of the bytes before a position."""
    begin = max(0, position - CHECKED_BYTES)
    return crc32(file.read(begin, position - begin)) if position else 0


def _footer_check(file: File) -> int:
    """The checksum of the end of a file that is read as a whole."""
    return crc32(file.read(max(0, file.size() - FOOTER_BYTES), FOOTER_BYTES))


def _at(bad: BadRow, position: int, data: bytes) -> tuple[int, str, str]:
    """A bad row with the byte at which it begins: of one that is not in the data as it is, that of the piece."""
    return position + max(0, data.find(bad.text.encode())), bad.cause, bad.text


def _shown(row: pa.RecordBatch) -> str:
    return json.dumps(row.to_pylist()[0], default=str)


def _fitting(
    relation: Relation, rows: pa.RecordBatch, stored: Stored
) -> tuple[list[Append], list[tuple[str, pa.RecordBatch]]]:
    """The rows as they are stored, without those that the relation cannot have, which come with the causes."""
    if not rows.num_rows:
        return [], []
    try:
        return stored(relation, rows), []
    except DataError as error:
        if rows.num_rows == 1:
            return [], [(error.message, rows)]
    half = rows.num_rows // 2
    (good, bad), (more, worse) = (_fitting(relation, part, stored) for part in (rows[:half], rows[half:]))
    return [*good, *more], [*bad, *worse]
