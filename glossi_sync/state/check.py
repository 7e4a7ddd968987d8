"""Is a state sound? What its backend finds wrong with the file, and what the rows say that cannot be so. Pure but for
reading; mends nothing.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from glossi_sync.resources import LIFECYCLES, STEPS, Kind, Phase, is_address, kind_of
from glossi_sync.state.objects import Object, Realised
from glossi_sync.state.store import State

_DIGEST = re.compile(r"[0-9a-f]{64}")


def check(state: State) -> list[str]:
    """Everything that is wrong with a state, a sentence each; none for a sound one.

    Raises:
        StateError: it cannot be read at all.
    """
    damage = list(state.damage())
    return damage or list(contradictions(state.realised()))


def contradictions(realised: Realised) -> Iterator[str]:
    """What cannot be so, whoever wrote it."""
    for oid, one in realised.objects.items():
        yield from _about(one, f"{one.kind} object {oid}", realised)
    for kind, remote_id in _twice(realised):
        yield f"two {kind} objects have the remote id {remote_id}"
    for address, oid in realised.bindings.items():
        one_bound = realised.objects.get(oid)
        if not is_address(address):
            yield f"the binding {address!r} is no address"
        elif one_bound is None:
            yield f"{address} is bound to the object {oid}, which the state does not have"
        elif one_bound.kind is not kind_of(address):
            yield f"{address} is bound to a {one_bound.kind}"
    for intent in realised.in_doubt:
        if intent.step not in STEPS:
            yield f"the call {intent.call_id} in the journal is of an unknown step {intent.step!r}"


def _about(one: Object, name: str, realised: Realised) -> Iterator[str]:
    if not _DIGEST.fullmatch(one.digest):
        yield f"{name} has no proper digest"
    lifecycle = LIFECYCLES[one.kind]
    phases = {step.phase for step in lifecycle.steps} | {lifecycle.complete, lifecycle.failed, Phase.LOST}
    if one.phase not in phases:
        yield f"{name} is in the phase {one.phase}, which a {one.kind} does not have"
    if one.remote_id is None and one.kind is not Kind.WEBHOOK:
        yield f"{name} has no remote id"
    for parent in one.parents:
        if parent not in realised.objects:
            yield f"{name} was made from the object {parent}, which the state does not have"


def _twice(realised: Realised) -> Iterator[tuple[str, str]]:
    ids = Counter(
        (one.kind.value, one.remote_id)
        for one in realised.objects.values()
        if one.remote_id is not None and one.kind is not Kind.WEBHOOK
    )
    yield from ((kind, remote_id) for (kind, remote_id), count in ids.items() if count > 1)
