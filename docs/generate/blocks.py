"""The blocks of a page of Markdown, run one after the other in one database, and what they give.

`headwater.repl.literate` says how blocks are marked. Pages are the documentation, the README, and the examples.
"""

from __future__ import annotations

import io
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

import headwater
from headwater.engine.render import print_result
from headwater.engine.result import Result
from headwater.errors import HeadwaterError
from headwater.repl.literate import Block, WrongBlock, read_page, run_program

__all__ = ["Block", "WrongBlock", "answers", "blocks", "pages", "refreshed", "shown"]


def blocks(page: str) -> list[Block]:
    """All blocks of a page, in order."""
    return [piece for piece in read_page(page) if isinstance(piece, Block)]


def shown(block: Block, page: str) -> str | None:
    """What the page says that a block gives."""
    return None if block.shown is None else page[block.shown.start : block.shown.end]


def answers(page: str, folder: Path | None = None) -> Iterator[tuple[Block, str]]:
    """What each block gives; nothing for a fragment. Raises WrongBlock for one that fails, or does not and should.

    The files of an example's `folder` are there, and its database has the folder's name.
    """
    with _database(folder) as database:
        for block in blocks(page):
            yield block, "" if block.how == "fragment" else _answer(block, database)


def refreshed(page: str, folder: Path | None = None) -> str:
    """The page with the answers as they are now, where it shows some."""
    parts, end = [], 0
    for block, answer in answers(page, folder):
        if block.shown is not None:
            parts += [page[end : block.shown.start], answer]
            end = block.shown.end
    return "".join([*parts, page[end:]])


def _answer(block: Block, database: headwater.Database) -> str:
    written = io.StringIO()
    try:
        if block.how == "program":
            written.write(run_program(block.text))
        else:
            _run(block.text, database, written)
    except HeadwaterError as error:
        if block.how != "fails":
            raise WrongBlock(f"line {block.line}: {error}") from error
        return written.getvalue() + f"{error}\n"
    if block.how == "fails":
        raise WrongBlock(f"line {block.line}: this should end in an error")
    return written.getvalue()


def _run(sql: str, database: headwater.Database, stream: io.StringIO) -> None:
    for answer in database.run(sql):
        if isinstance(answer, Result):
            print_result(answer, stream=stream)
        else:
            answer.close()


@contextmanager
def _database(folder: Path | None) -> Iterator[headwater.Database]:
    """A database in a directory of its own, which is the current one, so that pages may name files beside it."""
    with tempfile.TemporaryDirectory() as directory, chdir(directory):
        if folder is not None:
            shutil.copytree(folder, directory, dirs_exist_ok=True)
        name = "shop" if folder is None else folder.name
        with headwater.connect(os.path.join(directory, f"{name}.hw"), background=False) as database:
            yield database


def pages(root: Path) -> dict[Path, Path | None]:
    """All pages of the documentation, the README, and those of the examples, each with its folder."""
    documentation = [root / "README.md", *sorted((root / "docs").rglob("*.md"))]
    examples = sorted((root / "examples").glob("*/README.md"))
    return dict.fromkeys(documentation) | {page: page.parent for page in examples}
