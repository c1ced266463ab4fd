"""The syntax of expressions: what can stand in a select list, in WHERE or in VALUES."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from headwater.parser.nodes import Identifier, Node

if TYPE_CHECKING:
    from headwater.parser.queries import Query


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
class Placeholder(Node):
    """`?` or `$name`: a value that comes beside the text (parameters.py). What is run has none."""

    name: str | None = None


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
    """`operator` is '-', '+', '~', 'NOT', or the postfix 'IS NULL', 'IS NOT NULL', 'IS TRUE', 'IS NOT FALSE' …"""

    operator: str
    operand: Expression


@dataclass(frozen=True)
class Binary(Node):
    """`operator` in upper case: + - * / // % ^ || = <> < <= > >= AND OR 'IS DISTINCT FROM' 'IS NOT DISTINCT FROM'
    -> ->> & | << >>"""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True)
class Like(Node):
    """`operand operator pattern [ESCAPE escape]`; `operator` is LIKE, ILIKE or SIMILAR TO, with or without NOT."""

    operator: str
    operand: Expression
    pattern: Expression
    escape: Expression | None = None


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
class Quantified(Node):
    """`operand operator ANY|ALL (…)`: a comparison with each of `values`, which is a Subquery or a list."""

    operator: str
    operand: Expression
    quantifier: str
    values: Expression


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
    """A function call. `name` keeps its spelling; `filter` is FILTER (WHERE …); `over` is OVER (…) or OVER name.

    `nulls` is 'IGNORE' or 'RESPECT' where that was said; `within_group` is WITHIN GROUP (ORDER BY …).
    """

    name: str
    arguments: tuple[Expression, ...]
    distinct: bool = False
    order_by: tuple[OrderItem, ...] = ()
    filter: Expression | None = None
    over: WindowSpec | Identifier | None = None
    nulls: str | None = None
    within_group: tuple[OrderItem, ...] = ()


@dataclass(frozen=True)
class NamedArgument(Node):
    """`name := value` or `name => value` among the arguments of a call."""

    name: Identifier
    value: Expression


@dataclass(frozen=True)
class Lambda(Node):
    """`x => x + 1`, `(x, y) => x + y`, or the same with `->`: a function given to transform, filter or reduce."""

    parameters: tuple[Identifier, ...]
    body: Expression


@dataclass(frozen=True)
class WindowSpec(Node):
    """What stands inside OVER (…): `base` is a window of the WINDOW clause that this one adds to."""

    partition_by: tuple[Expression, ...] = ()
    order_by: tuple[OrderItem, ...] = ()
    frame: Frame | None = None
    base: Identifier | None = None


@dataclass(frozen=True)
class Frame(Node):
    """ROWS | RANGE | GROUPS start, or BETWEEN start AND end; `exclude` is CURRENT ROW, GROUP, TIES or NO OTHERS."""

    unit: str
    start: Bound
    end: Bound | None = None
    exclude: str | None = None


@dataclass(frozen=True)
class Bound(Node):
    """An end of a frame. `side` is PRECEDING, FOLLOWING or CURRENT ROW; no `distance` means UNBOUNDED."""

    side: str
    distance: Expression | None = None


@dataclass(frozen=True)
class Array(Node):
    """[a, b] or ARRAY[a, b]."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Struct(Node):
    """{'a': 1, 'b': 2} or STRUCT(a := 1, b := 2): pairs of field name and value."""

    fields: tuple[tuple[str, Expression], ...]


@dataclass(frozen=True)
class Map(Node):
    """MAP {'a': 1} or MAP('a' := 1): pairs of key and value."""

    entries: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True)
class Row(Node):
    """(a, b): a row value, of two items or more."""

    items: tuple[Expression, ...]


@dataclass(frozen=True)
class Subscript(Node):
    """x[i]"""

    operand: Expression
    index: Expression


@dataclass(frozen=True)
class Slice(Node):
    """x[start:end], either of which may be absent."""

    operand: Expression
    start: Expression | None = None
    end: Expression | None = None


@dataclass(frozen=True)
class Field(Node):
    """(x).name: a field of a struct that is not just a column; of a column it is a Name with one more part."""

    operand: Expression
    name: Identifier


@dataclass(frozen=True)
class Subquery(Node):
    """A scalar subquery, the right side of IN, or a value list of one column."""

    query: Query


@dataclass(frozen=True)
class ArrayQuery(Node):
    """ARRAY(SELECT …): the rows of a query of one column as an array."""

    query: Query


@dataclass(frozen=True)
class Exists(Node):
    query: Query


@dataclass(frozen=True)
class Grouping(Node):
    """ROLLUP (…), CUBE (…) or GROUPING SETS (…) in GROUP BY; each item an expression, a Row, or a Grouping itself.

    The empty set `()` is a Row without items.
    """

    kind: str
    items: tuple[Expression, ...]


@dataclass(frozen=True)
class All(Node):
    """ALL in GROUP BY ALL and ORDER BY ALL: everything in the select list (for GROUP BY, but its aggregates)."""


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


Expression: TypeAlias = (
    Name | Literal | Placeholder | Interval | Star | Unary | Binary | Like | Between | In | Quantified | Case | Cast
    | Call | NamedArgument | Lambda | Array | Struct | Map | Row | Subscript | Slice | Field | Subquery | ArrayQuery
    | Exists | Grouping | All
)  # fmt: skip
