"""What fails at the service is retried, told, and left alone; the rest converges."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

from shop import Shop


def test_a_failed_render_is_retried_and_what_stays_failed_is_told_until_it_is_asked_for_again(
    new_shop: Callable[..., Shop], tmp_path: Path
) -> None:
    shop = new_shop("retried", retries=0, templates={"light": {"name": "Studio Light"}})
    switch = tmp_path / "switch"
    shop.model("good", "good")
    shop.model("shaky", "shaky", name=f"fails once {tmp_path / 'once'}")
    shop.model("dark", "dark", name=f"fails until {switch}")
    shop.model("broken", "broken")
    broken = shop.folder / "models/broken.glb"
    whole = broken.read_bytes()
    broken.write_bytes(whole.replace(b'"meshes"', b'"mashes"'))
    keys = list(shop.spec["models"])
    shop.spec["renderSettings"] = {"web": {"renderShots": False}}
    shop.spec["projects"] = {key: {"models": [key], "template": "light", "renders": ["web"]} for key in keys}
    shop.save()

    # Only the service finds the broken model out. What hangs on it is not begun, so fewer steps are taken than printed.
    plan = shop.plan()
    first = shop.apply(plan, code=3)
    assert plan["summary"]["steps"] == {"record": 4, "upload": 4, "confirm": 4, "create": 4, "start": 4}
    assert first.summary["steps"] == {"record": 4, "upload": 4, "confirm": 4, "create": 3, "start": 3}
    assert first.arrived == first.summary["calls"]
    assert first.summary["failed"].pop("model.broken").startswith("the service could not process it: ")
    assert first.summary["failed"] == {
        "render.shaky/web": "the render failed: the lamp flickered",
        "render.dark/web": "the render failed: the lamp is out",
    }
    assert first.summary["skipped"] == dict.fromkeys(("project.broken", "render.broken/web"), "model.broken failed")
    assert not first.summary["converged"]
    assert [one["address"] for one in first.happened("reached") if one["phase"] == "completed"] == ["render.good/web"]

    # With retries allowed, both are retried: one is mended by it, the other uses up its second retry at once.
    shop.spec["retries"] = 2
    shop.save()
    second = shop.applied(code=3, beyond={"retry": 1})
    assert second.actions() == dict.fromkeys(("render.shaky/web", "render.dark/web"), "retry")
    assert second.arrived == {"POST /renders/{id}/retry": 3}
    assert second.summary["failed"]["render.dark/web"] == "the render failed after 2 retries: the lamp is out"
    assert "render.shaky/web" not in second.summary["failed"]

    # From now on nothing is asked for by itself, and it is told every time.
    third = shop.applied(code=3)
    assert third.actions() == {} and third.arrived == {}
    assert set(third.summary["failed"]) == {"model.broken", "project.broken", "render.broken/web", "render.dark/web"}
    assert third.change("render.dark/web")["trouble"] == "failed"
    assert third.change("project.broken")["trouble"] == "blocked"
    told = shop.run("plan", "--detailed-exitcode", code=0).out
    assert re.search(r"! render\.dark/web +failed +the lamp is out \(after 2 retries\)\n", told)
    assert "Plan: nothing to do; 2 failed, 2 blocked; 8 unchanged." in told
    shown = {one["address"]: one for one in json.loads(shop.run("status", "--format", "json").out)}
    assert shown["render.dark/web"]["phase"] == "failed" and shown["render.dark/web"]["error"] == "the lamp is out"

    # Asked for, the render is tried again through the retry call; the model goes on because its file was mended.
    switch.touch()
    broken.write_bytes(whole)
    last = shop.applied("--retry-failed")
    assert last.summary["converged"]
    assert last.actions() == {
        "render.dark/web": "retry",
        "model.broken": "replace",
        "project.broken": "create",
        "render.broken/web": "create",
    }
    assert shop.settled()
