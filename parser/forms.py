"""How each statement is written, in one line: the last resort of a hint."""

from __future__ import annotations

from collections.abc import Sequence

# By the words that a statement begins with; the longest that fits is taken.
_FORMS = {
    "ACK": "ACK queue (id, …)",
    "ALTER": "ALTER STREAM|TABLE name ADD COLUMN column type",
    "ALTER SYSTEM": "ALTER SYSTEM 'name' = 'value'",
    "ASSERT": "ASSERT VALUES stream (column, …) VALUES (…), ASSERT STREAM name (…) or ASSERT TOPIC name",
    "COMMIT": "COMMIT, or COMMIT GROUP name",
    "COPY": "COPY relation TO 'file' (FORMAT csv)",
    "CREATE": "CREATE STREAM|TABLE|VIEW|TYPE|FUNCTION|CONNECTOR|QUEUE|PIPELINE|INSTANCE|ASSERTION|REMOTE name …",
    "CREATE ASSERTION": "CREATE ASSERTION name CHECK (condition) ON VIOLATION ALERT|REJECT|PAUSE",
    "CREATE FUNCTION": "CREATE FUNCTION f (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$ … $$",
    "CREATE INSTANCE": "CREATE INSTANCE name OF pipeline (port => relation, …)",
    "CREATE MATERIALIZED": "CREATE MATERIALIZED VIEW name AS SELECT …",
    "CREATE PIPELINE": "CREATE PIPELINE name (IN a STREAM (…), OUT b STREAM (…)) AS BEGIN …; END",
    "CREATE QUEUE": "CREATE QUEUE name ON stream WITH (…)",
    "CREATE REMOTE": "CREATE REMOTE name WITH (url = '…')",
    "CREATE SINK": "CREATE SINK CONNECTOR name WITH (…)",
    "CREATE SOURCE": "CREATE SOURCE CONNECTOR name WITH (…)",
    "CREATE STREAM": "CREATE STREAM name (column type, …), or CREATE STREAM name AS SELECT …",
    "CREATE TABLE": "CREATE TABLE name (column type, …), or CREATE TABLE name AS SELECT …",
    "CREATE TYPE": "CREATE TYPE name AS STRUCT<field type, …>",
    "CREATE VIEW": "CREATE VIEW name AS SELECT …",
    "DEFINE": "DEFINE name = 'value'",
    "DELETE": "DELETE FROM table WHERE condition",
    "DESCRIBE": "DESCRIBE name",
    "DIFF": "DIFF TABLE name WITH 'directory'",
    "DROP": "DROP STREAM|TABLE|VIEW|TYPE|FUNCTION|… name",
    "EXPLAIN": "EXPLAIN SELECT …, or EXPLAIN query",
    "EXPLAIN MISSING": "EXPLAIN MISSING table WHERE condition",
    "EXPLAIN ROW": "EXPLAIN ROW table WHERE condition",
    "FETCH": "FETCH 100 FROM stream GROUP name",
    "FORK": "FORK DATABASE TO 'directory'",
    "INSERT": "INSERT INTO name (column, …) VALUES (…), or INSERT INTO name SELECT …",
    "LIST": "SHOW STREAMS, TABLES, VIEWS, QUERIES, FUNCTIONS, TYPES, GROUPS, PROPERTIES, …",
    "PAUSE": "PAUSE query, or PAUSE ALL",
    "PRINT": "PRINT stream FROM BEGINNING LIMIT 10",
    "RECEIVE": "RECEIVE 10 FROM queue",
    "RESET": "RESET 'name'",
    "RESUME": "RESUME query, or RESUME ALL",
    "RUN": "RUN SCRIPT 'file.sql'",
    "SEEK": "SEEK GROUP name TO EARLIEST|LATEST|OFFSET n",
    "SET": "SET 'name' = 'value'",
    "SHOW": "SHOW STREAMS, TABLES, VIEWS, QUERIES, FUNCTIONS, TYPES, GROUPS, PROPERTIES, …",
    "START": "START TRANSACTION",
    "SYNC": "SYNC STREAM name WITH remote",
    "TERMINATE": "TERMINATE query, or TERMINATE ALL",
    "UNDEFINE": "UNDEFINE name",
    "UNSET": "UNSET 'name'",
    "UPDATE": "UPDATE table SET column = value WHERE condition",
    "VERIFY": "VERIFY STREAM name",
}
_FILLERS = frozenset({"OR", "REPLACE"})


def form_of(words: Sequence[str]) -> str | None:
    """A hint with the form of the statement that begins with `words`; None for a query."""
    leading = [word for word in (word.upper() for word in words[:4]) if word not in _FILLERS]
    form = _FORMS.get(" ".join(leading[:2])) or _FORMS.get("".join(leading[:1]))
    return f"write {form}" if form else None
