"""Logs for programs: with ``--log-format json`` every line on stderr is one JSON object, whatever it is about."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from shop import Ran, Shop

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def diagnostics(ran: Ran) -> list[dict[str, Any]]:
    said = [json.loads(line) for line in ran.err.splitlines()]
    for one in said:
        assert one.keys() <= {"time", "level", "message", "address"} and one["message"]
        assert one["level"] in ("debug", "info", "warning", "error")
        assert MOMENT.fullmatch(one["time"])
        assert datetime.now(UTC) - datetime.fromisoformat(one["time"]) < timedelta(minutes=5)
    return said


def test_an_apply_tells_its_progress_address_by_address(new_shop: Callable[..., Shop]) -> None:
    shop = new_shop("logged", retries=0)
    shop.model("lamp", "lamp", name=f"fails until {shop.folder / 'never'}")
    shop.spec |= {
        "templates": {"light": {"name": "Studio Light"}},
        "renderSettings": {"web": {}},
        "projects": {"lamp": {"models": ["lamp"], "template": "light", "renders": ["web"]}},
    }
    shop.save()
    ran = shop.run("apply", "--yes", "-v", "--log-format", "json", code=3)
    said = diagnostics(ran)
    assert {"model.lamp", "project.lamp", "render.lamp/web"} <= {one.get("address") for one in said}
    [failed] = [one for one in said if one["level"] == "error"]
    assert failed["address"] == "render.lamp/web" and "the lamp is out" in failed["message"]
    assert any(one["level"] == "debug" and one["message"].startswith("POST /models: 2") for one in said)
    assert "Applied in" in ran.out, "results stay what they are"


def test_errors_obey_it_too(made: Shop) -> None:
    [wrong] = diagnostics(made.run("plan", "--log-format", "json", "-f", "nothing.yaml", code=1))
    assert wrong["level"] == "error" and "nothing.yaml" in wrong["message"]
    for project in made.spec["projects"].values():
        project["template"] = "nowhere"
    made.save()
    many = diagnostics(made.run("validate", code=1, GLOSSI_LOG_FORMAT="json"))
    assert len(many) == 3 and all("glossi.yaml:" in one["message"] for one in many)
    usage = diagnostics(made.run("plan", "--nothing", code=1, GLOSSI_LOG_FORMAT="json"))
    assert usage[-1]["level"] == "error" and "--nothing" in usage[-1]["message"]


def test_every_event_of_an_apply_has_its_time(first: tuple[Shop, Any]) -> None:
    times = [one["time"] for one in first[1].events]
    assert all(MOMENT.fullmatch(time) for time in times) and times == sorted(times)
    assert [*first[1].events[0]][:2] == ["event", "time"]
