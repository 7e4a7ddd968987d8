"""What goes wrong in a worker costs at most its own job: never another job, never the server."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from uuid import uuid4

import pytest
from studio_client import HERE, Api, client_of_embedded, eventually, ok, worker_at

from glossi_sync.studio.embedded import EmbeddedStudio
from glossi_sync.studio.engines import Settings
from glossi_sync.studio.storage import FolderStorage
from glossi_sync.studio.tasks import RenderTask, StoredModel
from glossi_sync.studio.template import bundled_templates
from glossi_sync.studio.workshop import WorkerCrashed, WorkerPool, WorkerTimedOut


@pytest.mark.parametrize("word", ["crash", "exit"])
def test_a_job_that_takes_its_worker_along_fails_and_the_server_stays(api: Api, word: str) -> None:
    deadly = api.start(api.project(api.ready(word)))
    failed = api.finished(deadly)
    assert failed["status"] == "FAILED"
    assert failed["errorMessage"] == "the job could not be rendered: the worker process crashed on it, 3 times"
    assert api.finished(api.start(api.project(api.ready("innocent"))))["status"] == "COMPLETED"


def test_a_crash_that_does_not_come_again_costs_nothing(api: Api, tmp_path: Path) -> None:
    job_id = api.start(api.project(api.ready(f"crash once {tmp_path / 'crashed'}")))
    assert api.finished(job_id)["status"] == "COMPLETED"
    assert (tmp_path / "crashed").exists()


def test_a_crash_leaves_the_jobs_beside_it_alone(api: Api, tmp_path: Path) -> None:
    go = tmp_path / "go"
    beside = api.start(api.project(api.ready(f"wait for {go}")))
    worker = worker_at(go)
    assert api.finished(api.start(api.project(api.ready("crash"))))["status"] == "FAILED"
    go.touch()
    assert api.finished(beside)["status"] == "COMPLETED"
    assert worker_at(go) == worker, "it was begun once"


@pytest.mark.skipif(os.name != "posix", reason="sends a signal")
def test_a_worker_that_dies_between_jobs_is_replaced(api: Api, tmp_path: Path) -> None:
    go = tmp_path / "go"
    for _ in range(2):
        go.unlink(missing_ok=True)
        Path(f"{go}.pid").unlink(missing_ok=True)
        job_id = api.start(api.project(api.ready(f"wait for {go}")))
        worker = worker_at(go)
        go.touch()
        assert api.finished(job_id)["status"] == "COMPLETED"
        os.kill(worker, signal.SIGKILL)


def test_what_a_library_prints_does_not_end_up_between_server_and_owner(tmp_path: Path) -> None:
    studio = EmbeddedStudio(tmp_path / "data", workers=1, engine="small_engines:DrawingEngine")
    with client_of_embedded(studio) as api:
        assert api.finished(api.start(api.project(api.ready("chatter"))))["status"] == "COMPLETED"
    assert "this is not JSON" in (tmp_path / "data" / "studio.log").read_text(encoding="utf-8")
    assert not (tmp_path / "data" / "address").exists(), "it was not killed for want of an answer"


def test_where_the_engine_cannot_run_all_else_works_and_a_job_says_what_mends_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    easel = tmp_path / "easel"
    monkeypatch.setenv("EASEL", str(easel))
    mending = "there is no easel here; mend it with: apt-get install easel"
    studio = EmbeddedStudio(tmp_path / "data", workers=1, engine="small_engines:AbsentEngine")
    with client_of_embedded(studio) as api:

        def engine() -> dict[str, object]:
            health: dict[str, object] = ok(api.http.get(api.origin + "/health"))["engine"]
            return health

        assert eventually(lambda: engine()["available"] is not None)
        assert engine() == {"name": "small_engines", "available": False, "message": mending}
        job_id = api.start(api.project(api.ready()))
        failed = api.finished(job_id)
        assert (failed["status"], failed["errorMessage"]) == ("FAILED", mending)
        easel.touch()
        ok(api.post(f"/renders/{job_id}/retry"))
        assert api.finished(job_id)["status"] == "COMPLETED"
        assert engine() == {"name": "small_engines", "available": True}
    assert mending in (tmp_path / "data" / "studio.log").read_text(encoding="utf-8")


def task(folder: Path, name: str) -> RenderTask:
    depot = FolderStorage(folder).depot
    key = f"workspaces/w/models/{uuid4()}/model.glb"
    (folder / "model.glb").touch()
    depot.put(folder / "model.glb", key)
    models = (StoredModel(name, key),)
    return RenderTask(models, bundled_templates()[0], Settings(), "workspaces/w/renders/job", str(uuid4()), depot)


def test_a_job_without_an_end_is_stopped_with_its_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))

    async def work() -> None:
        pool = WorkerPool(1, engine="small_engines:DrawingEngine", rendering_seconds=0.5)
        try:
            await pool.check()
            with pytest.raises(WorkerTimedOut, match=r"more than 0\.5 seconds"):
                await pool.render(task(tmp_path, f"wait for {tmp_path / 'godot'}"))
            worker = worker_at(tmp_path / "godot")
            # So that the engine's import is not counted: of a new worker, as above.
            await pool.check()
            assert len(await pool.render(task(tmp_path, "next"))) > 1
            with pytest.raises(ProcessLookupError):
                os.kill(worker, 0)
        finally:
            await pool.close()

    asyncio.run(work())


def test_closing_ends_what_is_under_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))

    async def work() -> None:
        pool = WorkerPool(1, engine="small_engines:DrawingEngine")
        endless = asyncio.create_task(pool.render(task(tmp_path, f"wait for {tmp_path / 'godot'}")))
        await asyncio.to_thread(worker_at, tmp_path / "godot")
        await pool.close()
        with pytest.raises(WorkerCrashed):
            await endless

    asyncio.run(work())
