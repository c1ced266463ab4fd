"""What functions there are: name, kind, signatures and a description of each, for people and for completion.

The list is data, `reference/functions.jsonl`, which `make docs` writes from DuckDB's own table of functions and from
what the project says of its own. So nothing asks DuckDB when a program starts. Functions of users are in the catalog
of a database, not here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal

Kind = Literal["scalar", "aggregate", "window", "table"]


@dataclass(frozen=True, slots=True)
class FunctionInfo:
    """A function that a query can call. Overloads with as many arguments are one signature, their types taken together.

    `example` is what a query writes, over the sample data where it names columns; `result` what it gives, or nothing
    where that is another each time.
    """

    name: str
    kind: Kind
    signatures: tuple[str, ...]
    description: str
    category: str = ""
    alias_of: str = ""
    example: str = ""
    result: str = ""


@cache
def function_catalog() -> tuple[FunctionInfo, ...]:
    """All functions that are part of Headwater, by name."""
    lines = files("headwater.planner").joinpath("reference/functions.jsonl").read_text(encoding="utf-8").splitlines()
    return tuple(
        FunctionInfo(**{**entry, "signatures": tuple(entry["signatures"])}) for entry in map(json.loads, lines)
    )


def sample_data() -> str:
    """The statements that make what the examples of the reference ask about."""
    return _text_of("sample.sql")


def _text_of(name: str) -> str:
    return files("headwater.planner").joinpath("reference", name).read_text(encoding="utf-8")
