"""Names as SQL: in double quotes where they must be, for Headwater and for DuckDB."""

from __future__ import annotations

import re

from headwater.parser.keywords import DUCKDB_RESERVED, RESERVED
from headwater.parser.syntax import Identifier, QualifiedName

_PLAIN = re.compile(r"[^\W\d]\w*")
_QUOTED = RESERVED | DUCKDB_RESERVED

# As the name of a function, these need quotes too, and LEFT and RIGHT need none.
_QUOTED_FUNCTIONS = (_QUOTED - {"LEFT", "RIGHT"}) | frozenset(
    """BIGINT BIT BOOLEAN CHAR CHARACTER DEC DECIMAL EXTRACT FLOAT INOUT INT INTEGER INTERVAL NATIONAL NCHAR NONE
    NUMERIC OUT POSITION PRECISION REAL SETOF SMALLINT TIME TIMESTAMP TREAT TRY_CAST VALUES VARCHAR""".split()
)


def quote(identifier: Identifier | str) -> str:
    """A name as SQL: in double quotes if it was quoted, or if it could not be read back otherwise.

    A str is a name in its exact spelling.
    """
    if isinstance(identifier, str):
        return _bare_or_quoted(identifier, _QUOTED)
    if isinstance(identifier, QualifiedName):
        parts = (quote(Identifier(part, identifier.quoted)) for part in identifier.parts)
        return f"{'INSPECT ' if identifier.inspected else ''}{'.'.join(parts)}"
    return _quoted(identifier.text) if identifier.quoted else _bare_or_quoted(identifier.text, _QUOTED)


def quote_relation(name: str) -> str:
    """The name of a relation as SQL: the parts of a qualified one each by itself."""
    return ".".join(map(quote, name.split(".")))


def quote_function(name: str) -> str:
    """The name of a function as SQL."""
    return _bare_or_quoted(name, _QUOTED_FUNCTIONS)


def _bare_or_quoted(text: str, words: frozenset[str]) -> str:
    return text if _PLAIN.fullmatch(text) and text.upper() not in words else _quoted(text)


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'
