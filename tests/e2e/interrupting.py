"""Shops for the tests that break an apply off, and the breaking off itself."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import Callable

from shop import Running, Shop


def product(new_shop: Callable[..., Shop], name: str, products: int = 1) -> Shop:
    """A shop of a few models, each with a project of its own and one render."""
    shop = new_shop(name, templates={"light": {"name": "Studio Light"}}, renderSettings={"web": {"renderShots": False}})
    keys = [f"lamp{number}" for number in range(1, products + 1)]
    for key in keys:
        shop.model(key, key)
    shop.spec["projects"] = {
        key: {"name": f"{name} {key}", "models": [key], "template": "light", "renders": ["web"]} for key in keys
    }
    shop.save()
    return shop


def applying(shop: Shop) -> Running:
    return shop.start("apply", "--yes", "--format", "json")


def killed_at(shop: Shop, call: str, when: str) -> None:
    """An apply that is killed while its request is held; the request, or its answer, is lost on the way."""
    before = shop.studio.arrived()
    shop.studio.hold(call, when)
    running = applying(shop)
    shop.studio.wait_until_held()
    running.signal(signal.SIGKILL)
    ran = shop.finish(running, code=-signal.SIGKILL)
    shop.studio.let_go("lost")
    printed = json.loads(ran.out.splitlines()[0])["summary"]["calls"]
    assert shop.studio.arrived() - before <= Counter(printed), "more calls arrived than were printed"
    shop.check_state()
