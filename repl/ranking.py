"""Which candidates fit what is typed, and in which order: by how they fit, what they are, and how often they were used.

A text fits if the letters that are typed stand in it in that order, in any case: best at its beginning, then at the
beginnings of its words (`tp` fits `top_price`), then anywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from headwater.repl.candidates import Candidate, Candidates
from headwater.repl.names import Names
from headwater.repl.place import Kind, Place, kinds
from headwater.repl.sql_tokens import tokens

_EXACT, _PREFIX, _WORDS, _INSIDE, _LETTERS = range(-1, 4)
_LEAST_LETTERS = 2  # that are looked for anywhere in a text: one letter is nearly everywhere

# How much better something rarer must fit to come first.
_HANDICAPS = {Kind.FUNCTION: 1, Kind.SOURCE_FUNCTION: 1, Kind.KEYWORD: 1}
_IN_A_FIXED_ORDER = frozenset({Kind.KEYWORD, Kind.POINT, Kind.PROPERTY})
_RARE = 60  # a rank from which a candidate has to fit still better

_BOUNDARY = re.compile(r"[_\W]+|(?<=[a-z])(?=[A-Z])")


def suggestions(place: Place, names: Names, uses: Mapping[str, int]) -> Iterator[tuple[Candidate, Kind]]:
    """What could stand at a place, the likeliest first."""
    candidates = Candidates(place, names)
    return ranked(place.typed, ((kind, candidates.of(kind)) for kind in kinds(place)), uses)


def ranked(
    typed: str, groups: Iterable[tuple[Kind, Iterable[Candidate]]], uses: Mapping[str, int]
) -> Iterator[tuple[Candidate, Kind]]:
    """The candidates of some kinds that fit, the likeliest first, each text once. Earlier kinds come before later ones.

    `uses` says how often words were used, in lower case.
    """
    plain = typed.strip('"`').lower()
    initials = plain.replace("_", "")
    found: list[tuple[int, int, int, int, int, Candidate, Kind]] = []
    for group, (kind, candidates) in enumerate(groups):
        handicap = _HANDICAPS.get(kind, 0)
        for candidate in candidates:
            fit = _fit(plain, initials, candidate.text)
            if fit is not None and not (kind is Kind.KEYWORD and fit > _WORDS):
                used = 0 if kind in _IN_A_FIXED_ORDER else uses.get(candidate.text.strip('"()').lower(), 0)
                worse = handicap + (candidate.rank >= _RARE and not used) if fit > _EXACT else 0
                found.append((fit + worse, group, -used, candidate.rank, len(found), candidate, kind))
    seen: set[str] = set()
    for *_, candidate, kind in sorted(found, key=lambda entry: entry[:5]):
        if candidate.text.lower() not in seen:
            seen.add(candidate.text.lower())
            yield candidate, kind


def _fit(typed: str, initials: str, text: str) -> int | None:
    """How well a text fits; None if it does not."""
    if not typed:
        return _PREFIX
    lowered = text.lower()
    name = lowered[1:] if lowered[0] == '"' else lowered
    if name.startswith(typed):
        return _EXACT if len(name.rstrip('"(')) == len(typed) else _PREFIX
    if typed[0] not in name:
        return None
    parts = [part for part in _BOUNDARY.split(text) if part]
    if len(parts) > 1 and _fits_words(initials, [part.lower() for part in parts]):
        return _WORDS
    if len(typed) < _LEAST_LETTERS:
        return None
    if typed in name:
        return _INSIDE
    return _LETTERS if _has_letters(typed, name) else None


def _fits_words(typed: str, parts: list[str]) -> bool:
    """Whether what is typed is made of the beginnings of some of the parts, in order."""
    if not typed:
        return True
    if not parts:
        return False
    most = _common(typed, parts[0])
    return any(_fits_words(typed[length:], parts[1:]) for length in range(most, -1, -1))


def _common(one: str, other: str) -> int:
    count = 0
    while count < min(len(one), len(other)) and one[count] == other[count]:
        count += 1
    return count


def _has_letters(typed: str, text: str) -> bool:
    position = -1
    for letter in typed:
        position = text.find(letter, position + 1)
        if position < 0:
            return False
    return True


def count_uses(texts: Iterable[str]) -> Counter[str]:
    """How often each name and keyword stands in statements."""
    return Counter(token.name for text in texts for token in tokens(text) if token.is_name)
