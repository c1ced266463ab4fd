"""Answers to questions about the past, which stay what they were: kept, as many as there is room for."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable

from headwater.engine.result import Result

Question = tuple[str, int]  # a query, and the last version that wrote something of what it reads

_BYTES_MAX = 64 << 20


class Answers:
    """The answers given last, by question. Safe to use from several threads."""

    def __init__(self, bytes_max: int = _BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._kept: OrderedDict[Question, Result] = OrderedDict()
        self._bytes = 0
        self._catalog: object = None
        self._lock = threading.Lock()

    def get(self, catalog: object, question: Question, ask: Callable[[], Result]) -> Result:
        """The answer that is kept, or what `ask` gives. Answers under another catalog than the last are forgotten."""
        with self._lock:
            if catalog is not self._catalog:
                self._catalog, self._bytes = catalog, 0
                self._kept.clear()
            if question in self._kept:
                self._kept.move_to_end(question)
                return self._kept[question]
        answer = ask()
        with self._lock:
            if catalog is self._catalog and question not in self._kept:
                self._kept[question] = answer
                self._bytes += answer.arrow().nbytes
            while self._bytes > self._bytes_max and len(self._kept) > 1:
                _, oldest = self._kept.popitem(last=False)
                self._bytes -= oldest.arrow().nbytes
        return answer
