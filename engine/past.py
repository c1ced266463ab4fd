"""Tables as they were: folded from what is stored where that says it, computed by a circuit where it does not.

What a question had to find out is kept for the next ones, in a bounded number of bytes: keys that are numbered, and
circuits, which go on to a later cut. Everything here can be forgotten at any time.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from itertools import chain

import pyarrow as pa

from headwater.caches import Recent
from headwater.engine.stored import points_around, stored_at
from headwater.errors import CorruptLog, PositionGone
from headwater.executor.circuit import Circuit, holder_of
from headwater.executor.feed import Cut, Leaf
from headwater.executor.folding import Fold, rows_in
from headwater.executor.past import circuit_at, is_nearest
from headwater.planner import Plan, Relation
from headwater.planner.logical import Changelog, TableSource
from headwater.storage import Log

logger = logging.getLogger("headwater")

FOLDS_BYTES = 256 << 20
CIRCUITS_BYTES = 256 << 20

_NO_KEY: Mapping[str, pa.Scalar] = {}


class Past:
    """Tables as of cuts of the log of a database."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._folds: Recent[tuple[int, str, int], Fold] = Recent(FOLDS_BYTES)
        self._circuits: Recent[Plan, Circuit] = Recent(CIRCUITS_BYTES)

    def forget(self) -> None:
        """Forgets what is kept for other questions."""
        self._folds.clear()
        self._circuits.clear()

    def rows(self, plan: Plan, relation: Relation | None, cut: Cut, key: Mapping[str, pa.Scalar] = _NO_KEY) -> pa.Table:
        """The rows of a table, or of a plan that no relation has, at a cut. Where `key` has values of all the columns
        of its key, no others are needed than the row that has these.

        Raises `PositionGone` where retention has taken what that needs.
        """
        upto = None if relation is None else stored_at(self._log, relation, cut)
        if relation is None or upto is None:
            return self._computed(plan, cut)
        try:
            fold = self._fold(relation, upto)
        except (CorruptLog, PositionGone) as error:  # retention may be at work meanwhile
            logger.warning("%s; computing the table instead", error)
            return self._computed(plan, cut)
        return fold.row(upto, key) if key else fold.rows(upto)

    def circuit(self, plan: Plan, cut: Cut) -> Circuit:
        """A circuit of a plan at a cut, for the caller alone: one that an earlier question has left, or a new one."""
        circuit = self._circuits.pop(plan)
        if circuit is None or not is_nearest(self._log, circuit, cut):
            return circuit_at(self._log, [plan], cut)
        circuit.advance(self._log, cut)
        return circuit

    def _fold(self, relation: Relation, upto: int) -> Fold:
        """A fold that has a version of a table's log."""
        before, following = points_around(self._log, relation, upto)
        for point in chain(before, [None]):
            begin = 0 if point is None else point.version
            key = (relation.id, relation.content().digest, begin)
            fold = self._folds.get(key)
            if fold is not None and fold.end >= upto:
                return fold
            try:
                base = None if point is None else rows_in(self._log, point.image, holder_of(relation.content()))
            except CorruptLog as error:
                logger.warning("%s; folding from further back instead", error)
                continue
            end = self._log.version if following is None else following
            is_compressed = relation.log.compression is not None
            fold = Fold(self._log, _leaf(relation), base, begin, end, is_compressed=is_compressed)
            self._folds.put(key, fold, fold.nbytes)
            return fold
        raise AssertionError("a table without an image is folded from the beginning of its log")

    def _computed(self, plan: Plan, cut: Cut) -> pa.Table:
        """The rows of a plan at a cut."""
        circuit = self.circuit(plan, cut)
        rows = circuit.rows(plan)
        if not cut.limits:
            self._circuits.put(plan, circuit, circuit.nbytes)
        return pa.Table.from_batches([rows])


def _leaf(relation: Relation) -> Leaf:
    """What reads the log of a table."""
    content = relation.content()
    if isinstance(content, TableSource):
        return content
    return Changelog(relation.id, relation.name, content.columns, content.key)
