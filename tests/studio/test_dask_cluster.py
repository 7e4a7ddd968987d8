"""A Dask cluster that renders: a real scheduler and two workers, each a process, files in a bucket."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from remote_places import Bucket
from studio_client import Api, eventually, ok, worker_at
from studio_processes import client_at, drawing, gone, served

from glossi_sync.studio.engines import Settings
from glossi_sync.studio.storage import FolderStorage, StorageAway
from glossi_sync.studio.tasks import RenderTask, StoredModel
from glossi_sync.studio.template import bundled_templates
from glossi_sync.studio.workshop import WorkerTimedOut, WorkshopAway

pytest.importorskip("distributed")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")

ENGINE = "small_engines:DrawingEngine"


@dataclass(frozen=True)
class Cluster:
    """A running cluster; ``bucket`` is one that its workers have the credentials of."""

    port: int
    bucket: Bucket

    @property
    def address(self) -> str:
        return f"dask://127.0.0.1:{self.port}"


@contextmanager
def process(*command: str, **environment: str) -> Iterator[None]:
    started = subprocess.Popen(
        [sys.executable, "-m", *command, "--no-dashboard"],
        env={**os.environ, "DASK_DISTRIBUTED__LOGGING__DISTRIBUTED": "critical", **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        # The nanny is asked, so that it takes its worker along.
        os.killpg(started.pid, signal.SIGTERM)
        try:
            started.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


@contextmanager
def running_cluster(port: int, folder: Path, *, workers: int, **environment: str) -> Iterator[None]:
    """A scheduler at that port, and its workers, which have the environment."""
    worker = ("distributed.cli.dask_worker", f"tcp://127.0.0.1:{port}", "--host", "127.0.0.1", "--nthreads", "1")
    with ExitStack() as running:
        running.enter_context(process("distributed.cli.dask_scheduler", "--host", "127.0.0.1", "--port", str(port)))
        for _ in range(workers):
            running.enter_context(process(*worker, "--local-directory", str(folder), **environment))
        yield


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, new_bucket: Callable[[], Bucket]) -> Iterator[Cluster]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    bucket = new_bucket()
    local = tmp_path_factory.mktemp("dask")
    with running_cluster(port, local, workers=2, **bucket.environment):
        yield Cluster(port, bucket)


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory, cluster: Cluster) -> Iterator[Api]:
    """A studio that renders there."""
    data = tmp_path_factory.mktemp("studio") / "data"
    options = ("--workers", cluster.address, "--storage", f"{cluster.bucket.url}/studio")
    with drawing(data, *options, **cluster.bucket.environment) as studio, client_at(studio, data) as client:
        health = client.origin + "/health"
        eventually(lambda: ok(client.http.get(health))["engine"]["available"] is not None)
        assert ok(client.http.get(health))["engine"] == {"name": "small_engines", "available": True}
        yield client


def names(job: dict[str, object]) -> list[str]:
    renders = job["renders"]
    assert isinstance(renders, list)
    return [render["name"] for render in renders]


def test_a_worker_that_dies_in_the_middle_of_a_job_costs_a_retry_and_no_other_job_anything(
    api: Api, tmp_path: Path
) -> None:
    doomed, beside = tmp_path / "doomed", tmp_path / "beside"
    first = api.start(api.project(api.ready(f"wait for {doomed}")))
    second = api.start(api.project(api.ready(f"wait for {beside}")))
    killed, other = worker_at(doomed), worker_at(beside)
    assert killed != other, "two workers, a job each"
    os.kill(killed, signal.SIGKILL)
    beside.touch()
    assert api.finished(second)["status"] == "COMPLETED"
    assert worker_at(beside) == other, "it was begun once"
    eventually(lambda: worker_at(doomed) != killed)
    assert api.render(first)["status"] == "RENDERING"
    doomed.touch()
    finished = api.finished(first)
    assert finished["status"] == "COMPLETED"
    assert len(set(names(finished))) == len(names(finished)) == len(bundled_templates()[0].bookmarks)
    for render in finished["renders"]:
        assert api.get(f"/files/{render['filePath']}").content.startswith(b"\x89PNG")


def test_an_engine_that_refuses_is_heard(api: Api) -> None:
    failed = api.finished(api.start(api.project(api.ready("refuse"))))
    assert (failed["status"], failed["errorMessage"]) == ("FAILED", "the easel is too small for this")
    state = api.processed(api.upload("bad", b"not a model at all"))
    assert state["status"] == "FAILED" and "not a GLB" in state["errorMessage"]


def test_a_job_under_which_worker_after_worker_dies_is_failed_and_the_next_is_rendered(api: Api) -> None:
    failed = api.finished(api.start(api.project(api.ready("crash"))))
    assert failed["status"] == "FAILED"
    assert failed["errorMessage"] == "the job could not be rendered: the Dask workers died over it, 4 times"
    assert api.finished(api.start(api.project(api.ready("innocent"))))["status"] == "COMPLETED"


def task(folder: Path, name: str) -> RenderTask:
    depot = FolderStorage(folder).depot
    key = "workspaces/w/models/m/model.glb"
    (folder / "model.glb").touch()
    depot.put(folder / "model.glb", key)
    settings = Settings(render_shots=False)
    return RenderTask(
        (StoredModel(name, key),), bundled_templates()[0], settings, "workspaces/w/renders/job", str(uuid4()), depot
    )


def test_in_a_folder_that_is_everywhere_the_same_and_no_job_is_without_end(cluster: Cluster, tmp_path: Path) -> None:
    from glossi_sync.studio.dask_cluster import DaskCluster

    async def work() -> None:
        depot = FolderStorage(tmp_path).depot
        workshop = DaskCluster(cluster.address, depot=depot, engine=ENGINE, rendering_seconds=1.0)
        try:
            await workshop.check()
            assert workshop.capacity + await workshop.more_places() >= 2
            with pytest.raises(WorkerTimedOut, match="more than 1 seconds"):
                await workshop.render(task(tmp_path, f"wait for {tmp_path / 'godot'}"))
            worker = worker_at(tmp_path / "godot")
            kept = await workshop.render(task(tmp_path, "next"))
            assert all((tmp_path / "files" / file.key).read_bytes().startswith(b"\x89PNG") for file in kept)
            assert gone(worker), "nothing else stops it"
        finally:
            await workshop.close()

    asyncio.run(work())


def test_a_folder_that_is_not_everywhere_the_same_is_told(cluster: Cluster, tmp_path: Path) -> None:
    from glossi_sync.studio.dask_cluster import DaskCluster

    (tmp_path / "here").mkdir()
    lost = task(tmp_path / "here", "box")
    (tmp_path / "here").rename(tmp_path / "elsewhere")

    async def work() -> None:
        workshop = DaskCluster(cluster.address, depot=lost.depot, engine=ENGINE)
        try:
            for attempt in (workshop.check(), workshop.render(lost)):
                with pytest.raises(StorageAway, match="mount it under the same path, or let the studio keep its files"):
                    await attempt
        finally:
            await workshop.close()

    asyncio.run(work())


def test_where_no_scheduler_answers_jobs_wait_and_the_health_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glossi_sync.studio import dask_cluster

    monkeypatch.setattr(dask_cluster, "_CONNECT_SECONDS", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    async def work() -> None:
        workshop = dask_cluster.DaskCluster(f"dask://127.0.0.1:{port}", depot=FolderStorage(tmp_path).depot)
        for attempt in (workshop.check(), workshop.render(task(tmp_path, "box"))):
            with pytest.raises(WorkshopAway, match=f"127.0.0.1:{port} cannot be used: it does not answer"):
                await attempt
        await workshop.close()

    asyncio.run(work())


@pytest.mark.skipif("GLOSSI_TEST_STUDIO" not in os.environ, reason="takes a while: make test-postgres-s3")
def test_a_cluster_that_goes_away_and_comes_again_costs_time_and_no_job(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    data, go = tmp_path / "data", tmp_path / "go"
    with drawing(data, "--workers", f"dask://127.0.0.1:{port}") as studio, client_at(studio, data) as api:
        with running_cluster(port, tmp_path, workers=1):
            job = api.start(api.project(api.ready(f"wait for {go}")))
            worker_at(go)
        go.touch()
        assert api.render(job)["status"] == "RENDERING"
        with running_cluster(port, tmp_path, workers=1):
            assert api.finished(job)["status"] == "COMPLETED"


def test_an_address_that_is_none_is_refused(tmp_path: Path) -> None:
    from glossi_sync.studio.dask_cluster import DaskCluster

    depot = FolderStorage(tmp_path / "data").depot
    for address in ("dask://", "dask://nowhere", "dask://host:port", "tcp://127.0.0.1:8786"):
        with pytest.raises(ValueError, match="write it as dask://HOST:PORT"):
            DaskCluster(address, depot=depot)
    with served(tmp_path / "data", "--workers", "dask://nowhere") as studio:
        status, _, errors = studio.ended()
    assert (status, errors.count("\n")) == (1, 1) and "write it as dask://HOST:PORT" in errors
