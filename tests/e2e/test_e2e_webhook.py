"""The webhook: made, changed, made again and removed, its secret kept where only its owner reads it."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

import httpx
from counting_studio import Studio
from shop import Shop


def test_a_webhook_is_made_changed_and_removed_and_its_secret_told_to_a_private_file_alone(
    new_shop: Callable[..., Shop], studio: Studio
) -> None:
    shop = new_shop("hooked", webhook={"url": "https://shop.example/hooks", "events": ["render.complete"]})
    kept = shop.folder / "private" / "secret"
    shop.spec["webhook"]["secretFile"] = "private/secret"
    shop.save()

    def stored() -> list[tuple[object, ...]]:
        return studio.rows("SELECT url, events, enabled FROM webhooks")

    applied = shop.applied()
    assert applied.actions() == {"webhook": "create"} and applied.arrived == {"PUT /webhooks": 1}
    assert stored() == [("https://shop.example/hooks", '["render.complete"]', 1)]
    [(secret,)] = studio.rows("SELECT secret FROM webhooks")
    assert kept.read_text(encoding="utf-8").strip() == secret
    if os.name == "posix":
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    [note] = applied.happened("noted")
    assert str(kept) in note["message"]
    # From here on, nothing that is said or kept may hold it; and nothing that was said before did.
    shop.secrets.add(str(secret))
    shop.check_secrets(str(applied.events), applied.err)
    shop.check_state()
    assert shop.settled()

    shop.spec["webhook"] |= {"events": ["render.failed", "render.complete"], "enabled": False}
    shop.save()
    changed = shop.applied()
    assert changed.actions() == {"webhook": "update"} and changed.arrived == {"PUT /webhooks": 1}
    assert changed.change("webhook")["diff"] == [
        {"field": "events", "text": "+render.failed"},
        {"field": "enabled", "text": "true -> false"},
    ]
    assert stored() == [("https://shop.example/hooks", '["render.complete", "render.failed"]', 0)]

    # Somebody else changes it, then removes it: both show, and both are put right.
    headers = {"X-API-Key": studio.key}
    other = {"url": "https://other.example/", "events": ["render.complete"], "enabled": True}
    httpx.put(studio.url + "/webhooks", json=other, headers=headers, trust_env=False).raise_for_status()
    assert shop.applied().change("webhook")["reason"] == "differs at the service"
    httpx.delete(studio.url + "/webhooks", headers=headers, trust_env=False).raise_for_status()
    assert shop.applied().actions() == {"webhook": "recreate"}
    [(secret,)] = studio.rows("SELECT secret FROM webhooks")
    assert kept.read_text(encoding="utf-8").strip() == secret
    shop.secrets.add(str(secret))

    shop.run("state", "show")
    shop.run("status", "-v")
    hook = shop.spec.pop("webhook")
    shop.save()
    removed = shop.applied()
    assert removed.actions() == {"webhook": "remove"} and removed.arrived == {"DELETE /webhooks": 1}
    assert stored() == []
    assert shop.settled()

    # Without a file of its own, the secret is sealed in the state, and told to who asks for it.
    del hook["secretFile"]
    shop.spec["webhook"] = hook
    shop.save()
    assert shop.applied().actions() == {"webhook": "create"}
    [(secret,)] = studio.rows("SELECT secret FROM webhooks")
    told = shop.run("webhook", "secret").out
    assert told == f"{secret}\n"
    shop.secrets.add(str(secret))
    shop.check_state()
    shop.run("state", "show")

    # Somebody else removes it before it is removed here: there is nothing to ask for.
    httpx.delete(studio.url + "/webhooks", headers=headers, trust_env=False).raise_for_status()
    del shop.spec["webhook"]
    shop.save()
    assert shop.applied().actions() == {"webhook": "forget"}
