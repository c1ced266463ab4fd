"""Where to keep what can be computed again: in memory, up to a number of bytes; and from one process to the next, in a
directory of the user's own.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Values by keys, up to a number of bytes in all: those that were asked for least recently go first."""

    def __init__(self, nbytes: int) -> None:
        self._nbytes = nbytes
        self._lock = threading.Lock()
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()

    def get(self, key: K) -> V | None:
        """The value of a key, which stays."""
        with self._lock:
            found = self._values.get(key)
            if found is None:
                return None
            self._values.move_to_end(key)
            return found[0]

    def pop(self, key: K) -> V | None:
        """The value of a key, which is taken out: nobody else gets it meanwhile."""
        with self._lock:
            found = self._values.pop(key, None)
            return None if found is None else found[0]

    def clear(self) -> None:
        """Forgets all."""
        with self._lock:
            self._values.clear()

    def put(self, key: K, value: V, nbytes: int) -> None:
        """Enters a value of so many bytes; one that is larger than all may be is not kept."""
        with self._lock:
            self._values.pop(key, None)
            self._values[key] = value, nbytes
            while sum(size for _, size in self._values.values()) > self._nbytes:
                self._values.popitem(last=False)


def cache_file(name: str) -> str | None:
    """The path for a file of that name in the user's cache directory, which is made if it is not there.

    None where there is no such place, or where others than the user could put something there.
    """
    base = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    directory = os.path.join(base, "headwater")
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        found = os.stat(directory)
    except OSError:
        return None
    is_own = os.name != "posix" or (found.st_uid == os.getuid() and not found.st_mode & 0o022)
    return os.path.join(directory, name) if is_own and os.access(directory, os.W_OK) else None
