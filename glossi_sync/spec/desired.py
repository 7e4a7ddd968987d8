"""Desired: from every address of the spec to what it is to be bound to. Pure: files are hashed, templates known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from glossi_sync.resources import (
    Inputs,
    Kind,
    Model,
    Project,
    Render,
    Template,
    model_address,
    project_address,
    render_address,
)
from glossi_sync.resources.address import WEBHOOK_ADDRESS
from glossi_sync.spec.document import ModelEntry, ProjectEntry, Spec


@dataclass(frozen=True, slots=True)
class Desired:
    """What one address is to be: its digest, its label (a name to show, not an input), and what it is made from.

    ``parents`` are addresses of the same spec: a project's models in order, a render's project.
    """

    address: str
    kind: Kind
    digest: str
    inputs: Inputs
    label: str | None = None
    parents: tuple[str, ...] = ()


def desire(spec: Spec, models: Mapping[str, Model], templates: Mapping[str, Template]) -> dict[str, Desired]:
    """Compute Desired from a spec, its hashed files (by model key) and its resolved templates (by template key).

    The order is the spec's: models, then each project followed by its renders, then the webhook; parents come first.
    """
    desired: dict[str, Desired] = {}
    for key, entry in spec.models.items():
        desired[model_address(key)] = _model(entry, models[key], spec.names_count)
    for project in spec.projects.values():
        template = templates[project.template]
        for group in [(key,) for key in project.models] if project.create_per_model else [project.models]:
            _add_project(desired, spec, project, template, group)
    if spec.webhook is not None:
        webhook = spec.webhook.webhook
        desired[WEBHOOK_ADDRESS] = Desired(WEBHOOK_ADDRESS, Kind.WEBHOOK, webhook.digest(), webhook)
    return desired


def _model(entry: ModelEntry, model: Model, names_count: bool) -> Desired:
    digest = model.digest(entry.name if names_count else None)
    return Desired(model_address(entry.key), Kind.MODEL, digest, model, label=entry.name)


def _add_project(
    desired: dict[str, Desired], spec: Spec, entry: ProjectEntry, template: Template, keys: tuple[str, ...]
) -> None:
    address = project_address(entry.key, keys[0] if entry.create_per_model else None)
    parents = tuple(model_address(key) for key in keys)
    inputs = Project(template.template_id, template.name, tuple(desired[parent].digest for parent in parents))
    digest = inputs.digest(entry.name if spec.names_count else None)
    desired[address] = Desired(address, Kind.PROJECT, digest, inputs, label=entry.name, parents=parents)
    for wanted in entry.renders:
        render = Render(digest, spec.render_settings[wanted.settings], wanted.revision)
        here = render_address(address, wanted.settings)
        desired[here] = Desired(here, Kind.RENDER, render.digest(), render, parents=(address,))
