"""Drift: does the service still have what the state says was made there? The spec has no part in it.

Every object that an address is bound to is asked about, finished renders too, and whether it is still in the spec or
not. A project cannot be asked about (service facts, "What the service does not have"). What has only moved on since
(a render that was queued and is finished now) is no drift: the next apply writes it down.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from glossi_sync.planning.change import Difference
from glossi_sync.planning.decide import webhook_differences
from glossi_sync.planning.explain import ReadInputs
from glossi_sync.planning.observe import Observed, Questions, Seen
from glossi_sync.resources import LIFECYCLES, Kind, Phase, Webhook
from glossi_sync.resources.address import WEBHOOK_ADDRESS
from glossi_sync.state import Object, Realised


class Drifted(StrEnum):
    """How the service differs from the state."""

    LOST = "lost"
    FAILED = "failed"
    UNDONE = "undone"
    CHANGED = "changed"


@dataclass(frozen=True, slots=True)
class Deviation:
    """One address whose object is not at the service as the state has it; ``diff`` is a webhook's."""

    address: str
    kind: Kind
    drifted: Drifted
    reason: str
    diff: tuple[Difference, ...] = ()


@dataclass(frozen=True, slots=True)
class Drift:
    """What a look at the service has found. ``looked_at`` counts the objects that were asked about, ``moved_on`` those
    of them that have only gone on; ``pending`` the addresses of the spec that an apply has something to do for.
    """

    workspace: str
    deviations: tuple[Deviation, ...]
    looked_at: int
    moved_on: int = 0
    pending: int = 0


def ask_about_all(realised: Realised) -> Questions:
    """The questions: every bound object that the service can be asked about."""
    bound = [realised.objects[oid] for oid in dict.fromkeys(realised.bindings.values()) if oid in realised.objects]
    known = [one for one in bound if one.remote_id is not None and one.phase is not Phase.LOST]
    return Questions(
        models=tuple(one for one in known if one.kind is Kind.MODEL),
        renders=tuple(one for one in known if one.kind is Kind.RENDER),
        webhook=WEBHOOK_ADDRESS in realised.bindings,
    )


def drift(
    realised: Realised,
    questions: Questions,
    observed: Observed,
    read_inputs: ReadInputs,
    *,
    workspace: str = "",
    pending: int = 0,
) -> Drift:
    """Compare the state with the answers to ``ask_about_all``. ``read_inputs`` is ``State.inputs``."""
    deviations: list[Deviation] = []
    moved_on = 0
    for address, oid in realised.bindings.items():
        one, seen = realised.objects.get(oid), observed.seen.get(oid)
        if one is None or seen is None:
            continue
        found = _deviation(address, one, seen)
        if found is None:
            moved_on += 1
        else:
            deviations.append(found)
    if questions.webhook:
        oid = realised.bindings[WEBHOOK_ADDRESS]
        deviations += _webhook(read_inputs([oid]).get(oid, {}), observed)
    looked_at = len(questions.models) + len(questions.renders) + questions.webhook
    return Drift(workspace, tuple(deviations), looked_at, moved_on, pending)


def _deviation(address: str, one: Object, seen: Seen) -> Deviation | None:
    if seen.phase is Phase.LOST:
        return Deviation(address, one.kind, Drifted.LOST, f"the service no longer knows it (it was {one.phase})")
    if seen.phase is Phase.FAILED:
        error = f": {seen.error}" if seen.error else ""
        return Deviation(address, one.kind, Drifted.FAILED, f"failed since it was {one.phase}{error}")
    if one.phase is LIFECYCLES[one.kind].complete:
        return Deviation(address, one.kind, Drifted.UNDONE, f"was {one.phase}, and is {seen.phase} now")
    return None


def _webhook(stored: Mapping[str, Any], observed: Observed) -> list[Deviation]:
    """How the webhook differs from what was set; its description is not kept, and has no part in it."""
    if observed.webhook is None:
        return [Deviation(WEBHOOK_ADDRESS, Kind.WEBHOOK, Drifted.LOST, "the service no longer has it")]
    if "url" not in stored:
        return []
    was = Webhook(url=stored["url"], events=tuple(stored["events"]), enabled=stored["enabled"])
    diff = webhook_differences(was, replace(observed.webhook, description=None))
    if not diff:
        return []
    return [Deviation(WEBHOOK_ADDRESS, Kind.WEBHOOK, Drifted.CHANGED, "is not as it was set", diff)]
