"""The source relations of the differential harness: their columns, random rows for them, and random changes.

s, t and b are the same in every case. e, u and r (a stream, a keyed table, a bag) have four columns whose types are
chosen at random, and values that are as extreme as those types have.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from random import Random
from typing import Any

Row = dict[str, Any]

INF, NAN = float("inf"), float("nan")


@dataclass(frozen=True)
class Source:
    """A relation that rows are put into; `columns` are names and SQL types, `key` that of a table with one."""

    name: str
    columns: tuple[tuple[str, str], ...]
    kind: str  # stream, table or bag
    options: str = ""

    @property
    def key(self) -> str | None:
        return self.columns[0][0] if self.kind == "table" else None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(name for name, _ in self.columns)

    @property
    def statement(self) -> str:
        marks = {"stream": " KEY", "table": " PRIMARY KEY", "bag": ""}
        first, *others = (f"{name} {type_}" for name, type_ in self.columns)
        kind = "STREAM" if self.kind == "stream" else "TABLE"
        return f"CREATE {kind} {self.name} ({', '.join([first + marks[self.kind], *others])}){self.options};"


def fixed_sources(partitions: int) -> tuple[Source, ...]:
    """The relations that most kinds of queries are about."""
    s = (("k", "INTEGER"), ("g", "VARCHAR"), ("v", "BIGINT"), ("d", "DOUBLE"), ("ts", "TIMESTAMP"))
    return (
        Source("s", s, "stream", f" WITH (partitions = {partitions}, timestamp = 'ts')"),
        Source("t", (("id", "INTEGER"), ("name", "VARCHAR"), ("w", "BIGINT")), "table"),
        Source("b", (("x", "INTEGER"), ("y", "VARCHAR"), ("z", "SMALLINT")), "bag"),
    )


# Few values, so that rows meet and repeat; among them the ends of the type, and what looks like something else.
TEXTS = (
    "", "a", "A", "b", "ä", "日本語", "null", "NULL", "\\0", "'", '"', "a b", " a", "\t\n", "a,b", "\U0001f600",
    "x" * 300,
)  # fmt: skip
VALUES: dict[str, tuple[Any, ...]] = {
    "BOOLEAN": (True, False),
    "TINYINT": (-128, -1, 0, 1, 127),
    "SMALLINT": (-(2**15), -1, 0, 1, 2, 2**15 - 1),
    "INTEGER": (-(2**31), -1, 0, 1, 2, 3, 2**31 - 1),
    "BIGINT": (-(2**63), -(2**63) + 1, -1, 0, 1, 2, 2**53 + 1, 2**63 - 2, 2**63 - 1),
    "UBIGINT": (0, 1, 2, 2**63, 2**64 - 1),
    "REAL": (0.0, -0.0, 1.5, -1.5, NAN, INF, -INF, 2.0**127),
    "DOUBLE": (0.0, -0.0, 0.1, -2.5, NAN, INF, -INF, 5e-324, 1.7e308, -1.7e308),
    "DECIMAL(9,2)": (Decimal("0.00"), Decimal("-0.01"), Decimal("1.10"), Decimal("9999999.99"), Decimal("-9999999.99")),
    "DECIMAL(38,4)": (Decimal("0"), Decimal("0.0001"), Decimal("-1.5000"), Decimal("9" * 30 + ".9999")),
    "VARCHAR": TEXTS,
    "BLOB": (b"", b"\x00", b"\x00\x01", b"a", b"\xff" * 20),
    "DATE": (date(1, 1, 1), date(1969, 12, 31), date(1970, 1, 1), date(2024, 2, 29), date(9999, 12, 31)),
    "TIME": (time(0), time(12, 30), time(23, 59, 59, 999_999)),
    "TIMESTAMP": (
        datetime(1, 1, 1), datetime(1969, 12, 31, 23, 59, 59, 999_999), datetime(2026, 1, 1), datetime(9999, 1, 1),
    ),
    "INTEGER[]": ([], [1], [1, 2], [2, 1], [None], [1, None, 2**31 - 1]),
    "VARCHAR[]": ([], [""], ["a", "b"], ["a"], [None], ["ä", "", "x" * 40]),
    "STRUCT(p INTEGER, q VARCHAR)": (
        {"p": 1, "q": "a"}, {"p": 1, "q": None}, {"p": None, "q": None}, {"p": -1, "q": ""}, {"p": 2, "q": "日本"},
    ),
}  # fmt: skip
NESTED = tuple(type_ for type_ in VALUES if type_.endswith("]") or type_.startswith("STRUCT"))
PLAIN = tuple(type_ for type_ in VALUES if type_ not in NESTED)


def typed_sources(random: Random) -> tuple[Source, ...]:
    """e, u and r, of the same four random types; the first column, which is a key, has a plain one."""
    types = [random.choice(PLAIN), random.choice(PLAIN), random.choice(tuple(VALUES)), random.choice(tuple(VALUES))]
    columns = tuple(zip("abcd", types, strict=True))
    return (
        Source("e", columns, "stream", " WITH (partitions = 2)"),
        Source("u", columns, "table"),
        Source("r", columns, "bag"),
    )


def typed_rows(random: Random, source: Source) -> list[Row]:
    """A few rows; one in seven values is NULL, and one row in five stands twice."""
    rows = []
    for _ in range(random.choice([0, 1, 3, 8, 16])):
        row = {name: _value(random, type_, is_key=name == source.key) for name, type_ in source.columns}
        rows += [row] * random.choice([1, 1, 1, 1, 2])
    return rows


def _value(random: Random, type_: str, *, is_key: bool) -> Any:
    return None if not is_key and random.random() < 0.15 else random.choice(VALUES[type_])


def literal(value: Any, type_: str) -> str:
    """The value in SQL, of that type."""
    match value:
        case None:
            return f"CAST(NULL AS {type_})"
        case bool():
            return str(value)
        case bytes():
            digits = "".join(f"\\x{byte:02X}" for byte in value)
            return f"CAST('{digits}' AS BLOB)"
        case str():
            return quoted(value)
        case list():
            return f"CAST([{', '.join(literal(item, type_.removesuffix('[]')) for item in value)}] AS {type_})"
        case dict():
            p, q = literal(value["p"], "INTEGER"), literal(value["q"], "VARCHAR")
            return f"{{'p': {p}, 'q': {q}}}"
        case _:
            return f"CAST('{value}' AS {type_})"


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
