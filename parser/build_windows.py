"""Windows as functions in FROM: TUMBLE, HOP, CUMULATE and SESSION, in the spellings of PostgreSQL's family and Flink's.

TUMBLE(bids, at, INTERVAL '10' SECOND)
TUMBLE(TABLE bids, DESCRIPTOR(at), INTERVAL '10' SECOND)
TUMBLE(DATA => TABLE bids, TIMECOL => DESCRIPTOR(at), SIZE => INTERVAL '10' SECOND)
"""

from __future__ import annotations

from dataclasses import dataclass

from headwater.errors import Span, SyntaxProblem, Unsupported, suggestion
from headwater.parser import durations
from headwater.parser.build_expressions import joined_name
from headwater.parser.syntax import (
    Call,
    Derived,
    Expression,
    Identifier,
    Interval,
    Name,
    Relation,
    Row,
    Subquery,
    WindowFunction,
)


@dataclass(frozen=True, slots=True)
class InputTable:
    """`TABLE name [PARTITION BY expression]`, as Flink writes the first argument."""

    name: Identifier
    partition_by: Expression | None


Argument = tuple[Identifier | None, Expression | InputTable]

# What each function takes, in order: Flink's names of the arguments.
_ARGUMENTS = {
    "TUMBLE": ("DATA", "TIMECOL", "SIZE"),
    "HOP": ("DATA", "TIMECOL", "SLIDE", "SIZE"),
    "CUMULATE": ("DATA", "TIMECOL", "STEP", "SIZE"),
    "SESSION": ("DATA", "TIMECOL", "GAP"),
}
_FORMS = {
    "TUMBLE": "TUMBLE(relation, time, size)",
    "HOP": "HOP(relation, time, step, size)",
    "CUMULATE": "CUMULATE(relation, time, step, size)",
    "SESSION": "SESSION(relation, time, gap)",
}


def window_function(kind: str, arguments: tuple[Argument, ...], span: Span) -> WindowFunction:
    """The node for `kind` with its arguments, by place or by name. Raises SqlError where they do not fit."""
    names = _ARGUMENTS[kind]
    given: dict[str, Expression | InputTable] = {}
    for place, (written, value) in enumerate(arguments):
        given[_name(kind, place, written, value, span)] = value
    missing = [name for name in names if name not in given]
    if missing:
        raise SyntaxProblem(f"{kind} takes {len(names)} arguments", span, hint=f"write {_FORMS[kind]}")
    source, partition_by = _source(kind, given["DATA"])
    size, *step = (_length(kind, given[name]) for name in reversed(names[2:]))
    return WindowFunction(
        kind, source, _time(kind, given["TIMECOL"]), size, step[0] if step else None, partition_by, span=span
    )


def _name(kind: str, place: int, written: Identifier | None, value: Expression | InputTable, span: Span) -> str:
    names = _ARGUMENTS[kind]
    if written is None:
        if place < len(names):
            return names[place]
        at = value.name.span if isinstance(value, InputTable) else value.span
        if place == len(names) and kind != "SESSION":
            raise Unsupported(f"an offset of {kind} is not supported yet", at)
        raise SyntaxProblem(f"{kind} takes {len(names)} arguments", at, hint=f"write {_FORMS[kind]}")
    name = written.text.upper()
    if name == "OFFSET":
        raise Unsupported(f"an offset of {kind} is not supported yet", written.span)
    if name not in names:
        raise SyntaxProblem(
            f'{kind} has no argument "{written.text}"', written.span, hint=suggestion(name, names, "arguments")
        )
    return name


def _source(kind: str, value: Expression | InputTable) -> tuple[Relation | Derived, tuple[Expression, ...]]:
    match value:
        case InputTable(name, None):
            return Relation(name, span=name.span), ()
        case InputTable(name, Row(items=keys)):
            return Relation(name, span=name.span), keys
        case InputTable(name, key) if key is not None:
            return Relation(name, span=name.span), (key,)
        case Name(parts=(name,)):
            return Relation(name, span=value.span), ()
        case Name(parts=parts):
            return Relation(joined_name(parts, value.span), span=value.span), ()
        case Subquery(query=query):
            return Derived(query, span=value.span), ()
    raise SyntaxProblem(f"{kind} reads a relation", value.span, hint=f"write {_FORMS[kind]}")  # type: ignore[union-attr]


def _time(kind: str, value: Expression | InputTable) -> Name:
    """The column of the event time, bare or as DESCRIPTOR(column)."""
    match value:
        case Name():
            return value
        case Call(name=name, arguments=(Name() as column,)) if name.upper() == "DESCRIPTOR":
            return column
    at = value.name.span if isinstance(value, InputTable) else value.span
    raise SyntaxProblem(f"{kind} needs the column of the event time here", at, hint=f"write {_FORMS[kind]}")


def _length(kind: str, value: Expression | InputTable) -> int:
    if isinstance(value, Interval):
        return durations.of_interval(value)
    at = value.name.span if isinstance(value, InputTable) else value.span
    raise SyntaxProblem(f"{kind} needs a length of time here", at, hint="write INTERVAL '10' SECOND")
