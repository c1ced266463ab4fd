"""What two logs have in common: those of a database and of its fork, or of a copy."""

from __future__ import annotations

from headwater.storage.log import Log


def common_version(one: Log, other: Log) -> int:
    """The last version up to which two logs have the same commits; 0 if there is none, or that can no longer be told.

    The seal of a commit stands for all before it, so the versions that are the same come before those that are not.
    """
    if one.state.origin != other.state.origin:
        return 0
    low = max(one.first_version, other.first_version) - 1
    high = min(one.version, other.version)
    begin = low
    while low < high:
        middle = (low + high + 1) // 2
        if one.seal_of(middle) == other.seal_of(middle):
            low = middle
        else:
            high = middle - 1
    return low if low > begin else 0
