"""A graph of names drawn as text: what is read stands on the left, what reads it on the right.

    bids ───●─▶ large
    people ─┴─▶ per_city ───▶ cities

Pure: nodes and edges in, lines out. Each node stands in the column behind the last of what it reads; an edge that
passes a column gets a place of its own there. Between two columns, each target has a lane: a vertical line that its
edges join. Where all that is wider than there is room for, the graph is an indented tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from headwater.engine.terminal import width

_UP, _DOWN, _LEFT, _RIGHT = 1, 2, 4, 8
_UNICODE = dict(enumerate(" ╵╷│╴┘┐┤╶└┌├─┴┬┼●"))
_ASCII = dict(enumerate(" |||-+++-+++-+++o"))
_BRANCH = 16
_SWEEPS = 4  # how often the order within the columns is improved from the left and from the right


@dataclass(frozen=True, slots=True)
class Graph:
    """`labels` by name, what is read before what reads it; `edges` go from what is read to what reads it."""

    labels: Mapping[str, str]
    edges: Sequence[tuple[str, str]]

    def sources(self, name: str) -> list[str]:
        """What a node reads, in the order of the nodes."""
        read = {source for source, target in self.edges if target == name}
        return [other for other in self.labels if other in read]

    def targets(self, name: str) -> list[str]:
        """What reads a node, in the order of the nodes."""
        reading = {target for source, target in self.edges if source == name}
        return [other for other in self.labels if other in reading]

    def around(self, name: str) -> Graph:
        """Only a node, all that it depends on, and all that depends on it."""
        kept = {name} | self._reached(name, self.sources) | self._reached(name, self.targets)
        return Graph(
            {other: label for other, label in self.labels.items() if other in kept},
            [edge for edge in self.edges if kept.issuperset(edge)],
        )

    def _reached(self, name: str, following: Callable[[str], list[str]]) -> set[str]:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            new = [other for other in following(waiting.pop()) if other not in found]
            found.update(new)
            waiting += new
        return found


@dataclass(frozen=True, slots=True)
class Place:
    """Where a node, or (without a name) an edge that passes, stands in its column."""

    key: tuple[str, ...]

    @property
    def name(self) -> str | None:
        """The node that stands here, if one does."""
        return self.key[0] if len(self.key) == 1 else None


def draw(graph: Graph, columns: int | None, *, has_unicode: bool = True) -> list[str]:
    """The graph in lines of at most `columns` (None: any width)."""
    connected = {name for edge in graph.edges for name in edge}
    lines = _Drawing(graph, connected, has_unicode).lines() if connected else []
    if columns is not None and any(width(line) > columns for line in lines):
        lines = list(tree(graph, connected, has_unicode=has_unicode))
    return lines + [label for name, label in graph.labels.items() if name not in connected]


def tree(graph: Graph, connected: set[str], *, has_unicode: bool = True) -> Iterator[str]:
    """The graph as a tree below each source. What a node leads to stands below it where it comes first; elsewhere it
    has an ellipsis.
    """
    marks = ("├─ ", "└─ ", "│  ", "…") if has_unicode else ("|- ", "`- ", "|  ", "...")
    told: set[str] = set()

    def below(name: str, indent: str) -> Iterator[str]:
        targets = graph.targets(name)
        for number, target in enumerate(targets, 1):
            is_last = number == len(targets)
            is_cut = target in told and bool(graph.targets(target))
            yield indent + marks[is_last] + graph.labels[target] + (f" {marks[3]}" if is_cut else "")
            if target not in told:
                told.add(target)
                yield from below(target, indent + ("   " if is_last else marks[2]))

    for name in graph.labels:
        if name in connected and not graph.sources(name):
            yield graph.labels[name]
            yield from below(name, "")


class _Drawing:
    """The layout of the nodes that have edges: columns of places, their order, and the lanes between two columns."""

    def __init__(self, graph: Graph, connected: set[str], has_unicode: bool) -> None:
        self._graph = graph
        self._lines = _UNICODE if has_unicode else _ASCII
        self._arrow = "▶" if has_unicode else ">"
        rank: dict[str, int] = {}
        for name in graph.labels:
            if name in connected:
                rank[name] = max((rank[source] + 1 for source in graph.sources(name)), default=0)
        self._columns: list[list[Place]] = [[] for _ in range(max(rank.values()) + 1)]
        self._links: list[tuple[int, Place, Place]] = []  # the column of the first, and two places next to each other
        for name, column in rank.items():
            self._columns[column].append(Place((name,)))
        for source, target in dict.fromkeys(graph.edges):
            self._route(source, target, rank)
        self._order()
        self._rows = self._row_of_each()

    def _route(self, source: str, target: str, rank: Mapping[str, int]) -> None:
        """The links of an edge. Edges of one source pass a column at one place, as far as they go the same way."""
        at = Place((source,))
        for column in range(rank[source] + 1, rank[target]):
            passing = Place((source, "passes"))
            if passing not in self._columns[column]:
                self._columns[column].append(passing)
            self._link(column - 1, at, passing)
            at = passing
        self._link(rank[target] - 1, at, Place((target,)))

    def _link(self, column: int, before: Place, after: Place) -> None:
        if (column, before, after) not in self._links:
            self._links.append((column, before, after))

    def _order(self) -> None:
        """Puts each place near the middle of those that it is linked with, so that few lines cross."""
        for _ in range(_SWEEPS):
            for column in range(1, len(self._columns)):
                self._arrange(column, column - 1, is_right=True)
            for column in range(len(self._columns) - 2, -1, -1):
                self._arrange(column, column + 1, is_right=False)

    def _arrange(self, column: int, other: int, *, is_right: bool) -> None:
        position = {place: index for index, place in enumerate(self._columns[other])}
        linked: dict[Place, list[int]] = {}
        for at, before, after in self._links:
            if at == min(column, other):
                own, far = (after, before) if is_right else (before, after)
                linked.setdefault(own, []).append(position[far])
        middle = {
            place: sum(linked[place]) / len(linked[place]) if place in linked else float(index)
            for index, place in enumerate(self._columns[column])
        }
        self._columns[column].sort(key=lambda place: middle[place])

    def _row_of_each(self) -> dict[tuple[int, Place], int]:
        """A row for each place: that of the first that it is linked with on the left, or the next in which no other
        line would run along its own.
        """
        rows: dict[tuple[int, Place], int] = {}
        for column, places in enumerate(self._columns):
            links = [(before, after) for at, before, after in self._links if at == column - 1]
            free = 0
            for place in places:
                left = [before for before, after in links if after == place]
                row = max(free, min((rows[column - 1, before] for before in left), default=0))
                while any(
                    rows[column - 1, before] == row and left != [before] and after != place for before, after in links
                ):
                    row += 1
                rows[column, place], free = row, row + 1
        return rows

    def lines(self) -> list[str]:
        """The drawing."""
        height = max(self._rows.values()) + 1
        lines = [""] * height
        for column, places in enumerate(self._columns):
            names = {self._rows[column, place]: place.name for place in places}
            texts = ["" if (name := names.get(row)) is None else self._graph.labels[name] for row in range(height)]
            widest = max(map(width, texts))
            gap = self._gap(column, height) if column + 1 < len(self._columns) else [""] * height
            leaving = {self._rows[column, before] for at, before, _ in self._links if at == column}
            for row, text in enumerate(texts):
                fill = self._lines[_LEFT | _RIGHT] if row in leaving else " "
                space = fill if row in names and names[row] is None else " "
                lines[row] += text + space + fill * (widest - width(text)) + gap[row]
        return [line.rstrip() for line in lines]

    def _gap(self, column: int, height: int) -> list[str]:
        """What stands between a column and the next: a lane for each place there, unless its only line is straight.

        A lane leads to its place alone: a line that goes on by itself has a dot where it branches off to a lane
        that has other lines, too; where it meets a lane that is not its own, it passes under it.
        """
        lines = {place: self._lines_to(column, place) for place in self._columns[column + 1]}
        to = {place: self._rows[column + 1, place] for place in lines}
        lanes = self._lanes([place for place in lines if lines[place] - {to[place]}], lines, to)
        end = 2 * (max(lanes.values(), default=0) + 1) + 1
        cells = [[0] * end for _ in range(height)]
        for place, rows in lines.items():
            lane = 2 * lanes[place] + 1 if place in lanes else end
            for row in rows:
                _across(cells[row], 0, lane)
            _across(cells[to[place]], lane + 1, end)
        for place, lane in lanes.items():
            at, joined = 2 * lane + 1, lines[place] | {to[place]}
            for row in range(min(joined), max(joined) + 1):
                bits = (_UP if row > min(joined) else 0) | (_DOWN if row < max(joined) else 0)
                if row in joined:
                    goes_on = row == to[place] or (at + 1 < end and cells[row][at + 1])
                    bits |= (_LEFT if row in lines[place] else 0) | (_RIGHT if goes_on else 0)
                    if goes_on and row != to[place] and len(lines[place]) > 1:
                        bits = _BRANCH
                cells[row][at] = bits
        arrows = {to[place] for place in lines if place.name is not None and lines[place]}
        passing = {to[place] for place in lines if place.name is None}
        return [
            "".join(self._lines[bits] for bits in cells[row])
            + (f"{self._arrow} " if row in arrows else self._lines[_LEFT | _RIGHT] * 2 if row in passing else "  ")
            for row in range(height)
        ]

    def _lines_to(self, column: int, place: Place) -> set[int]:
        return {self._rows[column, before] for at, before, after in self._links if at == column and after == place}

    def _lanes(
        self, bent: Sequence[Place], lines: Mapping[Place, set[int]], to: Mapping[Place, int]
    ) -> dict[Place, int]:
        """A lane for each place that needs one: the first on which nothing is in its way."""
        lanes: dict[Place, int] = {}
        taken: list[list[tuple[int, int]]] = []
        for place in bent:
            first, last = min(*lines[place], to[place]), max(*lines[place], to[place])
            lane = next(
                (i for i, spans in enumerate(taken) if all(last < a or b < first for a, b in spans)), len(taken)
            )
            if lane == len(taken):
                taken.append([])
            taken[lane].append((first, last))
            lanes[place] = lane
        return lanes


def _across(cells: list[int], begin: int, end: int) -> None:
    for index in range(begin, end):
        cells[index] |= _LEFT | _RIGHT
