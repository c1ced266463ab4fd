"""What every statement is: its names, what it does, its syntax, examples. Read from `reference/statements/*.md`.

An entry is a heading with its names, a sentence, a block of syntax, then notes and examples as the documentation shows
them. Syntax is written as PostgreSQL writes it: [x] may be absent, {x | y} is a choice, `x …` and `x, …` repeat, words
in capitals stand for themselves, and words in small letters for what is explained below, or in an entry of its own.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

# The pages of the reference, in order: name of the file, title.
PAGES = {
    "ask": "Ask",
    "define": "Define and change",
    "past": "Ask about the past",
    "operate": "Operate and test",
    "consume": "Consumer groups, queues and transactions",
    "compose": "Put together",
    "ledgers": "Ledgers",
    "guard": "Guard",
    "unsupported": "Not supported yet",
}
NOT_SUPPORTED = "**Not supported"

_ENTRY = re.compile(
    r"## (?P<names>.*)\n\n(?P<summary>[\s\S]*?)\n\n```syntax\n(?P<syntax>[\s\S]*?)```\n(?P<body>[\s\S]*)"
)


@dataclass(frozen=True, slots=True)
class Entry:
    """A statement, or a part of one that is a topic of its own. `body` is Markdown: notes, examples, answers."""

    names: tuple[str, ...]
    summary: str
    syntax: str
    body: str
    page: str

    @property
    def is_supported(self) -> bool:
        """Whether statements of this kind can be run."""
        return NOT_SUPPORTED not in self.body

    @property
    def title(self) -> str:
        """The names, with commas between."""
        return ", ".join(self.names)


@cache
def statement_reference() -> tuple[Entry, ...]:
    """All entries, as they stand on their pages."""
    return tuple(entry for page in PAGES for entry in _entries(page))


def page_text(page: str) -> str:
    """A page as it is written."""
    return files("headwater.planner").joinpath("reference", "statements", f"{page}.md").read_text(encoding="utf-8")


def find_entries(words: str) -> list[Entry]:
    """The entries that `words` name: exactly, else those with a name that begins with them, else that has them in it,
    else those with these keywords in their syntax.
    """
    wanted = " ".join(words.upper().split())
    for is_meant in (str.__eq__, str.startswith, str.__contains__):
        found = [e for e in statement_reference() if any(is_meant(name.upper(), wanted) for name in e.names)]
        if found:
            return found
    keywords = re.compile(rf"\b{re.escape(wanted)}\b")
    return [entry for entry in statement_reference() if keywords.search(entry.syntax)]


def _entries(page: str) -> list[Entry]:
    texts = re.split(r"^(?=## )", page_text(page), flags=re.MULTILINE)
    return [_entry(text, page) for text in texts if text.startswith("## ")]


def _entry(text: str, page: str) -> Entry:
    match = _ENTRY.fullmatch(text)
    assert match is not None, f"an entry of {page}.md has another form: {text.splitlines()[0]}"
    names = tuple(match["names"].split(", "))
    return Entry(names, match["summary"], match["syntax"].rstrip(), match["body"].strip(), page)
