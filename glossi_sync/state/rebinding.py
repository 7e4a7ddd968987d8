"""Bindings mended by hand: an address renamed, or forgotten. Decided from the state alone; no call is made."""

from __future__ import annotations

from collections.abc import Iterable

from glossi_sync.resources import is_address, kind_of
from glossi_sync.state.objects import Realised
from glossi_sync.state.store import StateError
from glossi_sync.state.writes import Bind, Unbind, Write


def move(realised: Realised, old: str, new: str) -> list[Write]:
    """Bind what ``old`` is bound to to ``new`` instead.

    Raises:
        StateError: ``old`` is not bound or a call in doubt is about it, ``new`` is bound or no address of that kind.
    """
    oid = _bound(realised, old)
    if not is_address(new) or kind_of(new) is not kind_of(old):
        raise StateError(f"{old} cannot be moved to {new!r}, which is no address of a {kind_of(old)}")
    if new in realised.bindings:
        raise StateError(f"{old} cannot be moved to {new}: that is bound already; `glossi-sync state rm {new}` first")
    if any(old == subject.address for intent in realised.in_doubt for subject in intent.subjects):
        raise StateError(
            f"{old} cannot be moved to {new} while it is not known how a call for it has ended: apply, or for a render "
            f"`glossi-sync resolve {old}`, first"
        )
    return [Unbind(old), Bind(new, oid)]


def forget(realised: Realised, addresses: Iterable[str]) -> list[Write]:
    """Unbind addresses; what they are bound to stays remembered, and is adopted where a spec asks for it again.

    Raises:
        StateError: one of them is not bound; then none is forgotten.
    """
    writes: list[Write] = []
    for address in dict.fromkeys(addresses):
        _bound(realised, address)
        writes.append(Unbind(address))
    return writes


def _bound(realised: Realised, address: str) -> int:
    try:
        return realised.bindings[address]
    except KeyError:
        raise StateError(f"{address} is not bound; `glossi-sync state list` shows what is") from None
