"""The spelling of types: whatever a user writes becomes what DuckDB's DESCRIBE shows.

So two columns have the same type exactly if their type texts are equal. Whether a type exists is not checked here.
"""

from __future__ import annotations

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
    "TIMESTAMP WITH TIME ZONE": "TIMESTAMPTZ",
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
    "TIMESTAMP WITHOUT TIME ZONE": "TIMESTAMP",
}


def scalar_type(name: str, parameters: tuple[str, ...] = ()) -> str:
    """The canonical text of a type without parts: `scalar_type('numeric', ('10', '2'))` is 'DECIMAL(10,2)'."""
    written = " ".join(name.upper().split())
    canonical = _CANONICAL.get(written, written)
    if canonical == "VARCHAR":
        return canonical  # DuckDB takes a length, and ignores it
    if canonical == "DECIMAL":
        parameters = parameters + ("0",) if len(parameters) == 1 else parameters or ("18", "3")
    return f"{canonical}({','.join(parameters)})" if parameters else canonical


def array_type(item: str, length: str | None = None) -> str:
    return f"{item}[{length or ''}]"


def map_type(key: str, value: str) -> str:
    return f"MAP({key}, {value})"


def struct_type(fields: tuple[tuple[str, str], ...]) -> str:
    """The text of a STRUCT; `fields` are pairs of a name, quoted where that is needed, and a type."""
    return f"STRUCT({', '.join(f'{name} {type_}' for name, type_ in fields)})"
