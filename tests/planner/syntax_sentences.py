"""Sentences of the syntax that the reference writes: together they have every option and every choice of it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

# What stands for words in small letters that an entry does not explain itself, or that stand in their own explanation.
SAMPLES = {
    "name": "x", "query": "SELECT 1", "expression": "1", "type": "INTEGER", "number": "1", "text": "'t'",
    "statement": "CHECKPOINT", "value": "1", "select": "SELECT 1", "source": "x", "group": "1", "placeholder": "?",
}  # fmt: skip

_TOKEN = re.compile(r"'[^']+'|[A-Za-z_]+|->>|=>|->|::|:=|<>|!=|<=|>=|<<|>>|//|\S")
_DEFINITION = re.compile(r"^([a-z_]+): ", re.MULTILINE)


@dataclass(slots=True)
class Reader:
    """The forms of one piece of syntax. What a word in small letters stands for is in `definitions`."""

    tokens: list[str]
    definitions: dict[str, str]
    place: int = 0
    expanding: tuple[str, ...] = ()

    def choices(self, end: str | None = None) -> list[str]:
        found = self.sequence(end)
        while self.peek() == "|":
            self.place += 1
            found += self.sequence(end)
        return found

    def sequence(self, end: str | None) -> list[str]:
        parts: list[list[str]] = []
        while (token := self.peek()) is not None and token not in ("|", end):
            self.place += 1
            if token == "…":
                is_listed = parts[-1] == [","]
                repeated = parts[-2 if is_listed else -1]
                del parts[-1 if is_listed else len(parts) :]
                parts[-1] = [*repeated, f"{repeated[0]}{',' if is_listed else ''} {repeated[-1]}"]
            else:
                parts.append(self.forms(token))
        return list(dict.fromkeys(_each_once(parts)))

    def forms(self, token: str) -> list[str]:
        if token == "[":
            found = ["", *self.choices("]")]
        elif token == "{":
            found = self.choices("}")
        elif token in self.definitions and token not in self.expanding:
            inner = Reader(_TOKEN.findall(self.definitions[token]), self.definitions, 0, (*self.expanding, token))
            return inner.choices()
        else:
            return [SAMPLES.get(token, token.strip("'") if len(token) > 1 else token)]
        self.place += 1
        return found

    def peek(self) -> str | None:
        return self.tokens[self.place] if self.place < len(self.tokens) else None


def _each_once(parts: list[list[str]]) -> Iterator[str]:
    """The first form of all parts together, and each other form of a part with the first of the others."""
    first = [forms[0] for forms in parts]
    yield " ".join(filter(None, first))
    for i, forms in enumerate(parts):
        for form in forms[1:]:
            yield " ".join(filter(None, (*first[:i], form, *first[i + 1 :])))


def sentences(syntax: str) -> list[str]:
    """Statements of this form."""
    statement, *rest = _DEFINITION.split(syntax)
    definitions = dict(zip(rest[::2], rest[1::2], strict=True))
    return Reader(_TOKEN.findall(statement), definitions).choices()
