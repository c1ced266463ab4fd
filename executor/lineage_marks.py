"""Plans whose rows say what they are made of.

`mark` gives a plan the columns of which are those of a node, and behind them for each part below it the columns that
name its row: for a log the partition and offset of a record, for a node that makes one row of many (a boundary) all of
its columns. So the operators themselves tell which rows met: a late row is in no window here either, and a row of a
stream meets the version of a table that it met.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import count

from headwater.errors import Unsupported
from headwater.planner.expressions import column_expression
from headwater.planner.join_keys import own_items
from headwater.planner.logical import (
    Aggregate,
    AsofJoin,
    ChangeRows,
    Constant,
    Expression,
    Filter,
    Foremost,
    Join,
    LookupJoin,
    OnTime,
    OuterJoin,
    Over,
    Plan,
    Project,
    Recursion,
    RecursiveRef,
    Repeat,
    SemiJoin,
    SessionAggregate,
    SessionAssign,
    StreamOutput,
    StreamSource,
    StreamTime,
    TableSource,
    TemporalFilter,
    TemporalJoin,
    TopK,
    Union,
    Unnest,
    WindowAssign,
    WithinJoin,
    WithinOuter,
)
from headwater.planner.rewrite import with_inputs
from headwater.values import ROWOFFSET, ROWPARTITION, Column

_BOUNDARIES = (
    Aggregate, Over, TopK, Foremost, SemiJoin, OuterJoin, WithinOuter, SessionAssign, SessionAggregate, Recursion,
    RecursiveRef, ChangeRows,
)  # fmt: skip
_ROW_BY_ROW = (Filter, TemporalFilter, OnTime, StreamTime, Unnest, Repeat, StreamOutput)
_JOINS = (Join, LookupJoin, TemporalJoin, AsofJoin, WithinJoin)


@dataclass(frozen=True)
class Mark:
    """Where the rows of a marked plan name the row of a `node` below that they are made of.

    `names` are the columns for it: of a log those of partition and offset; of a boundary one that is true where there
    is such a row, and then one for each of its columns. `path` are the nodes on the way there, from the output down. A
    row of a table that a stream is joined with is as it was when the records that the marks in `pinned` name were
    committed or, where `time` is the column of a time, as it was then.
    """

    node: Plan
    names: tuple[str, ...]
    path: tuple[Plan, ...] = ()
    pinned: tuple[Mark, ...] = ()
    time: str | None = None

    @property
    def is_record(self) -> bool:
        """Whether it names a record of a log."""
        return isinstance(self.node, StreamSource) or (isinstance(self.node, TableSource) and self.node.key is not None)

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns for it with their types."""
        if self.is_record:
            types = ["INTEGER", "BIGINT"]
        else:
            types = ["BOOLEAN", *(c.type for c in self.node.columns)]
        columns = [Column(name, type_) for name, type_ in zip(self.names, types, strict=True)]
        return (*columns, Column(self.time, "TIMESTAMP")) if self.time is not None else tuple(columns)


@dataclass(frozen=True)
class Marked:
    """A plan with the columns of a node and, behind these, those of `marks`."""

    plan: Plan
    marks: tuple[Mark, ...]


def mark(node: Plan) -> Marked:
    """`node` with marks for what its rows are made of. Raises Unsupported for a node that this is not known of."""
    return _Marker().mark(node)


@dataclass
class _Marker:
    """Gives out names for columns of marks, each once."""

    _numbers: count[int] = field(default_factory=count)

    def _names(self, how_many: int) -> tuple[str, ...]:
        return tuple(f"$of{next(self._numbers)}" for _ in range(how_many))

    def mark(self, node: Plan) -> Marked:
        match node:
            case StreamSource():
                return self._record(node)
            case TableSource(primary_key=key):
                return self._record(node) if key else self._boundary(node)
            case Constant():
                return Marked(node, ())
            case Project():
                source = self.mark(node.source)
                return Marked(Project(source.plan, (*node.items, *_items(source.marks))), source.marks)
            case WindowAssign():
                return self._row_by_row(replace(node, kept=None), node)
            case Union():
                return self._union(node)
        if isinstance(node, _BOUNDARIES):
            return self._boundary(node)
        if isinstance(node, _ROW_BY_ROW):
            return self._row_by_row(node, node)
        if isinstance(node, _JOINS):
            return self._join(node)
        raise Unsupported(f"what a row of {type(node).__name__} comes from is not known yet")

    def _record(self, node: StreamSource | TableSource) -> Marked:
        own = {column.name for column in node.fields}
        places = (Column(ROWPARTITION, "INTEGER"), Column(ROWOFFSET, "BIGINT"))
        fields = (*node.fields, *(place for place in places if place.name not in own))
        found = Mark(node, self._names(2))
        named = zip(found.names, places, strict=True)
        items = tuple((name, column_expression(place.name, place.type)) for name, place in named)
        return Marked(Project(replace(node, fields=fields), (*own_items(node), *items)), (found,))

    def _boundary(self, node: Plan) -> Marked:
        found = Mark(node, self._names(1 + len(node.columns)))
        there, *names = found.names
        columns = zip(names, node.columns, strict=True)
        items = ((name, column_expression(column.name, column.type)) for name, column in columns)
        return Marked(Project(node, (*own_items(node), (there, Expression("true", "BOOLEAN")), *items)), (found,))

    def _row_by_row(self, node: Plan, shown: Plan) -> Marked:
        source = self.mark(node.inputs[0])
        plan = with_inputs(node, (source.plan, *node.inputs[1:]))
        return _arranged(plan, node, _below(shown, source.marks))

    def _join(self, node: Join | LookupJoin | TemporalJoin | AsofJoin | WithinJoin) -> Marked:
        left, right = self.mark(node.left), self.mark(node.right)
        own, theirs = left.plan, right.marks
        stream = tuple(found for found in left.marks if not found.pinned)  # without tables that it met before
        match node:
            case Join(by_version=True) | LookupJoin(by_version=True):
                theirs = tuple(replace(found, pinned=stream) for found in theirs)
            case TemporalJoin():
                theirs = tuple(replace(found, pinned=stream, time=self._names(1)[0]) for found in theirs)
                time = column_expression(node.time, "TIMESTAMP")
                own = Project(
                    own, (*own_items(own), *((found.time, time) for found in theirs if found.time is not None))
                )
        plan = with_inputs(node, (own, right.plan, *node.inputs[2:]))
        return _arranged(plan, node, _below(node, (*left.marks, *theirs)))

    def _union(self, node: Union) -> Marked:
        sources = [self.mark(source) for source in node.sources]
        marks = [found for source in sources for found in source.marks]
        parts = tuple(Project(source.plan, (*own_items(node), *_padded(source.marks, marks))) for source in sources)
        return Marked(replace(node, sources=parts), _below(node, tuple(marks)))


def _arranged(plan: Plan, node: Plan, marks: tuple[Mark, ...]) -> Marked:
    """`plan` with the columns of `node` first, so that an order of all columns is the same with marks as without."""
    names = (*node.names, *(name for found in marks for name in found.names))
    if plan.names == names:
        return Marked(plan, marks)
    return Marked(Project(plan, (*own_items(node), *_items(marks))), marks)


def _below(node: Plan, marks: tuple[Mark, ...]) -> tuple[Mark, ...]:
    return tuple(replace(found, path=(node, *found.path)) for found in marks)


def _items(marks: Sequence[Mark]) -> tuple[tuple[str, Expression], ...]:
    return tuple((c.name, column_expression(c.name, c.type)) for found in marks for c in found.columns)


def _padded(own: Sequence[Mark], marks: Sequence[Mark]) -> tuple[tuple[str, Expression], ...]:
    """The columns of all `marks`, NULL for those that are not among its `own`."""
    names = {name for found in own for name in found.names}
    return tuple(
        (name, expression if name in names else Expression(f"CAST(NULL AS {expression.type})", expression.type))
        for name, expression in _items(marks)
    )
