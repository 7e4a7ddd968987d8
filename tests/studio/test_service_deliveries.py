"""Webhooks delivered: what an endpoint is sent, and what its answers lead to (guide, Step 6; service-facts, Webhooks)."""

from __future__ import annotations

import asyncio
import itertools
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest
from small_glb import box
from studio_client import Api, Clock, InProcess, inside_studio, ok
from webhook_receiver import after, deliveries, put_webhook, receiving, settled, status

from glossi_sync.service import wire
from glossi_sync.service.signature import sign
from glossi_sync.studio import delivering
from glossi_sync.studio import records as rows

NAME = "Stühlchen „Ä“ – 椅子 🪑"


@dataclass
class HurryingClock(Clock):
    """A clock on which waiting takes no time: it is later at once."""

    async def sleep(self, seconds: float) -> None:
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcess]:
    clock = HurryingClock()
    with inside_studio(tmp_path_factory.mktemp("deliveries"), clock=clock, sleep=clock.sleep) as studio:
        yield studio


@pytest.fixture
def inside(studio: InProcess) -> InProcess:
    """A studio in which nothing was delivered yet, to webhooks that are not there yet."""
    studio.studio.records.now(lambda connection: connection.exec_driver_sql("DELETE FROM deliveries"))
    studio.studio.records.now(lambda connection: connection.exec_driver_sql("DELETE FROM webhooks"))
    return studio


@pytest.fixture
def told(inside: InProcess) -> Api:
    """The client of a workspace."""
    return inside.api


def test_each_event_is_told_as_the_guide_spells_it(api: Api) -> None:
    with receiving() as receiver:
        put_webhook(api, receiver.url)
        try:
            model_id = api.ready(NAME)
            spoilt = api.upload("spoilt", b"not a model")
            reason = api.processed(spoilt)["errorMessage"]
            template_id = api.template_id()
            project_id = api.project(model_id, template_id=template_id)
            render_id = api.start(project_id)
            renders = api.finished(render_id)["renders"]
            refusing = api.start(api.project(api.ready("refuse"), template_id=template_id))
            failure = api.finished(refusing)["errorMessage"]
            job = api.job([("Chair", box())], template_id=template_id, createProjects=True)
            (result,) = job["results"]
            lost = api.job([("Dent", b"")], template_id=template_id, createProjects=True)
            settled(api)
        finally:
            ok_or_gone = api.http.delete(api.url + "/webhooks")
    assert ok_or_gone.status_code == 204
    for payload in receiver.payloads():
        assert list(payload) == ["event", "timestamp", "data"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", payload["timestamp"])
    told = {(each["event"], _subject(each)): each["data"] for each in receiver.payloads()}

    processed = told["model.processed", model_id]
    assert processed.items() >= {"modelId": model_id, "name": NAME, "status": "READY"}.items()
    assert processed.keys() <= {"modelId", "name", "status", "glbFilePath", "thumbnailUrl"}
    for address in ("glbFilePath", *(["thumbnailUrl"] if "thumbnailUrl" in processed else [])):
        assert processed[address].startswith(api.url + "/files/workspaces/")
        assert api.http.get(processed[address]).content
    assert told["model.failed", spoilt] == {
        "modelId": spoilt,
        "name": "spoilt",
        "status": "FAILED",
        "errorMessage": reason,
    }
    assert told["project.created", project_id] == {
        "projectId": project_id,
        "name": NAME,
        "status": "PENDING",
        "modelIds": [model_id],
        "templateId": template_id,
    }
    assert told["render.complete", render_id] == {
        "jobId": render_id,
        "status": "COMPLETED",
        "projectId": project_id,
        "renderIds": [render["id"] for render in renders],
    }
    assert told["render.failed", refusing] == {
        "jobId": refusing,
        "status": "FAILED",
        "projectId": api.render(refusing)["projectId"],
        "errorMessage": failure,
    }
    assert told["job.complete", job["jobId"]] == {"jobId": job["jobId"], "status": "COMPLETE", "results": [result]}
    assert result.keys() == {"model", "project"} and result["model"]["name"] == result["project"]["name"] == "Chair"
    assert told["job.failed", lost["jobId"]] == {
        "jobId": lost["jobId"],
        "status": "FAILED",
        "errorMessage": lost["errorMessage"],
        "results": [],
    }


def _subject(payload: dict[str, Any]) -> str:
    key = {"model": "modelId", "project": "projectId"}.get(payload["event"].partition(".")[0], "jobId")
    subject: str = payload["data"][key]
    return subject


def test_the_signature_is_over_the_very_bytes_and_these_are_javascripts(told: Api) -> None:
    with receiving() as receiver:
        secret = put_webhook(told, receiver.url, "model.processed")
        told.ready(NAME)
        (delivery,) = receiver.wait_for(1)
    assert delivery.signature == sign(delivery.body, secret)
    assert delivery.headers["Content-Type"] == "application/json"
    spelled = json.dumps(delivery.payload, ensure_ascii=False, separators=(",", ":")).encode()
    assert delivery.body == spelled and NAME.encode() in spelled
    (listed,) = settled(told)
    assert listed["payload"] == delivery.payload


VERIFY = """
const crypto = require("crypto")

function verifyWebhook(payload, signature, secret) {
const expected = crypto.createHmac("sha256", secret).update(JSON.stringify(payload)).digest("hex")
return crypto.timingSafeEqual(Buffer.from(signature), Buffer.from(expected))
}
const [signature, secret] = process.argv.slice(1)
console.log(verifyWebhook(JSON.parse(require("fs").readFileSync(0, "utf8")), signature, secret))
"""


@pytest.mark.skipif(shutil.which("node") is None, reason="needs Node.js")
def test_the_guides_own_javascript_verifies_a_delivery(told: Api) -> None:
    def verifies(body: bytes, signature: str, secret: str) -> bool:
        command = ["node", "-e", VERIFY, signature, secret]
        said = subprocess.run(command, input=body, capture_output=True, check=True, timeout=60).stdout.strip()
        return {b"true": True, b"false": False}[said]

    with receiving() as receiver:
        secret = put_webhook(told, receiver.url, "project.created")
        told.project(told.ready(NAME), told.ready('<script>\\ "quoted" / 1e3'))
        (delivery,) = receiver.wait_for(1)
    assert verifies(delivery.body, delivery.signature, secret)
    assert not verifies(delivery.body.replace(b"PENDING", b"DONE"), delivery.signature, secret)


def test_an_answer_other_than_2xx_is_tried_again_after_2_and_20_seconds(inside: InProcess) -> None:
    with receiving(status(500), status(404), status(204)) as receiver:
        put_webhook(inside.api, receiver.url, "model.processed")
        inside.api.ready()
        (delivery,) = settled(inside.api)
    assert delivery["status"] == "DELIVERED" and "nextAttemptAt" not in delivery
    assert [(each["status"], each["error"]) for each in delivery["attempts"]] == [
        (500, "answered 500"),
        (404, "answered 404"),
        (204, None),
    ]
    assert {each["url"] for each in delivery["attempts"]} == {receiver.url}
    seconds = [_seconds(each["at"]) for each in delivery["attempts"]]
    assert [round(later - earlier) for earlier, later in itertools.pairwise(seconds)] == [2, 20]
    first, *others = receiver.received
    assert all((each.body, each.signature) == (first.body, first.signature) for each in others)


def _seconds(timestamp: str) -> float:
    hours, minutes, seconds = timestamp[11:-1].split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(seconds)


def test_after_the_third_attempt_it_is_given_up(told: Api) -> None:
    with receiving(status(503)) as receiver:
        put_webhook(told, receiver.url, "model.processed")
        told.ready()
        (delivery,) = settled(told)
    assert (delivery["status"], len(delivery["attempts"]), len(receiver.received)) == ("FAILED", 3, 3)


def test_a_redirect_is_not_followed(told: Api) -> None:
    with receiving() as elsewhere, receiving(status(307, ("Location", elsewhere.url))) as receiver:
        put_webhook(told, receiver.url, "model.processed")
        told.ready()
        (delivery,) = settled(told)
    assert delivery["status"] == "FAILED" and elsewhere.received == []
    assert delivery["attempts"][0]["error"] == "answered 307, and redirects are not followed"


def test_where_nobody_listens_the_reason_is_told(told: Api) -> None:
    with receiving() as receiver:
        pass
    put_webhook(told, receiver.url, "model.processed")
    told.ready()
    (delivery,) = settled(told)
    assert delivery["status"] == "FAILED"
    assert [each["status"] for each in delivery["attempts"]] == [None] * 3
    assert "connect" in delivery["attempts"][0]["error"].lower()


def test_an_endpoint_that_does_not_answer_in_time(told: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivering, "ATTEMPT_SECONDS", 0.15)
    never = threading.Event()
    with receiving(after(never, status(200))) as receiver:
        put_webhook(told, receiver.url, "model.processed")
        told.ready()
        (delivery,) = settled(told)
        never.set()
    assert delivery["status"] == "FAILED"
    assert {each["error"] for each in delivery["attempts"]} == {"no answer within 0.15 seconds"}
    assert all(0.1 < each["seconds"] < 5 for each in delivery["attempts"])


def test_what_is_said_beside_the_status_is_not_waited_for(told: Api) -> None:
    def unending(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", str(10**12))
        request.end_headers()
        while True:
            request.wfile.write(b"!" * 65536)

    silent = threading.Event()

    def stalling(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "5")
        request.end_headers()
        silent.wait(60)

    with receiving(unending, stalling) as receiver:
        put_webhook(told, receiver.url, "model.processed")
        told.ready("one")
        told.ready("two")
        first, second = settled(told)
        silent.set()
    for delivery in (first, second):
        assert delivery["status"] == "DELIVERED" and len(delivery["attempts"]) == 1


def test_an_answer_that_is_no_http(told: Api) -> None:
    def babble(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"\x00\xff what?\r\n\r\n")
        request.close_connection = True

    with receiving(babble) as receiver:
        put_webhook(told, receiver.url, "model.processed")
        told.ready()
        (delivery,) = settled(told)
    assert delivery["status"] == "FAILED" and delivery["attempts"][0]["error"]


def test_a_slow_endpoint_holds_up_neither_rendering_nor_another_workspaces_deliveries(inside: InProcess) -> None:
    go = threading.Event()
    with inside.client("glsi_neighbour") as neighbour, receiving(after(go, status(200))) as slow, receiving() as quick:
        try:
            put_webhook(inside.api, slow.url, "model.processed")
            put_webhook(neighbour, quick.url, "render.complete")
            for number in range(8):
                inside.api.ready(f"model {number}")
            assert inside.api.finished(inside.api.start(inside.api.project(inside.api.ready("last"))))
            job_id = neighbour.start(neighbour.project(neighbour.ready()))
            (told,) = quick.wait_for(1)
            assert told.payload["data"]["jobId"] == job_id
            assert slow.most_at_once == delivering.AT_ONCE, "one after the other, a few at a time"
            assert len(slow.received) == delivering.AT_ONCE
        finally:
            go.set()
        assert {each["status"] for each in settled(inside.api)} == {"DELIVERED"}
        assert len(slow.received) == 9


@pytest.mark.parametrize("url", ["http://169.254.169.254/latest/meta-data", "http://[::ffff:10.0.0.1]:9/", "http://0/"])
def test_an_address_that_the_operator_does_not_allow_is_refused_with_the_reason(told: Api, url: str) -> None:
    put_webhook(told, url, "model.processed")
    told.ready()
    (delivery,) = settled(told)
    (attempt,) = delivery["attempts"]
    assert delivery["status"] == "FAILED" and attempt["status"] is None
    assert "delivers to no such address" in attempt["error"] and "--webhook-allow" in attempt["error"]


def test_only_what_a_webhook_asks_for_is_told_and_only_while_it_is_enabled(told: Api) -> None:
    with receiving() as receiver:
        put_webhook(told, receiver.url, enabled=False)
        model_id = told.ready("unheard")
        put_webhook(told, receiver.url, "project.created")
        told.ready("not asked for")
        told.project(model_id)
        (delivery,) = settled(told)
    assert delivery["event"] == "project.created" and len(receiver.received) == 1


def test_what_waits_goes_to_the_corrected_address_and_nowhere_once_the_webhook_is_gone(inside: InProcess) -> None:
    api = inside.api

    def waiting_at(url: str) -> None:
        """A delivery that was tried in vain, and waits for a time that does not come by itself."""
        put_webhook(api, url, "model.processed")
        api.ready()
        settled(api)
        inside.studio.records.now(
            lambda connection: connection.exec_driver_sql("UPDATE deliveries SET status = 'WAITING', attempts = '[]'")
        )

    with receiving() as right, receiving(status(500)) as wrong:
        waiting_at(wrong.url)
        put_webhook(api, right.url, "project.created")
        wake(inside)
        (delivery,) = settled(api)
        assert delivery["status"] == "DELIVERED" and right.payloads("model.processed")

        waiting_at(wrong.url)
        before = len(wrong.received)
        heard = len(right.received)
        assert api.http.delete(api.url + "/webhooks").status_code == 204
        put_webhook(api, right.url, "project.created")  # another one, which knows nothing of what was before it
        wake(inside)
        assert {each["attempts"][-1]["error"] for each in settled(api)} == {
            "the webhook was removed before this was delivered"
        }
        assert (len(wrong.received), len(right.received)) == (before, heard)


def wake(inside: InProcess) -> None:
    """As an event would."""
    model_id = inside.api.ready("nobody is told of it")
    assert model_id


def test_deliveries_are_listed_newest_first_in_pages_and_only_to_their_workspace(inside: InProcess) -> None:
    with inside.client("glsi_neighbour") as neighbour, receiving() as receiver, receiving() as other:
        put_webhook(inside.api, receiver.url, "model.processed")
        put_webhook(neighbour, other.url, "model.processed")
        ids = [inside.api.ready(f"model {number}") for number in range(5)]
        theirs = neighbour.ready("theirs")
        settled(neighbour)
        settled(inside.api)

        def page(**query: Any) -> tuple[list[str], str, bool]:
            body = ok(inside.api.get(wire.DELIVERIES_PATH, params=query))
            listed = body["deliveries"]
            return [each["payload"]["data"]["modelId"] for each in listed], listed[-1]["id"], body["more"]

        first, last, more = page(limit=2)
        assert (first, more) == (ids[:-3:-1], True)
        second, last, more = page(limit=3, before=last)
        assert (second, more) == (ids[2::-1], False)
        (foreign,) = deliveries(neighbour)
        assert foreign["payload"]["data"]["modelId"] == theirs
        assert {each.payload["data"]["modelId"] for each in other.received} == {theirs}
        assert {each.payload["data"]["modelId"] for each in receiver.received} == set(ids)
        assert deliveries(inside.api, before=foreign["id"]) == [], "another workspace's id is no id"
        assert inside.api.get(wire.DELIVERIES_PATH, params={"limit": 0}).status_code == 422


def test_old_deliveries_are_forgotten_and_waiting_ones_never(tmp_path: Path) -> None:
    records = rows.Records(f"sqlite:///{tmp_path / 'records.db'}")
    for workspace_id in ("a", "b"):
        records.now(lambda c, w=workspace_id: rows.ensure_workspace(c, w, w, 0.0))

    def add(workspace_id: str, name: str, at: float, *, waits: bool = False) -> None:
        new = rows.NewDelivery(name, workspace_id, "hook", "model.failed", "{}")
        records.now(lambda c: rows.add_deliveries(c, [new], at))
        (delivery,) = records.now(lambda c: rows.deliveries(c, workspace_id, limit=1))
        if not waits:
            attempt = rows.Attempt(at, "http://127.0.0.1/", 200, None, 0.1)
            records.now(lambda c: rows.record_attempt(c, delivery, attempt, "DELIVERED", at))

    add("a", "old", 10.0)
    add("a", "old and waiting", 10.0, waits=True)
    for number in range(4):
        add("a", f"new {number}", 100.0)
        add("b", f"their {number}", 100.0)
    add("b", "their last", 100.0)
    assert records.now(lambda c: rows.prune_deliveries(c, before=50.0, keep=4)) == 2
    left = [[each.delivery_id for each in records.now(lambda c, w=w: rows.deliveries(c, w, limit=9))] for w in "ab"]
    assert left == [
        ["new 3", "new 2", "new 1", "new 0", "old and waiting"],
        ["their last", "their 3", "their 2", "their 1"],
    ]
    assert records.now(
        lambda c: [each.delivery_id for each in rows.waiting_deliveries(c, "a", besides=(), limit=9)]
    ) == ["old and waiting"]
    records.close()
