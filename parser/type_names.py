"""The spelling of types: whatever a user writes becomes what DuckDB's DESCRIBE shows.

So two columns have the same type exactly if their type texts are equal. Whether a type exists is not checked here.
"""

from __future__ import annotations

import re

_SYNONYMS = {
    "BIGINT": "INT8 INT64 LONG OID",
    "BLOB": "BINARY BYTEA BYTES VARBINARY",
    "BOOLEAN": "BOOL LOGICAL",
    "DECIMAL": "DEC NUMERIC",
    "DOUBLE": "FLOAT8",
    "FLOAT": "FLOAT4 REAL",
    "HUGEINT": "INT128",
    "INTEGER": "INT INT4 INT32 INTEGRAL SIGNED",
    "SMALLINT": "INT2 INT16 SHORT",
    "TIME WITH TIME ZONE": "TIMETZ",
    "TIMESTAMP": "DATETIME TIMESTAMP_US",
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ TIMESTAMP_LTZ",
    "TINYINT": "INT1",
    "UBIGINT": "UINT64",
    "UHUGEINT": "UINT128",
    "UINTEGER": "UINT32",
    "USMALLINT": "UINT16",
    "UTINYINT": "UINT8",
    "UUID": "GUID",
    "VARCHAR": "BPCHAR CHAR CHARACTER NVARCHAR STRING TEXT",
}
_CANONICAL = {synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms.split()} | {
    "CHARACTER VARYING": "VARCHAR",
    "DOUBLE PRECISION": "DOUBLE",
    "TIME WITHOUT TIME ZONE": "TIME",
    "TIMESTAMP WITH LOCAL TIME ZONE": "TIMESTAMP WITH TIME ZONE",
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
}
# DuckDB takes the length of a VARCHAR and ignores it. Times have microseconds, so they hold any shorter fraction.
_WITHOUT_LENGTH = frozenset({"VARCHAR", "TIME", "TIME WITH TIME ZONE", "TIMESTAMP", "TIMESTAMP WITH TIME ZONE"})
_MICROSECOND_DIGITS = 6


def scalar_type(name: str, parameters: tuple[str, ...] = ()) -> str:
    """The canonical text of a type without parts: `scalar_type('numeric', ('10', '2'))` is 'DECIMAL(10,2)'."""
    words, digits = _without_digits(name)
    written = " ".join(words.upper().split())
    canonical = _CANONICAL.get(written, written)
    parameters = parameters + digits
    if canonical in _WITHOUT_LENGTH and (canonical == "VARCHAR" or all(_fits(p) for p in parameters)):
        return canonical
    if canonical == "DECIMAL":
        parameters = parameters + ("0",) if len(parameters) == 1 else parameters or ("18", "3")
    return f"{canonical}({','.join(parameters)})" if parameters else canonical


def _without_digits(name: str) -> tuple[str, tuple[str, ...]]:
    """A type of several words without the number inside it: TIMESTAMP(3) WITH TIME ZONE."""
    found = re.search(r"\(\s*(\d+)\s*\)", name)
    return (name.replace(found.group(), " "), (found.group(1),)) if found else (name, ())


def _fits(digits: str) -> bool:
    return int(digits) <= _MICROSECOND_DIGITS


def array_type(item: str, length: str | None = None) -> str:
    return f"{item}[{length or ''}]"


def map_type(key: str, value: str) -> str:
    return f"MAP({key}, {value})"


def struct_type(fields: tuple[tuple[str, str], ...]) -> str:
    """The text of a STRUCT; `fields` are pairs of a name, quoted where that is needed, and a type."""
    return f"STRUCT({', '.join(f'{name} {type_}' for name, type_ in fields)})"
