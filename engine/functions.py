"""Functions of users in an open database: their code, and the statements that make, drop and show them.

The catalog has the definitions. The code of those that have none in SQL is what the program gives: to `connect`, or to
`create_function` and `create_aggregate`. Python code runs in this process, with all that this may do.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from headwater.engine.composing import noted
from headwater.engine.pipeline import Pipeline
from headwater.engine.result import Result
from headwater.errors import HeadwaterError, NameTaken, Span, SqlError, StorageError, UnknownName, suggestion
from headwater.executor import python_functions
from headwater.parser import parse_statement, syntax
from headwater.planner import Catalog, Function, Relation, View, define_function, replaced_function
from headwater.planner.define_function import body_of, place_of_line
from headwater.planner.user_functions import calls_in, identifier
from headwater.storage import Storage

_TOKEN_BYTES = 8


class Functions:
    """The code of a database's functions. `given` is what the program gives, by name."""

    def __init__(self, storage: Storage, given: Mapping[str, Any]) -> None:
        self._storage = storage
        self._given: dict[str, Any] = {}
        for name, target in given.items():
            self.give(name, target)
        self._provided: dict[str, Function] = {}  # by their internal names

    def give(self, name: str, target: Any) -> None:
        """What the program gives as a function. Raises SqlError for what cannot be called."""
        if not callable(target):
            raise SqlError(f'what is given as "{name}" cannot be called', hint="give a function, or a class")
        self._given[name.lower()] = target

    def given(self, name: str) -> Any:
        """What the program gives as the function of that name, or None."""
        return self._given.get(name.lower())

    @property
    def all_given(self) -> Mapping[str, Any]:
        """What the program gives, by name."""
        return self._given

    @contextmanager
    def giving(self, name: str, target: Any) -> Iterator[None]:
        """Takes what the program gives for a statement that defines it; if that fails, what it gave before counts."""
        before = self.given(name)
        self.give(name, target)
        try:
            yield
        except BaseException:
            if before is None:
                del self._given[name.lower()]
            else:
                self._given[name.lower()] = before
            raise

    def takes(self, name: str, target: Any, statement: syntax.CreateFunction, catalog: Catalog) -> bool:
        """Whether the code is of a function that is there already, as `statement` says: nothing is to be defined then.

        Raises NameTaken if that has other code.
        """
        function = catalog.functions.get(name.lower())
        if function is None or function.body is not None or statement.or_replace:
            return False
        if define_function(statement, catalog).definition != function.definition:
            return False
        if function.internal not in self._provided:
            with self.giving(name, target):
                self.provide(function)
        elif self.given(name) is not target:
            raise NameTaken(f"{function.signature} has been given before", hint="say or_replace=True")
        return True

    def close(self) -> None:
        """Forgets all code: another database may give other functions by these names."""
        python_functions.withdraw(self._provided.values())
        self._provided = {}

    # ---------------------------------------------------------------- code

    def loaded(self, catalog: Catalog) -> Catalog:
        """`catalog`, whose functions can be called now. Raises StorageError if queries need one that is not given."""
        for function in catalog.functions.values():
            users = [item.name for item in catalog.dependents(function) if isinstance(item, Relation)]
            try:
                self.provide(function)
            except HeadwaterError as error:
                if users:
                    problem = f"{', '.join(users)} cannot be computed: {error.message}"
                    raise StorageError(problem, hint=error.hint) from error
        return catalog

    def provide(self, function: Function, statement: syntax.CreateFunction | None = None) -> None:
        """Makes a function one that can be called. Raises SqlError if its code is not given, or does not run.

        `statement` is the one that makes it, for the places in it.
        """
        if function.internal in self._provided:
            return
        if function.body is None:
            target = self.given(function.name)
            if target is None:
                raise SqlError(
                    f"the program has not given {function.signature}",
                    hint=f"connect(path, functions={{'{function.name}': …}})",
                )
        else:
            target = _run(function, statement)
        _check_target(function, target)
        try:
            python_functions.provide(function, target)
        except python_functions.Conflict:
            raise StorageError(
                f"{function.name}() is another function in a copy of this database that is open, too",
                hint="give both the same, or close one",
            ) from None
        self._provided[function.internal] = function

    def check(self, node: syntax.Node, catalog: Catalog) -> None:
        """Raises SqlError where `node` calls a function whose code the program has not given."""
        for call, function in calls_in(node, catalog.functions):
            try:
                self.provide(function)
            except SqlError as error:
                error.span = call.span
                raise
        for inner in syntax.walk(node):
            view = catalog.view(inner.name) if isinstance(inner, syntax.Relation) else None
            if view is not None:
                try:
                    self.check(view.query, catalog)
                except SqlError as error:
                    error.message, error.span = f'in view "{view.name}": {error.message}', inner.span
                    raise

    def check_given(self, function: Function, span: Span) -> None:
        """Raises SqlError for a function whose code the program has not given."""
        try:
            self.provide(function)
        except SqlError as error:
            error.span = error.span or span
            raise

    def check_relation(self, relation: Relation, catalog: Catalog, span: Span) -> None:
        """Raises SqlError if a relation is computed by a function whose code the program has not given."""
        for function in catalog.functions.values():
            if function.internal not in self._provided and relation in catalog.dependents(function):
                try:
                    self.provide(function)
                except SqlError as error:
                    message = f'"{relation.name}" cannot be computed: {error.message}'
                    raise SqlError(message, span, hint=error.hint) from error

    def token(self, body: object) -> str:
        """What tells a function that has no body from all others: some letters, chosen at random."""
        return "" if body is not None else self._storage.random_bytes(_TOKEN_BYTES).hex()


def _run(function: Function, statement: syntax.CreateFunction | None) -> Any:
    """The function or class that a body leaves behind. Raises SqlError if it raises something."""
    if statement is None:
        parsed = parse_statement(function.definition)
        assert isinstance(parsed, syntax.CreateFunction)
        statement = parsed
    assert statement.body is not None
    body = body_of(statement, statement.body)
    module: dict[str, Any] = {"__name__": f"<function {function.name}>"}
    try:
        exec(body.code, module)
    except Exception as error:
        trace, line = error.__traceback__, 1
        while trace is not None:
            line = trace.tb_lineno if trace.tb_frame.f_code.co_filename == f"<function {function.name}>" else line
            trace = trace.tb_next
        text = str(error).partition("\n")[0]
        raise SqlError(
            f"the body of {function.name}() cannot be run: {type(error).__name__}: {text}",
            place_of_line(statement.body, line),
        ) from error
    return module[body.handler]


def _check_target(function: Function, target: Any) -> None:
    """Raises SqlError for code that is not of the kind that was defined."""
    if function.is_aggregate and isinstance(target, type):
        missing = [m for m in ("accumulate", "finish") if not callable(getattr(target, m, None))]
        if missing:
            raise SqlError(f"the class of {function.name}() has no method {missing[0]}")
    elif isinstance(target, type) and function.body is not None:
        raise SqlError(f"{function.name}() is a class, which makes an aggregate", hint="CREATE AGGREGATE FUNCTION …")
    if function.is_incremental and not callable(getattr(target, "retract", None)):
        raise SqlError(
            f"{function.name}() cannot take rows back: it has no method retract", hint="define it in a class"
        )


# ---------------------------------------------------------------- statements


def create(
    statement: syntax.CreateFunction, pipeline: Pipeline, functions: Functions, check: Callable[[View, Catalog], None]
) -> Result:
    """Runs CREATE FUNCTION: one commit, with the first rows of the queries that are made anew because of it.

    `check` raises SqlError for a view that nobody could ask any more.
    """
    catalog, name = pipeline.catalog, statement.name
    old = catalog.functions.get(name.text.lower())
    if old is not None and not statement.or_replace:
        if statement.if_not_exists:
            return Result.of_message(f"{old.name} exists already")
        raise NameTaken(
            f'the function "{old.name}" exists already', name.span,
            hint=f"write CREATE OR REPLACE, or DROP FUNCTION {old.name}; first",
        )  # fmt: skip
    made = define_function(statement, catalog, functions.token(statement.body))
    try:
        functions.provide(made, statement)
    except SqlError as error:
        error.span = error.span or name.span
        raise
    note: dict[str, Any] = {"create": made.definition, "id": made.id}
    if made.given:
        note["given"] = made.given
    if old is None:
        pipeline.rename(catalog.with_function(made), note)
        return Result.of_message(f"created function {made.name}")
    gone, again = replaced_function(made, old, catalog, name.span)
    for item in gone:
        catalog = catalog.remove(item.name)
    catalog = catalog.without_function(old.name).with_function(made)
    for item in again:
        catalog = catalog.add(item)
        if isinstance(item, View):
            check(item, catalog)
    also = [noted(item) for item in again]
    whole = {"drop": [i.name for i in reversed(gone)], "drop_function": old.name, "replace": [note, *also]}
    pipeline.define(catalog, [item for item in again if isinstance(item, Relation)], whole)
    names = f", and {', '.join(item.name for item in again)} with it" if again else ""
    return Result.of_message(f"replaced function {made.name}{names}")


def drop(statement: syntax.Drop, pipeline: Pipeline) -> Result:
    """Runs DROP FUNCTION."""
    catalog = pipeline.catalog
    if statement.if_exists and statement.name.text.lower() not in catalog.functions:
        return Result.of_message(f"there is no {statement.name.text}")
    function = find(statement.name, catalog)
    dependents = catalog.dependents(function)
    if dependents and not statement.cascade:
        raise NameTaken(
            f"{function.name}() is called by {', '.join(d.name for d in dependents)}", statement.name.span,
            hint=f"drop them first, or write DROP FUNCTION {function.name} CASCADE",
        )  # fmt: skip
    dropped = [item.name for item in reversed(dependents)]
    for item in dropped:
        catalog = catalog.remove(item)
    pipeline.rename(catalog.without_function(function.name), {"drop": dropped, "drop_function": function.name})
    return Result.of_message(f"dropped {', '.join([*dropped, function.name])}")


def find(name: syntax.Identifier, catalog: Catalog) -> Function:
    """The function of a user that `name` means. Raises UnknownName with the nearest one."""
    function = catalog.functions.get(name.text.lower())
    if function is None:
        hint = suggestion(name.text, (f.name for f in catalog.functions.values()), "functions")
        raise UnknownName(
            f'CREATE FUNCTION has made no function "{name.text}"', name.span,
            hint=hint or "CREATE FUNCTION f (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$ … $$",
        )  # fmt: skip
    return function


def facts(function: Function, catalog: Catalog) -> list[tuple[str, str | None]]:
    """What DESCRIBE FUNCTION says."""
    users = catalog.dependents(function)
    found: list[tuple[str, str | None]] = [
        ("signature", function.signature),
        ("returns", function.returns),
        ("kind", kind_of(function)),
        ("language", "python"),
        ("on NULL", "called" if function.called_on_null else "NULL, not called"),
        ("code", _code(function)),
        ("called by", ", ".join(item.name for item in users) or None),
    ]
    return [*found, ("definition", function.definition)]


def shown(function: Function) -> tuple[str, ...]:
    """What SHOW FUNCTIONS says of a function: name, parameters, returns, kind, code."""
    parameters = ", ".join(f"{p.name} {p.type}" for p in function.parameters)
    return function.name, parameters, function.returns, kind_of(function), _code(function)


def _code(function: Function) -> str:
    return "SQL" if function.body is not None else "the program"


def kind_of(function: Function) -> str:
    """What kind of function it is, in a few words."""
    if function.is_aggregate:
        return "aggregate, incremental" if function.is_incremental else "aggregate"
    return "vectorized" if function.is_vectorized else "scalar"


# ---------------------------------------------------------------- the library


def statement_of(
    name: str,
    target: Any,
    parameters: Sequence[str] | Mapping[str, str],
    returns: str,
    *,
    aggregate: bool = False,
    vectorized: bool = False,
    called_on_null: bool = False,
    or_replace: bool = False,
) -> syntax.CreateFunction:
    """CREATE FUNCTION of what a program gives."""
    types = list(parameters.values()) if isinstance(parameters, Mapping) else list(parameters)
    names = list(parameters) if isinstance(parameters, Mapping) else _names(target, len(types), aggregate)
    properties = [syntax.Property("vectorized", "true")] if vectorized else []
    properties += [syntax.Property("incremental", "true")] if aggregate and hasattr(target, "retract") else []
    return syntax.CreateFunction(
        identifier(name),
        tuple(syntax.Parameter(identifier(n), t) for n, t in zip(names, types, strict=True)),
        returns,
        language="python",
        aggregate=aggregate,
        called_on_null=called_on_null,
        properties=tuple(properties),
        or_replace=or_replace,
    )


def _names(target: Any, count: int, aggregate: bool) -> list[str]:
    """The names of the first parameters of what is called, or x1, x2 … where it does not tell."""
    called = target.accumulate if aggregate and isinstance(target, type) and hasattr(target, "accumulate") else target
    try:
        names = [n for n, p in inspect.signature(called).parameters.items() if p.kind <= p.POSITIONAL_OR_KEYWORD]
    except (TypeError, ValueError):
        names = []
    names = names[1:] if called is not target else names
    return names[:count] if len(names) >= count else [f"x{i + 1}" for i in range(count)]
