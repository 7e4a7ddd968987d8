"""Renders: jobs, their status, their files, and retries (guide, Steps 4 and 5)."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from sqlalchemy import Connection

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Body, Id, ManyIds, TheStudio, TheWorkspace, check_batch, some
from glossi_sync.studio.api.errors import Refusal, documented

router = APIRouter(tags=["renders"])


def _whole(number: object) -> object:
    # In JSON 2.0 is the same number as 2.
    return int(number) if isinstance(number, float) and number.is_integer() else number


Quality = Annotated[int, Field(ge=0, le=2), BeforeValidator(_whole)]


class RenderSettings(Body):
    """The six settings and their defaults. Here a field that is not documented is refused, because a slip in a name
    would not show before the wrong pictures were there."""

    model_config = ConfigDict(strict=True, extra="forbid")

    renderBookmarks: bool = True
    renderShots: bool = True
    renderVariants: bool = True
    imageQuality: Quality = 1
    videoQuality: Quality = 1
    videoResolution: Quality = 1


class StartRenders(Body):
    projectIds: ManyIds
    settings: RenderSettings = RenderSettings()


class QueuedRender(BaseModel):
    jobId: str
    status: wire.RenderStatus
    projectId: str


class QueuedRenders(BaseModel):
    jobs: list[QueuedRender]
    totalProjects: int


class RenderedFile(BaseModel):
    id: str
    name: str
    filePath: str
    fileType: str
    isVideo: bool


class RenderJob(BaseModel):
    jobId: str
    status: wire.RenderStatus
    projectId: str
    renders: list[RenderedFile] | None = None
    errorMessage: str | None = None


class RetriedRender(BaseModel):
    jobId: str
    status: wire.RenderStatus
    projectId: str
    batchId: str


@router.post(
    wire.RENDERS_PATH, responses=documented(_404="No such project.", _413="Too many projects for one request.")
)
async def start_renders(body: StartRenders, studio: TheStudio, workspace_id: TheWorkspace) -> QueuedRenders:
    """Queue one job for each project, all with the same settings."""
    check_batch(body.projectIds, "projectIds")
    batch_id = studio.new_id()
    now = studio.clock()
    jobs = [
        rows.RenderJob(
            job_id=studio.new_id(),
            workspace_id=workspace_id,
            project_id=project_id,
            batch_id=batch_id,
            settings=body.settings.model_dump(),
            status=wire.RENDER_QUEUED,
            created_at=now,
            queued_at=now,
        )
        for project_id in body.projectIds
    ]

    def queue(connection: Connection) -> None:
        known = rows.known_projects(connection, workspace_id, body.projectIds)
        missing = [project_id for project_id in body.projectIds if project_id not in known]
        if missing:
            raise Refusal(404, "project_not_found", f"there is no project {some(missing)} in this workspace")
        rows.add_render_jobs(connection, jobs)

    await studio.records.write(queue)
    for job in jobs:
        studio.work.add_render(job.job_id)
    return QueuedRenders(
        jobs=[QueuedRender(jobId=job.job_id, status=wire.RENDER_QUEUED, projectId=job.project_id) for job in jobs],
        totalProjects=len(jobs),
    )


@router.get(
    wire.RENDER_PATH,
    response_model_exclude_none=True,
    responses=documented(_404="No such job."),
)
async def render_status(
    job_id: Annotated[Id, Path(alias="jobId")], studio: TheStudio, workspace_id: TheWorkspace
) -> RenderJob:
    """How far a job is: its files where it is COMPLETED, the reason where it is FAILED."""

    def look(connection: Connection) -> tuple[rows.RenderJob, tuple[rows.Render, ...]]:
        job = _find(connection, workspace_id, job_id)
        return job, rows.renders(connection, job_id) if job.status == wire.RENDER_COMPLETED else ()

    job, files = await studio.records.read(look)
    return RenderJob(
        jobId=job.job_id,
        status=job.status,
        projectId=job.project_id,
        renders=[
            RenderedFile(
                id=file.render_id,
                name=file.name,
                filePath=file.file_path,
                fileType=file.file_type,
                isVideo=file.is_video,
            )
            for file in files
        ]
        if job.status == wire.RENDER_COMPLETED
        else None,
        errorMessage=job.error_message,
    )


@router.post(
    wire.RENDER_RETRY_PATH,
    responses=documented(_404="No such job.", _409="The job is not FAILED."),
)
async def retry_render(
    job_id: Annotated[Id, Path(alias="jobId")], studio: TheStudio, workspace_id: TheWorkspace
) -> RetriedRender:
    """Queue a FAILED job again, in a new batch."""
    batch_id = studio.new_id()
    now = studio.clock()

    def requeue(connection: Connection) -> rows.RenderJob:
        job = _find(connection, workspace_id, job_id)
        if job.status != wire.RENDER_FAILED:
            raise Refusal(
                409,
                "render_not_failed",
                f"the job {job_id} is {job.status}: only a job that is {wire.RENDER_FAILED} can be retried",
            )
        rows.requeue_render(connection, job_id, batch_id, now)
        return job

    job = await studio.records.write(requeue)
    studio.work.add_render(job_id)
    return RetriedRender(jobId=job_id, status=wire.RENDER_QUEUED, projectId=job.project_id, batchId=batch_id)


def _find(connection: Connection, workspace_id: str, job_id: str) -> rows.RenderJob:
    job = rows.render_job(connection, workspace_id, job_id)
    if job is None:
        raise Refusal(404, "render_not_found", f"there is no render job {job_id} in this workspace")
    return job
