"""Records: what exists at the studio, in SQLite or any database that SQLAlchemy speaks to.

Tables, the rows read from them, and the questions and changes asked of them: plain functions over a ``Connection``, in
statements that SQLite and PostgreSQL both take, a file for each kind. ``Records`` runs them: reads each in a snapshot
of its own, writes together (see ``Records.write``). Statuses follow the guide's order:

    models   PENDING -> (confirmed) PENDING -> ANALYZING -> READY | FAILED
    renders  QUEUED -> RENDERING -> COMPLETED | FAILED;  FAILED -> (retry) QUEUED
    jobs     AWAITING_UPLOADS -> (confirmed) PROCESSING -> COMPLETE | FAILED

Every row belongs to a workspace, and every question names it: what is another workspace's does not exist.
"""

from glossi_sync.studio.records.access import (
    ApiKey,
    Workspace,
    add_key,
    api_keys,
    ensure_workspace,
    hash_of_key,
    keys,
    note_use,
    revoke_key,
    set_key,
    workspace,
    workspaces,
)
from glossi_sync.studio.records.database import Records, RecordsError
from glossi_sync.studio.records.delivery_rows import (
    Attempt,
    Delivery,
    NewDelivery,
    add_deliveries,
    deliveries,
    prune_deliveries,
    record_attempt,
    waiting_deliveries,
    workspaces_with_deliveries,
)
from glossi_sync.studio.records.job_rows import (
    Job,
    JobModel,
    add_job,
    begin_job,
    finish_job,
    is_settled,
    job,
    job_models,
    job_of_model,
    job_of_render,
    set_job_project,
)
from glossi_sync.studio.records.lost import lose_model, lose_render_job
from glossi_sync.studio.records.migrations import SCHEMA_VERSION
from glossi_sync.studio.records.model_rows import (
    MadeOfModel,
    Model,
    add_models,
    begin_analysis,
    confirm_model,
    finish_analysis,
    model_of_path,
    model_states,
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
from glossi_sync.studio.records.webhook_rows import Webhook, delete_webhook, put_webhook, webhook

__all__ = [
    "SCHEMA_VERSION",
    "ApiKey",
    "Attempt",
    "Delivery",
    "Job",
    "JobModel",
    "MadeOfModel",
    "Model",
    "NewDelivery",
    "Project",
    "Records",
    "RecordsError",
    "Render",
    "RenderJob",
    "Webhook",
    "Workspace",
    "add_deliveries",
    "add_job",
    "add_key",
    "add_models",
    "add_projects",
    "add_render_jobs",
    "api_keys",
    "begin_analysis",
    "begin_job",
    "begin_render",
    "complete_render",
    "confirm_model",
    "delete_webhook",
    "deliveries",
    "ensure_workspace",
    "fail_render",
    "finish_analysis",
    "finish_job",
    "hash_of_key",
    "is_settled",
    "job",
    "job_models",
    "job_of_model",
    "job_of_render",
    "keys",
    "known_projects",
    "lose_model",
    "lose_render_job",
    "model_of_path",
    "model_states",
    "models",
    "note_use",
    "project",
    "prune_deliveries",
    "put_webhook",
    "record_attempt",
    "render_job",
    "renders",
    "requeue_render",
    "revoke_key",
    "set_job_project",
    "set_key",
    "unfinished_models",
    "unfinished_renders",
    "waiting_deliveries",
    "webhook",
    "workspace",
    "workspaces",
    "workspaces_with_deliveries",
]
