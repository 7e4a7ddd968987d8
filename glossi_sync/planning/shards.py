"""Shards: how a catalogue is shared among runners that do not ask one another. Pure, O(n).

What is connected must be decided by one runner: an object and what it is made from, and objects that could stand for
each other, since one may take over what the other was bound to. Such a *component* belongs to the shard that its
smallest address hashes to. It is told from the spec alone: what other runners do meanwhile to the state moves nothing
from one shard to another.

What the spec does not have (any more) belongs where its digest belongs: to the component that wants such an object,
or else to the shard that the digest itself hashes to. The webhook is one thing, whatever its digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from glossi_sync.resources import Kind, kind_of
from glossi_sync.resources.address import WEBHOOK_ADDRESS
from glossi_sync.resources.render import START
from glossi_sync.spec import Desired
from glossi_sync.state import Intent, Realised


class Shares:
    """To which key each address, binding and call in doubt belongs; ``Shard.holds`` tells the shard of a key."""

    def __init__(self, desired: Mapping[str, Desired]) -> None:
        self._components = components(desired.values())
        self._of_digest = {want.digest: self._components[address] for address, want in desired.items()}

    def address(self, address: str) -> str:
        """The key of an address of the spec."""
        return self._components[address]

    def binding(self, address: str, realised: Realised) -> str:
        """The key of a binding whose address the spec does not have."""
        bound = realised.bound(address)
        return address if bound is None else self._key(bound.kind, bound.digest)

    def call(self, intent: Intent) -> set[str]:
        """The keys of a call in doubt. One that was for several addresses belongs where its first belongs.

        But for the start of renders, which are held for as long as it is in doubt: to let go of it is for those alone
        who may let go of all of them.
        """
        subjects = intent.subjects if intent.step == START.name else intent.subjects[:1]
        return {self._key(kind_of(one.address), one.digest) for one in subjects}

    def _key(self, kind: Kind, digest: str) -> str:
        return WEBHOOK_ADDRESS if kind is Kind.WEBHOOK else self._of_digest.get(digest, digest)


def components(desired: Iterable[Desired]) -> dict[str, str]:
    """For each address the smallest one that it is connected with, by parents or by equal digests."""
    smaller: dict[str, str] = {}

    def smallest(address: str) -> str:
        while (next_ := smaller[address]) != address:
            smaller[address] = smaller[next_]  # half the way for whoever comes after
            address = next_
        return address

    def connect(one: str, other: str) -> None:
        one, other = smallest(one), smallest(other)
        smaller[max(one, other)] = min(one, other)

    first_with: dict[str, str] = {}
    for want in desired:
        smaller.setdefault(want.address, want.address)
        for parent in want.parents:
            connect(parent, want.address)
        first = first_with.setdefault(want.digest, want.address)
        if first != want.address:
            connect(first, want.address)
    return {address: smallest(address) for address in smaller}
