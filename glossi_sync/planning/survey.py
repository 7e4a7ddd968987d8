"""Survey: one look at everything a plan is decided from, and the plan. The order of questions lives here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from glossi_sync.planning.change import Plan
from glossi_sync.planning.decide import Policy, plan
from glossi_sync.planning.explain import explain
from glossi_sync.planning.forecast import Cameras, Memory, forecast
from glossi_sync.planning.observe import Observed, Refresh, ask, observe
from glossi_sync.planning.part import Part, narrow, part_of
from glossi_sync.planning.scope import WHOLE, Scope, UnknownAddress, matching, with_children
from glossi_sync.planning.settling import Settlement, has_starts_in_doubt, settle_held
from glossi_sync.resources import Model, Template, UnresolvedTemplate, resolve_template
from glossi_sync.service import Glossi
from glossi_sync.spec import Desired, Spec, desire
from glossi_sync.state import Object, Realised, State


@dataclass(frozen=True, slots=True)
class Survey:
    """A plan, with what it was decided from: an apply needs all three. ``part`` is what of ``desired`` it is about."""

    plan: Plan
    desired: Mapping[str, Desired]
    realised: Realised
    part: Mapping[str, Desired]

    def status(self) -> list[tuple[str, Object | None]]:
        """Every address of the spec with the object that it is bound to, as the service says that it is now."""
        rows = []
        for address in self.desired:
            bound = self.realised.bound(address)
            seen = None if bound is None else self.plan.seen.get(bound.oid)
            if bound is not None and seen is not None:
                bound = replace(bound, phase=seen.phase, error=seen.error)
            rows.append((address, bound))
        return rows


async def survey(
    spec: Spec,
    models: Mapping[str, Model],
    state: State,
    service: Glossi,
    *,
    policy: Policy,
    clock: Callable[[], float],
    refresh: Refresh = Refresh.LIVE,
    everything: bool = False,
    scope: Scope = WHOLE,
    cameras: Callable[[], Mapping[str, Cameras]] = dict,
) -> Survey:
    """Resolve the templates, compute Desired, read the state, ask the service, decide, explain, forecast.

    ``models`` are the spec's hashed files by key; ``clock`` tells Unix seconds; ``scope`` is what the plan is about;
    ``cameras`` those of templates that are known otherwise than from finished renders. Changes nothing anywhere.

    Raises:
        UnknownAddress: the scope names an address that there is not, or replaces none of its targets.
        UnresolvedTemplate: a template binding matches none or several of the service's templates.
        ServiceError: the service could not be asked.
        StateError: the state could not be read.
    """
    desired = desire(spec, models, await _templates(spec, service))
    serial = state.serial  # before the rest is read: what moves meanwhile must show
    realised = state.realised()
    part = part_of(scope, desired, realised)
    anew = _anew(scope, desired, part)
    settlement = _settle(state, desired, realised, part, clock())
    if settlement is not None:
        realised = settlement.realised
        part = part_of(scope, desired, realised)
    observed = await observe(service, ask(part.desired, part.realised, refresh))
    decided = plan(
        desired,
        realised,
        observed,
        policy,
        now=clock(),
        workspace=spec.workspace,
        spec=spec.fingerprint,
        lineage=state.lineage,
        serial=serial,
        everything=everything,
        anew=anew,
    )
    if settlement is not None:
        decided = replace(decided, changes=settlement.noted(decided.changes), settled=settlement.writes)
    decided = narrow(decided, scope, part, desired, realised, policy.guard)
    explained = explain(decided, desired, realised, state.inputs)
    memory = Memory(state.inputs, state.files, state.runs, cameras)
    told = replace(explained, forecast=forecast(explained, desired, realised, memory))
    return Survey(told, desired, realised, part.desired)


def _anew(scope: Scope, desired: Mapping[str, Desired], part: Part) -> set[str]:
    """What is to be made anew, with all that is made from it."""
    anew = with_children(matching(scope.anew, desired, "--replace"), desired)
    if scope.targets and scope.shard is None and anew and anew.isdisjoint(part.desired):
        raise UnknownAddress(
            f"--replace {', '.join(scope.anew)}: nothing of this is among the targets; name it with --target as well"
        )
    return anew


def _settle(
    state: State, desired: Mapping[str, Desired], realised: Realised, part: Part, now: float
) -> Settlement | None:
    """What webhook events say of renders that would be held."""
    if not has_starts_in_doubt(part.realised):
        return None
    events = state.events(after=0)
    if not events:
        return None
    held = plan(desired, realised, Observed(), Policy(), now=now).troubled()
    here = (change for change in held if change.address in part.desired)
    return settle_held(here, desired, realised, part.realised.in_doubt, events, state.strays(), now)


async def _templates(spec: Spec, service: Glossi) -> dict[str, Template]:
    used = {project.template for project in spec.projects.values()}
    if not used:
        return {}
    known = await service.templates()
    resolved: dict[str, Template] = {}
    for key in sorted(used):
        try:
            resolved[key] = resolve_template(spec.templates[key], known)
        except UnresolvedTemplate as error:
            raise UnresolvedTemplate(f"templates.{key}: {error}") from None
    return resolved
