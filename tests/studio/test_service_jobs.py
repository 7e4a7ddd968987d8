"""Jobs, the simple workflow: uploads in, projects and pictures out (service-facts, Jobs)."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from small_glb import box
from studio_client import Api, InProcess, ok, refused
from webhook_receiver import put_webhook, receiving, settled

from glossi_sync.service import wire
from glossi_sync.service.signature import sign

CHAIR = {"fileName": "chair.glb", "fileType": "glb"}


def test_a_job_awaits_its_uploads_and_then_makes_a_project_of_each_model(api: Api) -> None:
    template_id = api.template_id()
    files = [CHAIR, {"fileName": "parts/old lamp.glb", "fileType": "glb", "name": "Lamp"}]
    made = ok(api.post("/jobs", {"models": files, "templateId": template_id, "createProjects": True}))
    assert made.keys() == {"jobId", "status", "models"} and made["status"] == "AWAITING_UPLOADS"
    assert [model["fileName"] for model in made["models"]] == ["chair.glb", "parts/old lamp.glb"]
    assert all(model.keys() == {"id", "fileName", "uploadUrl", "uploadKey"} for model in made["models"])
    job_id = made["jobId"]
    waiting = api.job_state(job_id)
    assert (waiting["status"], waiting["results"]) == ("AWAITING_UPLOADS", [])
    assert [model["status"] for model in waiting["models"]] == ["PENDING", "PENDING"]
    for model in made["models"]:
        assert api.put(model["uploadUrl"], box()).status_code == 200
    assert ok(api.post(f"/jobs/{job_id}/confirm"))["status"] in {"PROCESSING", "COMPLETE"}
    done = api.job_finished(job_id)
    assert done["status"] == "COMPLETE" and "errorMessage" not in done
    assert [result["model"] for result in done["results"]] == [
        {"id": made["models"][0]["id"], "name": "chair"},
        {"id": made["models"][1]["id"], "name": "Lamp"},
    ]
    assert [result["project"]["name"] for result in done["results"]] == ["chair", "Lamp"]
    assert all(result.keys() == {"model", "project"} for result in done["results"]), "nothing was to be rendered"
    # The projects are projects like any other.
    render_id = api.start(done["results"][0]["project"]["id"])
    assert api.finished(render_id)["status"] == "COMPLETED"


def test_with_render_settings_each_project_is_rendered(api: Api) -> None:
    wish = {"renderShots": False, "imageQuality": 0}
    done = api.job([("Chair", box()), ("Lamp", box())], renderSettings=wish)
    assert done["status"] == "COMPLETE"
    for result in done["results"]:
        assert result["render"]["status"] == "COMPLETED"
        job = api.render(result["render"]["jobId"])
        assert job["projectId"] == result["project"]["id"]
        assert job["renders"] and not any(render["isVideo"] for render in job["renders"])


def test_a_model_that_fails_costs_the_others_nothing(api: Api) -> None:
    done = api.job([("Chair", box()), ("Dent", b"no model"), ("Lamp", box())], renderSettings={"renderShots": False})
    assert done["status"] == "FAILED"
    states = {model["name"]: model for model in done["models"]}
    assert {name: state["status"] for name, state in states.items()} == {
        "Chair": "READY",
        "Dent": "FAILED",
        "Lamp": "READY",
    }
    dent = states["Dent"]
    assert done["errorMessage"] == (
        f"1 of 3 models failed: the model 'Dent' ({dent['id']}) could not be processed: {dent['errorMessage']}"
    )
    assert [(each["model"]["name"], each["render"]["status"]) for each in done["results"]] == [
        ("Chair", "COMPLETED"),
        ("Lamp", "COMPLETED"),
    ]


def test_a_render_that_fails_makes_the_job_fail_and_may_be_retried_on_its_own(api: Api, tmp_path: Path) -> None:
    easel = tmp_path / "easel"
    wish = {"renderShots": False}
    done = api.job([("Chair", box()), (f"refuse until {easel}", box())], renderSettings=wish)
    assert done["status"] == "FAILED" and "could not be rendered: the easel is too small" in done["errorMessage"]
    good, bad = done["results"]
    assert (good["render"]["status"], bad["render"]["status"]) == ("COMPLETED", "FAILED")
    easel.touch()
    ok(api.post(f"/renders/{bad['render']['jobId']}/retry"))
    assert api.finished(bad["render"]["jobId"])["status"] == "COMPLETED"
    later = api.job_state(done["jobId"])
    assert later["results"][1]["render"]["status"] == "COMPLETED", "results tell how the renders are now"
    assert later["status"] == "FAILED", "a job that has ended has ended"


def test_a_confirmation_without_all_the_uploads_is_refused_and_can_be_repeated(api: Api) -> None:
    body = {"models": [CHAIR, CHAIR], "templateId": api.template_id(), "createProjects": True}
    job = ok(api.post("/jobs", body))
    first, second = job["models"]
    assert api.put(first["uploadUrl"], box()).status_code == 200
    refused(api.post(f"/jobs/{job['jobId']}/confirm"), 409, "not_uploaded")
    state = api.job_state(job["jobId"])
    assert state["status"] == "AWAITING_UPLOADS" and {each["status"] for each in state["models"]} == {"PENDING"}
    assert api.put(second["uploadUrl"], box()).status_code == 200
    ok(api.post(f"/jobs/{job['jobId']}/confirm"))
    done = api.job_finished(job["jobId"])
    again = ok(api.post(f"/jobs/{job['jobId']}/confirm"))
    assert again == done == api.job_state(job["jobId"]), "to confirm again changes nothing"


def test_a_model_may_be_confirmed_on_its_own_before(api: Api) -> None:
    body = {"models": [CHAIR, CHAIR], "templateId": api.template_id(), "createProjects": True}
    job = ok(api.post("/jobs", body))
    for model in job["models"]:
        assert api.put(model["uploadUrl"], box()).status_code == 200
    early = job["models"][0]["id"]
    ok(api.confirm(early))
    assert api.processed(early)["ready"]
    assert api.job_state(job["jobId"])["results"] == [], "the job has not begun"
    ok(api.post(f"/jobs/{job['jobId']}/confirm"))
    done = api.job_finished(job["jobId"])
    assert done["status"] == "COMPLETE" and len(done["results"]) == 2


def test_where_records_and_files_lie_elsewhere(api_elsewhere: Api) -> None:
    files = [("Chair", box()), ("Dent", b"no model")]
    with receiving() as receiver:
        secret = put_webhook(api_elsewhere, receiver.url, "job.failed", "model.processed")
        done = api_elsewhere.job(files, renderSettings={"renderShots": False})
        settled(api_elsewhere)
        assert api_elsewhere.http.delete(api_elsewhere.url + "/webhooks").status_code == 204
        (processed,) = receiver.payloads("model.processed")
        assert api_elsewhere.http.get(processed["data"]["glbFilePath"]).content == box()
    assert done["status"] == "FAILED" and "'Dent'" in done["errorMessage"]
    assert [each["render"]["status"] for each in done["results"]] == ["COMPLETED"]
    (told,) = (each for each in receiver.received if each.payload["event"] == "job.failed")
    assert told.payload["data"]["results"] == done["results"] and told.signature == sign(told.body, secret)


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"createProjects": False}, "createProjects"),
        ({"createProjects": None}, "createProjects"),
        ({"createProjects": "yes"}, "createProjects"),
        ({"models": []}, "models"),
        ({"models": [{"fileName": "chair.glb"}]}, "fileType"),
        ({"models": [{**CHAIR, "fileType": "exe"}]}, "fileType"),
        ({"models": [{**CHAIR, "fileName": "two\nlines"}]}, "fileName"),
        ({"renderSettings": {"imageQuality": 3}}, "imageQuality"),
        ({"renderSettings": {"imageQualty": 1}}, "imageQualty"),
        ({"templateId": None}, "templateId"),
    ],
)
def test_a_job_that_is_not_as_documented_is_refused(api: Api, change: dict[str, Any], names: str) -> None:
    body = {"models": [CHAIR], "templateId": api.template_id(), "createProjects": True, **change}
    assert names in refused(api.post("/jobs", body), 422, "invalid_request")


def test_a_job_needs_a_template_that_is_there_and_a_bearable_number_of_models(api: Api) -> None:
    body = {"models": [CHAIR], "templateId": "none", "createProjects": True}
    refused(api.post("/jobs", body), 404, "template_not_found")
    body = {"models": [CHAIR] * 1001, "templateId": api.template_id(), "createProjects": True}
    refused(api.post("/jobs", body), 413, "batch_too_large")


def test_another_workspaces_job_does_not_exist(inside: InProcess) -> None:
    job_id = inside.api.new_job([("Chair", box())], createProjects=True)
    with inside.client("glsi_neighbour") as neighbour:
        refused(neighbour.get(f"/jobs/{job_id}"), 404, "job_not_found")
        refused(neighbour.post(f"/jobs/{job_id}/confirm"), 404, "job_not_found")
    assert inside.api.job_state(job_id)["status"] == wire.JOB_AWAITING_UPLOADS


def test_two_confirmations_at_once_begin_it_once(inside: InProcess) -> None:
    for _ in range(5):
        job_id = inside.api.new_job([("Chair", box()), ("Lamp", box())], renderSettings={})
        with ThreadPoolExecutor(4) as several:
            asked = [several.submit(inside.api.post, f"/jobs/{job_id}/confirm") for _ in range(4)]
            assert all(ok(each.result())["jobId"] == job_id for each in asked)
        done = inside.api.job_finished(job_id)
        assert len(done["results"]) == 2
        names = [each["model"]["id"] for each in done["results"]]
        (made,) = inside.studio.records.now(
            lambda c, names=names: c.exec_driver_sql(
                "SELECT count(*) FROM project_models WHERE model_id IN (?, ?)", tuple(names)
            ).all()
        )
        assert made[0] == 2


def test_a_thousand_models_are_one_job(inside: InProcess) -> None:
    body = {"models": [CHAIR] * 1000, "templateId": inside.api.template_id(), "createProjects": True}
    job = ok(inside.api.post("/jobs", body))
    assert len({model["id"] for model in job["models"]}) == len({model["uploadUrl"] for model in job["models"]}) == 1000
    shown = inside.api.job_state(job["jobId"])
    assert [each["id"] for each in shown["models"]] == [model["id"] for model in job["models"]]
    refused(inside.api.post(f"/jobs/{job['jobId']}/confirm"), 409, "not_uploaded")


def test_results_stand_in_the_order_of_asking(inside: InProcess) -> None:
    names = [f"model {number}" for number in range(24)]
    done = inside.api.job([(name, box()) for name in names], renderSettings={"renderShots": False})
    assert done["status"] == "COMPLETE"
    assert [each["model"]["name"] for each in done["results"]] == names
