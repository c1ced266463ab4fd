"""Images: files that hold named tables, written once and then published by a commit.

An image is a file of frames: one for each chunk of each table, and at the end one that lists them, with their places
and seals. A chunk that is, to the byte, one of the image before is not written again: the list names the file where it
is. The commit record holds the place and seal of the list, so that all of it hangs on the commit log. A file that no
record names is the remains of an image that was not finished; the next one takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa

from headwater.errors import CorruptLog
from headwater.storage.files import File, Storage, empty_file, sync_file
from headwater.storage.frames import (
    HEADER_BYTES,
    BadFrame,
    FrameChain,
    Header,
    Kind,
    crc32c,
    read_header,
    read_payload,
)
from headwater.storage.rows import Projection, Rows, encode_rows, read_layout, read_rows
from headwater.storage.state import ImageState, pack_schema, unpack_schema

Place = tuple[int, int, int]  # image file, position of the frame, its seal

_WRITE_BYTES = 1 << 20  # chunks are written when they are as many bytes


class Chunked(Protocol):
    """A table in chunks: an Arrow table, or what makes each chunk when its turn has come."""

    @property
    def schema(self) -> pa.Schema: ...

    def to_batches(self) -> Iterable[pa.RecordBatch]: ...


Parts = Mapping[str, Chunked | pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class PlacedImage:
    """An image that was written and not yet published."""

    number: int
    seal: int
    position: int
    nbytes: int  # of its own file
    others: tuple[int, ...]  # older image files that it refers to


@dataclass(frozen=True, slots=True)
class _Listing:
    """Where the chunks of an image are; the rows of chunk i of a part have the schema that is given with the part."""

    parts: dict[str, tuple[pa.Schema, list[Place]]]

    def pack(self) -> bytes:
        return json.dumps(
            [[name, pack_schema(schema), places] for name, (schema, places) in self.parts.items()]
        ).encode()

    @classmethod
    def unpack(cls, payload: bytes) -> _Listing:
        return cls(
            {
                name: (unpack_schema(schema), [(file, position, seal) for file, position, seal in places])
                for name, schema, places in json.loads(payload)
            }
        )


def image_path(directory: str, number: int) -> str:
    """Path of an image file."""
    return f"{directory}/{number}.img"


def write_image(storage: Storage, directory: str, number: int, parts: Parts, before: ImageState | None) -> PlacedImage:
    """Write an image file and make it durable; the result is what a commit must name to publish it.

    Chunks that `before` has in the same table are not written again.
    """
    known = _known_chunks(storage, directory, before)
    path = image_path(directory, number)
    file = empty_file(storage, path)
    try:
        writer = _Writer(storage, directory, number, file)
        listing = _Listing({name: writer.add(table, known.get(name, ())) for name, table in parts.items()})
        payload = listing.pack()
        position, seal = writer.chain.add(Header(Kind.IMAGE, len(payload), crc32c(payload)), payload)
        writer.chain.write(file)
        sync_file(file)
        storage.sync_dir(directory)
        others = {place[0] for _, places in listing.parts.values() for place in places} - {number}
        return PlacedImage(number, seal, position, writer.chain.end, tuple(sorted(others)))
    except OSError:
        with suppress(OSError):
            file.truncate(0)  # gives the space back; the name is used again by the next image
        raise
    finally:
        file.close()


def read_image(storage: Storage, directory: str, image: ImageState) -> dict[str, pa.RecordBatch]:
    """The tables of a published image, all verified. Raise `CorruptLog` if it is not what was published."""
    return {name: _combined(table) for name, table in read_parts(storage, directory, image, None).items()}


def read_parts(
    storage: Storage, directory: str, image: ImageState, names: Collection[str] | None
) -> dict[str, pa.Table]:
    """Those tables of a published image that are named (None: all), verified, in chunks that are not copied.

    Raise `CorruptLog` if they are not what was published.
    """
    path = image_path(directory, image.number)
    files = _Files(storage, directory)
    try:
        parts = _read_listing(files, image).parts
        return {name: _read_part(files, *part) for name, part in parts.items() if names is None or name in names}
    except FileNotFoundError:
        reason = "a file of it is missing"
    except BadFrame as bad:
        reason = f"it is damaged: {bad}"
    finally:
        files.close()
    raise CorruptLog(f'the image "{path}" cannot be read: {reason}; older images and the log may stand in for it')


def verify_image(
    storage: Storage, directory: str, image: ImageState, known: dict[Place, str | None]
) -> Iterator[tuple[Place, int, str | None]]:
    """Verify an image: place, bytes and damage of each of its frames, of which the first lists the others.

    What is found is entered in `known`; frames that are there already are not read again.
    """
    files = _Files(storage, directory)
    listing_place = (image.number, image.position, image.seal)
    try:
        listing = _read_listing(files, image)
        yield listing_place, 0, None
        for schema, places in listing.parts.values():
            for place in places:
                nbytes = 0
                if place not in known:
                    nbytes, known[place] = _verdict(files, schema, place)
                yield place, nbytes, known[place]
    except (FileNotFoundError, BadFrame) as error:
        yield listing_place, 0, _reason(error)
    finally:
        files.close()


def _verdict(files: _Files, schema: pa.Schema, place: Place) -> tuple[int, str | None]:
    try:
        return _read_chunk(files, schema, place).nbytes, None
    except (FileNotFoundError, BadFrame) as error:
        return 0, _reason(error)


def _reason(error: Exception) -> str:
    return str(error) if isinstance(error, BadFrame) else "the file is missing"


class _Writer:
    """Writes the chunks of an image that have to be written, while it goes through all."""

    def __init__(self, storage: Storage, directory: str, number: int, file: File) -> None:
        self.chain = FrameChain(0, 0)
        self._file = file
        self._files = _Files(storage, directory)
        self._number = number

    def add(self, table: Chunked | pa.RecordBatch, known: Sequence[Place]) -> tuple[pa.Schema, list[Place]]:
        """Add a table, of which `known` may have chunks already; its schema and the places of its chunks."""
        batches = [table] if isinstance(table, pa.RecordBatch) else table.to_batches()
        candidates = self._candidates(known)
        places = []
        for batch in batches:
            rows = encode_rows(batch)
            place = candidates.get((rows.kind, rows.size, rows.crc, rows.count))
            if place is None or not self._has(place, rows):
                header = Header(rows.kind, rows.size, rows.crc, count=rows.count)
                place = (self._number, *self.chain.add(header, *rows.payload))
                if self.chain.end - self.chain.written >= _WRITE_BYTES:
                    self.chain.write(self._file)
            places.append(place)
        return table.schema, places

    def _candidates(self, known: Sequence[Place]) -> dict[tuple[Kind, int, int, int], Place]:
        """The chunks that may be referred to, by what their headers say about their rows."""
        found = {}
        for number, position, seal in known:
            with suppress(BadFrame, FileNotFoundError):
                h = read_header(self._files.open(number), position, seal, Kind.ROWS, Kind.COLUMNS)
                found[h.kind, h.payload_size, h.payload_crc, h.count] = number, position, seal
        return found

    def _has(self, place: Place, rows: Rows) -> bool:
        """Whether these very bytes are in a frame: checksums alone may agree by chance."""
        number, position, _ = place
        file = self._files.open(number)
        position += HEADER_BYTES
        for part in rows.payload:
            if not file.view(position, len(part)).equals(pa.py_buffer(part)):
                return False
            position += len(part)
        return True


class _Files:
    """The image files that are read, each opened once."""

    def __init__(self, storage: Storage, directory: str) -> None:
        self._storage = storage
        self._directory = directory
        self._files: dict[int, File] = {}

    def open(self, number: int) -> File:
        if number not in self._files:
            self._files[number] = self._storage.open(image_path(self._directory, number))
        return self._files[number]

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def _known_chunks(storage: Storage, directory: str, image: ImageState | None) -> dict[str, list[Place]]:
    """The chunks of an image that may be referred to: those of one that is damaged may not."""
    if image is None:
        return {}
    files = _Files(storage, directory)
    try:
        return {name: places for name, (_, places) in _read_listing(files, image).parts.items()}
    except (BadFrame, FileNotFoundError):
        return {}
    finally:
        files.close()


def _read_listing(files: _Files, image: ImageState) -> _Listing:
    file = files.open(image.number)
    header = read_header(file, image.position, image.seal, Kind.IMAGE)
    return _Listing.unpack(read_payload(file, image.position, header).to_pybytes())


def _read_part(files: _Files, schema: pa.Schema, places: Sequence[Place]) -> pa.Table:
    return pa.Table.from_batches([_read_chunk(files, schema, place) for place in places], schema)


def _combined(table: pa.Table) -> pa.RecordBatch:
    batches = table.to_batches()
    if len(batches) == 1:
        return batches[0]
    return pa.concat_batches(batches) if batches else pa.RecordBatch.from_pylist([], schema=table.schema)


def _read_chunk(files: _Files, schema: pa.Schema, place: Place) -> pa.RecordBatch:
    number, position, seal = place
    file = files.open(number)
    return read_rows(file, position, read_layout(file, position, seal), Projection(schema, None), 0)[0]
