"""Write planner/reference/functions.jsonl: what DuckDB says of its functions, and functions.toml of the others.

An example is kept when Headwater runs it, with what it gave; DuckDB's own that need data of theirs are left out.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import headwater
from docs.generate.functions_of_duckdb import Overloads, functions_of_duckdb
from headwater.engine.cells import texts
from headwater.errors import HeadwaterError
from headwater.planner.function_catalog import FunctionInfo, sample_data
from headwater.planner.functions import FUNCTIONS

ROOT = Path(__file__).resolve().parents[2]
SAYINGS = tomllib.loads((Path(__file__).parent / "functions.toml").read_text(encoding="utf-8"))
LIST = ROOT / "planner" / "reference" / "functions.jsonl"

# What stands behind an example that is an expression over the sample data.
SOURCES = {"aggregate": " FROM bids", "window": " FROM bids ORDER BY at"}

_VARY = frozenset("now today current_date ago current_localtime current_localtimestamp get_current_time".split())


def functions() -> list[FunctionInfo]:
    """All functions, with the results of their examples."""
    with headwater.connect(background=False) as database:
        database.execute(sample_data())
        return [_with_result(info, examples, database) for info, examples in _all()]


def query_of(info: FunctionInfo) -> str:
    """The statement that an example is, or that it stands in."""
    if info.example.startswith("SELECT "):
        return info.example
    return f"SELECT {info.example}{SOURCES.get(info.kind, '')}"


def result_of(info: FunctionInfo, database: headwater.Database) -> str:
    """What the example gives: rows after commas, in brackets where they have several columns."""
    table = database.sql(query_of(info)).arrow()
    columns = [["NULL" if text is None else text for text in texts(c.combine_chunks())] for c in table.columns]
    rows = list(zip(*columns, strict=True))
    return ", ".join(row[0] if len(row) == 1 else f"({', '.join(row)})" for row in rows)


def _all() -> Iterator[tuple[FunctionInfo, tuple[str, ...]]]:
    """Each function with the examples that may be tried, by name."""
    found = {(f.name, f.kind): _of_duckdb(f) for f in functions_of_duckdb()}
    for name, said in SAYINGS["own"].items():
        own = _own(name, said)
        info, _ = found.get((name, own.kind), (own, ()))
        signatures = tuple(dict.fromkeys((*info.signatures, *own.signatures)))
        found[name, own.kind] = replace(own, signatures=signatures), (own.example,)
    return iter(value for _, value in sorted(found.items()))


def _of_duckdb(f: Overloads) -> tuple[FunctionInfo, tuple[str, ...]]:
    said = SAYINGS["tables" if f.kind == "table" else "duckdb"].get(f.name)
    info = FunctionInfo(f.name, f.kind, f.signatures, (said and said[0]) or f.description, f.category, f.alias_of)
    if f.is_volatile or f.name in _VARY:
        info = replace(info, result="varies")
    return info, tuple(filter(None, [said[1]] if said else f.examples))


def _own(name: str, said: dict) -> FunctionInfo:
    signatures = said.get("signatures") or [_signature(name)]
    kind, category = said.get("kind", "scalar"), said.get("category", "")
    return FunctionInfo(name, kind, tuple(signatures), said["description"], category, "", said["example"])


def _signature(name: str) -> str:
    """The parameters of a function that one expression defines; the last may be left out."""
    function = FUNCTIONS[name]
    least = len(function.names) - len(function.defaults)
    required, optional = function.names[:least], function.names[least:]
    return f"{name}({', '.join(required)}" + "".join(f" [, {parameter}]" for parameter in optional) + ")"


def _with_result(info: FunctionInfo, examples: tuple[str, ...], database: headwater.Database) -> FunctionInfo:
    for example in examples:
        tried = replace(info, example=example)
        try:
            result = result_of(tried, database)
        except HeadwaterError:
            if info.name in SAYINGS["own"] or info.name in SAYINGS["duckdb"]:
                raise
            continue
        return tried if info.result == "varies" else replace(tried, result=result)
    return replace(info, result="")


def write() -> None:
    """Write the list, a function a line."""
    lines = ({k: v for k, v in asdict(info).items() if v or k == "description"} for info in functions())
    LIST.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    write()
