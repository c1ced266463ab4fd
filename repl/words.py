"""What people type who know another shell: words that stand for commands of this one."""

from __future__ import annotations

_LEAVE, _HELP, _LIST = "\\q", "\\?", "\\d"

# Alone on a line they are these commands; none of them is a statement of the dialect, or ends one.
WORDS = {
    **dict.fromkeys(("exit", "quit", "bye", "logout", "q", ":q", ".exit", ".quit", "\\quit", "exit()"), _LEAVE),
    **dict.fromkeys(("help", "?", ".help", "\\help", "/help", "/?"), _HELP),
    **dict.fromkeys(("show tables", "show streams", "show relations", "tables", ".tables", "\\dt", "\\l"), _LIST),
    **dict.fromkeys(("show queries", "queries"), "\\dq"),
    **dict.fromkeys(("history", ".history"), "\\s"),
    **dict.fromkeys(("tutorial", "\\tour"), "\\tutorial"),
    **dict.fromkeys(("status", ".show", "\\conninfo", ".databases"), "\\info"),
}  # fmt: skip

# Before an argument they are these.
BEFORE_ARGUMENT = {
    ".schema": "\\d", ".tables": "\\d", "\\dt": "\\d", ".read": "\\i", "source": "\\i", ".timer": "\\timing",
    ".mode": "\\set format", ".help": "\\?", "help": "\\?",
}  # fmt: skip


def command_of(text: str) -> str | None:
    """The command that a text is, or stands for; None if it is none."""
    typed = " ".join(text.strip().rstrip(";").split())
    if typed.lower() in WORDS:
        return WORDS[typed.lower()]
    first, _, argument = text.strip().partition(" ")
    if argument and first.lower() in BEFORE_ARGUMENT and "\n" not in text:
        return f"{BEFORE_ARGUMENT[first.lower()]} {argument.strip().rstrip(';')}"
    return text.strip() if text.strip().startswith("\\") else None
