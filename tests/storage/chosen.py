"""What a session of pytest will run of a module, so that its work can be begun before its tests ask for it."""

from __future__ import annotations

from typing import Any

import pytest


def chosen(request: pytest.FixtureRequest, parameter: str) -> list[Any]:
    """The values that a parameter has in the tests of this module that the session runs, each once, in order."""
    calls = [
        item.callspec.params
        for item in request.session.items
        if isinstance(item, pytest.Function) and item.path == request.path and hasattr(item, "callspec")
    ]
    return list(dict.fromkeys(call[parameter] for call in calls if parameter in call))
