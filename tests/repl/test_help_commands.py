r"""Looking things up in the shell: \h for statements, \df for functions."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest

import headwater
from headwater.errors import HeadwaterError
from headwater.planner.function_catalog import function_catalog, sample_data
from headwater.planner.statement_reference import statement_reference
from headwater.repl.commands import run_command
from headwater.repl.output import Output
from headwater.repl.settings import Settings


@pytest.fixture
def database() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        yield opened


def shown(database: headwater.Database, line: str, format: str = "table") -> str:
    output = Output(io.StringIO(), Settings.of_script(format))
    run_command(database, output, line)
    return output.stream.getvalue()  # type: ignore[attr-defined, no-any-return]


def names(database: headwater.Database, line: str) -> list[str]:
    rows = shown(database, line, "csv").splitlines()[1:]
    return list(dict.fromkeys(row.split(",")[0] for row in rows))


def test_h_lists_all_statements(database: headwater.Database) -> None:
    listed = shown(database, "\\h")
    assert [entry.title for entry in statement_reference() if f"  {entry.title} " not in listed] == []


def test_h_shows_syntax_notes_and_an_example_with_what_it_gives(database: headwater.Database) -> None:
    text = shown(database, "\\h update")
    assert text.startswith("UPDATE: Change rows of a table, in one commit.\n\n  UPDATE name SET assignment, … [WHERE")
    assert "  UPDATE people SET city = 'Bergen' WHERE name = 'Bo';\n" in text
    assert "  updated 1 row\n" in text and "```" not in text


def test_h_of_what_several_statements_have_lists_these(database: headwater.Database) -> None:
    text = shown(database, "\\h create t")
    assert "  CREATE TABLE " in text and "  CREATE TYPE " in text and "  CREATE STREAM " not in text


def test_h_shows_the_sample_data(database: headwater.Database) -> None:
    assert shown(database, "\\h sample data") == sample_data()


def test_h_of_nothing_known_names_the_nearest(database: headwater.Database) -> None:
    with pytest.raises(HeadwaterError, match='there is no statement "creat tabel"') as raised:
        shown(database, "\\h creat tabel")
    assert raised.value.hint == 'did you mean "CREATE TABLE"?'


def test_df_lists_all_functions(database: headwater.Database) -> None:
    assert set(names(database, "\\df")) == {info.name for info in function_catalog()}


def test_df_tells_all_about_one_function(database: headwater.Database) -> None:
    assert shown(database, "\\df round") == (
        "round (scalar)\n\n"
        "  round(x NUMERIC) -> NUMERIC\n  round(x NUMERIC, precision INTEGER) -> NUMERIC\n\n"
        "Rounds x to s decimal places\n\n"
        "  round(42.4332, 2)\n  → 42.43\n"
    )


def test_df_takes_wildcards_parts_of_a_name_and_what_is_nearly_one(database: headwater.Database) -> None:
    assert names(database, "\\df geo*") == ["geo_distance", "geomean", "geometric_mean"]
    assert names(database, "\\df _by_offset") == ["earliest_by_offset", "latest_by_offset"]
    assert "substring" in names(database, "\\df substrnig")


def test_df_has_functions_of_the_user(database: headwater.Database) -> None:
    database.execute("CREATE FUNCTION twice(x DOUBLE) RETURNS DOUBLE LANGUAGE python AS $$ return 2 * x $$")
    assert "twice,twice(x DOUBLE),DOUBLE,scalar,A function of yours: scalar" in shown(database, "\\df tw*", "csv")


def test_df_of_nothing_known_is_an_error(database: headwater.Database) -> None:
    with pytest.raises(HeadwaterError, match='there is no function "zzzzqq"'):
        shown(database, "\\df zzzzqq")
