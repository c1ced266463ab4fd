"""Functions that users define in Python: what CREATE FUNCTION makes, and what their calls become.

DuckDB calls them by a name of their own, that of the function with a digest of its definition. So what a plan says is
one function for ever, wherever the plan is; two databases in one process do not see each other's; and a function that
is replaced makes another plan of each query that calls it. The planner knows the types alone, and runs no code.

An aggregate is a function of the list of a group's rows: `f(x, y)` is `"f$…"(list({'a0': x, 'a1': y} ORDER BY …))`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from headwater.errors import SqlError
from headwater.parser import syntax
from headwater.parser.syntax import Call, Expression, Identifier, Literal
from headwater.planner.sql_types import declare_function
from headwater.values import Column


@dataclass(frozen=True)
class Function:
    """A scalar function or an aggregate. Without a `body` it is one that the program gives.

    `given` tells such a function from all others with its definition, in other databases. `is_incremental` says that an
    aggregate can take rows back, so that its state is kept and not its rows.
    """

    name: str
    id: int
    parameters: tuple[Column, ...]
    returns: str
    definition: str  # the CREATE statement, as text
    body: str | None
    is_aggregate: bool = False
    is_vectorized: bool = False
    is_incremental: bool = False
    called_on_null: bool = False
    given: str = ""

    kind = "FUNCTION"

    @cached_property
    def internal(self) -> str:
        """The name by which DuckDB knows it, in all databases of the process."""
        told = f"{self.definition} {self.given}".encode()
        return f"{self.name.lower()}${hashlib.blake2b(told, digest_size=6).hexdigest()}"

    @property
    def signature(self) -> str:
        """Its name and parameters, as in CREATE FUNCTION."""
        return f"{self.name}({', '.join(f'{p.name} {p.type}' for p in self.parameters)})"

    @property
    def row_type(self) -> str:
        """The type of an aggregate's arguments together, of which it gets a list."""
        return f"STRUCT({', '.join(f'a{i} {carrier(p.type)}' for i, p in enumerate(self.parameters))})"

    @property
    def duckdb_parameters(self) -> tuple[str, ...]:
        """The types that DuckDB calls it with. Without parameters it has one that says nothing, as DuckDB needs one."""
        if self.is_aggregate:
            return (f"{self.row_type}[]",)
        return tuple(carrier(p.type) for p in self.parameters) or ("INTEGER",)


def carrier(type_name: str) -> str:
    """The type in which values of a type are handed over: DuckDB takes no JSON from Arrow."""
    return "VARCHAR" if type_name == "JSON" else type_name


_declared: dict[str, Function] = {}  # by their internal names: all that ever stood in a query


def declared(name: str) -> Function | None:
    """The function that DuckDB knows by this name, if it is one of a user."""
    return _declared.get(name)


def is_user_aggregate(node: syntax.Node) -> bool:
    """Whether `node` is the call of a user's aggregate over groups: one over windows is a function of their lists."""
    function = declared(node.name) if isinstance(node, Call) else None
    if function is None or not function.is_aggregate:
        return False
    assert isinstance(node, Call)
    rows = node.arguments[0]
    return isinstance(rows, Call) and rows.over is None


def rows_in_call(call: Call) -> tuple[Call, bool]:
    """The list of a group's rows in the call of a user's aggregate, and whether their order is of no account."""
    (rows,) = call.arguments
    assert isinstance(rows, Call)
    return rows, tuple(item.expression for item in rows.order_by) == rows.arguments


def call_of(function: Function, call: Call) -> Expression:
    """The call of a user's function, as DuckDB knows it. Raises SqlError for a call that the function cannot have."""
    _check_call(function, call)
    if function.internal not in _declared:
        declare_function(function.internal, function.duckdb_parameters, carrier(function.returns))
        _declared[function.internal] = function
    arguments = call.arguments or (Literal("number", "0", span=call.span),)
    if function.is_aggregate:
        row = syntax.Struct(tuple((f"a{i}", a) for i, a in enumerate(call.arguments)), span=call.span)
        order = call.order_by or (syntax.OrderItem(row, span=call.span),)
        arguments = (replace(call, name="list", arguments=(row,), order_by=order),)
    made = Call(function.internal, arguments, span=call.span)
    same = carrier(function.returns) == function.returns
    return made if same else syntax.Cast(made, function.returns, span=call.span)


def _check_call(function: Function, call: Call) -> None:
    count, wanted = len(call.arguments), len(function.parameters)
    if any(isinstance(argument, syntax.Star) for argument in call.arguments):
        raise SqlError(f"{call.name}() takes no *", call.span, hint=function.signature)
    if count != wanted:
        raise SqlError(
            f"{call.name}() takes {wanted} argument{'' if wanted == 1 else 's'}, not {count}", call.span,
            hint=function.signature,
        )  # fmt: skip
    if call.within_group or call.nulls is not None:
        raise SqlError(f"{call.name}() takes no WITHIN GROUP and no NULLS", call.span, hint=function.signature)
    if not function.is_aggregate and (call.distinct or call.order_by or call.filter is not None or call.over):
        raise SqlError(f"{call.name}() is no aggregate", call.span, hint="leave out DISTINCT, FILTER and OVER")


def calls_in(node: syntax.Node, functions: Mapping[str, Function]) -> Iterator[tuple[Call, Function]]:
    """The calls in `node` of a user's functions, by the names that they have in SQL."""
    for inner in syntax.walk(node):
        if isinstance(inner, Call) and inner.name.lower() in functions:
            yield inner, functions[inner.name.lower()]


def functions_in(node: syntax.Node, functions: Mapping[str, Function]) -> tuple[int, ...]:
    """The ids of the functions that are called in `node`."""
    return tuple(sorted({function.id for _, function in calls_in(node, functions)}))


def functions_called(node: syntax.Node) -> tuple[Function, ...]:
    """The functions of users that DuckDB would call to compute `node`."""
    found = {inner.name: declared(inner.name) for inner in syntax.walk(node) if isinstance(inner, Call)}
    return tuple(function for function in found.values() if function is not None)


def has_user_call(node: syntax.Node) -> bool:
    """Whether DuckDB would call a user's function to compute `node`."""
    return bool(functions_called(node))


def identifier(name: str) -> Identifier:
    """`name` as it must be written: in quotes if it would be another name without."""
    return Identifier(name, quoted=not name.isidentifier())
