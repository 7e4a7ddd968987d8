"""A studio that was killed goes on where it was, when it is started again on its data folder."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from small_glb import box
from studio_client import WORKSPACE_TEMPLATE_ID, ok, worker_at
from studio_processes import client_at, drawing, gone, served

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")


def test_a_kill_in_the_middle_of_everything_loses_nothing(tmp_path: Path) -> None:
    data, go = tmp_path / "data", tmp_path / "go"
    webhook = {"url": "https://shop.example/hook", "events": ["render.complete"], "enabled": True}
    with drawing(data) as studio, client_at(studio, data) as api:
        port = studio.port
        done = api.start(api.project(api.ready("done")))
        finished = api.finished(done)
        failed = api.start(api.project(api.ready("refuse")))
        assert api.finished(failed)["status"] == "FAILED"
        secret = ok(api.http.put(api.url + "/webhooks", json=webhook))["secret"]
        (empty, uploaded) = api.create("empty", "uploaded")
        assert api.put(uploaded["uploadUrl"], box()).status_code == 200
        # One worker: what follows this job waits in the queue.
        rendering = api.start(api.project(api.ready(f"wait for {go}")))
        worker = worker_at(go)
        queued = api.start(api.render(done)["projectId"])
        confirmed = api.upload("confirmed")
        assert api.render(queued)["status"] == "QUEUED"
        assert api.state(confirmed)["status"] == "PENDING"
        (abandoned,) = (data / "working").iterdir()
        studio.end(signal.SIGKILL)
        assert gone(worker), "workers end with their server"
    # As if the kill had come while the job's files were moved to their place.
    half_moved = (data / "files" / finished["renders"][0]["filePath"]).parents[2] / rendering / "half.png"
    half_moved.parent.mkdir()
    half_moved.touch()

    with drawing(data, "--port", str(port)) as studio, client_at(studio, data) as api:
        assert not abandoned.exists()
        assert api.render(done) == finished
        for render in finished["renders"]:
            assert api.get(f"/files/{render['filePath']}").content.startswith(b"\x89PNG")
        assert api.render(failed)["status"] == "FAILED"
        assert ok(api.http.put(api.url + "/webhooks", json=webhook))["secret"] == secret
        assert api.processed(confirmed)["status"] == "READY"
        assert api.render(rendering)["status"] in {"QUEUED", "RENDERING"}
        go.touch()
        assert api.finished(rendering)["status"] == api.finished(queued)["status"] == "COMPLETED"
        assert half_moved.parent.is_dir() and not half_moved.exists()
        # An upload URL outlives the server that made it; so does what came in by it.
        assert api.put(empty["uploadUrl"], box()).status_code == 200
        for model in (empty, uploaded):
            assert api.state(model["modelId"])["status"] == "PENDING"
            ok(api.confirm(model["modelId"]))
            assert api.processed(model["modelId"])["status"] == "READY"


@pytest.mark.renders
def test_the_served_studio_finishes_a_real_render_that_a_kill_interrupted(
    tmp_path: Path, workspace_templates: Path
) -> None:
    data = tmp_path / "data"
    options = ("--workers", "1", "--templates", str(workspace_templates))
    with served(data, *options) as studio, client_at(studio, data) as api:
        model_id = api.ready("Chair", box())
        job_id = api.start(api.project(model_id, template_id=WORKSPACE_TEMPLATE_ID), imageQuality=0)
        api.rendering(job_id)
        studio.end(signal.SIGKILL)
    with served(data, *options) as studio, client_at(studio, data) as api:
        finished = api.finished(job_id)
        assert finished["status"] == "COMPLETED", finished
        assert "Front View - Default" in {render["name"] for render in finished["renders"]}
        for render in finished["renders"]:
            png = api.get(f"/files/{render['filePath']}").content
            assert png.startswith(b"\x89PNG")
            assert (int.from_bytes(png[16:20]), int.from_bytes(png[20:24])) == (1280, 720)
            assert len(png) > 10_000, "there is something to see"
