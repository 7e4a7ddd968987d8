"""What ``faults`` loses: it moves to a workspace that nobody has a key to, and is unknown everywhere at once."""

from __future__ import annotations

from sqlalchemy import Connection, update

from glossi_sync.studio.records.access import ensure_workspace
from glossi_sync.studio.records.tables import MODELS, RENDER_JOBS

LOST = "(lost)"
"""No name that a workspace can be given."""


def lose_model(connection: Connection, model_id: str, now: float) -> None:
    nowhere = ensure_workspace(connection, LOST, LOST, now)
    connection.execute(update(MODELS).where(MODELS.c.model_id == model_id).values(workspace_id=nowhere))


def lose_render_job(connection: Connection, job_id: str, now: float) -> None:
    nowhere = ensure_workspace(connection, LOST, LOST, now)
    connection.execute(update(RENDER_JOBS).where(RENDER_JOBS.c.job_id == job_id).values(workspace_id=nowhere))
