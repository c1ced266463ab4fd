"""Completion: what could stand where the cursor is.

After FROM, JOIN, INTO and the like: relations. After `name.`: that relation's columns. Elsewhere: columns of the
relations that the statement names, then keywords. After a backslash: the shell's commands. It looks at words, not at
the grammar, so it also offers some that cannot follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from headwater.engine.database import RelationInfo
from headwater.parser import quote
from headwater.repl.sql_tokens import WORDS, Token, tokens

_BEFORE_RELATION = frozenset("from join into describe desc stream table extended update".split())
_BEFORE_SQL = frozenset(("\\track", "\\bisect"))
_BEFORE_NAME = frozenset(("\\d", "\\track", "\\untrack"))
_STATEMENTS = tuple("SELECT CREATE INSERT DROP SHOW DESCRIBE EXPLAIN PREVIEW WITH CHECKPOINT VALUES LIST".split())


class SqlCompleter(Completer):
    """Completes from `relations`, which the shell sets anew before each prompt, and from the dialect's words."""

    def __init__(self, commands: Mapping[str, str]) -> None:
        self.relations: Sequence[RelationInfo] = ()
        self._commands = commands
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The completions at the cursor, the likeliest first; while typing, none before a first letter."""
        text = document.text_before_cursor
        command, _, argument = text.partition(" ")
        if command in _BEFORE_SQL and " " in argument:
            text = argument
        elif text.startswith("\\"):
            return self._in_command(text, complete_event)
        before, typed = _split_word(text)
        if before and before[-1].kind in ("string", "comment", "number"):
            return ()
        if not typed and not complete_event.completion_requested and not _is_telling(before):
            return ()
        return _matching(typed, self._candidates(_statement(before), document.text))

    def _in_command(self, text: str, event: CompleteEvent) -> Iterable[Completion]:
        command, space, argument = text.partition(" ")
        if not space:
            return _matching(command, self._commands.items())
        if command == "\\i":
            return self._paths.get_completions(Document(argument), event)
        return _matching(argument, self._relation_names()) if command in _BEFORE_NAME else ()

    def _candidates(self, before: list[Token], text: str) -> Iterator[tuple[str, str]]:
        """Pairs of a text to insert and what it is. `before` is the statement up to the word at the cursor."""
        if not before:
            yield from ((word, "statement") for word in _STATEMENTS)
            return
        if before[-1].text == ".":
            yield from self._columns_of(before[-2].name if len(before) > 1 else "", text)
            return
        if before[-1].name in _BEFORE_RELATION:
            yield from self._relation_names()
        else:
            named = {token.name for token in tokens(text) if token.is_name}
            for relation in self.relations:
                if relation.name.lower() in named:
                    yield from ((quote(column.name), column.type) for column in relation.columns)
        yield from ((word, "") for word in sorted(WORDS))

    def _relation_names(self) -> Iterator[tuple[str, str]]:
        for relation in self.relations:
            yield quote(relation.name), relation.kind.lower()

    def _columns_of(self, qualifier: str, text: str) -> Iterator[tuple[str, str]]:
        """The columns of the relation that `qualifier` names, itself or as an alias in `text`."""
        words = [token for token in tokens(text) if token.is_name and token.name != "as"]
        aliased = {first.name for first, second in zip(words, words[1:], strict=False) if second.name == qualifier}
        for relation in self.relations:
            if relation.name.lower() == qualifier or relation.name.lower() in aliased:
                yield from ((quote(column.name), column.type) for column in relation.columns)


def _split_word(text: str) -> tuple[list[Token], str]:
    """The tokens before the word that the cursor stands after, and that word, which may be empty."""
    found = list(tokens(text))
    if found and found[-1].is_name:
        return found[:-1], found[-1].text
    return found, ""


def _statement(found: list[Token]) -> list[Token]:
    """The tokens of the last statement that say something."""
    statement: list[Token] = []
    for token in found:
        if token.text == ";":
            statement = []
        elif token.kind not in ("space", "comment"):
            statement.append(token)
    return statement


def _is_telling(before: list[Token]) -> bool:
    """Whether completions are worth showing before a letter is typed: after `FROM ` or `name.`."""
    said = _statement(before)
    if not said:
        return False
    return said[-1].text == "." or (before[-1].kind == "space" and said[-1].name in _BEFORE_RELATION)


def _matching(typed: str, candidates: Iterable[tuple[str, str]]) -> Iterator[Completion]:
    """The candidates that begin with `typed` in any case, each once; keywords in the case that is being typed."""
    seen: set[str] = set()
    for text, meaning in candidates:
        offered = text.lower() if typed.islower() and text in WORDS else text
        if text.lower().startswith(typed.lower()) and offered.lower() not in seen:
            seen.add(offered.lower())
            yield Completion(offered, start_position=-len(typed), display_meta=meaning)
