"""A shop whose webhook is heard: by ``webhook listen`` beside its applies, or by its ``watch``."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import httpx
from counting_studio import Studio
from shop import Running, Shop

from glossi_sync.service.wire import EVENTS

T = TypeVar("T")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def hooked(shop: Shop) -> int:
    """Give the shop a webhook that leads to this machine; answers the port."""
    port = free_port()
    shop.spec["webhook"] = {"url": f"http://127.0.0.1:{port}/hooks/glossi", "events": list(EVENTS)}
    shop.save()
    return port


@contextmanager
def no_webhook_afterwards(studio: Studio) -> Iterator[None]:
    """The studio is shared, and has one webhook."""
    try:
        yield
    finally:
        httpx.delete(studio.url + "/webhooks", headers={"X-API-Key": studio.key}, trust_env=False)


def eventually(look: Callable[[], T | None], seconds: float = 30) -> T:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, "it did not come"
        time.sleep(0.05)
    return found


def get(port: int, path: str) -> httpx.Response | None:
    """What is answered there; None while nobody listens."""
    try:
        return httpx.get(f"http://127.0.0.1:{port}{path}", trust_env=False)
    except httpx.ConnectError:
        return None


def listening(shop: Shop, port: int) -> Running:
    running = shop.start("webhook", "listen", "--port", str(port), "--format", "json")
    eventually(lambda: get(port, "/healthz"))
    return running


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]
