"""The list of functions has all there are, and what it says is so."""

from __future__ import annotations

from docs.generate.functions import functions
from docs.generate.functions_of_duckdb import functions_of_duckdb
from headwater.planner.calls import FORMS, SYNTAX
from headwater.planner.function_catalog import function_catalog
from headwater.planner.functions import FUNCTIONS

WINDOW_FUNCTIONS = {"tumble", "hop", "cumulate", "session"}


def test_the_list_is_what_make_docs_writes() -> None:
    """So every example was run just now, and gave what the list says."""
    assert functions() == list(function_catalog())


def test_every_function_of_duckdb_is_in_it() -> None:
    listed = {(info.name, info.kind) for info in function_catalog()}
    assert {(f.name, f.kind) for f in functions_of_duckdb()} - listed == set()


def test_every_function_of_our_own_is_in_it() -> None:
    listed = {info.name for info in function_catalog()}
    assert (FORMS.keys() | FUNCTIONS.keys() | SYNTAX | WINDOW_FUNCTIONS) - listed == set()


def test_every_function_says_how_it_is_called() -> None:
    for info in function_catalog():
        assert info.signatures, info.name
        assert all(signature.lower().startswith(info.name.lower()) for signature in info.signatures), info.name


def test_all_but_aliases_are_described() -> None:
    assert [info.name for info in function_catalog() if not info.description and not info.alias_of] == []


def test_most_functions_have_an_example() -> None:
    without = [info for info in function_catalog() if not info.example]
    assert len(without) <= 40
