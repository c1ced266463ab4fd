"""The documentation is true: blocks of SQL give what is shown, the reference has all there is, links lead somewhere."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from docs.generate.blocks import WrongBlock, answers, blocks, pages, shown
from docs.generate.pages import FOLDER, generated
from headwater.engine.session import SETTINGS
from headwater.planner.function_catalog import function_catalog
from headwater.planner.properties import PROPERTIES, WITHOUT_EFFECT
from headwater.planner.statement_reference import statement_reference
from headwater.repl.commands import COMMANDS

ROOT = Path(__file__).resolve().parent.parent
PAGES = {path: folder for path, folder in pages(ROOT).items() if blocks(path.read_text())}
FRAGMENTS_MAX = 3  # in all pages together


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_block_of_sql_gives_what_its_page_shows(path: Path) -> None:
    page = path.read_text()
    wrong = [
        f"line {block.line}: {block.text}{answer}"
        for block, answer in answers(page, PAGES[path])
        if shown(block, page) not in (None, answer)
    ]
    assert not wrong, "make docs writes what they give now:\n" + "\n".join(wrong)


def test_few_blocks_are_only_read() -> None:
    fragments = [b for path in PAGES for b in blocks(path.read_text()) if b.how == "fragment"]
    assert len(fragments) <= FRAGMENTS_MAX


def test_a_block_that_fails_is_found() -> None:
    with pytest.raises(WrongBlock, match='line 3: there is no stream or table "nowhere"'):
        list(answers("# Title\n\n```sql\nSELECT * FROM nowhere;\n```\n"))
    with pytest.raises(WrongBlock, match="line 1: this should end in an error"):
        list(answers("```sql fails\nSELECT 1;\n```\n"))
    with pytest.raises(WrongBlock, match='not "maybe"'):
        list(answers("```sql maybe\nSELECT 1;\n```\n"))


def test_a_program_beside_a_page_runs(tmp_path: Path) -> None:
    (tmp_path / "half.py").write_text("import sys\nprint(int(sys.argv[1]) // 2)\n")
    assert [answer for _, answer in answers("```console\n$ python half.py 14\n```\n", tmp_path)] == ["7\n"]
    with pytest.raises(WrongBlock, match="line 3: [$] python half.py x failed"):
        list(answers("# Title\n\n```console\n$ python half.py x\n```\n", tmp_path))
    with pytest.raises(WrongBlock, match="line 1: a block of console is one line"):
        list(answers("```console\nls\n```\n", tmp_path))


@pytest.mark.parametrize("name", sorted(generated()))
def test_the_reference_is_what_make_docs_writes(name: str) -> None:
    assert (FOLDER / name).read_text() == generated()[name]


def test_the_reference_has_every_statement_function_command_property_and_setting() -> None:
    text = "\n".join(path.read_text() for path in FOLDER.glob("*.md"))
    headings = {line.lstrip("# ") for line in text.splitlines() if line.startswith("##")}
    assert {entry.title for entry in statement_reference()} - headings == set()
    assert {info.name for info in function_catalog()} - headings == set()
    named = {*COMMANDS, *SETTINGS, *PROPERTIES, *WITHOUT_EFFECT}
    assert [name for name in sorted(named) if f"`{name}" not in text] == []


def build(source: Path, target: Path) -> subprocess.CompletedProcess[str]:
    """The site, as `make docs` builds it."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-c", str(ROOT / "docs")]
    return subprocess.run([*command, str(source), str(target)], capture_output=True, text=True, check=False)


def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    built = build(ROOT / "docs", tmp_path)
    assert built.returncode == 0, built.stderr
    assert (tmp_path / "reference" / "define.html").exists()


@pytest.mark.parametrize("target", ["nowhere.md", "index.md#nowhere", "#nowhere"])
def test_a_link_that_leads_nowhere_fails_the_build(target: str, tmp_path: Path) -> None:
    (tmp_path / "index.md").write_text(f"# Title\n\n[link]({target})\n")
    built = build(tmp_path, tmp_path / "built")
    assert built.returncode != 0 and "nowhere" in built.stderr
