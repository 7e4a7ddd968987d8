"""Templates: what a project can be made on (guide, "Finding Available Templates")."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from glossi_sync.service import wire
from glossi_sync.studio.api.context import TheStudio, TheWorkspace

router = APIRouter(tags=["templates"])


class Template(BaseModel):
    templateId: str
    name: str
    description: str


class Templates(BaseModel):
    templates: list[Template]


@router.get(wire.TEMPLATES_PATH)
async def list_templates(
    studio: TheStudio,
    workspace_id: TheWorkspace,
    internal: Annotated[bool, Query(description="Whether to list the workspace's own templates.")] = True,
    public: Annotated[bool, Query(description="Whether to list the templates that everyone has.")] = True,
) -> Templates:
    """The public templates and the workspace's own."""
    listed = (
        *(studio.templates.public if public else ()),
        *(studio.templates.of_workspace.get(workspace_id, ()) if internal else ()),
    )
    return Templates(
        templates=[
            Template(templateId=template.template_id, name=template.name, description=template.description)
            for template in listed
        ]
    )
