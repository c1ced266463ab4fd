"""The machine that figures were measured on. In: the directory that is used; out: a description."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Machine:
    """What figures depend on."""

    cpu: str
    cores: int  # that this process may use
    memory_bytes: int
    kernel: str
    filesystem: str  # of the directory: type, device, where it is mounted
    python: str
    pyarrow: str

    @classmethod
    def of(cls, directory: Path) -> Machine:
        """This machine, with the file system of a directory."""
        return cls(
            cpu=_line_of("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
            cores=len(os.sched_getaffinity(0)),
            memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
            kernel=f"{platform.system()} {platform.release()}",
            filesystem=_filesystem(directory.resolve()),
            python=platform.python_version(),
            pyarrow=pa.__version__,
        )

    def __str__(self) -> str:
        return (
            f"CPU         {self.cpu}, {self.cores} cores\n"
            f"memory      {self.memory_bytes / 1e9:.1f} GB\n"
            f"kernel      {self.kernel}\n"
            f"filesystem  {self.filesystem}\n"
            f"Python      {self.python}, pyarrow {self.pyarrow}\n"
        )


def _line_of(path: str, key: str) -> str:
    """The value of the first `key : value` in a file; nothing if there is none."""
    for line in Path(path).read_text().splitlines():
        found, _, value = line.partition(":")
        if found.strip() == key:
            return value.strip()
    return ""


def _filesystem(directory: Path) -> str:
    """The mount that a directory is in: the one whose place is the longest beginning of its path."""
    found, longest = "unknown", -1
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mount, _, source = line.partition(" - ")
        place = Path(mount.split()[4].replace("\\040", " "))
        kind, device = source.split()[:2]
        if directory.is_relative_to(place) and len(place.parts) >= longest:
            found, longest = f"{kind} on {device}, mounted at {place}", len(place.parts)
    return found
