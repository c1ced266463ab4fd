"""A state that is frozen while steps go on, and what was to be saved of it at the moment when it was."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from headwater.engine.pipeline import Pipeline
from headwater.executor.frozen import States
from headwater.executor.past import save_image
from headwater.storage import Image

Saved = dict[str, list[bytes]]


@dataclass(frozen=True)
class Frozen:
    """The states of a pipeline as they were."""

    states: States
    note: dict[str, Any]
    expected: Saved

    @classmethod
    def of(cls, pipeline: Pipeline, pieces: int = 0) -> Frozen:
        """The states as they are now, of whose arrays so many pieces are copied before steps go on."""
        live = pipeline.circuit.states
        frozen, expected = live.frozen(), saved(live)
        for _ in zip(range(pieces), frozen.copying(), strict=False):
            pass
        return cls(frozen, pipeline._image_note(), expected)

    def publish(self, pipeline: Pipeline) -> Image:
        """Saves an image of what was there then. Raises AssertionError if anything else is left of it."""
        assert saved(self.states) == self.expected, "a state that is frozen has changed"
        return save_image(pipeline.log, self.states, self.note)


def saved(states: States) -> Saved:
    """The bytes of all chunks that are saved of states."""
    parts = states.save().items()
    return {name: [batch.serialize().to_pybytes() for batch in part.to_batches()] for name, part in parts}
