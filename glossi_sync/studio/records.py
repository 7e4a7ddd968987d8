"""Records: what exists at the studio, in SQLite or any database that SQLAlchemy speaks to.

Tables, the rows read from them, and the questions and changes asked of them: plain functions over a ``Connection``, in
statements that SQLite and PostgreSQL both take. ``Records`` runs them: reads each in a snapshot of its own, writes
together (see ``Records.write``). Statuses follow the guide's order:

    models   PENDING -> (confirmed) PENDING -> ANALYZING -> READY | FAILED
    renders  QUEUED -> RENDERING -> COMPLETED | FAILED;  FAILED -> (retry) QUEUED

Every row belongs to a workspace, and every question names it: what is another workspace's does not exist.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import anyio.to_thread
from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    Connection,
    Double,
    Engine,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Select,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    insert,
    make_url,
    select,
    update,
)
from sqlalchemy.exc import DBAPIError

from glossi_sync.service import wire

SCHEMA_VERSION = 1

T = TypeVar("T")

metadata = MetaData()

_meta = Table("meta", metadata, Column("name", String(40), primary_key=True), Column("value", Text, nullable=False))

_workspaces = Table(
    "workspaces",
    metadata,
    Column("workspace_id", String(36), primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("created_at", Double, nullable=False),
)

_api_keys = Table(
    "api_keys",
    metadata,
    Column("key_hash", String(64), primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.workspace_id"), nullable=False, index=True),
    Column("label", String(100), nullable=False),
    Column("created_at", Double, nullable=False),
)

_models = Table(
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
    Index("models_by_status", "status", "confirmed_at"),
)

_projects = Table(
    "projects",
    metadata,
    Column("project_id", String(36), primary_key=True),
    Column("workspace_id", ForeignKey("workspaces.workspace_id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("template_id", String(200), nullable=False),
    Column("created_at", Double, nullable=False),
)

_project_models = Table(
    "project_models",
    metadata,
    Column("project_id", ForeignKey("projects.project_id"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("model_id", ForeignKey("models.model_id"), nullable=False, index=True),
)

_render_jobs = Table(
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
)

_renders = Table(
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

_webhooks = Table(
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


# --- rows ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Model:
    """A model's row. ``file_path`` is its key in storage, whether or not the file is there yet. Times: epoch
    seconds."""

    model_id: str
    workspace_id: str
    name: str
    file_name: str
    file_type: str
    file_path: str
    status: wire.ModelStatus
    created_at: float
    error_message: str | None = None
    facts: dict[str, Any] | None = None
    confirmed_at: float | None = None
    finished_at: float | None = None


@dataclass(frozen=True, slots=True)
class Project:
    project_id: str
    workspace_id: str
    name: str
    template_id: str
    created_at: float
    model_ids: tuple[str, ...]


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


@dataclass(frozen=True, slots=True)
class Webhook:
    workspace_id: str
    webhook_id: str
    url: str
    secret: str
    events: list[wire.EventName]
    enabled: bool
    description: str | None
    created_at: float
    updated_at: float


# --- running ---------------------------------------------------------------------------------------------------------


class Runner(Protocol):
    """How a blocking piece of work is run. ``in_thread`` for a server; a simulation on a virtual clock runs it
    inline."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]: ...


async def in_thread(work: Callable[[], T]) -> T:
    """Run ``work`` in a thread of anyio's pool."""
    return await anyio.to_thread.run_sync(work)


@dataclass(slots=True)
class _Write:
    work: Callable[[Connection], Any]
    done: bool = False
    outcome: Any = None
    error: Exception | None = field(default=None)


class Records:
    """The studio's database.

    ``url`` is SQLAlchemy's: ``sqlite:///…/records.db``, ``postgresql+psycopg://…``. Tables are made where they are
    missing.

    Raises:
        RecordsError: it cannot be opened, or was written by a later version.
    """

    def __init__(self, url: str, *, run: Runner = in_thread) -> None:
        self._engine = _engine(url)
        self._run = run
        self._waiting: list[_Write] = []
        self._writer = asyncio.Lock()
        try:
            metadata.create_all(self._engine)
            with self._engine.begin() as connection:
                _check_schema(connection)
        except DBAPIError as error:
            raise RecordsError(f"the studio's records at {self._engine.url} cannot be opened: {error.orig}") from error

    def close(self) -> None:
        self._engine.dispose()

    def now(self, work: Callable[[Connection], T]) -> T:
        """Change at once, in this thread: for setting up, before anything else uses the records."""
        with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
            return work(connection)

    async def read(self, question: Callable[[Connection], T]) -> T:
        """Ask in a transaction of its own: one snapshot, nothing written."""

        def ask() -> T:
            with self._engine.connect() as connection:
                return question(connection)

        return await self._run(ask)

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Change in a transaction, committed to the disk when this returns. What ``work`` raises undoes it alone.

        Writes that wait for the one before them share the next transaction, each in a savepoint: a hundred requests at
        once cost one flush of the disk, not a hundred. It is also the only writer, so SQLite's busy handler, which
        sleeps, is never met.
        """
        mine = _Write(work)
        self._waiting.append(mine)
        async with self._writer:
            if not mine.done:
                batch, self._waiting = self._waiting, []
                await self._run(lambda: self._commit(batch))
        if mine.error is not None:
            raise mine.error
        outcome: T = mine.outcome
        return outcome

    def _commit(self, batch: Sequence[_Write]) -> None:
        try:
            with self._engine.connect().execution_options(writes=True) as connection, connection.begin():
                for write in batch:
                    try:
                        with connection.begin_nested():
                            write.outcome = write.work(connection)
                    except Exception as error:
                        write.error = error
        except Exception as error:
            for write in batch:
                write.error = write.error or error
        for write in batch:
            write.done = True


class RecordsError(Exception):
    """The database cannot be used; the message says why and what to do."""


def _engine(url: str) -> Engine:
    if make_url(url).get_backend_name() != "sqlite":
        return create_engine(url, pool_size=10, max_overflow=40, pool_pre_ping=True)
    in_memory = make_url(url).database in {None, "", ":memory:"}
    engine = create_engine(url) if in_memory else create_engine(url, pool_size=10, max_overflow=40)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: Any) -> None:
        # Transactions begin where SQLAlchemy says so, not where the driver guesses.
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        # An answer is a promise: an id that a client has written into its state must outlive a power cut, too. Writes
        # share their commits, so that FULL costs one flush for many of them.
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA busy_timeout=10000")
        connection.execute("PRAGMA foreign_keys=ON")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get("writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def _check_schema(connection: Connection) -> None:
    found = connection.scalar(select(_meta.c.value).where(_meta.c.name == "schema"))
    if found is None:
        connection.execute(insert(_meta).values(name="schema", value=str(SCHEMA_VERSION)))
    elif int(found) != SCHEMA_VERSION:
        raise RecordsError(
            f"the studio's records are of schema {found}, this version of glossi-sync reads schema {SCHEMA_VERSION}:"
            " upgrade glossi-sync, or give the studio another data folder"
        )


# --- workspaces and keys ---------------------------------------------------------------------------------------------


def hash_of_key(api_key: str) -> str:
    """What is stored of an API key. Keys are long and random, so one SHA-256 without salt cannot be searched
    backwards."""
    return hashlib.sha256(api_key.encode()).hexdigest()


def ensure_workspace(connection: Connection, name: str, workspace_id: str, now: float) -> str:
    """The id of the workspace of that name; made under ``workspace_id`` where there is none."""
    found = connection.scalar(select(_workspaces.c.workspace_id).where(_workspaces.c.name == name))
    if found is not None:
        return str(found)
    connection.execute(insert(_workspaces).values(workspace_id=workspace_id, name=name, created_at=now))
    return workspace_id


def set_key(connection: Connection, workspace_id: str, label: str, api_key: str | None, now: float) -> None:
    """Make ``api_key`` the only key of that label in the workspace; None: it has none."""
    connection.execute(
        delete(_api_keys).where(_api_keys.c.workspace_id == workspace_id, _api_keys.c.label == label),
    )
    if api_key is not None:
        key_hash = hash_of_key(api_key)
        connection.execute(delete(_api_keys).where(_api_keys.c.key_hash == key_hash))
        connection.execute(
            insert(_api_keys).values(key_hash=key_hash, workspace_id=workspace_id, label=label, created_at=now)
        )


def keys(connection: Connection) -> dict[str, str]:
    """Every valid key's hash -> its workspace."""
    return {row.key_hash: row.workspace_id for row in connection.execute(select(_api_keys))}


# --- models ----------------------------------------------------------------------------------------------------------


def add_models(connection: Connection, models: Sequence[Model]) -> None:
    connection.execute(insert(_models), [_values(model, _models) for model in models])


def models(connection: Connection, workspace_id: str, model_ids: Iterable[str]) -> dict[str, Model]:
    """Those of the workspace's models that exist, by id."""
    query = select(_models).where(_models.c.workspace_id == workspace_id, _models.c.model_id.in_(list(model_ids)))
    return {row.model_id: Model(**row._mapping) for row in connection.execute(query)}


def model_of_path(connection: Connection, model_id: str) -> Model | None:
    """A model by its id alone: for the signed URL, which names no workspace that could be trusted less than itself."""
    row = connection.execute(select(_models).where(_models.c.model_id == model_id)).one_or_none()
    return None if row is None else Model(**row._mapping)


def confirm_model(connection: Connection, model_id: str, now: float) -> None:
    connection.execute(update(_models).where(_models.c.model_id == model_id).values(confirmed_at=now))


def begin_analysis(connection: Connection, model_id: str) -> Model | None:
    """Take a confirmed, unfinished model up (again): it is ANALYZING. None where there is nothing to do for it."""
    unfinished = _models.c.status.in_([wire.MODEL_PENDING, wire.MODEL_ANALYZING]) & _models.c.confirmed_at.is_not(None)
    changed = connection.execute(
        update(_models).where(_models.c.model_id == model_id, unfinished).values(status=wire.MODEL_ANALYZING)
    )
    return model_of_path(connection, model_id) if changed.rowcount else None


def finish_analysis(
    connection: Connection, model_id: str, now: float, *, facts: dict[str, Any] | None, error: str | None
) -> None:
    """READY with facts, or FAILED with the error's message."""
    status = wire.MODEL_READY if error is None else wire.MODEL_FAILED
    connection.execute(
        update(_models)
        .where(_models.c.model_id == model_id)
        .values(status=status, facts=facts, error_message=error, finished_at=now)
    )


# --- projects --------------------------------------------------------------------------------------------------------


def add_projects(connection: Connection, projects: Sequence[Project]) -> None:
    connection.execute(insert(_projects), [_values(project, _projects) for project in projects])
    connection.execute(
        insert(_project_models),
        [
            {"project_id": project.project_id, "position": position, "model_id": model_id}
            for project in projects
            for position, model_id in enumerate(project.model_ids)
        ],
    )


def known_projects(connection: Connection, workspace_id: str, project_ids: Iterable[str]) -> set[str]:
    query = select(_projects.c.project_id).where(
        _projects.c.workspace_id == workspace_id, _projects.c.project_id.in_(list(project_ids))
    )
    return set(connection.scalars(query))


def project(connection: Connection, project_id: str) -> Project:
    row = connection.execute(select(_projects).where(_projects.c.project_id == project_id)).one()
    members = (
        select(_project_models.c.model_id)
        .where(_project_models.c.project_id == project_id)
        .order_by(_project_models.c.position)
    )
    return Project(**row._mapping, model_ids=tuple(connection.scalars(members)))


# --- renders ---------------------------------------------------------------------------------------------------------


def add_render_jobs(connection: Connection, jobs: Sequence[RenderJob]) -> None:
    connection.execute(insert(_render_jobs), [_values(job, _render_jobs) for job in jobs])


def render_job(connection: Connection, workspace_id: str, job_id: str) -> RenderJob | None:
    query = select(_render_jobs).where(_render_jobs.c.workspace_id == workspace_id, _render_jobs.c.job_id == job_id)
    row = connection.execute(query).one_or_none()
    return None if row is None else RenderJob(**row._mapping)


def renders(connection: Connection, job_id: str) -> tuple[Render, ...]:
    """A job's finished files, in the order in which the engine named them."""
    query = select(_renders).where(_renders.c.job_id == job_id).order_by(_renders.c.position)
    return tuple(
        Render(row.render_id, row.name, row.file_path, row.file_type, row.is_video) for row in connection.execute(query)
    )


def requeue_render(connection: Connection, job_id: str, batch_id: str, now: float) -> None:
    """A FAILED job waits again, in a new batch (guide, "Retrying Failed Renders")."""
    connection.execute(
        update(_render_jobs)
        .where(_render_jobs.c.job_id == job_id)
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
    unfinished = _render_jobs.c.status.in_([wire.RENDER_QUEUED, wire.RENDER_RENDERING])
    changed = connection.execute(
        update(_render_jobs)
        .where(_render_jobs.c.job_id == job_id, unfinished)
        .values(status=wire.RENDER_RENDERING, started_at=now)
    )
    if not changed.rowcount:
        return None
    row = connection.execute(select(_render_jobs).where(_render_jobs.c.job_id == job_id)).one()
    job = RenderJob(**row._mapping)
    of = project(connection, job.project_id)
    known = models(connection, job.workspace_id, of.model_ids)
    return job, of, tuple(known[model_id] for model_id in of.model_ids if model_id in known)


def complete_render(connection: Connection, job_id: str, now: float, files: Sequence[Render]) -> None:
    """The files' rows and COMPLETED appear together."""
    if files:
        connection.execute(
            insert(_renders),
            [
                {**_values(file, _renders), "job_id": job_id, "position": position}
                for position, file in enumerate(files)
            ],
        )
    connection.execute(
        update(_render_jobs)
        .where(_render_jobs.c.job_id == job_id)
        .values(status=wire.RENDER_COMPLETED, finished_at=now)
    )


def fail_render(connection: Connection, job_id: str, now: float, error: str) -> None:
    connection.execute(
        update(_render_jobs)
        .where(_render_jobs.c.job_id == job_id)
        .values(status=wire.RENDER_FAILED, error_message=error, finished_at=now)
    )


def unfinished(connection: Connection) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What a restart takes up again: ids of models and of render jobs, longest waiting first."""
    waiting_models: Select[Any] = (
        select(_models.c.model_id)
        .where(
            _models.c.status.in_([wire.MODEL_PENDING, wire.MODEL_ANALYZING]),
            _models.c.confirmed_at.is_not(None),
        )
        .order_by(_models.c.confirmed_at, _models.c.model_id)
    )
    waiting_jobs: Select[Any] = (
        select(_render_jobs.c.job_id)
        .where(_render_jobs.c.status.in_([wire.RENDER_QUEUED, wire.RENDER_RENDERING]))
        .order_by(_render_jobs.c.queued_at, _render_jobs.c.job_id)
    )
    return tuple(connection.scalars(waiting_models)), tuple(connection.scalars(waiting_jobs))


# --- webhooks --------------------------------------------------------------------------------------------------------


def webhook(connection: Connection, workspace_id: str) -> Webhook | None:
    row = connection.execute(select(_webhooks).where(_webhooks.c.workspace_id == workspace_id)).one_or_none()
    return None if row is None else Webhook(**row._mapping)


def put_webhook(connection: Connection, hook: Webhook) -> None:
    """Make it the workspace's webhook, in place of the one that is there."""
    delete_webhook(connection, hook.workspace_id)
    connection.execute(insert(_webhooks).values(**_values(hook, _webhooks)))


def delete_webhook(connection: Connection, workspace_id: str) -> bool:
    """Whether there was one."""
    return bool(connection.execute(delete(_webhooks).where(_webhooks.c.workspace_id == workspace_id)).rowcount)


def _values(row: Any, table: Table) -> dict[str, Any]:
    return {column.name: getattr(row, column.name) for column in table.columns if hasattr(row, column.name)}
