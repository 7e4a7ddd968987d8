"""Drift: the state is held against the service, and nothing else is; by its exit code a scheduled job can tell."""

from __future__ import annotations

import json
from collections.abc import Callable

import httpx
import jsonschema
import pytest
from click.testing import CliRunner
from counting_studio import Studio
from shop import Shop

from glossi_sync.cli import main
from glossi_sync.schema_files import load_schema


@pytest.fixture
def drift(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """``drift`` in a shop's folder, in this process; it asks for nothing."""

    def look(shop: Shop, *options: str, code: int = 0) -> str:
        monkeypatch.chdir(shop.folder)
        before = shop.studio.arrived()
        result = CliRunner().invoke(main, ["drift", *options], env={"GLOSSI_API_KEY": shop.studio.key})
        assert result.exit_code == code, result.output
        assert shop.studio.arrived() == before
        shop.check_secrets(result.output)
        return result.output

    return look


def test_what_the_service_lost_is_drift_and_what_was_not_applied_is_not(
    made: Shop, studio: Studio, drift: Callable[..., str]
) -> None:
    assert "No drift: 7 objects looked at, each as it was made." in drift(made)
    made.model("new", "new")
    made.spec["models"]["lamp"]["name"] = "Another name"
    made.save()
    assert "1 address of the spec is not applied yet; that is no drift" in drift(made)

    rows = {one["address"]: one["remoteId"] for one in json.loads(made.run("status", "--format", "json").out)}
    with studio.without_model(rows["model.ash"]), studio.without_job(rows["render.lamp/film"]):
        said = drift(made, code=2)
        assert "! model.ash         lost" in said and "! render.lamp/film  lost" in said
        assert "Drift: 2 of 7 objects are not as made: 2 lost." in said
        document = json.loads(drift(made, "--format", "json", code=2))
        jsonschema.validate(document, load_schema("drift"))
        assert [one["address"] for one in document["deviations"]] == ["model.ash", "render.lamp/film"]
        # It is a matter between the state and the service: what has left the spec counts, too.
        del made.spec["projects"]["lamp"]
        made.save()
        assert "| lost | `render.lamp/film` |" in drift(made, "--format", "markdown", code=2)
    assert json.loads(drift(made, "--format", "json"))["drifted"] is False


def test_a_webhook_that_somebody_changed_is_drift(
    new_shop: Callable[..., Shop], studio: Studio, drift: Callable[..., str]
) -> None:
    hook = {"url": "https://shop.example/hooks", "events": ["render.complete"], "description": "ours"}
    shop = new_shop("drifting", webhook=dict(hook))
    shop.save()
    assert "No drift: 0 objects" in drift(shop)
    shop.applied()
    assert "No drift: 1 object" in drift(shop)
    shop.spec["webhook"]["enabled"] = False
    shop.save()
    assert "1 address of the spec is not applied yet" in drift(shop)

    client = httpx.Client(base_url=studio.url, headers={"X-API-Key": studio.key}, trust_env=False)
    client.put("/webhooks", json=hook | {"url": "https://other.example/"}).raise_for_status()
    said = drift(shop, code=2)
    assert "! webhook  changed" in said and "url: https://shop.example → https://other.example" in said
    client.delete("/webhooks").raise_for_status()
    assert "! webhook  lost" in drift(shop, code=2)
