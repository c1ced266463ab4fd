"""The workloads that are crashed, chained and starved: all of them, by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.storage.enumerator import Workload
from tests.storage.ledger import LEDGER

WORKLOADS: Mapping[str, Workload[Any, Any]] = {workload.name: workload for workload in (LEDGER,)}
