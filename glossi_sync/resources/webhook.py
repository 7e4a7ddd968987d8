"""The webhook: the workspace's one mutable thing, a singleton compared field by field.

::

    (nothing) --put--> set --put--> set          (gone from the spec: --delete-->)

Source: guide, Step 6; service facts, "Webhooks".
"""

from __future__ import annotations

from dataclasses import dataclass

from glossi_sync.resources.digest import digest
from glossi_sync.resources.lifecycle import InDoubt, Kind, Lifecycle, Phase, Step

EVENTS = (
    "model.processed",
    "model.failed",
    "project.created",
    "job.complete",
    "job.failed",
    "render.complete",
    "render.failed",
)
"""The seven events (guide, "Available Events")."""

PUT = Step("put", "PUT /webhooks", Phase.SET, InDoubt.ASK_AGAIN)
DELETE = Step("delete", "DELETE /webhooks", Phase.LOST, InDoubt.ASK_AGAIN)

LIFECYCLE = Lifecycle(kind=Kind.WEBHOOK, steps=(PUT,), complete=Phase.SET)


@dataclass(frozen=True, slots=True)
class Webhook:
    """The webhook's fields; ``events`` are kept in the guide's order, since their order means nothing."""

    url: str
    events: tuple[str, ...]
    enabled: bool = True
    description: str | None = None

    def digest(self) -> str:
        """The webhook's digest: equal for webhooks that are equal field by field."""
        return digest(Kind.WEBHOOK, self.url, tuple(sorted(self.events)), self.enabled, self.description)
