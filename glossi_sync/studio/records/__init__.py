"""Records: what exists at the studio, in SQLite or any database that SQLAlchemy speaks to.

Tables, the rows read from them, and the questions and changes asked of them: plain functions over a ``Connection``, in
statements that SQLite and PostgreSQL both take, a file for each kind. ``Records`` runs them: reads each in a snapshot
of its own, writes together (see ``Records.write``). Statuses follow the guide's order:

    models   PENDING -> (confirmed) PENDING -> ANALYZING -> READY | FAILED
    renders  QUEUED -> RENDERING -> COMPLETED | FAILED;  FAILED -> (retry) QUEUED

Every row belongs to a workspace, and every question names it: what is another workspace's does not exist.
"""

from glossi_sync.studio.records.access import ensure_workspace, hash_of_key, keys, set_key
from glossi_sync.studio.records.database import Records, RecordsError, Runner, in_thread
from glossi_sync.studio.records.model_rows import (
    Model,
    add_models,
    begin_analysis,
    confirm_model,
    finish_analysis,
    model_of_path,
    models,
    unfinished_models,
)
from glossi_sync.studio.records.project_rows import Project, add_projects, known_projects, project
from glossi_sync.studio.records.render_rows import (
    Render,
    RenderJob,
    add_render_jobs,
    begin_render,
    complete_render,
    fail_render,
    render_job,
    renders,
    requeue_render,
    unfinished_renders,
)
from glossi_sync.studio.records.tables import SCHEMA_VERSION
from glossi_sync.studio.records.webhook_rows import Webhook, delete_webhook, put_webhook, webhook

__all__ = [
    "SCHEMA_VERSION",
    "Model",
    "Project",
    "Records",
    "RecordsError",
    "Render",
    "RenderJob",
    "Runner",
    "Webhook",
    "add_models",
    "add_projects",
    "add_render_jobs",
    "begin_analysis",
    "begin_render",
    "complete_render",
    "confirm_model",
    "delete_webhook",
    "ensure_workspace",
    "fail_render",
    "finish_analysis",
    "hash_of_key",
    "in_thread",
    "keys",
    "known_projects",
    "model_of_path",
    "models",
    "project",
    "put_webhook",
    "render_job",
    "renders",
    "requeue_render",
    "set_key",
    "unfinished_models",
    "unfinished_renders",
    "webhook",
]
