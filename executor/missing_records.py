"""Why a log has no record that meets some conditions: see missing.py."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from headwater.executor.feed import read_rows
from headwater.executor.keys import key_words
from headwater.executor.missing_steps import Candidates, Conditions, Step, meeting, said, step
from headwater.parser import syntax
from headwater.planner.logical import Expression, StreamSource, TableSource
from headwater.planner.rewrite import tree_of
from headwater.values import ROWOFFSET, ROWPARTITION, WEIGHT, Column


def of_source(candidates: Candidates, node: StreamSource | TableSource, conditions: Conditions) -> list[Step]:
    """The step at which a record was looked for: which condition none meets of those that meet the ones before it. A
    table that had such a row has lost it.
    """
    kind = "record" if isinstance(node, StreamSource) else "row"
    lost = _lost(candidates, node, conditions) if isinstance(node, TableSource) else None
    if lost is not None:
        return [lost]
    rows = candidates.rows(node, ())
    if not rows.num_rows:
        return [Step(node, 0, f"{node.name} has no {kind}s")]
    met: list[Expression] = []
    for condition in sorted(conditions, key=lambda condition: not _is_equality(condition)):
        passing = meeting(rows, node, condition)
        if not passing.num_rows:
            reason = f"no {kind} of {node.name} has {said([condition])}"
            if met:
                reason = f"{node.name} has {kind}s with {said(met)}, and none of them has {said([condition])}"
            return [step(node, rows, reason, node, [condition])]
        rows, met = passing, [*met, condition]
    raise AssertionError("a row meets all conditions, and was said to be missing")


def _is_equality(condition: Expression) -> bool:
    tree = tree_of(condition.sql)
    return (isinstance(tree, syntax.Binary) and tree.operator == "=") or isinstance(tree, syntax.In)


def _lost(candidates: Candidates, node: TableSource, conditions: Conditions) -> Step | None:
    """Until when a table had such a row, and what took its place; None if it never had one."""
    places = (Column(ROWPARTITION, "INTEGER"), Column(ROWOFFSET, "BIGINT"))
    leaf = TableSource(node.id, node.name, (*node.fields, *places), ())
    records = read_rows(candidates.log, leaf, 0, candidates.cut)
    added = records.column(WEIGHT).to_numpy() > 0
    number = Column("$n", "BIGINT")
    wide = TableSource(node.id, node.name, (*node.fields, number), ())
    rows = records.select(list(node.names)).append_column(number.name, pa.array(np.arange(records.num_rows)))
    rows = rows.filter(pa.array(added))
    for condition in conditions:
        rows = meeting(rows, wide, condition)
    if not rows.num_rows:
        return None
    last = int(rows.column(number.name)[-1].as_py())
    words = key_words([records.column(name) for name in node.primary_key or node.names], records.num_rows)
    later = np.flatnonzero((words == words[last]).all(axis=1))
    later = later[later > last]
    if not len(later):
        return None
    after = int(later[0])
    version = _version(candidates, node, records.slice(after, 1))
    had = f"{node.name} had such a row until version {version - 1}: at version {version} it was"
    if added[after]:
        return Step(node, 1, f"{had} replaced", node, records.slice(after, 1).select(list(node.names)), node.names)
    return Step(node, 1, f"{had} deleted", None, records.slice(last, 1).select(list(node.names)), node.names)


def _version(candidates: Candidates, node: TableSource, record: pa.RecordBatch) -> int:
    """The version that committed a record, or up to which retention has put it in the place of others."""
    partition, offset = (record.column(name)[0].as_py() for name in (ROWPARTITION, ROWOFFSET))
    start = candidates.log.start(node.id)
    if offset < start.ends.get(partition, 0):
        return start.version
    return candidates.log.version_of(node.id, partition, offset)
