"""Survey: one look at everything a plan is decided from, and the plan. The order of questions lives here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from glossi_sync.planning.change import Plan
from glossi_sync.planning.decide import Policy, plan
from glossi_sync.planning.explain import explain
from glossi_sync.planning.observe import Refresh, ask, observe
from glossi_sync.resources import Model, Template, UnresolvedTemplate, resolve_template
from glossi_sync.service import Glossi
from glossi_sync.spec import Desired, Spec, desire
from glossi_sync.state import Object, Realised, State


@dataclass(frozen=True, slots=True)
class Survey:
    """A plan, with what it was decided from: an apply needs all three."""

    plan: Plan
    desired: Mapping[str, Desired]
    realised: Realised

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
) -> Survey:
    """Resolve the templates, compute Desired, read the state, ask the service, decide, explain.

    ``models`` are the spec's hashed files by key; ``clock`` tells Unix seconds. Changes nothing anywhere.

    Raises:
        UnresolvedTemplate: a template binding matches none or several of the service's templates.
        ServiceError: the service could not be asked.
        StateError: the state could not be read.
    """
    desired = desire(spec, models, await _templates(spec, service))
    realised = state.realised()
    observed = await observe(service, ask(desired, realised, refresh))
    decided = plan(
        desired,
        realised,
        observed,
        policy,
        now=clock(),
        workspace=spec.workspace,
        spec=spec.fingerprint,
        lineage=state.lineage,
        serial=state.serial,
        everything=everything,
    )
    return Survey(explain(decided, desired, realised, state.inputs), desired, realised)


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
