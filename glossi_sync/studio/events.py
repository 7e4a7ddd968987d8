"""Events: what a workspace's webhook is told, spelled as the guide spells it ("Webhook Payloads").

An event is told in the transaction that makes it true: it becomes a delivery's row, or nothing where the workspace has
no webhook that asked for it. ``delivering`` sends what lies there. Times: epoch seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy import Connection

from glossi_sync.service import wire
from glossi_sync.service.signature import stringify
from glossi_sync.studio import records as rows


def timestamp(seconds: float) -> str:
    """``2025-01-15T10:30:00.000Z``."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True, slots=True)
class Events:
    """Tells the seven events.

    Attributes:
        new_id: makes a delivery's id.
        origin: what addresses of files begin with: ``https://studio.example``. Empty: they are relative.
    """

    new_id: Callable[[], str]
    origin: str

    def model_finished(self, connection: Connection, model: rows.Model, now: float) -> None:
        """``model.processed`` or ``model.failed``."""
        if model.status == wire.MODEL_READY:
            processed = wire.ModelProcessed(
                modelId=model.model_id,
                name=model.name,
                status="READY",
                glbFilePath=self._url(model.glb_path or model.file_path),
            )
            if model.thumbnail_path is not None:
                processed["thumbnailUrl"] = self._url(model.thumbnail_path)
            self._tell(connection, model.workspace_id, "model.processed", [processed], now)
        else:
            failed = wire.ModelFailed(
                modelId=model.model_id, name=model.name, status="FAILED", errorMessage=model.error_message or ""
            )
            self._tell(connection, model.workspace_id, "model.failed", [failed], now)

    def projects_created(self, connection: Connection, projects: Sequence[rows.Project], now: float) -> None:
        """``project.created`` for each; all are of one workspace."""
        told = [
            wire.Project(
                projectId=project.project_id,
                name=project.name,
                status=wire.PROJECT_PENDING,
                modelIds=list(project.model_ids),
                templateId=project.template_id,
            )
            for project in projects
        ]
        self._tell(connection, projects[0].workspace_id, "project.created", told, now)

    def render_finished(
        self, connection: Connection, job: rows.RenderJob, files: Sequence[rows.Render], now: float
    ) -> None:
        """``render.complete`` or ``render.failed``."""
        if job.status == wire.RENDER_COMPLETED:
            complete = wire.RenderComplete(
                jobId=job.job_id,
                status="COMPLETED",
                projectId=job.project_id,
                renderIds=[file.render_id for file in files],
            )
            self._tell(connection, job.workspace_id, "render.complete", [complete], now)
        else:
            failed = wire.RenderFailed(
                jobId=job.job_id, status="FAILED", projectId=job.project_id, errorMessage=job.error_message or ""
            )
            self._tell(connection, job.workspace_id, "render.failed", [failed], now)

    def job_finished(
        self, connection: Connection, job: rows.Job, results: list[wire.JobResult], error: str | None, now: float
    ) -> None:
        """``job.complete``, or ``job.failed`` with the error's message."""
        if error is None:
            complete = wire.JobComplete(jobId=job.job_id, status="COMPLETE", results=results)
            self._tell(connection, job.workspace_id, "job.complete", [complete], now)
        else:
            failed = wire.JobFailed(jobId=job.job_id, status="FAILED", errorMessage=error, results=results)
            self._tell(connection, job.workspace_id, "job.failed", [failed], now)

    def _url(self, file_path: str) -> str:
        return f"{self.origin}{wire.API_PREFIX}{wire.FILES_PATH.replace('{filePath}', quote(file_path))}"

    def _tell(
        self,
        connection: Connection,
        workspace_id: str,
        event: wire.EventName,
        told: Sequence[Mapping[str, Any]],
        now: float,
    ) -> None:
        hook = rows.webhook(connection, workspace_id)
        if hook is None or not hook.enabled or event not in hook.events:
            return
        at = timestamp(now)
        new = [
            rows.NewDelivery(
                delivery_id=self.new_id(),
                workspace_id=workspace_id,
                webhook_id=hook.webhook_id,
                event=event,
                # As the guide's JavaScript spells a payload when it verifies the signature.
                body=stringify({"event": event, "timestamp": at, "data": data}),
            )
            for data in told
        ]
        rows.add_deliveries(connection, new, now)
