"""Scripts with lines that are commands of the shell."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

import headwater
from headwater.errors import HeadwaterError
from headwater.repl.command_lines import parts, run_script
from headwater.repl.output import Output


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        yield opened


def run(database: headwater.Database, script: str) -> str:
    output = Output(io.StringIO())
    run_script(database, output, script)
    return output.stream.getvalue()  # type: ignore[attr-defined, no-any-return]


def commands(script: str) -> list[str]:
    return [script[part.span.start : part.span.end] for part in parts(script) if part.is_command]


def test_a_line_that_begins_with_a_backslash_is_a_command() -> None:
    assert commands("SELECT 1;\n\\goto 3\n  \\step 2  \n\nSELECT 2;\n\\back") == ["\\goto 3", "\\step 2", "\\back"]


@pytest.mark.parametrize(
    "script", ["SELECT '\n\\goto 3\n';", "SELECT 1\n\\goto 3\n;", "/*\n\\goto 3\n*/", "SELECT $$\n\\q\n$$;"]
)
def test_inside_a_statement_it_is_none(script: str) -> None:
    assert commands(script) == []


def test_commands_and_statements_run_in_order(database: headwater.Database) -> None:
    shown = run(database, "CREATE TABLE t (x INTEGER);\n\\d t\nINSERT INTO t VALUES (1);\n")
    assert shown.index("created table t") < shown.index("│ x ") < shown.index("inserted 1 row")


def test_q_ends_a_script_without_an_error(database: headwater.Database) -> None:
    assert "2" not in run(database, "SELECT 1 AS x;\n\\q\nSELECT 2 AS x;")


def test_an_error_ends_it_and_names_the_line(database: headwater.Database) -> None:
    with pytest.raises(HeadwaterError, match=r"nothing is tracked \(line 2, column 1\)"):
        run(database, "SELECT 1;\n\\step\nSELECT 2;")
    with pytest.raises(HeadwaterError, match=r"line 3, column 15"):
        run(database, "SELECT 1;\n\\goto\nSELECT * FROM nowhere;")
