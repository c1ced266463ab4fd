"""How much is tried of what takes long: a part as a rule, all of it with HEADWATER_THOROUGH=1, as `make gate` has it.

The part is the same each time, and large enough that each planted bug is found.
"""

from __future__ import annotations

import os

THOROUGH = os.environ.get("HEADWATER_THOROUGH") == "1"


def amount(part: int, whole: int) -> int:
    """How many of the `whole` are tried."""
    return whole if THOROUGH else part
