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
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.delivering import Deliveries
from glossi_sync.studio.engines import EngineError, EngineUnavailable, Settings
from glossi_sync.studio.events import Events
from glossi_sync.studio.faults import Faults
from glossi_sync.studio.jobs import Jobs
from glossi_sync.studio.processing import CONVERTED, THUMBNAIL, ProcessingError
from glossi_sync.studio.storage import FileLost, Storage, StorageAway, beside_model, job_prefix
from glossi_sync.studio.tasks import ProcessingTask, RenderTask, StoredModel
from glossi_sync.studio.template import Template
from glossi_sync.studio.workshop import GrowingWorkshop, WorkerCrashed, WorkerTimedOut, Workshop, WorkshopAway

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
        faults: Faults,
        events: Events,
        jobs: Jobs,
        deliveries: Deliveries,
    ) -> None:
        self._records = records
        self._storage = storage
        self._workshop = workshop
        self._templates = templates
        self._clock = clock
        self._new_id = new_id
        self._faults = faults
        self._events = events
        self._jobs = jobs
        self._deliveries = deliveries
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
        if isinstance(self._workshop, GrowingWorkshop):
            self._spawn(self._grow(self._workshop))

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

    async def _grow(self, workshop: GrowingWorkshop) -> None:
        while True:
            for _ in range(await workshop.more_places()):
                self._spawn(self._take())

    async def _take(self) -> None:
        while True:
            priority, _, identifier = await self._queue.get()
            self._running += 1
            try:
                await (self._analyse(identifier) if priority == 0 else self._render(identifier))
            except Exception as error:
                # Only the studio's own records, storage or cluster get here: a full disk, a database that is away. The
                # job is still unfinished in the records, and its turn comes again.
                unheard = None if isinstance(error, StorageAway | WorkshopAway) else error
                log.error(
                    "could not work on %s, trying again in %g s: %s",
                    identifier,
                    _RETRY_AFTER_SECONDS,
                    error,
                    exc_info=unheard,
                )
                again = self.add_model if priority == 0 else self.add_render
                asyncio.get_running_loop().call_later(_RETRY_AFTER_SECONDS, again, identifier)
            finally:
                self._running -= 1

    async def _analyse(self, model_id: str) -> None:
        model = await self._records.write(lambda connection: rows.begin_analysis(connection, model_id))
        if model is None:
            return
        made: rows.MadeOfModel | None = None
        failure: str | None = None
        try:
            if refused := await self._faults.of_model(model.name):
                raise ProcessingError(refused)
            made = await _with_attempts(lambda: self._process_into_storage(model))
        except (StorageAway, WorkshopAway):
            raise
        except (ProcessingError, FileLost) as error:
            failure = str(error)
        except Exception as error:
            failure = _unexpected("the model could not be processed", error)
        now = self._clock()

        def finish(connection: Connection) -> tuple[str, ...]:
            finished = rows.finish_analysis(connection, model_id, now, made=made, error=failure)
            if finished is None:
                return ()
            self._events.model_finished(connection, finished, now)
            return self._jobs.model_finished(connection, model_id, now)

        for job_id in await self._records.write(finish):
            self.add_render(job_id)
        self._deliveries.wake(model.workspace_id)
        if made is not None and self._faults.loses_model(model.name):
            await self._records.write(lambda connection: rows.lose_model(connection, model_id, now))

    async def _process_into_storage(self, model: rows.Model) -> rows.MadeOfModel:
        attempt = self._new_id()
        try:
            processed = await self._workshop.process(
                ProcessingTask(model.file_type, model.file_path, attempt, self._storage.depot)
            )
        finally:
            await self._storage.discard(attempt)
        return rows.MadeOfModel(
            facts=asdict(processed.facts),
            glb_path=beside_model(model.file_path, CONVERTED) if processed.converted else model.file_path,
            thumbnail_path=beside_model(model.file_path, THUMBNAIL) if processed.thumbnail else None,
        )

    async def _render(self, job_id: str) -> None:
        now = self._clock()
        begun = await self._records.write(lambda connection: rows.begin_render(connection, job_id, now))
        if begun is None:
            return
        job, project, models = begun
        prefix = job_prefix(job.workspace_id, job_id)
        # Files that attempts of an earlier run put there and did not live to record.
        await self._storage.remove_tree(prefix)
        try:
            if refused := await self._faults.of_render(project.name):
                raise EngineError(refused)
            files = await _with_attempts(lambda: self._render_into_storage(job, project, models, prefix))
        except (StorageAway, WorkshopAway):
            raise
        except Exception as error:
            if isinstance(error, EngineUnavailable):
                self._engine_available, self._engine_message = False, str(error)
            known = isinstance(error, EngineError | FileLost)
            message = str(error) if known else _unexpected("the job could not be rendered", error)
            await self._finish_render(job, lambda connection, now: rows.fail_render(connection, job_id, now, message))
            return
        # It may have been mended since the check.
        self._engine_available, self._engine_message = True, None
        await self._finish_render(
            job, lambda connection, now: rows.complete_render(connection, job_id, now, files), files
        )
        if self._faults.loses_render(project.name):
            await self._records.write(lambda connection: rows.lose_render_job(connection, job_id, now))

    async def _finish_render(
        self,
        job: rows.RenderJob,
        end: Callable[[Connection, float], rows.RenderJob | None],
        files: tuple[rows.Render, ...] = (),
    ) -> None:
        now = self._clock()

        def finish(connection: Connection) -> None:
            finished = end(connection, now)
            if finished is not None:
                self._events.render_finished(connection, finished, files, now)
                self._jobs.render_finished(connection, job.job_id, now)

        await self._records.write(finish)
        self._deliveries.wake(job.workspace_id)

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
        attempt = self._new_id()
        try:
            files = await self._workshop.render(
                RenderTask(
                    models=tuple(StoredModel(model.name, model.glb_path or model.file_path) for model in models),
                    template=template,
                    settings=_settings(job.settings),
                    prefix=prefix,
                    attempt=attempt,
                    depot=self._storage.depot,
                )
            )
        finally:
            await self._storage.discard(attempt)
        return tuple(
            rows.Render(self._new_id(), kept.file.name, kept.key, kept.file.file_type, kept.file.is_video)
            for kept in files
        )


async def _with_attempts(attempt: Callable[[], Coroutine[Any, Any, T]]) -> T:
    crashes = 0
    while True:
        try:
            return await attempt()
        except WorkerCrashed as crash:
            crashes += crash.times
            log.warning("a worker crashed (attempt %d of %d)", crashes, ATTEMPTS)
            if crashes >= ATTEMPTS:
                raise WorkerCrashed(f"{crash}, {crashes} times") from None


def _unexpected(what: str, error: Exception) -> str:
    if isinstance(error, WorkerCrashed | WorkerTimedOut):
        return f"{what}: {error}"
    log.error("%s", what, exc_info=error)
    return f"{what}: {type(error).__name__}: {error}"


def _settings(settings: dict[str, Any]) -> Settings:
    return Settings(**{_snake(name): value for name, value in settings.items()})


def _snake(name: str) -> str:
    return re.sub(r"(?=[A-Z])", "_", name).lower()
