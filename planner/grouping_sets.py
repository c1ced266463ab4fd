"""ROLLUP, CUBE and GROUPING SETS: the sets of keys that they mean, and the union of a GROUP BY for each."""

from __future__ import annotations

from dataclasses import dataclass, replace

from headwater.errors import Unsupported
from headwater.parser import syntax
from headwater.planner.expressions import column_expression
from headwater.planner.logical import Aggregate, Expression, Plan, Project, Union
from headwater.values import Column

Items = tuple[syntax.Expression, ...]

_MOST_SETS = 256  # each is an operator of its own


@dataclass(frozen=True)
class GroupingCall:
    """GROUPING(a, b): a number whose bits say by which of `keys` rows are not grouped, that of the last key lowest."""

    keys: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its column."""
        return f"$grouping({', '.join(self.keys)})"

    def value(self, keys: tuple[str, ...]) -> int:
        """Its value in the groups by `keys`."""
        bits = "".join("0" if key in keys else "1" for key in self.keys)
        return int(bits, 2)


def sets_of(items: Items) -> tuple[Items, ...]:
    """What the items of a GROUP BY group by: one set of each item, in every combination."""
    sets: list[Items] = [()]
    for item in items:
        sets = [first + second for first in sets for second in _sets_of_item(item)]
        _refuse_many(len(sets), item)
    return tuple(sets)


def _sets_of_item(item: syntax.Expression) -> list[Items]:
    if not isinstance(item, syntax.Grouping):
        return [(item,)]
    if item.kind == "GROUPING SETS":
        return [
            found
            for member in item.items
            for found in (_sets_of_item(member) if isinstance(member, syntax.Grouping) else [_members(member)])
        ]
    members = [_members(member) for member in item.items]
    if item.kind == "ROLLUP":
        return [sum(members[:count], ()) for count in range(len(members), -1, -1)]
    _refuse_many(2 ** len(members), item)
    sets: list[Items] = [()]
    for member in members:
        sets = [chosen + part for chosen in sets for part in (member, ())]
    return sets


def _members(item: syntax.Expression) -> Items:
    """Expressions in parentheses go together."""
    return item.items if isinstance(item, syntax.Row) else (item,)


def _refuse_many(count: int, at: syntax.Node) -> None:
    if count > _MOST_SETS:
        raise Unsupported(
            f"a GROUP BY of {count} sets is not supported in a continuous query",
            at.span, hint=f"{_MOST_SETS} at most; name those that you need: GROUPING SETS (…)",
        )  # fmt: skip


def grouped_by_sets(whole: Aggregate, sets: tuple[tuple[str, ...], ...], groupings: tuple[GroupingCall, ...]) -> Plan:
    """The groups of `whole` by each of `sets` of its keys, with NULL for other keys, and the columns of `groupings`."""
    return Union(tuple(_grouped_by(whole, keys, groupings) for keys in sets), in_order=False)


def _grouped_by(whole: Aggregate, keys: tuple[str, ...], groupings: tuple[GroupingCall, ...]) -> Plan:
    plan = replace(whole, keys=keys)
    items = tuple(
        (c.name, _null(c) if c.name in whole.keys and c.name not in keys else column_expression(c.name, c.type))
        for c in whole.columns
    )
    numbers = ((call.name, Expression(f"CAST({call.value(keys)} AS BIGINT)", "BIGINT")) for call in groupings)
    return Project(plan, (*items, *numbers))


def _null(column: Column) -> Expression:
    return Expression(f"CAST(NULL AS {column.type})", column.type)
