"""Files of SQL, as text."""

from __future__ import annotations

from pathlib import Path

from headwater.errors import HeadwaterError


def read_sql(path: str) -> str:
    """The text of a file of SQL; one that cannot be read is a HeadwaterError."""
    try:
        return Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise HeadwaterError(f'cannot read "{path}": {error.strerror}') from error
    except UnicodeDecodeError as error:
        raise HeadwaterError(f'"{path}" is not UTF-8 text (byte {error.start})') from error
