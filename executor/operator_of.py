"""Which operator keeps the rows of a node of a plan."""

from __future__ import annotations

from headwater.executor.aggregate import GroupBy
from headwater.executor.asof import NearestRows
from headwater.executor.change_rows import ChangeRecords
from headwater.executor.checks import Checks
from headwater.executor.clocks import ArrivalTimes, CommitClock, Silences
from headwater.executor.constants import ConstantRows
from headwater.executor.evaluate import Evaluate, chain_below
from headwater.executor.growing_top import ForemostRows, GrowingTop
from headwater.executor.join import StreamTableJoin, TableJoin
from headwater.executor.logs import LogReader, OffsetCounter, Upsert
from headwater.executor.lookup import Lookups, StreamLookups
from headwater.executor.matches import OuterJoins, SemiJoins, StreamOuterJoins, StreamSemiJoins
from headwater.executor.operators import Operator
from headwater.executor.over import OverPartitions
from headwater.executor.row_versions import RowVersions
from headwater.executor.session_groups import SessionGroups
from headwater.executor.sessions import Sessions
from headwater.executor.temporal import VisibleRows
from headwater.executor.top_k import TopRows
from headwater.executor.unions import Concatenation, Repetition
from headwater.executor.unnest import Elements
from headwater.executor.windows import StreamTimes, Watermarks, Windows
from headwater.executor.within import Punctual, WithinJoins, WithinOuterJoins
from headwater.planner.logical import (
    Aggregate,
    Arrivals,
    AsofJoin,
    Changelog,
    ChangeRows,
    Checked,
    CommitTimes,
    Constant,
    Filter,
    Foremost,
    Join,
    LookupJoin,
    Now,
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
    Silence,
    StreamOutput,
    StreamSource,
    StreamTime,
    TableSource,
    TemporalFilter,
    TemporalJoin,
    TopK,
    Union,
    Unnest,
    Watermark,
    WindowAssign,
    WithinJoin,
    WithinOuter,
)


def operator_of(node: Plan) -> Operator:
    """The operator that keeps the rows of `node`, a node that has no circuit of its own inside."""
    match node:
        case StreamSource():
            return LogReader(node)
        case TableSource(primary_key=key):
            return Upsert(node) if key else LogReader(node)
        case Changelog() | CommitTimes():
            return LogReader(node)
        case Checked():
            return Checks(node)
        case Filter() | Project():
            return Evaluate(chain_below(node))
        case StreamTime():
            return StreamTimes(node)
        case Watermark():
            return Watermarks(node)
        case Now():
            return CommitClock(node)
        case Arrivals():
            return ArrivalTimes(node)
        case Silence():
            return Silences(node)
        case WindowAssign():
            return Windows(node)
        case TemporalFilter():
            return VisibleRows(node)
        case Aggregate():
            return GroupBy(node)
        case Join(by_version=by_version):
            return StreamTableJoin(node) if by_version else TableJoin(node)
        case ChangeRows():
            return ChangeRecords(node)
        case Constant():
            return ConstantRows(node)
        case Unnest():
            return Elements(node)
        case TemporalJoin():
            return RowVersions(node)
        case LookupJoin(by_version=by_version):
            return StreamLookups(node) if by_version else Lookups(node)
        case AsofJoin():
            return NearestRows(node)
        case SemiJoin(by_version=by_version):
            return StreamSemiJoins(node) if by_version else SemiJoins(node)
        case OuterJoin(by_version=by_version):
            return StreamOuterJoins(node) if by_version else OuterJoins(node)
        case OnTime():
            return Punctual(node)
        case SessionAggregate():
            return SessionGroups(node)
        case SessionAssign():
            return Sessions(node)
        case WithinJoin():
            return WithinJoins(node)
        case WithinOuter():
            return WithinOuterJoins(node)
        case Over():
            return OverPartitions(node)
        case Foremost():
            return ForemostRows(node)
        case TopK():
            return GrowingTop(node) if GrowingTop.takes(node) else TopRows(node)
        case Union():
            return Concatenation(node)
        case Repeat():
            return Repetition(node)
        case Recursion() | RecursiveRef():
            raise AssertionError("a recursion has a circuit of its own, which is given the rows of the reference")
        case StreamOutput():
            return OffsetCounter(node)
