"""What a result holds, in a few words that do not depend on the order of its rows: to compare two engines' answers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from headwater.engine.outputs import content_digest
from headwater.executor.keys import key_words
from headwater.values import Weights

_DIGITS = 9  # that count of a floating-point number


@dataclass(slots=True)
class Content:
    """The number of rows of a multiset of rows, and the sum of their hashes, modulo 2⁶⁴.

    Rows that are added and removed leave nothing behind, so the changes of a result give what its rows give. Numbers
    count by their value: integers of any width are equal, floating-point numbers up to nine digits.
    """

    rows: int = 0
    digest: int = 0

    def add(self, batch: pa.RecordBatch, weights: Weights | None = None) -> None:
        """Add rows, once each or as often as `weights` says. Columns count by their order, not by their names."""
        n = batch.num_rows
        if weights is None:
            weights = np.ones(n, dtype=np.int64)
        words = key_words([_canonical(column) for column in batch.columns], n)
        self.rows += int(weights.sum())
        self.digest = (self.digest + content_digest(words, weights)) % 2**64

    @classmethod
    def of(cls, table: pa.Table) -> Content:
        """The content of a table."""
        content = cls()
        for batch in table.to_batches():
            content.add(batch)
        return content


def _canonical(column: pa.Array) -> pa.Array:
    """The same values in the one type that stands for their kind."""
    kind = column.type
    if pa.types.is_integer(kind) or (pa.types.is_decimal(kind) and kind.scale == 0):
        return column.cast(pa.int64())
    if pa.types.is_decimal(kind):
        return column.cast(pa.decimal128(38, kind.scale))
    if pa.types.is_floating(kind):
        return _rounded(column.cast(pa.float64()))
    if pa.types.is_timestamp(kind):
        return column.cast(pa.timestamp("us"))
    return column.cast(pa.string())


def _rounded(column: pa.Array) -> pa.Array:
    values: npt.NDArray[np.float64] = pc.fill_null(column, 0.0).to_numpy(zero_copy_only=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        places = _DIGITS - 1 - np.floor(np.log10(np.abs(values)))
        scaled = np.round(values * 10**places) / 10**places
    rounded = np.where(np.isfinite(scaled), scaled, values)
    return pa.array(rounded, mask=column.is_null().to_numpy(zero_copy_only=False))
