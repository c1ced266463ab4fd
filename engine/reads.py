"""What a transaction has read, and whether that is still what it was."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from headwater.engine.pipeline import Pipeline
from headwater.errors import TransactionConflict
from headwater.executor.key_index import KeyIndex
from headwater.executor.keys import key_words
from headwater.storage import Log

Key = Mapping[str, pa.Scalar]  # the value of each column of a key


class Reads:
    """Source relations that were read, as of versions: all their rows, or those of some keys."""

    def __init__(self) -> None:
        self._whole: dict[int, int] = {}
        self._keys: dict[tuple[int, int], list[Key]] = {}

    def __bool__(self) -> bool:
        return bool(self._whole or self._keys)

    def add(self, relation: int, version: int, key: Key | None = None) -> None:
        """Note that a relation was read as of a version or, with a `key`, only the row that has it."""
        if key:
            self._keys.setdefault((relation, version), []).append(key)
        else:
            self._whole[relation] = min(version, self._whole.get(relation, version))

    def check(self, pipeline: Pipeline) -> None:
        """Raises TransactionConflict if something that was read has been written since."""
        number, version = self._changed(pipeline.log)
        if number is not None:
            names = {relation.id: relation.name for relation in pipeline.catalog.ordered()}
            name = names.get(number, "what is gone now")
            raise TransactionConflict(
                f'"{name}" was written since version {version}, as of which it was read',
                hint="nothing was committed; read it again, and begin again",
            )

    def _changed(self, log: Log) -> tuple[int | None, int]:
        for relation, version in self._whole.items():
            if next(iter(log.extents(relation, version)), None) is not None:
                return relation, version
        for (relation, version), keys in self._keys.items():
            if _is_written(log, relation, keys, version):
                return relation, version
        return None, 0


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
