"""Work: what takes time, queued and never lost.

The queue is the records themselves: a confirmed model that is not READY or FAILED, a render job that is not COMPLETED
or FAILED. ``Work`` holds only the order in memory, takes at its start whatever is unfinished, and gives each piece to
a ``Workshop`` (see ``workshop``). A piece under which a worker crashed is tried again a few times.

    confirmed model ─┐            ┌─ process ─> facts, or why not ─> records
                     ├─> Work ────┤
    queued job ──────┘            └─ render ──> files ─> storage, then records
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import re
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol, TypeVar

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.engines import (
    EngineError,
    EngineUnavailable,
    RenderedFile,
    RenderRequest,
    Settings,
    SourceModel,
)
from glossi_sync.studio.processing import ProcessingError
from glossi_sync.studio.storage import Storage, job_prefix
from glossi_sync.studio.template import Template
from glossi_sync.studio.workshop import ProcessingTask, WorkerCrashed, WorkerTimedOut, Workshop

T = TypeVar("T")

log = logging.getLogger(__name__)

ATTEMPTS = 3
"""How often a job is given to a worker before a crash under it is taken to be its own doing."""

_RETRY_AFTER_SECONDS = 10.0


class TemplateSource(Protocol):
    """Where a job's template is looked up when the job is started."""

    def find(self, workspace_id: str, template_id: str) -> Template | None: ...


# --- the queue -------------------------------------------------------------------------------------------------------


class Work:
    """The studio's queue: models before renders, else in the order of asking; as many at once as the workshop takes."""

    def __init__(
        self,
        *,
        records: rows.Records,
        storage: Storage,
        workshop: Workshop,
        templates: TemplateSource,
        clock: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._records = records
        self._storage = storage
        self._workshop = workshop
        self._templates = templates
        self._clock = clock
        self._new_id = new_id
        self._queue: asyncio.PriorityQueue[tuple[int, int, str]] = asyncio.PriorityQueue()
        self._order = itertools.count()
        self._running = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._engine_available: bool | None = None
        self._engine_message: str | None = None

    async def start(self) -> None:
        """Take up what is unfinished, then work until ``stop``."""
        models = await self._records.read(rows.unfinished_models)
        jobs = await self._records.read(rows.unfinished_renders)
        for model_id in models:
            self.add_model(model_id)
        for job_id in jobs:
            self.add_render(job_id)
        if models or jobs:
            log.info("taking up %d models and %d render jobs that an earlier run left", len(models), len(jobs))
        self._spawn(self._check_engine())
        for _ in range(self._workshop.capacity):
            self._spawn(self._take())

    async def stop(self) -> None:
        """Stop at once: what is unfinished stays so in the records, and the next start takes it up."""
        for task in self._tasks:
            task.cancel()
        await self._workshop.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add_model(self, model_id: str) -> None:
        """A model was confirmed."""
        self._queue.put_nowait((0, next(self._order), model_id))

    def add_render(self, job_id: str) -> None:
        """A render job was queued, or queued again."""
        self._queue.put_nowait((1, next(self._order), job_id))

    @property
    def engine_health(self) -> wire.EngineHealth:
        health = wire.EngineHealth(name=self._workshop.engine_name, available=self._engine_available)
        if self._engine_message is not None:
            health["message"] = self._engine_message
        return health

    @property
    def work_health(self) -> wire.WorkHealth:
        return wire.WorkHealth(queued=self._queue.qsize(), running=self._running)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work))

    async def _check_engine(self) -> None:
        try:
            await self._workshop.check()
        except Exception as error:
            self._engine_available, self._engine_message = False, str(error)
            log.warning("this studio cannot render, everything else works: %s", error)
        else:
            self._engine_available = True

    async def _take(self) -> None:
        while True:
            priority, _, identifier = await self._queue.get()
            self._running += 1
            try:
                await (self._analyse(identifier) if priority == 0 else self._render(identifier))
            except Exception:
                # Only the studio's own records or disk get here: a full disk, a database that is away. The job is
                # still unfinished in the records, and its turn comes again.
                log.exception("could not work on %s, trying again in %g s", identifier, _RETRY_AFTER_SECONDS)
                again = self.add_model if priority == 0 else self.add_render
                asyncio.get_running_loop().call_later(_RETRY_AFTER_SECONDS, again, identifier)
            finally:
                self._running -= 1

    async def _analyse(self, model_id: str) -> None:
        model = await self._records.write(lambda connection: rows.begin_analysis(connection, model_id))
        if model is None:
            return
        task = ProcessingTask(model.file_type, self._storage.local(model.file_path))
        facts: dict[str, Any] | None = None
        failure: str | None = None
        try:
            facts = asdict(await _with_attempts(lambda: self._workshop.process(task)))
        except ProcessingError as error:
            failure = str(error)
        except Exception as error:
            failure = _unexpected("the model could not be processed", error)
        now = self._clock()
        await self._records.write(
            lambda connection: rows.finish_analysis(connection, model_id, now, facts=facts, error=failure)
        )

    async def _render(self, job_id: str) -> None:
        now = self._clock()
        begun = await self._records.write(lambda connection: rows.begin_render(connection, job_id, now))
        if begun is None:
            return
        job, project, models = begun
        prefix = job_prefix(job.workspace_id, job_id)
        # Files that a run before this one moved in and did not live to record.
        await self._storage.remove_tree(prefix)
        try:
            files = await _with_attempts(lambda: self._render_into_storage(job, project, models, prefix))
        except Exception as error:
            if isinstance(error, EngineUnavailable):
                self._engine_available, self._engine_message = False, str(error)
            known = isinstance(error, EngineError)
            message = str(error) if known else _unexpected("the job could not be rendered", error)
            now = self._clock()
            await self._records.write(lambda connection: rows.fail_render(connection, job_id, now, message))
            return
        # It may have been mended since the check.
        self._engine_available, self._engine_message = True, None
        now = self._clock()
        await self._records.write(lambda connection: rows.complete_render(connection, job_id, now, files))

    async def _render_into_storage(
        self, job: rows.RenderJob, project: rows.Project, models: tuple[rows.Model, ...], prefix: str
    ) -> tuple[rows.Render, ...]:
        template = self._templates.find(job.workspace_id, project.template_id)
        if template is None:
            raise EngineError(
                f"the template {project.template_id} of the project {project.name!r} is no longer there:"
                " put its file back into the studio's folder of templates and retry the job"
            )
        if len(models) < len(project.model_ids):
            raise EngineError(
                f"a model of the project {project.name!r} is no longer there: make it and the project anew"
            )
        folder = await self._storage.working_folder()
        try:
            files = await self._workshop.render(
                RenderRequest(
                    models=tuple(SourceModel(model.name, self._storage.local(model.file_path)) for model in models),
                    template=template,
                    settings=_settings(job.settings),
                    folder=folder,
                )
            )
            return tuple([await self._keep(file, folder, prefix) for file in files])
        finally:
            await self._storage.remove_working_folder(folder)

    async def _keep(self, file: RenderedFile, folder: Path, prefix: str) -> rows.Render:
        render_id = self._new_id()
        key = f"{prefix}/{render_id}{_suffix(file.file_name)}"
        await self._storage.adopt(folder / Path(file.file_name).name, key)
        return rows.Render(render_id, file.name, key, file.file_type, file.is_video)


async def _with_attempts(attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
    for crash in itertools.count(1):
        try:
            return await attempt()
        except WorkerCrashed:
            log.warning("a worker crashed (attempt %d of %d)", crash, ATTEMPTS)
            if crash == ATTEMPTS:
                raise WorkerCrashed(f"the worker process crashed on it, {ATTEMPTS} times") from None
    raise AssertionError("unreachable")


def _unexpected(what: str, error: Exception) -> str:
    if isinstance(error, WorkerCrashed | WorkerTimedOut):
        return f"{what}: {error}"
    log.error("%s", what, exc_info=error)
    return f"{what}: {type(error).__name__}: {error}"


def _settings(settings: dict[str, Any]) -> Settings:
    return Settings(**{_snake(name): value for name, value in settings.items()})


def _snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()


def _suffix(file_name: str) -> str:
    suffix = Path(file_name).suffix.lower()
    return suffix if re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) else ""
