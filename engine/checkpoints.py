"""Images of the running circuit: when one is due, and how it is saved while steps go on.

A step waits until the state is frozen, which copies nothing. Turning it into rows, writing them and publishing them is
the work of a thread of its own, in slices that keep out of the way of the steps. Commits that steps make meanwhile come
before the image, which is published after them. So what follows an image is told by its note, and not by its place in
the log.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from headwater.errors import HeadwaterError
from headwater.executor.circuit import Circuit
from headwater.executor.frozen import States
from headwater.executor.past import image_is_due, save_image
from headwater.storage import Log

logger = logging.getLogger("headwater")

SLICE_SECONDS = 0.001  # of work beside the steps, at least; the piece in which they are over is brought to its end


class Slices:
    """Lets work go on beside the steps in slices: none begins during a step, and each is half as long as the last step.

    So a step meets one slice at most, waits for it only where both need the interpreter, and takes twice as long as
    otherwise at the worst. And where the steps are long, the work gets on as well.
    """

    def __init__(self) -> None:
        self._ended = threading.Condition()
        self._is_under_way = False
        self._count = 0  # of the steps that have ended
        self._seconds = 0.0  # that the last one took

    @contextmanager
    def step(self) -> Iterator[None]:
        """Inside is a step."""
        with self._ended:
            self._is_under_way = True
        began = perf_counter()
        try:
            yield
        finally:
            with self._ended:
                self._is_under_way = False
                self._count += 1
                self._seconds = perf_counter() - began
                self._ended.notify_all()

    def pause(self) -> Callable[[], None]:
        """For work that goes on beside the steps: what it is to call wherever a slice may end."""
        began = perf_counter()

        def pause() -> None:
            nonlocal began
            if perf_counter() - began >= max(SLICE_SECONDS, self._seconds / 2):
                self._wait()
                began = perf_counter()

        return pause

    def _wait(self) -> None:
        """Returns when the step that is under way has ended, though the next one may have begun: each has its turn."""
        with self._ended:
            count = self._count
            self._ended.wait_for(lambda: not self._is_under_way or self._count > count)


class Checkpoints:
    """Saves images of a circuit; call with the lock held that guards it. In the `background`, where that is asked."""

    def __init__(self, log: Log, *, background: bool) -> None:
        self.rows = 0  # of input since the last image
        self.slices = Slices()
        self._log = log
        self._background = background
        self._saving: threading.Thread | None = None

    def count(self, rows: int, circuit: Circuit, note: Mapping[str, Any]) -> None:
        """Counts the input rows of a step, and saves an image if one is due."""
        self.rows += rows
        if not image_is_due(self.rows, circuit.state_rows):
            return
        if not self._background:
            save_image(self._log, circuit.states, note)
            self.rows = 0
        elif self._saving is None or not self._saving.is_alive():
            self.rows = 0
            frozen = circuit.states.frozen()
            self._saving = threading.Thread(target=self._save, args=(frozen, note), name="headwater-image", daemon=True)
            self._saving.start()

    def _save(self, frozen: States, note: Mapping[str, Any]) -> None:
        try:
            save_image(self._log, frozen, note, self.slices.pause())
        except HeadwaterError as error:  # without an image recovery takes longer, and nothing is lost
            logger.info("a checkpoint was not saved: %s", error)

    def join(self) -> None:
        """Waits for the image that is being saved."""
        if self._saving is not None:
            self._saving.join()
