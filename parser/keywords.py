"""The words of the dialect, taken from the grammar so that there is one list of each.

`KEYWORDS` serves highlighting and completion; `RESERVED` are those that are names only when quoted.
"""

from __future__ import annotations

import re
from importlib.resources import files

GRAMMAR = files("headwater.parser").joinpath("grammar.lark").read_text(encoding="utf-8")


def _reserved() -> frozenset[str]:
    listed = re.search(r"IDENTIFIER: /\(\?!\(\?:([A-Z|\s]+)\)", GRAMMAR)
    assert listed is not None, "the grammar lists its reserved words in IDENTIFIER"
    return frozenset(re.findall(r"[A-Z]+", listed.group(1)))


RESERVED: frozenset[str] = _reserved()

# Words that DuckDB does not take as the name of a column or table unless they are quoted. A name that is one of these,
# but not RESERVED, means the same with quotes and without, since it is always written with quotes.
DUCKDB_RESERVED: frozenset[str] = frozenset(
    """ALL ANALYSE ANALYZE AND ANTI ANY ARRAY AS ASC ASOF ASYMMETRIC AT AUTHORIZATION BINARY BOTH BY CASE CAST CHECK
    COLLATE COLLATION COLUMN CONCURRENTLY CONSTRAINT CREATE CROSS DEFAULT DEFERRABLE DESC DESCRIBE DISTINCT DO ELSE END
    EXCEPT FALSE FETCH FOR FOREIGN FREEZE FROM FULL GLOB GROUP HAVING ILIKE IN INITIALLY INNER INTERSECT INTO IS ISNULL
    JOIN LAMBDA LATERAL LEADING LEFT LIKE LIMIT NATURAL NOT NOTNULL NULL OFFSET ON ONLY OR ORDER OUTER OVERLAPS PIVOT
    PIVOT_LONGER PIVOT_WIDER PLACING POSITIONAL PRIMARY QUALIFY RECURSIVE REFERENCES RETURNING RIGHT SELECT SEMI SHOW
    SIMILAR SOME SUMMARIZE SYMMETRIC TABLE TABLESAMPLE THEN TO TRAILING TRUE UNION UNIQUE UNPACK UNPIVOT USING VARIADIC
    VERBOSE WHEN WHERE WINDOW WITH""".split()
)


def _in_patterns() -> frozenset[str]:
    """Words that the grammar has inside patterns, where no quotes mark them."""
    patterns = re.findall(r"^(?!IDENTIFIER)[A-Z_]+(?:\.\d)?: (/.*/)i?$", GRAMMAR, re.MULTILINE)
    return frozenset(word for pattern in patterns for word in re.findall(r"[A-Z][A-Z_]+", pattern))


KEYWORDS: frozenset[str] = frozenset(re.findall(r'"([A-Z][A-Z_]*)"', GRAMMAR)) | RESERVED | _in_patterns()
