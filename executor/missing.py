"""Why no row of a plan meets some conditions: where in the plan the rows that could have met them were lost.

The conditions go down from the output, each in the words of the node where it is. A node where candidates come in and
none goes out is the reason. Where nothing comes in, the reason is below; so the way down ends at a node, or at a log
that has no such record. What is said of a node follows from the rows that it has, and its inputs have, at the cut.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pyarrow as pa
import pyarrow.compute as pc

from headwater.errors import PositionGone, Unsupported
from headwater.executor.evaluate import Evaluate
from headwater.executor.lineage import content_at, delta_at
from headwater.executor.matches import padded
from headwater.executor.missing_joins import of_join
from headwater.executor.missing_records import of_source
from headwater.executor.missing_steps import (
    EXAMPLES,
    Candidates,
    Conditions,
    Step,
    at_hand,
    meeting,
    said,
    split,
    step,
)
from headwater.executor.top_k import numbered_rows
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
    duration,
)
from headwater.planner.names import with_names
from headwater.planner.optimize import optimize
from headwater.planner.rewrite import conditions_of, filtered, predicate, tree_of
from headwater.planner.sql_types import arrow_schema
from headwater.values import ROWOFFSET, ROWPARTITION, WINDOWEND, WINDOWSTART, Delta

_LONG_US = 1 << 60  # a grace after which no row is late
_OF_RECORDS = frozenset({ROWPARTITION, ROWOFFSET})  # which a row does not have before it is a record
_ALL = 1 << 30  # more rows than a partition has


@dataclass(frozen=True)
class Search(Candidates):
    """Looks for what became of rows; by the id of a stream, those of the plans, too, whose rows go on into it."""

    inserting: Mapping[int, Sequence[StreamOutput]] = field(default_factory=dict)

    def why(self, node: Plan, conditions: Conditions) -> list[Step]:
        """The steps at which the rows were lost that could have met the conditions, of which none does.

        Raises Unsupported, naming the operator, where that is not known.
        """
        match node:
            case StreamSource() | TableSource():
                return [*of_source(self, node, conditions), *self._of_insertions(node, conditions)]
            case Constant():
                return [Step(node, node.count, f"none of the constants has {said(conditions)}")]
            case Project():
                return self._of_projection(node, conditions)
            case Filter():
                return self._of_filter(node, conditions)
            case StreamTime():
                return self.why(node.source, conditions)
            case StreamOutput() | SessionAssign() | Unnest() | Over():
                return self._row_by_row(node, conditions)
            case Aggregate(keys=keys):
                return self._of_groups(node, node.source, keys, conditions)
            case SessionAggregate():
                return self._of_groups(node, node.source, node.group_keys, conditions)
            case WindowAssign():
                return self._of_windows(node, conditions)
            case OnTime() | TemporalFilter() | Repeat():
                return self._of_hidden(node, conditions)
            case TopK() | Foremost():
                return self._of_first(node, conditions)
            case Union():
                return [step for source in node.sources for step in self.why(source, conditions)]
            case Join() | TemporalJoin() | WithinJoin() | AsofJoin() | LookupJoin():
                return of_join(self, node, conditions)
            case SemiJoin():
                return self._of_match(node, conditions)
            case OuterJoin() | WithinOuter():
                return self._of_outer(node, conditions)
            case ChangeRows():
                return self._of_changes(node, conditions)
            case Recursion():
                return self._of_recursion(node, conditions)
        raise Unsupported(f"why a row of {type(node).__name__} is missing is not known yet")

    def _of_insertions(self, node: StreamSource | TableSource, conditions: Conditions) -> list[Step]:
        """Where rows were lost on their way into a stream; those of a stream that is on the way, once."""
        before = replace(self, inserting={id: plans for id, plans in self.inserting.items() if id != node.id})
        reads = {name for condition in conditions for name in condition.reads}
        found: list[Step] = []
        for plan in self.inserting.get(node.id, ()):
            if reads <= {*plan.names} - _OF_RECORDS:
                steps = before._not_inserted(plan, conditions)
                found += [each if each.inserted_by else replace(each, inserted_by=plan.name) for each in steps]
        return found

    def _not_inserted(self, plan: StreamOutput, conditions: Conditions) -> list[Step]:
        """Why a query has not inserted rows, as far as that is known: another may have, or a user."""
        try:
            there = self.rows(plan, conditions)
            late = "such rows come with a later step, or the query stood still"
            return [step(plan, there, late, plan)] if there.num_rows else self.why(plan, conditions)
        except Unsupported as error:
            return [Step(plan, 0, error.message)]
        except PositionGone:
            return [Step(plan, 0, "retention has taken what it read")]

    # ---------------------------------------------------------------- row by row

    def _of_projection(self, node: Project, conditions: Conditions) -> list[Step]:
        below = [_through(condition, node) for condition in conditions]
        candidates = self.rows(node.source, below)
        if candidates.num_rows:
            return [self._failed(node, candidates)]
        fixed = [condition for condition in below if not condition.reads]
        others = [condition for condition in below if condition.reads]
        if fixed and (candidates := self.rows(node.source, others)).num_rows:
            return [step(node, candidates, f"never true here: {said(fixed)}", node.source)]
        return self.why(node.source, others)

    def _of_filter(self, node: Filter, conditions: Conditions) -> list[Step]:
        candidates = self.rows(node.source, conditions)
        if not candidates.num_rows:
            return self.why(node.source, conditions)
        parts = conditions_of(node.predicate)
        passing = [meeting(candidates, node.source, part).num_rows for part in parts]
        failed = [part for part, count in zip(parts, passing, strict=True) if not count] or parts
        operator = Evaluate((Filter(at_hand(node.source), node.predicate),))
        operator.step(Delta(candidates))
        if operator.failures:
            return [self._failed(node, candidates)]
        return [step(node, candidates, f"not true: {said(failed)}", node.source, failed)]

    def _failed(self, node: Plan, candidates: pa.RecordBatch) -> Step:
        reason = "an expression cannot be computed from these rows"
        return Step(
            node, candidates.num_rows, reason, node.inputs[0], candidates.slice(0, EXAMPLES), node.inputs[0].names
        )

    def _row_by_row(self, node: StreamOutput | SessionAssign | Unnest | Over, conditions: Conditions) -> list[Step]:
        """Of a node that gives columns to rows: those conditions decide that are about these columns."""
        own, others = split(conditions, node.source.names)
        if not self.rows(node.source, own).num_rows:
            return self.why(node.source, own)
        candidates = self.rows(node, own)
        if not candidates.num_rows:
            found = self.rows(node.source, own)
            assert isinstance(node, Unnest)
            return [step(node, found, "the list is empty or NULL", node.source, (), (node.items,))]
        return [step(node, candidates, f"not true: {said(others)}", node, others)]

    def _of_changes(self, node: ChangeRows, conditions: Conditions) -> list[Step]:
        own, others = split(conditions, node.source.names)
        candidates = self.rows(node, own)
        if candidates.num_rows:
            return [step(node, candidates, f"not true of these changes: {said(others)}", node, others)]
        return self.why(node.source, own)

    def _of_groups(
        self, node: Aggregate | SessionAggregate, source: Plan, keys: tuple[str, ...], conditions: Conditions
    ) -> list[Step]:
        own, others = split(conditions, keys)
        candidates = self.rows(node, own)
        if candidates.num_rows:
            return [step(node, candidates, f"such a group is there, but not true is {said(others)}", node, others)]
        return self.why(source, own)

    # ---------------------------------------------------------------- time

    def _of_windows(self, node: WindowAssign, conditions: Conditions) -> list[Step]:
        own, others = split(conditions, node.source.names)
        if not self.rows(node.source, own).num_rows:
            return self.why(node.source, own)
        taken = replace(node, kept=None, grace_us=_LONG_US)
        late = self.rows(taken, conditions)
        if late.num_rows:
            reason = (
                f"late: before them the stream time of their partition had passed WINDOWEND + {duration(node.grace_us)}"
            )
            shown = (node.time, node.stream_time, WINDOWSTART, WINDOWEND)
            return [step(node, late, reason, taken, (), shown)]
        candidates = self.rows(taken, own)
        return [step(node, candidates, f"no window of these rows has {said(others)}", taken, others)]

    def _of_hidden(self, node: OnTime | TemporalFilter | Repeat, conditions: Conditions) -> list[Step]:
        candidates = self.rows(node.source, conditions)
        if not candidates.num_rows:
            return self.why(node.source, conditions)
        shown: tuple[str, ...]
        match node:
            case OnTime():
                reason = f"late: more than {duration(node.allowed_us)} behind the stream time of their partition"
                shown = (node.time, node.stream_time)
            case TemporalFilter():
                reason = f"{node.label()}, and the clock shows {self._clock(node)}"
                moments = (node.visible_from, node.visible_until)
                shown = tuple(dict.fromkeys(m.column for m in moments if m is not None))
            case Repeat():
                reason, shown = "there 0 times, by how often it is on the left and on the right", ()
        return [step(node, candidates, reason, node.source, (), shown)]

    def _clock(self, node: TemporalFilter) -> str:
        assert node.clock is not None
        rows = content_at(self.log, node.clock, self.cut)
        return str(rows.column(0).cast(pa.string())[0]) if rows.num_rows else "nothing yet"

    # ---------------------------------------------------------------- the first rows

    def _of_first(self, node: TopK | Foremost, conditions: Conditions) -> list[Step]:
        own, others = split(conditions, node.source.names)
        if not self.rows(node.source, own).num_rows:
            return self.why(node.source, own)
        there = self.rows(node, own)
        if there.num_rows:
            return [step(node, there, f"not true: {said(others)}", node, others)]
        rank = "$rank"
        ranked = TopK(node.source, node.partition, node.order, _ALL, 0, rank)
        in_partition, _ = split(own, node.partition)
        source = delta_at(self.log, optimize(filtered(node.source, in_partition)), self.cut)
        candidates = numbered_rows(ranked, source, rank)
        for condition in own:
            candidates = meeting(candidates, ranked, condition)
        best = candidates.take(pc.sort_indices(candidates, sort_keys=[(rank, "ascending")]))
        kept = "1" if isinstance(node, Foremost) else f"{node.offset + 1:,} to {node.offset + node.limit:,}"
        kept = kept if isinstance(node, Foremost) or node.limit > 1 else f"{node.offset + 1:,}"
        reason = f"the nearest has rank {best.column(rank)[0].as_py():,}, and kept is {kept}"
        shown = (*node.partition, *(key.column for key in node.order))
        return [step(node, best.select(list(node.source.names)), reason, node.source, (), shown)]

    # ---------------------------------------------------------------- two sides

    def _of_match(self, node: SemiJoin, conditions: Conditions) -> list[Step]:
        candidates = self.rows(node.source, conditions)
        if not candidates.num_rows:
            return self.why(node.source, conditions)
        if not node.negated:
            return self.why(node.joined, conditions)
        pairs = self.rows(node.joined, conditions)
        reason = "these have a match, and only rows without one are left"
        return [replace(step(node, pairs, reason, node.joined, (), node.on), candidates=candidates.num_rows)]

    def _of_outer(self, node: OuterJoin | WithinOuter, conditions: Conditions) -> list[Step]:
        """Rows of a side are there in any case, so it is the columns of the other side that are otherwise."""
        for side in node.sides:
            own, others = split(conditions, side.names)
            if not own and len(node.sides) > 1:
                continue
            whole = self.rows(side, own)
            if not whole.num_rows:
                return self.why(side, own)
            there = self.rows(node, own)
            if not there.num_rows:
                reason = "not yet: the watermark does not say that nothing matches these any more"
                return [step(node, whole, reason, side, (), node.on), *self.why(node.joined, conditions)]
            alone = padded(Delta(whole), arrow_schema(node.columns)).rows
            for condition in others:
                alone = meeting(alone, node, condition)
            if alone.num_rows:
                return [step(node, there, f"these have a match, so not true is {said(others)}", node, others)]
            reason = f"the row is there, but not true is {said(others)}"
            return [step(node, there, reason, node, others), *self.why(node.joined, conditions)]
        return self.why(node.joined, conditions)

    def _of_recursion(self, node: Recursion, conditions: Conditions) -> list[Step]:
        count = self.rows(node, ()).num_rows
        reason = f"none of the rows that are reached has {said(conditions)}" if count else "no row is reached"
        found = Step(node, count, reason)
        return [found, *self.why(node.base, conditions)]


def _through(condition: Expression, node: Project) -> Expression:
    """A condition on the columns of a projection as one on those of its source."""
    items = dict(node.items)
    return predicate(with_names(tree_of(condition.sql), lambda name: tree_of(items[name.parts[0].text].sql)))
