"""Running a function in a process that does nothing else: its memory and CPU seconds are then the function's alone."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from typing import ParamSpec, TypeVar, cast

from headwater.errors import HeadwaterError

P = ParamSpec("P")
T = TypeVar("T")


def in_new_process(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function at the top of a module returns, called in a new process. Raises HeadwaterError if that fails."""
    # A session of its own keeps Ctrl-C from it: it is killed when the wait for it ends.
    child = subprocess.run(
        [sys.executable, "-m", "headwater.bench.process"],
        input=pickle.dumps((function, args, kwargs)), capture_output=True, start_new_session=True,
    )  # fmt: skip
    if child.returncode:
        reason = child.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise HeadwaterError(f"the process for {function.__name__}{args} failed: {reason}")
    return cast(T, pickle.loads(child.stdout))


def _serve() -> None:
    """Call the function that is named on standard input, and give what it returns on standard output."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the function, or a library that it uses, prints is no answer
    called, given, named = pickle.load(sys.stdin.buffer)
    with answers:
        answers.write(pickle.dumps(called(*given, **named)))


if __name__ == "__main__":
    _serve()
