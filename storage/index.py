"""The log's index in memory: where each append is, when each commit was, which commits have which notes.

Columns of machine integers, not objects: some 80 bytes per append and 20 per commit, so that millions are cheap. Rows
are only ever added, and readers look no further than a version that is complete; so reading needs no lock.

In: records, in order, from the commit log or from a commit just made; out: numbers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from typing import Any

from headwater.storage.commits import Placed, PlacedImage, Record
from headwater.storage.records import Extent, Image


class StreamIndex:
    """The appends to one stream, in commit order."""

    def __init__(self) -> None:
        self._versions = array("q")
        self._partitions = array("q")
        self._segments = array("q")
        self._seals = array("q")
        self._offsets = array("q")
        self._totals = array("q")  # rows of the stream up to and with this append
        self._positions = array("q")
        self._payload_sizes = array("q")
        self._verified = bytearray()
        self._ends: dict[int, tuple[array[int], array[int]]] = {}  # partition -> versions, and next offsets after them

    def add(self, version: int, placed: Placed) -> None:
        """Add an append, which belongs to the youngest version so far or to a younger one."""
        self._partitions.append(placed.partition)
        self._segments.append(placed.segment)
        self._seals.append(placed.seal)
        self._offsets.append(placed.offset)
        self._totals.append(self.total(len(self._totals)) + placed.count)
        self._positions.append(placed.position)
        self._payload_sizes.append(placed.payload_size)
        self._verified.append(False)
        versions, ends = self._ends.setdefault(placed.partition, (array("q"), array("q")))
        ends.append(placed.offset + placed.count)
        versions.append(version)
        self._versions.append(version)

    def rows(self, after: int, upto: int) -> range:
        """Numbers of the appends with after < version <= upto."""
        return range(bisect_right(self._versions, after), bisect_right(self._versions, upto))

    def version(self, row: int) -> int:
        """The commit of an append."""
        return self._versions[row]

    def placed(self, row: int, stream: int) -> Placed:
        """What an append holds, and where it is."""
        return Placed(
            stream, self._partitions[row], self._segments[row], self._seals[row],
            self._offsets[row], self.count(row), self._positions[row], self._payload_sizes[row],
        )  # fmt: skip

    def extent(self, row: int, stream: int) -> Extent:
        """What an append holds."""
        return Extent(stream, self._partitions[row], self._offsets[row], self.count(row))

    def total(self, row: int) -> int:
        """How many rows came before an append."""
        return self._totals[row - 1] if row else 0

    def count(self, row: int) -> int:
        """How many rows an append has."""
        return self._totals[row] - self.total(row)

    def first(self, count: int) -> tuple[int, dict[int, int]] | None:
        """The version that committed the `count`-th row, and where the first `count` rows end; None without it."""
        appends = len(self._versions)
        last = bisect_left(self._totals, count, 0, appends)
        if last == appends:
            return None
        version = self._versions[last]
        ends = self.ends(version - 1)
        for row in range(bisect_left(self._versions, version), last + 1):
            ends[self._partitions[row]] = self._offsets[row] + min(self.count(row), count - self.total(row))
        return version, ends

    def version_of(self, partition: int, offset: int) -> int:
        """The version that committed a row, which must be there."""
        versions, ends = self._ends[partition]
        return versions[bisect_right(ends, offset)]

    def ends(self, version: int) -> dict[int, int]:
        """Next offset of each partition as of a version, by partition."""
        found = {}
        for partition, (versions, ends) in sorted(self._ends.items()):
            known = bisect_right(versions, version)
            if known:
                found[partition] = ends[known - 1]
        return found

    def is_verified(self, row: int) -> bool:
        """Whether the checksum of the append's rows was found right before."""
        return bool(self._verified[row])

    def set_verified(self, row: int) -> None:
        """Remember that it was."""
        self._verified[row] = True


class CommitIndex:
    """All commits: when they were, where their records are, and which keys their notes have."""

    def __init__(self) -> None:
        self._times = array("q")
        self._positions = array("q")
        self._keys: dict[str, array[int]] = {}  # key of a note -> versions

    def add(self, time_us: int, position: int, keys: list[str]) -> None:
        """Add the next version."""
        self._times.append(time_us)
        self._positions.append(position)
        for key in keys:
            self._keys.setdefault(key, array("q")).append(len(self._times))

    def __len__(self) -> int:
        return len(self._times)

    def time_of(self, version: int) -> int:
        """When a version was committed, in µs."""
        return self._times[version - 1]

    def version_at(self, time_us: int, upto: int) -> int:
        """The last version, of the first `upto`, that is no younger than a time; 0 if none."""
        return bisect_right(self._times, time_us, 0, upto)

    def position(self, version: int) -> int:
        """Where in the commit log a version's record is."""
        return self._positions[version - 1]

    def with_key(self, key: str, after: int, upto: int) -> Iterator[int]:
        """Versions with after < version <= upto whose note has a key."""
        versions = self._keys.get(key, array("q"))
        for row in range(bisect_right(versions, after), bisect_right(versions, upto)):
            yield versions[row]


class Index:
    """All that is published: the commits up to `version`, their rows by stream, and the images by version."""

    def __init__(self) -> None:
        self.version = 0
        self.commits = CommitIndex()
        self.streams: dict[int, StreamIndex] = {}
        self.images: dict[int, tuple[Image, PlacedImage]] = {}

    def publish(self, record: Record, position: int, note: Mapping[str, Any]) -> None:
        """Enter the next commit. The version comes last, since readers look no further than it."""
        for placed in record.extents:
            self.streams.setdefault(placed.stream, StreamIndex()).add(record.version, placed)
        if record.image is not None:
            image = Image(record.version, note, f"{record.image.number}.img")
            self.images[record.version] = image, record.image
        self.commits.add(record.time_us, position, list(note))
        self.version = record.version

    def ends(self, stream: int, version: int | None = None) -> dict[int, int]:
        """Next offset of each partition of a stream as of a version (default: now), by partition."""
        index = self.streams.get(stream)
        return {} if index is None else index.ends(self.upto(version))

    def upto(self, version: int | None) -> int:
        """A version that readers may see: never more than what is published."""
        return self.version if version is None else min(version, self.version)
