"""What every request meets at the studio: the API key, the limits, and errors in one shape."""

from __future__ import annotations

import httpx
import pytest
from small_glb import box
from studio_client import Api, InProcess, client_of, ok, refused

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.gate import MAX_BODY_BYTES


def test_every_endpoint_below_the_prefix_needs_a_valid_key(inside: InProcess) -> None:
    paths = inside.app.openapi()["paths"]
    below = [(method, path) for path, item in paths.items() for method in item if path.startswith(wire.API_PREFIX)]
    assert len(below) >= 12
    below += [("get", wire.API_PREFIX), ("get", f"{wire.API_PREFIX}/attach"), ("post", f"{wire.API_PREFIX}/nowhere")]
    for method, path in below:
        for headers, reason in (
            ({}, "is missing"),
            ({wire.API_KEY_HEADER: ""}, "is not valid"),
            ({wire.API_KEY_HEADER: "glsi_other"}, "is not valid"),
            ({wire.API_KEY_HEADER: "glsi_tes"}, "is not valid"),
            ({wire.API_KEY_HEADER: "glsi_tést".encode()}, "is not valid"),
            ({"Authorization": "Bearer glsi_test"}, "is missing"),
        ):
            answer = httpx.request(method, inside.api.origin + path, headers=headers, trust_env=False)
            assert reason in refused(answer, 401, "unauthorized"), path
            assert wire.API_KEY_HEADER in answer.headers["WWW-Authenticate"]


def test_uploads_and_health_need_no_key(api: Api) -> None:
    (model,) = api.create("box")
    assert api.put(model["uploadUrl"], box()).status_code == 200
    health = ok(httpx.get(api.origin + wire.HEALTH_PATH, trust_env=False))
    assert health["status"] == "ok" and health["engine"]["name"] == "small_engines"


def test_what_belongs_to_another_workspace_does_not_exist(inside: InProcess) -> None:
    ours = inside.api
    model_id = ours.ready()
    project_id = ours.project(model_id)
    job_id = ours.start(project_id)
    (render,) = ours.finished(job_id)["renders"]
    webhook = {"url": "https://shop.example/hook", "events": ["render.complete"]}
    ok(ours.http.put(ours.url + "/webhooks", json=webhook))
    with inside.client("glsi_neighbour") as theirs:
        assert ok(theirs.post("/models/status", {"modelIds": [model_id]})) == {
            "models": [],
            "allReady": False,
            "notFound": [model_id],
        }
        refused(theirs.confirm(model_id), 404, "model_not_found")
        new_project = {"modelIds": [model_id], "templateId": theirs.template_id()}
        refused(theirs.post("/projects", new_project), 404, "model_not_found")
        refused(theirs.post("/renders", {"projectIds": [project_id]}), 404, "project_not_found")
        refused(theirs.get(f"/renders/{job_id}"), 404, "render_not_found")
        refused(theirs.post(f"/renders/{job_id}/retry"), 404, "render_not_found")
        refused(theirs.get(f"/files/{render['filePath']}"), 404, "file_not_found")
        refused(theirs.get("/webhooks"), 404, "webhook_not_found")
        refused(theirs.http.delete(theirs.url + "/webhooks"), 404, "webhook_not_found")
    assert ours.get(f"/files/{render['filePath']}").status_code == 200
    assert ok(ours.get("/webhooks"))["url"] == webhook["url"]


@pytest.mark.parametrize("announced", [True, False])
def test_a_body_over_the_limit_is_refused_however_it_arrives(api: Api, announced: bool) -> None:
    body = b"[" + b" " * MAX_BODY_BYTES
    answer = api.http.post(
        api.url + "/models",
        content=body if announced else iter([body[:-1], body[-1:]]),
        headers={"Content-Type": "application/json"},
    )
    assert f"{MAX_BODY_BYTES:,}" in refused(answer, 413, "body_too_large")


@pytest.mark.parametrize(
    "body", [b"{", b"not json", b'{"\xff": 1}', b"[" * 100_000, b'{"models": ' + b"9" * 10_000 + b"}"]
)
def test_a_body_that_is_not_json_is_refused(api: Api, body: bytes) -> None:
    answer = api.http.post(api.url + "/models", content=body, headers={"Content-Type": "application/json"})
    refused(answer, 400, "invalid_json")


def test_a_body_that_does_not_say_that_it_is_json_is_told_to(api: Api) -> None:
    for content in (b'{"modelIds": ["a"]}', b""):
        answer = api.http.post(
            api.url + "/models/status", content=content, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert "Content-Type: application/json" in refused(answer, 415, "unsupported_media_type")
    charset = {"Content-Type": "application/json; charset=utf-8"}
    ok(api.http.post(api.url + "/models/status", content=b'{"modelIds": ["a"]}', headers=charset))


def test_unknown_paths_and_methods_are_refused_in_json(api: Api) -> None:
    refused(api.get("/nowhere"), 404, "not_found")
    refused(api.http.get(api.origin + "/nowhere"), 404, "not_found")
    refused(api.post("/models/", {}), 404, "not_found")
    answer = api.get("/models")
    refused(answer, 405, "method_not_allowed")
    assert answer.headers["Allow"] == "POST"


def test_a_mistake_names_the_field_and_says_what_is_expected(api: Api) -> None:
    message = refused(api.post("/models", {"models": [{"name": 7, "fileName": "a\nb"}]}), 422, "invalid_request")
    assert "models.0.name: " in message and "models.0.fileType: Field required" in message
    assert "models.0.fileName: must be one line" in message


def test_undocumented_fields_are_let_pass(api: Api) -> None:
    body = {"models": [{"name": "n", "fileName": "n.glb", "fileType": "glb", "tags": ["new"]}], "dryRun": False}
    ok(api.post("/models", body))


@pytest.mark.parametrize("host", ["[", "a b", "[::1", "shop.example:99999999", ""])
def test_a_host_that_is_none_is_no_defect(api: Api, host: str) -> None:
    body = b'{"models": [{"name": "n", "fileName": "n.glb", "fileType": "glb"}]}'
    status, _ = api.verbatim("POST", f"{wire.API_PREFIX}/models", body, Host=host)
    assert status < 500


def test_upload_urls_begin_as_the_client_reached_the_studio(inside: InProcess) -> None:
    # Under a name of one's own, as through a tunnel or a proxy that passes the Host header on.
    answer = inside.api.post(
        "/models",
        {"models": [{"name": "n", "fileName": "n.glb", "fileType": "glb"}]},
        headers={"Host": "studio.example:8470"},
    )
    assert ok(answer)["models"][0]["uploadUrl"].startswith("http://studio.example:8470/uploads/workspaces/")


def test_a_new_key_is_noticed_and_a_revoked_one_too(inside: InProcess) -> None:
    refused(inside.api.http.get(inside.api.url + "/webhooks"), 404, "webhook_not_found")
    inside.studio.records.now(lambda c: rows.set_key(c, "workspace", "folder", "glsi_next", 0.0))
    inside.clock.now += 10
    refused(inside.api.get("/webhooks"), 401, "unauthorized")
    with client_of(inside.api.url, "glsi_next") as api:
        refused(api.get("/webhooks"), 404, "webhook_not_found")
