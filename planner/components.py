"""What the catalog holds besides relations and views: schemas, pipelines, and the instances that run them.

None of them does anything at run time. A schema is a beginning of names; a pipeline is the text of its statements; an
instance is a beginning of names, too, of the relations that its pipeline's statements made when it was created.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from headwater.parser import unparse
from headwater.parser.syntax import (
    CreateInstance,
    CreatePipeline,
    Identifier,
    Name,
    PipelineParameter,
    Port,
    QualifiedName,
)


@dataclass(frozen=True, slots=True)
class Schema:
    """A name that names of relations, pipelines and instances may begin with."""

    name: str

    kind = "SCHEMA"


@dataclass(frozen=True)
class PipelineDefinition:
    """CREATE PIPELINE: statements with ports, which read nothing but their IN ports and each other."""

    name: str
    statement: CreatePipeline
    definition: str

    kind = "PIPELINE"

    @property
    def ports(self) -> tuple[Port, ...]:
        return tuple(port for port in self.statement.ports if isinstance(port, Port))

    @property
    def inputs(self) -> tuple[Port, ...]:
        return tuple(port for port in self.ports if port.direction == "IN")

    @property
    def outputs(self) -> tuple[Port, ...]:
        return tuple(port for port in self.ports if port.direction == "OUT")

    @property
    def parameters(self) -> tuple[PipelineParameter, ...]:
        return tuple(port for port in self.statement.ports if isinstance(port, PipelineParameter))

    @property
    def used(self) -> tuple[str, ...]:
        """The pipelines of which it makes instances, in lower case."""
        made = (inner for inner in self.statement.statements if isinstance(inner, CreateInstance))
        return tuple(inner.pipeline.text.lower() for inner in made)


@dataclass(frozen=True)
class Instance:
    """CREATE INSTANCE: the relations whose names begin with its own. `outputs`, in lower case, can be seen by all.

    `clock` says whether they move with the database, or at a pace of their own.
    """

    name: str
    pipeline: str
    statement: CreateInstance
    definition: str
    outputs: frozenset[str]
    clock: Literal["shared", "own"] = "shared"

    kind = "INSTANCE"

    @property
    def reads(self) -> list[str]:
        """The names of what was given for its IN ports."""
        return [unparse(b.value) for b in self.statement.bindings if isinstance(b.value, Name)]


def is_inside(name: Identifier) -> bool:
    """Whether a name stands behind INSPECT, or in a statement of an instance: nothing is hidden then."""
    return isinstance(name, QualifiedName) and name.inspected


Component = Schema | PipelineDefinition | Instance
