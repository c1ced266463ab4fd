"""`headwater test` as a program: what it runs, what it prints, and its exit code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from headwater.repl.selection import choice

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "tests" / "sql" / "scripts"
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}

TWO = """\
--@test: first
CREATE STREAM s (v INTEGER, w VARCHAR);
INSERT INTO s VALUES (1, 'x');
ASSERT VALUES s (v, w) VALUES (2, NULL);
--@test: second
CREATE STREAM s (v INTEGER);
INSERT INTO s VALUES (1);
ASSERT VALUES s (v) VALUES (1);
"""


def headwater_test(*arguments: str | Path, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headwater", "test", *arguments],
        cwd=folder, capture_output=True, text=True, env=ENVIRONMENT, check=False, timeout=60,
    )  # fmt: skip


def without_times(text: str) -> str:
    return re.sub(r"\d+\.\d\d s|\d+ ms", "…", text)


def test_the_tests_of_this_repository_pass() -> None:
    done = headwater_test("tests/sql/scripts", "-v")
    assert (done.returncode, done.stderr) == (0, "")
    assert "tests/sql/scripts/tables.sql::windows count the rows of their time PASSED" in done.stdout
    assert "parts/shop.sql" not in done.stdout, "a script that tests run is not a test"
    assert without_times(done.stdout).endswith("\n9 passed in …\n")


def test_a_failure_shows_the_line_the_statement_and_the_rows(tmp_path: Path) -> None:
    (tmp_path / "two.sql").write_text(TWO)
    done = headwater_test("two.sql", folder=tmp_path)
    assert (done.returncode, done.stderr) == (1, "")
    assert without_times(done.stdout) == (
        "two.sql F.\n"
        "\n"
        "two.sql: first\n"
        'two.sql:4: record 1 of "s" is another: v is 1, not 2, w is x, not NULL\n'
        "4 | ASSERT VALUES s (v, w) VALUES (2, NULL);\n"
        "  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        "┌──────────┬───┬──────┐\n"
        "│          │ v │ w    │\n"
        "├──────────┼───┼──────┤\n"
        "│ expected │ 2 │ NULL │\n"
        "│ actual   │ 1 │ x    │\n"
        "└──────────┴───┴──────┘\n"
        "\n"
        "1 failed, 1 passed in …\n"
    )


def test_verbose_has_a_line_for_each_test(tmp_path: Path) -> None:
    (tmp_path / "two.sql").write_text(TWO)
    lines = without_times(headwater_test("two.sql", "-v", folder=tmp_path).stdout).splitlines()
    assert lines[:2] == ["two.sql::first FAILED (…)", "two.sql::second PASSED (…)"]


def test_x_stops_after_the_first_failure(tmp_path: Path) -> None:
    (tmp_path / "one.sql").write_text(TWO)
    (tmp_path / "two.sql").write_text(TWO)
    done = headwater_test(".", "-x", folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout.startswith("one.sql F\n\n")
    assert without_times(done.stdout).endswith("\n1 failed, 3 not run in …\n")


def test_k_chooses_tests_by_file_and_name(tmp_path: Path) -> None:
    (tmp_path / "two.sql").write_text(TWO)
    done = headwater_test("two.sql", "-k", "TWO and not first", folder=tmp_path)
    assert (done.returncode, without_times(done.stdout)) == (0, "two.sql .\n\n1 passed, 1 left out by -k in …\n")


def test_a_file_without_directives_is_one_test(tmp_path: Path) -> None:
    (tmp_path / "plain.sql").write_text("CREATE STREAM s (v INTEGER);\nASSERT STREAM s (v INTEGER);\n")
    done = headwater_test(tmp_path, "-v")
    assert f"{tmp_path}/plain.sql::plain PASSED" in done.stdout


def test_each_test_has_a_database_of_its_own(tmp_path: Path) -> None:
    text = (
        "--@test: a\nCREATE TABLE t (v INTEGER); DEFINE x = '1';\n--@test: b\nASSERT TABLE t;\n--@test: c\nSELECT ${x};"
    )
    (tmp_path / "a.sql").write_text(text)
    done = headwater_test("a.sql", folder=tmp_path)
    assert done.stdout.startswith("a.sql .FF\n")
    assert 'a.sql:4: there is no stream or table "t"' in done.stdout
    assert 'a.sql:6: there is no variable "x"' in done.stdout


@pytest.mark.parametrize(
    ("directive", "statement", "message"),
    [
        ("--@expected.error: UnknownName", "SELECT 1", "a.sql:1: expected UnknownName, and no statement fails"),
        ("--@expected.error: UnknownName", "SELEKT 1", "a.sql:3: expected UnknownName, not SyntaxProblem: "),
        ("--@expected.message: no water", "SELECT x", 'a.sql:3: expected an error with "no water", not '),
        ("--@expected.message: no water", "SELECT 1", 'a.sql:1: expected an error with "no water", and no statement'),
    ],
)
def test_an_error_that_is_expected_must_come_and_be_that_one(
    tmp_path: Path, directive: str, statement: str, message: str
) -> None:
    (tmp_path / "a.sql").write_text(f"--@test: a\n{directive}\n{statement};\n")
    done = headwater_test("a.sql", folder=tmp_path)
    assert done.returncode == 1
    assert message in done.stdout


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--@tset: a", 'there is no directive "tset" (a.sql, line 1, column 1)'),
        ("--@test:", "this directive says nothing (a.sql, line 1, column 1)"),
        ("--@test: a\n--@expected.error: Wet", 'there is no error "Wet" (a.sql, line 2, column 1)'),
        ("SELECT 1;\n--@test: a", "this belongs to no test (a.sql, line 1, column 1)"),
        ("--@expected.error: SqlError\n--@test: a", "this belongs to no test (a.sql, line 1, column 1)"),
    ],
)
def test_a_file_that_makes_no_sense_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.sql").write_text(text)
    done = headwater_test("a.sql", folder=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"error: {message}\n")


def test_what_cannot_be_run_at_all_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_text("SELECT 1")
    missing, empty, none = (headwater_test("b.sql", folder=tmp_path), headwater_test(tmp_path), headwater_test())
    wrong, unchosen = headwater_test("a.sql", "-k", "a or", folder=tmp_path), headwater_test(SCRIPTS, "-k", "xyz")
    assert (missing.returncode, missing.stderr) == (1, 'error: cannot read "b.sql": No such file or directory\n')
    assert (empty.returncode, empty.stderr.splitlines()[0]) == (1, f"error: there are no tests in {tmp_path}")
    assert none.returncode == 2
    assert (wrong.returncode, wrong.stderr.splitlines()[-1]) == (
        2, "headwater test: error: -k: a word is missing at the end",
    )  # fmt: skip
    assert (unchosen.returncode, unchosen.stderr) == (1, "error: none of 9 tests is chosen by -k xyz\n")


@pytest.mark.parametrize(
    ("expression", "chosen"),
    [
        ("a", {"a", "ab", "abc"}),
        ("a and b", {"ab", "abc"}),
        ("not a", {"d"}),
        ("d or a and c", {"abc", "d"}),
        ("not (b or d)", {"a"}),
        ("not not B", {"ab", "abc"}),
    ],
)
def test_words_are_put_together_as_in_pytest(expression: str, chosen: set[str]) -> None:
    assert set(filter(choice(expression), ["a", "ab", "abc", "d"])) == chosen


@pytest.mark.parametrize("expression", ["", "a b", "(a", "a)", "and", "a or or b", "not"])
def test_an_expression_that_makes_no_sense_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match="missing|one too many"):
        choice(expression)
