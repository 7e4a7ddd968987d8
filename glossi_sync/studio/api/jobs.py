"""Jobs: the simple workflow: models, projects and renders in one (service-facts, Jobs)."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Annotated, Self

from fastapi import APIRouter, Path, Request
from pydantic import BaseModel, ConfigDict, Field, model_validator
from sqlalchemy import Connection

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Body, Id, Studio, Text, TheStudio, TheWorkspace, check_length
from glossi_sync.studio.api.errors import Refusal, documented
from glossi_sync.studio.api.renders import RenderSettings
from glossi_sync.studio.api.uploads import new_model, settled_uploads, upload_urls
from glossi_sync.studio.jobs import results_of

router = APIRouter(tags=["jobs"])


class NewJobModel(Body):
    fileName: Text
    fileType: wire.FileType
    name: Text | None = None


class CreateJob(Body):
    model_config = ConfigDict(
        strict=True,
        json_schema_extra={
            "anyOf": [
                {"required": ["createProjects"], "properties": {"createProjects": {"const": True}}},
                {"required": ["renderSettings"], "properties": {"renderSettings": {"type": "object"}}},
            ]
        },
    )

    models: Annotated[list[NewJobModel], Field(min_length=1)]
    templateId: Id
    createProjects: bool = False
    renderSettings: RenderSettings | None = None

    @model_validator(mode="after")
    def _makes_something(self) -> Self:
        if not self.createProjects and self.renderSettings is None:
            raise ValueError("either createProjects must be true, or renderSettings must be given")
        return self


class CreatedJobModel(BaseModel):
    id: str
    fileName: str
    uploadUrl: str
    uploadKey: str


class CreatedJob(BaseModel):
    jobId: str
    status: wire.JobStatus
    models: list[CreatedJobModel]


class JobModelState(BaseModel):
    id: str
    name: str
    fileName: str
    status: wire.ModelStatus
    errorMessage: str | None = None


class JobResultPart(BaseModel):
    id: str
    name: str


class JobResultRender(BaseModel):
    jobId: str
    status: wire.RenderStatus


class JobResult(BaseModel):
    model: JobResultPart
    project: JobResultPart
    render: JobResultRender | None = None


class Job(BaseModel):
    jobId: str
    status: wire.JobStatus
    models: list[JobModelState]
    results: list[JobResult]
    errorMessage: str | None = None


@router.post(wire.JOBS_PATH, responses=documented(_404="No such template.", _413="Too many models for one request."))
async def create_job(body: CreateJob, request: Request, studio: TheStudio, workspace_id: TheWorkspace) -> CreatedJob:
    """Make a record for each model, and a signed URL to upload its file to. Confirmed, the job makes a project of each
    and, with ``renderSettings``, renders it."""
    check_length(len(body.models), "models")
    if studio.templates.find(workspace_id, body.templateId) is None:
        raise Refusal(
            404,
            "template_not_found",
            f"there is no template {body.templateId}: GET {wire.TEMPLATES_PATH} lists those there are",
        )
    now = studio.clock()
    job = rows.Job(
        job_id=studio.new_id(),
        workspace_id=workspace_id,
        template_id=body.templateId,
        render_settings=None if body.renderSettings is None else body.renderSettings.model_dump(),
        status=wire.JOB_AWAITING_UPLOADS,
        created_at=now,
    )
    models = [
        new_model(
            studio.new_id(), workspace_id, now, name=_name(model), file_name=model.fileName, file_type=model.fileType
        )
        for model in body.models
    ]
    urls = await upload_urls(studio, request, models)

    def add(connection: Connection) -> None:
        rows.add_models(connection, models)
        rows.add_job(connection, job, [model.model_id for model in models])

    await studio.records.write(add)
    return CreatedJob(
        jobId=job.job_id,
        status=job.status,
        models=[
            CreatedJobModel(
                id=model.model_id, fileName=model.file_name, uploadUrl=upload_url, uploadKey=model.file_path
            )
            for model, upload_url in zip(models, urls, strict=True)
        ],
    )


def _name(model: NewJobModel) -> str:
    """Without a name of its own, a model is called as its file is."""
    return model.name or PurePosixPath(model.fileName.replace("\\", "/")).stem or model.fileName


@router.post(
    wire.JOB_CONFIRM_PATH,
    response_model_exclude_none=True,
    responses=documented(_404="No such job.", _409="A file was not uploaded.", _413="A file is too large."),
)
async def confirm_job(job_id: Annotated[Id, Path(alias="jobId")], studio: TheStudio, workspace_id: TheWorkspace) -> Job:
    """Finish the uploads, all of the job's: the files are final, and the job begins. To confirm again changes
    nothing."""
    now = studio.clock()

    def look(connection: Connection) -> tuple[rows.Job, list[rows.Model]]:
        job = _find(connection, workspace_id, job_id)
        ids = [model.model_id for model in rows.job_models(connection, job_id)]
        return job, list(rows.models(connection, workspace_id, ids).values())

    def begin(connection: Connection) -> tuple[list[str], tuple[str, ...]]:
        """The models to be analysed, and the jobs to be rendered. Of two confirmations at once, one begins it."""
        job = _find(connection, workspace_id, job_id)
        if job.status != wire.JOB_AWAITING_UPLOADS:
            return [], ()
        unconfirmed = [model.model_id for model in rows.job_models(connection, job_id) if model.confirmed_at is None]
        for model_id in unconfirmed:
            rows.confirm_model(connection, model_id, now)
        return unconfirmed, studio.jobs.confirm(connection, job, now)

    job, models = await studio.records.read(look)
    if job.status == wire.JOB_AWAITING_UPLOADS:
        async with settled_uploads(studio, workspace_id, models):
            confirmed, queued = await studio.records.write(begin)
            for model_id in confirmed:
                studio.work.add_model(model_id)
            for render_job_id in queued:
                studio.work.add_render(render_job_id)
        studio.deliveries.wake(workspace_id)
    return await _shown(studio, workspace_id, job_id)


@router.get(wire.JOB_PATH, response_model_exclude_none=True, responses=documented(_404="No such job."))
async def job_status(job_id: Annotated[Id, Path(alias="jobId")], studio: TheStudio, workspace_id: TheWorkspace) -> Job:
    """How far a job is: its models, what was made of them so far, and the reason where it is FAILED."""
    return await _shown(studio, workspace_id, job_id)


async def _shown(studio: Studio, workspace_id: str, job_id: str) -> Job:
    def look(connection: Connection) -> tuple[rows.Job, tuple[rows.JobModel, ...]]:
        return _find(connection, workspace_id, job_id), rows.job_models(connection, job_id)

    job, models = await studio.records.read(look)
    return Job(
        jobId=job.job_id,
        status=job.status,
        models=[
            JobModelState(
                id=model.model_id,
                name=model.name,
                fileName=model.file_name,
                status=model.status,
                errorMessage=model.error_message,
            )
            for model in models
        ],
        results=[JobResult.model_validate(result) for result in results_of(models)],
        errorMessage=job.error_message,
    )


def _find(connection: Connection, workspace_id: str, job_id: str) -> rows.Job:
    job = rows.job(connection, workspace_id, job_id)
    if job is None:
        raise Refusal(404, "job_not_found", f"there is no job {job_id} in this workspace")
    return job
