"""The syntax of statements that define relations, types and functions, change them, or change rows."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.parser.expressions import Expression, Literal
from headwater.parser.nodes import Identifier, Node
from headwater.parser.queries import Query


@dataclass(frozen=True)
class ColumnDefinition(Node):
    """`name type [KEY | PRIMARY KEY | NOT NULL | DEFAULT x]`; `type` is text as DuckDB shows it (STRING is VARCHAR).

    `computed` is the expression of `name AS expression`, whose type is '' where none was written. `header` is the key
    of HEADER('key'), and '' for HEADERS.
    """

    name: Identifier
    type: str
    key: bool = False
    primary_key: bool = False
    not_null: bool = False
    default: Expression | None = None
    computed: Expression | None = None
    header: str | None = None
    checks: tuple[Check, ...] = ()


@dataclass(frozen=True)
class Watermark(Node):
    """WATERMARK FOR column AS expression: the event time, and how far behind it rows may still come."""

    column: Identifier
    expression: Expression


@dataclass(frozen=True)
class Property(Node):
    """One `name = value` of WITH (…); the value is a string, number, boolean or identifier, as text."""

    name: str
    value: str


@dataclass(frozen=True)
class Check(Node):
    """CHECK (condition) ON VIOLATION action; `action` is DROP, FAIL, or INSERT with the stream `into`."""

    condition: Expression
    action: str = "FAIL"
    into: Identifier | None = None


@dataclass(frozen=True)
class OnError(Node):
    """ON ERROR action: what becomes of a row on which the query fails; SKIP, FAIL, or INSERT with the stream `into`."""

    action: str
    into: Identifier | None = None


@dataclass(frozen=True)
class CreateRelation(Node):
    """CREATE STREAM | TABLE name (columns) WITH (…), or … AS query. `kind` is 'STREAM' or 'TABLE'.

    CREATE MATERIALIZED VIEW is CREATE TABLE … AS. A table constraint PRIMARY KEY (a, b) marks its columns. `source` is
    ksqlDB's word for a relation that only reads.
    """

    kind: str
    name: Identifier
    columns: tuple[ColumnDefinition, ...] = ()
    properties: tuple[Property, ...] = ()
    query: Query | None = None
    or_replace: bool = False
    if_not_exists: bool = False
    source: bool = False
    watermark: Watermark | None = None
    checks: tuple[Check, ...] = ()
    on_error: OnError | None = None


@dataclass(frozen=True)
class CreateView(Node):
    """CREATE VIEW name [(columns)] AS query: a name for a query."""

    name: Identifier
    columns: tuple[Identifier, ...]
    query: Query
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class CreateSchema(Node):
    """CREATE SCHEMA name: what names of relations may begin with."""

    name: Identifier
    if_not_exists: bool = False


@dataclass(frozen=True)
class CreateType(Node):
    """CREATE TYPE name AS type."""

    name: Identifier
    type: str
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class Parameter(Node):
    """`name type` of a function."""

    name: Identifier
    type: str


@dataclass(frozen=True)
class CreateFunction(Node):
    """CREATE [AGGREGATE] FUNCTION f(x DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$ … $$. `language` is in lower case.

    `called_on_null` is CALLED ON NULL INPUT; else the function is NULL where an argument is. The span of `body` is
    that of the text inside its quotes. Without a body the function is one that the program gives.
    """

    name: Identifier
    parameters: tuple[Parameter, ...]
    returns: str
    body: Literal | None = None
    language: str = "sql"
    aggregate: bool = False
    called_on_null: bool = False
    properties: tuple[Property, ...] = ()
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class CreateConnector(Node):
    """CREATE SOURCE | SINK CONNECTOR name WITH (…)."""

    kind: str
    name: Identifier
    properties: tuple[Property, ...] = ()
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class OnConflict(Node):
    """ON CONFLICT [(columns)] DO NOTHING | DO UPDATE SET assignments [WHERE condition]; without any, it is NOTHING."""

    columns: tuple[Identifier, ...]
    assignments: tuple[Assignment, ...] = ()
    where: Expression | None = None


@dataclass(frozen=True)
class Insert(Node):
    """INSERT INTO name [(columns)] VALUES … | SELECT … [ON CONFLICT …] [IF VERSION = n] [WITH (properties)]
    [ON ERROR …]
    """

    relation: Identifier
    columns: tuple[Identifier, ...]
    query: Query
    properties: tuple[Property, ...] = ()
    on_error: OnError | None = None
    if_version: int | None = None
    on_conflict: OnConflict | None = None


@dataclass(frozen=True)
class Assignment(Node):
    """`column = value` of UPDATE … SET."""

    column: Identifier
    value: Expression


@dataclass(frozen=True)
class Update(Node):
    """UPDATE table SET assignments [WHERE condition] [IF VERSION = n]"""

    relation: Identifier
    assignments: tuple[Assignment, ...]
    where: Expression | None = None
    if_version: int | None = None


@dataclass(frozen=True)
class Delete(Node):
    """DELETE FROM table [WHERE condition] [IF VERSION = n]"""

    relation: Identifier
    where: Expression | None = None
    if_version: int | None = None


@dataclass(frozen=True)
class Drop(Node):
    """DROP `kind` name. A MATERIALIZED VIEW is a TABLE. `delete_topic` is ksqlDB's word for its rows too."""

    kind: str
    name: Identifier
    if_exists: bool = False
    cascade: bool = False
    delete_topic: bool = False


@dataclass(frozen=True)
class AddColumn(Node):
    """ADD [COLUMN] name type"""

    column: ColumnDefinition


@dataclass(frozen=True)
class AddCheck(Node):
    """ADD CHECK (condition) [ON VIOLATION …]"""

    check: Check


@dataclass(frozen=True)
class DropColumn(Node):
    """DROP [COLUMN] name"""

    name: Identifier


@dataclass(frozen=True)
class RenameColumn(Node):
    """RENAME [COLUMN] old TO new"""

    old: Identifier
    new: Identifier


@dataclass(frozen=True)
class RenameRelation(Node):
    """RENAME TO new"""

    new: Identifier


@dataclass(frozen=True)
class Alter(Node):
    """ALTER STREAM | TABLE name action, …"""

    kind: str
    name: Identifier
    actions: tuple[AddColumn | AddCheck | DropColumn | RenameColumn | RenameRelation, ...]
