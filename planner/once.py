"""WITH (idempotency_key = '…') of INSERT and BEGIN: the key of a commit that is made once."""

from __future__ import annotations

from headwater.errors import Span, SqlError, UnknownName, suggestion
from headwater.parser import syntax

KEY_CHARACTERS = 200  # at most, since many keys are remembered


def idempotency_key(properties: tuple[syntax.Property, ...]) -> str | None:
    """The key that is given, if there is one. Raises SqlError for one that cannot be, or another property."""
    for item in properties:
        if item.name.lower() != "idempotency_key":
            hint = suggestion(item.name, ["idempotency_key"], "properties")
            raise UnknownName(f'what is written has no property "{item.name}"', item.span, hint=hint)
        checked_key(item.value, item.span)
    return properties[-1].value if properties else None


def checked_key(text: str, span: Span | None = None) -> str:
    """A key that a program or statement gives. Raises SqlError if it cannot be one."""
    if not 1 <= len(text) <= KEY_CHARACTERS:
        raise SqlError(
            f"an idempotency key has 1 to {KEY_CHARACTERS} characters, and this one has {len(text)}", span,
            hint="a UUID is a good one, made once for what is to be done once",
        )  # fmt: skip
    return text
