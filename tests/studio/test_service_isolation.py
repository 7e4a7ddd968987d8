"""Nothing leaks between workspaces: to whoever asks, what is another workspace's was never there.

The endpoints and their ids are read from the studio's own OpenAPI document, so that one that is added later is held to
it, too: it fails here until ``IDS`` says what its ids are.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from studio_client import Api, InProcess, inside_studio, ok

from glossi_sync.service import wire
from glossi_sync.studio.api.context import Templates
from glossi_sync.studio.template import bundled_templates

IDS = {
    "modelId": "model",
    "modelIds": "model",
    "projectIds": "project",
    "templateId": "template",
    "/renders/{jobId}": "render job",
    "/jobs/{jobId}": "job",
    "file_path": "file",
    "before": "delivery",
}
"""Fields of bodies, and parameters of paths and queries (with the beginning of the path where one name has two meanings)."""

NO_IDS = {"internal", "public", "limit"}
"""Parameters that name nothing of a workspace's."""


@dataclass(frozen=True)
class Operation:
    """An endpoint, and where it takes ids: the kind of each, by the name of its parameter or field."""

    method: str
    path: str
    in_parameters: Mapping[str, str]
    in_body: Mapping[str, str]
    body: Mapping[str, Any]

    def request(self, api: Api, ids: Mapping[str, str]) -> httpx.Response:
        path, query = self.path, {}
        for name, kind in self.in_parameters.items():
            if f"{{{name}}}" in path:
                path = path.replace(f"{{{name}}}", ids[kind])
            elif kind in ids:
                query[name] = ids[kind]
        body = dict(self.body)
        for name, kind in self.in_body.items():
            body[name] = [ids[kind]] if name.endswith("Ids") else ids[kind]
        return api.http.request(self.method, api.origin + path, params=query, json=body or None)


@dataclass(frozen=True)
class Street:
    """A studio with two workspaces, what each has by its kind, and the endpoints that take ids."""

    inside: InProcess
    neighbour: Api
    ours: Mapping[str, str]
    theirs: Mapping[str, str]
    operations: tuple[Operation, ...]


VALID: dict[str, dict[str, Any]] = {
    "/models/{modelId}/confirm": {"fileType": "glb"},
    "/projects": {},
    "/renders": {"settings": {"renderShots": False}},
    "/jobs": {"models": [{"fileName": "n.glb", "fileType": "glb"}], "createProjects": True},
}
"""What a body needs beside its ids."""


def belongings(api: Api, template_id: str) -> dict[str, str]:
    """One of everything, by its kind."""
    hook = {"url": f"http://127.0.0.1:9/{template_id}", "events": ["render.complete"]}
    ok(api.http.put(api.url + "/webhooks", json=hook))
    new_job = {"models": [{"fileName": "n.glb", "fileType": "glb"}], "templateId": template_id, "createProjects": True}
    job = ok(api.post("/jobs", new_job))["jobId"]
    model = api.ready()
    project = api.project(model, template_id=template_id)
    render_job = api.start(project)
    (file,) = api.finished(render_job)["renders"]
    return {
        "model": model,
        "project": project,
        "template": template_id,
        "render job": render_job,
        "file": file["filePath"],
        "job": job,
        "delivery": ok(api.get(wire.DELIVERIES_PATH))["deliveries"][0]["id"],
    }


def unknown(ids: Mapping[str, str]) -> dict[str, str]:
    """As many ids that nobody has, of the same shapes."""
    strangers = {kind: str(uuid.uuid4()) for kind in ids}
    return strangers | {"file": f"workspaces/{strangers['job']}/renders/{strangers['file']}/{strangers['model']}.png"}


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        if not path.startswith(wire.API_PREFIX):
            continue
        short = path.removeprefix(wire.API_PREFIX)
        for method, described in item.items():
            names = {one["name"] for one in described.get("parameters", [])} - NO_IDS
            in_parameters = {
                name: next(kind for key, kind in IDS.items() if name == key or (key in path and name in key))
                for name in names
            }
            fields = properties(document, described.get("requestBody"))
            in_body = {name: IDS[name] for name in fields if name in IDS}
            assert not [name for name in fields if name.lower().endswith(("id", "ids")) and name not in IDS]
            yield Operation(method, path, in_parameters, in_body, VALID.get(short, {}))


def properties(document: Mapping[str, Any], body: Mapping[str, Any] | None) -> list[str]:
    if body is None:
        return []
    schema = body["content"]["application/json"]["schema"]
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return list(schema["properties"])


@pytest.fixture(scope="module")
def street(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Street]:
    public = bundled_templates()
    own = {
        name: (replace(public[0], template_id=str(uuid.uuid4()), name=f"Light of the {name}"),)
        for name in ("workspace", "neighbour")
    }
    templates = Templates(public, own)
    with (
        inside_studio(tmp_path_factory.mktemp("street"), templates_=templates) as inside,
        inside.client("glsi_neighbour") as neighbour,
    ):
        yield Street(
            inside,
            neighbour,
            belongings(inside.api, own["workspace"][0].template_id),
            belongings(neighbour, own["neighbour"][0].template_id),
            tuple(operations(inside.app.openapi())),
        )


def told(answer: httpx.Response, ids: Mapping[str, str]) -> tuple[int, list[str], str]:
    """What an answer tells, whatever the ids were."""
    text = answer.text
    for kind, identifier in ids.items():
        text = text.replace(identifier, f"<{kind}>")
    return answer.status_code, sorted(set(answer.headers) - {"date", "content-length"}), text


@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_ids_of_another_workspace_are_ids_that_nobody_has(street: Street, data: st.DataObject) -> None:
    takes_ids = [one for one in street.operations if one.in_parameters or one.in_body]
    operation = data.draw(st.sampled_from(takes_ids))
    kinds = sorted({*operation.in_parameters.values(), *operation.in_body.values()})
    foreign = data.draw(st.sets(st.sampled_from(kinds), min_size=1))
    theirs = {**street.ours, **{kind: street.theirs[kind] for kind in foreign}}
    nobodys = {**street.ours, **{kind: one for kind, one in unknown(street.ours).items() if kind in foreign}}

    one = told(operation.request(street.inside.api, theirs), theirs)
    other = told(operation.request(street.inside.api, nobodys), nobodys)
    assert one == other
    asks_for_many = operation.path.endswith(("/models/status", wire.DELIVERIES_PATH))
    assert one[0] == (200 if asks_for_many else 404), one


def test_what_lists_tell_of_others_is_nothing(street: Street) -> None:
    for operation in street.operations:
        if operation.method == "get" and "{" not in operation.path:
            answers = (operation.request(street.inside.api, {}), operation.request(street.neighbour, {}))
            for answer, others in zip(answers, (street.theirs, street.ours), strict=True):
                said = json.dumps(ok(answer))
                assert not [kind for kind, identifier in others.items() if identifier in said]


def test_their_own_ids_are_known_to_both(street: Street) -> None:
    # The property above would hold in a studio that knows nothing at all.
    for api, ids in ((street.inside.api, street.ours), (street.neighbour, street.theirs)):
        assert api.state(ids["model"])["ready"]
        assert api.render(ids["render job"])["status"] == wire.RENDER_COMPLETED
        assert api.get(f"/files/{ids['file']}").status_code == 200
        assert ids["render job"] in json.dumps(ok(api.get(wire.DELIVERIES_PATH)))
        assert ids["template"] in json.dumps(ok(api.get("/templates")))
        api.start(api.project(ids["model"], template_id=ids["template"]))


def test_deleting_ones_webhook_leaves_the_neighbours(street: Street) -> None:
    theirs = ok(street.neighbour.get("/webhooks"))
    ok(street.inside.api.get("/webhooks"))
    assert street.inside.api.http.delete(street.inside.api.url + "/webhooks").status_code == 204
    assert ok(street.neighbour.get("/webhooks")) == theirs
