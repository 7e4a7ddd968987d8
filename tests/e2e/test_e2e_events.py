"""A receiver beside an apply: deliveries are kept, waits end by them, and what was in doubt is settled by them."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest
from counting_studio import Studio
from interrupting import killed_at, product
from listening import eventually, hooked, lines, listening, no_webhook_afterwards
from shop import Shop

from glossi_sync.service.signature import sign
from glossi_sync.state import open_state, service_identity


@pytest.fixture(autouse=True)
def alone(studio: Studio) -> Iterator[None]:
    with no_webhook_afterwards(studio):
        yield


def test_a_receiver_keeps_what_the_service_tells_and_an_apply_does_not_wait_for_its_own_looks(
    new_shop: Callable[..., Shop], studio: Studio
) -> None:
    shop = product(new_shop, "heard", products=4)
    port = hooked(shop)
    receiver = listening(shop, port)
    applied = shop.applied()
    assert applied.summary["converged"]
    with closing(open_state(shop.state, service=service_identity(studio.url), create=False)) as state:
        kept = [event.event for event in state.events(after=0)]
    assert kept.count("render.complete") == kept.count("model.processed") == 4
    receiver.signal(signal.SIGTERM)
    told = lines(shop.finish(receiver).out)
    assert {(one["status"], one["message"]) for one in told} == {(200, "kept")}
    assert sorted(one["name"] for one in told) == sorted(kept)


def test_a_render_in_doubt_is_settled_by_the_event_that_tells_of_it(
    new_shop: Callable[..., Shop], studio: Studio
) -> None:
    shop = product(new_shop, "settled")
    port = hooked(shop)
    receiver = listening(shop, port)
    had = studio.count()
    killed_at(shop, "POST /renders", "after")
    assert receiver.until("delivery", 3), "the model, the project and the render are told of"
    plan = shop.plan()
    [change] = [one for one in plan["changes"] if one["address"] == "render.lamp1/web"]
    [(job,)] = studio.rows("SELECT job_id FROM render_jobs ORDER BY created_at DESC LIMIT 1")
    assert change["action"] == "resume"
    assert change["note"] == f"its start was in doubt; a webhook event says that it is job {job}"
    late = shop.run("resolve", "render.lamp1/web", "--again", code=1).err
    assert "is not in doubt any more" in late and job in late, "who comes to settle it by hand is told"
    applied = shop.applied()
    assert applied.summary["converged"]
    assert applied.arrived == {}, "nothing was asked for again"
    assert (studio.count() - had)["render_jobs"] == 1
    assert shop.settled()
    shop.run("state", "check")
    receiver.signal(signal.SIGTERM)
    shop.finish(receiver)


def test_a_receiver_without_a_secret_lets_the_service_try_again(new_shop: Callable[..., Shop]) -> None:
    shop = new_shop("early")
    port = hooked(shop)
    receiver = listening(shop, port)
    body = json.dumps({"event": "render.complete", "data": {}}).encode()
    answer = httpx.post(
        f"http://127.0.0.1:{port}/hooks/glossi",
        content=body,
        headers={"X-Glossi-Signature": sign(body, "guess")},
        trust_env=False,
    )
    assert answer.status_code == 503
    receiver.signal(signal.SIGTERM)
    [line] = lines(shop.finish(receiver).out)
    assert line["message"] == "the webhook's secret is not known here yet"
    assert eventually(lambda: list((shop.folder / "state").glob("*.db")))
