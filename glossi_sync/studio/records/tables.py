"""The tables, as SQLite and PostgreSQL both take them. What changes here needs a step in ``migrations``."""

from __future__ import annotations

from typing import Any

import sqlalchemy
from sqlalchemy import JSON, Boolean, Column, Double, ForeignKey, Index, Integer, MetaData, String, Table, TypeDecorator

metadata = MetaData()


class Text(TypeDecorator[str]):
    """Text of any content and length, such as a message that quotes a broken file. What a database does not take (NUL
    in PostgreSQL, half of a surrogate pair anywhere) is kept as Python spells it: ``\\x00``."""

    impl = sqlalchemy.Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Any) -> str | None:
        if value is None or (value.isprintable() and value.isascii()):
            return value
        return value.replace("\0", "\\x00").encode("utf-8", "backslashreplace").decode()


META = Table("meta", metadata, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False))

WORKSPACES = Table(
    "workspaces",
    metadata,
    Column("workspace_id", String(36), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
)

API_KEYS = Table(
    "api_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.workspace_id"), nullable=False, index=True),
    Column("label", String(100), nullable=False),
    Column("created_at", Double, nullable=False),
    Column("key_id", String(36)),
    Column("last_used_at", Double),
)

MODELS = Table(
    "models",
    metadata,
    Column("model_id", String(36), primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.workspace_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("file_type", String(10), nullable=False),
    Column("file_path", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("error_message", Text),
    Column("facts", JSON),
    Column("created_at", Double, nullable=False),
    Column("confirmed_at", Double),
    Column("finished_at", Double),
    Column("thumbnail_path", Text),
    Column("glb_path", Text),
    Index("models_by_status", "status", "confirmed_at"),
    Index("models_by_age", "workspace_id", "created_at", "model_id"),
)

PROJECTS = Table(
    "projects",
    metadata,
    Column("project_id", String(36), primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.workspace_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("template_id", String(200), nullable=False),
    Column("created_at", Double, nullable=False),
    Index("projects_by_age", "workspace_id", "created_at", "project_id"),
)

PROJECT_MODELS = Table(
    "project_models",
    metadata,
    Column("project_id", ForeignKey("projects.project_id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("model_id", ForeignKey("models.model_id"), nullable=False, index=True),
)

RENDER_JOBS = Table(
    "render_jobs",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.workspace_id"), nullable=False),
    Column("project_id", ForeignKey("projects.project_id"), nullable=False, index=True),
    Column("batch_id", String(36), nullable=False, index=True),
    Column("settings", JSON, nullable=False),
    Column("status", String(20), nullable=False),
    Column("error_message", Text),
    Column("created_at", Double, nullable=False),
    Column("queued_at", Double, nullable=False),
    Column("started_at", Double),
    Column("finished_at", Double),
    Index("render_jobs_by_status", "status", "queued_at"),
    Index("render_jobs_by_age", "workspace_id", "created_at", "job_id"),
)

RENDERS = Table(
    "renders",
    metadata,
    Column("render_id", String(36), primary_key=True),
    Column("job_id", ForeignKey("render_jobs.job_id"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("name", Text, nullable=False),
    Column("file_path", Text, nullable=False),
    Column("file_type", String(20), nullable=False),
    Column("is_video", Boolean, nullable=False),
    Index("renders_by_job", "job_id", "position", unique=True),
)

JOBS = Table(
    "jobs",
    metadata,
    Column("job_id", String(36), primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.workspace_id"), nullable=False),
    Column("template_id", String(200), nullable=False),
    Column("render_settings", JSON(none_as_null=True)),
    Column("status", String(20), nullable=False),
    Column("error_message", Text),
    Column("created_at", Double, nullable=False),
    Column("confirmed_at", Double),
    Column("finished_at", Double),
)

JOB_MODELS = Table(
    "job_models",
    metadata,
    Column("job_id", ForeignKey("jobs.job_id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("model_id", ForeignKey("models.model_id"), nullable=False, unique=True),
    Column("project_id", ForeignKey("projects.project_id")),
    Column("render_job_id", ForeignKey("render_jobs.job_id"), unique=True),
)

WEBHOOKS = Table(
    "webhooks",
    metadata,
    Column("workspace_id", ForeignKey("workspaces.workspace_id"), primary_key=True),
    Column("webhook_id", String(36), nullable=False, unique=True),
    Column("url", Text, nullable=False),
    Column("secret", String(100), nullable=False),
    Column("events", JSON, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("description", Text),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
)

DELIVERIES = Table(
    "deliveries",
    metadata,
    # In the order in which things happened; a number is never given twice.
    Column("number", Integer, primary_key=True),
    Column("delivery_id", String(36), nullable=False, unique=True),
    Column("workspace_id", ForeignKey("workspaces.workspace_id"), nullable=False),
    Column("webhook_id", String(36), nullable=False),
    Column("event", String(40), nullable=False),
    Column("body", Text, nullable=False),
    Column("status", String(20), nullable=False),
    Column("attempts", JSON, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("due_at", Double, nullable=False),
    Column("finished_at", Double),
    Index("deliveries_by_status", "status", "workspace_id", "due_at"),
    Index("deliveries_by_workspace", "workspace_id", "number"),
    sqlite_autoincrement=True,
)


def values_of(row: Any, table: Table) -> dict[str, Any]:
    """A row of ours as a table's columns."""
    return {column.name: getattr(row, column.name) for column in table.columns if hasattr(row, column.name)}
