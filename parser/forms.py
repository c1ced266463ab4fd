"""How each statement, and each clause of a query, is written, in one line: the last resort of a hint."""

from __future__ import annotations

from collections.abc import Sequence

# By the words that a statement begins with; the longest that fits is taken.
_FORMS = {
    "ACK": "ACK queue (receipt, …)",
    "NACK": "NACK queue (receipt, …)",
    "ALTER": "ALTER STREAM|TABLE name ADD COLUMN column type",
    "ALTER SYSTEM": "ALTER SYSTEM 'name' = 'value'",
    "ASSERT": "ASSERT VALUES stream (column, …) VALUES (…), ASSERT STREAM name (…) or ASSERT TOPIC name",
    "COMMIT": "COMMIT, or COMMIT GROUP name",
    "COPY": "COPY relation TO 'file' (FORMAT csv)",
    "CREATE": "CREATE STREAM|TABLE|VIEW|TYPE|FUNCTION|CONNECTOR|QUEUE|SCHEMA|PIPELINE|INSTANCE|ASSERTION|REMOTE name …",
    "CREATE ASSERTION": "CREATE ASSERTION name CHECK (condition) ON VIOLATION ALERT|REJECT|PAUSE",
    "CREATE AGGREGATE": "CREATE AGGREGATE FUNCTION f (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$ … $$",
    "CREATE FUNCTION": "CREATE FUNCTION f (x DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$ … $$",
    "CREATE INSTANCE": "CREATE INSTANCE name OF pipeline (port => relation, …)",
    "CREATE MATERIALIZED": "CREATE MATERIALIZED VIEW name AS SELECT …",
    "CREATE PIPELINE": "CREATE PIPELINE name (IN a STREAM (…), OUT b STREAM (…)) AS BEGIN …; END",
    "CREATE QUEUE": "CREATE QUEUE name ON stream WITH (…)",
    "CREATE SCHEMA": "CREATE SCHEMA name",
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
    "EXPLAIN MISSING": "EXPLAIN MISSING name WHERE condition",
    "EXPLAIN ROW": "EXPLAIN ROW name WHERE condition",
    "FETCH": "FETCH 100 FROM stream GROUP name",
    "FORK": "FORK DATABASE TO 'directory'",
    "INSERT": "INSERT INTO name (column, …) VALUES (…), or INSERT INTO name SELECT …",
    "LIST": "SHOW STREAMS, TABLES, VIEWS, QUERIES, FUNCTIONS, TYPES, GROUPS, PROPERTIES, …",
    "PAUSE": "PAUSE query, or PAUSE ALL",
    "PREVIEW": "PREVIEW CREATE OR REPLACE STREAM|TABLE name AS SELECT …",
    "PRINT": "PRINT stream FROM BEGINNING LIMIT 10",
    "RECEIVE": "RECEIVE 10 FROM queue",
    "RESET": "RESET 'name'",
    "RESUME": "RESUME query, or RESUME ALL",
    "RUN": "RUN SCRIPT 'file.sql'",
    "SEEK": "SEEK GROUP name TO EARLIEST|LATEST|OFFSET n",
    "SET": "SET 'name' = 'value'",
    "SHOW": "SHOW STREAMS, TABLES, VIEWS, QUERIES, FUNCTIONS, TYPES, GROUPS, PROPERTIES, …",
    "SHOW PROOF": "SHOW PROOF OF stream OFFSET 7, or SHOW PROOF OF stream FROM SIZE 100",
    "SHOW ROOT": "SHOW ROOT OF stream",
    "START": "START TRANSACTION",
    "STATE": "STATE ROOT OF relation",
    "SYNC": "SYNC STREAM name WITH remote",
    "TERMINATE": "TERMINATE query, or TERMINATE ALL",
    "UNDEFINE": "UNDEFINE name",
    "UNSET": "UNSET 'name'",
    "UPDATE": "UPDATE table SET column = value WHERE condition",
    "VERIFY": "VERIFY STREAM name",
}
# By a word or mark in a query; the last one before the error is taken.
_CLAUSES = {
    "::": "value::type",
    "[": "list[1], list[1:2] or [1, 2, 3]",
    "{": "{'name': value, …}",
    "AS OF": "AS OF OFFSET 1000, AS OF VERSION 42, AS OF TIMESTAMP '…' or AS OF '5 minutes ago'",
    "BETWEEN": "value BETWEEN low AND high",
    "CASE": "CASE WHEN condition THEN value ELSE value END",
    "CAST": "CAST(value AS type)",
    "CHANGES": "CHANGES FROM OFFSET 10 TO OFFSET 20",
    "CROSS": "a CROSS JOIN b, or a JOIN b ON condition",
    "DISTINCT": "DISTINCT ON (column, …)",
    "EXCEPT": "SELECT … EXCEPT SELECT …, or * EXCLUDE (column, …)",
    "EXCLUDE": "* EXCLUDE (column, …)",
    "EXTRACT": "EXTRACT(year FROM time)",
    "FILTER": "FILTER (WHERE condition)",
    "FROM": "FROM relation, or FROM (SELECT …) AS name",
    "GROUP": "GROUP BY column, …",
    "HAVING": "HAVING count(*) > 1",
    "HOPPING": "WINDOW HOPPING (SIZE 1 MINUTE, ADVANCE BY 10 SECONDS)",
    "IN": "value IN (1, 2), or value IN (SELECT …)",
    "IS": "value IS NULL, value IS TRUE or value IS DISTINCT FROM other",
    "JOIN": "a JOIN b ON a.id = b.id, or a JOIN b USING (id)",
    "LIKE": "value LIKE 'pattern%'",
    "LIMIT": "LIMIT 10 OFFSET 20",
    "MAP": "MAP {key: value, …}",
    "NATURAL": "a NATURAL JOIN b",
    "NOT": "NOT condition, value NOT IN (…) or value NOT LIKE 'pattern%'",
    "ORDER": "ORDER BY column DESC NULLS LAST, …",
    "OVER": "OVER (PARTITION BY a ORDER BY b ROWS BETWEEN 1 PRECEDING AND CURRENT ROW)",
    "REPLACE": "* REPLACE (expression AS column)",
    "SELECT": "SELECT column, … FROM relation",
    "SESSION": "WINDOW SESSION (5 MINUTES)",
    "SLIDING": "WINDOW TUMBLING (SIZE …), WINDOW HOPPING (SIZE …, ADVANCE BY …) or WINDOW SESSION (…)",
    "STRUCT": "STRUCT<name type, …>",
    "TUMBLING": "WINDOW TUMBLING (SIZE 10 SECONDS, GRACE PERIOD 2 SECONDS)",
    "UNION": "SELECT … UNION ALL SELECT …",
    "USING": "a JOIN b USING (id)",
    "VALUES": "VALUES (1, 'a'), (2, 'b')",
    "WHERE": "WHERE price > 100 AND auction = 7",
    "WITH": "WITH name AS (SELECT …) SELECT …",
    "WITHIN": "a JOIN b WITHIN 10 SECONDS ON …, or WITHIN (1 MINUTE, 2 MINUTES)",
}
_FILLERS = frozenset({"OR", "REPLACE"})


def form_of(words: Sequence[str]) -> str | None:
    """A hint with the form of the statement that begins with `words`, or of the clause that stands last in them."""
    leading = [word for word in (word.upper() for word in words[:4]) if word not in _FILLERS]
    form = _FORMS.get(" ".join(leading[:2])) or _FORMS.get("".join(leading[:1]))
    return f"write {form or _clause(words)}" if form or _clause(words) else None


def _clause(words: Sequence[str]) -> str | None:
    """The form of the last clause; marks of one character are tokens, so `::` and AS OF are two."""
    for i in range(len(words) - 1, -1, -1):
        word = words[i].upper()
        pair = word + words[i + 1].upper() if word == ":" and i + 1 < len(words) else word
        pair = f"{word} {words[i + 1].upper()}" if word == "AS" and i + 1 < len(words) else pair
        if pair in _CLAUSES:
            return _CLAUSES[pair]
    return None
