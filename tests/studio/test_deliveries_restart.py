"""What a webhook is to be told outlives a kill -9, and so does a job of the simple workflow."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections import Counter
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from small_glb import box
from studio_client import eventually, ok, worker_at
from studio_processes import client_at, drawing
from webhook_receiver import deliveries, put_webhook, receiving, settled, status

from glossi_sync.service.signature import sign

pytestmark = pytest.mark.skipif(os.name != "posix", reason="kills processes by signal")


def test_a_kill_between_and_during_attempts_and_in_the_middle_of_a_job(tmp_path: Path) -> None:
    data, go, killed = tmp_path / "data", tmp_path / "go", threading.Event()

    def answer(request: BaseHTTPRequestHandler) -> None:
        told = json.loads(request.content)  # type: ignore[attr-defined]
        if not killed.is_set() and told["data"].get("name") == "Chair":
            if told["event"] == "model.processed":
                status(500)(request)  # until the kill it waits for its next attempt
                return
            killed.wait(60)  # the kill comes in the middle of the attempt
        status(200)(request)

    with receiving(answer) as receiver:
        with drawing(data) as studio, client_at(studio, data) as api:
            secret = put_webhook(api, receiver.url)
            job_id = api.new_job([("Chair", box()), (f"wait for {go}", box())], renderSettings={"renderShots": False})
            ok(api.post(f"/jobs/{job_id}/confirm"))
            worker_at(go)
            created = eventually(lambda: receiver.payloads("project.created"))[0]
            assert created["data"]["name"] == "Chair"

            def refused() -> list[dict[str, Any]]:
                return [each for each in deliveries(api) if each["status"] == "WAITING" and each["attempts"]]

            waiting = eventually(refused)[0]
            assert waiting["nextAttemptAt"] > waiting["attempts"][0]["at"]
            assert api.job_state(job_id)["status"] == "PROCESSING"
            studio.end(signal.SIGKILL)
        killed.set()
        with drawing(data) as studio, client_at(studio, data) as api:
            assert api.job_state(job_id)["status"] == "PROCESSING"
            go.touch()
            job = api.job_finished(job_id)
            assert job["status"] == "COMPLETE"
            listed = settled(api)
    assert {each["status"] for each in listed} == {"DELIVERED"}
    assert Counter(each["event"] for each in listed) == {
        "model.processed": 2,
        "project.created": 2,
        "render.complete": 2,
        "job.complete": 1,
    }
    (again,) = (each for each in listed if each["id"] == waiting["id"])
    answers = [each["status"] for each in again["attempts"]]
    assert answers[0] == 500 and answers[-1] == 200, "the attempts before the kill are remembered"
    times = Counter(each.body for each in receiver.received)
    (interrupted,) = (body for body in times if json.loads(body) == created)
    assert times[interrupted] >= 2, "what was being sent at the kill is sent again"
    assert all(each.signature == sign(each.body, secret) for each in receiver.received)
    (told,) = receiver.payloads("job.complete")
    assert told["data"] == {"jobId": job_id, "status": "COMPLETE", "results": job["results"]}
