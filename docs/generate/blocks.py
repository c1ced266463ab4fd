"""The blocks of SQL in a page of Markdown, run one after the other in one database, and what they give.

A block that begins with ```sql runs; a block of ```text right behind it shows what it gives. A word after `sql` says
otherwise: `fails` is one that ends in an error, which the text shows; `fragment` is not run, since it is no whole
statement. `<!-- setup` begins a comment with statements that the page needs and does not show.
"""

from __future__ import annotations

import io
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path

import headwater
from headwater.engine.render import print_result
from headwater.engine.result import Result
from headwater.errors import HeadwaterError

_BLOCK = re.compile(
    r"^```sql(?P<how>[ \w]*)\n(?P<sql>[\s\S]*?)^```\n(?:\n```text\n(?P<shown>[\s\S]*?)^```\n)?"
    r"|^<!-- setup\n(?P<setup>[\s\S]*?)^-->\n",
    re.MULTILINE,
)
HOW = ("", "fails", "fragment")


@dataclass(frozen=True, slots=True)
class Block:
    """A block as it stands in a page. `shown` is None where the page does not say what it gives."""

    sql: str
    how: str
    shown: str | None
    line: int


class WrongBlock(Exception):
    """A block does not do what its page says."""


def blocks(page: str) -> list[Block]:
    """All blocks of SQL of a page, in order."""
    return [_block(match, page) for match in _BLOCK.finditer(page)]


def _block(match: re.Match[str], page: str) -> Block:
    line = page.count("\n", 0, match.start()) + 1
    if match["setup"] is not None:
        return Block(match["setup"], "", None, line)
    how = match["how"].strip()
    if how not in HOW:
        raise WrongBlock(f'line {line}: a block of sql is one of {", ".join(filter(None, HOW))}, not "{how}"')
    return Block(match["sql"], how, match["shown"], line)


def answers(page: str) -> Iterator[tuple[Block, str]]:
    """What each block gives; nothing for a fragment. Raises WrongBlock for one that fails, or does not and should."""
    with _database() as database:
        for block in blocks(page):
            yield block, "" if block.how == "fragment" else _answer(block, database)


def refreshed(page: str) -> str:
    """The page with the answers as they are now, where it shows some."""
    found = iter([answer for _, answer in answers(page)])

    def with_answer(match: re.Match[str]) -> str:
        answer = next(found)
        if match["shown"] is None:
            return match[0]
        return match[0][: match.start("shown") - match.start()] + answer + "```\n"

    return _BLOCK.sub(with_answer, page)


def _answer(block: Block, database: headwater.Database) -> str:
    written = io.StringIO()
    try:
        for answer in database.run(block.sql):
            if isinstance(answer, Result):
                print_result(answer, stream=written)
            else:
                answer.close()
    except HeadwaterError as error:
        if block.how != "fails":
            raise WrongBlock(f"line {block.line}: {error}") from error
        return written.getvalue() + f"{error}\n"
    if block.how == "fails":
        raise WrongBlock(f"line {block.line}: this should end in an error")
    return written.getvalue()


@contextmanager
def _database() -> Iterator[headwater.Database]:
    """A database in a directory of its own, which is the current one, so that pages may name files beside it."""
    with tempfile.TemporaryDirectory() as directory, chdir(directory):
        with headwater.connect(os.path.join(directory, "shop.hw"), background=False) as database:
            yield database


def pages(root: Path) -> list[Path]:
    """All pages of the documentation, and the README."""
    return [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
