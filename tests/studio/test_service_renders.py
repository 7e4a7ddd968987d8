"""Renders at the studio: jobs, settings, statuses, retries (guide, Steps 4 and 5)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from studio_client import Api, InProcess, ok, refused

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.template import bundled_templates


def test_one_call_renders_many_projects_in_their_order(api: Api) -> None:
    projects = [api.project(api.ready(name)) for name in ("sofa", "lamp", "rug")]
    answer = ok(api.post("/renders", {"projectIds": projects, "settings": {"renderShots": False}}))
    assert set(answer) == {"jobs", "totalProjects"} and answer["totalProjects"] == 3
    assert [job["projectId"] for job in answer["jobs"]] == projects
    assert all(set(job) == {"jobId", "status", "projectId"} for job in answer["jobs"])
    assert {job["status"] for job in answer["jobs"]} == {"QUEUED"}
    finished = [api.finished(job["jobId"]) for job in answer["jobs"]]
    assert {job["status"] for job in finished} == {"COMPLETED"}
    paths = [render["filePath"] for job in finished for render in job["renders"]]
    assert len(set(paths)) == len(paths) > 3


def test_the_statuses_come_in_the_guides_order(api: Api, tmp_path: Path) -> None:
    go = tmp_path / "go"
    project_id = api.project(api.ready(f"wait for {go}"))
    job_id = api.start(project_id)
    seen = [api.render(job_id)]
    while seen[-1]["status"] != "COMPLETED":
        if seen[-1]["status"] == "RENDERING":
            go.touch()
        seen.append(api.render(job_id))
        assert seen[-1]["status"] != "FAILED"
    statuses = [job["status"] for job in seen]
    order = ["QUEUED", "RENDERING", "COMPLETED"]
    assert statuses == sorted(statuses, key=order.index) and "RENDERING" in statuses
    for job in seen[:-1]:
        assert job == {"jobId": job_id, "status": job["status"], "projectId": project_id}
    assert set(seen[-1]) == {"jobId", "status", "projectId", "renders"}


def settings_of(inside: InProcess, job_id: str) -> dict[str, Any]:
    job = inside.studio.records.now(lambda connection: rows.render_job(connection, "workspace", job_id))
    assert job is not None
    return job.settings


def test_a_setting_left_out_takes_the_guides_default(inside: InProcess) -> None:
    api = inside.api
    project_id = api.project(api.ready())
    guide = {
        "renderBookmarks": True,
        "renderShots": True,
        "renderVariants": True,
        "imageQuality": 1,
        "videoQuality": 1,
        "videoResolution": 1,
    }
    bodies: list[dict[str, Any]] = [{}, {"settings": {}}, {"settings": {"renderShots": False, "imageQuality": 2}}]
    for body in bodies:
        (job,) = ok(api.post("/renders", {"projectIds": [project_id]} | body))["jobs"]
        assert settings_of(inside, job["jobId"]) == guide | body.get("settings", {})


def test_the_settings_decide_what_is_rendered(api: Api) -> None:
    project_id = api.project(api.ready())
    everything = {r["name"]: r for r in api.finished(api.start(project_id, renderShots=True))["renders"]}
    stills = api.finished(api.start(project_id, renderShots=False))["renders"]
    videos = api.finished(api.start(project_id, renderShots=True, renderBookmarks=False))["renders"]
    assert "Front View - Default" in everything and "360 Spin - Default" in everything
    assert {r["name"] for r in (*stills, *videos)} == set(everything)
    assert {(r["fileType"], r["isVideo"]) for r in stills} == {("PNG", False)}
    assert {(r["fileType"], r["isVideo"]) for r in videos} == {("MP4", True)}


@pytest.mark.parametrize(
    "settings",
    [
        {"imageQuality": 3},
        {"imageQuality": -1},
        {"videoQuality": "1"},
        {"videoResolution": 1.5},
        {"renderShots": "no"},
        {"renderBookmarks": 1},
        {"imageQuality": True},
        {"imageQuality": None},
        {"imageqality": 2},
        [],
        None,
    ],
)
def test_settings_that_are_not_as_documented_are_refused(api: Api, settings: Any) -> None:
    answer = api.post("/renders", {"projectIds": ["any"], "settings": settings})
    message = refused(answer, 422, "invalid_request")
    assert "settings" + (f".{next(iter(settings))}" if settings else "") in message


def test_unknown_projects_and_jobs(api: Api) -> None:
    known = api.project(api.ready())
    answer = api.post("/renders", {"projectIds": [known, "nowhere"]})
    message = refused(answer, 404, "project_not_found")
    assert "nowhere" in message and known not in message
    refused(api.get("/renders/nobody"), 404, "render_not_found")
    refused(api.post("/renders/nobody/retry"), 404, "render_not_found")
    refused(api.post("/renders", {"projectIds": [known, known]}), 422, "invalid_request")
    refused(api.post("/renders", {"projectIds": []}), 422, "invalid_request")
    refused(api.post("/renders", {"projectIds": [str(n) for n in range(1001)]}), 413, "batch_too_large")


def test_a_failed_job_says_why_and_has_no_files(api: Api) -> None:
    project_id = api.project(api.ready("refuse"))
    job_id = api.start(project_id)
    assert api.finished(job_id) == {
        "jobId": job_id,
        "status": "FAILED",
        "projectId": project_id,
        "errorMessage": "the easel is too small for this",
    }


def test_a_defect_of_the_engine_is_a_failed_job(api: Api) -> None:
    failed = api.finished(api.start(api.project(api.ready("stumble"))))
    assert failed["status"] == "FAILED"
    assert failed["errorMessage"] == "the job could not be rendered: ZeroDivisionError: 1/0"


def test_a_retry_queues_a_failed_job_again_in_a_new_batch(api: Api, tmp_path: Path) -> None:
    mended = tmp_path / "mended"
    project_id = api.project(api.ready(f"refuse until {mended}"))
    job_id = api.start(project_id)
    batches = set()
    for _ in range(2):
        assert api.finished(job_id)["status"] == "FAILED"
        retried = ok(api.post(f"/renders/{job_id}/retry"))
        batches.add(retried.pop("batchId"))
        assert retried == {"jobId": job_id, "status": "QUEUED", "projectId": project_id}
    assert len(batches) == 2 and all(batches)
    mended.touch()
    if api.finished(job_id)["status"] == "FAILED":
        ok(api.post(f"/renders/{job_id}/retry"))
    finished = api.finished(job_id)
    assert finished["status"] == "COMPLETED" and finished["renders"]
    assert "errorMessage" not in finished


def test_only_a_failed_job_can_be_retried(api: Api, tmp_path: Path) -> None:
    go = tmp_path / "go"
    job_id = api.start(api.project(api.ready(f"wait for {go}")))
    api.rendering(job_id)
    assert "is RENDERING" in refused(api.post(f"/renders/{job_id}/retry"), 409, "render_not_failed")
    go.touch()
    before = api.finished(job_id)
    assert "is COMPLETED" in refused(api.post(f"/renders/{job_id}/retry"), 409, "render_not_failed")
    assert api.render(job_id) == before


def test_every_setting_of_the_guide_is_taken_at_each_of_its_values(inside: InProcess) -> None:
    api = inside.api
    project_id = api.project(api.ready())
    for name, default in wire.DEFAULT_SETTINGS.items():
        for value in (True, False) if isinstance(default, bool) else (0, 1, 2):
            body = {"projectIds": [project_id], "settings": {name: value}}
            (job,) = ok(api.post("/renders", body))["jobs"]
            assert settings_of(inside, job["jobId"]) == {**wire.DEFAULT_SETTINGS, name: value}


def test_a_job_whose_template_has_gone_meanwhile_says_so(inside: InProcess) -> None:
    own = replace(bundled_templates()[0], template_id="our-own")
    templates = inside.studio.templates.of_workspace
    assert isinstance(templates, dict)
    templates["workspace"] = (own,)
    project_id = inside.api.project(inside.api.ready(), template_id="our-own")
    job_id = inside.api.start(project_id)
    assert inside.api.finished(job_id)["status"] == "COMPLETED"
    del templates["workspace"]
    failed = inside.api.finished(inside.api.start(project_id))
    assert failed["status"] == "FAILED"
    assert "our-own" in failed["errorMessage"] and "folder of templates" in failed["errorMessage"]
