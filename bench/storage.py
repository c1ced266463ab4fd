"""What durable commits cost, next to writing and syncing the same bytes without any log.

    python bench/storage.py [directory]

The directory, which should be on the disk that is asked about, is used for temporary files.
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa

from headwater.storage import Append, Log, OsStorage, SimulatedDisk, Storage

SECONDS = 2.0
THREADS = 16


def batch_of(rows: int) -> pa.RecordBatch:
    """Rows of some 40 bytes, as of a small event."""
    return pa.record_batch(
        {
            "id": pa.array(range(rows)),
            "price": pa.array([float(number) for number in range(rows)]),
            "city": pa.array([f"city {number % 1000}" for number in range(rows)]),
        }
    )


def rate(action: Callable[[], object]) -> float:
    """How often per second something can be done."""
    action()
    count, start = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - start) < SECONDS:
        action()
        count += 1
    return count / elapsed


def raw_rate(directory: str, data: bytes) -> float:
    """Rate of writing and syncing some bytes, each time behind the last."""
    descriptor = os.open(os.path.join(directory, "raw"), os.O_RDWR | os.O_CREAT)
    end = 0

    def write() -> None:
        nonlocal end
        end += os.pwrite(descriptor, data, end)
        os.fdatasync(descriptor)

    try:
        return rate(write)
    finally:
        os.close(descriptor)


def commit_rate(storage: Storage, path: str, batch: pa.RecordBatch) -> float:
    """Rate of commits of one batch by one thread."""
    log = Log.open(storage, path)
    try:
        return rate(lambda: log.commit([Append(0, 0, batch)]))
    finally:
        log.close()


def shared_commit_rate(path: str, batch: pa.RecordBatch) -> float:
    """Rate of commits of one batch by many threads together."""
    log = Log.open(OsStorage(), path)
    with ThreadPoolExecutor(THREADS) as pool:
        rates = list(pool.map(lambda thread: rate(lambda: log.commit([Append(0, thread, batch)])), range(THREADS)))
    log.close()
    return sum(rates)


def scan_rates(path: str) -> tuple[float, float, float]:
    """Seconds to open a log, and rows per second of the first scan of stream 0, with checksums, and of the second."""
    start = time.perf_counter()
    log = Log.open(OsStorage(), path)
    opening = time.perf_counter() - start
    rates = []
    for _ in range(2):
        start = time.perf_counter()
        rows = sum(chunk.rows.num_rows for chunk in log.scan(0))
        rates.append(rows / (time.perf_counter() - start))
    log.close()
    return opening, rates[0], rates[1]


def main() -> None:
    base = sys.argv[1] if len(sys.argv) > 1 else "."
    with tempfile.TemporaryDirectory(dir=base, prefix="bench-storage-") as directory:
        print(f"{'rows per commit':>16} {'MB/s':>7} {'rows/s':>12} {'commits/s':>10} {'raw writes/s':>13} {'ratio':>6}")
        for rows in (1, 100, 10_000, 1_000_000):
            batch = batch_of(rows)
            data = batch.serialize().to_pybytes()
            raw = raw_rate(directory, data)
            commits = commit_rate(OsStorage(), os.path.join(directory, f"{rows}.hw"), batch)
            print(
                f"{rows:>16,} {commits * len(data) / 1e6:>7.0f} {commits * rows:>12,.0f} {commits:>10,.0f}"
                f" {raw:>13,.0f} {commits / raw:>6.2f}"
            )
        shared = shared_commit_rate(os.path.join(directory, "shared.hw"), batch_of(1))
        print(f"{THREADS} threads, 1 row per commit: {shared:,.0f} commits/s")
        memory = commit_rate(SimulatedDisk(), "memory.hw", batch_of(1))
        print(f"in memory, 1 row per commit: {memory:,.0f} commits/s")
        for rows in (1, 10_000):
            opening, first, second = scan_rates(os.path.join(directory, f"{rows}.hw"))
            scanned = f"scanned at {first:,.0f} rows/s, and again at {second:,.0f}"
            print(f"{rows:,} rows per commit: opened in {opening:.3f} s, {scanned}")


if __name__ == "__main__":
    main()
