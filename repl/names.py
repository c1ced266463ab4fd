"""The names that a database has, for completion: relations with their columns, views, types and functions of users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from headwater.engine.database import Database
from headwater.values import Column


@dataclass(frozen=True, slots=True)
class Named:
    """A relation: `kind` is stream, table or view. `definition` is the text of what is computed."""

    name: str
    kind: str
    columns: tuple[Column, ...] = ()
    definition: str = ""
    is_query: bool = False


@dataclass(frozen=True)
class Names:
    """What there is, by names in lower case. Functions have their signatures."""

    relations: Mapping[str, Named] = field(default_factory=dict)
    types: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, str] = field(default_factory=dict)
    components: tuple[tuple[str, str], ...] = ()  # kind and name of schemas, pipelines and instances

    @cached_property
    def columns(self) -> tuple[tuple[Column, str], ...]:
        """The columns of all relations, each name once, with the relation that it is from."""
        found: dict[str, tuple[Column, str]] = {}
        for relation in self.relations.values():
            for column in relation.columns:
                found.setdefault(column.name, (column, relation.name))
        return tuple(found.values())


def names_of(database: Database) -> Names:
    """The names that a database has now, without what is private to an instance."""
    catalog = database.pipeline.catalog
    seen = [r for r in catalog.ordered() if not catalog.is_private(r.name)]
    relations = [Named(r.name, r.kind.lower(), r.columns, r.definition, r.has_query) for r in seen]
    views = [
        Named(v.name, "view", definition=v.definition) for v in catalog.views.values() if not catalog.is_private(v.name)
    ]
    return Names(
        {named.name.lower(): named for named in (*relations, *views)},
        {named.name: named.type for named in catalog.types.values()},
        {f.name: f"{f.signature} -> {f.returns}" for f in catalog.functions.values()},
        tuple((c.kind, c.name) for c in catalog.components.values() if catalog.owner(c.name) is None),
    )
