"""`headwater example`: the pages are run as they are read. `tests/test_docs.py` compares what they show."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import headwater
from headwater.engine.terminal import Screen
from headwater.errors import HeadwaterError
from headwater.parser import split
from headwater.repl.example import examples, run, script, statements
from headwater.repl.prose import as_text

EXAMPLES = examples()


@pytest.mark.parametrize("name", EXAMPLES)
def test_an_example_has_a_title_and_says_what_it_is_about(name: str) -> None:
    assert EXAMPLES[name].title and not EXAMPLES[name].title.startswith("#")
    assert EXAMPLES[name].about.endswith(".")


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_statements_of_an_example_are_a_script(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    run([name, "--sql"])
    assert all(terminated for _, terminated in split(capsys.readouterr().out))


def test_all_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run([]) == 0
    listed = capsys.readouterr().out
    assert [name for name in EXAMPLES if f"{name}: {EXAMPLES[name].title}\n" not in listed] == []


def test_a_page_is_shown_with_what_its_statements_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["clickstream"]) == 0
    printed = capsys.readouterr().out
    page = EXAMPLES["clickstream"].page
    shown = [line for text in re.findall(r"^```text\n([\s\S]*?)^```", page, re.MULTILINE) for line in text.splitlines()]
    at = 0
    for line in shown:  # in this order, with prose and statements between
        at = printed.index(f"{line}\n", at) + len(line)
    assert "headwater> COPY clicks FROM 'clicks.csv';\n" in printed
    assert "        ->   FROM sessions GROUP BY came_by;\n" in printed


def test_it_can_be_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept = tmp_path / "kept"
    assert run(["clickstream", "--keep", str(kept)]) == 0
    assert f"cd {kept}; headwater clickstream.hw\n" in capsys.readouterr().out
    with headwater.connect(kept / "clickstream.hw") as database:
        assert database.sql("SELECT sum(clicks) FROM sessions").fetchall() == [(496,)]
    with pytest.raises(HeadwaterError, match="is there already"):
        run(["clickstream", "--keep", str(kept)])


def test_an_unknown_one_is_refused() -> None:
    with pytest.raises(HeadwaterError, match='no example "clikstream"') as refused:
        run(["clikstream"])
    assert refused.value.hint is not None and "clickstream" in refused.value.hint


def test_what_is_not_to_be_run_is_no_part_of_the_script() -> None:
    page = "```sql\nSELECT 1;\n```\n\n```sql fails\nSELECT x;\n```\n\n```sql fragment\nWHERE\n```\n"
    assert script(page) == "SELECT 1;\n"


def test_statements_keep_their_comments() -> None:
    text = "SELECT 1;  -- one\n-- and\nSELECT 2; SELECT\n  3;\n"
    assert list(statements(text)) == ["SELECT 1;  -- one", "-- and\nSELECT 2;", "SELECT\n  3;"]


def test_markdown_becomes_plain_text() -> None:
    page = (
        "## A *title*\n\nSome `code` and\na [link](there.md).\n\n- one\n- two\n\n```python\nx = 1\n```\n<!-- no -->\n"
    )
    assert as_text(page, Screen()) == "A *title*\n\nSome code and a link.\n\n- one\n- two\n\n  x = 1"
    assert as_text("a paragraph that is long", Screen(12)) == "a paragraph\nthat is long"
