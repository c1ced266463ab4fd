"""A disk in memory whose clock a test sets forward."""

from __future__ import annotations

from headwater.storage import SimulatedDisk

SECOND = 1_000_000


class Clock(SimulatedDisk):
    """Its time is later by `passed_us` than it would be."""

    passed_us = 0

    def now_us(self) -> int:
        return super().now_us() + self.passed_us
