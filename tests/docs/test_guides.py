"""The guides and the limits are true beyond their SQL, which `tests/test_docs.py` runs.

Blocks of ```python run in order, in one namespace for each page, and a block of ```text behind one shows what it
prints; those of ```pytest are collected by pytest. What the limits name is refused.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
from contextlib import chdir, redirect_stdout
from pathlib import Path

import pytest

import headwater
from headwater.errors import Unsupported

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted((DOCS / "guides").glob("*.md"))
LIMITS = (DOCS / "limits.md").read_text()
_PYTHON = re.compile(r"^```python\n([\s\S]*?)^```\n(?:\n```text\n([\s\S]*?)^```\n)?", re.MULTILINE)
_PYTEST = re.compile(r"^```pytest\n([\s\S]*?)^```\n", re.MULTILINE)

_REFUSED = re.compile(r"^\| `((?:ALTER|CREATE|INSERT|VERIFY) [^`…]+)` \|", re.MULTILINE)


def page(path: Path) -> str:
    return str(path.relative_to(DOCS))


@pytest.mark.parametrize("path", [p for p in PAGES if _PYTHON.search(p.read_text())], ids=page)
def test_each_block_of_python_prints_what_is_shown(path: Path, tmp_path: Path) -> None:
    names: dict[str, object] = {}
    for program, shown in _PYTHON.findall(path.read_text()):
        printed = io.StringIO()
        with chdir(tmp_path), redirect_stdout(printed):
            exec(compile(program, str(path), "exec"), names)
        assert printed.getvalue() == shown


@pytest.mark.parametrize("path", [p for p in PAGES if _PYTEST.search(p.read_text())], ids=page)
def test_each_test_that_is_shown_passes(path: Path, tmp_path: Path) -> None:
    (source,) = _PYTEST.findall(path.read_text())
    (tmp_path / "test_shown.py").write_text(source)
    pytest_here = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(tmp_path)]
    ran = subprocess.run(pytest_here, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.fixture(scope="module")
def shop() -> headwater.Database:
    database = headwater.connect()
    database.execute("""
        CREATE STREAM bids (auction BIGINT, bidder BIGINT, price DOUBLE, at TIMESTAMP) WITH (timestamp = 'at');
        CREATE STREAM old_bids (auction BIGINT, bidder BIGINT, price DOUBLE, at TIMESTAMP) WITH (timestamp = 'at');
        CREATE TABLE people (id BIGINT PRIMARY KEY, city VARCHAR);
    """)
    return database


@pytest.mark.parametrize("statement", _REFUSED.findall(LIMITS))
def test_what_the_limits_name_is_refused(shop: headwater.Database, statement: str) -> None:
    with pytest.raises(Unsupported) as refused:
        shop.execute(statement)
    assert refused.value.span is not None
