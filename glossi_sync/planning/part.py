"""Part: what of the spec and the state a run with a scope may look after, and a plan narrowed to that. Pure.

A whole plan is decided first and narrowed then: so all shards' plans together are the whole plan, and no decision has
to know that others are made elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from glossi_sync.planning.change import Plan
from glossi_sync.planning.estimate import calls, upload_bytes
from glossi_sync.planning.guard import excess
from glossi_sync.planning.names import remark
from glossi_sync.planning.scope import Scope, matching, with_parents
from glossi_sync.planning.shards import Shares
from glossi_sync.resources.address import WEBHOOK_ADDRESS
from glossi_sync.resources.webhook import PUT
from glossi_sync.spec import Desired, Guard
from glossi_sync.state import Realised


@dataclass(frozen=True, slots=True)
class Part:
    """``desired`` and ``realised`` with what the run is about alone; all objects are there: any may be adopted."""

    desired: Mapping[str, Desired]
    realised: Realised


def part_of(scope: Scope, desired: Mapping[str, Desired], realised: Realised) -> Part:
    """What a run with that scope is about.

    Raises:
        UnknownAddress: a target names nothing.
    """
    if scope.is_whole:
        return Part(desired, realised)
    chosen, gone, in_doubt = desired, realised.bindings.keys() - desired.keys(), realised.in_doubt
    if scope.targets:
        targets = with_parents(matching(scope.targets, desired.keys() | gone, "--target"), desired)
        chosen = {address: want for address, want in chosen.items() if address in targets}
        gone &= targets
        in_doubt = tuple(one for one in in_doubt if all(subject.address in targets for subject in one.subjects))
    if scope.shard is not None:
        shares, holds = Shares(desired), scope.shard.holds
        chosen = {address: want for address, want in chosen.items() if holds(shares.address(address))}
        gone = {address for address in gone if holds(shares.binding(address, realised))}
        in_doubt = tuple(one for one in in_doubt if all(map(holds, shares.call(one))))
    bindings = {one: oid for one, oid in realised.bindings.items() if one in chosen or one in gone}
    return Part(chosen, Realised(realised.objects, bindings, in_doubt))


def narrow(
    whole: Plan, scope: Scope, part: Part, desired: Mapping[str, Desired], realised: Realised, guard: Guard | None
) -> Plan:
    """The plan with the changes of a part alone, and what they take.

    The guard compares what the targets lose with all that there is. Shards are refused as the whole is: all, or none.
    """
    if scope.is_whole:
        return replace(whole, scope=scope)
    here = part.desired.keys() | part.realised.bindings.keys()
    if any(one.step == PUT.name for one in part.realised.in_doubt):
        here |= {WEBHOOK_ADDRESS}
    changes = tuple(change for change in whole.changes if change.address in here)
    calls_here = {one.call_id for one in part.realised.in_doubt}
    refused = whole.excess
    if scope.targets and guard is not None:
        refused = excess(changes, len(realised.bindings), guard)
    return replace(
        whole,
        scope=scope,
        changes=changes,
        unchanged=len(part.desired) - sum(change.address in desired for change in changes),
        abandoned=tuple(one for one in whole.abandoned if one.call_id in calls_here),
        calls=calls(changes, desired),
        upload_bytes=upload_bytes(changes, desired),
        excess=refused,
        remark=remark(changes),
    )
