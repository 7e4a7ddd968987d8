"""Projects: models on a template."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select

from glossi_sync.studio.records.tables import PROJECT_MODELS, PROJECTS, values_of


@dataclass(frozen=True, slots=True)
class Project:
    project_id: str
    workspace_id: str
    name: str
    template_id: str
    created_at: float
    model_ids: tuple[str, ...]


def add_projects(connection: Connection, projects: Sequence[Project]) -> None:
    connection.execute(insert(PROJECTS), [values_of(project, PROJECTS) for project in projects])
    connection.execute(
        insert(PROJECT_MODELS),
        [
            {"project_id": project.project_id, "position": position, "model_id": model_id}
            for project in projects
            for position, model_id in enumerate(project.model_ids)
        ],
    )


def known_projects(connection: Connection, workspace_id: str, project_ids: Iterable[str]) -> set[str]:
    query = select(PROJECTS.c.project_id).where(
        PROJECTS.c.workspace_id == workspace_id, PROJECTS.c.project_id.in_(list(project_ids))
    )
    return set(connection.scalars(query))


def project(connection: Connection, project_id: str) -> Project:
    row = connection.execute(select(PROJECTS).where(PROJECTS.c.project_id == project_id)).one()
    members = (
        select(PROJECT_MODELS.c.model_id)
        .where(PROJECT_MODELS.c.project_id == project_id)
        .order_by(PROJECT_MODELS.c.position)
    )
    return Project(**row._mapping, model_ids=tuple(connection.scalars(members)))
