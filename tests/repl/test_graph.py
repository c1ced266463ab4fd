"""Graphs drawn as text: golden pictures, and that every picture says what the graph says."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from headwater.engine.terminal import width
from headwater.repl.graph import Graph, draw
from tests import golden

_AS_ASCII = str.maketrans("│─┘┐┤└┌├┴┬┼●▶", "|-+++++++++o>")


def graph_of(text: str) -> Graph:
    """A graph from lines such as `hot < bids, people`: a node, and what it reads."""
    lines = [line.partition("<")[::2] for line in text.splitlines()]
    nodes = [name.strip() for name, _ in lines]
    edges = [(source.strip(), name.strip()) for name, read in lines for source in read.split(",") if source.strip()]
    return Graph({node: node for node in nodes}, edges)


def test_pictures_are_as_they_were_looked_at() -> None:
    """The first line says how it is drawn: `unicode` or `ascii`, and the columns there are."""

    def picture(given: str) -> str:
        head, _, text = given.partition("\n")
        characters, columns = head.split()
        has_unicode = characters == "unicode"
        return "\n".join(draw(graph_of(text), int(columns), has_unicode=has_unicode))

    golden.check(Path(__file__).with_name("graph.golden"), picture)


def test_what_stands_around_a_node_is_what_it_is_made_of_and_what_is_made_of_it() -> None:
    graph = graph_of("a\nb\nc < a\nd < c, b\ne < a\nf < d")
    assert list(graph.around("c").labels) == ["a", "c", "d", "f"]
    assert list(graph.around("b").labels) == ["b", "d", "f"]


@pytest.mark.parametrize("seed", range(40))
def test_no_edge_is_lost_or_made_up_in_a_picture(seed: int) -> None:
    choice = random.Random(seed)
    names = [f"n{i}" for i in range(choice.randint(2, 30))]
    edges = [(names[choice.randrange(i)], names[i]) for i in range(1, len(names)) for _ in range(choice.randint(0, 3))]
    graph = Graph({name: name for name in names}, sorted(set(edges)))
    picture = draw(graph, None)
    assert set(edges_of(picture, names)) == set(edges)
    assert draw(graph, None, has_unicode=False) == [line.translate(_AS_ASCII) for line in picture]


@pytest.mark.parametrize("columns", [40, 60])
def test_a_picture_of_thirty_nodes_is_a_tree_where_it_would_be_too_wide(columns: int) -> None:
    chain = Graph({f"node{i}": f"node{i}" for i in range(30)}, [(f"node{i // 2}", f"node{i}") for i in range(1, 30)])
    lines = draw(chain, columns)
    assert all(width(line) <= columns for line in lines)
    assert {line.strip("│├└─… ") for line in lines} == set(chain.labels)


# The directions in which a character of a lane goes on.
_VERTICAL = {
    "│": "ud",
    "┘": "u",
    "┐": "d",
    "┤": "ud",
    "└": "u",
    "┌": "d",
    "├": "ud",
    "┴": "u",
    "┬": "d",
    "┼": "ud",
    "●": "ud",
}
_RIGHT = frozenset("└┌├┴┬┼")
_STEP = {"u": -1, "d": 1}


def edges_of(lines: list[str], names: list[str]) -> list[tuple[str, str]]:
    """The edges of a picture, found by following its lines from each node as a reader does."""
    found = []
    for row, line in enumerate(lines):
        for at, name in ((at, word) for at, word in words(line) if word in names):
            found += [(name, target) for target in reached(lines, row, at + len(name) + 1)]
    return found


def words(line: str) -> list[tuple[int, str]]:
    return [(match.start(), match.group()) for match in re.finditer(r"\w+", line)]


def reached(lines: list[str], row: int, at: int) -> set[str]:
    """What a line leads to that goes to the right from a place."""
    targets: set[str] = set()
    while (character := cell(lines, row, at)) in ("─", "│"):  # "│" is a lane that it passes under
        at += 1
    if character == "▶":
        targets.add(dict(words(lines[row]))[at + 2])
    elif character in _VERTICAL:
        if character in _RIGHT or character == "●":
            targets |= reached(lines, row, at + 1)
        for way in _VERTICAL[character]:
            targets |= down_the_lane(lines, row + _STEP[way], at, way)
    return targets


def down_the_lane(lines: list[str], row: int, at: int, way: str) -> set[str]:
    """What a lane leads to, which is gone along up or down."""
    targets: set[str] = set()
    back = {"u": "d", "d": "u"}[way]
    while back in _VERTICAL.get(cell(lines, row, at), ""):
        if cell(lines, row, at) in _RIGHT:
            targets |= reached(lines, row, at + 1)
        if way not in _VERTICAL[cell(lines, row, at)]:
            break
        row += _STEP[way]
    return targets


def cell(lines: list[str], row: int, at: int) -> str:
    return lines[row][at] if 0 <= row < len(lines) and 0 <= at < len(lines[row]) else " "
