"""The text of a function in Python: its two forms, and where it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from headwater.planner.function_bodies import BodyProblem, compiled


def made(text: str, *, is_aggregate: bool = False) -> Any:
    body = compiled("f", ["x", "y"], text, is_aggregate=is_aggregate)
    module: dict[str, Any] = {}
    exec(body.code, module)
    return module[body.handler]


@pytest.mark.parametrize(
    "text",
    [
        "return x - y",
        " return x - y ",
        "\n  z = x\n  return z - y\n",
        "\n\tif x:\n\t\treturn x - y\n\treturn -y\n",
        "\n    # below the margin\n\n    return x - y\n  ",
        "def f(a, b): return a - b",
        "\n  import math\n  def g(a):\n      return a\n  def f(a, b, c=0):\n      return g(a) - b\n",
        "def F(*numbers): return numbers[0] - numbers[1]",
        "def g(a):\n    return a\nreturn g(x) - y",
        "\r\n  z = x\r\n  return z - y\r\n",
    ],
)
def test_a_text_is_a_body_or_a_module(text: str) -> None:
    assert made(text)(7, 2) == 5


def test_a_class_is_an_aggregate() -> None:
    text = """
        class f:
            def accumulate(self, x, y): ...
            def retract(self, x, y): ...
            def finish(self): return 3
    """
    assert made(text, is_aggregate=True)().finish() == 3
    assert compiled("f", ["x", "y"], text, is_aggregate=True).methods >= {"accumulate", "retract", "finish"}


@pytest.mark.parametrize(
    ("text", "marked", "message"),
    [
        ("return x +", "", "invalid syntax"),
        ("\n  z = (x\n  return z\n", "(", r"'\(' was never closed"),
        ("\n   def g(x):\n       return x\n", "def g(x):", "gives no value"),
        ("\n   z = lambda: 1\n   yield z\n", "yield", "one value, by return"),
        ("\n  import math\n  def f(x): return x\n", "def f(x): return x", r"f\(\) takes 1 argument, and gets 2"),
        ("def f(x, y, *, z): return x", "def f(x, y, *, z): return x", r"f\(\) takes 2 arguments, and gets 2"),
        ("class f: ...", "class f: ...", "a class makes an aggregate"),
        ("return x\nbreak", "break", "'break' outside loop"),
        ("\n  return x\n    return y", "", "unexpected indent"),
    ],
)
def test_a_problem_says_where_it_stands(text: str, marked: str, message: str) -> None:
    with pytest.raises(BodyProblem, match=message) as raised:
        made(text)
    assert raised.value.place is not None
    start, end = raised.value.place
    assert text[start:end].startswith(marked)


def test_a_null_character_is_a_problem() -> None:
    with pytest.raises(BodyProblem):
        made("return '\0'")
