"""Figures and their goals, as text for people and as JSON for programs; and a line that says what is being done."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TextIO

from headwater.bench.machine import Machine
from headwater.errors import HeadwaterError

_NAME_WIDTH = 50


@dataclass(frozen=True, slots=True)
class Figure:
    """A measured number. The goal, if it has one, is that it is no larger than that."""

    name: str
    value: float
    unit: str
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None without a goal."""
        return None if self.goal is None else self.value <= self.goal

    def __str__(self) -> str:
        text = f"  {self.name:<{_NAME_WIDTH}} {_number(self.value):>12} {self.unit:<10}"
        if self.goal is None:
            return text.rstrip()
        return f"{text} goal: at most {_number(self.goal)}, {'met' if self.met else 'MISSED'}"


def report_on(directory: str, measure: Callable[[Path, Report], None]) -> int:
    """Reports what `measure` finds in a directory inside this one, which is removed; gives the program's exit code.

    Raises `HeadwaterError` where the disk does not do.
    """
    report = Report(Machine.of(Path(directory)), sys.stdout, sys.stderr)
    try:
        with TemporaryDirectory(dir=directory, prefix="headwater-bench-") as scratch:
            measure(Path(scratch), report)
    except OSError as error:
        raise HeadwaterError(f"the benchmark was stopped: {error}") from error
    finally:
        report.doing("")
    report.finish()
    return 0


class Report:
    """Prints figures as they come, and keeps them."""

    def __init__(self, machine: Machine, stream: TextIO, progress: TextIO) -> None:
        """`progress` gets what is only worth seeing for the moment, if it is a terminal."""
        self._machine = machine
        self._stream = stream
        self._progress = progress
        self._figures: list[Figure] = []
        self._write(str(machine))

    def begin(self, title: str) -> None:
        """Begin a group of figures."""
        self._write(f"\n{title}\n")

    def add(self, figures: Sequence[Figure]) -> None:
        """Show figures."""
        self._figures += figures
        self._write("".join(f"{figure}\n" for figure in figures))

    def doing(self, what: str) -> None:
        """Say what takes a while now, until something else is said."""
        if self._progress.isatty():
            self._progress.write(f"\r\x1b[K{what} …" if what else "\r\x1b[K")
            self._progress.flush()

    def finish(self) -> None:
        """Say how many goals are met."""
        goals = [figure for figure in self._figures if figure.goal is not None]
        missed = [figure.name for figure in goals if not figure.met]
        self._write(f"\n{len(goals) - len(missed)} of {len(goals)} goals met\n")
        self._write("".join(f"  missed: {name}\n" for name in missed))

    def json(self) -> str:
        """The machine and all figures."""
        figures = [{**asdict(figure), "met": figure.met} for figure in self._figures]
        return json.dumps({"machine": asdict(self._machine), "figures": figures}, indent=2) + "\n"

    def _write(self, text: str) -> None:
        self.doing("")
        self._stream.write(text)
        self._stream.flush()


def _number(value: float) -> str:
    """Three digits that count, or all of those before the point."""
    if abs(value) >= 100 or value == 0:
        return f"{value:,.0f}"
    return f"{value:,.3g}"
