"""What something costs this process: seconds of the clock, seconds of its cores, and memory at its highest."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter, process_time
from typing import TypeVar

T = TypeVar("T")

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")


@dataclass(slots=True)
class Spent:
    """The sums over all that was measured, and the most that was resident during any of it."""

    seconds: float = 0.0
    cpu_seconds: float = 0.0  # of all threads of this process, in user mode and in the kernel
    peak_bytes: int = 0  # everything resident, pages of files too
    peak_own_bytes: int = 0  # memory of the process alone, as it was at the end of each measured call

    def measure(self, action: Callable[[], T]) -> T:
        """Run something, and count what it costs."""
        with suppress(OSError):  # a container may forbid it: then the peak is that of all that was before, too
            _CLEAR.write_text("5")  # the highest so far is what is resident now
        began, began_cpu = perf_counter(), process_time()
        result = action()
        self.seconds += perf_counter() - began
        self.cpu_seconds += process_time() - began_cpu
        peak, own = _status("VmHWM", "RssAnon")
        self.peak_bytes, self.peak_own_bytes = max(self.peak_bytes, peak), max(self.peak_own_bytes, own)
        return result


def resident_bytes() -> tuple[int, int]:
    """What is resident now: everything, and the memory of the process alone."""
    everything, own = _status("VmRSS", "RssAnon")
    return everything, own


def _status(*keys: str) -> list[int]:
    """Values of /proc/self/status that are in kB there, in bytes."""
    status = dict(line.split(":", 1) for line in _STATUS.read_text().splitlines())
    return [int(status[key].split()[0]) * 1024 for key in keys]
