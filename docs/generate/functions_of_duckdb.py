"""DuckDB's own table of functions, as far as a query can call them and they say something of the query's data."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

import duckdb

# What a query has no use for: collations and steps of DuckDB's optimizer; DuckDB's own files, settings and tables, of
# which a user has none; PostgreSQL's privileges, which always say yes; and readers of files, which no query may open.
NOT_FOR_QUERIES = re.compile(
    r"""__.* | (icu_)?collate_.* | icu_sort_key | json_copy_.* | pragma_.* | duckdb_.* | has_.*_privilege
    | pg_(?!typeof).* | read_.* | parquet_.* | glob | sniff_csv | .*_scan | .*_scan_dumb | python_map_function | test_.*
    | (dis|en)able_(logging|profiling) | (force_)?checkpoint | truncate_duckdb_logs | .*_external_resource(_type)?
    | inet_(client|server)_.* | (col|obj|shobj)_description | format_pg_type | map_to_pg_oid | get_block_size
    | json_(de)?serialize_(sql|plan) | json_execute_serialized_sql | array_to_string_comma_default | summary
    | format_type | current_(query|role|catalog|database|schema|schemas|user) | session_user | user | getvariable
    | combine | combine_aggr | finalize | histogram_values | in_search_path | txid_current | add_parquet_key
    | variant_(bytes_to_variant|to_parquet_variant) | st_.* | create_sort_key | write_log | parse_duckdb_log_message
    | nextval | currval | setval | is_histogram_other_bin | current_(connection|transaction|query)_id
    | current_setting | sleep_ms | index_key | which_secret | query(_table)?
    """,
    re.VERBOSE,
)
_KINDS = {"scalar": "scalar", "macro": "scalar", "aggregate": "aggregate", "window": "window", "table": "table"}
_AGGREGATE_MACROS = frozenset(
    "geomean geometric_mean wavg weighted_avg json_group_array json_group_object json_group_structure"
    " variant_group_array".split()
)
_INTEGERS = frozenset(
    "TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT BIGNUM".split()
)
_NUMBERS = _INTEGERS | {"FLOAT", "DOUBLE", "DECIMAL", "FLOAT16"}
_TYPES_MAX = 3

# Categories of DuckDB that are few functions, and the larger ones that they belong to.
_CATEGORIES = {
    "array": "list", "lambda": "list", "regex": "string", "text_similarity": "string", "bitstring": "blob",
    "geometry": "other",
}  # fmt: skip
# Where DuckDB names no category: the first whose pattern is found in name, signatures and description.
_SIGNS = (
    ("json", r"^(json|from_json|to_json|array_to_json|row_to_json)"),
    ("variant", r"^variant"),
    ("list", r"^(list_|array_|len |flatten|unnest|generate_subscripts)"),
    ("map", r"^(map|cardinality|element_at)"),
    ("struct", r"^(struct|union|row|enum)"),
    ("time", r"TIMESTAMP|DATE|INTERVAL|\bTIME\b| component from "),
    ("time", r"^(now|today|ago|current_|get_current|date|time|year|era|millenni)"),
    ("numeric", r"NUMERIC|DOUBLE|^(add|subtract|multiply|divide|mod|fmod|fdiv|random|greatest|least|bit_count|xor) "),
    ("string", r"VARCHAR"),
    ("numeric", r"INTEGER|BIGINT"),
)


class Overloads(NamedTuple):
    """All that DuckDB says of the functions of one name and kind."""

    name: str
    kind: str
    signatures: tuple[str, ...]
    description: str
    category: str
    alias_of: str
    examples: tuple[str, ...]
    is_volatile: bool


def functions_of_duckdb() -> list[Overloads]:
    """DuckDB's functions that are names, without those of `NOT_FOR_QUERIES`, by name."""
    rows = duckdb.connect().execute("""
        SELECT function_name, function_type, parameters, parameter_types, varargs, return_type, description, categories,
               alias_of, examples, stability, has_side_effects
        FROM duckdb_functions() WHERE function_type NOT IN ('pragma', 'table_macro')
    """).fetchall()  # fmt: skip
    by_name: dict[tuple[str, str], list[tuple]] = defaultdict(list)
    for row in rows:
        name = row[0]
        if re.fullmatch(r"[a-z_]\w*", name) and not NOT_FOR_QUERIES.fullmatch(name):
            by_name[name, "aggregate" if name in _AGGREGATE_MACROS else _KINDS[row[1]]].append(row)
    return [_overloads(name, kind, found) for (name, kind), found in sorted(by_name.items())]


def _overloads(name: str, kind: str, rows: list[tuple]) -> Overloads:
    by_arity: dict[tuple[int, bool], list[tuple]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: (len(row[2]), str(row[3]))):
        by_arity[len(row[2]), row[4] is not None].append(row)
    first = rows[0]
    description = next((row[6] for row in rows if row[6]), "").strip()
    signatures = tuple(dict.fromkeys(_signature(name, found) for _, found in sorted(by_arity.items())))
    return Overloads(
        name,
        kind,
        signatures,
        description,
        _category(f"{name} {' '.join(signatures)} {description}", rows) if kind == "scalar" else "",
        first[8] if first[8] and re.fullmatch(r"[a-z_]\w*", first[8]) else "",
        tuple(dict.fromkeys(example for row in rows for example in row[9] or ())),
        any(row[10] not in (None, "CONSISTENT") or row[11] for row in rows),
    )


def _category(text: str, rows: list[tuple]) -> str:
    """What the function of this text is about: as DuckDB says, or else as its name, types and description say."""
    said = next((row[7][0] for row in rows if row[7]), "")
    if said:
        return _CATEGORIES.get(said, said)
    for category, pattern in _SIGNS:
        if re.search(pattern, text):
            return category
    return "other"


def _signature(name: str, rows: list[tuple]) -> str:
    """The overloads with one number of parameters as one line: `round(x NUMERIC, precision INTEGER) -> NUMERIC`."""
    parameters = [
        _parameter(rows[0][2][place], _together(row[3][place] for row in rows)) for place in range(len(rows[0][2]))
    ]
    rest = _together(row[4] for row in rows) if rows[0][4] is not None else None
    parameters += [f"[{rest or 'ANY'}, …]"] if rows[0][4] is not None else []
    returned = _together(row[5] for row in rows)
    return f"{name}({', '.join(parameters)})" + (f" -> {returned}" if returned else "")


def _parameter(name: str | None, type_name: str) -> str:
    """`x NUMERIC`; the type alone where DuckDB has no name but col0."""
    shown = "" if name is None or re.fullmatch(r"col\d+", name) else name.strip("'")
    return f"{shown} {type_name}".strip() or "ANY"


def _together(types: Iterable[str | None]) -> str:
    """One name for several types: their kind where they have one, else the types, else ANY."""
    found = list(dict.fromkeys(type_name for type_name in types if type_name))
    bare = {type_name.partition("(")[0] for type_name in found}
    if len(found) > 1 and bare <= _NUMBERS:
        return "INTEGER" if bare <= _INTEGERS else "NUMERIC"
    if len(found) > _TYPES_MAX or "ANY" in found:
        return "ANY"
    return "|".join(found)
