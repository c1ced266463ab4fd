"""From the parser's tree to the AST: statements. Queries are in build_queries.py, expressions in build_expressions.py.

Every method is named after a rule of grammar.lark and gets the rule's place in the text and what was built from its
parts, in the order of the grammar; an absent [part] is None. Where the parts are just a node's fields, `makes` says
in which order they stand.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import MISSING, fields, replace
from typing import Any, NamedTuple

from lark import Token, v_args

from headwater.errors import Span, SyntaxProblem, UnknownName, suggestion
from headwater.parser import syntax
from headwater.parser.build_expressions import items, only, placed, present, text_of_string, words
from headwater.parser.build_queries import QueryBuilder
from headwater.parser.syntax import (
    ColumnDefinition,
    CreateRelation,
    Expression,
    Identifier,
    Insert,
    Literal,
    Property,
    Query,
    Statement,
    Watermark,
)


def makes(node: type[syntax.Node], order: str, **constant: Any) -> Callable[..., Any]:
    """A builder of nodes, given the names of their fields in the order of the grammar; an absent one has
    its default.
    """
    names = order.split()
    required = {f.name for f in fields(node) if f.default is MISSING}

    def build(self: object, span: Span, *parts: Any) -> Any:
        given = dict(zip(names, parts, strict=True))
        present = {name: part for name, part in given.items() if part is not None}
        absent = {name: () for name in required & given.keys() - present.keys()}
        return node(span=span, **constant, **present, **absent)

    return build


class Definitions(NamedTuple):
    """The columns of a relation, and what else stands among them."""

    columns: tuple[ColumnDefinition, ...]
    watermark: Watermark | None = None
    checks: tuple[syntax.Check, ...] = ()


@v_args(wrapper=placed)
class Builder(QueryBuilder):
    """Builds a statement from the tree of `start`."""

    def start(self, span: Span, statement: Statement) -> Statement:
        return replace(statement, span=span)

    or_replace = if_not_exists = if_exists = cascade = delete_topic = extended = analyze = present
    source = from_beginning = not_exists = present
    relation_kind = connector_kind = subject = describe_kind = control_action = copy_direction = words
    port_direction = port_kind = reaction = sync_direction = words
    properties = parameters = assignments = alterations = ports = bindings = statements = checks = items
    wait = every = print_limit = timeout = only

    # ------------------------------------------------------------ define

    def create_relation(
        self,
        span: Span,
        or_replace: bool | None,
        source: bool | None,
        kind: str,
        if_not_exists: bool | None,
        name: Identifier,
        definitions: Definitions | None,
        properties: tuple[Property, ...] | None,
        query: Query | None,
        checks: tuple[syntax.Check, ...] | None,
        on_error: syntax.OnError | None,
    ) -> CreateRelation:
        if definitions is None and properties is None and query is None:
            raise SyntaxProblem(
                f"CREATE {kind} needs columns or a query", Span(span.end, span.end),
                hint=f"CREATE {kind} {name.text} (id BIGINT, …), or CREATE {kind} {name.text} AS SELECT …",
            )  # fmt: skip
        if on_error is not None and query is None:
            raise SyntaxProblem(
                "ON ERROR here needs a query that can fail", on_error.span, hint="write AS SELECT … before it"
            )
        columns, watermark, among = definitions or Definitions(())
        return CreateRelation(
            kind, name, columns, properties or (), query, bool(or_replace), bool(if_not_exists), bool(source),
            watermark, (*among, *(checks or ())), on_error, span=span,
        )  # fmt: skip

    create_materialized_view = makes(
        CreateRelation, "or_replace if_not_exists name properties query checks on_error", kind="TABLE"
    )
    create_view = makes(syntax.CreateView, "or_replace if_not_exists name columns query")
    create_schema = makes(syntax.CreateSchema, "if_not_exists name")
    create_type = makes(syntax.CreateType, "or_replace if_not_exists name type")
    aggregate = present
    create_connector = makes(syntax.CreateConnector, "or_replace kind if_not_exists name properties")
    parameter = makes(syntax.Parameter, "name type")

    def create_function(
        self,
        span: Span,
        or_replace: bool | None,
        aggregate: bool | None,
        if_not_exists: bool | None,
        name: Identifier,
        parameters: tuple[syntax.Parameter, ...] | None,
        returns: str,
        *clauses: tuple[str, Span, dict[str, Any]],
    ) -> syntax.CreateFunction:
        given: dict[str, Any] = {}
        said: set[str] = set()
        for what, place, fields_ in clauses:
            if what in said:
                raise SyntaxProblem(f"{what} is given twice", place, hint="keep one of them")
            said.add(what)
            given |= fields_
        return syntax.CreateFunction(
            name, parameters or (), returns, aggregate=bool(aggregate), or_replace=bool(or_replace),
            if_not_exists=bool(if_not_exists), span=span, **given,
        )  # fmt: skip

    def language(self, span: Span, name: Identifier) -> tuple[str, Span, dict[str, Any]]:
        return "LANGUAGE", span, {"language": name.text.lower()}

    def called_on_null(self, span: Span) -> tuple[str, Span, dict[str, Any]]:
        return "ON NULL INPUT", span, {"called_on_null": True}

    def returns_null(self, span: Span) -> tuple[str, Span, dict[str, Any]]:
        return "ON NULL INPUT", span, {}

    def function_body(self, span: Span, text: Literal) -> tuple[str, Span, dict[str, Any]]:
        return "AS", span, {"body": text}

    def quoted_body(self, span: Span, token: Token) -> Literal:
        margin = 2 if token.startswith("$$") else 1
        return Literal("string", text_of_string(token), span=Span(span.start + margin, span.end - margin))

    def function_properties(self, span: Span, given: tuple[Property, ...]) -> tuple[str, Span, dict[str, Any]]:
        return "WITH", span, {"properties": given}

    def definitions(self, span: Span, *parts: Any) -> Definitions:
        columns = [part for part in parts if isinstance(part, ColumnDefinition)]
        watermarks = [part for part in parts if isinstance(part, Watermark)]
        if len(watermarks) > 1:
            raise SyntaxProblem("WATERMARK is given twice", watermarks[1].span, hint="keep one of them")
        for name in (name for part in parts if isinstance(part, tuple) for name in part):
            places = [i for i, column in enumerate(columns) if column.name.text.lower() == name.text.lower()]
            if not places:
                hint = suggestion(name.text, (column.name.text for column in columns), "columns")
                raise UnknownName(
                    f'PRIMARY KEY names "{name.text}", which is not among the columns', name.span, hint=hint
                )
            columns[places[0]] = replace(columns[places[0]], primary_key=True)
        checks = tuple(part for part in parts if isinstance(part, syntax.Check))
        return Definitions(tuple(columns), watermarks[0] if watermarks else None, checks)

    watermark = makes(Watermark, "column expression")

    def column_definition(self, span: Span, name: Identifier, type_: str, *constraints: dict[str, Any]) -> Any:
        given: dict[str, Any] = {}
        for constraint in constraints:
            checks = (*given.get("checks", ()), *constraint.get("checks", ()))
            given |= {**constraint, "checks": checks}
        return ColumnDefinition(name, type_, span=span, **given)

    def computed_column(self, span: Span, name: Identifier, expression: Expression) -> ColumnDefinition:
        return ColumnDefinition(name, "", computed=expression, span=span)

    def key(self, span: Span) -> dict[str, Any]:
        return {"key": True}

    def primary_key_column(self, span: Span, _not_enforced: None) -> dict[str, Any]:
        return {"primary_key": True}

    def not_null(self, span: Span) -> dict[str, Any]:
        return {"not_null": True}

    def column_check(self, span: Span, check: syntax.Check) -> dict[str, Any]:
        return {"checks": (check,)}

    def nullable(self, span: Span) -> dict[str, Any]:
        return {}

    def default(self, span: Span, value: Expression) -> dict[str, Any]:
        return {"default": value}

    def computed(self, span: Span, expression: Expression) -> dict[str, Any]:
        return {"computed": expression}

    def headers(self, span: Span) -> dict[str, Any]:
        return {"header": ""}

    def header(self, span: Span, key: str) -> dict[str, Any]:
        return {"header": key}

    def primary_key(self, span: Span, names: tuple[Identifier, ...], _not_enforced: None) -> tuple[Identifier, ...]:
        return names

    def not_enforced(self, span: Span) -> None:
        return None

    def property(self, span: Span, name: Identifier | str, value: str) -> Property:
        return Property(_text(name).lower(), value, span=span)

    def copy_option(self, span: Span, name: Identifier, value: str | None) -> Property:
        return Property(name.text.lower(), "true" if value is None else value, span=span)

    def null_option(self, span: Span, value: str) -> Property:
        return Property("null", value, span=span)

    def property_value(self, span: Span, *parts: Any) -> str:
        last = parts[-1]
        if isinstance(last, Identifier):
            return last.text
        if last.type == "STRING":
            return text_of_string(last)
        if last.type == "NUMBER":
            return "".join(part for part in parts if part is not None)
        return str(last).lower()

    def text(self, span: Span, token: Token) -> str:
        return text_of_string(token)

    def check(self, span: Span, condition: Expression, violation: tuple[str, Any] | None) -> syntax.Check:
        action, into = violation or ("FAIL", None)
        return syntax.Check(condition, action, into, span=span)

    def on_error(self, span: Span, reaction: tuple[str, Any]) -> syntax.OnError:
        return syntax.OnError(*reaction, span=span)

    def error_reaction(self, span: Span, reaction: tuple[str, Any]) -> tuple[str, Any]:
        return reaction

    def skip(self, span: Span) -> tuple[str, None]:
        return "SKIP", None

    def drop_row(self, span: Span) -> tuple[str, None]:
        return "DROP", None

    def fail(self, span: Span) -> tuple[str, None]:
        return "FAIL", None

    def insert_into(self, span: Span, name: Identifier) -> tuple[str, Identifier]:
        return "INSERT", name

    # ------------------------------------------------------------ change

    def insert(
        self, span: Span, relation: Identifier, columns: Any, properties: Any, query: Query,
        on_conflict: Any, if_version: int | None, more: Any, on_error: Any,
    ) -> Insert:  # fmt: skip
        given = (*(properties or ()), *(more or ()))
        return Insert(relation, columns or (), query, given, on_error, if_version, on_conflict, span=span)

    do_nothing = makes(syntax.OnConflict, "columns")
    do_update = makes(syntax.OnConflict, "columns assignments where")

    def if_version(self, span: Span, version: int) -> int:
        return version

    update = makes(syntax.Update, "relation assignments where if_version")
    assignment = makes(syntax.Assignment, "column value")
    delete = makes(syntax.Delete, "relation where if_version")
    drop = makes(syntax.Drop, "kind if_exists name cascade delete_topic")
    alter = makes(syntax.Alter, "kind name actions")
    add_column = makes(syntax.AddColumn, "column")
    add_check = makes(syntax.AddCheck, "check")
    drop_column = makes(syntax.DropColumn, "name")
    rename_column = makes(syntax.RenameColumn, "old new")
    rename_relation = makes(syntax.RenameRelation, "new")

    def drop_kind(self, span: Span, *kind: Token) -> str:
        return "TABLE" if len(kind) == 2 else kind[0].upper()

    # ------------------------------------------------------------ consume, compose, guard

    fetch = makes(syntax.Fetch, "count relation group wait_us")
    commit_group = makes(syntax.CommitGroup, "group")
    seek = makes(syntax.Seek, "group relation point")
    create_queue = makes(syntax.CreateQueue, "or_replace if_not_exists name relation properties")
    receive = makes(syntax.Receive, "count queue wait_us")
    ack = makes(syntax.Ack, "queue ids")
    nack = makes(syntax.Nack, "queue ids")

    def begin(self, span: Span, properties: tuple[Property, ...] | None) -> syntax.Transaction:
        return syntax.Transaction("BEGIN", properties or (), span=span)

    def transaction(self, span: Span, word: Token, _filler: Token | None) -> syntax.Transaction:
        return syntax.Transaction(word.upper(), span=span)

    create_pipeline = makes(syntax.CreatePipeline, "or_replace if_not_exists name ports statements")
    pipeline_parameter = makes(syntax.PipelineParameter, "name type default")
    create_instance = makes(syntax.CreateInstance, "or_replace if_not_exists name pipeline bindings properties")
    binding = makes(syntax.Binding, "name value")

    def port(self, span: Span, direction: str, name: Identifier, kind: str, definitions: Definitions) -> syntax.Port:
        return syntax.Port(direction, name, kind, _columns(definitions), span=span)

    create_assertion = makes(syntax.CreateAssertion, "or_replace if_not_exists name condition action")
    verify = makes(syntax.Verify, "kind name first last against")
    against = makes(syntax.Against, "root size partition")
    show_proof = makes(syntax.ShowProof, "name offset size partition")
    show_extension = makes(syntax.ShowExtension, "name before size partition")
    show_root = makes(syntax.ShowRoot, "name")
    state_root = makes(syntax.StateRoot, "name as_of")
    create_remote = makes(syntax.CreateRemote, "or_replace if_not_exists name properties")
    sync = makes(syntax.Sync, "kind name remote direction")
    fork = makes(syntax.Fork, "path as_of")
    diff = makes(syntax.Diff, "kind name path")
    explain_row = makes(syntax.ExplainRow, "name where as_of")
    explain_missing = makes(syntax.ExplainRow, "name where as_of", missing=True)

    # ------------------------------------------------------------ operate

    preview = makes(syntax.Preview, "statement")
    show = makes(syntax.Show, "what extended as_of")
    describe_all = makes(syntax.DescribeAll, "kind extended")
    explain = makes(syntax.Explain, "analyze format statement")
    define = makes(syntax.Define, "name value")
    undefine = makes(syntax.Undefine, "name")
    run_script = makes(syntax.RunScript, "path")
    checkpoint = makes(syntax.Checkpoint, "")

    def describe(
        self, span: Span, kind: Token | None, name: Identifier, extended: bool | None, as_of: syntax.AsOf | None
    ) -> syntax.Describe:
        return syntax.Describe(name, bool(extended), kind and kind.upper(), as_of, span=span)

    def explain_format(self, span: Span, name: Identifier) -> str:
        if name.text.lower() not in ("text", "json"):
            raise SyntaxProblem(f'there is no format "{name.text}"', name.span, hint="(FORMAT text) or (FORMAT json)")
        return name.text.lower()

    def control(self, span: Span, action: str, query: Identifier | None = None) -> syntax.Control:
        return syntax.Control(action, query, span=span)

    control_instance = makes(syntax.Control, "action query", is_instance=True)

    def print_(self, span: Span, name: Identifier | str, *rest: Any) -> syntax.Print:
        from_beginning, interval, limit = rest
        relation = Identifier(name, quoted=True, span=span) if isinstance(name, str) else name
        return syntax.Print(relation, bool(from_beginning), interval, limit, span=span)

    def set_(self, span: Span, name: Identifier | str, value: str) -> syntax.SetProperty:
        return syntax.SetProperty(_text(name), value, span=span)

    def alter_system(self, span: Span, name: Identifier | str, value: str) -> syntax.SetProperty:
        return syntax.SetProperty(_text(name), value, system=True, span=span)

    def unset(self, span: Span, name: Identifier | str) -> syntax.UnsetProperty:
        return syntax.UnsetProperty(_text(name), span=span)

    def copy(self, span: Span, source: Identifier | Query, *rest: Any) -> syntax.Copy:
        *columns, direction, path, options = rest
        if direction == "FROM" and isinstance(source, Query):
            raise SyntaxProblem("a query is copied TO a file", source.span, hint="COPY (SELECT …) TO 'file'")
        names = columns[0] if columns and columns[0] else ()
        return syntax.Copy(source, names, direction, path, options or (), span=span)

    # ------------------------------------------------------------ assert

    def assert_values(self, span: Span, words: Token, relation: Identifier, columns: Any, *rest: Any) -> Any:
        return syntax.AssertValues(relation, columns or (), rest[-1], words.upper().startswith("NULL"), span=span)

    def assert_relation(
        self, span: Span, kind: str, name: Identifier, definitions: Definitions | None, properties: Any
    ) -> syntax.AssertRelation:
        return syntax.AssertRelation(kind, name, _columns(definitions), properties or (), span=span)

    def assert_topic(self, span: Span, absent: bool | None, name: Identifier, properties: Any, timeout: Any) -> Any:
        return syntax.AssertTopic(name, properties or (), timeout, not absent, span=span)

    def assert_schema(self, span: Span, absent: bool | None, subject: Any, id_: Any, timeout: Any) -> Any:
        return syntax.AssertSchema(subject, id_, timeout, not absent, span=span)


def _text(name: Identifier | str) -> str:
    return name if isinstance(name, str) else name.text


def _columns(definitions: Definitions | None) -> tuple[ColumnDefinition, ...]:
    """Columns where there can be no watermark and no CHECK."""
    if definitions is None:
        return ()
    if definitions.watermark is not None:
        raise SyntaxProblem("WATERMARK cannot stand here", definitions.watermark.span, hint="leave it out")
    for check in (*definitions.checks, *(check for column in definitions.columns for check in column.checks)):
        raise SyntaxProblem("CHECK cannot stand here", check.span, hint="leave it out")
    return definitions.columns
