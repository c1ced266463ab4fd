"""Write docs/reference/: the pages that are made of what the program says of itself."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from docs.generate import blocks, functions
from headwater.planner.function_catalog import FunctionInfo, function_catalog, sample_data
from headwater.planner.statement_reference import PAGES, page_text
from headwater.repl.commands import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "reference"
STATEMENTS = ROOT / "planner" / "reference" / "statements"

_WRITTEN = "<!-- Written by `make docs`: change the sources that are named in docs/generate/pages.py. -->"
_KINDS = {
    "scalar": "Scalar functions",
    "aggregate": "Aggregates",
    "window": "Window functions",
    "table": "Table functions",
}
_SYNTAX = """\
In syntax, `[x]` may be absent, `{x | y}` is a choice, and `x …` and `x, …` repeat. Words in capitals stand for
themselves; words in small letters for what is explained below them, or in an entry of its own. The examples run on
[the sample data](index.md#the-sample-data).
"""


def generated() -> dict[str, str]:
    """The text of each page by the name of its file."""
    made = {f"{page}.md": _statements(page) for page in PAGES}
    made |= {f"functions-{kind}.md": _functions(kind) for kind in _KINDS}
    return made | {"shell.md": _shell(), "index.md": _index()}


def with_sample_data(page: str) -> str:
    """A page whose blocks ask about the sample data, with the statements that make it as a comment before."""
    return f"<!-- setup\n{sample_data()}-->\n\n{page}"


def _statements(page: str) -> str:
    text = page_text(page).replace("```syntax", "```text")
    return with_sample_data(f"{_WRITTEN}\n\n# {PAGES[page]}\n\n{_SYNTAX}\n{text}")


def _functions(kind: str) -> str:
    known = [info for info in function_catalog() if info.kind == kind]
    parts = [_WRITTEN, f"# {_KINDS[kind]}", _about(kind)]
    for category in sorted({info.category for info in known}, key=lambda name: (name == "other", name)):
        if category:
            parts.append(f"## {category.capitalize()}")
        parts += (_function(info, "###" if category else "##") for info in known if info.category == category)
    return "\n\n".join(parts) + "\n"


def _about(kind: str) -> str:
    examples = "Examples are statements" if kind == "table" else "Examples are what a SELECT has in it"
    if kind in functions.SOURCES:
        examples += f", `{functions.SOURCES[kind].strip()}` of [the sample data](index.md#the-sample-data)"
    return f"{examples}; behind the arrow is what they give. In the shell, `\\df name` shows the same."


def _function(info: FunctionInfo, level: str) -> str:
    lines = [f"{level} {info.name}", "", *(f"    {signature}" for signature in info.signatures), ""]
    lines.append(_sentence(info))
    if info.example:
        lines += ["", f"    {info.example}", f"    → {info.result}"]
    return "\n".join(lines)


def _sentence(info: FunctionInfo) -> str:
    description = info.description.replace("<", "\\<").replace("*", "\\*").replace("[", "\\[").replace("$", "\\$")
    same = f"The same as `{info.alias_of}`." if info.alias_of else ""
    return " ".join(filter(None, (description.rstrip(".") + "." if description else "", same)))


def _shell() -> str:
    usages = ((f"{c.name} {c.argument}".strip().replace("|", "\\|"), c.summary) for c in COMMANDS.values())
    return "\n".join((
        _WRITTEN, "", "# Commands of the shell", "",
        "They stand on a line of their own, at the prompt and in scripts, and need no `;`.", "",
        "| command | what it does |", "|---|---|", *(f"| `{usage}` | {summary} |" for usage, summary in usages), "",
    ))  # fmt: skip


def _index() -> str:
    return f"""{_WRITTEN}

# Reference

All statements, functions, settings and commands. The shell has them too: `\\h CREATE TABLE`, `\\df round`, `\\?`.

```{{toctree}}
{"".join(f"{page}{chr(10)}" for page in _contents())}```

## The sample data

What the examples ask about. In the shell, `\\h sample data` shows it.

```sql
{sample_data()}```
"""


def _contents() -> Iterator[str]:
    yield from PAGES
    yield from (f"functions-{kind}" for kind in _KINDS)
    yield from ("settings", "shell")


def write() -> None:
    """Bring everything up to date: the list of functions, answers on all pages, then the pages that are made."""
    functions.write()
    function_catalog.cache_clear()
    for path in STATEMENTS.glob("*.md"):
        _refresh(path, with_sample_data(""))
    FOLDER.mkdir(exist_ok=True)
    for name, text in generated().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
    for path, folder in blocks.pages(ROOT).items():
        _refresh(path, folder=folder)


def _refresh(path: Path, before: str = "", folder: Path | None = None) -> None:
    try:
        text = blocks.refreshed(before + path.read_text(encoding="utf-8"), folder)
    except blocks.WrongBlock as error:
        sys.exit(f"{path.relative_to(ROOT)}, {error}")
    path.write_text(text[len(before) :], encoding="utf-8")


if __name__ == "__main__":
    write()
