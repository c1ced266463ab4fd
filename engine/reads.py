"""What a transaction has read, and whether that is still what it was."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from headwater.executor.key_index import KeyIndex
from headwater.executor.keys import key_words
from headwater.storage import Log

Key = Mapping[str, pa.Scalar]  # the value of each column of a key


class Reads:
    """Source relations that were read: all their rows, or those of some keys."""

    def __init__(self) -> None:
        self._whole: set[int] = set()
        self._keys: dict[int, list[Key]] = {}

    def __bool__(self) -> bool:
        return bool(self._whole or self._keys)

    def add(self, relation: int, key: Key | None = None) -> None:
        """Note that a relation was read or, with a `key`, only the row that has it."""
        if key:
            self._keys.setdefault(relation, []).append(key)
        else:
            self._whole.add(relation)

    def changed(self, log: Log, after: int) -> int | None:
        """A relation of which something that was read has been written after a version; None if there is none."""
        for relation in self._whole:
            if next(iter(log.extents(relation, after)), None) is not None:
                return relation
        for relation, keys in self._keys.items():
            if _is_written(log, relation, keys, after):
                return relation
        return None


def _is_written(log: Log, relation: int, keys: list[Key], after: int) -> bool:
    """Whether there are records with one of the keys after a version."""
    names = list(keys[0])
    index = KeyIndex()
    columns = [pa.array([key[name].as_py() for key in keys], type=keys[0][name].type) for name in names]
    index.insert(key_words(columns, len(keys)))
    for chunk in log.scan(relation, after, None, names):
        rows = chunk.rows
        if (index.find(key_words([rows.column(name) for name in names], rows.num_rows)) >= 0).any():
            return True
    return False
