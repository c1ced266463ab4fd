"""Where to keep what can be computed again, from one process to the next: a directory of the user's own."""

from __future__ import annotations

import os


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
