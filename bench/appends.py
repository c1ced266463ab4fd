"""Durable appends: in batches, next to Arrow IPC; and one row at a time, next to a bare write and sync."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa

from headwater.bench.report import Figure, Report
from headwater.bench.sample import orders
from headwater.bench.timing import in_turns, ratio, seconds
from headwater.storage import Append, Log, OsStorage

BATCH_GOAL = 1.3  # times as long as Arrow IPC with a sync after each batch
SINGLE_GOAL = 2.0  # times as long as a write and a sync of as many bytes
THREADS = 16

_ROUND_COMMITS = {1: 100, 100: 100, 10_000: 20, 100_000: 5}  # rows of a commit -> how many are timed at once


class _ArrowFile:
    """An Arrow IPC file that batches are written to, and may be synced after each."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pa.ipc.new_file(self._sink, schema)
        self._descriptor = os.open(path, os.O_RDWR)

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def sync(self) -> None:
        os.fdatasync(self._descriptor)

    def close(self) -> None:
        self._writer.close()
        self._sink.close()
        os.close(self._descriptor)


def measure_batches(directory: Path, report: Report, rounds: int) -> None:
    """Report rows and bytes per second, and the ratios to Arrow IPC, for small and large batches."""
    report.begin("Batches appended durably, next to Arrow IPC files")
    for rows, commits in _ROUND_COMMITS.items():
        report.doing(f"appending batches of {rows:,} rows")
        with TemporaryDirectory(dir=directory) as scratch:
            report.add(_batches(Path(scratch), rows, commits, rounds))


def _batches(directory: Path, rows: int, commits: int, rounds: int) -> list[Figure]:
    batch = orders(rows)
    log = Log.open(OsStorage(), str(directory / "batches.hw"))
    synced, unsynced = (_ArrowFile(directory / f"{name}.arrow", batch.schema) for name in ("synced", "unsynced"))

    def ours() -> None:
        for _ in range(commits):
            log.commit([Append(0, 0, batch)])

    def arrow_synced() -> None:
        for _ in range(commits):
            synced.write(batch)
            synced.sync()

    def arrow_unsynced() -> None:
        for _ in range(commits):
            unsynced.write(batch)

    def arrow_unsynced_seconds() -> float:
        taken = seconds(arrow_unsynced)
        unsynced.sync()  # so that the disk is not busy with it while others are timed
        return taken

    taken = in_turns(
        {
            "ours": lambda: seconds(ours),
            "synced": lambda: seconds(arrow_synced),
            "unsynced": arrow_unsynced_seconds,
        },
        rounds,
    )
    for opened in (log, synced, unsynced):
        opened.close()
    title = f"{rows:,} rows a commit" if rows > 1 else "1 row a commit"
    total = rows * commits
    return [
        Figure(f"{title}", total / median(taken["ours"]), "rows/s"),
        Figure(f"{title}, bytes", batch.nbytes * commits / median(taken["ours"]) / 1e6, "MB/s"),
        Figure(f"{title}, Arrow IPC + sync", total / median(taken["synced"]), "rows/s"),
        Figure(
            f"{title}, time to Arrow IPC + sync",
            ratio(taken["ours"], taken["synced"]), "times", BATCH_GOAL if rows > 1 else None,
        ),
        Figure(f"{title}, Arrow IPC, no sync", total / median(taken["unsynced"]), "rows/s"),
        Figure(f"{title}, time to Arrow IPC, no sync", ratio(taken["ours"], taken["unsynced"]), "times"),
    ]  # fmt: skip


def measure_latency(directory: Path, report: Report, appends: int) -> None:
    """Report how long one row takes to be durable, by one thread and by many, next to a bare write and sync."""
    report.begin("One row appended durably, next to a bare write and sync of as many bytes")
    log = Log.open(OsStorage(), str(directory / "single.hw"))
    batch = orders(1)

    def ours() -> None:
        log.commit([Append(0, 0, batch)])

    ours()  # brings the schema along
    before = log.size_bytes()
    ours()
    data = bytes(log.size_bytes() - before)
    descriptor = os.open(directory / "bare", os.O_RDWR | os.O_CREAT)
    positions = count(0, len(data))

    def bare() -> None:
        os.pwrite(descriptor, data, next(positions))
        os.fdatasync(descriptor)

    try:
        report.doing("appending single rows")
        alone = in_turns({"ours": lambda: seconds(ours), "bare": lambda: seconds(bare)}, appends)
        report.add([Figure("bytes of a commit of one row", len(data), "bytes")])
        report.add(_latencies("1 thread", alone["ours"], alone["bare"]))
        report.doing(f"appending single rows by {THREADS} threads")
        report.add(_by_threads(ours, bare, appends))
    finally:
        os.close(descriptor)
        log.close()


def _by_threads(ours: Callable[[], None], bare: Callable[[], None], appends: int) -> list[Figure]:
    """The same by many threads at once, in turns of a few appends each."""
    each = 25
    latencies: dict[str, list[float]] = {"ours": [], "bare": []}
    with ThreadPoolExecutor(THREADS) as pool:

        def turn(name: str, action: Callable[[], None]) -> float:
            def work(_: int) -> list[float]:
                return [seconds(action) for _ in range(each)]

            return seconds(lambda: latencies[name].extend(t for some in pool.map(work, range(THREADS)) for t in some))

        taken = in_turns(
            {"ours": lambda: turn("ours", ours), "bare": lambda: turn("bare", bare)}, max(1, appends // each)
        )
    return [
        *_latencies(f"{THREADS} threads", latencies["ours"], latencies["bare"]),
        *(
            Figure(f"{THREADS} threads, {what}", THREADS * each / median(taken[name]), "commits/s")
            for name, what in (("ours", "together"), ("bare", "together, bare"))
        ),
    ]


def _latencies(title: str, ours: list[float], bare: list[float]) -> list[Figure]:
    figures = []
    for percent in (50, 99):
        our, their = (float(np.percentile(taken, percent)) for taken in (ours, bare))
        figures += [
            Figure(f"{title}, p{percent}", our * 1000, "ms"),
            Figure(f"{title}, p{percent}, bare", their * 1000, "ms"),
            Figure(f"{title}, p{percent}, time to bare", our / their, "times", SINGLE_GOAL),
        ]
    return figures
