"""CREATE FUNCTION: from the statement to the function in the catalog, and what a replacement takes along."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import duckdb

from headwater.errors import NameTaken, Span, SqlError, SyntaxProblem, TypeProblem, UnknownName, Unsupported, suggestion
from headwater.parser import syntax, unparse
from headwater.parser.quoting import quote_function
from headwater.planner.calls import is_known_call
from headwater.planner.catalog import Catalog
from headwater.planner.function_bodies import Body, BodyProblem, compiled, is_python_name
from headwater.planner.sql_types import expression_types, normal_type
from headwater.planner.user_functions import Function
from headwater.planner.views import Item, refuse_ledgers, remade
from headwater.values import Column

_PROPERTIES = ("vectorized", "incremental")

# Types whose values have no form of their own in Arrow, or in Python.
_NOT_HANDED_OVER = ("BIGNUM", "BIT", "ENUM", "UNION", "VARINT")


def define_function(statement: syntax.CreateFunction, catalog: Catalog, given: str = "") -> Function:
    """The function that `statement` makes, whatever it replaces; `given` marks one that the program gives."""
    name = statement.name
    if statement.language != "python":
        raise Unsupported(
            f"LANGUAGE {statement.language} is not supported yet", statement.span,
            hint="write LANGUAGE python, or CREATE VIEW for a query",
        )  # fmt: skip
    _refuse_known(name)
    parameters = tuple(_parameter(p, statement.parameters[:i]) for i, p in enumerate(statement.parameters))
    returns = _type(statement.returns, statement.span)
    options = _options(statement)
    body = None if statement.body is None else body_of(statement, statement.body)
    if statement.aggregate and not parameters:
        raise SqlError("an aggregate takes an argument", name.span, hint=f"CREATE AGGREGATE FUNCTION {name.text} (x …)")
    is_incremental = options["incremental"] if body is None else "retract" in body.methods
    if options["incremental"] and not is_incremental:
        raise SqlError(f"{name.text}() cannot take rows back: it has no method retract", name.span)
    normal = replace(
        statement,
        parameters=tuple(replace(p, type=c.type) for p, c in zip(statement.parameters, parameters, strict=True)),
        returns=returns, or_replace=False, if_not_exists=False,
    )  # fmt: skip
    return Function(
        name=name.text,
        id=catalog.next_id,
        parameters=parameters,
        returns=returns,
        definition=unparse(normal),
        body=None if statement.body is None else statement.body.text,
        is_aggregate=statement.aggregate,
        is_vectorized=options["vectorized"],
        is_incremental=is_incremental,
        called_on_null=statement.called_on_null,
        given=given,
    )


def body_of(statement: syntax.CreateFunction, text: syntax.Literal) -> Body:
    """The code of a body. Raises SyntaxProblem where it stands in the statement."""
    names = [parameter.name for parameter in statement.parameters]
    for name in names:
        if not is_python_name(name.text):
            raise SqlError(f'"{name.text}" cannot be a parameter in Python', name.span, hint="choose another name")
    try:
        return compiled(statement.name.text, [name.text for name in names], text.text, is_aggregate=statement.aggregate)
    except BodyProblem as problem:
        span = text.span if problem.place is None else _place_in(text, problem.place)
        raise SyntaxProblem(
            f"in the body of {statement.name.text}(): {problem.message}", span, hint=_form(statement)
        ) from None


def place_of_line(text: syntax.Literal, line: int) -> Span:
    """Where a line of a body, from 1, stands in the statement."""
    lines = text.text.split("\n")
    start = sum(len(other) + 1 for other in lines[: line - 1])
    shown = lines[line - 1] if line <= len(lines) else ""
    return _place_in(text, (start + len(shown) - len(shown.lstrip()), start + max(1, len(shown.rstrip()))))


def _place_in(text: syntax.Literal, place: tuple[int, int]) -> Span:
    """A range of characters of a string as a place in the statement: in '…' each quote is written twice."""
    is_doubled = text.span.end - text.span.start != len(text.text)
    start, end = (text.span.start + at + (text.text.count("'", 0, at) if is_doubled else 0) for at in place)
    return Span(start, end)


def _form(statement: syntax.CreateFunction) -> str:
    names = ", ".join(parameter.name.text for parameter in statement.parameters)
    name = statement.name.text
    if statement.aggregate:
        return f"write return … of arrays, def {name}({names}), or class {name} with accumulate and finish"
    return f"write return …, or def {name}({names}): …"


def _refuse_known(name: syntax.Identifier) -> None:
    """Raises for the name of a function that there is without the user."""
    if is_known_call(name.text) or _is_of_duckdb(name.text):
        raise NameTaken(f"{name.text}() is a function already", name.span, hint="choose another name")


def _is_of_duckdb(name: str) -> bool:
    try:
        expression_types((f"{quote_function(name)}()",), ())
    except duckdb.CatalogException:
        return False
    except duckdb.Error:
        pass
    return True


def _parameter(parameter: syntax.Parameter, before: Iterable[syntax.Parameter]) -> Column:
    name = parameter.name
    if any(other.name.text.lower() == name.text.lower() for other in before):
        raise SqlError(f'parameter "{name.text}" is named twice', name.span)
    return Column(name.text, _type(parameter.type, parameter.span))


def _type(type_name: str, span: Span) -> str:
    try:
        normal = normal_type(type_name)
    except TypeProblem as error:
        error.span = span
        raise
    words = set(normal.replace("(", " ").replace(")", " ").replace("[", " ").replace(",", " ").split())
    odd = next((word for word in _NOT_HANDED_OVER if word in words), None)
    if odd is not None:
        raise Unsupported(f"values of {odd} cannot be handed to Python", span, hint="use VARCHAR, and cast")
    return normal


def _options(statement: syntax.CreateFunction) -> dict[str, bool]:
    found = dict.fromkeys(_PROPERTIES, False)
    for item in statement.properties:
        name = item.name.lower()
        if name not in found:
            hint = suggestion(item.name, _PROPERTIES, "properties")
            raise UnknownName(f'a function has no property "{item.name}"', item.span, hint=hint)
        if item.value.lower() not in ("true", "false"):
            raise SqlError(f"{name} is true or false", item.span, hint=f"{name} = true")
        found[name] = item.value.lower() == "true"
        if name == "incremental" and not statement.aggregate:
            raise SqlError("only an aggregate is incremental", item.span, hint="write CREATE AGGREGATE FUNCTION")
        if name == "vectorized" and statement.aggregate:
            raise SqlError("an aggregate gets arrays always", item.span, hint="leave it out")
    if found["vectorized"] and not statement.parameters:
        raise SqlError(
            "a vectorized function takes an argument, which says how many rows there are", statement.name.span
        )
    return found


def replaced_function(made: Function, old: Function, catalog: Catalog, span: Span) -> tuple[list[Item], list[Item]]:
    """What a function that takes the place of another one takes away with it, and what is made anew of that.

    Raises NameTaken if one of them could not go on as it is.
    """
    gone = catalog.dependents(old)
    refuse_ledgers(gone, span)
    for item in reversed(gone):
        catalog = catalog.remove(item.name)
    return gone, remade(gone, catalog.with_function(made), f"{old.name}()", span)
