"""Lengths of time, in microseconds: from the words of the dialect and back."""

from __future__ import annotations

import re

from headwater.errors import SyntaxProblem
from headwater.parser.expressions import Interval, Literal

_MICROSECONDS = {
    "WEEK": 604_800_000_000,
    "DAY": 86_400_000_000,
    "HOUR": 3_600_000_000,
    "MINUTE": 60_000_000,
    "SECOND": 1_000_000,
    "MILLISECOND": 1_000,
    "MICROSECOND": 1,
}
_PART = re.compile(r"\s*(\d+)\s*([a-z]+)", re.IGNORECASE)
_HINT = "write a whole number of weeks, days, hours, minutes, seconds, milliseconds or microseconds"


def microseconds(amount: int, unit: str) -> int:
    """The length of so many of a unit of time, which may be in the plural."""
    return amount * _MICROSECONDS[unit.upper().removesuffix("S")]


def of_interval(interval: Interval) -> int:
    """The length of INTERVAL '5' SECOND or INTERVAL '1 hour 30 minutes'. Raises SyntaxProblem if it has none."""
    amount = interval.amount
    text = amount.text if isinstance(amount, Literal) else ""
    parts = _parts(f"{text} {interval.unit}" if interval.unit else text)
    if not parts or any(unit.upper().removesuffix("S") not in _MICROSECONDS for _, unit in parts):
        raise SyntaxProblem("this is not a fixed length of time", interval.span, hint=_HINT)
    return sum(microseconds(count, unit) for count, unit in parts)


def _parts(text: str) -> list[tuple[int, str]]:
    """Pairs of a count and a unit; none if the text is something else."""
    if not re.fullmatch(f"(?:{_PART.pattern})+", text.rstrip(), re.IGNORECASE):
        return []
    return [(int(count), unit) for count, unit in _PART.findall(text)]


def in_largest_unit(length: int) -> tuple[int, str]:
    """A length as a whole number of the largest unit, but weeks, that has one: 90 seconds are (90, 'SECOND')."""
    unit = next(unit for unit, size in _MICROSECONDS.items() if unit != "WEEK" and length % size == 0)
    return length // _MICROSECONDS[unit], unit
