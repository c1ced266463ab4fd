"""The ports of a pipeline: which relation may stand for one, and which value for a parameter."""

from __future__ import annotations

from dataclasses import replace

from headwater.errors import SqlError, TypeProblem, UnknownName, suggestion
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Identifier, QualifiedName
from headwater.planner.catalog import Catalog, Relation
from headwater.planner.components import PipelineDefinition
from headwater.planner.create import column_of
from headwater.planner.expressions import bind_expression
from headwater.planner.scope import Scope
from headwater.planner.sql_types import constant_value, normal_type
from headwater.values import Column


def columns_of(port: syntax.Port) -> tuple[Column, ...]:
    """The columns that a port declares. Raises SqlError for a type that is none."""
    return tuple(column_of(column) for column in port.columns)


def key_of(port: syntax.Port) -> tuple[str, ...]:
    """The columns of the key that a port declares: of a table its PRIMARY KEY, of a stream its KEY."""
    return tuple(c.name.text for c in port.columns if (c.primary_key if port.kind == "TABLE" else c.key))


def bound_ports(
    statement: syntax.CreateInstance, pipeline: PipelineDefinition, catalog: Catalog, *, inside: bool = False
) -> dict[str, tuple[syntax.Port, Relation]]:
    """The relation that each IN port stands for, by its name in lower case. Raises SqlError where one does not fit.

    An instance that is made `inside` another one may read what is private to that.
    """
    found: dict[str, tuple[syntax.Port, Relation]] = {}
    given = _given(statement, pipeline)
    for port in pipeline.inputs:
        binding = given.get(port.name.text.lower())
        if binding is None:
            raise SqlError(
                f'nothing is given for the port {port.name.text} of "{pipeline.name}"', statement.name.span,
                hint=f"add {port.name.text} => a {port.kind.lower()} with {_listed(columns_of(port))}",
            )  # fmt: skip
        found[port.name.text.lower()] = port, _relation_for(port, binding, catalog, inside)
    return found


def bound_values(statement: syntax.CreateInstance, pipeline: PipelineDefinition) -> dict[str, syntax.Expression]:
    """The value of each parameter, by its name in lower case. Raises SqlError for one that is missing or not fit."""
    values: dict[str, syntax.Expression] = {}
    given = _given(statement, pipeline)
    for parameter in pipeline.parameters:
        name = parameter.name.text
        binding = given.get(name.lower())
        value = parameter.default if binding is None else binding.value
        if value is None:
            raise SqlError(
                f'nothing is given for the parameter {name} of "{pipeline.name}"', statement.name.span,
                hint=f"add {name} => a value of type {parameter.type}",
            )  # fmt: skip
        values[name.lower()] = value_of(parameter, value)
    return values


def tell_of_parameter(error: UnknownName, pipeline: PipelineDefinition) -> None:
    """Lets an error about a column that is called like a parameter say how parameters are written."""
    names = {parameter.name.text.lower(): parameter.name.text for parameter in pipeline.parameters}
    for node in syntax.walk(pipeline.statement):
        if isinstance(node, syntax.Name) and node.parts[-1].span == error.span:
            name = names.get(node.parts[-1].text.lower())
            error.hint = error.hint if name is None else f"${name} is the value of the parameter"


def value_of(parameter: syntax.PipelineParameter, value: syntax.Expression) -> syntax.Expression:
    """A value as a constant of a parameter's type. Raises SqlError for one that is none."""
    try:
        type_name = normal_type(parameter.type)
    except TypeProblem as error:
        error.span = parameter.span
        raise
    if any(isinstance(node, syntax.Name) for node in syntax.walk(value)):
        raise SqlError(f"the value of {parameter.name.text} is a constant, and this names a column", value.span)
    bind_expression(value, Scope(()))
    constant = syntax.Cast(value, type_name, span=value.span)
    if constant_value(unparse(constant)) is None:
        raise TypeProblem(
            f"cannot read {unparse(value)} as {type_name} for the parameter {parameter.name.text}", value.span
        )
    return constant


def _given(statement: syntax.CreateInstance, pipeline: PipelineDefinition) -> dict[str, syntax.Binding]:
    names = [*(port.name.text for port in pipeline.inputs), *(p.name.text for p in pipeline.parameters)]
    given: dict[str, syntax.Binding] = {}
    for binding in statement.bindings:
        name = binding.name.text
        if name.lower() in given:
            raise SqlError(f"{name} is given twice", binding.span, hint="keep one of them")
        if any(name.lower() == port.name.text.lower() for port in pipeline.outputs):
            raise SqlError(
                f'{name} is an OUT port of "{pipeline.name}", which makes it', binding.span,
                hint=f"leave it out, and read {statement.name.text}.{name}",
            )  # fmt: skip
        if name.lower() not in map(str.lower, names):
            hint = suggestion(name, names, "ports and parameters")
            raise UnknownName(f'"{pipeline.name}" has no port or parameter "{name}"', binding.name.span, hint=hint)
        given[name.lower()] = binding
    return given


def name_in(binding: syntax.Binding) -> Identifier | None:
    """The name of the relation that is given for a port; None for what is no name."""
    if not isinstance(binding.value, syntax.Name):
        return None
    parts = binding.value.parts
    if len(parts) == 1:
        return parts[0]
    text = ".".join(part.text for part in parts)
    return QualifiedName(text, any(part.quoted for part in parts), span=binding.value.span)


def _relation_for(port: syntax.Port, binding: syntax.Binding, catalog: Catalog, inside: bool) -> Relation:
    name = name_in(binding)
    if isinstance(name, QualifiedName):
        name = replace(name, inspected=inside)
    if name is None:
        raise SqlError(
            f"the port {port.name.text} takes the name of a {port.kind.lower()}", binding.value.span,
            hint=f"{port.name.text} => name",
        )  # fmt: skip
    view = catalog.view(name)
    kind = "VIEW" if view is not None else catalog.find(name).kind
    if kind != port.kind:
        raise TypeProblem(
            f'"{name.text}" is a {kind.lower()}, and the port {port.name.text} takes a {port.kind.lower()}',
            name.span, hint=f"CREATE {port.kind} … AS SELECT … FROM {name.text} makes one, if its rows can be",
        )  # fmt: skip
    relation = catalog.find(name)
    refuse_other(port, relation, f"the port {port.name.text}", name)
    return relation


def refuse_other(port: syntax.Port, relation: Relation, what: str, at: syntax.Node, *, exactly: bool = False) -> None:
    """Raises TypeProblem if a relation does not have what a port declares; `exactly`, if it has anything else."""
    known = {column.name.lower(): column.type for column in relation.columns}
    for column in columns_of(port):
        if column.name.lower() not in known:
            raise TypeProblem(
                f'"{relation.name}" has no column {column.name} {column.type}, which {what} has', at.span,
                hint=f"it has {_listed(relation.columns)}",
            )  # fmt: skip
        if known[column.name.lower()] != column.type:
            raise TypeProblem(
                f"{column.name} is {known[column.name.lower()]} in \"{relation.name}\", and {column.type} in {what}",
                at.span, hint=f"CAST({column.name} AS {column.type}) makes it one",
            )  # fmt: skip
    if exactly and tuple(c.name.lower() for c in columns_of(port)) != tuple(known):
        raise TypeProblem(
            f'"{relation.name}" has the columns {_listed(relation.columns)}, and {what} has '
            f"{_listed(columns_of(port))}", at.span, hint="give the columns of the port, in its order",
        )  # fmt: skip
    _refuse_other_key(port, relation, what, at)


def _refuse_other_key(port: syntax.Port, relation: Relation, what: str, at: syntax.Node) -> None:
    """A table has the key that is declared. A stream of several partitions is spread by it, or made by a query."""
    key = key_of(port)
    if not key:
        return
    if port.kind == "TABLE":
        found = relation.key or ()
    else:
        found = key if relation.is_derived or relation.partitions == 1 else relation.partition_key
    if {name.lower() for name in found} != {name.lower() for name in key}:
        word = "PRIMARY KEY" if port.kind == "TABLE" else "KEY"
        has = f"{word} ({', '.join(found)})" if found else f"no {word}"
        raise TypeProblem(
            f'"{relation.name}" has {has}, and {what} has {word} ({", ".join(key)})', at.span,
            hint=f"leave out the {word} of the port, or give what has it",
        )  # fmt: skip


def refuse_queue(port: syntax.Port) -> None:
    """Raises SqlError for an IN port that is a queue: programs receive from one, and queries read its stream."""
    if port.kind == "QUEUE":
        raise SqlError(
            f"a queue cannot be an IN port: nothing in a body receives from {port.name.text}", port.name.span,
            hint=f"IN {port.name.text} STREAM (…) reads the records, OUT {port.name.text} QUEUE (…) hands some out",
        )  # fmt: skip


def as_source(port: syntax.Port) -> syntax.CreateRelation:
    """An IN port as the stream or table that a body is checked with."""
    return syntax.CreateRelation(port.kind, port.name, port.columns, span=port.span)


def _listed(columns: tuple[Column, ...]) -> str:
    return ", ".join(f"{column.name} {column.type}" for column in columns)


def projected(relation: syntax.Relation, port: syntax.Port, alias: Identifier | None) -> syntax.Derived:
    """What a body reads in the place of a port whose relation has other columns, too: those of the port alone."""
    items = tuple(syntax.SelectItem(syntax.Name((replace(c.name, span=relation.span),))) for c in port.columns)
    select = syntax.Select(items, replace(relation, alias=None), span=relation.span)
    return syntax.Derived(syntax.Query(select, span=relation.span), alias, span=relation.span)
