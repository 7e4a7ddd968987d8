"""Jobs: what the simple workflow does by itself (service-facts, Jobs).

    AWAITING_UPLOADS ──confirm──> PROCESSING ──────────────────────────────> COMPLETE
                                  each of its models, on its own:     └────> FAILED, if any of them or of their renders
                                  analysed -> project -> render job

A step is taken in the very transaction that makes it due: a model becomes READY, its project and its render job appear,
all three or none; with the last of a job's models the job is finished. So there is nothing between two steps that a
kill could lose or do twice, and a restart takes a job up by taking up its models and its render jobs.

A model that fails costs the others nothing: they are rendered to the end, and the job then is FAILED, says which one
failed and why, and shows the others' results.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.events import Events

_NAMED_FAILURES = 5


@dataclass(frozen=True, slots=True)
class Jobs:
    """Takes the steps. Each method runs in its caller's transaction and returns the ids of the render jobs that it
    queued, which the caller gives to ``Work`` once they are committed. ``now``: epoch seconds."""

    events: Events
    new_id: Callable[[], str]

    def confirm(self, connection: Connection, job: rows.Job, now: float) -> tuple[str, ...]:
        """Its files are all there: the job begins. Its models must be confirmed by then."""
        rows.begin_job(connection, job.job_id, now)
        return self._advance(connection, job, rows.job_models(connection, job.job_id), now)

    def model_finished(self, connection: Connection, model_id: str, now: float) -> tuple[str, ...]:
        """A model is READY or FAILED; most belong to no job."""
        job = rows.job_of_model(connection, model_id)
        if job is None or job.status != wire.JOB_PROCESSING:
            return ()
        return self._advance(connection, job, rows.job_models(connection, job.job_id, model_id), now)

    def render_finished(self, connection: Connection, render_job_id: str, now: float) -> None:
        """A render job is COMPLETED or FAILED; most belong to no job."""
        job = rows.job_of_render(connection, render_job_id)
        if job is not None and job.status == wire.JOB_PROCESSING:
            self._advance(connection, job, (), now)

    def _advance(
        self, connection: Connection, job: rows.Job, models: Sequence[rows.JobModel], now: float
    ) -> tuple[str, ...]:
        # A model is given to this once: when the job begins or, later, when the model comes to its end.
        due = [model for model in models if model.status == wire.MODEL_READY]
        queued = self._make_projects(connection, job, due, now) if due else ()
        if rows.is_settled(connection, job.job_id):
            self._finish(connection, job, now)
        return queued

    def _make_projects(
        self, connection: Connection, job: rows.Job, models: Sequence[rows.JobModel], now: float
    ) -> tuple[str, ...]:
        projects = [
            rows.Project(
                project_id=self.new_id(),
                workspace_id=job.workspace_id,
                name=model.name,
                template_id=job.template_id,
                created_at=now,
                model_ids=(model.model_id,),
            )
            for model in models
        ]
        renders: list[rows.RenderJob] = []
        if job.render_settings is not None:
            renders = [
                rows.RenderJob(
                    job_id=self.new_id(),
                    workspace_id=job.workspace_id,
                    project_id=project.project_id,
                    batch_id=job.job_id,
                    settings=job.render_settings,
                    status=wire.RENDER_QUEUED,
                    created_at=now,
                    queued_at=now,
                )
                for project in projects
            ]
        rows.add_projects(connection, projects)
        self.events.projects_created(connection, projects, now)
        if renders:
            rows.add_render_jobs(connection, renders)
        for place, (model, project) in enumerate(zip(models, projects, strict=True)):
            render_job_id = renders[place].job_id if renders else None
            rows.set_job_project(connection, job.job_id, model.model_id, project.project_id, render_job_id)
        return tuple(render.job_id for render in renders)

    def _finish(self, connection: Connection, job: rows.Job, now: float) -> None:
        models = rows.job_models(connection, job.job_id)
        error = _failures(models)
        rows.finish_job(connection, job.job_id, now, error)
        self.events.job_finished(connection, job, results_of(models), error, now)


def results_of(models: Sequence[rows.JobModel]) -> list[wire.JobResult]:
    """What was made of a job's models so far."""
    results: list[wire.JobResult] = []
    for model in models:
        if model.project_id is None or model.project_name is None:
            continue
        result = wire.JobResult(
            model=wire.JobResultPart(id=model.model_id, name=model.name),
            project=wire.JobResultPart(id=model.project_id, name=model.project_name),
        )
        if model.render_job_id is not None and model.render_status is not None:
            result["render"] = wire.JobResultRender(jobId=model.render_job_id, status=model.render_status)
        results.append(result)
    return results


def _failures(models: Sequence[rows.JobModel]) -> str | None:
    """Which of a job's models failed, and why, in a sentence; None where all is well."""
    failed: list[str] = []
    for model in models:
        which = f"the model {model.name!r} ({model.model_id})"
        if model.status == wire.MODEL_FAILED:
            failed.append(f"{which} could not be processed: {model.error_message}")
        elif model.render_status == wire.RENDER_FAILED:
            failed.append(f"{which} could not be rendered: {model.render_error}")
    if not failed:
        return None
    more = len(failed) - _NAMED_FAILURES
    named = "; ".join(failed[:_NAMED_FAILURES]) + (f"; and {more:,} more" if more > 0 else "")
    return f"{len(failed):,} of {len(models):,} models failed: {named}"
