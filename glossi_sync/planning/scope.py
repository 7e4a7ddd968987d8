"""Scope: which addresses a run is about, as the user has named them. Pure.

A pattern is an address, or one in which ``*`` stands for any characters (``render.lamp*/web``) and ``?`` for one.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from fnmatch import translate

from glossi_sync.errors import UserError
from glossi_sync.resources import Shard
from glossi_sync.spec import Desired
from glossi_sync.spec.problems import near


class UnknownAddress(UserError):
    """The user has named an address that there is not; the message suggests the nearest."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a run is about: everything, unless it says otherwise.

    ``targets`` are patterns of the addresses that are to converge, with all that they are made from; ``anew`` are
    patterns of those that are to be made anew although nothing has changed; ``shard`` is one of several equal parts.
    """

    targets: tuple[str, ...] = ()
    anew: tuple[str, ...] = ()
    shard: Shard | None = None

    @property
    def is_whole(self) -> bool:
        """Whether no address is left out."""
        return not self.targets and self.shard is None

    def __str__(self) -> str:
        """As a summary says it: ``shard 3/16, model.lamp and what it is made from``; empty for the whole."""
        parts = [f"shard {self.shard}"] if self.shard is not None else []
        if self.targets:
            made_from = "what it is made from" if len(self.targets) == 1 else "what they are made from"
            parts.append(f"{', '.join(self.targets)} and {made_from}")
        return ", ".join(parts)


WHOLE = Scope()


def matching(patterns: Iterable[str], addresses: Collection[str], option: str) -> set[str]:
    """The addresses that the patterns match. ``addresses`` must be quick to look in; ``option`` is for messages.

    Raises:
        UnknownAddress: a pattern matches none.
    """
    found: set[str] = set()
    for pattern in patterns:
        if pattern in addresses:
            found.add(pattern)
            continue
        matches = re.compile(translate(pattern)).match if _is_pattern(pattern) else re.compile(r"(?!)").match
        matched = [address for address in addresses if matches(address)]
        if not matched:
            raise UnknownAddress(f"{option} {pattern}: {_unknown(pattern, addresses)}")
        found.update(matched)
    return found


def with_parents(addresses: Iterable[str], desired: Mapping[str, Desired]) -> set[str]:
    """Addresses, with all that they are made from."""
    found: set[str] = set()
    left = list(addresses)
    while left:
        address = left.pop()
        if address not in found:
            found.add(address)
            left += desired[address].parents if address in desired else ()
    return found


def with_children(addresses: Iterable[str], desired: Mapping[str, Desired]) -> set[str]:
    """Addresses, with all that is made from them. Parents come before children in ``desired``."""
    found = set(addresses)
    for address, want in desired.items():
        if not found.isdisjoint(want.parents):
            found.add(address)
    return found


def _is_pattern(text: str) -> bool:
    return any(character in text for character in "*?[")


def _unknown(pattern: str, addresses: Collection[str]) -> str:
    if _is_pattern(pattern):
        return "no address of the spec or the state matches this"
    below = next((address for address in addresses if address.startswith(f"{pattern}/")), None)
    if below is not None:
        return f"there is no such address; did you mean '{pattern}/*'?"
    return f"there is no such address{near(pattern, addresses)}"
