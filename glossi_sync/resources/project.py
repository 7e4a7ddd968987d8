"""A project: one or more models on a template.

::

    (nothing) --create--> created

The service cannot be asked about a project, so ``created`` is all that is ever known of one.
Its digest is H(template id, digests of its models, in order). Source: guide, Step 3.
"""

from __future__ import annotations

from dataclasses import dataclass

from glossi_sync.resources.digest import digest
from glossi_sync.resources.lifecycle import InDoubt, Kind, Lifecycle, Phase, Step

CREATE = Step("create", "POST /projects", Phase.CREATED, InDoubt.ASK_AGAIN, may_stray=True)

LIFECYCLE = Lifecycle(kind=Kind.PROJECT, steps=(CREATE,), complete=Phase.CREATED)


@dataclass(frozen=True, slots=True)
class Project:
    """A project's inputs: the template's id (its name explains it) and the digests of its models, in order."""

    template_id: str
    template_name: str
    models: tuple[str, ...]

    def digest(self, name: str | None = None) -> str:
        """The project's digest; ``name`` is given only where the spec makes names count."""
        return digest(Kind.PROJECT, self.template_id, self.models, name)
