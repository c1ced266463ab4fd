"""Importing much at once, without looking for garbage among what stays."""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def importing() -> Iterator[None]:
    """Around imports: to look for garbage takes a quarter of their time, and in each later search what they made again.

    In the end it is searched once more, as modules that are never freed are a leak to libraries that look for some.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


atexit.register(gc.unfreeze)
