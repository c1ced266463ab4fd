"""The abstract syntax: what a statement says, before any name in it is looked up.

Every node is a frozen dataclass with tuples inside, so trees compare and hash by value; `span` says where in the
text the node stood and takes no part in comparison. `headwater.parser.unparse` writes a tree back as SQL.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeAlias, TypeVar, cast

from headwater.errors import Span

NOWHERE = Span(0, 0)


@dataclass(frozen=True)
class Node:
    """Base of all syntax: knows where it stood in the text."""

    span: Span = field(default=NOWHERE, compare=False, repr=False, kw_only=True)


@dataclass(frozen=True)
class Identifier(Node):
    """A name as written. `quoted` names are exact, others are compared without regard to case."""

    text: str
    quoted: bool = False


# ---------------------------------------------------------------- expressions


@dataclass(frozen=True)
class Name(Node):
    """A column reference: `price`, `b.price`, `b.address.zip` (relation first, if any)."""

    parts: tuple[Identifier, ...]


@dataclass(frozen=True)
class Literal(Node):
    """A constant. `kind` is 'number', 'string', 'boolean' or 'null'; `text` is its value, unquoted.

    Numbers keep their spelling (1e3, 0.10), so that DuckDB gives them their type. Booleans are 'true' / 'false'.
    """

    kind: str
    text: str


@dataclass(frozen=True)
class Interval(Node):
    """INTERVAL '5' SECOND, INTERVAL 5 SECONDS, INTERVAL '5 seconds': an amount, and a unit when one was written."""

    amount: Expression
    unit: str | None = None


@dataclass(frozen=True)
class Star(Node):
    """`*`, `t.*`, `* EXCLUDE (a, b)`, `* REPLACE (x + 1 AS x)`; also the argument of count(*)."""

    relation: Identifier | None = None
    exclude: tuple[Identifier, ...] = ()
    replace: tuple[SelectItem, ...] = ()


@dataclass(frozen=True)
class Unary(Node):
    """`operator` is '-', '+', 'NOT', or the postfix 'IS NULL', 'IS NOT NULL', 'IS TRUE', 'IS NOT FALSE' …"""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary(Node):
    """`operator` in upper case: + - * / // % ^ || = <> < <= > >= AND OR LIKE ILIKE 'NOT LIKE' 'NOT ILIKE'
    'IS DISTINCT FROM' 'IS NOT DISTINCT FROM' -> ->> & | << >>"""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Between(Node):
    operand: Expression
    low: Expression
    high: Expression
    negated: bool = False


@dataclass(frozen=True)
class In(Node):
    """`operand IN (a, b, c)` or, with a single Subquery as `choices`, `operand IN (SELECT …)`."""

    operand: Expression
    choices: tuple[Expression, ...]
    negated: bool = False


@dataclass(frozen=True)
class Case(Node):
    operand: Expression | None
    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None = None


@dataclass(frozen=True)
class Cast(Node):
    """CAST(x AS type), TRY_CAST(x AS type), x::type."""

    operand: Expression
    type: str
    is_try: bool = False


@dataclass(frozen=True)
class Call(Node):
    """A function call. `name` keeps its spelling; `filter` is FILTER (WHERE …); `over` is OVER (…)."""

    name: str
    arguments: tuple[Expression, ...]
    distinct: bool = False
    order_by: tuple[OrderItem, ...] = ()
    filter: Expression | None = None
    over: WindowSpec | None = None


@dataclass(frozen=True)
class WindowSpec(Node):
    """OVER (PARTITION BY … ORDER BY … frame); `frame` is text: 'ROWS BETWEEN 1 PRECEDING AND CURRENT ROW'."""

    partition_by: tuple[Expression, ...] = ()
    order_by: tuple[OrderItem, ...] = ()
    frame: str | None = None


@dataclass(frozen=True)
class Array(Node):
    """[a, b] or ARRAY[a, b]."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Struct(Node):
    """{'a': 1, 'b': 2}: pairs of field name and value."""

    fields: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True)
class Subscript(Node):
    """x[i]"""

    operand: Expression
    index: Expression


@dataclass(frozen=True)
class Subquery(Node):
    """A scalar subquery, the right side of IN, or a value list of one column."""

    query: Query


@dataclass(frozen=True)
class Exists(Node):
    query: Query


Expression: TypeAlias = (
    Name | Literal | Interval | Star | Unary | Binary | Between | In | Case | Cast | Call | Array | Struct | Subscript
    | Subquery | Exists
)  # fmt: skip


# ---------------------------------------------------------------- queries


@dataclass(frozen=True)
class SelectItem(Node):
    """An output column: an expression and the name given by AS, if any."""

    expression: Expression
    alias: Identifier | None = None


@dataclass(frozen=True)
class OrderItem(Node):
    """`direction` is 'ASC' or 'DESC'; `nulls` is 'FIRST', 'LAST' or None for the default."""

    expression: Expression
    direction: str = "ASC"
    nulls: str | None = None


@dataclass(frozen=True)
class AsOf(Node):
    """AS OF OFFSET n | OFFSET (key => n, …) | VERSION n | TIMESTAMP '…' | '5 minutes ago'.

    `kind` is 'offset', 'offsets', 'version', 'timestamp' or 'ago'. For 'offsets', `positions` holds pairs of a
    partition number or a relation's name, and an offset. Otherwise `value` is the literal's text.
    """

    kind: str
    value: str = ""
    positions: tuple[tuple[int | str, int], ...] = ()


@dataclass(frozen=True)
class Relation(Node):
    """A relation by name in FROM, possibly as of a point of the log."""

    name: Identifier
    alias: Identifier | None = None
    as_of: AsOf | None = None


@dataclass(frozen=True)
class Derived(Node):
    """A subquery in FROM."""

    query: Query
    alias: Identifier | None = None


@dataclass(frozen=True)
class Join(Node):
    """`kind` is INNER, LEFT, RIGHT, FULL, CROSS, SEMI or ANTI; exactly one of `on`, `using` is given but for CROSS."""

    kind: str
    left: FromItem
    right: FromItem
    on: Expression | None = None
    using: tuple[Identifier, ...] = ()


FromItem: TypeAlias = Relation | Derived | Join


@dataclass(frozen=True)
class Window(Node):
    """WINDOW TUMBLING (SIZE …), where `advance_us` equals `size_us`, or HOPPING (SIZE …, ADVANCE BY …)."""

    kind: str
    size_us: int
    advance_us: int
    grace_us: int | None = None
    retention_us: int | None = None


@dataclass(frozen=True)
class Select(Node):
    """One SELECT … FROM … WHERE … GROUP BY … HAVING block; `window` stands after FROM, as in ksqlDB."""

    items: tuple[SelectItem, ...]
    source: FromItem | None = None
    window: Window | None = None
    where: Expression | None = None
    group_by: tuple[Expression, ...] = ()
    having: Expression | None = None
    distinct: bool = False


@dataclass(frozen=True)
class Values(Node):
    """VALUES (…), (…) as a query."""

    rows: tuple[tuple[Expression, ...], ...]


@dataclass(frozen=True)
class SetOperation(Node):
    """`operator` is UNION, INTERSECT or EXCEPT; `all` keeps duplicates."""

    operator: str
    left: QueryBody
    right: QueryBody
    all: bool = False


QueryBody: TypeAlias = "Select | Values | SetOperation | Query"


@dataclass(frozen=True)
class CommonTable(Node):
    """One `name AS (query)` of WITH."""

    name: Identifier
    columns: tuple[Identifier, ...]
    query: Query


@dataclass(frozen=True)
class Query(Node):
    """A whole query: body, order, limit, and what it is asked for.

    `as_of`, written last, holds for every relation in the query. `emit` is 'CHANGES', 'FINAL' or None (a snapshot).
    """

    body: QueryBody
    ctes: tuple[CommonTable, ...] = ()
    recursive: bool = False
    order_by: tuple[OrderItem, ...] = ()
    limit: Expression | None = None
    offset: Expression | None = None
    as_of: AsOf | None = None
    emit: str | None = None


# ---------------------------------------------------------------- statements


@dataclass(frozen=True)
class ColumnDefinition(Node):
    """`name type [KEY | PRIMARY KEY | NOT NULL]`; `type` is text as DuckDB shows it (STRING is VARCHAR)."""

    name: Identifier
    type: str
    key: bool = False
    primary_key: bool = False
    not_null: bool = False


@dataclass(frozen=True)
class Property(Node):
    """One `name = value` of WITH (…); the value is a string, number, boolean or identifier, as text."""

    name: str
    value: str


@dataclass(frozen=True)
class CreateRelation(Node):
    """CREATE STREAM | TABLE name (columns) WITH (…), or … AS query. `kind` is 'STREAM' or 'TABLE'.

    CREATE MATERIALIZED VIEW is CREATE TABLE … AS. A table constraint PRIMARY KEY (a, b) marks its columns.
    """

    kind: str
    name: Identifier
    columns: tuple[ColumnDefinition, ...] = ()
    properties: tuple[Property, ...] = ()
    query: Query | None = None
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class Insert(Node):
    """INSERT INTO name [(columns)] VALUES … | SELECT …"""

    relation: Identifier
    columns: tuple[Identifier, ...]
    query: Query


@dataclass(frozen=True)
class Drop(Node):
    """`kind` is 'STREAM' or 'TABLE' (a MATERIALIZED VIEW is a TABLE)."""

    kind: str
    name: Identifier
    if_exists: bool = False
    cascade: bool = False


@dataclass(frozen=True)
class Show(Node):
    """SHOW | LIST `what`: 'STREAMS', 'TABLES', 'QUERIES' or 'PROPERTIES'."""

    what: str


@dataclass(frozen=True)
class Describe(Node):
    name: Identifier
    extended: bool = False


@dataclass(frozen=True)
class Explain(Node):
    """EXPLAIN [ANALYZE] [(FORMAT json)]: of a query, CREATE … AS query, or a running one by its relation's name.

    `format` is 'text' or 'json'.
    """

    statement: Query | CreateRelation | Identifier
    analyze: bool = False
    format: str = "text"


@dataclass(frozen=True)
class Checkpoint(Node):
    """CHECKPOINT: write an image of all state now."""


Statement: TypeAlias = Query | CreateRelation | Insert | Drop | Show | Describe | Explain | Checkpoint


# ---------------------------------------------------------------- walking

T = TypeVar("T")


def children(node: Node) -> Iterator[Node]:
    """The nodes directly inside `node`, in the order of their fields."""
    for f in fields(node):
        yield from _nodes(getattr(node, f.name))


def _nodes(value: Any) -> Iterator[Node]:
    if isinstance(value, Node):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from _nodes(item)


def walk(node: Node) -> Iterator[Node]:
    """`node` and all nodes below it, outermost first, left to right."""
    yield node
    for child in children(node):
        yield from walk(child)


def rewrite(node: T, change: Callable[[Node], Node | None]) -> T:
    """A copy of `node` in which each node for which `change` gives another one is replaced by it.

    Outermost first: what `change` returns is taken as it is, and not entered. None means "keep, look inside".
    """

    def visit(value: Any) -> Any:
        if isinstance(value, Node):
            changed = change(value)
            if changed is not None:
                return changed
            new = {f.name: visit(getattr(value, f.name)) for f in fields(value) if f.name != "span"}
            if all(new[name] is getattr(value, name) for name in new):
                return value
            return replace(value, **new)
        if isinstance(value, tuple):
            items = tuple(visit(item) for item in value)
            return value if all(a is b for a, b in zip(items, value, strict=True)) else items
        return value

    return cast(T, visit(node))
