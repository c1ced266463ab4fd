"""What the dialect can say and Headwater cannot do yet. A line goes when its feature comes.

Whoever runs a statement asks here first, so that what is not supported is refused where it stands in the text, and
never ignored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import MISSING, dataclass, fields

from headwater.errors import SqlError, Unsupported
from headwater.parser import syntax
from headwater.planner.qualified import refuse_inspecting


@dataclass(frozen=True, slots=True)
class _Part:
    """Nodes of a type or, with a `field`, those in which it is not what it is by default."""

    node: type[syntax.Node]
    field: str | None
    name: str


REFUSED: dict[type[syntax.Node], str] = {
    syntax.CreateConnector: "CREATE CONNECTOR",
    syntax.CreateRemote: "CREATE REMOTE",
    syntax.DescribeAll: "DESCRIBE of all relations",
    syntax.Print: "PRINT",
    syntax.Sync: "SYNC",
}

_IN_STATEMENTS = (
    _Part(syntax.CreateRelation, "source", "CREATE SOURCE"),
    _Part(syntax.CreateRelation, "watermark", "WATERMARK"),
    _Part(syntax.ColumnDefinition, "default", "DEFAULT"),
    _Part(syntax.ColumnDefinition, "computed", "a computed column"),
    _Part(syntax.ColumnDefinition, "header", "a column of headers"),
)

_IN_QUERIES = (_Part(syntax.Select, "partition_by", "PARTITION BY"),)

_DROPPED = frozenset("ASSERTION FUNCTION INSTANCE PIPELINE QUERY QUEUE SCHEMA STREAM TABLE TYPE VIEW".split())
_SHOWN = frozenset(
    """ASSERTIONS FUNCTIONS GROUPS INSTANCES PIPELINES PROPERTIES QUERIES QUEUES SCHEMAS STREAMS TABLES TYPES
    VARIABLES VIEWS""".split()
)
_EXTENDED = frozenset({"STREAMS", "TABLES"})


def refuse_statement(statement: syntax.Statement) -> None:
    """Raises Unsupported if `statement` cannot be run yet; the queries in it are looked at when they are planned."""
    if type(statement) in REFUSED:
        raise Unsupported(f"{REFUSED[type(statement)]} is not supported yet", statement.span)
    refuse_inspecting(statement)
    match statement:
        case syntax.CreatePipeline(statements=statements):
            for inner in statements:
                refuse_statement(inner)
        case syntax.Drop(kind=kind) if kind not in _DROPPED:
            raise Unsupported(f"DROP {kind} is not supported yet", statement.span)
        case syntax.Describe(kind=kind) if kind not in (None, "ASSERTION", "FUNCTION", "INSTANCE", "PIPELINE"):
            raise Unsupported(f"DESCRIBE {kind} is not supported yet", statement.span)
        case syntax.Show(what=what) if what not in _SHOWN:
            raise Unsupported(f"SHOW {what} is not supported yet", statement.span)
        case syntax.Show(what=what, extended=True) if what not in _EXTENDED:
            raise Unsupported(f"SHOW {what} EXTENDED is not supported yet", statement.span)
        case syntax.Explain(statement=syntax.CreateRelation() as inner) | syntax.Preview(statement=inner):
            refuse_statement(inner)
        case syntax.CreateRelation(columns=columns):
            _refuse(columns, _IN_STATEMENTS, "")
        case syntax.Alter(actions=actions):
            _refuse(tuple(a.column for a in actions if isinstance(a, syntax.AddColumn)), _IN_STATEMENTS, "")
    _refuse((statement,), _IN_STATEMENTS, "")


def refuse_snapshot(query: syntax.Query) -> None:
    """Raises Unsupported where a snapshot query says what cannot be answered yet."""
    for node in syntax.walk(query):
        _refuse((node,), _IN_QUERIES, "")
        if isinstance(node, syntax.Relation) and node.start is not None:
            raise SqlError(
                "this is where a continuous query begins to read, and a snapshot query reads all there is",
                node.start.span, hint="write WHERE ROWOFFSET >= …, or EMIT CHANGES behind the query",
            )  # fmt: skip
        _refuse_time_of_row(node)


def refuse_continuous(query: syntax.Query) -> None:
    """Raises Unsupported where a continuous query says what cannot be kept up to date yet."""
    for node in syntax.walk(query):
        _refuse((node,), _IN_QUERIES, "")
        if isinstance(node, syntax.Call) and node.nulls is not None and node.over is None:
            raise Unsupported("IGNORE NULLS is supported with OVER alone in a continuous query", node.span)


def _refuse(nodes: tuple[syntax.Node, ...], parts: tuple[_Part, ...], where: str) -> None:
    for node in nodes:
        for part in parts:
            if isinstance(node, part.node) and (part.field is None or _is_given(node, part.field)):
                raise Unsupported(f"{part.name} is not supported{where} yet", _place(node, part.field).span)


def _is_given(node: syntax.Node, name: str) -> bool:
    default = next(f.default for f in fields(node) if f.name == name)
    assert default is not MISSING, "only a part that may be absent is listed"
    return bool(getattr(node, name) != default)


def _place(node: syntax.Node, name: str | None) -> syntax.Node:
    """The first node inside a field, or else the whole node."""
    return next(_inside(getattr(node, name)), node) if name else node


def _inside(value: object) -> Iterator[syntax.Node]:
    for item in value if isinstance(value, tuple) else (value,):
        if isinstance(item, syntax.Node):
            yield item


def _refuse_time_of_row(node: syntax.Node) -> None:
    if isinstance(node, syntax.AsOf) and node.kind == "column":
        raise Unsupported(
            "FOR SYSTEM_TIME AS OF a column is supported in continuous queries alone", node.span,
            hint="keep the join: CREATE STREAM … AS SELECT …",
        )  # fmt: skip
