"""Jobs of the simple workflow, and how far each of their models is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from glossi_sync.service import wire
from glossi_sync.studio.records.tables import JOB_MODELS, JOBS, MODELS, PROJECTS, RENDER_JOBS, values_of


@dataclass(frozen=True, slots=True)
class Job:
    """A job's row. ``render_settings`` holds all six settings under their wire names; None: nothing is rendered."""

    job_id: str
    workspace_id: str
    template_id: str
    render_settings: dict[str, Any] | None
    status: wire.JobStatus
    created_at: float
    error_message: str | None = None
    confirmed_at: float | None = None
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class JobModel:
    """One model of a job, the project made of it, and the project's render job, as far as they are there."""

    model_id: str
    name: str
    file_name: str
    file_path: str
    confirmed_at: float | None
    status: wire.ModelStatus
    error_message: str | None
    project_id: str | None
    project_name: str | None
    render_job_id: str | None
    render_status: wire.RenderStatus | None
    render_error: str | None


def add_job(connection: Connection, job: Job, model_ids: Sequence[str]) -> None:
    """The models' own rows must be there."""
    connection.execute(insert(JOBS).values(**values_of(job, JOBS)))
    connection.execute(
        insert(JOB_MODELS),
        [{"job_id": job.job_id, "position": place, "model_id": model_id} for place, model_id in enumerate(model_ids)],
    )


def job(connection: Connection, workspace_id: str, job_id: str) -> Job | None:
    query = select(JOBS).where(JOBS.c.workspace_id == workspace_id, JOBS.c.job_id == job_id)
    return _job(connection.execute(query).one_or_none())


def job_of_model(connection: Connection, model_id: str) -> Job | None:
    """The job that the model was made for. A model has one at most."""
    return _job(
        connection.execute(select(JOBS).join(JOB_MODELS).where(JOB_MODELS.c.model_id == model_id)).one_or_none()
    )


def job_of_render(connection: Connection, render_job_id: str) -> Job | None:
    """The job that started the render job, if one did."""
    query = select(JOBS).join(JOB_MODELS).where(JOB_MODELS.c.render_job_id == render_job_id)
    return _job(connection.execute(query).one_or_none())


def _job(row: Row[Any] | None) -> Job | None:
    return None if row is None else Job(**row._mapping)


def job_models(connection: Connection, job_id: str, model_id: str | None = None) -> tuple[JobModel, ...]:
    """The job's models in the order in which they were asked for; or that one."""
    query = (
        select(
            MODELS.c.model_id,
            MODELS.c.name,
            MODELS.c.file_name,
            MODELS.c.file_path,
            MODELS.c.confirmed_at,
            MODELS.c.status,
            MODELS.c.error_message,
            PROJECTS.c.project_id,
            PROJECTS.c.name.label("project_name"),
            JOB_MODELS.c.render_job_id,
            RENDER_JOBS.c.status.label("render_status"),
            RENDER_JOBS.c.error_message.label("render_error"),
        )
        .select_from(JOB_MODELS)
        .join(MODELS, MODELS.c.model_id == JOB_MODELS.c.model_id)
        .outerjoin(PROJECTS, PROJECTS.c.project_id == JOB_MODELS.c.project_id)
        .outerjoin(RENDER_JOBS, RENDER_JOBS.c.job_id == JOB_MODELS.c.render_job_id)
        .where(JOB_MODELS.c.job_id == job_id)
        .order_by(JOB_MODELS.c.position)
    )
    if model_id is not None:
        query = query.where(JOB_MODELS.c.model_id == model_id)
    return tuple(JobModel(**row._mapping) for row in connection.execute(query))


def begin_job(connection: Connection, job_id: str, now: float) -> None:
    """Its files are there: it is PROCESSING."""
    connection.execute(update(JOBS).where(JOBS.c.job_id == job_id).values(status=wire.JOB_PROCESSING, confirmed_at=now))


def set_job_project(
    connection: Connection, job_id: str, model_id: str, project_id: str, render_job_id: str | None
) -> None:
    """What was made of one of the job's models."""
    connection.execute(
        update(JOB_MODELS)
        .where(JOB_MODELS.c.job_id == job_id, JOB_MODELS.c.model_id == model_id)
        .values(project_id=project_id, render_job_id=render_job_id)
    )


def is_settled(connection: Connection, job_id: str) -> bool:
    """Whether nothing is left to wait for: each model FAILED, or READY and its project there, its render at an end."""
    underway = or_(
        MODELS.c.status.in_([wire.MODEL_PENDING, wire.MODEL_ANALYZING]),
        and_(MODELS.c.status == wire.MODEL_READY, JOB_MODELS.c.project_id.is_(None)),
        RENDER_JOBS.c.status.in_([wire.RENDER_QUEUED, wire.RENDER_RENDERING]),
    )
    query = (
        select(JOB_MODELS.c.position)
        .join(MODELS, MODELS.c.model_id == JOB_MODELS.c.model_id)
        .outerjoin(RENDER_JOBS, RENDER_JOBS.c.job_id == JOB_MODELS.c.render_job_id)
        .where(JOB_MODELS.c.job_id == job_id, underway)
        # The last one is worked on last, and so is found at once for as long as there is anything to find.
        .order_by(JOB_MODELS.c.position.desc())
        .limit(1)
    )
    return connection.execute(query).first() is None


def finish_job(connection: Connection, job_id: str, now: float, error: str | None) -> None:
    """COMPLETE, or FAILED with the error's message."""
    status = wire.JOB_COMPLETE if error is None else wire.JOB_FAILED
    connection.execute(
        update(JOBS).where(JOBS.c.job_id == job_id).values(status=status, error_message=error, finished_at=now)
    )
