"""Filters: what may follow a variable, ``${row.title|slug}``, and what each does to the text.

    lower           small letters
    upper           capital letters
    trim            no spaces at either end
    slug            fit for a key: small letters and digits, anything else a single '-' ("Ünder №2" -> under-no2)
    default:TEXT    TEXT in place of nothing: a text that is empty, a variable that is not set, a value that is missing

They are applied from left to right.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence

from glossi_sync.spec.problems import near

Filter = Callable[[str], str]

DEFAULT = "default"
_NOT_SLUG = re.compile(r"[^a-z0-9]+")


class UnknownFilter(Exception):
    """Why a filter means nothing, in the user's words."""


def slug(text: str) -> str:
    """A text as part of a key: accents dropped, letters small, runs of anything else a single ``-``."""
    if not text.isascii():
        apart = unicodedata.normalize("NFKD", text.casefold())
        text = "".join(character for character in apart if not unicodedata.combining(character))
    return _NOT_SLUG.sub("-", text.lower()).strip("-")


FILTERS: Mapping[str, Filter] = {"lower": str.lower, "upper": str.upper, "trim": str.strip, "slug": slug}
"""The filters that take no text of their own."""


def compile_filters(words: Sequence[str]) -> tuple[tuple[Filter, ...], bool]:
    """The filters that ``words`` name, and whether one of them is a default. Raises UnknownFilter."""
    return tuple(map(_filter, words)), any(word.partition(":")[0].strip() == DEFAULT for word in words)


def _filter(word: str) -> Filter:
    name, colon, argument = (part.strip() for part in word.partition(":"))
    if name == DEFAULT:
        if not colon:
            raise UnknownFilter("the filter 'default' needs a text: default:TEXT")
        return lambda text: text or argument
    if name not in FILTERS:
        known = [*FILTERS, DEFAULT]
        hint = near(name, known) or f"; known: {', '.join(FILTERS)}, {DEFAULT}:TEXT"
        raise UnknownFilter(f"unknown filter {name!r}{hint}")
    if colon:
        raise UnknownFilter(f"the filter {name!r} takes no text")
    return FILTERS[name]
