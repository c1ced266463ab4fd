"""The examples in the docstrings of what a program uses give what they say."""

from __future__ import annotations

import doctest
import importlib
from types import ModuleType

import pytest

import headwater

MODULES = (
    "headwater",
    "headwater.engine.consuming",
    "headwater.engine.cursor",
    "headwater.engine.database",
    "headwater.engine.processing",
    "headwater.engine.result",
    "headwater.engine.subscription",
    "headwater.engine.transactions",
)


def examples(module: ModuleType) -> list[doctest.DocTest]:
    return [found for found in doctest.DocTestFinder(exclude_empty=True).find(module) if found.examples]


@pytest.mark.parametrize("name", MODULES)
def test_examples_give_what_they_say(name: str) -> None:
    for example in examples(importlib.import_module(name)):
        said: list[str] = []
        failed, _ = doctest.DocTestRunner().run(example, out=said.append)
        assert failed == 0, "".join(said)


def test_what_a_program_begins_with_has_an_example() -> None:
    have = {
        example.name.rpartition("headwater.")[2]
        for name in MODULES
        for example in examples(importlib.import_module(name))
    }
    database = [f"engine.database.Database.{method}" for method in ("sql", "append", "subscribe")]
    database += [f"engine.processing.Processing.{method}" for method in ("transaction", "consumer", "queue")]
    classes = [f"engine.{module}" for module in ("result.Result", "cursor.Cursor", "subscription.Subscription")]
    assert {"engine.database.connect", *database, *classes} <= have


def test_every_public_function_and_method_says_what_it_does() -> None:
    public = [getattr(headwater, name) for name in headwater.__all__]
    classes = [thing for thing in public if isinstance(thing, type)]
    methods = [thing for cls in classes for name, thing in vars(cls).items() if not name.startswith("_")]
    silent = [
        getattr(thing, "__qualname__", thing)
        for thing in [*classes, *methods]
        if (callable(thing) or isinstance(thing, property)) and not thing.__doc__
    ]
    assert silent == []
