"""The syntax of statements that consume, compose, guard, look and operate; and what a statement is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from headwater.parser.definitions import (
    Alter,
    ColumnDefinition,
    CreateConnector,
    CreateFunction,
    CreateRelation,
    CreateSchema,
    CreateType,
    CreateView,
    Delete,
    Drop,
    Insert,
    Property,
    Update,
)
from headwater.parser.expressions import Expression, Literal
from headwater.parser.ledger_statements import ShowExtension, ShowProof, ShowRoot, StateRoot, Verify
from headwater.parser.nodes import Identifier, Node
from headwater.parser.queries import AsOf, Query

# ---------------------------------------------------------------- consume


@dataclass(frozen=True)
class Fetch(Node):
    """FETCH count FROM stream GROUP group [WAIT duration]: the group's next rows."""

    count: int
    relation: Identifier
    group: Identifier
    wait_us: int | None = None


@dataclass(frozen=True)
class CommitGroup(Node):
    """COMMIT GROUP group: what was fetched is done with."""

    group: Identifier


@dataclass(frozen=True)
class Seek(Node):
    """SEEK GROUP group [ON stream] TO EARLIEST | LATEST | OFFSET n | VERSION n | TIMESTAMP '…'"""

    group: Identifier
    point: AsOf
    relation: Identifier | None = None


@dataclass(frozen=True)
class CreateQueue(Node):
    """CREATE QUEUE name ON stream [WITH (…)]"""

    name: Identifier
    relation: Identifier
    properties: tuple[Property, ...] = ()
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class Receive(Node):
    """RECEIVE count FROM queue [WAIT duration]"""

    count: int
    queue: Identifier
    wait_us: int | None = None


@dataclass(frozen=True)
class Ack(Node):
    """ACK queue (receipt, …): what was received is done with."""

    queue: Identifier
    ids: tuple[Expression, ...]


@dataclass(frozen=True)
class Nack(Node):
    """NACK queue (receipt, …): what was received is to be handed out again at once."""

    queue: Identifier
    ids: tuple[Expression, ...]


@dataclass(frozen=True)
class Transaction(Node):
    """BEGIN [WITH (properties)], COMMIT or ROLLBACK, by `action`."""

    action: str
    properties: tuple[Property, ...] = ()


# ---------------------------------------------------------------- compose


@dataclass(frozen=True)
class Port(Node):
    """`IN | OUT name STREAM | TABLE | QUEUE (columns)` of a pipeline."""

    direction: str
    name: Identifier
    kind: str
    columns: tuple[ColumnDefinition, ...]


@dataclass(frozen=True)
class PipelineParameter(Node):
    """`PARAM name type [DEFAULT value]` of a pipeline."""

    name: Identifier
    type: str
    default: Expression | None = None


@dataclass(frozen=True)
class CreatePipeline(Node):
    """CREATE PIPELINE name (ports and parameters) AS BEGIN statements END"""

    name: Identifier
    ports: tuple[Port | PipelineParameter, ...] = ()
    statements: tuple[Statement, ...] = ()
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class Binding(Node):
    """`name => value` of CREATE INSTANCE: a relation for a port, or a value for a parameter."""

    name: Identifier
    value: Expression


@dataclass(frozen=True)
class CreateInstance(Node):
    """CREATE INSTANCE name OF pipeline (bindings) WITH (properties)"""

    name: Identifier
    pipeline: Identifier
    bindings: tuple[Binding, ...] = ()
    properties: tuple[Property, ...] = ()
    or_replace: bool = False
    if_not_exists: bool = False


# ---------------------------------------------------------------- guard and share


@dataclass(frozen=True)
class CreateAssertion(Node):
    """CREATE ASSERTION name CHECK (condition) ON VIOLATION ALERT | REJECT | PAUSE"""

    name: Identifier
    condition: Expression
    action: str = "ALERT"
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class CreateRemote(Node):
    """CREATE REMOTE name WITH (…)"""

    name: Identifier
    properties: tuple[Property, ...] = ()
    or_replace: bool = False
    if_not_exists: bool = False


@dataclass(frozen=True)
class Sync(Node):
    """SYNC STREAM | TABLE name WITH remote [PUSH | PULL | BOTH]"""

    kind: str
    name: Identifier
    remote: Identifier
    direction: str = "BOTH"


@dataclass(frozen=True)
class Fork(Node):
    """FORK DATABASE TO 'directory' [AS OF …]"""

    path: str
    as_of: AsOf | None = None


@dataclass(frozen=True)
class Diff(Node):
    """DIFF STREAM | TABLE name WITH 'directory'"""

    kind: str
    name: Identifier
    path: str


@dataclass(frozen=True)
class ExplainRow(Node):
    """EXPLAIN ROW name WHERE condition [AS OF …]: why it is there; with `missing`, EXPLAIN MISSING: why it is not."""

    name: Identifier
    where: Expression
    as_of: AsOf | None = None
    missing: bool = False


# ---------------------------------------------------------------- look


@dataclass(frozen=True)
class Preview(Node):
    """PREVIEW CREATE [OR REPLACE] STREAM | TABLE name AS query: the rows that it would take away and bring."""

    statement: CreateRelation


@dataclass(frozen=True)
class Show(Node):
    """SHOW | LIST `what` [AS OF …]: 'STREAMS', 'TABLES', 'QUERIES', 'PROPERTIES', 'ALL TOPICS' …"""

    what: str
    extended: bool = False
    as_of: AsOf | None = None


@dataclass(frozen=True)
class Describe(Node):
    """DESCRIBE [kind] name [EXTENDED] [AS OF …]; without a `kind` it is a relation."""

    name: Identifier
    extended: bool = False
    kind: str | None = None
    as_of: AsOf | None = None


@dataclass(frozen=True)
class DescribeAll(Node):
    """DESCRIBE STREAMS | TABLES [EXTENDED]"""

    kind: str
    extended: bool = False


@dataclass(frozen=True)
class Explain(Node):
    """EXPLAIN [ANALYZE] [(FORMAT json)]: of a statement with a query, of a DROP, or of a running query by its name.

    `format` is 'text' or 'json'.
    """

    statement: Query | CreateRelation | CreateView | Insert | Update | Delete | Drop | Identifier
    analyze: bool = False
    format: str = "text"


@dataclass(frozen=True)
class Print(Node):
    """PRINT stream [FROM BEGINNING] [INTERVAL n] [LIMIT n]"""

    relation: Identifier
    from_beginning: bool = False
    interval: int | None = None
    limit: int | None = None


# ---------------------------------------------------------------- operate


@dataclass(frozen=True)
class Control(Node):
    """PAUSE, RESUME or TERMINATE, by `action`, a query, or all of an instance; without a `query`, all of them."""

    action: str
    query: Identifier | None = None
    is_instance: bool = False


@dataclass(frozen=True)
class SetProperty(Node):
    """SET 'name' = 'value', or ALTER SYSTEM 'name' = 'value'."""

    name: str
    value: str
    system: bool = False


@dataclass(frozen=True)
class UnsetProperty(Node):
    """UNSET 'name'"""

    name: str


@dataclass(frozen=True)
class Define(Node):
    """DEFINE name = 'value': `${name}` stands for the value in what follows."""

    name: Identifier
    value: str


@dataclass(frozen=True)
class Undefine(Node):
    """UNDEFINE name"""

    name: Identifier


@dataclass(frozen=True)
class RunScript(Node):
    """RUN SCRIPT 'file.sql'"""

    path: str


@dataclass(frozen=True)
class Checkpoint(Node):
    """CHECKPOINT: write an image of all state now."""


@dataclass(frozen=True)
class Copy(Node):
    """COPY relation [(columns)] | (query) TO | FROM 'file' [(options)]"""

    source: Identifier | Query
    columns: tuple[Identifier, ...]
    direction: str
    path: str
    options: tuple[Property, ...] = ()


# ---------------------------------------------------------------- assert, in scripts that test


@dataclass(frozen=True)
class AssertValues(Node):
    """ASSERT [NULL] VALUES relation (columns) VALUES | KEY (…): the next row is this; with `null`, a deletion of it."""

    relation: Identifier
    columns: tuple[Identifier, ...]
    values: tuple[Expression, ...]
    null: bool = False


@dataclass(frozen=True)
class AssertRelation(Node):
    """ASSERT STREAM | TABLE name (columns) WITH (…): it is defined like this."""

    kind: str
    name: Identifier
    columns: tuple[ColumnDefinition, ...] = ()
    properties: tuple[Property, ...] = ()


@dataclass(frozen=True)
class AssertTopic(Node):
    """ASSERT [NOT EXISTS] TOPIC name [WITH (…)] [TIMEOUT duration]"""

    name: Identifier
    properties: tuple[Property, ...] = ()
    timeout_us: int | None = None
    exists: bool = True


@dataclass(frozen=True)
class AssertSchema(Node):
    """ASSERT [NOT EXISTS] SCHEMA [SUBJECT name] [ID n] [TIMEOUT duration]"""

    subject: Identifier | None = None
    id: Literal | None = None
    timeout_us: int | None = None
    exists: bool = True


Statement: TypeAlias = (
    Query | CreateRelation | CreateView | CreateSchema | CreateType | CreateFunction | CreateConnector | CreateQueue
    | CreatePipeline | CreateInstance | CreateAssertion | CreateRemote | Insert | Update | Delete | Drop | Alter
    | Fetch | CommitGroup | Seek | Receive | Ack | Nack | Transaction
    | Verify | ShowProof | ShowExtension | ShowRoot | StateRoot | Sync | Fork | Diff | ExplainRow
    | Preview | Show | Describe | DescribeAll | Explain | Print
    | Control | SetProperty | UnsetProperty | Define | Undefine | RunScript | Checkpoint | Copy
    | AssertValues | AssertRelation | AssertTopic | AssertSchema
)  # fmt: skip
