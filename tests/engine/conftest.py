"""A database in memory that moves only when something is asked, so that a test decides when steps are taken."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import headwater


@pytest.fixture
def db() -> Iterator[headwater.Database]:
    with headwater.connect(background=False) as opened:
        yield opened
