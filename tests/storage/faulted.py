"""The process that faults of a real system happen to. What it was told is printed, a JSON list a line.

python -m tests.storage.faulted commit|file_limit|full_disk|open_files DIRECTORY
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa

from headwater.errors import StorageError
from headwater.storage import Append, Log, OsStorage

COMMITS = 12
LARGE = 3_000  # bytes in a row, of which one is too many for the commit file
FILE_BYTES = 50_001
BALLAST_BYTES = 400_000


def opened(directory: str, segment_bytes: int = 8_000) -> Log:
    """A log whose files are small, so that a few commits begin new ones."""
    return Log.open(OsStorage(), directory, segment_bytes=segment_bytes, inline_bytes=2_000, commits_bytes=1_500)


def commit(log: Log, number: int, stream: int = 1) -> None:
    """Rows of one number in two streams: in a segment, and in the commit file beside a large note."""
    padding = "." * LARGE
    large = pa.record_batch({"number": [number], "padding": [padding]})
    small = pa.record_batch({"number": [number]})
    log.commit([Append(stream, 0, large), Append(0, 0, small)], {"note": padding[:500]})
    say("made", number)


def numbers(log: Log, stream: int) -> list[int]:
    return [number for chunk in log.scan(stream) for number in chunk.rows.column("number").to_pylist()]


def commit_until_it_fails(log: Log, first: int, most: int = 10_000, streams: int = 1) -> int:
    """The number that was not committed."""
    for number in range(first, first + most):
        try:
            commit(log, number, 1 + number % streams)
        except StorageError as error:
            say("failed", type(error).__name__, str(error))
            return number
    return first + most


def committing(directory: str) -> None:
    """Commit some, and when the disk fails, once more; then open the log again and commit one more."""
    try:
        log = opened(directory)
        failed = commit_until_it_fails(log, 0, COMMITS)
        if failed < COMMITS:
            commit_until_it_fails(log, failed, 1)
        log.close()
    except StorageError as error:
        say("not opened", str(error))
    log = opened(directory)
    say("found", numbers(log, 0), numbers(log, 1))
    commit(log, -1)
    log.close()


def being_full(directory: str, make_room: Callable[[], None]) -> None:
    """Commit until there is no space, twice, and go on when there is again."""
    log = opened(directory, segment_bytes=10 * FILE_BYTES)
    failed = commit_until_it_fails(log, 0)
    commit_until_it_fails(log, failed)
    try:
        log.save_image({"part": pa.record_batch({"padding": ["." * BALLAST_BYTES]})})
    except StorageError as error:
        say("no image", type(error).__name__)
    say("found", numbers(log, 0), numbers(log, 1))
    make_room()
    commit(log, failed)
    say("images", len(log.images()))
    log.close()
    log = opened(directory)
    say("found", numbers(log, 0), numbers(log, 1))
    log.close()


def file_limit(directory: str) -> None:
    """Files may not be larger than so many bytes: a write over that is short, and the next one fails."""
    _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_BYTES, most))
    being_full(directory, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (most, most)))


def full_disk(directory: str) -> None:
    """The disk is small, and something else on it is removed when it is full."""
    ballast = Path(directory).with_name("ballast")
    ballast.write_bytes(bytes(BALLAST_BYTES))
    being_full(directory, ballast.unlink)


def open_files(directory: str) -> None:
    """No more files can be opened, and then they can."""
    log = opened(directory)
    commit(log, 0)
    soft, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(os.listdir("/proc/self/fd")), most))
    failed = commit_until_it_fails(log, 1, streams=20)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, most))
    commit(log, failed, 1 + failed % 20)
    say("found", numbers(log, 0), sorted(number for stream in range(1, 21) for number in numbers(log, stream)))
    log.close()


def say(*what: object) -> None:
    print(json.dumps(what), flush=True)


if __name__ == "__main__":
    _, role, path = sys.argv
    {"commit": committing, "file_limit": file_limit, "full_disk": full_disk, "open_files": open_files}[role](path)
