"""What backups and forks have in common: where the second database goes, and another try when the first one changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from headwater.errors import CorruptLog, NotADatabase, StorageError
from headwater.storage.files import Storage, parent

_TRIES = 20  # how often retention may come between

T = TypeVar("T")


def check_target(storage: Storage, path: str, target: str) -> None:
    """Raise `StorageError` if the directory `target` cannot be made for what is made of the database at `path`."""
    if not storage.exists(f"{path}/FORMAT"):
        raise NotADatabase(f'there is no database at "{path}"')
    if storage.exists(target):
        try:
            names = storage.listdir(target)
        except NotADirectoryError:
            raise StorageError(f'"{target}" is a file: give the name of a directory that does not exist') from None
        if names:
            raise StorageError(f'"{target}" is not empty: give the name of a directory that does not exist')
    elif not storage.exists(parent(target)):
        raise StorageError(f'"{target}" cannot be made: there is no directory "{parent(target)}"')


def with_retries(attempt: Callable[[], T], failure: str, hint: str) -> T:
    """What `attempt` gives, also if what it reads changes: a file that is being begun or removed may look damaged for
    once. Where files are removed again and again, that is a `failure`.
    """
    last: Exception | None = None
    for _ in range(_TRIES):
        try:
            return attempt()
        except (FileNotFoundError, CorruptLog) as error:
            last = error
    if isinstance(last, CorruptLog):
        raise last
    raise StorageError(failure, hint=hint) from last
