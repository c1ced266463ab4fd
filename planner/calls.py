"""Calls by ksqlDB's names, as calls that DuckDB knows.

Functions that one expression defines are in a table (`functions.py`). Here are aggregates, whose FILTER and DISTINCT
must stay with them; functions with any number of arguments; those that take a unit of time or a format as ksqlDB writes
it; and longer forms of functions that DuckDB has.
A call that DuckDB understands is left as it is: `regexp_extract`, `regexp_replace`, `array_distinct` and `round` mean
what DuckDB says, not what ksqlDB says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TypeVar

from headwater.errors import SqlError, Unsupported
from headwater.parser import syntax, unparse
from headwater.parser.syntax import Call, Expression, Identifier, Literal
from headwater.planner.functions import FUNCTIONS, expanded
from headwater.planner.names import with_names
from headwater.planner.time_formats import duckdb_format
from headwater.planner.user_functions import Function, call_of
from headwater.values import ROWOFFSET, ROWPARTITION

N = TypeVar("N", bound=syntax.Node)

# Calls that are no functions to DuckDB, but part of its syntax.
SYNTAX = frozenset("cast coalesce exists grouping grouping_id if ifnull nullif try try_cast unnest".split())

UNITS = "YEAR MONTH WEEK DAY HOUR MINUTE SECOND MILLISECOND MICROSECOND".split()


def is_known_call(name: str) -> bool:
    """Whether calls by this name have a form of their own here."""
    return name.lower() in FORMS or name.lower() in FUNCTIONS or name.lower() in SYNTAX


def with_duckdb_calls(node: N, functions: Mapping[str, Function]) -> N:
    """`node` with every call by a ksqlDB name, or of a user's function, replaced; select items keep the text that was
    written as their name.
    """

    def change(inner: syntax.Node) -> syntax.Node | None:
        if (
            isinstance(inner, syntax.SelectItem)
            and inner.alias is None
            and not isinstance(inner.expression, syntax.Star)
        ):
            expression = with_duckdb_calls(inner.expression, functions)
            if expression is inner.expression:
                return inner
            return replace(inner, expression=expression, alias=Identifier(unparse(inner.expression), quoted=True))
        if isinstance(inner, Call) and inner.name.lower() in functions:
            return with_duckdb_calls(call_of(functions[inner.name.lower()], inner), functions)
        if isinstance(inner, Call):
            form = FORMS.get(inner.name.lower())
            rewritten = (form(inner) if form is not None else None) or expanded(inner)
            return None if rewritten is None else with_duckdb_calls(rewritten, functions)
        return None

    return syntax.rewrite(node, change)


def call(name: str, *arguments: Expression, at: syntax.Node) -> Call:
    """A plain call that stands where `at` stood."""
    return Call(name, arguments, span=at.span)


def _number(value: int, at: syntax.Node) -> Literal:
    return Literal("number", str(value), span=at.span)


def _text(value: str, at: syntax.Node) -> Literal:
    return Literal("string", value, span=at.span)


def _count_of_arguments(node: Call, *counts: int) -> None:
    if len(node.arguments) not in counts:
        wanted = " or ".join(str(c) for c in counts)
        raise SqlError(f"{node.name}() takes {wanted} arguments, not {len(node.arguments)}", node.span)


# ---------------------------------------------------------------- aggregates


def _renamed(name: str, *, distinct: bool = False) -> Callable[[Call], Expression]:
    def rewrite(node: Call) -> Expression:
        return replace(node, name=name, distinct=node.distinct or distinct)

    return rewrite


def _topk(node: Call) -> Expression:
    _count_of_arguments(node, 2)
    return replace(node, name="max")


def _topk_distinct(node: Call) -> Expression:
    _count_of_arguments(node, 2)
    value, k = node.arguments
    listed = replace(
        node,
        name="list",
        arguments=(value,),
        distinct=True,
        order_by=(syntax.OrderItem(value, "DESC"),),
        filter=_and(node.filter, syntax.Unary("IS NOT NULL", value, span=node.span)),
    )
    return call("list_slice", listed, _number(1, node), k, at=node)


def _attr(node: Call) -> Expression:
    """The value of the group if all rows have the same, else NULL."""
    _count_of_arguments(node, 1)
    low, high, filled = (replace(node, name=name) for name in ("min", "max", "count"))
    rows = replace(node, name="count", arguments=())
    same = syntax.Binary("=", low, high, span=node.span)
    every = syntax.Binary("=", filled, rows, span=node.span)
    return syntax.Case(None, ((syntax.Binary("AND", same, every, span=node.span), low),), span=node.span)


def _by_offset(function: str, *, is_last: bool) -> Callable[[Call], Expression]:
    """EARLIEST_BY_OFFSET and LATEST_BY_OFFSET: (value [, n] [, ignore_nulls])."""

    def rewrite(node: Call) -> Expression:
        _count_of_arguments(node, 1, 2, 3)
        value, *options = node.arguments
        ignores_nulls = True
        if options and isinstance(options[-1], Literal) and options[-1].kind == "boolean":
            ignores_nulls = options.pop().text == "true"  # type: ignore[union-attr]
        place = call(
            "row", *(syntax.Name((Identifier(n),), span=node.span) for n in (ROWOFFSET, ROWPARTITION)), at=node
        )
        if not options:
            name = function if ignores_nulls else f"{function}_null"
            return replace(node, name=name, arguments=(value, place))
        if not ignores_nulls:
            raise Unsupported(
                f"{node.name}() of several values leaves NULLs out", node.span, hint="leave out the false"
            )
        kept = _and(node.filter, syntax.Unary("IS NOT NULL", value, span=node.span))
        found = replace(node, name=function, arguments=(value, place, options[0]), filter=kept)
        return call("list_reverse", found, at=node) if is_last else found

    return rewrite


def _and(left: Expression | None, right: Expression) -> Expression:
    return right if left is None else syntax.Binary("AND", left, right, span=right.span)


# ---------------------------------------------------------------- any number of arguments


def _elt(node: Call) -> Expression:
    place, *items = node.arguments
    listed = call("list_extract", syntax.Array(tuple(items), span=node.span), place, at=node)
    counts = syntax.Binary(">=", place, _number(1, node), span=node.span)
    return syntax.Case(None, ((counts, listed),), span=node.span)


def _field(node: Call) -> Expression:
    value, *items = node.arguments
    place = call("list_position", syntax.Array(tuple(items), span=node.span), value, at=node)
    known = syntax.Unary("IS NOT NULL", value, span=node.span)
    found = call("coalesce", place, _number(0, node), at=node)
    return syntax.Case(None, ((known, found),), _number(0, node), span=node.span)


def _json_concat(node: Call) -> Expression:
    return call("json_concat_of", syntax.Array(node.arguments, span=node.span), at=node)


# ---------------------------------------------------------------- longer forms of DuckDB's own functions


def _instr(node: Call) -> Expression | None:
    return replace(node, name="instr_from") if len(node.arguments) in (3, 4) else None


def _encode(node: Call) -> Expression | None:
    if len(node.arguments) != 3:
        return None
    text, source, target = node.arguments
    return call("from_bytes", call("to_bytes", text, source, at=node), target, at=node)


def _chr(node: Call) -> Expression | None:
    r"""chr('\u597d'), where DuckDB takes numbers only."""
    (code,) = node.arguments if len(node.arguments) == 1 else (None,)
    if not isinstance(code, Literal) or code.kind != "string":
        return None
    try:
        return _text(code.text.encode("ascii").decode("unicode_escape"), node)
    except UnicodeError:
        raise SqlError(
            f"'{code.text}' is not the code of a character", code.span, hint=r"write chr('\u004b')"
        ) from None


def _explode(node: Call) -> Expression:
    return replace(node, name="unnest")


def _cube_explode(node: Call) -> Expression:
    _count_of_arguments(node, 1)
    return call("unnest", call("cube_of", *node.arguments, at=node), at=node)


# ---------------------------------------------------------------- lambdas


def _transform(node: Call) -> Expression:
    """TRANSFORM(array, x => …), or TRANSFORM(map, (k, v) => key, (k, v) => value)."""
    _count_of_arguments(node, 2, 3)
    if len(node.arguments) == 2:
        return replace(node, name="list_transform")
    source, key, value = node.arguments
    pairs = tuple((name, _of_entry(function)) for name, function in (("key", key), ("value", value)))
    body = syntax.Struct(pairs, span=node.span)
    entries = call("map_entries", source, at=node)
    made = call("list_transform", entries, syntax.Lambda((_ENTRY,), body, span=node.span), at=node)
    return call("map_from_entries", made, at=node)


def _reduce(node: Call) -> Expression | None:
    """REDUCE(array, state, (s, x) => …) and REDUCE(map, state, (s, k, v) => …); DuckDB has the function second."""
    if len(node.arguments) != 3 or not isinstance(node.arguments[2], syntax.Lambda):
        return None
    source, state, function = node.arguments
    assert isinstance(function, syntax.Lambda)
    if len(function.parameters) == 3:
        source = call("map_entries", source, at=node)
        function = syntax.Lambda((function.parameters[0], _ENTRY), _of_entry(function, 1), span=function.span)
    return call("list_reduce", source, function, state, at=node)


_ENTRY = Identifier("entry_of_map")


def _of_entry(function: Expression, first: int = 0) -> Expression:
    """The body of a lambda of a key and a value, its parameters from `first` on, over an entry of a map."""
    if not isinstance(function, syntax.Lambda) or len(function.parameters) != first + 2:
        raise SqlError("a map needs a function of a key and a value", function.span, hint="write (k, v) => …")
    key, value = (parameter.text.lower() for parameter in function.parameters[first:])
    parts = {key: "key", value: "value"}

    def change(name: syntax.Name) -> Expression:
        part = parts.get(name.parts[0].text.lower())
        if part is None:
            return name
        found: Expression = call("struct_extract", syntax.Name((_ENTRY,)), _text(part, name), at=name)
        for field in name.parts[1:]:
            found = call("struct_extract", found, _text(field.text, name), at=name)
        return found

    return with_names(function.body, change)


# ---------------------------------------------------------------- times


def _add_time(type_name: str, operator: str) -> Callable[[Call], Expression | None]:
    """DATEADD(unit, n, date) and its like: the unit is a bare word."""

    def rewrite(node: Call) -> Expression | None:
        if len(node.arguments) != 3 or not isinstance(node.arguments[0], syntax.Name):
            return None  # DuckDB's own date_sub('day', a, b)
        word, amount, time = node.arguments
        assert isinstance(word, syntax.Name)
        unit = word.parts[-1].text.upper().removesuffix("S")
        if unit not in UNITS:
            raise SqlError(f'"{word.parts[-1].text}" is not a unit of time', word.span, hint=", ".join(UNITS))
        interval = syntax.Interval(amount, unit, span=node.span)
        moved = syntax.Binary(operator, syntax.Cast(time, type_name, span=time.span), interval, span=node.span)
        return syntax.Cast(moved, type_name, span=node.span)

    return rewrite


def _now_if_empty(now: Callable[[Call], Expression]) -> Callable[[Call], Expression | None]:
    def rewrite(node: Call) -> Expression | None:
        return now(node) if not node.arguments else None

    return rewrite


def _now_ms(node: Call) -> Expression:
    return call("epoch_ms", call("now", at=node), at=node)


def _today(node: Call) -> Expression:
    return call("unix_date", call("today", at=node), at=node)


def _format(node: Call) -> Literal:
    """The format in DuckDB's spelling; it must be a constant."""
    pattern = node.arguments[1]
    if not isinstance(pattern, Literal) or pattern.kind != "string":
        raise Unsupported(f"the format of {node.name}() must be a string", pattern.span)
    try:
        return _text(duckdb_format(pattern.text), pattern)
    except ValueError as error:
        raise Unsupported(
            f"'{error}' in a format of times is not supported", pattern.span,
            hint="use letters like yyyy-MM-dd HH:mm:ss.SSS, and 'quotes' around text",
        ) from None  # fmt: skip


def _in_zone(node: Call, time: Expression, *, parsed: bool) -> Expression:
    """`time` moved from UTC to the zone that the third argument names, or from there to UTC once it is `parsed`."""
    if len(node.arguments) < 3:
        return time
    zones = (node.arguments[2], _text("UTC", node)) if parsed else (_text("UTC", node), node.arguments[2])
    return call("convert_tz", time, *zones, at=node)


def _format_time(node: Call) -> Expression:
    """FORMAT_DATE, FORMAT_TIME, FORMAT_TIMESTAMP, and the old names, which take days and milliseconds since 1970."""
    _count_of_arguments(node, 2, 3)
    name, value = node.name.lower(), node.arguments[0]
    if name == "format_time":
        day = syntax.Cast(_text("1970-01-01", node), "DATE", span=node.span)
        value = syntax.Binary("+", day, syntax.Cast(value, "TIME", span=value.span), span=node.span)
    elif name == "datetostring":
        value = call("from_days", value, at=node)
    elif name == "timestamptostring":
        value = call("from_unixtime", value, at=node)
    return call("strftime", _in_zone(node, value, parsed=False), _format(node), at=node)


def _parse_time(node: Call) -> Expression:
    """PARSE_DATE, PARSE_TIME, PARSE_TIMESTAMP, and the old names, which give days and milliseconds since 1970."""
    _count_of_arguments(node, 2, 3)
    name = node.name.lower()
    time = _in_zone(node, call("strptime", node.arguments[0], _format(node), at=node), parsed=True)
    if name in ("parse_date", "parse_time"):
        return syntax.Cast(time, name.removeprefix("parse_").upper(), span=node.span)
    if name == "parse_timestamp":
        return syntax.Cast(time, "TIMESTAMP", span=node.span)
    return call("unix_date" if name == "stringtodate" else "unix_timestamp", time, at=node)


FORMS: dict[str, Callable[[Call], Expression | None]] = {
    "attr": _attr,
    "chr": _chr,
    "collect_list": _renamed("list"),
    "collect_set": _renamed("list", distinct=True),
    "correlation": _renamed("corr"),
    "count_distinct": _renamed("count", distinct=True),
    "cube_explode": _cube_explode,
    "dateadd": _add_time("DATE", "+"),
    "datesub": _add_time("DATE", "-"),
    "datetostring": _format_time,
    "earliest_by_offset": _by_offset("arg_min", is_last=False),
    "elt": _elt,
    "encode": _encode,
    "explode": _explode,
    "field": _field,
    "filter": _renamed("list_filter"),
    "format_date": _format_time,
    "format_time": _format_time,
    "format_timestamp": _format_time,
    "instr": _instr,
    "json_concat": _json_concat,
    "latest_by_offset": _by_offset("arg_max", is_last=True),
    "parse_date": _parse_time,
    "parse_time": _parse_time,
    "parse_timestamp": _parse_time,
    "reduce": _reduce,
    "stddev_sample": _renamed("stddev_samp"),
    "stringtodate": _parse_time,
    "stringtotimestamp": _parse_time,
    "timeadd": _add_time("TIME", "+"),
    "timestampadd": _add_time("TIMESTAMP", "+"),
    "timestampsub": _add_time("TIMESTAMP", "-"),
    "timestamptostring": _format_time,
    "timesub": _add_time("TIME", "-"),
    "topk": _topk,
    "topkdistinct": _topk_distinct,
    "transform": _transform,
    "unix_date": _now_if_empty(_today),
    "unix_timestamp": _now_if_empty(_now_ms),
}
