"""CREATE PIPELINE and CREATE INSTANCE: an instance is made by making what the statements of its pipeline make.

In go the statements of a pipeline and what is given for its ports; out come the same statements about relations whose
names begin with that of the instance, one after the other, as if they had been typed. So nothing at run time knows of
instances, and equal parts of several are one computation. A pipeline is checked by making an instance of it over
relations that have what its IN ports declare.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeVar

from headwater.errors import NameTaken, SqlError, TypeProblem, UnknownName, Unsupported, suggestion
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier, QualifiedName
from headwater.planner import ports
from headwater.planner.catalog import Catalog, Relation, View
from headwater.planner.components import Component, Instance, PipelineDefinition, Schema
from headwater.planner.create import define
from headwater.planner.qualified import last_part, with_short_names
from headwater.planner.views import Item, define_item

_Creation = syntax.CreateRelation | syntax.CreateView | syntax.CreateQueue | syntax.CreateInstance
_Statement = _Creation | syntax.Insert
_Queried = TypeVar("_Queried", bound=syntax.CreateRelation | syntax.CreateView | syntax.Insert)

Made = Item | Instance
Old = Mapping[str, Item]

CLOCKS = ("shared", "own")
DEPTH_MAX = 32  # of instances inside instances


def define_pipeline(statement: syntax.CreatePipeline) -> PipelineDefinition:
    """The pipeline that `statement` declares; see `check_pipeline` for whether it can be."""
    statement = replace(statement, or_replace=False, if_not_exists=False)
    return PipelineDefinition(statement.name.text, statement, unparse(statement))


def define_instance(statement: syntax.CreateInstance, catalog: Catalog) -> Instance:
    """The instance itself, without its relations."""
    statement = replace(statement, or_replace=False, if_not_exists=False)
    pipeline = find_pipeline(statement.pipeline, catalog)
    outputs = frozenset(port.name.text.lower() for port in pipeline.outputs)
    return Instance(statement.name.text, pipeline.name, statement, unparse(statement), outputs, _clock(statement))


def component_of(statement: syntax.Statement, catalog: Catalog) -> Component | None:
    """The schema, pipeline or instance that a statement makes; None for one that makes something else."""
    match statement:
        case syntax.CreateSchema():
            return Schema(statement.name.text)
        case syntax.CreatePipeline():
            return define_pipeline(statement)
        case syntax.CreateInstance():
            return define_instance(statement, catalog)
    return None


def find_pipeline(name: Identifier, catalog: Catalog) -> PipelineDefinition:
    """The pipeline that a name refers to. Raises UnknownName with the nearest one."""
    found = catalog.pipelines.get(name.text.lower())
    if found is None:
        hint = suggestion(name.text, (p.name for p in catalog.pipelines.values()), "pipelines")
        raise UnknownName(f'there is no pipeline "{name.text}"', name.span, hint=hint)
    return found


def find_instance(name: Identifier, catalog: Catalog) -> Instance:
    """The instance that a name refers to. Raises UnknownName with the nearest one."""
    found = catalog.instances.get(name.text.lower())
    if found is None:
        hint = suggestion(name.text, (i.name for i in catalog.instances.values()), "instances")
        raise UnknownName(f'there is no instance "{name.text}"', name.span, hint=hint)
    return found


def _clock(statement: syntax.CreateInstance) -> Literal["shared", "own"]:
    clock: Literal["shared", "own"] = "shared"
    for item in statement.properties:
        if item.name != "clock":
            raise UnknownName(f'an instance has no property "{item.name}"', item.span, hint="clock = 'shared'")
        if item.value not in CLOCKS:
            raise SqlError("clock is 'shared' or 'own'", item.span, hint="clock = 'shared' moves with the database")
        clock = "own" if item.value == "own" else "shared"
    return clock


# ---------------------------------------------------------------- instances


def instantiated(statement: syntax.CreateInstance, catalog: Catalog, old: Old = MappingProxyType({})) -> list[Made]:
    """The instance that `statement` makes and all that is in it, in the order of their making. Raises SqlError; one in
    the body of a pipeline, which has been checked, is told at the statement.

    Of the `old` relations and views, by their names in lower case, those stay that would be made again as they are. A
    stream does not, if queries have put rows there that do not: it would have these twice. All is made anew in an
    instance with a clock of its own: its relations are seen from there.
    """
    while True:
        made = list(_instantiated(statement, catalog, old, 0))
        kept = [item for item in made if isinstance(item, Relation) and old.get(item.name.lower()) is item]
        twice = {i.name.lower() for i in kept if _writers(i, made) != _writers(i, old.values())}
        if not twice:
            return made
        old = {name: item for name, item in old.items() if name not in twice}


def _writers(stream: Relation, items: Iterable[Made]) -> set[int]:
    """The ids of the queries among items that put rows into a stream."""
    return {item.id for item in items if isinstance(item, Relation) and stream.id in item.targets}


def _instantiated(statement: syntax.CreateInstance, catalog: Catalog, old: Old, depth: int) -> Iterator[Made]:
    if depth == DEPTH_MAX:
        raise Unsupported(f"there are more than {DEPTH_MAX} instances inside each other", statement.span)
    pipeline = find_pipeline(statement.pipeline, catalog)
    instance = define_instance(statement, catalog)
    bound = ports.bound_ports(statement, pipeline, catalog, inside=depth > 0)
    body = _Body(pipeline, instance.name, ports.bound_values(statement, pipeline))
    for name, (port, relation) in bound.items():
        body.names[name] = _Meant(_inside(relation.name), port if _has_more(relation, port) else None)
    yield instance
    catalog = catalog.with_component(instance)
    if instance.clock == "own":
        catalog, old = catalog.in_clock(catalog.next_id), {}
    try:
        yield from _made(body, catalog, old, depth)
    except SqlError as error:
        error.message, error.span = f'in pipeline "{pipeline.name}": {error.message}', statement.name.span
        raise


def _made(body: _Body, catalog: Catalog, old: Old, depth: int) -> Iterator[Made]:
    """What the statements of a body make, each known to those behind it."""
    for inner in body.pipeline.statement.statements:
        statement = body.renamed(inner)
        if isinstance(statement, syntax.CreateInstance):
            for made in _instantiated(statement, catalog, old, depth + 1):
                yield made
                catalog = with_made(catalog, made)
        else:
            item = define_item(statement, catalog)
            before = old.get(item.name.lower())
            if before is not None and _said(before) == _said(item):
                item = before
            yield item
            catalog = with_made(catalog, item)
        body.learn(inner, catalog)


def _said(item: Item) -> tuple[object, ...]:
    """What an item is made of: two of which this is equal are the same, but for their ids."""
    targets = item.targets if isinstance(item, Relation) else frozenset[int]()
    return item.definition, item.reads, targets


def with_made(catalog: Catalog, made: Made) -> Catalog:
    """A catalog with something more. Raises SqlError for a name that is taken."""
    if isinstance(made, Instance):
        return catalog.with_component(made)
    return catalog.add(made.seen_from(catalog.clock))


def _has_more(relation: Relation, port: syntax.Port) -> bool:
    """Whether a relation has other columns than those of the port, or in another order."""
    declared = [column.name.text.lower() for column in port.columns]
    return [column.name.lower() for column in relation.columns] != declared


def _inside(name: str) -> Identifier:
    """The name of a relation as a statement of an instance has it, to which nothing of its own is private."""
    return QualifiedName(name, inspected=True) if "." in name else Identifier(name, quoted=True)


@dataclass(frozen=True)
class _Meant:
    """What a name means in a body: a relation or, with a `port`, those columns of it that the port has."""

    name: Identifier
    port: syntax.Port | None = None


class _Body:
    """The statements of a pipeline on their way to be those of an instance: what names and parameters mean in them."""

    def __init__(self, pipeline: PipelineDefinition, prefix: str, values: Mapping[str, syntax.Expression]) -> None:
        self.pipeline = pipeline
        self.names: dict[str, _Meant] = {}
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
            self.names[text.lower()] = _Meant(_inside(self._full(text)))

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

    def _meaning(self, name: Identifier) -> _Meant:
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


# ---------------------------------------------------------------- pipelines


def check_pipeline(pipeline: PipelineDefinition, catalog: Catalog) -> Catalog:
    """Raises SqlError, at its place in the body, for a pipeline of which nobody could make an instance. Gives what the
    body makes, over relations for its IN ports.
    """
    _refuse_repeated(pipeline)
    _refuse_cycle(pipeline, catalog)
    pipelines = {("PIPELINE", name): known for name, known in catalog.pipelines.items()}
    known = Catalog(types=catalog.types, functions=catalog.functions, components=pipelines, next_id=catalog.next_id)
    values = {p.name.text.lower(): _any_value(p) for p in pipeline.parameters}
    body = _Body(pipeline, pipeline.name, values)
    for port in pipeline.inputs:
        ports.refuse_queue(port)
        known = known.add(define(ports.as_source(port), known))
        body.names[port.name.text.lower()] = _Meant(Identifier(port.name.text, quoted=True))
    known = known.with_component(_checked(pipeline))
    for made in list(_made(body, known, {}, 0)):
        known = with_made(known, made)
    for port in pipeline.outputs:
        _check_output(port, pipeline, known)
    return known


def _checked(pipeline: PipelineDefinition) -> Instance:
    """The instance that a pipeline is checked as, in a catalog that has nothing else."""
    statement = syntax.CreateInstance(Identifier(pipeline.name), Identifier(pipeline.name))
    return Instance(pipeline.name, pipeline.name, statement, "", frozenset())


def _any_value(parameter: syntax.PipelineParameter) -> syntax.Expression:
    """A value that a body is checked with: the default, or NULL of the type."""
    return ports.value_of(parameter, parameter.default or syntax.Literal("null", "null", span=parameter.span))


def _check_output(port: syntax.Port, pipeline: PipelineDefinition, made: Catalog) -> None:
    name = port.name.text
    item = made.named(f"{pipeline.name}.{name}")
    creation = f"CREATE {port.kind} {name} {'ON a stream' if port.kind == 'QUEUE' else 'AS SELECT …'}"
    if item is None:
        raise SqlError(
            f'the body makes no {port.kind.lower()} "{name}", which is an OUT port', port.name.span,
            hint=f"add {creation};",
        )  # fmt: skip
    if isinstance(item, View) or item.made_as != port.kind:
        raise TypeProblem(
            f'the body makes a {item.made_as.lower()} "{name}", and the OUT port is a {port.kind.lower()}',
            port.name.span, hint=f"let the body {creation}",
        )  # fmt: skip
    records = item if item.queue is None else made.by_id(item.queue.stream)
    ports.refuse_other(port, replace(records, name=name), f"the port {name}", port, exactly=True)


def _refuse_repeated(pipeline: PipelineDefinition) -> None:
    seen: set[str] = set()
    for item in pipeline.statement.ports:
        if item.name.text.lower() in seen:
            raise NameTaken(f'"{item.name.text}" is declared twice', item.name.span, hint="choose another name")
        seen.add(item.name.text.lower())


def _refuse_cycle(pipeline: PipelineDefinition, catalog: Catalog) -> None:
    """Raises SqlError for a pipeline with an instance of itself in it, also by way of others."""
    own = pipeline.name.lower()
    known = {**catalog.pipelines, own: pipeline}

    def way(name: str, before: tuple[str, ...]) -> tuple[str, ...] | None:
        if name == own and before:
            return (*before, name)
        if name in before or name not in known:
            return None
        return next((found for used in known[name].used if (found := way(used, (*before, name)))), None)

    for inner in pipeline.statement.statements:
        if isinstance(inner, syntax.CreateInstance):
            cycle = way(inner.pipeline.text.lower(), (own,))
            if cycle is not None:
                raise SqlError(
                    f"a pipeline cannot be part of itself: {' → '.join(known[name].name for name in cycle)}",
                    inner.pipeline.span, hint="let it read what the other one gives, by an IN port",
                )  # fmt: skip
