"""A template: lighting, cameras and backdrop, kept by the service; the spec only binds a name of its own to one.

Source: guide, "Finding Available Templates".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from glossi_sync.errors import UserError


@dataclass(frozen=True, slots=True)
class Template:
    """A template as the service lists it."""

    template_id: str
    name: str
    description: str = ""


@dataclass(frozen=True, slots=True)
class TemplateRef:
    """How the spec names a template: by ``template_id``, or by ``name``, which must match exactly one."""

    template_id: str | None = None
    name: str | None = None


class UnresolvedTemplate(UserError, ValueError):
    """A template binding that matches none or several of the service's templates; the message says which exist."""


def resolve_template(ref: TemplateRef, templates: Iterable[Template]) -> Template:
    """Find the one template that ``ref`` names.

    Raises:
        UnresolvedTemplate: none or several match.
    """
    known = tuple(templates)
    if ref.template_id is not None:
        matches = [template for template in known if template.template_id == ref.template_id]
        wanted = f"id {ref.template_id!r}"
    else:
        matches = [template for template in known if template.name == ref.name]
        wanted = f"name {ref.name!r}"
    if len(matches) == 1:
        return matches[0]
    if matches:
        ids = ", ".join(template.template_id for template in matches)
        raise UnresolvedTemplate(f"{len(matches)} templates have the {wanted} ({ids}); bind it by id instead")
    near = get_close_matches(ref.name or "", [template.name for template in known], n=1)
    names = ", ".join(repr(template.name) for template in known) or "none at all"
    hint = f"; did you mean {near[0]!r}?" if near else ""
    raise UnresolvedTemplate(f"the service has no template with the {wanted}{hint} (it has {names})")
