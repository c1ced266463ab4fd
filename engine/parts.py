"""What an open database consists of, for those who run its statements."""

from __future__ import annotations

from dataclasses import dataclass

from headwater.engine.apart import Apart
from headwater.engine.consuming import Groups
from headwater.engine.following import Following
from headwater.engine.functions import Functions
from headwater.engine.pipeline import Pipeline
from headwater.engine.queues import Queues
from headwater.engine.reading import Reader
from headwater.engine.retention import Retaining
from headwater.engine.session import Session
from headwater.engine.writing import Writer
from headwater.storage import Storage


@dataclass(frozen=True)
class Parts:
    """`place` is the absolute path of the directory; None in memory."""

    storage: Storage
    place: str | None
    session: Session
    functions: Functions
    retaining: Retaining
    pipeline: Pipeline
    apart: Apart
    reader: Reader
    writer: Writer
    groups: Groups
    queues: Queues
    following: Following
