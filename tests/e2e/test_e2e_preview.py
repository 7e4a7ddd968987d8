"""Previews: what would change is rendered here, for real, before anything is asked of the service."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from counting_studio import Studio
from shop import ROOT, Shop


@pytest.mark.renders
def test_a_plan_shows_what_it_would_change_and_asks_nothing_of_the_service(
    new_shop: Callable[..., Shop], studio: Studio
) -> None:
    shop = new_shop("previewed", templates={"light": {"name": "Dark Luxe"}}, renderSettings={"web": {}, "more": {}})
    shop.model("lamp", "lamp", file="lámpara.glb")
    (shop.folder / "lámpara.glb").write_bytes((ROOT / "examples/storefront/models/perfume.glb").read_bytes())
    shop.model("broken", "broken", file="broken.obj")
    (shop.folder / "broken.obj").write_text("this is no model", encoding="utf-8")
    shop.spec["projects"] = {
        key: {"models": [key], "template": "light", "renders": ["web", "more"]} for key in ("broken", "lamp")
    } | {"last": {"models": ["lamp"], "template": "light", "renders": ["web"]}}
    shop.save()
    before = studio.arrived()
    options = ("plan", "--preview", "pre view", "--preview-limit", "2")
    text = shop.run(*options, "--format", "markdown").out
    assert studio.arrived() == before
    assert not (shop.folder / "state").exists(), "nor is anything remembered"
    names = ["Front View - Default.png", "Three Quarter - Default.png"]
    pictures = sorted((shop.folder / "pre view").rglob("*.*"))
    assert [path.relative_to(shop.folder / "pre view").as_posix() for path in pictures] == [
        f"lamp/{name}" for name in names
    ]
    for picture in pictures:
        content = picture.read_bytes()
        assert (int.from_bytes(content[16:20]), int.from_bytes(content[20:24])) == (960, 540)
        link = picture.relative_to(shop.folder).as_posix().replace(" ", "%20")
        assert f'<img src="{link}" width="320">' in text
    assert "`project.broken`: " in text and "OBJ" in text, "one that cannot be read ends nothing"
    assert "1 more project changes and has no preview (--preview-limit)." in text


def test_where_nothing_renders_there_is_nothing_to_preview(made: Shop) -> None:
    document = json.loads(made.run("plan", "--preview", "previews", "--format", "json").out)
    assert document["previews"] == [] and list((made.folder / "previews").iterdir()) == []
