"""What was typed in earlier sessions: a file that the shell adds to, bounded when a session begins.

Its format is that of prompt-toolkit: an empty line, a comment with the time, and the lines of the entry behind a `+`.
"""

from __future__ import annotations

import os
from pathlib import Path

from headwater.errors import HeadwaterError


def history_file() -> Path:
    """Where the history is: `~/.local/state/headwater/history`, or below XDG_STATE_HOME."""
    return Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "headwater" / "history"


def entries(file: Path) -> list[str]:
    """What the file remembers, the oldest first; nothing if it cannot be read."""
    try:
        lines = file.read_bytes().decode("utf-8", "replace").split("\n")
    except OSError:
        return []
    found: list[list[str]] = []
    is_open = False
    for line in lines:
        if not line.startswith("+"):
            is_open = False
        elif is_open:
            found[-1].append(line[1:])
        else:
            found.append([line[1:]])
            is_open = True
    return ["\n".join(entry) for entry in found]


def bound(file: Path, count: int) -> None:
    """Let the file keep no more than its last `count` entries. Raises OSError if it cannot be written.

    Some more are left until there is a tenth too much, so that it is not written anew by every session.
    """
    kept = entries(file)
    if len(kept) <= count + count // 10:
        return
    blocks = ("\n# \n" + "".join(f"+{line}\n" for line in entry.split("\n")) for entry in kept[len(kept) - count :])
    written = file.with_name(f"{file.name}.{os.getpid()}")
    descriptor = os.open(written, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as target:
        target.writelines(blocks)
    os.replace(written, file)


def save(lines: list[str], path: str) -> None:
    """Write entries to a file of SQL, which `\\i` can run. Raises HeadwaterError if that is not possible."""
    try:
        Path(path).expanduser().write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    except OSError as error:
        raise HeadwaterError(f'cannot write "{path}": {error.strerror}') from error
