"""Images of the running circuit: when one is due, and how it is saved while steps go on.

A step waits until the state is copied, which is quick. Turning the copy into rows, writing them and publishing them is
the work of a thread of its own. Commits that steps make meanwhile come before the image, which is published after them.
So what follows an image is told by its note, and not by its place in the log.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import Any

from headwater.errors import HeadwaterError
from headwater.executor.circuit import Circuit
from headwater.executor.frozen import States
from headwater.executor.past import image_is_due, save_image
from headwater.storage import Log

logger = logging.getLogger("headwater")


class Checkpoints:
    """Saves images of a circuit; call with the lock held that guards it. In the `background`, where that is asked."""

    def __init__(self, log: Log, *, background: bool) -> None:
        self.rows = 0  # of input since the last image
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
            save_image(self._log, frozen, note)
        except HeadwaterError as error:  # without an image recovery takes longer, and nothing is lost
            logger.info("a checkpoint was not saved: %s", error)

    def join(self) -> None:
        """Waits for the image that is being saved."""
        if self._saving is not None:
            self._saving.join()
