"""The workshop: worker processes, in which models are looked at and jobs are rendered.

A native renderer that crashes must not take the server along, nor the other jobs. So each worker has a pool of its
own (``concurrent.futures``): a crash is laid at the door of the one job that was running there. Both sides are here,
the server's (``WorkerPool``) and what runs in a worker, which imports little: a worker starts in the time that Python
takes. Workers end with their server, however it ends.
"""

from __future__ import annotations

import asyncio
import importlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache, partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, runtime_checkable

from glossi_sync.studio.engines import EngineError, EngineUnavailable
from glossi_sync.studio.processing import ProcessedModel, process

if TYPE_CHECKING:
    from glossi_sync.studio.engines import Engine
    from glossi_sync.studio.tasks import KeptFile, ProcessingTask, RenderTask

T = TypeVar("T")

FILAMENT = "glossi_sync.studio.engines.filament:FilamentEngine"
CYCLES = "glossi_sync.studio.engines.cycles:CyclesEngine"

ENGINES = MappingProxyType({"filament": FILAMENT, "cycles": CYCLES})
"""The studio's own, by name."""

PROCESSING_SECONDS = 120.0
RENDERING_SECONDS = 3600.0
"""How long a worker may take for one job before it is stopped and the job FAILED."""

_NICER_THAN_THE_SERVER = 5


class WorkerCrashed(Exception):
    """The worker process ended while it worked on a job, so many ``times``; the job itself may be innocent."""

    def __init__(self, message: str, times: int = 1) -> None:
        super().__init__(message)
        self.times = times


class WorkerTimedOut(Exception):
    """The worker process took too long over a job and was stopped; the message gives the limit."""


class WorkshopAway(Exception):
    """Nothing can be worked on at the moment; the message says why. What was under way is to be begun again later."""


class Workshop(Protocol):
    """Where work is done: ``WorkerPool``, a Dask cluster (``dask_cluster``); a simulation puts a delay in its place.

    Raises (``process``, ``render``): WorkshopAway; StorageAway, FileLost, OSError, as the task's ``carry_out`` does.
    """

    @property
    def capacity(self) -> int:
        """How many pieces of work it takes at once."""
        ...

    @property
    def engine_name(self) -> str: ...

    async def check(self) -> None:
        """Raise EngineUnavailable where nothing can be rendered."""
        ...

    async def process(self, task: ProcessingTask) -> ProcessedModel:
        """Look at a model's file, convert it, draw a thumbnail.

        Raises:
            ProcessingError: the model is not usable, and why.
            WorkerCrashed, WorkerTimedOut: see there.
        """
        ...

    async def render(self, task: RenderTask) -> tuple[KeptFile, ...]:
        """Render a whole job into the storage.

        Raises:
            EngineError: the job cannot be rendered, and why.
            WorkerCrashed, WorkerTimedOut: see there.
        """
        ...

    async def close(self) -> None:
        """End every worker, whatever it is doing."""
        ...


@runtime_checkable
class GrowingWorkshop(Workshop, Protocol):
    """A workshop that may come to take more than its capacity at the start."""

    async def more_places(self) -> int:
        """Wait until there are more places than there ever were; how many more."""
        ...


class WorkerPool:
    """Worker processes on this machine, started when first needed; the one that was used last is used first.

    ``engine`` is ``module:class``: the module is imported in the workers only.
    """

    def __init__(
        self,
        workers: int | None = None,
        *,
        engine: str = FILAMENT,
        processing_seconds: float = PROCESSING_SECONDS,
        rendering_seconds: float = RENDERING_SECONDS,
    ) -> None:
        self._capacity = workers or os.cpu_count() or 1
        self._engine = engine
        self._processing_seconds = processing_seconds
        self._rendering_seconds = rendering_seconds
        self._workers = [_Worker() for _ in range(self._capacity)]
        self._free: asyncio.LifoQueue[_Worker] = asyncio.LifoQueue()
        for worker in reversed(self._workers):
            self._free.put_nowait(worker)

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def engine_name(self) -> str:
        return engine_name(self._engine)

    async def check(self) -> None:
        await self._run(self._processing_seconds, check_engine, self._engine)

    async def process(self, task: ProcessingTask) -> ProcessedModel:
        return await self._run(self._processing_seconds, process_with, self._engine, task)

    async def render(self, task: RenderTask) -> tuple[KeptFile, ...]:
        return await self._run(self._rendering_seconds, render_with, self._engine, task)

    async def close(self) -> None:
        for worker in self._workers:
            worker.stop()

    async def _run(self, seconds: float, function: Callable[..., T], *arguments: Any) -> T:
        worker = await self._free.get()
        try:
            return await worker.run(seconds, function, *arguments)
        finally:
            self._free.put_nowait(worker)


class _Worker:
    """One worker process in a pool of its own; rebuilt after each death."""

    def __init__(self) -> None:
        self._executor: ProcessPoolExecutor | None = None
        self._pid: int | None = None

    async def run(self, seconds: float, function: Callable[..., T], *arguments: Any) -> T:
        scope = asyncio.timeout(seconds)
        try:
            future = await self._submit(function, *arguments)
            async with scope:
                return await asyncio.wrap_future(future)
        except BrokenProcessPool:
            self.stop()
            raise WorkerCrashed("the worker process crashed on it") from None
        except TimeoutError:
            if not scope.expired():
                raise
            self.stop()
            raise WorkerTimedOut(f"it took more than {seconds:g} seconds") from None
        except asyncio.CancelledError:
            self.stop()
            raise

    def stop(self) -> None:
        """End the process now, whatever it does."""
        executor, self._executor = self._executor, None
        if executor is None:
            return
        for child in multiprocessing.active_children():
            if child.pid == self._pid:
                child.kill()
        executor.shutdown(wait=False, cancel_futures=True)

    async def _submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        if self._executor is not None:
            try:
                return self._executor.submit(function, *arguments)
            except BrokenProcessPool:
                # It died while it had nothing to do, which is not the fault of this job.
                self.stop()
        context = multiprocessing.get_context("spawn")
        self._executor = executor = ProcessPoolExecutor(1, mp_context=context, initializer=_begin_worker)
        with _deaf_children():
            started = executor.submit(os.getpid)
        self._pid = await asyncio.wrap_future(started)
        return executor.submit(function, *arguments)


@contextmanager
def _deaf_children() -> Iterator[None]:
    """Processes that are started here hear neither Ctrl-C nor SIGTERM, from their first moment on.

    Both reach the whole process group, but when a worker ends is the server's decision.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where the worker itself must see to it
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A native library's chatter belongs into the log: standard output is where the server itself speaks to its owner.
    os.dup2(2, 1)
    if hasattr(os, "nice"):  # Rendering takes every core; the server, which needs little, answers all the same.
        os.nice(_NICER_THAN_THE_SERVER)
    parent = multiprocessing.parent_process()
    assert parent is not None

    def end_with_the_server(sentinel: int) -> None:
        multiprocessing.connection.wait([sentinel])
        os._exit(1)

    threading.Thread(target=end_with_the_server, args=(parent.sentinel,), daemon=True).start()


def engine_name(engine: str) -> str:
    """What an engine, ``module:class``, is called."""
    return engine.partition(":")[0].rpartition(".")[2]


@cache
def loaded_engine(name: str) -> Engine:
    """The engine ``module:class``, in a worker. Raises EngineUnavailable."""
    module, _, attribute = name.partition(":")
    engine: Engine = getattr(importlib.import_module(module), attribute)()
    engine.check()
    return engine


def check_engine(engine: str) -> None:
    loaded_engine(engine)


def process_with(engine: str, task: ProcessingTask) -> ProcessedModel:
    """Process a model; an engine that is not one of the studio's own goes without thumbnails."""
    from glossi_sync.studio.thumbnails import draw_thumbnail  # noqa: PLC0415 - the server has no use for it

    return task.carry_out(partial(process, draw=draw_thumbnail if engine in ENGINES.values() else None))


def render_with(engine: str, task: RenderTask) -> tuple[KeptFile, ...]:
    """Render a job: by the engine, or by the one that the template asks for, where it is a choice among our own.

    Raises:
        EngineError: also where the template's engine is not there, which says nothing about the studio's own.
    """
    wanted = task.template.engine
    if wanted is None or engine not in ENGINES.values() or ENGINES[wanted] == engine:
        return task.carry_out(loaded_engine(engine).render)
    try:
        return task.carry_out(loaded_engine(ENGINES[wanted]).render)
    except EngineUnavailable as error:
        raise EngineError(f"the template {task.template.name!r} asks for an engine that is not here: {error}") from None
