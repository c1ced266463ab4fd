"""A plan as text, for people: one line per operator, what it keeps, what feeds it.

Aggregate by carrier: count(*) = count(*)   [one row per group; O(1) per row]
└─ Project carrier
   └─ StreamSource flights #1
"""

from __future__ import annotations

from headwater.planner.logical import Plan


def explain_plan(plan: Plan) -> str:
    """The tree of `plan`, the output first."""
    return "\n".join(_lines(plan, "", ""))


def _lines(node: Plan, first: str, rest: str) -> list[str]:
    kept = node.state()
    note = "" if kept == "no state" else f"   [{kept}]"
    lines = [f"{first}{type(node).__name__} {node.label()}{note}"]
    for i, source in enumerate(node.inputs):
        last = i == len(node.inputs) - 1
        lines += _lines(source, rest + ("└─ " if last else "├─ "), rest + ("   " if last else "│  "))
    return lines
