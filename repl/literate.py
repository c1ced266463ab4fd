"""Pages of Markdown with statements and programs between the prose, and what they give: read, not run.

A block that begins with ```sql runs; a block of ```text right behind it shows what it gives. A word after `sql` says
otherwise: `fails` is one that ends in an error, which the text shows; `fragment` is not run, since it is no whole
statement. ```console holds a line `$ python program …`, which is run in the page's folder. `<!-- setup` begins a
comment with statements that the page needs and does not show.
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias, cast

from headwater.errors import HeadwaterError, Span

How: TypeAlias = Literal["", "fails", "fragment", "setup", "program"]

_BLOCK = re.compile(
    r"^```(?P<language>sql(?P<how>[ \w]*)|console)\n(?P<text>[\s\S]*?)^```\n(?:\n```text\n(?P<shown>[\s\S]*?)^```\n)?"
    r"|^<!-- setup\n(?P<setup>[\s\S]*?)^-->\n",
    re.MULTILINE,
)
_OF_SQL = ("", "fails", "fragment")
_PROGRAM = "$ python "


@dataclass(frozen=True, slots=True)
class Prose:
    """What stands between two blocks."""

    text: str


@dataclass(frozen=True, slots=True)
class Block:
    """Statements, or the line that runs a program. `shown` is where the page says what it gives, if it does."""

    text: str
    how: How
    line: int
    shown: Span | None = None


class WrongBlock(Exception):
    """A block cannot be read, or does not do what its page says."""


def read_page(page: str) -> Iterator[Prose | Block]:
    """All of a page, in order. Raises WrongBlock for a block that is marked with a word that says nothing."""
    end = 0
    for match in _BLOCK.finditer(page):
        yield Prose(page[end : match.start()])
        yield _block(match, page)
        end = match.end()
    yield Prose(page[end:])


def _block(match: re.Match[str], page: str) -> Block:
    line = page.count("\n", 0, match.start()) + 1
    shown = None if match["shown"] is None else Span(*match.span("shown"))
    if match["setup"] is not None:
        return Block(match["setup"], "setup", line)
    if match["language"] == "console":
        if not match["text"].startswith(_PROGRAM) or match["text"].count("\n") != 1:
            raise WrongBlock(f'line {line}: a block of console is one line, "{_PROGRAM}program …"')
        return Block(match["text"], "program", line, shown)
    how = match["how"].strip()
    if how not in _OF_SQL:
        raise WrongBlock(f'line {line}: a block of sql is one of {", ".join(filter(None, _OF_SQL))}, not "{how}"')
    return Block(match["text"], cast(How, how), line, shown)


def run_program(line: str) -> str:
    """What the program of a line `$ python …` prints, run by the Python that runs this. One that fails is an error."""
    arguments = shlex.split(line.removeprefix(_PROGRAM))
    ran = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)
    if ran.returncode:
        raise HeadwaterError(f"{line.strip()} failed", hint=ran.stderr.strip())
    return ran.stdout
