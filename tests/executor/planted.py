"""Plants bugs in the operators of this process, for as long as a `with` lasts.

A bug is a patch of the source of one module. The patched source becomes a module of its own, and whatever was imported
from the original by name is taken from there instead. A patch whose text is not there exactly once is refused, so that
it cannot rot unnoticed.
"""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType


@dataclass(frozen=True, slots=True)
class PlantedBug:
    """A mistake: in a module of the executor, the text `before` becomes `after`; a `rare` one takes many cases.

    One that few queries show is looked for by those `kinds` of queries alone.
    """

    name: str
    module: str
    before: str
    after: str
    rare: bool = False
    kinds: tuple[str, ...] = ()


@contextmanager
def planted(bug: PlantedBug) -> Iterator[None]:
    original = importlib.import_module(f"headwater.executor.{bug.module}")
    patched = _patched(original, bug)
    changed = {
        id(value): getattr(patched, name)
        for name, value in vars(original).items()
        if getattr(value, "__module__", None) == original.__name__ and hasattr(patched, name)
    }
    places = [
        (module, name, value)
        for module in list(sys.modules.values())
        if getattr(module, "__name__", "").startswith("headwater")
        for name, value in list(vars(module).items())
        if id(value) in changed
    ]
    for module, name, value in places:
        setattr(module, name, changed[id(value)])
    sys.modules[original.__name__] = patched
    try:
        yield
    finally:
        sys.modules[original.__name__] = original
        for module, name, value in places:
            setattr(module, name, value)


def _patched(original: ModuleType, bug: PlantedBug) -> ModuleType:
    text = inspect.getsource(original)
    assert text.count(bug.before) == 1, f'the text to replace is {text.count(bug.before)} times in "{bug.module}"'
    patched = ModuleType(original.__name__)
    patched.__file__ = original.__file__
    source = compile(text.replace(bug.before, bug.after), str(original.__file__), "exec")
    sys.modules[original.__name__] = patched  # dataclasses look there for their module
    try:
        exec(source, patched.__dict__)
    finally:
        sys.modules[original.__name__] = original
    return patched
