"""Peak memory of a scan, in a process that does nothing else: `peaks_of_scan`, and the program that it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from headwater.errors import HeadwaterError
from headwater.storage import Log, OsStorage


@dataclass(frozen=True, slots=True)
class Peaks:
    """The most that was resident at a time, beyond what was before the database was opened."""

    anonymous_bytes: int  # memory of the process
    mapped_bytes: int  # pages of files, which the system can take back


def peaks_of_scan(path: str) -> Peaks:
    """What a new process needs to scan all columns of stream 0 of a database."""
    # A session of its own keeps Ctrl-C from it: it is killed when the wait for it ends.
    child = subprocess.run(
        [sys.executable, "-m", "headwater.bench.memory", path], capture_output=True, text=True, start_new_session=True
    )
    if child.returncode:
        reason = child.stderr.strip().rpartition("\n")[2]
        raise HeadwaterError(f'the process that was to scan "{path}" failed: {reason}')
    return Peaks(**json.loads(child.stdout))


def _scan(path: str) -> Peaks:
    samples = list(_samples(path))
    before = samples[0]
    return Peaks(*(max(column) - start for column, start in zip(zip(*samples, strict=True), before, strict=True)))


def _samples(path: str) -> Iterator[tuple[int, int]]:
    """Resident bytes, anonymous and mapped: before the scan, and with each of its chunks at hand."""
    yield _resident()
    log = Log.open(OsStorage(), path)
    for _ in log.scan(0):
        yield _resident()
    log.close()


def _resident() -> tuple[int, int]:
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    anonymous, mapped = (int(status[key].split()[0]) * 1024 for key in ("RssAnon", "RssFile"))
    return anonymous, mapped


if __name__ == "__main__":
    print(json.dumps(asdict(_scan(sys.argv[1]))))
