"""A circuit: the operators of one or more plans, moved along the log together.

Plans are values, so a sub-plan that several queries share is one operator. The content of a circuit at a cut is a pure
function of the log up to there, however it got there: from the beginning, from an image, or in other steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import TypeGuard

import pyarrow as pa

from headwater.executor.checks import Checks
from headwater.executor.clocks import (
    Clock,
    Silences,
    commit_time,
    read_clock,
    ticks,
    with_ticks,
)
from headwater.executor.evaluate import chain_below
from headwater.executor.feed import Cut, Leaf, read_rows, step_end, step_versions, with_weights
from headwater.executor.frozen import States
from headwater.executor.logs import OffsetCounter, Upsert
from headwater.executor.operator_of import operator_of
from headwater.executor.operators import ChunkedParts, Operator, Parts, Stateful, Work
from headwater.executor.recursion import Fixpoint
from headwater.executor.row_errors import Failing
from headwater.executor.state import TableState, empty_delta
from headwater.executor.temporal import VisibleRows
from headwater.executor.trouble import Trouble, told
from headwater.planner.logical import (
    Arrivals,
    ChangeRows,
    CommitTimes,
    Now,
    Plan,
    Recursion,
    Source,
    StreamOutput,
    StreamSource,
    TableSource,
    Union,
    WithinJoin,
    joins_by_version,
    walk_plan,
)
from headwater.progress import task
from headwater.storage import Log
from headwater.values import WEIGHT, Delta


class Circuit:
    """Operators for `roots`, at a version of the log. `keep` holds the rows of the roots that are tables.

    It takes over the operators and kept tables of `parts`, circuits at the same version; the last one that has it wins.
    Nodes that are `given` have no operators: their deltas come from outside, and what is below them is no matter here.
    """

    def __init__(
        self, roots: Sequence[Plan], *, keep: bool = True, parts: Sequence[Circuit] = (), given: Sequence[Plan] = ()
    ) -> None:
        self.roots = tuple(dict.fromkeys(roots))
        self._given = frozenset(given)
        self.version: int = parts[0].version if parts else 0
        assert all(part.version == self.version for part in parts)
        self._operators: dict[Plan, Operator] = {}
        self._inputs: dict[Plan, tuple[Plan, ...]] = {}
        self._work: dict[Plan, Work] = {plan: work for part in parts for plan, work in part._work.items()}
        known = {plan: operator for part in parts for plan, operator in part._operators.items()}
        tables = {plan: table for part in parts for plan, table in part._tables.items()}
        for root in self.roots:
            self._build(root, known)
        self._tables: dict[Plan, TableState] = {}
        for root in self.roots:
            if keep and not isinstance(root, StreamOutput | StreamSource):
                self._tables[root] = self._kept(root, tables)
        self.leaves: tuple[Leaf, ...] = tuple(node for node in self._operators if isinstance(node, Source))
        self.clocks: tuple[Clock, ...] = tuple(node for node in self._operators if isinstance(node, Now | Arrivals))
        self._clocked = _clocked_ids(self.roots)
        self.holders = self._all_holders()
        self.failing = self._all_failing()
        self._checks = [(node, made) for node, made in self._operators.items() if isinstance(made, Checks)]

    def _kept(self, root: Plan, known: Mapping[Plan, TableState]) -> TableState:
        operator = self._operators[root]
        if isinstance(operator, Upsert):
            return operator.table
        return known[root] if root in known else TableState(operator.schema, root.key)

    def _build(self, node: Plan, known: Mapping[Plan, Operator]) -> None:
        """Makes the operator of `node` after those of its inputs: the order of `_operators` is one to run in."""
        if node in self._operators or node in self._given:
            return
        inputs = _operator_inputs(node)
        for source in inputs:
            self._build(source, known)
        self._operators[node] = known[node] if node in known else _made(node)
        self._work.setdefault(node, Work())
        self._inputs[node] = inputs

    def _all_holders(self) -> dict[str, Stateful]:
        """Everything that has a state, by the name under which images file it."""
        holders: dict[str, Stateful] = {}
        for node, operator in self._operators.items():
            if isinstance(operator, Stateful):
                holders[node.digest] = operator
            if isinstance(operator, Fixpoint):
                inner = operator.body.holders
                holders |= {f"{node.digest}-{name}": holder for name, holder in inner.items()}
        for root, table in self._tables.items():
            holders[holder_of(root)] = table
        return holders

    # ---------------------------------------------------------------- moving

    def advance(
        self, log: Log, to: Cut, given: Mapping[Leaf, Delta] | None = None, trouble: Trouble | None = None
    ) -> dict[Plan, list[Delta]]:
        """Reads the log up to `to` and gives the changes of each root, a delta per step.

        Leaves in `given` are not read: their delta, which the caller has, takes part in the last step. With `trouble`,
        it is told what rows fail, and an operator that fails spoils what follows from it and nothing else.
        """
        given = given or {}
        changes: dict[Plan, list[Delta]] = {root: [] for root in self.roots}
        read = [leaf for leaf in self.leaves if leaf not in given]
        after = self.version
        ends = step_versions(log, {leaf.id for leaf in read}, self._clocked, after, to.version)
        if any(isinstance(clock, Arrivals) for clock in self.clocks):
            ends = with_ticks(ends, ticks(log, after, to.version), after)
        if self._clocked and not after and to.version:
            ends = [0, *ends]  # what there is before any commit comes alone
        with task("replaying") as tell:
            for end in ends:
                cut = Cut(end, to.limits)
                inputs: dict[Plan, Delta] = {leaf: _delta(leaf, read_rows(log, leaf, after, cut)) for leaf in read}
                inputs |= {clock: read_clock(log, clock, after, cut) for clock in self.clocks}
                last = end == to.version
                inputs |= {leaf: delta if last else empty_delta(delta.rows.schema) for leaf, delta in given.items()}
                for root, delta in self.step(inputs, trouble).items():
                    if len(delta):
                        changes[root].append(delta)
                self._collect(trouble, log, after, end)
                after = end
                tell(end - self.version, to.version - self.version)
        self.version = to.version
        return changes

    def step_end(self, log: Log, upto: int) -> int:
        """The version at which the next step on the way to `upto` ends, which bounds its rows."""
        return step_end(log, {leaf.id for leaf in self.leaves}, self.version, upto)

    @property
    def due(self) -> int | None:
        """When, in µs since 1970, the next thing will follow from time alone; None if nothing will."""
        waiting = [o for o in self._operators.values() if isinstance(o, Silences) or _follows_commits(o)]
        return min((due for o in waiting if (due := o.due) is not None), default=None)

    def is_due(self, log: Log, version: int) -> bool:
        """Whether something follows at a version from its time alone."""
        due, now = self.due, commit_time(log, version)
        return due is not None and now is not None and due <= now

    def step(
        self, inputs: Mapping[Plan, Delta], trouble: Trouble | None = None, given: Mapping[Plan, Delta] | None = None
    ) -> dict[Plan, Delta]:
        """Runs one delta per leaf, and per given node, through all operators; gives that of each root and adds it to
        the kept tables. A node that fails is noted as `trouble`, with all that needs it, if there is somebody to tell.
        """
        deltas: dict[Plan, Delta] = dict(given or {})
        broken = trouble.broken if trouble is not None else set[Plan]()
        for node, operator in self._operators.items():
            sources = self._inputs[node]
            taken = [inputs[node]] if node in inputs else [deltas[source] for source in sources]
            if broken and (node in broken or not broken.isdisjoint(sources)):
                broken.add(node)
                deltas[node] = empty_delta(operator.schema)
                continue
            began = perf_counter()
            try:
                deltas[node] = operator.step(*taken)
            except Exception as error:
                if trouble is None:
                    raise
                trouble.fail(node, error)
                deltas[node] = empty_delta(operator.schema)
            self._work[node].count(taken, deltas[node], perf_counter() - began)
        for root, table in self._tables.items():
            if not isinstance(self._operators[root], Upsert) and root not in broken:
                table.apply(deltas[root])
                if table.is_sparse:
                    table.compact()
        return {root: deltas[root] for root in self.roots}

    def _all_failing(self) -> list[tuple[Plan, Failing, Plan]]:
        """The operators that can fail on rows: the node of each, and that of what it reads."""
        found: list[tuple[Plan, Failing, Plan]] = []
        for node, operator in self._operators.items():
            if isinstance(operator, Failing):
                found.append((node, operator, self._inputs[node][0]))
            if isinstance(operator, Fixpoint):
                found += [(node, inner, source) for _, inner, source in operator.body.failing]
        return found

    def _collect(self, trouble: Trouble | None, log: Log, after: int, upto: int) -> None:
        """Takes from the operators what failed in a step that read the versions (after, upto]."""
        for node, operator, source in self.failing:
            if operator.failures:
                found, operator.failures = operator.failures, []
                self._work[node].failed += sum(failures.count for failures in found)
                if trouble is not None:
                    rows = [told(failures, source, log, after, upto) for failures in found]
                    trouble.rows.setdefault(node, []).extend(rows)
        for node, operator in self._checks:
            if trouble is not None and operator.violating is not None:
                trouble.violations.setdefault(node, []).append(operator.violating)

    # ---------------------------------------------------------------- looking

    def rows(self, root: Plan) -> pa.RecordBatch:
        """The rows of a root that is a table."""
        return self._tables[root].rows()

    def row(self, root: Plan, key: Mapping[str, pa.Scalar]) -> pa.RecordBatch:
        """The row of a root that is a table with a key, by the values of all columns of the key, if it is there."""
        return self._tables[root].row(key)

    def row_count(self, root: Plan) -> int:
        """How many rows a root that is a table has."""
        return self._tables[root].row_count()

    def content(self, root: Plan) -> Delta:
        """The rows of a root that is a table, with weights."""
        return self._tables[root].content()

    def ends(self, root: Plan) -> dict[int, int]:
        """The next offset of each partition of a root that is a derived stream."""
        operator = self._operators[root]
        assert isinstance(operator, OffsetCounter)
        return dict(operator.numbers)

    def operators_of(self, root: Plan) -> list[tuple[Plan, Operator]]:
        """The operators that `root` is computed by, the output first."""
        found: list[tuple[Plan, Operator]] = []
        for node in walk_plan(root):
            operator = self._operators.get(node)
            if operator is not None:
                found.append((node, operator))
            if isinstance(node, Recursion) and isinstance(operator, Fixpoint):
                found += operator.body.operators_of(node.body)
        return found

    def kept_table(self, root: Plan) -> TableState | None:
        """Where the rows of a root are kept besides what its operators hold, if they are."""
        return None if isinstance(self._operators[root], Upsert) else self._tables.get(root)

    def work_of(self, node: Plan) -> Work | None:
        """What the operator of a node has done so far; None for one that is part of the operator above it."""
        return self._work[node] if node in self._operators else None

    @property
    def state_rows(self) -> int:
        """Rows held in state, over all operators and kept tables."""
        return sum(holder.state_rows for holder in self.holders.values())

    @property
    def nbytes(self) -> int:
        """Memory that the state holds."""
        return sum(holder.nbytes for holder in self.holders.values())

    # ---------------------------------------------------------------- images

    @property
    def states(self) -> States:
        """The state of all operators and kept tables, by the digest of their plans."""
        return States(self.version, self.holders)

    def save(self) -> ChunkedParts:
        """What there is to be saved of them."""
        return self.states.save()

    def restore(self, parts: Parts, version: int) -> None:
        """Takes the state from an image of `version`, which has that of all holders."""
        own: dict[str, Parts] = {}
        for name, batch in parts.items():
            holder, _, part = name.partition("/")
            own.setdefault(holder, {})[part] = batch
        for name, state in self.holders.items():
            state.restore(own.get(name, {}))
        self.version = version


def holder_of(root: Plan) -> str:
    """The name under which images file the rows of a root that is a table: its own, or that of its operator."""
    return root.digest if isinstance(root, TableSource) and root.primary_key else f"table-{root.digest}"


def _made(node: Plan) -> Operator:
    if isinstance(node, Recursion):
        return Fixpoint(node, Circuit((node.body,), keep=False, given=(node.reference, *node.outside)))
    return operator_of(node)


def _follows_commits(operator: Operator) -> TypeGuard[VisibleRows]:
    """Whether rows of an operator come and go by the time of commits."""
    return isinstance(operator, VisibleRows) and isinstance(operator.node.clock, Now)


def _operator_inputs(node: Plan) -> tuple[Plan, ...]:
    """The nodes whose deltas the operator of `node` takes."""
    if isinstance(node, Recursion):
        return (node.base, *node.outside)
    chain = chain_below(node)
    return (chain[0].source,) if chain else node.inputs


def _clocked_ids(roots: Sequence[Plan]) -> set[int]:
    """The relations below the table side of a stream–table join, changes, rows in order: their commits begin steps."""
    nodes = [node for root in roots for node in walk_plan(root)]
    clocked: list[Plan] = [node.right for root in roots for node in joins_by_version(root)]
    clocked += [node for node in nodes if isinstance(node, Union | WithinJoin) and node.in_order]
    clocked += [node for node in nodes if isinstance(node, ChangeRows)]
    return {leaf.id for plan in clocked for leaf in walk_plan(plan) if isinstance(leaf, Source)}


def _delta(leaf: Leaf, rows: pa.RecordBatch) -> Delta:
    return Delta(rows) if isinstance(leaf, StreamSource | CommitTimes) else with_weights(rows)


def stored_changes(delta: Delta) -> pa.RecordBatch:
    """A delta as a changelog stores it: its rows and their weights."""
    return delta.rows.append_column(WEIGHT, pa.array(delta.weight_array))
