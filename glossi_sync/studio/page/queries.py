"""What the page asks of the records: lists, the newest first, a page at a time.

A page begins after the entry with the id ``before``; an entry that is gone, or another workspace's, is the beginning.
Pages are cut by an index rather than counted off, so the last of ten thousand is as quick as the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Connection, Select, Table, func, literal, select, tuple_

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.records.tables import MODELS, PROJECT_MODELS, PROJECTS, RENDER_JOBS, RENDERS

T = TypeVar("T")

ACTIVE = (wire.RENDER_QUEUED, wire.RENDER_RENDERING)

_LIKE_OTHERS = 20
"""How many finished jobs the guess of a job's duration goes by, at most."""


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some of a list: where it goes on, if it does, and how long it is."""

    entries: tuple[T, ...]
    following: str | None
    """The id to begin the next page after."""
    total: int


@dataclass(frozen=True, slots=True)
class Picture:
    """A finished file, and whose it is."""

    render: rows.Render
    job_id: str
    project_id: str
    project: str

    @property
    def plays(self) -> bool:
        """Whether a browser can show it."""
        return self.render.file_type != "PRORES"


@dataclass(frozen=True, slots=True)
class ProjectCard:
    """A project, its models, its newest render job, and what to show for it."""

    project: rows.Project
    models: tuple[rows.Model, ...]
    """The first four."""
    job: rows.RenderJob | None
    cover: rows.Render | None


@dataclass(frozen=True, slots=True)
class JobCard:
    """A render job, its project's name, and how far it is."""

    job: rows.RenderJob
    project: str
    ahead: int
    """Of all workspaces' jobs, how many come before it while it is QUEUED."""
    usual_seconds: float | None
    """How long jobs of its kind took lately."""
    files: tuple[rows.Render, ...]


@dataclass(frozen=True, slots=True)
class Counts:
    models: int
    projects: int
    renders: int
    active: int
    completed: int


def counts(connection: Connection, workspace_id: str) -> Counts:
    """How much there is in the workspace."""
    own_jobs = RENDER_JOBS.c.workspace_id == workspace_id
    completed = RENDER_JOBS.c.status == wire.RENDER_COMPLETED
    return Counts(
        models=_count(connection, MODELS, MODELS.c.workspace_id == workspace_id),
        projects=_count(connection, PROJECTS, PROJECTS.c.workspace_id == workspace_id),
        renders=_count(connection, RENDER_JOBS, own_jobs),
        active=_count(connection, RENDER_JOBS, own_jobs & RENDER_JOBS.c.status.in_(ACTIVE)),
        completed=_count(connection, RENDER_JOBS, own_jobs & completed),
    )


def models(
    connection: Connection, workspace_id: str, *, words: str, before: str | None, limit: int
) -> Page[rows.Model]:
    """Models whose name or file name has these words in it."""
    where = (MODELS.c.workspace_id == workspace_id) & (_has(MODELS.c.name, words) | _has(MODELS.c.file_name, words))
    found, following, total = _page(connection, MODELS, "model_id", where, before, limit)
    return Page(tuple(rows.Model(**row._mapping) for row in found), following, total)


def projects(
    connection: Connection, workspace_id: str, *, words: str, before: str | None, limit: int
) -> Page[ProjectCard]:
    """Projects whose name has these words in it."""
    where = (PROJECTS.c.workspace_id == workspace_id) & _has(PROJECTS.c.name, words)
    found, following, total = _page(connection, PROJECTS, "project_id", where, before, limit)
    return Page(_project_cards(connection, workspace_id, found), following, total)


def projects_of_model(
    connection: Connection, workspace_id: str, model_id: str, *, limit: int
) -> tuple[ProjectCard, ...]:
    """The newest projects that a model is in."""
    its = select(PROJECT_MODELS.c.project_id).where(PROJECT_MODELS.c.model_id == model_id)
    where = (PROJECTS.c.workspace_id == workspace_id) & PROJECTS.c.project_id.in_(its)
    found, _, _ = _page(connection, PROJECTS, "project_id", where, None, limit)
    return _project_cards(connection, workspace_id, found)


def project(connection: Connection, workspace_id: str, project_id: str) -> ProjectCard | None:
    query = select(PROJECTS).where(PROJECTS.c.workspace_id == workspace_id, PROJECTS.c.project_id == project_id)
    cards = _project_cards(connection, workspace_id, connection.execute(query).all())
    return cards[0] if cards else None


def all_models(connection: Connection, workspace_id: str, project_id: str) -> tuple[rows.Model, ...]:
    """A project's models, in its order."""
    return _models_of(connection, workspace_id, [project_id], first=10**6).get(project_id, ())


def jobs(
    connection: Connection,
    workspace_id: str,
    *,
    statuses: Sequence[str] = (),
    project_id: str | None = None,
    before: str | None = None,
    limit: int,
) -> Page[JobCard]:
    """Render jobs: those of a project, those that are in one of these states, or all."""
    where = RENDER_JOBS.c.workspace_id == workspace_id
    if statuses:
        where &= RENDER_JOBS.c.status.in_(statuses)
    if project_id is not None:
        where &= RENDER_JOBS.c.project_id == project_id
    found, following, total = _page(connection, RENDER_JOBS, "job_id", where, before, limit)
    return Page(_job_cards(connection, [rows.RenderJob(**row._mapping) for row in found]), following, total)


def active_jobs(connection: Connection, workspace_id: str, *, limit: int) -> tuple[JobCard, ...]:
    """What is rendering, then what is queued, in the order in which it comes up."""
    query = (
        select(RENDER_JOBS)
        .where(RENDER_JOBS.c.workspace_id == workspace_id, RENDER_JOBS.c.status.in_(ACTIVE))
        .order_by(RENDER_JOBS.c.status.desc(), RENDER_JOBS.c.queued_at, RENDER_JOBS.c.job_id)
        .limit(limit)
    )
    return _job_cards(connection, [rows.RenderJob(**row._mapping) for row in connection.execute(query)])


def job(connection: Connection, workspace_id: str, job_id: str) -> JobCard | None:
    found = rows.render_job(connection, workspace_id, job_id)
    return None if found is None else _job_cards(connection, [found])[0]


def pictures(connection: Connection, workspace_id: str, *, before: str | None, limit: int) -> Page[Picture]:
    """Finished files of all jobs, the newest job's first, each job's in their order. ``before`` is a job's id: pages
    hold whole jobs, and ``limit`` is of jobs."""
    where = (RENDER_JOBS.c.workspace_id == workspace_id) & (RENDER_JOBS.c.status == wire.RENDER_COMPLETED)
    found, following, total = _page(connection, RENDER_JOBS, "job_id", where, before, limit)
    names = _names(connection, {row.project_id for row in found})
    files = _files(connection, [row.job_id for row in found])
    shown = (
        Picture(file, row.job_id, row.project_id, names[row.project_id]) for row in found for file in files[row.job_id]
    )
    return Page(tuple(shown), following, total)


def _page(
    connection: Connection, table: Table, key: str, where: ColumnElement[bool], before: str | None, limit: int
) -> tuple[Sequence[Any], str | None, int]:
    age = table.c.created_at, table.c[key]
    query: Select[Any] = select(table).where(where).order_by(*(column.desc() for column in age)).limit(limit + 1)
    last = before and connection.execute(select(*age).where(where, table.c[key] == before)).one_or_none()
    if last:
        query = query.where(tuple_(*age) < tuple_(literal(last[0]), literal(last[1])))
    found = connection.execute(query).all()
    following = getattr(found[limit - 1], key) if len(found) > limit else None
    return found[:limit], following, _count(connection, table, where)


def _count(connection: Connection, table: Table, where: ColumnElement[bool]) -> int:
    return int(connection.scalar(select(func.count()).select_from(table).where(where)) or 0)


def _has(column: ColumnElement[str], words: str) -> ColumnElement[bool]:
    return column.icontains(words, autoescape=True)


def _project_cards(connection: Connection, workspace_id: str, found: Sequence[Any]) -> tuple[ProjectCard, ...]:
    ids = [row.project_id for row in found]
    models_ = _models_of(connection, workspace_id, ids, first=4)
    newest = _newest_jobs(connection, ids, RENDER_JOBS.c.status.is_not(None))
    done = _newest_jobs(connection, ids, RENDER_JOBS.c.status == wire.RENDER_COMPLETED)
    files = _files(connection, [job.job_id for job in done.values()])
    stills = {
        project_id: next((file for file in files[job.job_id] if not file.is_video), None)
        for project_id, job in done.items()
    }
    return tuple(
        ProjectCard(
            project=rows.Project(**row._mapping, model_ids=tuple(m.model_id for m in models_.get(row.project_id, ()))),
            models=models_.get(row.project_id, ()),
            job=newest.get(row.project_id),
            cover=stills.get(row.project_id),
        )
        for row in found
    )


def _models_of(
    connection: Connection, workspace_id: str, project_ids: Sequence[str], *, first: int
) -> dict[str, tuple[rows.Model, ...]]:
    query = (
        select(PROJECT_MODELS.c.project_id, MODELS)
        .join_from(PROJECT_MODELS, MODELS)
        .where(
            PROJECT_MODELS.c.project_id.in_(project_ids),
            PROJECT_MODELS.c.position < first,
            MODELS.c.workspace_id == workspace_id,
        )
        .order_by(PROJECT_MODELS.c.project_id, PROJECT_MODELS.c.position)
    )
    found: dict[str, tuple[rows.Model, ...]] = {}
    for row in connection.execute(query):
        values = dict(row._mapping)
        project_id = values.pop("project_id")
        found[project_id] = (*found.get(project_id, ()), rows.Model(**values))
    return found


def _newest_jobs(
    connection: Connection, project_ids: Sequence[str], where: ColumnElement[bool]
) -> dict[str, rows.RenderJob]:
    age = func.row_number().over(
        partition_by=RENDER_JOBS.c.project_id, order_by=(RENDER_JOBS.c.created_at.desc(), RENDER_JOBS.c.job_id.desc())
    )
    numbered = select(RENDER_JOBS, age.label("age")).where(RENDER_JOBS.c.project_id.in_(project_ids), where).subquery()
    query = select(*(numbered.c[column.name] for column in RENDER_JOBS.columns)).where(numbered.c.age == 1)
    return {row.project_id: rows.RenderJob(**row._mapping) for row in connection.execute(query)}


def _job_cards(connection: Connection, found: Sequence[rows.RenderJob]) -> tuple[JobCard, ...]:
    names = _names(connection, {job.project_id for job in found})
    files = _files(connection, [job.job_id for job in found if job.status == wire.RENDER_COMPLETED])
    return tuple(
        JobCard(
            job=job,
            project=names[job.project_id],
            ahead=_ahead(connection, job) if job.status == wire.RENDER_QUEUED else 0,
            usual_seconds=_usual_seconds(connection, job) if job.status == wire.RENDER_RENDERING else None,
            files=files.get(job.job_id, ()),
        )
        for job in found
    )


def _ahead(connection: Connection, job: rows.RenderJob) -> int:
    """How many jobs are queued before it. Whose they are is not told."""
    waiting = RENDER_JOBS.c.status == wire.RENDER_QUEUED
    return _count(connection, RENDER_JOBS, waiting & (RENDER_JOBS.c.queued_at < job.queued_at))


def _usual_seconds(connection: Connection, job: rows.RenderJob) -> float | None:
    """The median of what the workspace's last jobs on the same template with the same settings took."""
    template = select(PROJECTS.c.template_id).where(PROJECTS.c.project_id == job.project_id).scalar_subquery()
    query = (
        select(RENDER_JOBS.c.settings, RENDER_JOBS.c.finished_at - RENDER_JOBS.c.started_at)
        .join_from(RENDER_JOBS, PROJECTS, RENDER_JOBS.c.project_id == PROJECTS.c.project_id)
        .where(
            RENDER_JOBS.c.workspace_id == job.workspace_id,
            RENDER_JOBS.c.status == wire.RENDER_COMPLETED,
            PROJECTS.c.template_id == template,
        )
        .order_by(RENDER_JOBS.c.created_at.desc())
        .limit(_LIKE_OTHERS)
    )
    took = sorted(seconds for settings, seconds in connection.execute(query) if settings == job.settings)
    return float(took[len(took) // 2]) if took else None


def _names(connection: Connection, project_ids: set[str]) -> dict[str, str]:
    query = select(PROJECTS.c.project_id, PROJECTS.c.name).where(PROJECTS.c.project_id.in_(sorted(project_ids)))
    return {row.project_id: row.name for row in connection.execute(query)}


def _files(connection: Connection, job_ids: Sequence[str]) -> dict[str, tuple[rows.Render, ...]]:
    query = select(RENDERS).where(RENDERS.c.job_id.in_(job_ids)).order_by(RENDERS.c.job_id, RENDERS.c.position)
    found: dict[str, tuple[rows.Render, ...]] = dict.fromkeys(job_ids, ())
    for row in connection.execute(query):
        render = rows.Render(row.render_id, row.name, row.file_path, row.file_type, row.is_video)
        found[row.job_id] = (*found[row.job_id], render)
    return found
