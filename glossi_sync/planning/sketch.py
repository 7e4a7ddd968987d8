"""Sketch: the part of a plan that can be looked at beforehand: its new pictures, on a studio of one's own.

A sketch is desired like a spec, and made like one: the same models, in projects of the same addresses, each with one
render of stills. Only the templates are the studio's own: those of the same names, or one that stands in for them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from glossi_sync.planning.change import Plan
from glossi_sync.resources import Kind, Project, Render, RenderSettings, Template, render_address
from glossi_sync.resources.render import START
from glossi_sync.spec import Desired

STAND_IN = "Studio Light"
"""The template in whose place every other one is shown that the studio does not have."""

_SETTINGS = "preview"


@dataclass(frozen=True, slots=True)
class Sketch:
    """What is to be made for a preview: ``desired``, of it ``renders`` by project's address, and ``notes`` on projects.

    ``left_out`` counts the projects beyond the limit.
    """

    desired: Mapping[str, Desired]
    renders: Mapping[str, str]
    notes: Mapping[str, str]
    left_out: int = 0


def projects_to_draw(plan: Plan, desired: Mapping[str, Desired]) -> list[str]:
    """The projects of which the plan starts a render, in its order."""
    starts = (change for change in plan.acting() if change.kind is Kind.RENDER and START in change.steps)
    return list(dict.fromkeys(desired[change.address].parents[0] for change in starts))


def sketch(plan: Plan, desired: Mapping[str, Desired], templates: Sequence[Template], limit: int) -> Sketch:
    """Sketch the first ``limit`` projects of which the plan starts a render; ``templates`` are the studio's."""
    projects = projects_to_draw(plan, desired)
    by_name = {template.name: template for template in templates}
    drawn: dict[str, Desired] = {}
    renders: dict[str, str] = {}
    notes: dict[str, str] = {}
    for address in projects[:limit]:
        wanted = desired[address]
        assert isinstance(wanted.inputs, Project)
        name = wanted.inputs.template_name
        template = by_name.get(name) or by_name.get(STAND_IN) or templates[0]
        if template.name != name:
            notes[address] = f"the studio has no template {name!r}: shown on {template.name!r}"
        drawn |= {parent: desired[parent] for parent in wanted.parents}
        inputs = Project(template.template_id, template.name, wanted.inputs.models)
        drawn[address] = replace(wanted, digest=inputs.digest(address), inputs=inputs)
        render = render_address(address, _SETTINGS)
        settings = RenderSettings(render_shots=False, render_variants=len(wanted.parents) > 1)
        of_project = Render(drawn[address].digest, settings)
        drawn[render] = Desired(render, Kind.RENDER, of_project.digest(), of_project, parents=(address,))
        renders[address] = render
    return Sketch(drawn, renders, notes, max(0, len(projects) - limit))
