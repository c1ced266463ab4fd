"""A query of the differential harness."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Calls that add floats up, whose last digits depend on the order of the rows; and how large what they add up can be.
_ADDED_UP = (
    (r"\bcorr\(", 1),
    (r"\bcovar_pop\(", 15),
    (r"\bvar_pop\(", 49),
    (r"\bstddev\(", 1000),
    (r"\b(sum|avg)\((\w+\.)?[dm]\b", 1000),
)
_DIGITS_LOST = 2.0**-40  # of a float's 52, by adding up as many rows as a case has


@dataclass(frozen=True)
class Query:
    """A continuous query, and DuckDB SQL over the oracle's relations that gives the same rows."""

    sql: str
    oracle: str
    errors: str | None = None  # the records of s, by partition and offset, that must be in its error stream
    is_stream: bool = False  # whether a stream keeps its rows, and not a table
    own_clock: bool = False
    checks: str = ""  # CHECK clauses of what keeps it

    def statement(self, name: str) -> str:
        """What makes it run."""
        clock = " WITH (clock = 'own')" if self.own_clock else ""
        return f"CREATE {'STREAM' if self.is_stream else 'TABLE'} {name}{clock} AS {self.sql} {self.checks}".rstrip()

    @property
    def rounding(self) -> float:
        """How far apart two floats of the same value may be, if rows are added up in two orders."""
        return _DIGITS_LOST * max((size for call, size in _ADDED_UP if re.search(call, self.oracle)), default=0)
