"""The lifecycle of every kind, looked up by kind, and every step, looked up by name."""

from collections.abc import Mapping
from types import MappingProxyType

from glossi_sync.resources import model, project, render, webhook
from glossi_sync.resources.lifecycle import Kind, Lifecycle, Step

_ALL = (model.LIFECYCLE, project.LIFECYCLE, render.LIFECYCLE, webhook.LIFECYCLE)

LIFECYCLES: Mapping[Kind, Lifecycle] = MappingProxyType({lifecycle.kind: lifecycle for lifecycle in _ALL})

STEPS: Mapping[str, Step] = MappingProxyType(
    {
        step.name: step
        for step in (*(step for lifecycle in _ALL for step in lifecycle.steps), render.RETRY, webhook.DELETE)
    }
)
