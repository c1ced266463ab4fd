"""What DuckDB complains of, in our words: one sentence, the name in quotes, and a way out where DuckDB knows one."""

from __future__ import annotations

import re

import duckdb

from headwater.errors import Span, SqlError, TypeProblem, UnknownName, suggestion

# DuckDB's words for the commonest mistakes, and ours.
_UNKNOWN = (
    (r'Referenced column "(.+?)" (?:was )?not found', 'there is no column "{0}"'),
    (r'Referenced table "(.+?)" not found', 'there is no relation "{0}" in FROM'),
    (r'(?:Table|[Vv]alues list) "(.+?)" does not have a column named "(.+?)"', 'there is no column "{1}" in {0}'),
    (r"(?:Scalar|Aggregate|Table) Function with name (\S+) does not exist", "there is no function {0}()"),
    (r'Ambiguous reference to column name "(.+?)"', 'column "{0}" is ambiguous'),
    (r"Type with name (\S+) does not exist", 'there is no type "{0}"'),
    (r'Could not find key "(.+?)" in struct', 'there is no field "{0}"'),
)
_NO_FUNCTION = re.compile(r"No function matches the given name and argument types '(\S+?)\((.*)\)'")
_NEAREST = re.compile(r'(?:Did you mean|Candidate bindings:|Candidate Functions?:)\s*:?\s*"((?:[^"]|"")+)"')
_USE = re.compile(r"\(use: '(.+)'\)")
_ENTRIES = re.compile(r"Candidate Entries:\s*(.+)")
_CANDIDATES = re.compile(r"^\s+\S+?\((.*)\) -> .*$", re.MULTILINE)
_CANDIDATES_MAX = 3


# A user's function by the name that DuckDB knows it by, and what DuckDB says when one of them raised an exception.
_USER_FUNCTION = re.compile(r'(?<!")"(\w+)\$[0-9a-f]{12}"(?!")|\b(\w+)\$[0-9a-f]{12}\b')
_RAISED = re.compile(r"Python exception occurred while executing the UDF: \w+: (?P<cause>[^\n]*)")
_CALLED = re.compile(r"(\w+)\(\)")

# How an expression fails on purpose: DuckDB's error() cannot stand in TRY, and a text that is no BOOLEAN can.
_REFUSED = re.compile(r"Could not convert string 'refused: (?P<cause>[^\n]*)' to BOOL")


def refused_where(condition: str, problem: str, value: str) -> str:
    """SQL of a value that fails with a `problem` where a condition holds."""
    text = "refused: " + problem.replace("'", "''")
    return f"CASE WHEN CAST(CASE WHEN {condition} THEN '{text}' ELSE 'true' END AS BOOLEAN) THEN {value} END"


def cause_of(error: duckdb.Error) -> str:
    """Why a row failed, on one line: DuckDB's word for it, or what a user's function or an expression of ours said."""
    said = _RAISED.search(str(error)) or _REFUSED.search(str(error))
    return said["cause"] if said else str(error).partition("\n")[0]


def function_that_raised(error: duckdb.Error) -> str | None:
    """The name of the user's function that a complaint is about."""
    raised = _RAISED.search(str(error))
    called = _CALLED.match(raised["cause"]) if raised else None
    return called[1] if called else None


def with_users_names(text: str) -> str:
    """`text` with the functions of users by the names that they gave."""
    return _USER_FUNCTION.sub(r"\1\2", text)


def explain_duckdb_error(error: duckdb.Error, span: Span | None) -> SqlError:
    """A DuckDB complaint as one of ours: its first sentence, without its own position and class."""
    if function_that_raised(error) is not None or _REFUSED.search(str(error)):
        return SqlError(cause_of(error), span)
    text = with_users_names(str(error).partition("\n\nLINE ")[0].strip())
    kind, _, message = text.partition(": ")
    lines = [line.strip() for line in (message if kind.endswith("Error") else text).splitlines() if line.strip()]
    first = lines[0] if lines else "the expression cannot be evaluated"
    for pattern, words in _UNKNOWN:
        found = re.search(pattern, first)
        if found:
            hint = type_hint(found[1]) if words.startswith("there is no type") else _way_out(text)
            return UnknownName(words.format(*found.groups()), span, hint=hint)
    no_function = _NO_FUNCTION.search(first)
    if no_function:
        return _wrong_arguments(no_function[1], no_function[2], text, span)
    sentence = re.split(r"\. (?=[A-Z])| when casting from source column ", first)[0].rstrip(".!")
    return TypeProblem(sentence[:1].lower() + sentence[1:], span, hint=_way_out(text))


def type_hint(type_name: str) -> str | None:
    """A hint for an unknown type. DuckDB's own is of the types that it happens to have looked at."""
    known = "BOOLEAN INTEGER BIGINT DOUBLE DECIMAL VARCHAR BLOB DATE TIME TIMESTAMP TIMESTAMPTZ INTERVAL UUID JSON"
    return suggestion(type_name, known.split(), "types")


def _way_out(text: str) -> str | None:
    """The hint in DuckDB's complaint, in our words."""
    nearest, use, entries = _NEAREST.search(text), _USE.search(text), _ENTRIES.search(text)
    if use:
        return f"write {use[1].replace(chr(39), '')}"
    if entries:
        return "fields: " + ", ".join(sorted(re.findall(r'"(.+?)"', entries[1])))
    if nearest:
        return f'did you mean "{nearest[1].removeprefix("main.")}"?'
    return None


def _wrong_arguments(name: str, arguments: str, text: str, span: Span | None) -> SqlError:
    """A function or operator that does not take such arguments, with some that it takes."""
    given = _of_rows(arguments.replace("INTEGER_LITERAL", "INTEGER").replace("STRING_LITERAL", "VARCHAR"))
    if name == "struct_extract":
        return TypeProblem(f"{given.rpartition(', ')[0]} has no fields", span, hint="only a STRUCT has")
    if not name[0].isalpha():
        return TypeProblem(f'"{name}" does not take {given.replace(", ", " and ")}', span, hint="cast one side")
    taken = [_signature(parameters) for parameters in dict.fromkeys(_CANDIDATES.findall(text))]
    more = ", …" if len(taken) > _CANDIDATES_MAX else ""
    hint = f"it takes {', '.join(taken[:_CANDIDATES_MAX])}{more}" if taken else None
    return TypeProblem(f"{name}() does not take ({given})", span, hint=hint)


def _signature(parameters: str) -> str:
    """The types of a candidate's parameters: `(VARCHAR, BIGINT)` of `string VARCHAR, "start" BIGINT, /`."""
    types = (parameter.partition(" ")[2] or parameter for parameter in parameters.split(", ") if parameter != "/")
    return f"({_of_rows(', '.join(types))})"


def _of_rows(types: str) -> str:
    """Types of arguments; those of a user's aggregate, which DuckDB takes for a list of rows, as the user has them."""
    rows = re.fullmatch(r"STRUCT\(a0 (.*)\)\[\]", types)
    return re.sub(r", a\d+ ", ", ", rows[1]) if rows else types
