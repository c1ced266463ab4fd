"""The statements in the body of a pipeline, on their way to be those of an instance.

What they make gets a name that begins with that of the instance; what they read is what stands for the IN ports, and
what they have made before. Parameters become their values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from headwater.errors import NameTaken, SqlError, UnknownName, Unsupported, suggestion
from headwater.parser import syntax
from headwater.parser.syntax import Identifier, QualifiedName
from headwater.planner import ports
from headwater.planner.catalog import Catalog
from headwater.planner.components import PipelineDefinition
from headwater.planner.qualified import last_part, with_short_names

_Creation = syntax.CreateRelation | syntax.CreateView | syntax.CreateQueue | syntax.CreateInstance
_Statement = _Creation | syntax.Insert
_Queried = TypeVar("_Queried", bound=syntax.CreateRelation | syntax.CreateView | syntax.Insert)


def inside(name: str) -> Identifier:
    """The name of a relation as a statement of an instance has it, to which nothing of its own is private."""
    return QualifiedName(name, inspected=True) if "." in name else Identifier(name, quoted=True)


@dataclass(frozen=True)
class Meant:
    """What a name means in a body: a relation or, with a `port`, those columns of it that the port has."""

    name: Identifier
    port: syntax.Port | None = None


class Body:
    """The statements of a pipeline on their way to be those of an instance: what names and parameters mean in them."""

    def __init__(self, pipeline: PipelineDefinition, prefix: str, values: Mapping[str, syntax.Expression]) -> None:
        self.pipeline = pipeline
        self.names: dict[str, Meant] = {}
        self._inputs = {port.name.text.lower() for port in pipeline.inputs}
        self._inserts = 0  # so far
        self._prefix = prefix
        self._values = values

    def renamed(self, statement: syntax.Statement) -> _Statement:
        """A statement of the body as that of the instance. Raises SqlError for what a body cannot do."""
        if isinstance(statement, syntax.Insert):
            return self._insertion(statement)
        if not isinstance(statement, _Creation):
            raise Unsupported(
                "the body of a pipeline makes streams, tables, views, queues and instances, and this does none of that",
                statement.span, hint="do it outside, with what its OUT ports give",
            )  # fmt: skip
        if statement.or_replace or statement.if_not_exists:
            raise SqlError(
                "a statement of a pipeline makes what is not there yet", statement.span,
                hint="leave out OR REPLACE and IF NOT EXISTS",
            )  # fmt: skip
        own = self._own_name(statement.name)
        if isinstance(statement, syntax.CreateInstance):
            bindings = tuple(self._binding(binding) for binding in statement.bindings)
            return replace(statement, name=own, bindings=bindings)
        if isinstance(statement, syntax.CreateQueue):
            return replace(self._queue(statement), name=own)
        return replace(self._references(with_short_names(statement)), name=own)

    def _queue(self, statement: syntax.CreateQueue) -> syntax.CreateQueue:
        """A queue of whole records, so not of those of a port that are seen in part; its dead letters stay inside."""
        meant = self._meaning(statement.relation)
        if meant.port is not None:
            raise SqlError(
                f'a queue hands out whole records, and "{meant.name.text}" has more than the columns of the port '
                f"{statement.relation.text}, or has them in another order", statement.relation.span,
                hint=f"CREATE STREAM … AS SELECT … FROM {statement.relation.text} in the body, and a queue on that",
            )  # fmt: skip
        properties = tuple(
            replace(item, value=self._target(Identifier(item.value, span=item.span)).text)
            if item.name.lower() == "dead_letter"
            else item
            for item in statement.properties
        )
        return replace(statement, relation=replace(meant.name, span=statement.relation.span), properties=properties)

    def _insertion(self, statement: syntax.Insert) -> syntax.Insert:
        """A continuous INSERT into a stream that the body has made; the query is a part of the instance."""
        target = self._target(statement.relation)
        if isinstance(statement.query.body, syntax.Values):
            raise Unsupported(
                "the body of a pipeline inserts what a query gives, for ever", statement.span,
                hint="INSERT INTO … SELECT … FROM what the body knows",
            )  # fmt: skip
        self._inserts += 1
        name = syntax.Property("name", self._full(f"insert_{self._inserts}"))
        others = tuple(item for item in statement.properties if item.name.lower() not in ("name", "query_id"))
        renamed = self._references(with_short_names(statement))
        return replace(renamed, relation=target, properties=(name, *others))

    def learn(self, statement: syntax.Statement, catalog: Catalog) -> None:
        """Lets the statements that follow know what a statement has made."""
        if isinstance(statement, syntax.Insert):
            return
        assert isinstance(statement, _Creation)
        name = statement.name.text
        made = [name]
        if isinstance(statement, syntax.CreateInstance):
            made = [f"{name}.{port}" for port in sorted(catalog.instances[self._full(name).lower()].outputs)]
        for text in made:
            self.names[text.lower()] = Meant(inside(self._full(text)))

    def _full(self, name: str) -> str:
        return f"{self._prefix}.{name}"

    def _own_name(self, name: Identifier) -> QualifiedName:
        if "." in name.text:
            raise SqlError("what a pipeline makes is in no schema", name.span, hint="give it a name without a dot")
        if name.text.lower() in self.names or any(n.startswith(f"{name.text.lower()}.") for n in self.names):
            raise NameTaken(f'"{name.text}" is there already in this pipeline', name.span, hint="choose another name")
        return QualifiedName(self._full(name.text), name.quoted, span=name.span)

    def _binding(self, binding: syntax.Binding) -> syntax.Binding:
        """What a statement of the body gives to an instance: a relation that the body knows, or a value."""
        name = ports.name_in(binding)
        if name is None:
            return replace(binding, value=self._with_values(binding.value))
        meant = self._meaning(name).name
        parts = meant.parts if isinstance(meant, QualifiedName) else (meant.text,)
        value = syntax.Name(tuple(Identifier(p, True, span=name.span) for p in parts), span=name.span)
        return replace(binding, value=value)

    def _meaning(self, name: Identifier) -> Meant:
        meant = self.names.get(name.text.lower())
        if meant is not None:
            return meant
        hint = suggestion(name.text, self.names, "what it knows")
        raise UnknownName(
            f'"{self.pipeline.name}" knows no "{name.text}": it reads its IN ports, and what it has made before',
            name.span, hint=hint,
        )  # fmt: skip

    def _target(self, name: Identifier) -> Identifier:
        """The name of what rows are put into. Raises SqlError unless it is a stream that the body makes itself."""
        meant = self._meaning(name).name
        if name.text.lower() in self._inputs:
            raise SqlError(
                f'"{name.text}" is an IN port: an instance reads it, and does not write it', name.span,
                hint="put the rows into a stream that the body makes",
            )  # fmt: skip
        if "." in name.text:
            raise SqlError(
                f'"{name.text}" is written by the instance {name.text.partition(".")[0]} alone', name.span,
                hint="put the rows into a stream that the body makes",
            )  # fmt: skip
        return meant

    def _with_values(self, node: syntax.Expression) -> syntax.Expression:
        return syntax.rewrite(node, self._value)

    def _value(self, node: syntax.Node) -> syntax.Node | None:
        if not isinstance(node, syntax.Placeholder):
            return None
        value = self._values.get((node.name or "").lower())
        if value is None:
            names = [f"${parameter.name.text}" for parameter in self.pipeline.parameters]
            hint = suggestion(f"${node.name}", names, "parameters") or f"declare it as a port: PARAM {node.name} …"
            raise UnknownName(f'"{self.pipeline.name}" has no parameter ${node.name}', node.span, hint=hint)
        return replace(value, span=node.span)

    def _references(self, statement: _Queried) -> _Queried:
        ctes = {c.name.text.lower() for n in syntax.walk(statement) if isinstance(n, syntax.Query) for c in n.ctes}

        def change(node: syntax.Node) -> syntax.Node | None:
            match node:
                case syntax.Relation() if node.name.text.lower() not in ctes:
                    return self._relation(node)
                case syntax.WindowFunction(source=syntax.Relation() as source) if source.name.text.lower() not in ctes:
                    return syntax.rewrite(self._window(node, source), self._value)
                case syntax.OnError(into=Identifier() as into) | syntax.Check(into=Identifier() as into):
                    return replace(syntax.rewrite(node, self._value), into=self._target(into))
            return self._value(node)

        return syntax.rewrite(statement, change)

    def _relation(self, node: syntax.Relation) -> syntax.Relation | syntax.Derived:
        meant = self._meaning(node.name)
        alias = node.alias or (last_part(node.name) if isinstance(node.name, QualifiedName) else node.name)
        renamed = replace(node, name=replace(meant.name, span=node.name.span), alias=alias)
        return renamed if meant.port is None else ports.projected(renamed, meant.port, alias)

    def _window(self, node: syntax.WindowFunction, source: syntax.Relation) -> syntax.WindowFunction:
        """TUMBLE(payments, …), which goes by the name of what it reads and takes no alias inside."""
        renamed = self._relation(source)
        alias = node.alias or renamed.alias
        return replace(node, source=replace(renamed, alias=None), alias=alias)
