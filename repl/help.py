"""\\?: the commands by what they are for, as wide as the terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import Protocol

from headwater.engine.terminal import Screen

# The commands by topic, in the order in which they are shown; a command of no topic stands under "more".
TOPICS = {
    "ask": ("\\e", "\\explain", "\\watch", "\\timing"),
    "see": ("\\x", "\\rows", "\\chart", "\\o", "\\copy"),
    "find out": ("\\d", "\\dq", "\\df", "\\h", "\\lineage", "\\info", "\\tutorial", "\\?"),
    "past": ("\\track", "\\untrack", "\\goto", "\\step", "\\back", "\\now", "\\bisect", "\\scrub"),
    "files": ("\\i",),
    "session": ("\\set", "\\unset", "\\s", "\\q"),
}
_MORE = "more"
_NARROW = 72  # columns below which a summary stands under its command

_KEYS = (
    "A statement ends with ; and may have many lines. Tab completes, Ctrl-R searches the history, Ctrl-C clears the "
    "line or stops what is running, Ctrl-D leaves. \\tutorial shows in ten minutes what there is to do."
)


class Described(Protocol):
    """A command, as far as help tells of it."""

    @property
    def name(self) -> str: ...
    @property
    def argument(self) -> str: ...
    @property
    def summary(self) -> str: ...


def by_topic(commands: Mapping[str, Described]) -> dict[str, list[Described]]:
    """The commands that there are, by topic."""
    placed = {name for names in TOPICS.values() for name in names}
    topics = {topic: [commands[name] for name in names if name in commands] for topic, names in TOPICS.items()}
    topics[_MORE] = [command for name, command in commands.items() if name not in placed]
    return {topic: found for topic, found in topics.items() if found}


def overview(commands: Mapping[str, Described], screen: Screen) -> Iterator[str]:
    """The lines of the help."""
    width = screen.width or 100
    longest = max(len(_usage(command)) for command in commands.values())
    topics = by_topic(commands)
    margin = max(map(len, topics)) + 2
    for topic, found in topics.items():
        if width < _NARROW:
            yield screen.paint(topic, "bold")
            for command in found:
                yield f"  {_usage(command)}"
                yield from textwrap.wrap(command.summary, width, initial_indent=" " * 6, subsequent_indent=" " * 6)
            continue
        for number, command in enumerate(found):
            first = screen.paint(topic, "bold") + " " * (margin - len(topic)) if number == 0 else " " * margin
            lines = textwrap.wrap(command.summary, width - margin - longest - 2)
            yield f"{first}{_usage(command):<{longest}}  {lines[0]}"
            yield from (" " * (margin + longest + 2) + line for line in lines[1:])
    yield ""
    yield from textwrap.wrap(_KEYS, min(width, 100))


def _usage(command: Described) -> str:
    return f"{command.name} {command.argument}".rstrip()
