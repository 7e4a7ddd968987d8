"""Render jobs and their finished files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, insert, select, update

from glossi_sync.service import wire
from glossi_sync.studio.records.model_rows import Model, models
from glossi_sync.studio.records.project_rows import Project, project
from glossi_sync.studio.records.tables import RENDER_JOBS, RENDERS, values_of


@dataclass(frozen=True, slots=True)
class RenderJob:
    """A render job's row; ``settings`` holds all six settings under their wire names."""

    job_id: str
    workspace_id: str
    project_id: str
    batch_id: str
    settings: dict[str, Any]
    status: wire.RenderStatus
    created_at: float
    queued_at: float
    error_message: str | None = None
    started_at: float | None = None
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class Render:
    """One finished file of a job; ``file_path`` is its key in storage."""

    render_id: str
    name: str
    file_path: str
    file_type: str
    is_video: bool


def add_render_jobs(connection: Connection, jobs: Sequence[RenderJob]) -> None:
    connection.execute(insert(RENDER_JOBS), [values_of(job, RENDER_JOBS) for job in jobs])


def render_job(connection: Connection, workspace_id: str, job_id: str) -> RenderJob | None:
    query = select(RENDER_JOBS).where(RENDER_JOBS.c.workspace_id == workspace_id, RENDER_JOBS.c.job_id == job_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else RenderJob(**row._mapping)


def renders(connection: Connection, job_id: str) -> tuple[Render, ...]:
    """A job's finished files, in the order in which the engine named them."""
    query = select(RENDERS).where(RENDERS.c.job_id == job_id).order_by(RENDERS.c.position)
    return tuple(
        Render(row.render_id, row.name, row.file_path, row.file_type, row.is_video) for row in connection.execute(query)
    )


def requeue_render(connection: Connection, job_id: str, batch_id: str, now: float) -> None:
    """A FAILED job waits again, in a new batch (guide, "Retrying Failed Renders")."""
    connection.execute(
        update(RENDER_JOBS)
        .where(RENDER_JOBS.c.job_id == job_id)
        .values(
            status=wire.RENDER_QUEUED,
            batch_id=batch_id,
            queued_at=now,
            error_message=None,
            started_at=None,
            finished_at=None,
        )
    )


def begin_render(
    connection: Connection, job_id: str, now: float
) -> tuple[RenderJob, Project, tuple[Model, ...]] | None:
    """Take an unfinished job up (again): it is RENDERING. None where there is nothing to do for it.

    Of the project's models those that are still there.
    """
    unfinished = RENDER_JOBS.c.status.in_([wire.RENDER_QUEUED, wire.RENDER_RENDERING])
    changed = connection.execute(
        update(RENDER_JOBS)
        .where(RENDER_JOBS.c.job_id == job_id, unfinished)
        .values(status=wire.RENDER_RENDERING, started_at=now)
    )
    if not changed.rowcount:
        return None
    row = connection.execute(select(RENDER_JOBS).where(RENDER_JOBS.c.job_id == job_id)).one()
    job = RenderJob(**row._mapping)
    of = project(connection, job.project_id)
    known = models(connection, job.workspace_id, of.model_ids)
    return job, of, tuple(known[model_id] for model_id in of.model_ids if model_id in known)


def complete_render(connection: Connection, job_id: str, now: float, files: Sequence[Render]) -> RenderJob | None:
    """The files' rows and COMPLETED appear together. None where it is not RENDERING, and nothing was changed."""
    job = _end(connection, job_id, status=wire.RENDER_COMPLETED, finished_at=now)
    if job is not None and files:
        connection.execute(
            insert(RENDERS),
            [
                {**values_of(file, RENDERS), "job_id": job_id, "position": position}
                for position, file in enumerate(files)
            ],
        )
    return job


def fail_render(connection: Connection, job_id: str, now: float, error: str) -> RenderJob | None:
    """FAILED with the error's message. None where it is not RENDERING, and nothing was changed."""
    return _end(connection, job_id, status=wire.RENDER_FAILED, error_message=error, finished_at=now)


def _end(connection: Connection, job_id: str, **values: Any) -> RenderJob | None:
    # What follows from a job's end must follow once.
    of = RENDER_JOBS.c.job_id == job_id
    changed = connection.execute(
        update(RENDER_JOBS).where(of, RENDER_JOBS.c.status == wire.RENDER_RENDERING).values(**values)
    )
    if not changed.rowcount:
        return None
    return RenderJob(**connection.execute(select(RENDER_JOBS).where(of)).one()._mapping)


def unfinished_renders(connection: Connection) -> tuple[str, ...]:
    """What a restart takes up again: ids of render jobs, longest waiting first."""
    waiting: Select[Any] = (
        select(RENDER_JOBS.c.job_id)
        .where(RENDER_JOBS.c.status.in_([wire.RENDER_QUEUED, wire.RENDER_RENDERING]))
        .order_by(RENDER_JOBS.c.queued_at, RENDER_JOBS.c.job_id)
    )
    return tuple(connection.scalars(waiting))
