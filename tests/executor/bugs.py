"""Bugs that the differential harness must find: small mistakes of the kind that people make in operators."""

from __future__ import annotations

from tests.executor.planted import PlantedBug

BUGS = (
    # ---------------------------------------------------------------- joins
    PlantedBug(
        "a join forgets the pairs of what both sides gain in one step",
        "join",
        """        self._right.apply(right)
        parts = []
        if len(left):
            own, other, weights = _meet(left, self._left.key_columns, self._right)
            parts.append(glued(self.schema, own, other, weights))
""",
        """        parts = []
        if len(left):
            own, other, weights = _meet(left, self._left.key_columns, self._right)
            parts.append(glued(self.schema, own, other, weights))
        self._right.apply(right)
""",
    ),
    PlantedBug(
        "a join multiplies no weights",
        "join",
        "matched, delta.weight_array[places] * weights",
        "matched, delta.weight_array[places]",
        rare=True,
    ),
    PlantedBug(
        "NULL equals NULL in a join",
        "state",
        "    return select_rows(delta, np.flatnonzero(~nulls)) if nulls.any() else delta",
        "    return delta",
        rare=True,
    ),
    PlantedBug(
        "a row of a stream meets the table as it was a step before",
        "join",
        """        self._table.apply(table)
        if not len(stream):
            return empty_delta(self.schema)
        own, other, weights = _meet(stream, self._keys, self._table)
""",
        """        if not len(stream):
            self._table.apply(table)
            return empty_delta(self.schema)
        own, other, weights = _meet(stream, self._keys, self._table)
        self._table.apply(table)
""",
    ),
    PlantedBug(
        "a row of a stream meets the table as it is at the end of the step",
        "feed",
        "(version in begins or rows + count > STEP_ROWS)",
        "rows + count > STEP_ROWS",
    ),
    PlantedBug(
        "a semi join knows whether there was a match, and not how many there are",
        "matches",
        "        self._pairs.fold(np.add, slots[groups[len(side) :]], joined.weight_array)",
        "        self._pairs[slots[groups[len(side) :]]] = joined.weight_array > 0",
    ),
    PlantedBug(
        "an outer join keeps the row without a match when a match comes",
        "matches",
        "            parts.append(padded(counts.step(side, joined, matched=False), self.schema))",
        """            alone = padded(counts.step(side, joined, matched=False), self.schema)
            parts.append(select_rows(alone, np.flatnonzero(alone.weight_array > 0)))""",
    ),
    # ---------------------------------------------------------------- groups
    PlantedBug(
        "a group by does not take back the row that it gave before",
        "aggregate",
        "lost, won = np.flatnonzero(differs[old]), np.flatnonzero(differs[new])",
        "lost, won = np.flatnonzero(differs[old])[:0], np.flatnonzero(differs[new])",
    ),
    PlantedBug(
        "a group stays when its last row has gone",
        "aggregate",
        "np.flatnonzero(self._rows[slots] > 0)\n\n    def _changed",
        "np.flatnonzero(self._rows[slots] >= 0)\n\n    def _changed",
    ),
    PlantedBug(
        "min and max stay when the best value has gone",
        "extremes",
        "        if len(added) < len(groups):\n",
        "        if False:\n",
    ),
    PlantedBug(
        "count(column) counts NULL",
        "accumulators",
        "        if column is not None and column.null_count:\n",
        "        if False:\n",
    ),
    PlantedBug(
        "a value of a DISTINCT aggregate goes with the first of its rows",
        "distinct",
        "        change = (after > 0).astype(np.int64) - (before > 0)",
        "        change = np.where(after < before, -(before > 0).astype(np.int64), (after > 0) & (before <= 0))",
        rare=True,
    ),
    PlantedBug(
        "an aggregate that is computed again sees equal rows once",
        "recomputed",
        "self._computed(repeat_rows(Delta(kept, counts)))",
        "self._computed(kept)",
    ),
    # ---------------------------------------------------------------- order, sets, windows
    PlantedBug(
        "OVER leaves a partition as it is when it loses a row",
        "over",
        "        _, rows, weights = self._given.lookup(",
        "        delta = Delta(delta.rows.filter(pa.array(delta.weight_array > 0)))\n"
        "        _, rows, weights = self._given.lookup(",
    ),
    PlantedBug(
        "a top-k that has lost its first rows is not filled again",
        "top_k",
        "        if not short.any():\n",
        "        if True:\n",
        rare=True,
    ),
    PlantedBug(
        "INTERSECT ALL and EXCEPT ALL give each row once",
        "unions",
        "weights = delta.weight_array * delta.rows.column(self._times).to_numpy()",
        "weights = delta.weight_array * (delta.rows.column(self._times).to_numpy() > 0)",
        kinds=("sets",),
    ),
    PlantedBug(
        "a record is late by the stream time at the end of the step",
        "windows",
        "before[rows] = latest[:-1]",
        "before[rows] = latest[-1]",
        rare=True,
    ),
    PlantedBug(
        "a window has the records of its end",
        "windows",
        "np.maximum(-(-(last - closed) // node.advance_us), 0)",
        "np.maximum((last - closed) // node.advance_us + 1, 0)",
        rare=True,
    ),
    # ---------------------------------------------------------------- states
    PlantedBug(
        "rows whose weights add up to zero stay in a delta",
        "state",
        "kept = np.sort(first[sums != 0])",
        "kept = np.sort(first)",
    ),
    PlantedBug(
        "0.0 and -0.0 are two values",
        "keys",
        ".to_numpy(zero_copy_only=False) + 0.0\n",
        ".to_numpy(zero_copy_only=False)\n",
        rare=True,
    ),
    PlantedBug(
        "an upsert does not take the older row of its key back",
        "state",
        "        was, will = self._weight[touched] > 0, weights[latest] > 0",
        "        was, will = self._weight[touched] < 0, weights[latest] > 0",
    ),
    PlantedBug(
        "equal rows are one after a restart",
        "state",
        "        self._weight.replace(content.weight_array)\n        self._live",
        "        self._weight.replace(np.ones(len(content), dtype=np.int64))\n        self._live",
    ),
    PlantedBug(
        "rows get lost when a state is compacted",
        "arrangement",
        "        if self._state.is_sparse:\n            self._state.compact()\n            self._file_all()",
        "        if self._state.is_sparse:\n            self._state.compact()",
    ),
    # ---------------------------------------------------------------- images that are saved while steps go on
    PlantedBug(
        "a write does not note what it replaces in an array that is frozen",
        "slot_arrays",
        "            self._note(slots)\n        function.at(",
        "            pass\n        function.at(",
    ),
    PlantedBug(
        "of two writes to a slot the later one is taken back last",
        "slot_arrays",
        "in reversed(tuple(self._notes))",
        "in tuple(self._notes)",
    ),
    PlantedBug(
        "a piece that is copied is taken for the whole array",
        "slot_arrays",
        "            yield\n",
        "            yield\n            self.is_copy = True\n",
    ),
    PlantedBug(
        "a state that is frozen goes on with the list of the chunks of its rows",
        "frozen",
        "            copied = type(value)(_copy(item, known) for item in value)",
        "            copied = value",
    ),
)
