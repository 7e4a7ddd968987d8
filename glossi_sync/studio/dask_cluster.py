"""A Dask cluster as workshop: ``studio serve --workers dask://host:port`` (extra ``dask``).

The server hands its tasks to the cluster's executor; the workers, processes of any machine, fetch and keep files
themselves (see ``tasks``), so the storage must be one that they reach: a bucket, or a folder that is the same under
the same path everywhere. They are ordinary Dask workers in whose environment glossi-sync is installed, in the same
version as here, one thread each: ``dask worker tcp://host:port --nworkers 4 --nthreads 1``.

    server ─ task ─> Dask's scheduler ─> worker: fetch, work, keep ─> result
                           └─ the worker died: to another one, a few times

A job under which workers die again and again is FAILED; another job that was waiting at such a worker is only begun
once more. Both sides are here: the server's (``DaskCluster``) and what runs in a Dask worker.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import replace
from functools import cache, partial
from typing import Any, TypeVar
from uuid import uuid4

from distributed import Client
from distributed.scheduler import KilledWorker

from glossi_sync import __version__
from glossi_sync.studio.engines import EngineUnavailable
from glossi_sync.studio.processing import ProcessedModel
from glossi_sync.studio.storage import Depot
from glossi_sync.studio.tasks import KeptFile, ProcessingTask, RenderTask
from glossi_sync.studio.threads import in_thread
from glossi_sync.studio.workshop import (
    FILAMENT,
    PROCESSING_SECONDS,
    RENDERING_SECONDS,
    WorkerCrashed,
    WorkerTimedOut,
    WorkshopAway,
    check_engine,
    engine_name,
    process_with,
    render_with,
)

T = TypeVar("T")

SCHEME = "dask://"

_ADDRESS = re.compile(r"dask://(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+):[0-9]{1,5}/?", re.ASCII)

_CONNECT_SECONDS = 10.0
_COUNT_AGAIN_SECONDS = 2.0


class DaskCluster:
    """The workers of the cluster at ``address`` (``dask://host:port``), however many there are at the moment.

    ``depot`` is the storage that they are to use; ``engine`` is ``module:class``, imported in the workers only.

    Raises:
        ValueError: the address is none.
    """

    def __init__(
        self,
        address: str,
        *,
        depot: Depot,
        engine: str = FILAMENT,
        processing_seconds: float = PROCESSING_SECONDS,
        rendering_seconds: float = RENDERING_SECONDS,
    ) -> None:
        if not _ADDRESS.fullmatch(address):
            raise ValueError(f"{address!r} does not name a Dask scheduler: write it as dask://HOST:PORT")
        self._address = "tcp://" + address.removeprefix(SCHEME).rstrip("/")
        self._depot = depot
        self._engine = engine
        self._processing_seconds = processing_seconds
        self._rendering_seconds = rendering_seconds
        self._client: Client | None = None
        self._executor: Executor | None = None
        self._connecting = asyncio.Lock()
        self._places = 1

    @property
    def capacity(self) -> int:
        """The most workers that there were so far; what exceeds those of the moment waits at the scheduler."""
        return self._places

    async def more_places(self) -> int:
        while True:
            try:
                workers = await self._count_workers()
            except WorkshopAway:
                workers = 0
            if workers > self._places:
                more, self._places = workers - self._places, workers
                return more
            await asyncio.sleep(_COUNT_AGAIN_SECONDS)

    @property
    def engine_name(self) -> str:
        return engine_name(self._engine)

    async def check(self) -> None:
        try:
            async with asyncio.timeout(self._processing_seconds):
                version = await self._run(_check, self._engine, self._depot)
        except TimeoutError:
            raise EngineUnavailable(
                f"no worker of the Dask cluster at {self._address} took up anything in {self._processing_seconds:g} s:"
                f" start some with: dask worker {self._address} --nworkers 4 --nthreads 1"
            ) from None
        except ModuleNotFoundError as error:
            raise EngineUnavailable(
                f"the workers of the Dask cluster at {self._address} lack {error.name}: install there what is"
                " installed here"
            ) from None
        if version != __version__:
            raise EngineUnavailable(
                f"the workers of the Dask cluster at {self._address} have glossi-sync {version}, this studio"
                f" {__version__}: install the same everywhere"
            )

    async def process(self, task: ProcessingTask) -> ProcessedModel:
        return await self._run(_process, self._engine, task, self._processing_seconds)

    async def render(self, task: RenderTask) -> tuple[KeptFile, ...]:
        return await self._run(_render, self._engine, task, self._rendering_seconds)

    async def close(self) -> None:
        client, self._client, self._executor = self._client, None, None
        if client is not None:
            await in_thread(partial(client.close, timeout=2))

    async def _run(self, function: Callable[..., T], *arguments: Any) -> T:
        executor = await self._connected()
        try:
            # Not pure: what was made once is not what is asked for, even where the arguments are the same.
            future = await in_thread(partial(executor.submit, function, *arguments, pure=False))
            return await asyncio.wrap_future(future)
        except KilledWorker as killed:
            deaths = killed.allowed_failures + 1
            raise WorkerCrashed("the Dask workers died over it", times=deaths) from None
        except asyncio.CancelledError:
            asked = asyncio.current_task()
            if asked is not None and asked.cancelling():
                raise
            raise self._away("the connection to it was lost") from None

    async def _connected(self) -> Executor:
        async with self._connecting:
            if self._client is not None and self._client.status in {"closed", "closing"}:
                self._client = self._executor = None
            if self._client is None or self._executor is None:
                try:
                    self._client = await in_thread(self._connect)
                except (OSError, TimeoutError, ValueError) as error:
                    raise self._away("it does not answer") from error
                self._executor = self._client.get_executor()  # type: ignore[no-untyped-call]
            if self._client.status != "running":
                raise self._away("the connection to it was lost")
            return self._executor

    def _connect(self) -> Client:
        options: dict[str, Any] = {"timeout": _CONNECT_SECONDS, "set_as_default": False, "name": "glossi-studio"}
        return Client(self._address, **options)  # type: ignore[no-untyped-call]

    async def _count_workers(self) -> int:
        await self._connected()
        client = self._client
        try:
            return 0 if client is None else len((await in_thread(client.scheduler_info))["workers"])
        except (OSError, TimeoutError) as error:
            raise self._away("it does not answer") from error

    def _away(self, why: str) -> WorkshopAway:
        return WorkshopAway(f"the Dask scheduler at {self._address} cannot be used: {why}")


# --- in a Dask worker ------------------------------------------------------------------------------------------------


def _check(engine: str, depot: Depot) -> str:
    depot.check()
    _at_the_bench(PROCESSING_SECONDS, check_engine, engine)
    return __version__


def _process(engine: str, task: ProcessingTask, seconds: float) -> ProcessedModel:
    return _at_the_bench(seconds, process_with, engine, replace(task, attempt=_attempt_of_ours(task.attempt)))


def _render(engine: str, task: RenderTask, seconds: float) -> tuple[KeptFile, ...]:
    return _at_the_bench(seconds, render_with, engine, replace(task, attempt=_attempt_of_ours(task.attempt)))


def _attempt_of_ours(attempt: str) -> str:
    # The scheduler gives a task to a second worker when it believes that the first one is dead.
    return f"{attempt}-{uuid4().hex[:8]}"


@cache
def _bench() -> ThreadPoolExecutor:
    """The one thread of this process in which engines run: they keep to the thread that they were made in."""
    return ThreadPoolExecutor(1)


def _at_the_bench(seconds: float, function: Callable[..., T], *arguments: Any) -> T:
    future = _bench().submit(function, *arguments)
    try:
        return future.result(seconds)
    except TimeoutError:
        if future.done():
            raise
        # Nothing but its end stops a native renderer. The nanny starts the worker anew; first the answer leaves.
        threading.Thread(target=_end_soon, daemon=True).start()
        raise WorkerTimedOut(f"it took more than {seconds:g} seconds") from None


def _end_soon() -> None:
    time.sleep(1)
    os._exit(1)
