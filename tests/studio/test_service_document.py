"""The OpenAPI document says what the studio does: no answer beyond it, and nothing that it allows is refused.

Schemathesis reads the document and asks; it knows the ids of things that are there, besides those it makes up.
``make document EXAMPLES=1000`` asks longer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.specs.openapi.checks import negative_data_rejection, positive_data_acceptance
from studio_client import DelayWorkshop, InProcess, inside_studio, ok

from glossi_sync.service import wire

EXAMPLES = int(os.environ.get("GLOSSI_DOCUMENT_EXAMPLES", "6"))


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with inside_studio(tmp_path_factory.mktemp("document"), workshop=DelayWorkshop(capacity=2)) as studio:
        yield studio


@pytest.fixture(scope="module")
def documented(inside: InProcess) -> Any:
    schema = schemathesis.openapi.from_url(inside.api.origin + "/openapi.json")
    api = inside.api
    model, project = (model_id := api.ready()), api.project(model_id)
    done, (new,) = api.start(project), api.create("new")
    (file,) = api.finished(done)["renders"]
    known = {
        "modelId": [model, new["modelId"]],
        "jobId": [done],
        "file_path": [file["filePath"]],
        "modelIds": [[model]],
        "projectIds": [[project]],
        "templateId": [api.template_id()],
    }
    turn = iter(range(10**9))

    def with_known(values: Any) -> Any:
        """Every other time the ids of things that exist, in turn, in place of those that were made up."""
        if isinstance(values, dict) and next(turn) % 2:
            for name in values.keys() & known.keys():
                values[name] = known[name][next(turn) % len(known[name])]
        return values

    schema.hook("map_path_parameters")(lambda context, values: with_known(values))
    schema.hook("map_body")(lambda context, values: with_known(values))
    return schema


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_no_answer_is_beyond_the_document(documented: Any, mode: GenerationMode) -> None:
    for found in documented.get_all_operations():
        operation = found.ok()
        if mode is GenerationMode.POSITIVE or operation.body or operation.query or operation.path_parameters:
            ask(operation, mode)


def ask(operation: Any, mode: GenerationMode) -> None:
    # What a URL is cannot be said in a pattern; and what was wrong may be right with an id that is known.
    excluded = [positive_data_acceptance] if operation.path.endswith(wire.WEBHOOKS_PATH) else []
    excluded += [negative_data_rejection] if mode is GenerationMode.NEGATIVE else []

    @given(operation.as_strategy(generation_mode=mode))
    @settings(max_examples=EXAMPLES, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def check(case: Any) -> None:
        case.call_and_validate(headers={wire.API_KEY_HEADER: "glsi_test"}, excluded_checks=excluded)

    check()


def test_the_document_is_read_without_a_key_and_names_one(inside: InProcess) -> None:
    document = ok(inside.api.http.get(inside.api.origin + "/openapi.json", headers={wire.API_KEY_HEADER: ""}))
    assert document["components"]["securitySchemes"]["APIKeyHeader"]["name"] == wire.API_KEY_HEADER
    for path, item in document["paths"].items():
        for operation in item.values():
            assert operation["summary"] and operation["responses"]
            assert (path.startswith(wire.API_PREFIX)) == bool(operation.get("security")), path


def test_allow_names_every_method_of_a_path(inside: InProcess) -> None:
    for path, methods in (("/webhooks", "DELETE, GET, PUT"), ("/models/status", "POST"), ("/templates", "GET")):
        answer = inside.api.http.request("PATCH", inside.api.url + path)
        assert (answer.status_code, answer.headers["Allow"]) == (405, methods)
