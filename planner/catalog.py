"""The catalog: immutable maps from names to relations, views, types, functions, schemas, pipelines and instances. It is
a fold over the log of DDL, so it has a past as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from headwater.errors import NameTaken, Span, SqlError, UnknownName, suggestion
from headwater.parser.syntax import Identifier, Query
from headwater.planner import alerts
from headwater.planner.checks import Check
from headwater.planner.components import Component, Instance, PipelineDefinition, Schema, is_inside
from headwater.planner.error_streams import ERROR_COLUMNS, FIRST_ID, SUFFIX, error_stream_id, owner_name, refuse_taken
from headwater.planner.file_options import FileSource
from headwater.planner.logical import Plan, StreamSource, TableSource
from headwater.planner.user_functions import Function
from headwater.values import ROWOFFSET, ROWPARTITION, ROWTIME, Column

Reaction = Literal["ALERT", "REJECT", "PAUSE"]
PSEUDO_TYPES = (Column(ROWTIME, "TIMESTAMP"), Column(ROWPARTITION, "INTEGER"), Column(ROWOFFSET, "BIGINT"))


@dataclass(frozen=True, slots=True)
class LogOptions:
    """What the log of a relation keeps, and how: history of at least so many µs and bytes, or all of it (None)."""

    retention_us: int | None = None
    retention_bytes: int | None = None
    compression: Literal["lz4", "zstd"] | None = None
    ledger: bool = False  # whether its records are hashed

    @property
    def is_kept_for_ever(self) -> bool:
        """Whether nothing is ever taken out of the log."""
        return self.retention_us is None and self.retention_bytes is None


@dataclass(frozen=True, slots=True)
class Queue:
    """How a queue hands out the records of the stream with the id `stream`: for so many µs at a time and, where there
    is a stream `dead_letter` for what nobody could do, again at most `retries` times.
    """

    stream: int
    visibility_us: int
    retries: int | None
    dead_letter: int | None


@dataclass(frozen=True, slots=True)
class Insertion:
    """That the rows of a query go into the stream with the id `stream`; where they may come back to it from there, at
    most `max_hops` times.
    """

    stream: int
    max_hops: int | None = None


@dataclass(frozen=True)
class Relation:
    """A stream or table, or a query that has an `insertion`, and no rows of its own. `id` names its log for ever;
    `plan` is the continuous query of a derived one, computed from the logs of source relations; `reads` are the ids of
    the relations and functions that its text names.

    `columns` are those of `SELECT *`. `partition_key` columns choose the partition of a source relation's row.
    `timestamp` names the column that is the event time; else ROWTIME is given with the row, or the append time.

    A query may belong to another `clock` than the database's, which is 0: then its circuit moves at a pace of its own.
    Seen from here the relation is a source that only that query writes: its plan is in `apart`, and it has no `plan`.

    Rows on which the query fails go to the log `errors_into`, are only counted (SKIP), or stop it (FAIL). `state_limit`
    is how many bytes of state it may hold. `checks` hold for each row. Of an error stream, `errors_of` is the id of the
    query. The state of a queue is a table that has a `queue`.
    """

    name: str
    id: int
    kind: str  # 'STREAM', 'TABLE' or 'QUERY'
    columns: tuple[Column, ...]
    definition: str  # the CREATE statement, as text
    partition_key: tuple[str, ...] = ()
    primary_key: tuple[str, ...] = ()
    not_null: tuple[str, ...] = ()
    timestamp: str | None = None
    timestamp_format: str | None = None
    partitions: int = 1
    plan: Plan | None = None
    reads: tuple[int, ...] = ()
    log: LogOptions = LogOptions()
    on_error: Literal["INSERT", "SKIP", "FAIL"] = "INSERT"
    errors_into: int | None = None
    errors_of: int | None = None
    state_limit: int | None = None
    checks: tuple[Check, ...] = ()
    queue: Queue | None = None
    reaction: Reaction | None = None  # of the table of what violates an assertion: what becomes of a violation
    insertion: Insertion | None = None
    files: FileSource | None = None  # where its rows come from, if that is files
    clock: int = 0
    apart: Plan | None = None

    @property
    def is_stream(self) -> bool:
        """Whether rows are only ever added to it; those of a query are records of a stream, too."""
        return self.kind != "TABLE"

    @property
    def made_as(self) -> str:
        """What stands behind CREATE and DROP for it."""
        return "QUEUE" if self.queue is not None else "ASSERTION" if self.reaction is not None else self.kind

    @property
    def is_derived(self) -> bool:
        return self.plan is not None

    @property
    def query_plan(self) -> Plan | None:
        """The plan of the continuous query that writes it, whatever its clock."""
        return self.plan or self.apart

    @property
    def has_query(self) -> bool:
        """Whether a continuous query writes it, whatever its clock."""
        return self.query_plan is not None

    def seen_from(self, clock: int) -> Relation:
        """The same relation for queries of a clock: what has another clock is read from its log."""
        is_here = self.clock == clock
        if not self.has_query or is_here == self.is_derived:
            return self
        return replace(self, plan=self.query_plan if is_here else None, apart=None if is_here else self.query_plan)

    @property
    def outlets(self) -> frozenset[int]:
        """The ids of the streams that a query writes besides its own: of errors, violations, alerts, and inserts."""
        alert = None if self.reaction is None else alerts.alert_stream_id(self.id)
        into = None if self.insertion is None else self.insertion.stream
        found = (self.errors_into, alert, into, *(check.into for check in self.checks))
        return frozenset(id for id in found if id is not None)

    @property
    def targets(self) -> frozenset[int]:
        """The ids of the streams of users that a query writes besides its own."""
        return frozenset(id for id in self.outlets if id < FIRST_ID)

    @property
    def key(self) -> tuple[str, ...] | None:
        """Columns that identify a row of the table, or None for a stream or a bag."""
        if self.plan is not None:
            return self.plan.key
        return self.primary_key or None

    def source(self) -> Plan:
        """The plan leaf that reads this relation's own log."""
        if self.is_stream:
            return StreamSource(self.id, self.name, (*self.columns, *PSEUDO_TYPES))
        return TableSource(self.id, self.name, self.columns, self.primary_key)

    def content(self) -> Plan:
        """The plan that computes this relation from the logs of source relations alone."""
        return self.plan if self.plan is not None else self.source()


def error_stream(query: Relation) -> Relation | None:
    """The stream of the rows on which a query fails, if it has one of its own."""
    id = error_stream_id(query.id)
    if query.errors_into != id:
        return None
    return Relation(f"{query.name}{SUFFIX}", id, "STREAM", ERROR_COLUMNS, "", errors_of=query.id, log=query.log)


def alert_stream(assertion: Relation) -> Relation | None:
    """The stream in which an assertion tells of violations."""
    if assertion.reaction is None:
        return None
    id = alerts.alert_stream_id(assertion.id)
    return Relation(f"{assertion.name}{alerts.SUFFIX}", id, "STREAM", alerts.COLUMNS, "", errors_of=assertion.id)


@dataclass(frozen=True)
class View:
    """A name for a query, whose first columns may have other names. `reads` are the ids of what its text names."""

    name: str
    id: int
    query: Query
    definition: str  # the CREATE statement, as text
    columns: tuple[Identifier, ...] = ()
    reads: tuple[int, ...] = ()

    kind = made_as = "VIEW"
    clock = 0  # its query is part of those that read it

    def seen_from(self, clock: int) -> View:
        """The same view: see `Relation.seen_from`."""
        return self


@dataclass(frozen=True, slots=True)
class NamedType:
    """A name for a type, which is DuckDB's text of it."""

    name: str
    type: str


@dataclass(frozen=True)
class Catalog:
    """All relations, views, named types, functions, schemas, pipelines and instances by their names in lower case, and
    the next free id.

    Relations and views share their names; their ids are shared by functions too. All is as seen from a `clock`.
    """

    relations: Mapping[str, Relation] = field(default_factory=dict)
    views: Mapping[str, View] = field(default_factory=dict)
    types: Mapping[str, NamedType] = field(default_factory=dict)
    functions: Mapping[str, Function] = field(default_factory=dict)
    components: Mapping[tuple[str, str], Component] = field(default_factory=dict)  # by kind and name
    next_id: int = 1
    clock: int = 0

    def in_clock(self, clock: int) -> Catalog:
        """The same catalog, as queries of another clock see it."""
        if clock == self.clock:
            return self
        seen = {name: relation.seen_from(clock) for name, relation in self.relations.items()}
        return replace(self, relations=seen, clock=clock)

    def get(self, name: str) -> Relation | None:
        """The relation of that name in any case, or None; error streams are found by their names, too."""
        return self.relations.get(name.lower()) or self._error_stream_named(name)

    def _error_stream_named(self, name: str) -> Relation | None:
        owner = owner_name(name)
        query = self.relations.get(owner) if owner is not None else None
        assertion = self.relations.get(name.lower().removesuffix(alerts.SUFFIX))
        found = [None if query is None else error_stream(query), None if assertion is None else alert_stream(assertion)]
        return next((r for r in found if r is not None and r.name.lower() == name.lower()), None)

    def view(self, name: Identifier) -> View | None:
        """The view that `name` refers to, or None."""
        view = self.views.get(name.text.lower())
        if view is None or (name.quoted and view.name != name.text):
            return None
        self._refuse_private(view.name, name)
        return view

    def item(self, name: Identifier) -> Relation | View:
        """The relation or view that `name` refers to. Raises UnknownName with the nearest relation."""
        return self.view(name) or self.find(name)

    def find(self, name: Identifier, *, queries: bool = False) -> Relation:
        """The relation that `name` refers to. Raises UnknownName with the nearest one, and SqlError for a query that
        has no rows of its own, unless these are meant, too.
        """
        relation = self.get(name.text)
        if relation is not None and relation.insertion is not None and not queries:
            into = self.by_id(relation.insertion.stream).name
            raise SqlError(
                f'"{relation.name}" is a query that inserts into "{into}"', name.span,
                hint=f"read {into}, or what the query reads",
            )  # fmt: skip
        if self.view(name) is not None:
            raise UnknownName(
                f'"{name.text}" is a view, not a stream or table', name.span, hint="ask it: SELECT … FROM it"
            )
        if relation is None or (name.quoted and relation.name != name.text):
            raise UnknownName(f'there is no stream or table "{name.text}"', name.span, hint=self._nearest(name.text))
        self._refuse_private(relation.name, name)
        return relation

    def find_target(self, name: Identifier) -> Relation:
        """The relation that `name` refers to, for who puts rows into it. Raises SqlError also for one of an instance,
        which nobody but the pipeline writes.
        """
        relation = self.find(name)
        owner = self.owner(relation.name)
        if owner is not None and not is_inside(name):
            raise SqlError(
                f'"{relation.name}" is written by the instance {owner.name} alone', name.span,
                hint=f"it writes what follows from {', '.join(owner.reads) or 'nothing'}",
            )  # fmt: skip
        return relation

    def _nearest(self, name: str) -> str | None:
        """What may have been meant by a name of no relation: what is in the instance or schema of that name."""
        names = [*(r.name for r in self.relations.values()), *(v.name for v in self.views.values())]
        seen = [n for n in names if not self.is_private(n)]
        inside = sorted(n for n in seen if n.lower().startswith(f"{name.lower()}."))
        kind = next((kind for kind in ("SCHEMA", "INSTANCE") if (kind, name.lower()) in self.components), None)
        if inside and kind is not None:
            return f"{kind} {name} is no relation; in it there is {', '.join(inside[:12])}"
        if name.lower() in self.pipelines:
            return f"it is a pipeline, which is seen by its instances: CREATE INSTANCE … OF {name}"
        return suggestion(name, seen, "streams and tables")

    @property
    def schemas(self) -> dict[str, Schema]:
        """The schemas by their names in lower case."""
        return {name: c for (_, name), c in self.components.items() if isinstance(c, Schema)}

    @property
    def pipelines(self) -> dict[str, PipelineDefinition]:
        """The pipelines by their names in lower case."""
        return {name: c for (_, name), c in self.components.items() if isinstance(c, PipelineDefinition)}

    @property
    def instances(self) -> dict[str, Instance]:
        """The instances by their names in lower case, those inside others among them."""
        return {name: c for (_, name), c in self.components.items() if isinstance(c, Instance)}

    def owner(self, name: str) -> Instance | None:
        """The outermost instance that a relation, view or instance of that name is a part of."""
        parts = name.lower().split(".")
        beginnings = (".".join(parts[:length]) for length in range(1, len(parts)))
        found = (self.components.get(("INSTANCE", beginning)) for beginning in beginnings)
        return next((instance for instance in found if isinstance(instance, Instance)), None)

    def is_private(self, name: str) -> bool:
        """Whether a relation or view can be seen from inside an instance only."""
        owner = self.owner(name)
        inner = name.lower()[len(owner.name) + 1 :] if owner is not None else ""
        return owner is not None and inner not in owner.outputs and owner_name(inner) not in owner.outputs

    def _refuse_private(self, known: str, name: Identifier) -> None:
        if self.is_private(known) and not is_inside(name):
            owner = self.owner(known)
            assert owner is not None
            seen = ", ".join(f"{owner.name}.{port}" for port in sorted(owner.outputs)) or "nothing"
            raise SqlError(
                f'"{known}" is private to the instance {owner.name}, of which others see {seen}', name.span,
                hint=f"to look inside: SELECT … FROM INSPECT {known}",
            )  # fmt: skip

    def with_component(self, item: Component) -> Catalog:
        """With a schema, pipeline or instance, in the place of the one of its name."""
        return replace(self, components={**self.components, (item.kind, item.name.lower()): item})

    def without_component(self, kind: str, name: str) -> Catalog:
        """Without a schema, pipeline or instance."""
        gone = (kind, name.lower())
        return replace(self, components={key: item for key, item in self.components.items() if key != gone})

    def by_id(self, id: int) -> Relation:
        """The relation with an id, which must be there; error streams are found, too."""
        return next(r for r in (*self.relations.values(), *self.error_streams()) if r.id == id)

    def add(self, item: Relation | View, span: Span | None = None) -> Catalog:
        """With a relation or view, whose name and id must be new."""
        taken = self.named(item.name)
        if taken is not None and getattr(taken, "errors_of", None) is None:
            raise NameTaken(f'"{taken.name}" exists already', span, hint=f"DROP {taken.made_as} {taken.name}; first")
        refuse_taken(item, self)
        return replace(self.with_item(item), next_id=max(self.next_id, item.id + 1))

    def named(self, name: str) -> Relation | View | None:
        """The relation or view of that name in any case, or None."""
        return self.get(name) or self.views.get(name.lower())

    def with_item(self, item: Relation | View) -> Catalog:
        """With a relation or view in the place of the one of its name."""
        if isinstance(item, View):
            return replace(self, views={**self.views, item.name.lower(): item})
        return replace(self, relations={**self.relations, item.name.lower(): item})

    def remove(self, name: str) -> Catalog:
        """Without the relation or view `name`."""
        relations = {k: r for k, r in self.relations.items() if k != name.lower()}
        return replace(self, relations=relations, views={k: v for k, v in self.views.items() if k != name.lower()})

    def with_type(self, named: NamedType) -> Catalog:
        """With a named type, in the place of the one of its name."""
        return replace(self, types={**self.types, named.name.lower(): named})

    def without_type(self, name: str) -> Catalog:
        """Without the named type `name`."""
        return replace(self, types={k: t for k, t in self.types.items() if k != name.lower()})

    def with_function(self, function: Function) -> Catalog:
        """With a function, in the place of the one of its name."""
        functions = {**self.functions, function.name.lower(): function}
        return replace(self, functions=functions, next_id=max(self.next_id, function.id + 1))

    def without_function(self, name: str) -> Catalog:
        """Without the function `name`."""
        return replace(self, functions={k: f for k, f in self.functions.items() if k != name.lower()})

    def before(self, later: Catalog) -> Catalog:
        """With what a later catalog has under names that are free here."""
        taken = self.relations.keys() | self.views.keys()
        return Catalog(
            {**{n: r for n, r in later.relations.items() if n not in taken}, **self.relations},
            {**{n: v for n, v in later.views.items() if n not in taken}, **self.views},
            {**later.types, **self.types},
            {**later.functions, **self.functions},
            {**later.components, **self.components},
            later.next_id,
            self.clock,
        )

    def dependents(self, item: Relation | View | Function) -> list[Relation | View]:
        """The relations and views that read or call `item`, or put rows, errors or what violates a check into it,
        directly or not, in the order of their making.
        """
        found = {item.id, error_stream_id(item.id), alerts.alert_stream_id(item.id)}
        dependents: list[Relation | View] = []
        others: list[Relation | View] = [*self.relations.values(), *self.views.values()]
        for other in sorted(others, key=lambda other: other.id):
            into = other.targets if isinstance(other, Relation) else frozenset[int]()
            if found.intersection(other.reads) or found & into:
                found |= {other.id, error_stream_id(other.id), alerts.alert_stream_id(other.id)}
                dependents.append(other)
        return dependents

    @property
    def ids(self) -> set[int]:
        """The ids of all relations, error streams among them, and functions."""
        owning = {id for r in self.relations.values() for id in r.outlets}
        named = {r.id for r in self.relations.values()} | {f.id for f in self.functions.values()}
        return named | owning

    def error_streams(self) -> list[Relation]:
        """The error streams of all queries that have one, and those of alerts, in the order of their making."""
        both = [stream for query in self.ordered() for stream in (error_stream(query), alert_stream(query))]
        return [stream for stream in both if stream is not None]

    def ordered(self) -> list[Relation]:
        """All relations in the order of their making, which is an order of dependency too."""
        return sorted(self.relations.values(), key=lambda r: r.id)
