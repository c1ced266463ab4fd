"""A function in a process of its own gives what it returns there, or the error that it ends in."""

from __future__ import annotations

import math
import os

import pytest

from headwater.bench.process import in_new_process
from headwater.bench.spent import Spent, resident_bytes
from headwater.errors import HeadwaterError


def test_it_gives_what_the_function_returns_in_another_process() -> None:
    assert in_new_process(math.hypot, 3.0, 4.0) == 5.0
    assert in_new_process(os.getpid) != os.getpid()


def test_what_the_function_prints_is_not_taken_for_its_answer() -> None:
    assert in_new_process(print, "not an answer") is None


def test_an_error_there_is_an_error_here_that_says_why() -> None:
    with pytest.raises(HeadwaterError, match=r"the process for sqrt\(-1,\) failed: ValueError: math domain error"):
        in_new_process(math.sqrt, -1)


def test_the_peak_is_that_of_what_is_measured_and_not_of_what_was_before() -> None:
    before = b"x" * 300_000_000
    del before
    resident, _ = resident_bytes()
    spent = Spent()
    held = spent.measure(lambda: b"x" * 50_000_000)
    highest = spent.peak_bytes
    assert resident + 40_000_000 < highest < resident + 200_000_000
    del held
    spent.measure(lambda: None)
    assert spent.peak_bytes == highest
    assert spent.seconds > 0 and spent.peak_own_bytes <= highest
