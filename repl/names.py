"""The names that a database has, for completion: relations with their columns, views, types and functions of users."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

from headwater.engine.database import Database
from headwater.parser import unparse
from headwater.planner.components import PipelineDefinition
from headwater.values import Column


@dataclass(frozen=True, slots=True)
class Named:
    """A relation: `kind` is stream, table or view. `definition` is the text of what is computed."""

    name: str
    kind: str
    columns: tuple[Column, ...] = ()
    definition: str = ""
    is_query: bool = False


@dataclass(frozen=True, slots=True)
class Port:
    """Something that an instance is given: `kind` is stream, table or param."""

    name: str
    kind: str
    meaning: str


@dataclass(frozen=True)
class Names:
    """What there is, by names in lower case. Functions have their signatures. `private` are relations of instances that
    are named behind INSPECT only; `ports` are those of each pipeline that are given.
    """

    relations: Mapping[str, Named] = field(default_factory=dict)
    private: Mapping[str, Named] = field(default_factory=dict)
    ports: Mapping[str, tuple[Port, ...]] = field(default_factory=dict)
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
    """The names that a database has now."""
    catalog = database.pipeline.catalog
    relations = [Named(r.name, r.kind.lower(), r.columns, r.definition, r.has_query) for r in catalog.ordered()]
    views = [Named(v.name, "view", definition=v.definition) for v in catalog.views.values()]
    known = {named.name.lower(): named for named in (*relations, *views)}
    return Names(
        {name: named for name, named in known.items() if not catalog.is_private(name)},
        {name: named for name, named in known.items() if catalog.is_private(name)},
        {name: _ports(pipeline) for name, pipeline in catalog.pipelines.items()},
        {named.name: named.type for named in catalog.types.values()},
        {f.name: f"{f.signature} -> {f.returns}" for f in catalog.functions.values()},
        tuple((c.kind, c.name) for c in catalog.components.values() if catalog.owner(c.name) is None),
    )


def _ports(pipeline: PipelineDefinition) -> tuple[Port, ...]:
    """What an instance of a pipeline is given: relations for its IN ports, and values of parameters."""
    inputs = [Port(p.name.text, p.kind.lower(), unparse(p).partition(f"{p.name.text} ")[2]) for p in pipeline.inputs]
    values = [Port(p.name.text, "param", unparse(p).partition(f"{p.name.text} ")[2]) for p in pipeline.parameters]
    return (*inputs, *values)
