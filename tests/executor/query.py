"""A query of the differential harness."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Query:
    """A continuous query, and DuckDB SQL over the oracle's relations that gives the same rows."""

    sql: str
    oracle: str
    errors: str | None = None  # the records of s, by partition and offset, that must be in its error stream
