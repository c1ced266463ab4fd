"""The syntax of statements about ledgers: what can be proven of a stream, and of a table."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.parser.nodes import Identifier, Node
from headwater.parser.queries import AsOf


@dataclass(frozen=True)
class Against(Node):
    """AGAINST 'root' SIZE n [PARTITION p]: the first n records of a partition have this root."""

    root: str
    size: int
    partition: int = 0


@dataclass(frozen=True)
class Verify(Node):
    """VERIFY STREAM | TABLE name [FROM n] [TO m] [AGAINST …]: that a ledger's records are those that were hashed."""

    kind: str
    name: Identifier
    first: int | None = None
    last: int | None = None
    against: Against | None = None


@dataclass(frozen=True)
class ShowProof(Node):
    """SHOW PROOF OF stream OFFSET n [SIZE m] [PARTITION p]: that a record is among the first m of a partition."""

    name: Identifier
    offset: int
    size: int | None = None
    partition: int = 0


@dataclass(frozen=True)
class ShowExtension(Node):
    """SHOW PROOF OF stream FROM SIZE n [TO SIZE m] [PARTITION p]: that m records begin with those that were n once."""

    name: Identifier
    before: int
    size: int | None = None
    partition: int = 0


@dataclass(frozen=True)
class ShowRoot(Node):
    """SHOW ROOT OF stream: the size and the root of each partition."""

    name: Identifier


@dataclass(frozen=True)
class StateRoot(Node):
    """STATE ROOT OF relation [AS OF …]: a hash of all rows that it has."""

    name: Identifier
    as_of: AsOf | None = None
