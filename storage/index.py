"""Where everything is in one commit file: its commits, and the appends to each stream.

Columns of machine integers, not objects: some 70 bytes per append and 20 per commit. Rows are only ever added, and
readers look no further than a version that is published; so reading needs no lock. The index of a finished file is
kept beside it (`index_files.py`), and can be made again from the file at any time.

In: records, in order; out: numbers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

from headwater.storage.commits import Placed, Record, parse_json
from headwater.storage.records import Extent
from headwater.storage.rows import Known
from headwater.storage.state import State


def numbers() -> array[int]:
    """An empty column."""
    return array("q")


class StreamIndex:
    """The appends to one stream in a commit file, in order, and what the stream had before."""

    def __init__(self, rows_before: int, ends_before: Mapping[int, int]) -> None:
        self._rows_before = rows_before
        self._ends_before = ends_before
        self.versions = numbers()
        self.partitions = numbers()
        self.segments = numbers()
        self.seals = numbers()
        self.offsets = numbers()
        self.totals = numbers()  # rows of the stream up to and with this append, also those before the file
        self.positions = numbers()
        self.payload_sizes = numbers()
        self._ends: dict[int, tuple[array[int], array[int]]] = {}  # partition -> versions, and next offsets after them
        self.known: dict[int, Known] = {}  # what is known of appends that were read

    def add(self, version: int, placed: Placed) -> None:
        """Add an append, which belongs to the youngest version so far or to a younger one."""
        self.partitions.append(placed.partition)
        self.segments.append(placed.segment)
        self.seals.append(placed.seal)
        self.offsets.append(placed.offset)
        self.totals.append(self.total(len(self.totals)) + placed.count)
        self.positions.append(placed.position)
        self.payload_sizes.append(placed.payload_size)
        versions, ends = self._ends.setdefault(placed.partition, (numbers(), numbers()))
        ends.append(placed.offset + placed.count)
        versions.append(version)
        self.versions.append(version)

    def extend(self, columns: npt.NDArray[np.int64]) -> None:
        """Add many appends: versions, partitions, segments, seals, offsets, counts, positions, sizes of payloads."""
        versions, partitions, segments, seals, offsets, counts, positions, payload_sizes = columns
        self.totals.frombytes((self.total(len(self.totals)) + np.cumsum(counts)).tobytes())
        for column, added in (
            (self.partitions, partitions),
            (self.segments, segments),
            (self.seals, seals),
            (self.offsets, offsets),
            (self.positions, positions),
            (self.payload_sizes, payload_sizes),
        ):
            column.frombytes(added.tobytes())
        for partition in np.unique(partitions).tolist():
            rows = partitions == partition
            known, ends = self._ends.setdefault(partition, (numbers(), numbers()))
            ends.frombytes((offsets[rows] + counts[rows]).tobytes())
            known.frombytes(versions[rows].tobytes())
        self.versions.frombytes(versions.tobytes())

    def appends(self, after: int, upto: int) -> range:
        """Numbers of the appends with after < version <= upto."""
        return range(bisect_right(self.versions, after), bisect_right(self.versions, upto))

    def placed(self, row: int, stream: int) -> Placed:
        """What an append holds, and where it is."""
        return Placed(
            stream, self.partitions[row], self.segments[row], self.seals[row],
            self.offsets[row], self.count(row), self.positions[row], self.payload_sizes[row],
        )  # fmt: skip

    def extent(self, row: int, stream: int) -> Extent:
        """What an append holds."""
        return Extent(stream, self.partitions[row], self.offsets[row], self.count(row))

    def total(self, row: int) -> int:
        """How many rows came before an append, in the whole log."""
        return self.totals[row - 1] if row else self._rows_before

    def count(self, row: int) -> int:
        """How many rows an append has."""
        return self.totals[row] - self.total(row)

    def first(self, count: int) -> tuple[int, dict[int, int]]:
        """The version that committed the `count`-th row of the log, and where the first `count` rows end.

        The row must be in this file.
        """
        last = bisect_left(self.totals, count)
        version = self.versions[last]
        ends = self.ends(version - 1)
        for row in range(bisect_left(self.versions, version), last + 1):
            ends[self.partitions[row]] = self.offsets[row] + min(self.count(row), count - self.total(row))
        return version, ends

    def version_of(self, partition: int, offset: int) -> int:
        """The version that committed a row, which must be in this file."""
        versions, ends = self._ends[partition]
        return versions[bisect_right(ends, offset)]

    def ends(self, version: int) -> dict[int, int]:
        """Next offset of each partition as of a version, by partition."""
        found = dict(self._ends_before)
        for partition, (versions, ends) in tuple(self._ends.items()):
            known = bisect_right(versions, version)
            if known:
                found[partition] = ends[known - 1]
        return dict(sorted(found.items()))

    def rows(self, version: int) -> int:
        """How many rows the stream had as of a version, in the whole log."""
        return self.total(bisect_right(self.versions, version))


class FileIndex:
    """One commit file: when its commits were, where their records are, which keys their notes have; and its rows."""

    def __init__(self, first: int, base: State) -> None:
        self.first = first  # the first version in it
        self.base = base  # the state before that
        self.times = numbers()
        self.positions = numbers()
        self.keys: dict[str, array[int]] = {}  # key of a note -> versions
        self.streams: dict[int, StreamIndex] = {}

    @property
    def last(self) -> int:
        """The last version in it."""
        return self.first + len(self.times) - 1

    def add(self, record: Record, position: int) -> None:
        """Add the next commit."""
        for placed in record.extents:
            self.stream(placed.stream).add(record.version, placed)
        for key in parse_json(record.note):
            self.keys.setdefault(key, numbers()).append(record.version)
        self.positions.append(position)
        self.times.append(record.time_us)

    def stream(self, number: int) -> StreamIndex:
        """The index of a stream, which is entered if it is not there."""
        index = self.streams.get(number)
        if index is None:
            before = self.base.streams.get(number)
            index = StreamIndex(before.rows, before.ends) if before is not None else StreamIndex(0, {})
            self.streams[number] = index
        return index

    def time_of(self, version: int) -> int:
        """When a version of this file, or the last one before it, was committed, in µs since 1970."""
        return self.times[version - self.first] if version >= self.first else self.base.time_us

    def position(self, version: int) -> int:
        """Where in the file a version's record is."""
        return self.positions[version - self.first]

    def version_at(self, time_us: int, upto: int) -> int:
        """The last version up to `upto`, of this file or before it, that is no younger than a time."""
        count = min(len(self.times), max(0, upto - self.first + 1))
        return self.first - 1 + bisect_right(self.times, time_us, 0, count)

    def ends(self, stream: int, version: int) -> dict[int, int]:
        """Next offset of each partition of a stream as of a version of this file, by partition."""
        index = self.streams.get(stream)
        if index is not None:
            return index.ends(version)
        before = self.base.streams.get(stream)
        return dict(sorted(before.ends.items())) if before is not None else {}

    def rows(self, stream: int, version: int) -> int:
        """How many rows a stream had as of a version of this file."""
        index = self.streams.get(stream)
        if index is not None:
            return index.rows(version)
        return self.rows_before(stream)

    def rows_before(self, stream: int) -> int:
        """How many rows a stream had before this file."""
        before = self.base.streams.get(stream)
        return before.rows if before is not None else 0

    def end_before(self, stream: int, partition: int) -> int:
        """The next offset of a partition before this file."""
        before = self.base.streams.get(stream)
        return before.ends.get(partition, 0) if before is not None else 0

    def file_before(self, stream: int) -> int:
        """The youngest commit file before this one that has rows of a stream, by its first version; 0 if none."""
        before = self.base.streams.get(stream)
        return before.file if before is not None else 0

    def with_key(self, key: str, after: int, upto: int) -> Iterator[int]:
        """Versions with after < version <= upto whose note has a key."""
        versions = self.keys.get(key, numbers())
        for row in range(bisect_right(versions, after), bisect_right(versions, upto)):
            yield versions[row]

    def last_with_key(self, key: str, upto: int) -> int | None:
        """The last version up to `upto` whose note has a key."""
        versions = self.keys.get(key, numbers())
        known = bisect_right(versions, upto)
        return versions[known - 1] if known else None
