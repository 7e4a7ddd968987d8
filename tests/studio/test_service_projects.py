"""Projects at the studio (guide, Step 3)."""

from __future__ import annotations

from typing import Any

import pytest
from small_glb import box
from sqlalchemy import text
from studio_client import WORKSPACE_TEMPLATE_ID, Api, InProcess, ok, refused


def test_a_project_is_answered_as_the_guide_shows_it(api: Api) -> None:
    model_id, template_id = api.ready(), api.template_id()
    body = {"name": "Product Photoshoot", "modelIds": [model_id], "templateId": template_id}
    (project,) = ok(api.post("/projects", body))["projects"]
    assert project == body | {"projectId": project["projectId"], "status": "PENDING"}


def test_several_models_make_one_project_in_the_order_asked_for(api: Api) -> None:
    ids = [api.ready(name) for name in ("sofa", "lamp", "rug")]
    body = {"modelIds": ids[::-1], "templateId": WORKSPACE_TEMPLATE_ID}
    (project,) = ok(api.post("/projects", body))["projects"]
    assert project["modelIds"] == ids[::-1]
    assert project["name"] == "rug, lamp, sofa"


@pytest.mark.parametrize(("name", "names"), [(None, ["sofa", "lamp"]), ("Summer", ["Summer - sofa", "Summer - lamp"])])
def test_create_per_model_makes_one_project_of_each(api: Api, name: str | None, names: list[str]) -> None:
    ids = [api.ready("sofa"), api.ready("lamp")]
    body: dict[str, Any] = {"modelIds": ids, "templateId": api.template_id(), "createPerModel": True}
    projects = ok(api.post("/projects", body | ({} if name is None else {"name": name})))["projects"]
    assert [project["modelIds"] for project in projects] == [[model_id] for model_id in ids]
    assert [project["name"] for project in projects] == names
    assert len({project["projectId"] for project in projects}) == 2


def test_every_model_must_be_ready(api: Api) -> None:
    ready, template_id = api.ready(), api.template_id()
    (waiting,) = api.create("waiting")
    failed = api.upload("broken", b"no model")
    assert api.processed(failed)["status"] == "FAILED"
    for model_id, reason in ((waiting["modelId"], "'waiting' (%s) is PENDING"), (failed, "'broken' (%s) is FAILED")):
        answer = api.post("/projects", {"modelIds": [ready, model_id], "templateId": template_id})
        message = refused(answer, 409, "model_not_ready")
        assert reason % model_id in message and "READY" in message and ready not in message


def test_unknown_models_and_templates_are_named(api: Api) -> None:
    ready = api.ready()
    answer = api.post("/projects", {"modelIds": [ready, "nobody"], "templateId": api.template_id()})
    assert "nobody" in refused(answer, 404, "model_not_found")
    answer = api.post("/projects", {"modelIds": [ready], "templateId": "nowhere"})
    assert "nowhere" in refused(answer, 404, "template_not_found")


def test_one_bad_model_of_many_leaves_no_project_behind(inside: InProcess) -> None:
    ids = [inside.api.ready("good"), "nobody"]
    body = {"modelIds": ids, "templateId": inside.api.template_id(), "createPerModel": True}
    refused(inside.api.post("/projects", body), 404, "model_not_found")
    assert inside.studio.records.now(lambda c: c.scalar(text("SELECT count(*) FROM projects"))) == 0


@pytest.mark.parametrize(
    "change",
    [
        {"modelIds": []},
        {"modelIds": "abc"},
        {"modelIds": ["same", "same"]},
        {"modelIds": [None]},
        {"templateId": None},
        {"templateId": ""},
        {"name": ""},
        {"name": "x" * 1001},
        {"createPerModel": "yes"},
    ],
)
def test_a_project_that_is_not_as_documented_is_refused(api: Api, change: dict[str, Any]) -> None:
    body = {"modelIds": ["some"], "templateId": "any"} | change
    assert next(iter(change)) in refused(api.post("/projects", body), 422, "invalid_request")


def test_more_models_than_one_request_takes(api: Api) -> None:
    body = {"modelIds": [str(number) for number in range(1001)], "templateId": "any"}
    assert "1,001" in refused(api.post("/projects", body), 413, "batch_too_large")


def test_a_model_may_be_in_many_projects(api: Api) -> None:
    model_id = api.ready("box", box())
    assert len({api.project(model_id) for _ in range(3)}) == 3
