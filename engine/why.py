"""EXPLAIN ROW: which records of the log a row is made of. EXPLAIN MISSING is in why_missing.py.

A statement is about the rows of a relation that meet a condition at a cut of the log (`Question`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from headwater.engine.cells import texts
from headwater.engine.insertions import Inserted, Insertions
from headwater.engine.pipeline import Pipeline
from headwater.engine.reading import Reader
from headwater.engine.result import Result
from headwater.errors import OutOfRange, PositionGone, SqlError, Unsupported
from headwater.executor.feed import Cut, Leaf, read_rows
from headwater.executor.lineage import Tracer, Via, content_at
from headwater.parser import syntax, unparse
from headwater.planner import Catalog, Relation
from headwater.planner.calls import with_duckdb_calls
from headwater.planner.catalog import PSEUDO_TYPES
from headwater.planner.duckdb_errors import with_users_names
from headwater.planner.expressions import bind_predicate
from headwater.planner.logical import (
    EVENT_TIME,
    PARTITION,
    STREAM_TIME,
    Aggregate,
    Expression,
    Filter,
    Foremost,
    Over,
    Plan,
    SemiJoin,
    SessionAssign,
    StreamOutput,
    StreamSource,
    StreamTime,
    TableSource,
    TemporalFilter,
    TopK,
    walk_plan,
)
from headwater.planner.optimize import optimize
from headwater.planner.scope import Scope, ScopeColumn
from headwater.storage import Log
from headwater.values import ROWOFFSET, ROWPARTITION, Column

ROWS_MAX = 20  # rows of the relation that are explained
RECORDS_MAX = 100  # records that are shown of each
FOLLOWED_MAX = 50  # records that queries have inserted and that are followed to what they were made of

_COLUMNS = (
    Column("row", "VARCHAR"), Column("source", "VARCHAR"), Column("partition", "INTEGER"), Column("offset", "BIGINT"),
    Column("version", "BIGINT"), Column("record", "VARCHAR"), Column("via", "VARCHAR"), Column("note", "VARCHAR"),
)  # fmt: skip
_TYPES = [pa.string(), pa.string(), pa.int32(), pa.int64(), pa.int64(), pa.string(), pa.string(), pa.string()]


@dataclass(frozen=True)
class Question:
    """The rows of `plan`, which computes `relation`, that meet a condition at a cut."""

    relation: Relation
    plan: Plan
    condition: Expression
    cut: Cut
    catalog: Catalog  # what names mean there

    @property
    def filtered(self) -> Plan:
        """The plan of the rows in question, with the condition as far down as it goes."""
        return optimize(Filter(self.plan, self.condition))


def question(statement: syntax.ExplainRow, pipeline: Pipeline, reader: Reader) -> Question:
    """What `statement` asks about. Raises SqlError for names, conditions and points that there are not."""
    pipeline.catch_up()
    with pipeline.lock:
        points = reader.points()
        catalog = points.catalog(statement.as_of)
        relation = catalog.find(statement.name)
        plan = relation.content()
        if statement.as_of is not None:
            _refuse_own_offset(relation, statement.as_of)
            cut = reader.as_it_ran(relation, points.cut(statement.as_of, [plan]), catalog)
        else:
            pipeline.check_running(relation)
            stop = pipeline.stopped.get(relation.id)
            cut = Cut(points.latest if stop is None else stop.version)
    pseudo = PSEUDO_TYPES if relation.is_stream else ()
    columns = [ScopeColumn(relation.name, c.name, c.name, c.type) for c in relation.columns]
    columns += [ScopeColumn(relation.name, c.name, c.name, c.type, hidden=True) for c in pseudo]
    _check_beginning(relation, plan, pipeline.log, statement)
    condition = with_duckdb_calls(statement.where, catalog.functions)
    return Question(relation, plan, bind_predicate(condition, Scope(tuple(columns)), "WHERE"), cut, catalog)


def _refuse_own_offset(relation: Relation, as_of: syntax.AsOf) -> None:
    """Raises Unsupported for an offset of a derived stream, at which it is not said where its sources are."""
    named = any(isinstance(key, str) for key, _ in as_of.positions)
    if relation.is_stream and relation.is_derived and as_of.kind in ("offset", "offsets") and not named:
        raise Unsupported(
            f'an offset of "{relation.name}" is no place in its sources', as_of.span,
            hint="write WHERE ROWOFFSET = …, or AS OF VERSION …",
        )  # fmt: skip


def _check_beginning(relation: Relation, plan: Plan, log: Log, statement: syntax.ExplainRow) -> None:
    """Raises Unsupported where retention has taken records that rows may be made of."""
    leaves = [leaf for leaf in walk_plan(plan) if isinstance(leaf, StreamSource)]
    cut = next((leaf for leaf in leaves if log.start(leaf.id).version), None)
    if relation.is_derived and cut is not None:
        raise Unsupported(
            f'retention has taken records of "{cut.name}", so what "{relation.name}" is made of is not known any more',
            statement.name.span, hint=f"ask for the records that are left: SELECT … FROM {cut.name}",
        )  # fmt: skip


def explain_row(statement: syntax.ExplainRow, pipeline: Pipeline, reader: Reader) -> Result:
    """The answer to EXPLAIN ROW. Raises SqlError where no row meets the condition."""
    asked = question(statement, pipeline, reader)
    log = pipeline.log
    with refusing(statement):
        rows = content_at(log, asked.filtered, asked.cut)
        if not rows.num_rows:
            what = f'no row of "{asked.relation.name}" meets this condition'
            hint = f"EXPLAIN MISSING {unparse(statement.name)} WHERE … says why"
            raise SqlError(what, statement.where.span, hint=hint)
        tracer = Tracer(log)
        shown = rows.slice(0, ROWS_MAX)
        origins = tracer.trace(asked.plan, shown, asked.cut)
    found = _lines(asked.relation, shown, origins, _History(tracer, log, reader, asked.catalog))
    found += [_only_note(None, note) for note in dict.fromkeys(tracer.left_out)]
    if rows.num_rows > ROWS_MAX:
        found.append(_only_note(None, f"{rows.num_rows - ROWS_MAX:,} more rows meet the condition"))
    return Result.of_rows(_COLUMNS, found, _TYPES)


@contextmanager
def refusing(statement: syntax.ExplainRow) -> Iterator[None]:
    """Gives what cannot be answered a place in the statement."""
    try:
        yield
    except PositionGone as gone:
        raise OutOfRange(
            "this point is no more: retention has taken what it was made of", statement.span,
            hint=f"the earliest is AS OF VERSION {gone.earliest}",
        ) from gone  # fmt: skip
    except Unsupported as error:
        raise Unsupported(error.message, error.span or statement.span, hint=error.hint) from error


_Line = tuple[object, ...]


def _lines(relation: Relation, rows: pa.RecordBatch, origins: pa.Table, history: _History) -> list[_Line]:
    """For each row a line per record that it is made of, and then per record that those are made of that queries have
    inserted.
    """
    bounds = np.searchsorted(origins.column("of").to_numpy(), np.arange(rows.num_rows + 1))
    lines: list[_Line] = []
    for number, text in enumerate(row_texts(rows, relation.columns)):
        first, count = int(bounds[number]), int(bounds[number + 1] - bounds[number])
        own = history.records(origins.slice(first, min(count, RECORDS_MAX)))
        lines += [(text, *line) for line in history.lines(own)]
        if not count:
            lines.append(_only_note(text, "made of no record: of constants, or of no rows"))
        if count > RECORDS_MAX:
            lines.append(_only_note(text, f"{count - RECORDS_MAX:,} more records"))
    return lines


@dataclass(frozen=True)
class _Record:
    """A record that came by a way, from which `behind` says on where to."""

    via: Via
    partition: int
    offset: int
    behind: str = ""

    @property
    def place(self) -> tuple[int, int, int]:
        return self.via.source.id, self.partition, self.offset


class _History:
    """What records were made of in turn, where queries have inserted them: each step is a hop back."""

    def __init__(self, tracer: Tracer, log: Log, reader: Reader, catalog: Catalog) -> None:
        self._tracer = tracer
        self._recorder = Recorder(log, catalog)
        self._insertions = Insertions(log, reader.catalogs)
        self._followed = 0

    def records(self, origins: pa.Table, behind: str = "") -> list[_Record]:
        """The records in a table of ORIGINS."""
        return [
            _Record(self._tracer.vias[found["via"]], found["partition"], found["offset"], behind)
            for found in origins.to_pylist()
        ]

    def lines(self, own: Sequence[_Record]) -> Iterator[_Line]:
        """What is shown of records, and of those behind them, the nearest first."""
        known, ahead = {record.place for record in own}, list(own)
        for record in ahead:
            version, text = self._recorder.record(record.via.source, record.partition, record.offset)
            inserted, made_of, told = None, list[_Record](), None
            if isinstance(record.via.source, StreamSource):
                inserted = self._insertions.of(record.via.source.id, version, record.partition, record.offset)
            if inserted is not None:
                made_of, told = self._behind(record, inserted)
            ahead += [each for each in made_of if each.place not in known]
            known |= {each.place for each in made_of}
            note = self._recorder.note(record.via.source, record.partition, record.offset) or _note(record.via)
            way = " ← ".join(filter(None, (record.behind, way_of(record.via))))
            notes = "; ".join(filter(None, (told, note))) or None
            yield (record.via.source.name, record.partition, record.offset, version, text, way, notes)

    def _behind(self, record: _Record, inserted: Inserted) -> tuple[list[_Record], str]:
        """The records that an inserted one was made of, and what is to be said of it."""
        name = inserted.query.name
        if inserted.row is None:
            return [], f"inserted by {name}, of what retention has taken"
        if self._followed == FOLLOWED_MAX:
            return [], f"inserted by {name}, which is not followed further"
        self._followed += 1
        assert inserted.query.query_plan is not None
        try:
            origins = self._tracer.trace(inserted.query.query_plan, inserted.row, inserted.cut)
        except Unsupported as error:
            return [], f"inserted by {name}: {error.message}"
        behind = f"{record.via.source.name} ({record.partition}, {record.offset}) ← {name}"
        return self.records(origins.slice(0, RECORDS_MAX), behind), f"inserted by {name}"


def _only_note(row: str | None, note: str) -> _Line:
    return (row, None, None, None, None, None, None, note)


def way_of(via: Via) -> str:
    """The operators that a record went through, the output first, as EXPLAIN has them."""
    hidden = (StreamTime, StreamOutput, StreamSource, TableSource)
    steps = [step_text(node) for node in via.path if not isinstance(node, hidden)]
    return " ← ".join(dict.fromkeys(steps))


def step_text(node: Plan) -> str:
    """A node as EXPLAIN shows it."""
    return f"{type(node).__name__} {with_users_names(node.label())}"


def _note(via: Via) -> str | None:
    """What the records alone do not tell of a row that went this way."""
    notes = []
    for node in via.path:
        match node:
            case TopK() | Foremost():
                notes.append("which rows are the first depends on the others too")
            case Over() | SessionAssign():
                notes.append("its values depend on the other rows too")
            case SemiJoin(negated=True):
                notes.append("there because it has no match")
            case TemporalFilter(clock=clock) if clock is not None:
                notes.append("shown by a clock")
            case Aggregate(keys=()):
                notes.append("one of all rows")
    return "; ".join(dict.fromkeys(notes)) or None


# ---------------------------------------------------------------- rows and records as text

_NAMES = {STREAM_TIME: "stream time", EVENT_TIME: "ROWTIME", PARTITION: "ROWPARTITION"}


def row_texts(rows: pa.RecordBatch, columns: Sequence[Column]) -> list[str]:
    """Each row as text: auction = 7, name = 'x'."""
    cells = [
        [_cell(value, column.type) for value in texts(rows.column(column.name))]
        for column in columns
        if column.name in rows.schema.names
    ]
    names = [_NAMES.get(c.name, c.name) for c in columns if c.name in rows.schema.names]
    return [
        ", ".join(f"{name} = {value}" for name, value in zip(names, row, strict=True))
        for row in zip(*cells, strict=True)
    ]


def _cell(value: str | None, type_name: str) -> str:
    if value is None:
        return "NULL"
    return "'" + value.replace("'", "''") + "'" if type_name == "VARCHAR" else value


class Recorder:
    """Looks records up in the log: the version that committed one, and its values as text."""

    def __init__(self, log: Log, catalog: Catalog) -> None:
        self._log = log
        self._relations = {relation.id: relation for relation in (*catalog.ordered(), *catalog.error_streams())}
        self._chunks: dict[tuple[int, int], pa.RecordBatch] = {}  # the rows of a relation that a version committed

    def version(self, source: StreamSource | TableSource, partition: int, offset: int) -> int:
        """The version that committed a record."""
        start = self._log.start(source.id)
        if offset < start.ends.get(partition, 0):
            return start.version
        return self._log.version_of(source.id, partition, offset)

    def note(self, source: StreamSource | TableSource, partition: int, offset: int) -> str | None:
        """What is to be said of a record that retention has put another in the place of."""
        start = self._log.start(source.id)
        if offset >= start.ends.get(partition, 0):
            return None
        return f"as retention has kept it of what was there at version {start.version}"

    def record(self, source: StreamSource | TableSource, partition: int, offset: int) -> tuple[int, str]:
        """The version of a record, and its values."""
        version = self.version(source, partition, offset)
        relation = self._relations[source.id]
        rows = self._chunks.get((source.id, version))
        if rows is None:
            leaf = _with_places(relation)
            rows = read_rows(self._log, leaf, version - 1, Cut(version))
            self._chunks[source.id, version] = rows
        found = rows.filter(
            pc.and_(pc.equal(rows.column(ROWPARTITION), partition), pc.equal(rows.column(ROWOFFSET), offset))
        )
        return version, row_texts(found.slice(0, 1), relation.columns)[0]


def _with_places(relation: Relation) -> Leaf:
    """The leaf that reads the records of a relation with the places where they are."""
    places = (Column(ROWPARTITION, "INTEGER"), Column(ROWOFFSET, "BIGINT"))
    if relation.is_stream:
        return StreamSource(relation.id, relation.name, (*relation.columns, *places))
    return TableSource(relation.id, relation.name, (*relation.columns, *places), ())
