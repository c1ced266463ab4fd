"""How the prompt looks."""

from __future__ import annotations

from prompt_toolkit.styles import Style

PROMPT = "headwater"

STYLE = Style.from_dict(
    {
        "prompt": "bold",
        "comment": "ansibrightblack italic",
        "string": "ansigreen",
        "quoted": "ansicyan",
        "number": "ansimagenta",
        "keyword": "ansiblue bold",
        "function": "ansiyellow",
        "syntax-error": "underline ansired",
        "auto-suggestion": "ansibrightblack",
        "matching-bracket.cursor": "bold",
        "matching-bracket.other": "bold reverse",
        "bottom-toolbar": "noreverse ansibrightblack",
    }
)


def continuation(width: int, line: int, is_wrapped: int) -> str:
    """What stands before the second and each further line of a text, below a prompt of that width."""
    return "-> ".rjust(width)
