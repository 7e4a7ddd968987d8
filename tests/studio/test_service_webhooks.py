"""The workspace's one webhook, as it is stored (guide, Step 6; service-facts, Webhooks)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from studio_client import Api, InProcess, inside_studio, ok, refused

from glossi_sync.service import wire


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    with inside_studio(tmp_path_factory.mktemp("webhooks")) as studio:
        yield studio


@pytest.fixture
def api(inside: InProcess) -> Api:
    """A client whose workspace has no webhook."""
    inside.api.http.delete(inside.api.url + "/webhooks")
    return inside.api


def put(api: Api, **body: Any) -> httpx.Response:
    return api.http.put(api.url + "/webhooks", json={"url": "https://shop.example/hook", "events": []} | body)


def test_the_secret_is_shown_in_the_answer_to_a_put_and_nowhere_else(api: Api) -> None:
    body = {
        "url": "https://shop.example/hooks/glossi",
        "events": list(wire.EVENTS),
        "enabled": True,
        "description": "The shop",
    }
    made = ok(put(api, **body))
    assert made == body | {"id": made["id"], "secret": made["secret"]}
    assert len(made["secret"]) >= 32
    shown = ok(api.get("/webhooks"))
    assert shown == body | {"id": made["id"]}


def test_a_second_put_changes_it_and_keeps_its_id_and_secret(api: Api) -> None:
    first = ok(put(api, events=["render.complete"], description="The shop"))
    second = ok(put(api, url="http://other.example:8080/", events=["model.failed"], enabled=False))
    assert second == {
        "id": first["id"],
        "secret": first["secret"],
        "url": "http://other.example:8080/",
        "events": ["model.failed"],
        "enabled": False,
    }
    assert ok(api.get("/webhooks"))["enabled"] is False


def test_it_is_enabled_unless_it_says_otherwise(api: Api) -> None:
    assert ok(put(api))["enabled"] is True


def test_a_delete_removes_it_and_the_next_one_is_new(api: Api) -> None:
    first = ok(put(api))
    answer = api.http.delete(api.url + "/webhooks")
    assert (answer.status_code, answer.content) == (204, b"")
    refused(api.get("/webhooks"), 404, "webhook_not_found")
    refused(api.http.delete(api.url + "/webhooks"), 404, "webhook_not_found")
    second = ok(put(api))
    assert second["id"] != first["id"] and second["secret"] != first["secret"]


@pytest.mark.parametrize(
    "change",
    [
        {"url": "ftp://shop.example"},
        {"url": "https://"},
        {"url": "https://[half/an/address"},
        {"url": "https://shop.example:99999/"},
        {"url": "https://shop.example/two words"},
        {"url": "/hooks"},
        {"url": None},
        {"events": ["model.exploded"]},
        {"events": "model.failed"},
        {"events": None},
        {"enabled": "yes"},
    ],
)
def test_a_webhook_that_is_not_as_documented_is_refused(api: Api, change: dict[str, Any]) -> None:
    assert next(iter(change)) in refused(put(api, **change), 422, "invalid_request")
    refused(api.get("/webhooks"), 404, "webhook_not_found")
