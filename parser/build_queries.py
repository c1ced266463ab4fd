"""From the parser's tree to the AST: queries, FROM and points of the log. See build.py for how methods are called."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

from lark import Token, v_args

from headwater.errors import Span, SyntaxProblem
from headwater.parser import durations
from headwater.parser.build_expressions import (
    Arguments,
    ExpressionBuilder,
    items,
    only,
    placed,
    present,
    text_of_string,
    words,
)
from headwater.parser.build_windows import InputTable, window_function
from headwater.parser.syntax import (
    AsOf,
    Call,
    Changes,
    CommonTable,
    Derived,
    Expression,
    FromItem,
    Grouping,
    Identifier,
    Interval,
    Join,
    Literal,
    Name,
    NamedWindow,
    Query,
    QueryBody,
    Relation,
    Row,
    Select,
    SetOperation,
    TableFunction,
    Values,
    Window,
    WindowFunction,
    WindowSpec,
    Within,
)


class Alias(NamedTuple):
    """A name given in FROM, and names given to the columns."""

    name: Identifier
    columns: tuple[Identifier, ...] = ()


class Start(NamedTuple):
    """FROM point, after a relation."""

    point: AsOf


@v_args(wrapper=placed)
class QueryBuilder(ExpressionBuilder):
    """Builds queries."""

    union_operator = intersect_operator = time_unit = words
    row = select_items = distinct_on = group_by = windows = items
    nested_query = where = having = qualify = only
    recursive = lateral = ordinality = by_name = present

    # ------------------------------------------------------------ the whole

    def query(
        self,
        span: Span,
        with_clause: tuple[bool, tuple[CommonTable, ...]] | None,
        body: QueryBody,
        order_by: Any,
        *endings: AsOf | tuple[str, Any],
    ) -> Query:
        recursive, ctes = with_clause or (False, ())
        clauses = _clauses(endings, span)
        if isinstance(body, Query) and not (ctes or order_by or clauses):
            return body
        return Query(_bare(body), ctes, recursive, order_by or (), span=span, **clauses)

    def limit(self, span: Span, count: Expression | None) -> tuple[str, Expression]:
        return "limit", Literal("number", "1", span=span) if count is None else count

    def offset(self, span: Span, count: Expression) -> tuple[str, Expression]:
        return "offset", count

    def emit(self, span: Span, mode: str) -> tuple[str, str]:
        return "emit", mode

    def emit_mode(self, span: Span, word: Token) -> str:
        return "CHANGES" if word.upper() == "CHANGES" else "FINAL"

    def with_clause(self, span: Span, recursive: bool | None, *tables: CommonTable) -> tuple[bool, Any]:
        return bool(recursive), tables

    def common_table(
        self, span: Span, name: Identifier, columns: Any, materialized: bool | None, query: Query
    ) -> CommonTable:
        return CommonTable(name, columns or (), query, materialized, span=span)

    def materialized(self, span: Span, negated: Token | None, _word: Token) -> bool:
        return negated is None

    def set_operation(
        self, span: Span, left: QueryBody, operator: str, all_: bool | None, by_name: bool | None, right: QueryBody
    ) -> SetOperation:
        return SetOperation(operator, _bare(left), _bare(right), bool(all_), bool(by_name), span=span)

    def intersection(
        self, span: Span, left: QueryBody, operator: str, all_: bool | None, right: QueryBody
    ) -> SetOperation:
        return SetOperation(operator, _bare(left), _bare(right), bool(all_), span=span)

    def all(self, span: Span, word: str) -> bool:
        return word.upper() == "ALL"

    def values(self, span: Span, _keyword: str, *rows: tuple[Expression, ...]) -> Values:
        return Values(rows, span=span)

    def select(
        self,
        span: Span,
        distinct: bool | tuple[Expression, ...] | None,
        select_items: Any,
        source: Any,
        where: Any,
        grouped: Any,
        windowed: Any,
    ) -> Select:
        relations, window = source or (None, None)
        group_by, partition_by, having = grouped or (None, None, None)
        windows, qualify = windowed or (None, None)
        return Select(
            select_items, relations, window, where, group_by or (), having, distinct is True,
            distinct if isinstance(distinct, tuple) else (), partition_by or (), windows or (), qualify, span=span,
        )  # fmt: skip

    def grouped(self, span: Span, group_by: Any, partition_by: Any, having: Any) -> tuple[Any, Any, Any]:
        return group_by, partition_by, having

    def grouped_by_key(self, span: Span, partition_by: Any, having: Any) -> tuple[Any, Any, Any]:
        return None, partition_by, having

    def grouped_as_one(self, span: Span, having: Any) -> tuple[Any, Any, Any]:
        return None, None, having

    def windowed(self, span: Span, windows: Any, qualify: Any) -> tuple[Any, Any]:
        return windows, qualify

    def qualified(self, span: Span, qualify: Any) -> tuple[Any, Any]:
        return None, qualify

    def grouping(self, span: Span, kind: Token, *sets: Expression) -> Grouping:
        return Grouping(" ".join(kind.upper().split()), sets, span=span)

    def empty_set(self, span: Span) -> Row:
        return Row((), span=span)

    def named_window(self, span: Span, name: Identifier, spec: WindowSpec) -> NamedWindow:
        return NamedWindow(name, spec, span=span)

    # ------------------------------------------------------------ FROM

    def from_clause(self, span: Span, source: FromItem, window: Window | None) -> tuple[FromItem, Window | None]:
        return source, window

    def alias(self, span: Span, name: Identifier, columns: tuple[Identifier, ...] | None) -> Alias:
        return Alias(name, columns or ())

    def relation(self, span: Span, relation: Relation, *parts: Alias | AsOf | Changes | Start) -> Relation:
        given: dict[str, Any] = {}
        for part in parts:
            match part:
                case Alias(name, columns):
                    given |= {"alias": name, "columns": columns}
                case AsOf():
                    given["as_of"] = part
                case Changes():
                    given["changes"] = part
                case Start(point):
                    given["start"] = point
        return replace(relation, span=span, **given)

    def relation_name(self, span: Span, name: Identifier) -> Relation:
        return Relation(name, span=span)

    def stream_as_table(self, span: Span, name: Identifier) -> Relation:
        return Relation(name, read_as="TABLE", span=span)

    def table_as_stream(self, span: Span, name: Identifier) -> Relation:
        return Relation(name, read_as="CHANGES", span=span)

    def derived(self, span: Span, lateral: bool | None, query: Query, *parts: Alias | AsOf | None) -> Derived:
        name, columns = next((part for part in parts if isinstance(part, Alias)), (None, ()))
        as_of = next((part for part in parts if isinstance(part, AsOf)), None)
        if as_of and query.as_of:
            raise SyntaxProblem("AS OF is given twice for one query", as_of.span, hint="keep one of them")
        return Derived(replace(query, as_of=as_of) if as_of else query, name, columns, bool(lateral), span=span)

    def as_of_query(self, span: Span, body: Query, *endings: Any) -> Query:
        return Query(_bare(body), span=span, **_clauses(endings, span))

    def table_function(
        self, span: Span, lateral: bool | None, call: Call, ordinality: bool | None, alias: Alias | None
    ) -> TableFunction:
        name, columns = alias or (None, ())
        return TableFunction(call, name, columns, bool(lateral), bool(ordinality), span=span)

    def function(self, span: Span, name: Identifier, given: Arguments | None) -> Call:
        values, distinct, _, order_by = given or Arguments()
        return Call(name.text, values, distinct, order_by, span=span)

    def window_function(self, span: Span, function: WindowFunction, alias: Alias | None) -> WindowFunction:
        return replace(function, alias=alias and alias.name, span=span)

    def window_call(self, span: Span, kind: Token, *arguments: tuple[Identifier | None, Any]) -> WindowFunction:
        return window_function(str(kind).upper(), arguments, span)

    def window_argument(self, span: Span, name: Identifier | None, value: Any) -> tuple[Identifier | None, Any]:
        return name, value

    def input_table(self, span: Span, name: Identifier, partition_by: Expression | None) -> InputTable:
        return InputTable(name, partition_by)

    # ------------------------------------------------------------ joins

    def join(self, span: Span, left: FromItem, kind: str, right: FromItem, within: Any, on: Expression) -> Join:
        return Join(kind, left, right, on, within=within, span=span)

    def using_join(
        self, span: Span, left: FromItem, kind: str, right: FromItem, within: Any, using: tuple[Identifier, ...]
    ) -> Join:
        return Join(kind, left, right, None, using, within=within, span=span)

    def natural_join(self, span: Span, left: FromItem, kind: str, right: FromItem) -> Join:
        return Join(kind, left, right, natural=True, span=span)

    def cross_join(self, span: Span, left: FromItem, kind: str, right: FromItem) -> Join:
        return Join(kind, left, right, span=span)

    def comma_join(self, span: Span, left: FromItem, right: FromItem) -> Join:
        return Join("CROSS", left, right, span=span)

    def join_kind(self, span: Span, *written: Any) -> str:
        kind = [word.upper() for word in written if word is not None and word.upper() not in ("JOIN", "OUTER")]
        if kind[:1] == ["ASOF"]:
            return " ".join(word for word in kind if word != "INNER")
        return kind[0] if kind else "INNER"

    cross_kind = join_kind

    def within(self, span: Span, *parts: Any) -> Within:
        before, *after, grace = parts
        return Within(before, after[0] if after else before, grace and grace[1], span=span)

    # ------------------------------------------------------------ points of the log

    def as_of(self, span: Span, point: AsOf) -> AsOf:
        return replace(point, span=span)

    def system_time(self, span: Span, timestamp: Token) -> AsOf:
        return AsOf("timestamp", text_of_string(timestamp), span=span)

    at_timestamp = system_time

    def system_time_of(self, span: Span, column: Name) -> AsOf:
        return AsOf("column", column=column, span=span)

    def at_offset(self, span: Span, offset: Token) -> AsOf:
        return AsOf("offset", str(whole(offset)), span=span)

    def at_offsets(self, span: Span, *positions: tuple[int | str, int]) -> AsOf:
        return AsOf("offsets", positions=positions, span=span)

    def at_version(self, span: Span, version: Token) -> AsOf:
        return AsOf("version", str(whole(version)), span=span)

    def at_text(self, span: Span, text: Token) -> AsOf:
        value = text_of_string(text)
        return AsOf("ago" if value.lower().rstrip().endswith("ago") else "timestamp", value, span=span)

    def position(self, span: Span, key: Any, offset: Token) -> tuple[int | str, int]:
        return key.text if isinstance(key, Identifier) else whole(key), whole(offset)

    def extreme(self, span: Span, word: Token) -> AsOf:
        return AsOf(word.lower(), span=span)

    def changes(self, span: Span, start: AsOf, end: AsOf | None = None) -> Changes:
        return Changes(start, end, span=span)

    def from_point(self, span: Span, point: AsOf) -> Start:
        return Start(point)

    # ------------------------------------------------------------ windows

    def tumbling(self, span: Span, _name: Identifier | None, size: int, *options: tuple[str, int]) -> Window:
        return _window("TUMBLING", size, size, options, span)

    def hopping(
        self, span: Span, _name: Identifier | None, size: int, advance: int, *options: tuple[str, int]
    ) -> Window:
        return _window("HOPPING", size, advance, options, span)

    def session(self, span: Span, _name: Identifier | None, gap: int, *options: tuple[str, int]) -> Window:
        return _window("SESSION", gap, gap, options, span)

    def retention(self, span: Span, duration: int) -> tuple[str, int]:
        return "retention", duration

    def grace(self, span: Span, duration: int) -> tuple[str, int]:
        return "grace", duration

    def duration(self, span: Span, *parts: Any) -> int:
        if isinstance(parts[0], Interval):
            return durations.of_interval(parts[0])
        return durations.microseconds(*parts)

    def count(self, span: Span, number: Token) -> int:
        return whole(number)


def whole(number: Token) -> int:
    """The value of a number that must be a whole one."""
    if not number.isdigit():
        place = Span(number.start_pos or 0, number.end_pos or 0)
        raise SyntaxProblem(f"expected a whole number instead of {number}", place, hint="leave out the fraction")
    return int(number)


def _clauses(endings: tuple[AsOf | tuple[str, Any], ...], span: Span) -> dict[str, Any]:
    """The clauses at the end of a query, by the names of Query's fields."""
    clauses: dict[str, Any] = {}
    for ending in endings:
        name, value = ("as_of", ending) if isinstance(ending, AsOf) else ending
        if name in clauses:
            raise SyntaxProblem(
                f"{name.upper().replace('_', ' ')} is given twice in one query", span, hint="keep one of them"
            )
        clauses[name] = value
    return clauses


def _window(kind: str, size: int, advance: int, options: tuple[tuple[str, int], ...], span: Span) -> Window:
    given = dict(options)
    if len(given) < len(options):
        raise SyntaxProblem("GRACE PERIOD or RETENTION is given twice in one window", span, hint="keep one of them")
    return Window(kind, size, advance, given.get("grace"), given.get("retention"), span=span)


def _bare(body: QueryBody) -> QueryBody:
    """`body` without a Query around it that only stands for parentheses."""
    if isinstance(body, Query) and body == Query(body.body):
        return body.body
    return body
