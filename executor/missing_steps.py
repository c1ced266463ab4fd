"""What is said of rows that are missing, and what it is made of: candidates, and steps at which they were lost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from headwater.executor.evaluate import Evaluate
from headwater.executor.feed import Cut
from headwater.executor.lineage import content_at
from headwater.parser import syntax
from headwater.planner.logical import Expression, Filter, Plan, StreamSource
from headwater.planner.optimize import optimize
from headwater.planner.rewrite import filtered, tree_of
from headwater.storage import Log
from headwater.values import Delta

EXAMPLES = 3  # candidates that are shown of each step

Conditions = Sequence[Expression]

_QUOTED = re.compile(r"""'(?:[^']|'')*'|"((?:[^"]|"")*)\"""")  # a string, or a name


@dataclass(frozen=True, eq=False)
class Step:
    """A node at which candidates were lost: of so many none was left, for a reason.

    `rows` are some of the candidates, with columns of the plan `of`; `shown` are those that tell why. Without a plan
    they are rows that are no more. It may be a node of a query whose rows would have been `inserted_by` it.
    """

    node: Plan
    candidates: int
    reason: str
    of: Plan | None = None
    rows: pa.RecordBatch | None = None
    shown: tuple[str, ...] = ()
    inserted_by: str | None = None
    cut: Cut | None = None  # at which they are there, if it is an earlier one than what was asked about


@dataclass(frozen=True)
class Candidates:
    """The rows of any node, from `log` at a cut."""

    log: Log
    cut: Cut

    def rows(self, node: Plan, conditions: Conditions) -> pa.RecordBatch:
        """The rows of a node that meet conditions, equal ones once."""
        return content_at(self.log, optimize(filtered(node, conditions)), self.cut)

    def why(self, node: Plan, conditions: Conditions) -> list[Step]:
        """The steps at which the rows of a node were lost that could have met conditions, of which none does."""
        raise NotImplementedError


def meeting(rows: pa.RecordBatch, node: Plan, condition: Expression) -> pa.RecordBatch:
    """Those of some rows of a node, or of rows with its columns, that meet a condition."""
    return Evaluate((Filter(at_hand(node), condition),)).step(Delta(rows)).rows


def at_hand(node: Plan) -> StreamSource:
    """A leaf with the columns of a node, for what is evaluated over rows that are at hand."""
    return StreamSource(0, "rows", node.columns)


def step(
    node: Plan,
    candidates: pa.RecordBatch,
    reason: str,
    of: Plan,
    conditions: Conditions = (),
    shown: Sequence[str] = (),
) -> Step:
    """A step whose examples are the candidates, rows of `of`, that are nearest to the conditions.

    What is shown of them are the columns that the conditions read, and others.
    """
    read = (name for condition in conditions for name in condition.reads)
    names = tuple(name for name in dict.fromkeys((*read, *shown)) if name in of.names)
    return Step(node, candidates.num_rows, reason, of, _nearest(candidates, conditions), names)


def said(conditions: Conditions) -> str:
    """Conditions as text for people: in the words of SQL, without quotes around names."""
    sql = " AND ".join(condition.sql for condition in conditions) or "nothing"
    text = _QUOTED.sub(lambda found: found[1].replace('""', '"') if found[1] else found[0], sql)
    return text.replace("count($left)", "rows on the left").replace("count($right)", "rows on the right")


def split(conditions: Conditions, names: Sequence[str]) -> tuple[list[Expression], list[Expression]]:
    """The conditions that read nothing but these columns, and the others."""
    own = [condition for condition in conditions if set(condition.reads) <= set(names)]
    return own, [condition for condition in conditions if condition not in own]


def _nearest(rows: pa.RecordBatch, conditions: Conditions) -> pa.RecordBatch:
    """Some of the rows; where a condition compares a number those that are nearest to it."""
    for condition in conditions:
        match tree_of(condition.sql):
            case syntax.Binary(left=syntax.Name(parts=(part,)), right=syntax.Literal(kind="number", text=text)):
                column = rows.column(part.text)
                if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
                    distance = pc.abs(pc.subtract(column.cast(pa.float64(), safe=False), float(text)))
                    return rows.take(pc.sort_indices(distance).slice(0, EXAMPLES))
    return rows.slice(0, EXAMPLES)
