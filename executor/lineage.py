"""Where rows come from: the records of the log that given rows of a plan are made of, at a cut.

A plan is taken apart at its boundaries, the nodes that make one row of many (`lineage_marks`). Between two of them the
operators say themselves which rows met: a plan with marks is run over the log, restricted to the rows in question as
far down as its conditions can be pushed. At a boundary a rule says which rows of its inputs the row stands for:

    Aggregate, sessions                    the rows of the group
    Over, TopK, Foremost, SessionAssign    the row itself
    SemiJoin                               the pairs in which the row stands; of an anti join the row itself
    OuterJoin, WithinOuter                 the pairs and, if the row has no match, the row of the side
    Recursion                              the rows of all its derivations
    ChangeRows                             the row of the table, right after it came or before it went
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from headwater.errors import Unsupported
from headwater.executor.circuit import Circuit
from headwater.executor.expressions import connection
from headwater.executor.feed import Cut, read_rows
from headwater.executor.key_index import KeyIndex, Slots, numbered
from headwater.executor.keys import row_words
from headwater.executor.lineage_marks import Mark, Marked, mark
from headwater.executor.past import circuit_at
from headwater.executor.state import empty_delta
from headwater.parser import syntax, unparse
from headwater.planner.join_keys import own_items
from headwater.planner.logical import (
    Aggregate,
    ChangeRows,
    Expression,
    Filter,
    Foremost,
    OuterJoin,
    Over,
    Plan,
    Project,
    Recursion,
    SemiJoin,
    SessionAggregate,
    SessionAssign,
    StreamSource,
    TableSource,
    TopK,
    WithinOuter,
    joins_by_version,
)
from headwater.planner.optimize import optimize
from headwater.planner.past_nodes import OP, VERSION
from headwater.planner.sql_types import arrow_schema
from headwater.storage import Log
from headwater.values import ROWOFFSET, ROWPARTITION, WEIGHT, Column, Delta

VERSIONS_MAX = 64  # rows of a stream that met a computed table, each of which needs the table at its own version

ORIGINS = pa.schema([
    ("of", pa.int64()), ("via", pa.int64()), ("partition", pa.int32()), ("offset", pa.int64()),
])  # fmt: skip


@dataclass(frozen=True)
class Via:
    """How a record came to a row: the log it is in, and the nodes that it went through, from the output down."""

    source: StreamSource | TableSource
    path: tuple[Plan, ...]


def delta_at(log: Log, plan: Plan, cut: Cut) -> Delta:
    """The rows of a plan at a cut, equal ones once with their number as weight; of a stream, too."""
    plan = plan if isinstance(plan, Project) else Project(plan, own_items(plan))
    return circuit_at(log, [plan], cut).content(plan)


def content_at(log: Log, plan: Plan, cut: Cut) -> pa.RecordBatch:
    """The rows of a plan at a cut, equal ones once."""
    return delta_at(log, plan, cut).rows


class Tracer:
    """Traces rows of plans to records of `log`. `vias` are the ways that were found, which ORIGINS name by number;
    `left_out` are sentences on what was not followed to the end.
    """

    def __init__(self, log: Log) -> None:
        self._log = log
        self.vias: list[Via] = []
        self.left_out: list[str] = []

    def trace(self, node: Plan, wanted: pa.RecordBatch, cut: Cut, path: tuple[Plan, ...] = ()) -> pa.Table:
        """ORIGINS of the rows of `node` that are equal to `wanted` ones in all columns that these have.

        `of` is the number of a wanted row; they are in the order of all columns. Raises Unsupported, naming the
        operator, where they are not known.
        """
        marked = mark(node)
        restricted = optimize(_restricted(marked.plan, wanted))
        rows = content_at(self._log, restricted, cut)
        return self._traced(marked, rows, wanted, cut, path)

    def _traced(
        self, marked: Marked, rows: pa.RecordBatch, wanted: pa.RecordBatch, cut: Cut, path: tuple[Plan, ...]
    ) -> pa.Table:
        """ORIGINS of wanted rows, where `rows` are those of the marked plan, with others among them."""
        index = KeyIndex()
        of = index.insert(row_words(wanted))  # wanted rows that are equal have one number
        found = index.find(row_words(rows.select(wanted.schema.names)))
        kept = np.flatnonzero(found >= 0)
        rows, found = rows.take(pa.array(kept)), found[kept]
        parts = [self._origins_of(each, rows, found, cut, (*path, *each.path)) for each in marked.marks]
        return _renumbered(_union(parts), np.arange(len(of)), of)

    def _origins_of(self, found: Mark, rows: pa.RecordBatch, of: Slots, cut: Cut, path: tuple[Plan, ...]) -> pa.Table:
        """What the rows' `found` mark says: ORIGINS, where `of` are the numbers of the rows."""
        there = np.flatnonzero(rows.column(found.names[0]).is_valid().to_numpy(zero_copy_only=False))
        rows, of = rows.take(pa.array(there)), of[there]
        if found.is_record:
            assert isinstance(found.node, StreamSource | TableSource)
            partitions, offsets = (rows.column(name) for name in found.names)
            return self._named(Via(found.node, path), pa.array(of), partitions, offsets)
        arrays = [rows.column(name) for name in found.names[1:]]
        below = pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(found.node.columns))
        parts = []
        for then, places in self._cuts(found, rows, cut):
            numbers, first = numbered(row_words(below.take(pa.array(places))))
            wanted = below.take(pa.array(places[first]))
            origins = self._through(found.node, wanted, then, (*path, found.node))
            parts.append(_renumbered(origins, of[places], numbers))
        return _union(parts)

    def _named(self, via: Via, of: pa.Array, partitions: pa.Array, offsets: pa.Array) -> pa.Table:
        if via not in self.vias:
            self.vias.append(via)
        numbers = pa.array(np.full(len(of), self.vias.index(via), dtype=np.int64))
        return pa.Table.from_arrays([of, numbers, partitions, offsets], schema=ORIGINS)

    # ---------------------------------------------------------------- at a boundary

    def _through(self, node: Plan, wanted: pa.RecordBatch, cut: Cut, path: tuple[Plan, ...]) -> pa.Table:
        """ORIGINS of rows of a boundary, given with all their columns."""
        match node:
            case Aggregate():
                return self.trace(node.source, wanted.select(list(node.keys)), cut, path)
            case SessionAggregate():
                bounds = (node.group_keys, node.time, node.gap_us, node.late_us)
                sessions = SessionAssign(node.source, node.watermark, *bounds)
                return self.trace(sessions, wanted.select(list(node.keys)), cut, path)
            case Over() | TopK() | Foremost() | SessionAssign():
                return self.trace(node.source, wanted.select(list(node.source.names)), cut, path)
            case SemiJoin(negated=False):
                return self.trace(node.joined, wanted, cut, path)
            case SemiJoin():
                return self._unmatched(node.source, node.joined, node.by_version, wanted, cut, path)
            case OuterJoin(by_version=by_version):
                return self._outer(node, by_version, wanted, cut, path)
            case WithinOuter():
                return self._outer(node, True, wanted, cut, path)
            case ChangeRows():
                return self._changed(node, wanted, cut, path)
            case Recursion():
                return self._derived(node, wanted, cut, path)
            case TableSource():
                return self._of_bag(node, wanted, cut, path)
        raise Unsupported(f"what a row of {type(node).__name__} comes from is not known yet")

    def _outer(
        self, node: OuterJoin | WithinOuter, in_time: bool, wanted: pa.RecordBatch, cut: Cut, path: tuple[Plan, ...]
    ) -> pa.Table:
        """The pairs, and for a row with NULL in all columns of the other side the row of the side without a match."""
        parts = [self.trace(node.joined, wanted, cut, path)]
        for side in node.sides:
            others = [name for name in node.names if name not in side.names]
            alone = np.flatnonzero(_all_null(wanted.select(others)))
            rows = wanted.select(list(side.names)).take(pa.array(alone))
            if len(alone):
                origins = self._unmatched(side, node.joined, in_time, rows, cut, path)
                parts.append(_renumbered(origins, alone, np.arange(len(alone))))
        return _union(parts)

    def _unmatched(
        self, side: Plan, joined: Plan, in_time: bool, wanted: pa.RecordBatch, cut: Cut, path: tuple[Plan, ...]
    ) -> pa.Table:
        """ORIGINS of rows of a side as far as they have no match. Of rows in time, equal ones can differ in that."""
        pairs = self.trace(joined, wanted, cut, path)
        own = self.trace(side, wanted, cut, path)
        return self._without(own, pairs) if in_time else _sql('FROM one ANTI JOIN two USING ("of")', one=own, two=pairs)

    def _without(self, origins: pa.Table, others: pa.Table) -> pa.Table:
        """ORIGINS without those whose record is among others of the same row."""
        logs = pa.table({"via": np.arange(len(self.vias)), "log": np.array([via.source.id for via in self.vias])})
        found = _sql(
            """
            SELECT o.* FROM one o JOIN logs l USING (via) ANTI JOIN (FROM two JOIN logs USING (via)) t
              ON o."of" = t."of" AND o."partition" = t."partition" AND o."offset" = t."offset" AND l.log = t.log
            """,
            one=origins, two=others, logs=logs,
        )  # fmt: skip
        return found.cast(ORIGINS)

    def _changed(self, node: ChangeRows, wanted: pa.RecordBatch, cut: Cut, path: tuple[Plan, ...]) -> pa.Table:
        """ORIGINS of changes of a table: those of its rows as they were after the commit, of removed ones before it."""
        is_gone = np.array(wanted.column(OP).to_pylist()) == "DELETE"
        versions = wanted.column(VERSION).to_numpy() - is_gone
        followed = np.unique(versions)[-VERSIONS_MAX:]
        parts = []
        for version in followed.tolist():
            places = np.flatnonzero(versions == version)
            rows = wanted.select(list(node.source.names)).take(pa.array(places))
            origins = self.trace(node.source, rows, Cut(min(version, cut.version), cut.limits), path)
            parts.append(_renumbered(origins, places, np.arange(len(places))))
        if is_gone.any():
            self.left_out.append("what removed a row is in the commit that its _version names")
        if (left := int((~np.isin(versions, followed)).sum())) > 0:
            self.left_out.append(f"{left:,} changes of a table are older than those that are followed")
        return _union(parts)

    def _of_bag(self, node: TableSource, wanted: pa.RecordBatch, cut: Cut, path: tuple[Plan, ...]) -> pa.Table:
        """The records of rows of a table without a key. Rows that are equal cannot be told apart: of as many as were
        deleted the first ones are taken to be gone.
        """
        places = (Column(ROWPARTITION, "INTEGER"), Column(ROWOFFSET, "BIGINT"))
        leaf = TableSource(node.id, node.name, (*node.fields, *places), ())
        rows = read_rows(self._log, leaf, 0, cut)
        index = KeyIndex()
        own = index.insert(row_words(wanted))
        of = index.find(row_words(rows.select(wanted.schema.names)))
        columns = [pa.array(of), *(rows.column(name) for name in (ROWPARTITION, ROWOFFSET, WEIGHT))]
        table = pa.Table.from_arrays(columns, names=["of", "p", "o", "w"])
        last = _sql(
            """
            SELECT "of", p, o FROM (
              SELECT *, row_number() OVER (PARTITION BY "of", w > 0 ORDER BY place DESC) AS n,
                     sum(w) OVER (PARTITION BY "of") AS there
              FROM (SELECT *, row_number() OVER () AS place FROM one) WHERE "of" >= 0
            ) WHERE w > 0 AND n <= there
            """,
            one=table,
        )
        of, p, o = (last.column(name).combine_chunks() for name in ("of", "p", "o"))
        return _renumbered(self._named(Via(node, path), of, p, o), np.arange(len(own)), own)

    def _derived(self, node: Recursion, wanted: pa.RecordBatch, cut: Cut, path: tuple[Plan, ...]) -> pa.Table:
        """ORIGINS of all derivations of rows of a recursion: those of the base, and of rows that they are made of."""
        marked = mark(node.body)
        reference = next((found for found in marked.marks if found.node == node.reference), None)
        if reference is None:
            raise Unsupported(
                f'what a row of WITH RECURSIVE "{node.name}" comes from is not known where its recursive term does '
                "more with its own rows than to filter and join them"
            )
        known = content_at(self._log, node, cut)
        levels = pa.array(np.zeros(known.num_rows, dtype=np.int64))
        given = pa.RecordBatch.from_arrays([*known.columns, levels], schema=arrow_schema(node.reference.columns))
        made = _in_one_step(self._log, marked.plan, {node.reference: Delta(given)}, cut)
        index = KeyIndex()
        rows = index.insert(row_words(known))
        of = index.find(row_words(made.select(list(node.names))))
        source = made.select(list(reference.names[1:-1])).rename_columns(list(node.names))
        edges = pa.table({"row": pa.array(of), "made_of": pa.array(index.find(row_words(source)))})
        asked = pa.table({"of": np.arange(wanted.num_rows), "row": pa.array(index.find(row_words(wanted)))})
        closure = _sql(
            """
            WITH RECURSIVE reached AS (
              FROM two UNION SELECT r."of", e.made_of FROM reached r JOIN one e ON e."row" = r."row"
            ) SELECT DISTINCT "of", "row" FROM reached WHERE "row" >= 0 ORDER BY ALL
            """,
            one=edges, two=asked,
        )  # fmt: skip
        takes, numbers = closure.column("of").to_numpy(), closure.column("row").to_numpy()
        first = np.zeros(len(index), dtype=np.int64)
        first[rows] = np.arange(len(rows))
        needed = known.take(pa.array(first[numbers]))
        bases = self.trace(node.base, needed, cut, path)
        others = tuple(found for found in marked.marks if found.node != node.reference)
        beside = self._traced(Marked(marked.plan, others), made, needed, cut, path)
        return _renumbered(_union([bases, beside]), takes, np.arange(len(takes)))

    # ---------------------------------------------------------------- points in time

    def _cuts(self, found: Mark, rows: pa.RecordBatch, cut: Cut) -> list[tuple[Cut, Slots]]:
        """The rows by the cut at which what `found` names was there: that of all, or of each row's own version."""
        if not found.pinned:
            return [(cut, np.arange(rows.num_rows))] if rows.num_rows else []
        places: dict[int, list[int]] = {}
        for place in range(min(rows.num_rows, VERSIONS_MAX)):
            version = self._version(found, rows.slice(place, 1), cut)
            if version is not None:
                places.setdefault(version, []).append(place)
        followed = sum(map(len, places.values()))
        if followed < rows.num_rows:
            self.left_out.append(
                f"{rows.num_rows - followed:,} rows of a stream met a row of {type(found.node).__name__} as it was "
                "then, which is not followed further"
            )
        return [(Cut(version, cut.limits), np.array(members)) for version, members in sorted(places.items())]

    def _version(self, found: Mark, row: pa.RecordBatch, cut: Cut) -> int | None:
        """The version at which a row of a stream met a table; None where equal rows met it at several."""
        version = 0
        for each in found.pinned:
            committed = self._versions(each, row, cut)
            if len(committed) > 1:
                return None
            version = max(version, *committed)
        if found.time is not None:
            version = min(version, self._log.version_at(row.column(found.time).view(pa.int64())[0].as_py()))
        return min(version, cut.version)

    def _versions(self, found: Mark, row: pa.RecordBatch, cut: Cut) -> set[int]:
        """The versions that committed the records of streams that a row is made of, by one of its marks."""
        origins = self._origins_of(found, row, np.zeros(1, dtype=np.int64), cut, ())
        _, vias, partitions, offsets = (column.to_pylist() for column in origins.columns)
        records = ((self.vias[via].source, p, o) for via, p, o in zip(vias, partitions, offsets, strict=True))
        return {self._log.version_of(leaf.id, p, o) for leaf, p, o in records if isinstance(leaf, StreamSource)} or {0}


def _in_one_step(log: Log, plan: Plan, given: dict[Plan, Delta], cut: Cut) -> pa.RecordBatch:
    """The rows of a plan over the log up to a cut and over `given` rows of some of its leaves."""
    circuit = Circuit([plan], keep=False, given=tuple(given))
    if circuit.clocks or any(joins_by_version(plan)):
        raise Unsupported(
            "what a row of WITH RECURSIVE comes from is not known where its recursive term reads what depends on time"
        )
    inputs: dict[Plan, Delta] = {}
    for leaf in circuit.leaves:
        rows = read_rows(log, leaf, 0, cut)
        weights = rows.column(WEIGHT).to_numpy() if WEIGHT in rows.schema.names else None
        inputs[leaf] = Delta(rows.drop_columns([WEIGHT]) if weights is not None else rows, weights)
    return circuit.step(inputs, given=given).get(plan, empty_delta(arrow_schema(plan.columns))).rows


# ---------------------------------------------------------------- restricting early

_MANY = 200  # values that a column is restricted to
_PLAIN = frozenset({"TINYINT", "SMALLINT", "INTEGER", "BIGINT"})
_QUOTED = frozenset({"VARCHAR", "DATE", "TIMESTAMP", "BOOLEAN"})


def _restricted(plan: Plan, wanted: pa.RecordBatch) -> Plan:
    """`plan` with conditions on its columns that all wanted rows meet, and few others."""
    types = {c.name: c.type for c in plan.columns}
    for name in wanted.schema.names:
        if is_writable(types[name]) and 0 < len(values := wanted.column(name).unique()) <= _MANY:
            plan = Filter(plan, condition_of(name, types[name], values))
    return plan


def is_writable(type_name: str) -> bool:
    """Whether values of a type can stand in a condition, as text."""
    return type_name in _PLAIN or type_name in _QUOTED


def condition_of(name: str, type_name: str, values: pa.Array) -> Expression:
    """That a column has one of some values, of a type that is writable."""
    own = syntax.Name((syntax.Identifier(name, quoted=True),))
    texts = values.cast(pa.string()).to_pylist()
    there = tuple(_literal(text, type_name) for text in texts if text is not None)
    condition: syntax.Expression = syntax.In(own, there) if there else syntax.Unary("IS NULL", own)
    if len(there) == 1:
        condition = syntax.Binary("=", own, there[0])
    if there and None in texts:
        condition = syntax.Binary("OR", condition, syntax.Unary("IS NULL", own))
    return Expression(unparse(condition), "BOOLEAN", (name,))


def _literal(text: str, type_name: str) -> syntax.Expression:
    if type_name in _PLAIN and not text.startswith("-"):
        return syntax.Literal("number", text)
    string = syntax.Literal("string", text)
    return string if type_name == "VARCHAR" else syntax.Cast(string, type_name)


# ---------------------------------------------------------------- tables of origins


def _sql(sql: str, **tables: pa.Table) -> pa.Table:
    con = connection()
    for name, table in tables.items():
        con.register(name, table)
    try:
        return con.sql(sql).to_arrow_table().combine_chunks()
    finally:
        for name in tables:
            con.unregister(name)


def _union(parts: Sequence[pa.Table]) -> pa.Table:
    return pa.concat_tables(parts) if parts else ORIGINS.empty_table()


def _renumbered(origins: pa.Table, new: Slots, old: Slots) -> pa.Table:
    """ORIGINS for other numbers: each pair says that what is of an `old` number is of a `new` one."""
    pairs = pa.table({"new": pa.array(new), "old": pa.array(old)})
    found = _sql(
        'SELECT DISTINCT new AS "of", via, "partition", "offset" FROM one JOIN two ON one."of" = two.old ORDER BY ALL',
        one=origins, two=pairs,
    )  # fmt: skip
    return found.cast(ORIGINS)


def _all_null(rows: pa.RecordBatch) -> np.ndarray:
    result = np.ones(rows.num_rows, dtype=bool)
    for column in rows.columns:
        result &= column.is_null().to_numpy(zero_copy_only=False)
    return result
