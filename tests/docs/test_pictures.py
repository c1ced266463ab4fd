"""Pictures of the shell show what stood on its screen."""

from __future__ import annotations

from xml.etree import ElementTree

import pytest

from docs.pictures.png import png
from docs.pictures.screens import Frame, Run, Scenario, Step, Style, screens
from docs.pictures.svg import animated, svg
from tests.repl.terminal import ENTER

_TEXT = "{http://www.w3.org/2000/svg}text"


def frame(*lines: str, seconds: float = 1.0) -> Frame:
    rows = tuple((Run(0, len(line), line, Style()),) if line else () for line in lines)
    return Frame(rows, 20, None, seconds)


def written(picture: str) -> list[str]:
    """The texts of a picture, from top to bottom."""
    return [str(node.text) for node in ElementTree.fromstring(picture).iter(_TEXT)]


@pytest.fixture(scope="module")
def recorded() -> list[Frame]:
    steps = (Step("SELECT 6 * 7 AS answer, '好' AS word;", seconds=0.5), Step(ENTER, "1 row (", 2.0))
    return screens(Scenario("answer", steps, columns=60, lines=14))


def test_a_scenario_is_typed_and_its_screens_are_kept(recorded: list[Frame]) -> None:
    assert "headwater>" in recorded[0].text and "SELECT" not in recorded[0].text
    assert "headwater> SELECT 6" in recorded[3].text and "word" not in recorded[3].text
    assert "headwater> SELECT 6 * 7 AS answer, '好' AS word;" in recorded[-2].text
    assert "│      42 │ 好      │" in recorded[-1].text
    assert recorded[-1].seconds == 2.0


def test_what_looks_different_is_a_run_of_its_own(recorded: list[Frame]) -> None:
    runs = {run.text.strip(): run for row in recorded[-2].rows for run in row}
    assert runs["SELECT"].style.colour != runs["answer,"].style.colour
    assert runs["好"].width == 2


def test_an_svg_has_the_text_of_its_frame() -> None:
    assert written(svg(frame("a  <b", "", "c"))) == ["a", "<b", "c"]


def test_a_line_that_stays_is_drawn_once_and_moving_ends_at_the_last_frame() -> None:
    moving = animated([frame("stays", "first"), frame("stays", "second"), frame("stays", "third")])
    assert sorted(written(moving)) == ["first", "second", "stays", "third"]
    groups = [g for g in ElementTree.fromstring(moving).iter() if g.get("display")]
    assert [g.get("display") for g in groups] == ["none", "none", "inline"]


def test_a_png_is_one(recorded: list[Frame]) -> None:
    assert png(recorded[-1]).startswith(b"\x89PNG")
