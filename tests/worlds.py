"""Small worlds to plan in: specs made of letters, and an ideal apply that does exactly what a plan says."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

from hypothesis import strategies as st

from glossi_sync.planning import Action, Observed, Plan, Policy, plan
from glossi_sync.resources import LIFECYCLES, Kind, Model, Phase, RenderSettings, Template
from glossi_sync.spec import Desired, ModelEntry, ProjectEntry, RenderEntry, Spec, desire
from glossi_sync.state import Object, Realised

NOW = 1_800_000_000.0
TEMPLATES = {"studio": Template("t-studio", "Studio Light"), "dark": Template("t-dark", "Dark Luxe")}
SETTINGS = {"web": RenderSettings(render_shots=False), "film": RenderSettings(render_bookmarks=False)}


@dataclass(frozen=True)
class Catalogue:
    """A spec without files: model keys with their content (a letter) and name, projects by key."""

    models: tuple[tuple[str, str, str], ...]
    projects: tuple[ProjectEntry, ...] = ()
    names_count: bool = False

    def desired(self) -> dict[str, Desired]:
        spec = Spec(
            sources=(),
            folder=Path(),
            fingerprint="sha256:" + "0" * 64,
            workspace="test",
            names_count=self.names_count,
            models={k: ModelEntry(k, name, f"{k}.glb", f"/{k}.glb", "glb") for k, _, name in self.models},
            render_settings=SETTINGS,
            projects={project.key: project for project in self.projects},
        )
        hashed = {key: Model("glb", content * 64, f"{key}.glb", 100) for key, content, _ in self.models}
        return desire(spec, hashed, TEMPLATES)


@st.composite
def catalogues(draw: st.DrawFn) -> Catalogue:
    keys = draw(st.lists(st.sampled_from("abcde"), unique=True, max_size=5))
    models = tuple((key, draw(st.sampled_from("0123")), draw(st.sampled_from(["One", "Two"]))) for key in keys)
    projects = []
    for number in range(draw(st.integers(0, 3)) if keys else 0):
        chosen = tuple(draw(st.lists(st.sampled_from(keys), min_size=1, max_size=3, unique=True)))
        per_model = draw(st.booleans())
        renders = draw(st.lists(st.sampled_from(sorted(SETTINGS)), unique=True))
        projects.append(
            ProjectEntry(
                key=f"p{number}",
                name=None if per_model else draw(st.sampled_from([None, "A", "B"])),
                models=chosen,
                template=draw(st.sampled_from(sorted(TEMPLATES))),
                create_per_model=per_model,
                renders=tuple(RenderEntry(name, draw(st.integers(1, 2))) for name in renders),
            )
        )
    return Catalogue(models, tuple(projects), draw(st.booleans()))


def decide(
    desired: Mapping[str, Desired],
    realised: Realised,
    observed: Observed | None = None,
    *,
    retries: int = 2,
    retry_failed: bool = False,
) -> Plan:
    return plan(desired, realised, observed or Observed(), Policy(retries, retry_failed), now=NOW)


_oids = count(1)


def ideal_apply(decided: Plan, desired: Mapping[str, Desired], realised: Realised) -> Realised:
    """The state after an apply in which every call succeeds and everything the service works on completes."""
    objects, bindings = dict(realised.objects), dict(realised.bindings)
    for oid, seen in decided.seen.items():
        objects[oid] = replace(objects[oid], phase=seen.phase, error=seen.error)
    for change in decided.changes:
        if change.action in (Action.FORGET, Action.REMOVE):
            bindings.pop(change.address, None)
        if change.action is Action.ADOPT and change.moved_from is not None and change.moved_from not in desired:
            bindings.pop(change.moved_from, None)
    for change in decided.changes:
        want = desired.get(change.address)
        if want is None or not change.acts:
            continue
        oid = change.oid if change.oid is not None else next(_oids)
        complete = LIFECYCLES[want.kind].complete
        if change.oid is None:
            parents = tuple(bindings[parent] for parent in want.parents)
            objects[oid] = Object(
                oid, want.kind, want.digest, complete, want.label, f"r{oid}", parents, since=float(oid)
            )
        elif change.steps or change.waits:
            objects[oid] = replace(objects[oid], phase=complete)
        bindings[change.address] = oid
    return Realised(objects, bindings)


def converge(desired: Mapping[str, Desired], realised: Realised | None = None) -> Realised:
    realised = realised or Realised()
    return ideal_apply(decide(desired, realised), desired, realised)


def of_kind(realised: Realised, kind: Kind, phase: Phase | None = None) -> list[Object]:
    return [one for one in realised.objects.values() if one.kind is kind and phase in (None, one.phase)]
