"""Completion at the prompt: what could stand where the cursor is, in the menu.

`place` says where the cursor is and which kinds of things may stand there, `candidates` which of them there are,
`ranking` which fit what is typed. A line that begins with a backslash is a command of the shell, which says itself what
kind of argument it takes.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Protocol

from prompt_toolkit.completion import CompleteEvent, Completer, Completion, PathCompleter
from prompt_toolkit.document import Document

from headwater.parser import following
from headwater.repl.candidates import Candidate, Candidates
from headwater.repl.names import Names
from headwater.repl.place import Block, Kind, Place, kinds, place_of
from headwater.repl.ranking import ranked, suggestions
from headwater.repl.settings import OPTIONS

_MOST = 100  # candidates in a menu; typing on finds the others

# Where candidates are shown before a letter is typed.
_TELLING = frozenset((
    Kind.RELATION, Kind.STREAM, Kind.TABLE, Kind.VIEW, Kind.PIPELINE, Kind.INSTANCE, Kind.QUERY, Kind.MEMBER,
    Kind.CONDITION, Kind.POINT, Kind.PORT, Kind.GIVEN,
    Kind.TARGET_COLUMN, Kind.COMMON_COLUMN, Kind.PROPERTY, Kind.PROPERTY_VALUE, Kind.SETTING, Kind.SETTING_VALUE,
))  # fmt: skip


class Described(Protocol):
    """What completion knows of a command: what it does, and the kind of argument it takes."""

    @property
    def summary(self) -> str: ...

    @property
    def takes(self) -> str: ...


class SqlCompleter(Completer):
    """Completes from `names`, which the shell sets anew before each prompt, and in the order of `uses`."""

    def __init__(self, commands: Mapping[str, Described]) -> None:
        self.names = Names()
        self.uses: Counter[str] = Counter()
        self._commands = commands
        self._paths = PathCompleter(expanduser=True)

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        """The completions at the cursor, the likeliest first; while typing, none before a first letter."""
        before, after = document.text_before_cursor, document.text_after_cursor
        if before.startswith("\\"):
            return self._in_command(before, after, complete_event)
        return self._in_statement(before, after, complete_event)

    def _in_statement(self, before: str, after: str, event: CompleteEvent) -> Iterable[Completion]:
        place = place_of(before, after)
        if place is None:
            return ()
        wanted = kinds(place)
        is_asked = event.completion_requested or bool(place.typed)
        is_telling = bool(wanted) and wanted[0] in _TELLING and before[-1:] in (" ", ".", "(")
        if not (is_asked or is_telling or before.endswith("::")):
            return ()
        if Kind.FILE in wanted and place.is_in_string:
            return self._paths.get_completions(Document(place.typed[1:]), event)
        return _shown(suggestions(place, self.names, self.uses), place.typed, place)

    def _in_command(self, before: str, after: str, event: CompleteEvent) -> Iterable[Completion]:
        name, space, argument = before.partition(" ")
        if not space:
            found = [Candidate(known, command.summary) for known, command in self._commands.items()]
            fitting = [c for c in found if c.text.startswith(name)]
            return _shown(ranked(name, [(Kind.SETTING, fitting)], {}), name)
        takes = self._commands[name].takes if name in self._commands else ""
        if takes == "file":
            return self._paths.get_completions(Document(argument), event)
        if "query" in takes and " " in argument:
            return self._in_statement(argument, after, event)
        typed = argument.rpartition(" ")[2]
        arguments = self._arguments(takes, argument.split(" ")[:-1])
        return _shown(ranked(typed, [(Kind.SETTING, arguments)], self.uses), typed)

    def _arguments(self, takes: str, given: list[str]) -> Iterator[Candidate]:
        """What a command takes, behind the words that are `given`."""
        if "relation" in takes and not given:
            yield from Candidates(Place("", "", (Block(),)), self.names).relations()
        if takes == "query" or "query" in takes.split() and not given:
            yield Candidate("SELECT", "")
        if takes == "option" and not given:
            yield from (Candidate(name, option.meaning) for name, option in OPTIONS.items())
        if takes == "option" and len(given) == 1 and given[0] in OPTIONS:
            yield from (Candidate(word, "") for word in OPTIONS[given[0]].words)
        if takes in OPTIONS and not given:
            yield from (Candidate(word, "") for word in OPTIONS[takes].words)
        start = following("") if takes == "statement" and not given else None
        yield from (Candidate(phrase, "statement") for phrase in (start.phrases if start is not None else ()))


def _shown(found: Iterable[tuple[Candidate, Kind]], typed: str, place: Place | None = None) -> Iterator[Completion]:
    for candidate, kind in islice(found, _MOST):
        is_word = kind in (Kind.KEYWORD, Kind.TYPE, Kind.POINT)
        text = _in_case(candidate.text, typed, place) if is_word else candidate.text
        yield Completion(text, start_position=-len(typed), display=text.strip(), display_meta=candidate.meaning)


def _in_case(text: str, typed: str, place: Place | None) -> str:
    """A keyword in the case that is being typed, or in which the statement was begun."""
    if place is None or text.startswith("'"):
        return text
    letters = typed if typed.strip() else place.beginning.lstrip().partition(" ")[0]
    return text.lower() if letters and letters.islower() else text
