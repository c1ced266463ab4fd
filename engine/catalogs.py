"""The catalog, now and at each version: a fold over the definitions in the log, which are notes of commits.

A note says in text what was done:

    create         CREATE STREAM | TABLE | VIEW | QUEUE | FUNCTION, with the `id` that it got; of a function without a
                   body `given` tells it from others. Or CREATE TYPE | SCHEMA | PIPELINE | INSTANCE, which have no id;
                   what is in an instance is created by the notes behind it
                   What has a clock of its own, or is in an instance that has one, says which `clock`
    replace        a list of such notes, made in the place of what `drop` and `drop_function` name
    alter          ALTER STREAM | TABLE
    drop           names of relations and views, dependants first
    drop_type      the name of a type
    drop_function  the name of a function
    drop_components  pairs of a kind and a name, of schemas, pipelines and instances

and at which version of their input (`frontier`) new relations begin.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from headwater.errors import HeadwaterError, StorageError
from headwater.parser import parse_statement, syntax
from headwater.planner import Catalog, altered, define_function, define_item, define_type
from headwater.planner.instances import component_of
from headwater.storage import Log

NOTE = "ddl"

_MAPS = ("relations", "views", "types", "functions", "components")  # of a catalog


@dataclass(frozen=True, slots=True)
class _Change:
    """What the definition at a version did: by map of the catalog, names that went, and what came under its name."""

    version: int
    gone: Mapping[str, frozenset[str]]
    come: Mapping[str, Mapping[str, Any]]


class Catalogs:
    """The catalogs of a log. Each definition is read once, and what it changed is kept, for any catalog."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._latest = Catalog()
        self._changes: list[_Change] = []

    def latest(self) -> Catalog:
        """The catalog that all definitions make."""
        with self._lock:
            read = self._changes[-1].version if self._changes else 0
            for version, note in self._log.kept(NOTE):
                if version > read:
                    self._take(version, note)
            return self._latest

    def versions(self) -> list[int]:
        """The versions at which something was defined."""
        self.latest()
        with self._lock:
            return [change.version for change in self._changes]

    def at(self, version: int) -> Catalog:
        """The catalog that the definitions up to a version make."""
        latest = self.latest()
        with self._lock:
            if not self._changes or self._changes[-1].version <= version:
                return latest
            maps: dict[str, dict[Any, Any]] = {name: {} for name in _MAPS}
            for change in self._changes:
                if change.version > version:
                    break
                for name, known in maps.items():
                    for gone in change.gone[name]:
                        del known[gone]
                    known.update(change.come[name])
        parts: dict[str, Any] = {**maps, "next_id": latest.next_id}
        return Catalog(**parts)

    def last_with(self, name: str) -> int | None:
        """The last version at which there was a stream, table or view of a name that there is no more."""
        self.latest()
        found = None
        with self._lock:
            for change in self._changes:
                for kind in ("relations", "views"):
                    found = change.version - 1 if name.lower() in change.gone[kind] else found
        return found

    def learn(self, catalog: Catalog) -> None:
        """Takes `catalog` as what the last definition in the log has made, which need not be read then."""
        with self._lock:
            read = self._changes[-1].version if self._changes else 0
            unread = [version for version, _ in self._log.kept(NOTE) if version > read]
            if len(unread) == 1:
                self._add(unread[0], catalog)

    def _take(self, version: int, note: dict[str, Any]) -> None:
        try:
            after = _folded(self._latest, note)
        except HeadwaterError as error:
            raise StorageError(f"the definition made at version {version} cannot be read: {error.message}") from error
        self._add(version, after)

    def _add(self, version: int, after: Catalog) -> None:
        before = self._latest
        gone, come = {}, {}
        for name in _MAPS:
            old, new = getattr(before, name), getattr(after, name)
            gone[name] = frozenset(old.keys() - new.keys())
            come[name] = {key: item for key, item in new.items() if old.get(key) is not item}
        self._changes.append(_Change(version, gone, come))
        self._latest = after


def _folded(catalog: Catalog, note: dict[str, Any]) -> Catalog:
    for name in note.get("drop", ()):
        catalog = catalog.remove(name)
    for kind, name in note.get("drop_components", ()):
        catalog = catalog.without_component(kind, name)
    if "drop_function" in note:
        catalog = catalog.without_function(note["drop_function"])
    for made in note.get("replace", [note] if "create" in note else []):
        statement = parse_statement(made["create"])
        if isinstance(statement, syntax.CreateType):
            catalog = catalog.with_type(define_type(statement, {}))
            continue
        component = component_of(statement, catalog)
        if component is not None:
            catalog = catalog.with_component(component)
            continue
        if isinstance(statement, syntax.CreateFunction):
            catalog = catalog.with_function(define_function(statement, catalog, made.get("given", "")))
            continue
        assert isinstance(
            statement,
            syntax.CreateRelation | syntax.CreateView | syntax.CreateQueue | syntax.CreateAssertion | syntax.Insert,
        )
        catalog = replace(catalog, next_id=made["id"])
        item = define_item(statement, catalog.in_clock(made.get("clock", catalog.clock)))
        catalog = catalog.add(item.seen_from(catalog.clock))
    if "alter" in note:
        statement = parse_statement(note["alter"])
        assert isinstance(statement, syntax.Alter)
        catalog = catalog.with_item(altered(statement, catalog))
    if "drop_type" in note:
        catalog = catalog.without_type(note["drop_type"])
    return catalog
