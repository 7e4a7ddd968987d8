"""Roll back: bind every address again to what an earlier run left it bound to. Pure, and without a single call.

The objects are remembered, so there is nothing to be made. The webhook is left as it is: it is the one mutable thing,
and what it was is no object any more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from glossi_sync.planning.change import Action, Change, Plan
from glossi_sync.resources import Inputs, Kind, Model, Project, Render, RenderSettings, kind_of, project_address
from glossi_sync.resources.render import SETTING_NAMES
from glossi_sync.spec import Desired
from glossi_sync.state import Object, Realised

ReadInputs = Callable[[Iterable[int]], Mapping[int, Mapping[str, Any]]]


def roll_back(
    past: Mapping[str, int], realised: Realised, *, workspace: str = "", lineage: str = "", serial: int = 0
) -> Plan:
    """The plan that makes the bindings those of ``past`` (address -> oid)."""
    changes = []
    unchanged = 0
    for address, oid in past.items():
        one = realised.objects.get(oid)
        if kind_of(address) is Kind.WEBHOOK or one is None:
            continue
        bound = realised.bindings.get(address)
        if bound == oid:
            unchanged += 1
            continue
        reason = "bound to nothing now" if bound is None else "bound to another object now"
        changes.append(Change(address, one.kind, Action.ADOPT, reason, one.digest, oid=oid, replaced=bound))
    for address, oid in realised.bindings.items():
        kind = kind_of(address)
        if address not in past and kind is not Kind.WEBHOOK:
            changes.append(Change(address, kind, Action.FORGET, "was not there then; its object stays", oid=oid))
    return Plan(workspace, "", lineage, serial, tuple(changes), unchanged)


def remembered(past: Mapping[str, int], realised: Realised, read_inputs: ReadInputs) -> dict[str, Desired]:
    """What the spec asked for when these bindings were made, read back from the objects themselves."""
    stored = read_inputs(past.values())
    addresses = {oid: address for address, oid in past.items()}
    desired: dict[str, Desired] = {}
    for address, oid in past.items():
        one = realised.objects.get(oid)
        if one is None or one.kind is Kind.WEBHOOK or oid not in stored:
            continue
        inputs = _inputs(one, stored[oid], realised)
        parents = tuple(addresses[parent] for parent in one.parents if parent in addresses)
        if one.kind is Kind.RENDER and not parents:
            parents = (project_address(address.removeprefix("render.").rpartition("/")[0]),)
        desired[address] = Desired(address, one.kind, one.digest, inputs, one.label, parents)
    return desired


def _inputs(one: Object, stored: Mapping[str, Any], realised: Realised) -> Inputs:
    """The inverse of ``explain.inputs_of``; what a parent was is told by the object's own parents."""
    parents = tuple(realised.objects[oid].digest for oid in one.parents if oid in realised.objects)
    if one.kind is Kind.MODEL:
        file = stored["file"]
        return Model(stored["fileType"], file["sha256"], file["path"], file["size"])
    if one.kind is Kind.PROJECT:
        return Project(stored["template"]["id"], stored["template"]["name"], parents)
    settings = RenderSettings(**{name: stored["settings"][written] for name, written in SETTING_NAMES.items()})
    return Render(parents[0] if parents else "", settings, stored["revision"])
