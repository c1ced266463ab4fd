"""Images: files that hold named batches, written once and then published by a commit.

An image is laid out like a segment: for each part the frame of its schema and the frame of its rows; and at the end a
frame that lists the parts with their places and seals. The commit record holds the place and seal of that list, so that
all of the file hangs on the commit log. A file that no record names is the remains of an image that was not finished;
the next one takes its place.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress

import pyarrow as pa

from headwater.errors import CorruptLog
from headwater.storage.commits import PlacedImage
from headwater.storage.files import File, Storage, sync_file, write_all
from headwater.storage.frames import (
    BadFrame,
    Header,
    Kind,
    crc32c,
    pack_header,
    padding,
    read_header,
    read_payload,
)
from headwater.storage.rows import decode_rows, decode_schema, encode_rows, encode_schema


def image_path(directory: str, number: int) -> str:
    """Path of an image file."""
    return f"{directory}/{number}.img"


def write_image(storage: Storage, directory: str, number: int, parts: Mapping[str, pa.RecordBatch]) -> PlacedImage:
    """Write an image file and make it durable; the result is what a commit must name to publish it."""
    file = storage.open(image_path(directory, number), create=True)
    try:
        if file.size():
            file.truncate(0)
        writer = _Writer(file)
        places = []
        for name, batch in parts.items():
            rows = encode_rows(batch)
            schema_position, schema_seal = writer.add(Kind.SCHEMA, encode_schema(rows.schema))
            position, seal = writer.add(Kind.DATA, rows.payload, schema_seal, schema_position, rows.count)
            places.append([name, position, seal])
        position, seal = writer.add(Kind.IMAGE, json.dumps(places).encode())
        sync_file(file)
        storage.sync_dir(directory)
        return PlacedImage(number, seal, position)
    except OSError:
        with suppress(OSError):
            file.truncate(0)  # gives the space back; the name is used again by the next image
        raise
    finally:
        file.close()


def read_image(storage: Storage, directory: str, placed: PlacedImage) -> dict[str, pa.RecordBatch]:
    """The parts of a published image, all verified. Raise `CorruptLog` if it is not what was published."""
    path = image_path(directory, placed.number)
    try:
        file = storage.open(path)
    except FileNotFoundError:
        raise CorruptLog(f'the image "{path}" is missing; older images and the log may stand in for it') from None
    try:
        listing = read_payload(file, placed.position, read_header(file, placed.position, Kind.IMAGE, placed.seal))
        return {name: _read_part(file, position, seal) for name, position, seal in json.loads(listing.to_pybytes())}
    except BadFrame as reason:
        raise CorruptLog(
            f'the image "{path}" is damaged: {reason}; older images and the log may stand in for it'
        ) from None
    finally:
        file.close()


def _read_part(file: File, position: int, seal: int) -> pa.RecordBatch:
    header = read_header(file, position, Kind.DATA, seal)
    schema_header = read_header(file, header.base, Kind.SCHEMA, header.previous)
    schema = decode_schema(read_payload(file, header.base, schema_header))
    return decode_rows(read_payload(file, position, header), schema)


class _Writer:
    """Writes frames one behind the other."""

    def __init__(self, file: File) -> None:
        self._file = file
        self._end = 0

    def add(
        self, kind: Kind, payload: bytes | pa.Buffer, previous: int = 0, base: int = 0, count: int = 0
    ) -> tuple[int, int]:
        """Write a frame; its position and seal."""
        position = self._end
        header = Header(kind, len(payload), crc32c(payload), previous, base, 0, count=count)
        packed, seal = pack_header(header)
        write_all(self._file, position, b"".join((packed, payload, padding(len(payload)))))
        self._end = position + header.size
        return position, seal
