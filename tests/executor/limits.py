"""The same engine with small limits, so that a few rows are enough to compact, to divide and to save."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module

_SMALL = (
    ("state", "_COMPACT_MIN", 3),
    ("aggregate", "_COMPACT_MIN", 3),
    ("matches", "_COMPACT_MIN", 3),
    ("chunks", "CHUNK_SLOTS", 4),
    ("slot_arrays", "_PIECE", 3),
    ("slot_arrays", "_SIZE_MIN", 2),
    ("heap", "CHUNK_ROWS_MAX", 8),
    ("feed", "STEP_ROWS", 10),
    ("past", "IMAGE_ROWS_MIN", 50),
    ("top_k", "SPARE_ROWS", 0),
    ("folding", "_DENSE", 0),
    ("folding", "_PIECE_ROWS", 3),
)


@contextmanager
def limits_of(seed: int) -> Iterator[None]:
    """The limits of a case: small ones for every other seed. What queries hold must not depend on them."""
    places = [(import_module(f"headwater.executor.{module}"), name, value) for module, name, value in _SMALL]
    before = [getattr(module, name) for module, name, _ in places]
    try:
        if seed % 2:
            for module, name, value in places:
                setattr(module, name, value)
        yield
    finally:
        for (module, name, _), value in zip(places, before, strict=True):
            setattr(module, name, value)
