"""Files that are open: so many that going on with one costs nothing, so few that they are no burden."""

from __future__ import annotations

import threading
from collections import OrderedDict

from headwater.storage.files import File, Storage

OPEN_FILES = 16  # each may have a map as large as it is


class FileCache:
    """Open files by path. Of too many, the least recently used is forgotten; it closes once nobody is using it."""

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._files: OrderedDict[str, File] = OrderedDict()

    def open(self, path: str) -> File:
        """The file at `path`. Raises `FileNotFoundError` if there is none."""
        with self._lock:
            file = self._files.get(path)
            if file is not None:
                self._files.move_to_end(path)
                return file
        return self.keep(path, self._storage.open(path))

    def keep(self, path: str, file: File) -> File:
        """Enter an open file."""
        with self._lock:
            self._files[path] = file
            self._files.move_to_end(path)
            if len(self._files) > OPEN_FILES:
                self._files.popitem(last=False)
        return file

    def forget(self, path: str) -> None:
        """Forget a file, which is to be removed."""
        with self._lock:
            self._files.pop(path, None)

    def clear(self) -> None:
        """Forget all files; those in use close when their readers are done."""
        with self._lock:
            self._files.clear()
