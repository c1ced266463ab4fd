"""Why no pair of a join meets some conditions: see missing.py.

A condition on a key holds for both sides. Where one side has no candidate the reason is there. Where both have some,
the keys of the side with fewer are looked for on the other: what has them there, and why it is not a candidate.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pyarrow as pa

from headwater.executor.feed import Cut
from headwater.executor.lineage import Tracer, condition_of, is_writable
from headwater.executor.missing_steps import EXAMPLES, Candidates, Conditions, Step, said, step
from headwater.planner.logical import AsofJoin, Expression, Join, LookupJoin, StreamSource, TemporalJoin, WithinJoin
from headwater.planner.rewrite import renamed

AnyJoin = Join | TemporalJoin | WithinJoin | AsofJoin | LookupJoin

_KEYS_MAX = 50  # values of a key that are looked for on the other side


def of_join(candidates: Candidates, node: AnyJoin, conditions: Conditions) -> list[Step]:
    """The steps at which the pairs were lost that could have met the conditions."""
    if isinstance(node, LookupJoin) or (isinstance(node, AsofJoin) and node.outer):
        return _of_whole(candidates, node, conditions)
    own, theirs, both = _by_side(node, conditions, transfer=True)
    left, right = candidates.rows(node.left, own), candidates.rows(node.right, theirs)
    if left.num_rows and own and _is_of_versions(node):
        pairs = candidates.rows(node, [*own, *theirs])
        return [_otherwise(node, pairs, both)] if pairs.num_rows else _as_it_was(candidates, node, left, theirs)
    if not left.num_rows or not right.num_rows:
        steps = [] if left.num_rows else candidates.why(node.left, own)
        return steps if right.num_rows else [*steps, *candidates.why(node.right, theirs)]
    pairs = candidates.rows(node, [*own, *theirs])
    if pairs.num_rows:
        return [_otherwise(node, pairs, both)]
    if left.num_rows <= right.num_rows or not isinstance(node, Join):
        return _on_other_side(candidates, node, left, theirs)
    return _on_other_side(candidates, node, right, own, turned=True)


def _of_whole(candidates: Candidates, node: LookupJoin | AsofJoin, conditions: Conditions) -> list[Step]:
    """Of a join that has all rows of the left side, with NULL where there is nothing on the right."""
    own, theirs, both = _by_side(node, conditions, transfer=False)
    left = candidates.rows(node.left, own)
    if not left.num_rows:
        return candidates.why(node.left, own)
    others = [*theirs, *both]
    there = step(node, candidates.rows(node, own), f"the row is there, but not true is {said(others)}", node, others)
    if both or candidates.rows(node.right, theirs).num_rows:
        return [there]
    if _is_of_versions(node):
        return [there, *_as_it_was(candidates, node, left, theirs)] if own else [there]
    return [there, *_on_other_side(candidates, node, left, theirs)]


def _is_of_versions(node: AnyJoin) -> bool:
    """Whether rows of a stream met a table as it was."""
    return isinstance(node, TemporalJoin) or (isinstance(node, Join | LookupJoin) and node.by_version)


def _otherwise(node: AnyJoin, pairs: pa.RecordBatch, both: Conditions) -> Step:
    return step(node, pairs, f"not true: {said(both)}", node, both)


def _as_it_was(candidates: Candidates, node: AnyJoin, rows: pa.RecordBatch, others: Conditions) -> list[Step]:
    """Why the last ones of these rows of a stream met nothing in the table as that was then."""
    tracer = Tracer(candidates.log)
    versions: dict[int, int] = {}
    for origin in tracer.trace(node.left, rows, candidates.cut).to_pylist():
        source = tracer.vias[origin["via"]].source
        if isinstance(source, StreamSource):
            version = candidates.log.version_of(source.id, origin["partition"], origin["offset"])
            versions[origin["of"]] = max(version, versions.get(origin["of"], 0))
    lost: list[Step] = []
    for place in sorted(versions, key=lambda place: -versions[place])[:EXAMPLES]:
        row, version = rows.slice(place, 1), min(versions[place], candidates.cut.version)
        if isinstance(node, TemporalJoin) and row.column(node.time)[0].is_valid:
            time_us = row.column(node.time).view(pa.int64())[0].as_py()
            version = min(version, candidates.log.version_at(time_us))
        then = replace(candidates, cut=Cut(version, candidates.cut.limits))
        lost += (_told_of(each, then.cut) for each in _on_other_side(then, node, row, others)[1:])
    return [step(node, rows, "no row of the right side goes with these", node.left, (), node.left_keys), *lost]


def _told_of(found: Step, cut: Cut) -> Step:
    """A step at an earlier cut."""
    return replace(found, reason=f"at version {cut.version}: {found.reason}", cut=found.cut or cut)


def _by_side(
    node: AnyJoin, conditions: Conditions, *, transfer: bool
) -> tuple[list[Expression], list[Expression], list[Expression]]:
    """The conditions on the left side, on the right, and on both; one on keys alone is on either side, if that is to be
    `transfer`red.
    """
    own = [c for c in conditions if set(c.reads) <= set(node.left.names)]
    theirs = [c for c in conditions if c not in own and set(c.reads) <= set(node.right.names)]
    both = [c for c in conditions if c not in own and c not in theirs]
    if not transfer:
        return own, theirs, both
    to_right = dict(zip(node.left_keys, node.right_keys, strict=True))
    to_left = dict(zip(node.right_keys, node.left_keys, strict=True))
    more_right, more_left = _transferred(own, to_right), _transferred(theirs, to_left)
    return [*own, *more_left], [*theirs, *more_right], both


def _transferred(conditions: Conditions, names: Mapping[str, str]) -> list[Expression]:
    return [renamed(c, names) for c in conditions if c.reads and set(c.reads) <= names.keys()]


def _on_other_side(
    candidates: Candidates,
    node: AnyJoin,
    rows: pa.RecordBatch,
    others: Conditions,
    *,
    turned: bool = False,
) -> list[Step]:
    """Why no row of the other side, under its own conditions, goes with these of the left or, `turned`, the right."""
    side, other = (node.right, node.left) if turned else (node.left, node.right)
    keys, sought = (node.right_keys, node.left_keys) if turned else (node.left_keys, node.right_keys)
    valid = rows
    for key in keys:
        valid = valid.filter(valid.column(key).is_valid())
    if not valid.num_rows:
        return [step(node, rows, "the key is NULL, which equals nothing", side, (), keys)]
    lost = step(node, rows, f"no row of the {'left' if turned else 'right'} side goes with these", side, (), keys)
    types = {c.name: c.type for c in other.columns}
    wanted = [
        condition_of(name, types[name], values)
        for key, name in zip(keys, sought, strict=True)
        if is_writable(types[name]) and len(values := valid.column(key).unique()) <= _KEYS_MAX
    ]
    found = candidates.rows(other, [*wanted, *others])
    if not found.num_rows:
        return [lost, *candidates.why(other, [*wanted, *others])]
    if isinstance(node, Join | LookupJoin):
        return [lost]
    return [lost, step(node, found, _apart(node), other, (), sought)]


def _apart(node: AnyJoin) -> str:
    """What keeps rows of equal keys apart in a join that is about time."""
    match node:
        case WithinJoin() | AsofJoin():
            return f"such rows are there, but not in time: {node.label()}"
        case _:
            return "such a row is there, but was not at that time"
