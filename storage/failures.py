"""Failures of the operating system, as errors for users."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from headwater.errors import NoSpace, StorageError

NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn an error of the operating system into one that begins with `what` could not be done."""
    try:
        yield
    except OSError as error:
        kind = NoSpace if error.errno in NO_SPACE else StorageError
        raise kind(f"{what}: {(error.strerror or str(error)).lower()}") from error
