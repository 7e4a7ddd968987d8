"""``studio serve --faults``: what a client meets, over real HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import httpx
import pytest
import yaml
from small_glb import box
from studio_client import Api, DelayWorkshop, inside_studio, ok, refused
from studio_processes import client_at, drawing, served

from glossi_sync.studio.faults import read_faults

Faulty: TypeAlias = Callable[..., AbstractContextManager[Api]]
MODELS = {"models": [{"name": "n", "fileName": "n.glb", "fileType": "glb"}]}


@pytest.fixture
def faulty(tmp_path: Path) -> Faulty:
    """A studio at which these rules hold: ``with faulty({"at": …}, …) as api``."""

    @contextmanager
    def start(*rules: dict[str, Any]) -> Iterator[Api]:
        path = tmp_path / "faults.yaml"
        path.write_text(yaml.safe_dump({"faults": list(rules)}), encoding="utf-8")
        with inside_studio(tmp_path, faults=read_faults(path), workshop=DelayWorkshop(capacity=1)) as inside:
            yield inside.api

    return start


def count(api: Api) -> int:
    """How many webhooks there are, which any number of GETs leave as it is."""
    return api.get("/webhooks").status_code == 200


def put_webhook(api: Api) -> httpx.Response:
    return api.http.put(api.url + "/webhooks", json={"url": "http://127.0.0.1/", "events": []})


def test_an_answer_that_is_dropped_was_worked_for(faulty: Faulty) -> None:
    with faulty({"at": "PUT /webhooks", "drop": "answer", "times": 1}) as api:
        with pytest.raises(httpx.RemoteProtocolError):
            put_webhook(api)
        assert count(api) == 1
        ok(put_webhook(api))


def test_a_request_that_is_dropped_was_not(faulty: Faulty) -> None:
    with faulty({"at": "PUT /webhooks", "drop": "request"}) as api:
        with pytest.raises(httpx.RemoteProtocolError):
            put_webhook(api)
        assert count(api) == 0


def test_an_answer_that_breaks_off_in_the_middle(faulty: Faulty) -> None:
    with faulty({"at": "GET /templates", "drop": "half", "times": 1}) as api:
        with (
            pytest.raises(httpx.RemoteProtocolError, match="without sending complete"),
            api.http.stream("GET", api.url + "/templates") as answer,
        ):
            assert answer.status_code == 200
            answer.read()
        assert ok(api.get("/templates"))


def test_an_answer_in_place_of_the_work_and_one_after_it(faulty: Faulty) -> None:
    with faulty(
        {"at": "PUT /webhooks", "answer": 429, "retryAfter": 3, "times": 1},
        {"at": "PUT /webhooks", "answer": 599, "afterWork": True},
    ) as api:
        answer = put_webhook(api)
        assert "a fault on demand (rule 1)" in refused(answer, 429, "too_many_requests")
        assert answer.headers["Retry-After"] == "3" and count(api) == 0
        refused(put_webhook(api), 599, "fault")
        assert count(api) == 1


def test_delays_add_up_and_the_work_is_done(faulty: Faulty) -> None:
    with faulty({"at": "*", "delay": 0.2}, {"at": "GET /templates", "delay": [0.1, 0.2]}) as api:
        began = time.monotonic()
        assert ok(api.get("/templates"))
        assert time.monotonic() - began >= 0.3


def test_an_upload_url_that_expired_early_stays_so(faulty: Faulty) -> None:
    with faulty({"at": "PUT upload", "expire": True, "times": 1}) as api:
        first, second = api.create("first", "second")
        for _ in range(2):
            assert "Request has expired" in refused(api.put(first["uploadUrl"], box()), 403, "request_expired")
        assert api.put(second["uploadUrl"], box()).status_code == 200


def test_an_upload_that_is_lost_can_be_made_again(faulty: Faulty) -> None:
    with faulty({"at": "PUT upload", "lose": True, "times": 1}) as api:
        (model,) = api.create("n")
        assert api.put(model["uploadUrl"], b"x" * 90_000).status_code == 200
        refused(api.confirm(model["modelId"]), 409, "not_uploaded")
        assert api.put(model["uploadUrl"], box()).status_code == 200
        ok(api.confirm(model["modelId"]))


def test_a_large_upload_is_read_before_it_is_refused(faulty: Faulty) -> None:
    with faulty({"at": "PUT upload", "answer": 503}) as api:
        (model,) = api.create("n")
        refused(api.put(model["uploadUrl"], iter([b"x" * 1_000_000] * 20)), 503, "service_unavailable")


def test_a_file_that_is_lost_stays_so(faulty: Faulty) -> None:
    with faulty({"at": "GET /files/{filePath}", "lose": True, "after": 1, "times": 1}) as api:
        job = api.start(api.project(api.ready()))
        path = f"/files/{api.finished(job)['renders'][0]['filePath']}"
        assert [api.get(path).status_code for _ in range(3)] == [200, 404, 404]


def test_models_and_renders_that_are_refused(faulty: Faulty) -> None:
    with faulty(
        {"at": "model", "refuse": "It melted.", "after": 1, "times": 1},
        {"at": "render", "refuse": "The lamp flickered.", "times": 1},
    ) as api:
        model_id = api.ready("lamp")
        assert api.processed(api.upload("lamp")) | {"modelId": ""} == {
            "modelId": "", "name": "lamp", "status": "FAILED", "ready": False, "errorMessage": "It melted.",
        }  # fmt: skip
        job_id = api.start(api.project(model_id))
        assert api.finished(job_id)["errorMessage"] == "The lamp flickered."
        ok(api.post(f"/renders/{job_id}/retry"))
        assert api.finished(job_id)["status"] == "COMPLETED"


def test_models_and_renders_that_are_lost(faulty: Faulty) -> None:
    with faulty({"at": "model", "lose": True, "after": 1}, {"at": "render", "lose": True}) as api:
        kept = api.ready("lamp")
        lost = api.upload("lamp")
        job_id = api.start(api.project(kept))
        # One worker at a time: what was asked for after them is finished after they were lost.
        api.ready("chair")
        api.ready("chair too")
        assert ok(api.post("/models/status", {"modelIds": [lost]}))["notFound"] == [lost]
        refused(api.post("/projects", {"modelIds": [lost], "templateId": api.template_id()}), 404, "model_not_found")
        refused(api.get(f"/renders/{job_id}"), 404, "render_not_found")


def test_what_rules_do_not_name_is_left_alone(faulty: Faulty) -> None:
    with faulty({"at": "*", "answer": 500}) as api:
        assert httpx.get(api.origin + "/health", trust_env=False).status_code == 200
        assert httpx.get(api.origin + "/openapi.json", trust_env=False).status_code == 200
        refused(api.get("/nowhere"), 404, "not_found")
        for path in ("/templates", "/webhooks", "/renders/x", "/files/workspaces/x"):
            refused(api.get(path), 500, "internal_server_error")


def test_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "faults.yaml"
    path.write_text("faults:\n- {at: GET /templates, answer: 503, times: 1}\n", encoding="utf-8")
    data = tmp_path / "data"
    with drawing(data, "--faults", str(path)) as studio, client_at(studio, data) as api:
        refused(api.get("/templates"), 503, "service_unavailable")
        assert ok(api.get("/templates"))
        assert studio.end() == (0, "", "")
    path.write_text("faults:\n- {at: GET /templates, answer: no}\n", encoding="utf-8")
    with served(tmp_path / "data", "--faults", str(path)) as studio:
        code, _, errors = studio.ended()
    assert code == 1 and errors == f"{path}:2:24: faults[0].answer: False is not of type 'integer'\n"
