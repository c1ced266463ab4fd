"""What a transaction has read, and whether that is still what it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from threading import Lock

import pyarrow as pa

from headwater.executor.key_index import KeyIndex
from headwater.executor.keys import Words, key_words
from headwater.executor.slot_arrays import SlotArray
from headwater.storage import Log, Pending

Key = Mapping[str, pa.Scalar]  # the value of each column of a key

REMEMBERED = 65_536  # keys of a table of which it is known when they were last written


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

    def changed(self, writes: LastWrites, pending: Pending) -> tuple[int, int] | None:
        """A relation of which something was written after it was read, or is about to be, and the version as of which
        it was read; None if all is as it was.
        """
        for relation, version in self._whole.items():
            if writes.any_since(relation, version) or pending.rows_of(relation):
                return relation, version
        for (relation, version), keys in self._keys.items():
            names = tuple(keys[0])
            words = words_of(keys, names)
            if writes.any_of(words, relation, names, version) or _any_pending(words, relation, names, pending):
                return relation, version
        return None


class LastWrites:
    """When keys of tables were last written, of those that were written lately. Reads each commit of the log once.

    Safe to use from several threads.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self._known: dict[tuple[int, tuple[str, ...]], _Known] = {}
        self._lock = Lock()

    def any_since(self, relation: int, after: int) -> bool:
        """Whether anything was written to a relation after a version."""
        return next(iter(self._log.extents(relation, after)), None) is not None

    def any_of(self, keys: Words, relation: int, names: tuple[str, ...], after: int) -> bool:
        """Whether one of the keys, of the columns `names`, was written after a version."""
        if not self.any_since(relation, after):
            return False
        with self._lock:
            known = self._known.get((relation, names))
            if known is None or known.since > after:
                known = self._known[relation, names] = _Known(after)
            known.read(self._log, relation, names)
            if len(known.index) > REMEMBERED:
                del self._known[relation, names]
            slots = known.index.find(keys)
            return bool((known.versions[slots[slots >= 0]] > after).any())


class _Known:
    """The keys that were written after version `since`, and up to `upto`."""

    def __init__(self, since: int) -> None:
        self.since = self.upto = since
        self.index = KeyIndex()
        self.versions = SlotArray()  # that wrote a key last

    def read(self, log: Log, relation: int, names: Sequence[str]) -> None:
        """Go on to the present of the log."""
        upto = log.version
        if upto > self.upto:
            for chunk in log.scan(relation, self.upto, upto, names):
                slots = self.index.insert(_words(chunk.rows, names))
                self.versions.reserve(len(self.index))
                self.versions[slots] = chunk.version
            self.upto = upto


def words_of(keys: Sequence[Key], names: Sequence[str]) -> Words:
    """Keys, of the columns `names`, as indexes know them."""
    columns = [pa.array([key[name] for key in keys], keys[0][name].type) for name in names]
    return key_words(columns, len(keys))


def _words(rows: pa.RecordBatch, names: Sequence[str]) -> Words:
    return key_words([rows.column(name) for name in names], rows.num_rows)


def _any_pending(keys: Words, relation: int, names: Sequence[str], pending: Pending) -> bool:
    """Whether one of the keys is written by commits that are not there yet."""
    batches = pending.rows_of(relation)
    if not batches:
        return False
    index = KeyIndex()
    index.insert(keys)
    return any((index.find(_words(rows, names)) >= 0).any() for rows in batches)
