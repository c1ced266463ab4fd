"""Settings for all tests."""

from __future__ import annotations

import os

from hypothesis import settings

# In CI the generated examples are the same each time; at a desk they are new each time, and find new things.
settings.register_profile("ci", derandomize=True, database=None)
if os.environ.get("CI"):
    settings.load_profile("ci")
