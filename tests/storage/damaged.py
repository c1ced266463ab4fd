"""A small database with all that there can be in one, and ways to damage it."""

from __future__ import annotations

import pyarrow as pa

from headwater.storage import Append, Log, SimulatedDisk, Storage
from headwater.storage.check import Check
from headwater.storage.findings import Finding

PATH = "shop.hw"
SIZES = {"inline_bytes": 2000, "commits_bytes": 3000, "segment_bytes": 8000}


def numbers(count: int) -> pa.RecordBatch:
    return pa.record_batch({"number": list(range(count)), "text": ["x"] * count})


def open_log(storage: Storage) -> Log:
    return Log.open(storage, PATH, create=True, **SIZES)


def database() -> SimulatedDisk:
    """Small commits in commit files, large ones in segments, images, and what retention and compaction leave."""
    disk = SimulatedDisk(seed=0)
    disk.clock_us = 1
    log = open_log(disk)
    for count in range(1, 41):
        appends = [Append(0, count % 2, numbers(count))]
        if count % 3 == 0:
            appends.append(Append(1, 0, numbers(200)))
        log.commit(appends, {"count": count}, keep=count % 10 == 0)
        if count % 15 == 0:
            log.save_image({"state": numbers(1000 + count)}, {"count": count})
        if count == 20:
            log.retain({1: 10})
        if count == 30:
            log.compact(0, 6, [Append(0, 0, numbers(3))])
    log.close()
    return disk


def check(storage: Storage) -> list[Finding]:
    return list(Check(storage, PATH).findings())


def damages(storage: Storage) -> list[Finding]:
    return [finding for finding in check(storage) if finding.is_damage]


def flip(disk: SimulatedDisk, path: str, position: int, bit: int = 0) -> None:
    file = disk.open(path)
    (byte,) = file.read(position, 1)
    file.pwrite(position, bytes([byte ^ 1 << bit]))
    file.sync()


def copy_of(disk: SimulatedDisk) -> SimulatedDisk:
    return disk.crash("kill9")


def rows(log: Log) -> dict[tuple[int, int, int], int]:
    """Where runs of rows are, and how many each has: stream, partition, offset."""
    return {(s, c.partition, c.offset): c.rows.num_rows for s in log.state.streams for c in log.scan(s)}
