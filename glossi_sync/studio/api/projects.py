"""Projects: models on a template (guide, Step 3)."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel
from sqlalchemy import Connection

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Body, Id, ManyIds, Text, TheStudio, TheWorkspace, check_batch, some
from glossi_sync.studio.api.errors import Refusal, documented

router = APIRouter(tags=["projects"])


class CreateProjects(Body):
    name: Text | None = None
    modelIds: ManyIds
    templateId: Id
    createPerModel: bool = False


class Project(BaseModel):
    projectId: str
    name: str
    status: wire.ProjectStatus
    modelIds: list[str]
    templateId: str


class Projects(BaseModel):
    projects: list[Project]


@router.post(
    wire.PROJECTS_PATH,
    responses=documented(
        _404="No such model or template.", _409="A model is not READY.", _413="Too many models for one request."
    ),
)
async def create_projects(body: CreateProjects, studio: TheStudio, workspace_id: TheWorkspace) -> Projects:
    """Make one project of all the models or, with ``createPerModel``, one of each. Every model must be READY."""
    check_batch(body.modelIds, "modelIds")
    if studio.templates.find(workspace_id, body.templateId) is None:
        raise Refusal(
            404,
            "template_not_found",
            f"there is no template {body.templateId}: GET {wire.TEMPLATES_PATH} lists those there are",
        )
    groups = [[model_id] for model_id in body.modelIds] if body.createPerModel else [body.modelIds]
    ids = [studio.new_id() for _ in groups]
    now = studio.clock()

    def make(connection: Connection) -> list[rows.Project]:
        models = rows.models(connection, workspace_id, body.modelIds)
        _check_ready(body.modelIds, models)
        projects = [
            rows.Project(
                project_id=project_id,
                workspace_id=workspace_id,
                name=_name(body, [models[model_id].name for model_id in group]),
                template_id=body.templateId,
                created_at=now,
                model_ids=tuple(group),
            )
            for project_id, group in zip(ids, groups, strict=True)
        ]
        rows.add_projects(connection, projects)
        studio.events.projects_created(connection, projects, now)
        return projects

    made = await studio.records.write(make)
    studio.deliveries.wake(workspace_id)
    return Projects(
        projects=[
            Project(
                projectId=project.project_id,
                name=project.name,
                status=wire.PROJECT_PENDING,
                modelIds=list(project.model_ids),
                templateId=project.template_id,
            )
            for project in made
        ]
    )


def _check_ready(model_ids: list[str], models: dict[str, rows.Model]) -> None:
    missing = [model_id for model_id in model_ids if model_id not in models]
    if missing:
        raise Refusal(404, "model_not_found", f"there is no model {some(missing)} in this workspace")
    waiting = [models[model_id] for model_id in model_ids if models[model_id].status != wire.MODEL_READY]
    if waiting:
        named = some([f"{model.name!r} ({model.model_id}) is {model.status}" for model in waiting])
        raise Refusal(
            409, "model_not_ready", f"{named}: a project can be made only of models that are {wire.MODEL_READY}"
        )


def _name(body: CreateProjects, models: list[str]) -> str:
    if body.name is None:
        return ", ".join(models)[:1000]
    return f"{body.name} - {models[0]}" if body.createPerModel else body.name
