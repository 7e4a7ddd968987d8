"""Resources: what a model, a project, a render, a webhook and a template *are*.

Each kind has one module with its inputs (what decides its pictures), its digest, its phases and its steps. Everything
here is pure: no file, no network, no clock. The other rooms speak in these words; this room imports none of them.
It is not the place for what the user wrote (``spec``), what exists (``state``), or how calls look (``service``).
"""

from glossi_sync.resources.address import is_address, kind_of, model_address, project_address, render_address
from glossi_sync.resources.lifecycle import InDoubt, Kind, Lifecycle, Phase, Step
from glossi_sync.resources.lifecycles import LIFECYCLES, STEPS
from glossi_sync.resources.model import FILE_TYPES, Model, file_type_of
from glossi_sync.resources.project import Project
from glossi_sync.resources.render import Render, RenderSettings
from glossi_sync.resources.shard import Shard
from glossi_sync.resources.template import Template, TemplateRef, UnresolvedTemplate, resolve_template
from glossi_sync.resources.webhook import EVENTS, Webhook

Inputs = Model | Project | Render | Webhook

__all__ = [
    "EVENTS",
    "FILE_TYPES",
    "LIFECYCLES",
    "STEPS",
    "InDoubt",
    "Inputs",
    "Kind",
    "Lifecycle",
    "Model",
    "Phase",
    "Project",
    "Render",
    "RenderSettings",
    "Shard",
    "Step",
    "Template",
    "TemplateRef",
    "UnresolvedTemplate",
    "Webhook",
    "file_type_of",
    "is_address",
    "kind_of",
    "model_address",
    "project_address",
    "render_address",
    "resolve_template",
]
