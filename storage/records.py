"""What goes into the log and what comes out of it: plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from headwater.storage.rows import Codec


@dataclass(frozen=True, slots=True)
class Append:
    """Rows to be added to one partition of a stream. The caller chooses both numbers, from 0 to 2³²−1."""

    stream: int
    partition: int
    rows: pa.RecordBatch
    codec: Codec | None = None  # compression of the rows in the log
    leaves: bytes = b""  # if the stream is a ledger: the hash of each row, one behind the other


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of rows in the log: `count` rows of a partition, of which the first is at `offset`."""

    stream: int
    partition: int
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that is durable: its number, its time in µs since 1970, where its rows went, and the caller's note.

    `duplicate` says that it was made before, and that nothing was done now.
    """

    version: int
    time_us: int
    extents: tuple[Extent, ...]
    note: Mapping[str, Any]
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Chunk:
    """Committed rows of one append; `offset` is that of the first row in its partition."""

    version: int
    time_us: int
    partition: int
    offset: int
    rows: pa.RecordBatch


@dataclass(frozen=True, slots=True)
class Image:
    """A published set of named batches, such as a checkpoint. `version` is the commit that published it."""

    version: int
    note: Mapping[str, Any]
    name: str
