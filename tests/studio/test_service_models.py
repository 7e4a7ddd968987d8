"""Models at the studio: records, signed uploads, confirmation, statuses (guide, Steps 2.1 to 2.4)."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from small_glb import box, pack
from studio_client import Api, InProcess, eventually, ok, refused

from glossi_sync.service import wire


def test_a_batch_is_recorded_in_order_each_with_its_own_url(api: Api) -> None:
    models = api.create("lamp", "chair", "table")
    assert [model["name"] for model in models] == ["lamp", "chair", "table"]
    assert len({model["modelId"] for model in models}) == len({model["uploadUrl"] for model in models}) == 3
    for model in models:
        assert set(model) == {"modelId", "name", "uploadUrl", "uploadKey"}
        assert model["uploadKey"].startswith("workspaces/")
        assert model["uploadKey"].endswith(f"/models/{model['modelId']}/model.glb")


def test_a_thousand_models_in_one_call_and_no_more(api: Api) -> None:
    assert len(api.create(*[f"model {number}" for number in range(1000)])) == 1000
    one_more = [{"name": "m", "fileName": "m.glb", "fileType": "glb"}] * 1001
    assert "1,001" in refused(api.post("/models", {"models": one_more}), 413, "batch_too_large")


def test_the_statuses_come_in_the_guides_order(api: Api) -> None:
    (model,) = api.create("box")
    assert api.state(model["modelId"]) == {
        "modelId": model["modelId"],
        "name": "box",
        "status": "PENDING",
        "ready": False,
    }
    answer = api.put(model["uploadUrl"], box())
    assert (answer.status_code, answer.content) == (200, b"")
    assert api.state(model["modelId"])["status"] == "PENDING"
    assert ok(api.confirm(model["modelId"])) == {
        "modelId": model["modelId"],
        "name": "box",
        "status": "PENDING",
        "filePath": model["uploadKey"],
    }
    seen = [api.state(model["modelId"])["status"]]
    while seen[-1] not in {"READY", "FAILED"}:
        seen.append(api.state(model["modelId"])["status"])
    order = ["PENDING", "ANALYZING", "READY"]
    assert seen == sorted(seen, key=order.index) and seen[-1] == "READY"


def test_all_ready_only_where_every_model_is_known_and_ready(api: Api) -> None:
    ready, (waiting,) = api.ready(), api.create("waiting")

    def status(*ids: str) -> tuple[bool, list[str]]:
        answer = ok(api.post("/models/status", {"modelIds": list(ids)}))
        assert set(answer) == {"models", "allReady", "notFound"}
        return answer["allReady"], answer["notFound"]

    assert status(ready) == (True, [])
    assert status(ready, waiting["modelId"]) == (False, [])
    assert status(ready, "nobody") == (False, ["nobody"])


def test_a_bad_file_is_failed_with_the_reason(api: Api) -> None:
    for content, reason in (
        (b"", "empty"),
        (b"not a model at all", "not a GLB"),
        (box()[:-40], "cut short"),
        (pack({"asset": {"version": "2.0"}, "scenes": [{}]}), "nothing to see"),
    ):
        state = api.processed(api.upload("bad", content))
        assert state["status"] == "FAILED" and not state["ready"]
        assert reason in state["errorMessage"]


@pytest.mark.parametrize("file_type", [name for name in wire.FILE_TYPES if name != "glb"])
def test_other_file_types_upload_and_then_say_what_to_upload_instead(api: Api, file_type: str) -> None:
    (model,) = api.create("other", file_type=file_type)
    assert model["uploadKey"].endswith(f"/model.{file_type}")
    assert api.put(model["uploadUrl"], b"content", wire.FILE_TYPES[file_type]).status_code == 200
    ok(api.confirm(model["modelId"], file_type))
    assert "export it as GLB" in api.processed(model["modelId"])["errorMessage"]


def test_confirming_needs_an_upload_and_the_recorded_type(api: Api) -> None:
    (model,) = api.create("box")
    assert "PUT its file" in refused(api.confirm(model["modelId"]), 409, "not_uploaded")
    api.put(model["uploadUrl"], box())
    assert "recorded as glb" in refused(api.confirm(model["modelId"], "usdz"), 409, "file_type_mismatch")
    refused(api.confirm(model["modelId"], "docx"), 422, "invalid_request")
    refused(api.confirm("nobody"), 404, "model_not_found")
    assert api.state(model["modelId"])["status"] == "PENDING"


def test_confirming_twice_is_harmless(api: Api) -> None:
    model_id = api.ready()
    again = ok(api.confirm(model_id))
    assert set(again) == {"modelId", "name", "status", "filePath"} and again["modelId"] == model_id
    assert api.state(model_id)["status"] == "READY"


def test_a_file_may_be_sent_again_until_it_is_confirmed(api: Api) -> None:
    (model,) = api.create("box")
    assert api.put(model["uploadUrl"], b"a first try that went wrong").status_code == 200
    assert api.put(model["uploadUrl"], box()).status_code == 200
    ok(api.confirm(model["modelId"]))
    assert api.processed(model["modelId"])["status"] == "READY"
    refused(api.put(model["uploadUrl"], b"too late"), 409, "already_confirmed")
    assert api.get(f"/files/{model['uploadKey']}").content == box()


def test_a_file_that_arrives_while_another_is_confirmed_comes_too_late(inside: InProcess, tmp_path: Path) -> None:
    api = inside.api
    (model,) = api.create("box")
    assert api.put(model["uploadUrl"], box()).status_code == 200

    def with_a_confirmation_in_between() -> Iterator[bytes]:
        yield b"the beginning"
        eventually(lambda: any((tmp_path / "incoming").iterdir()))
        ok(api.confirm(model["modelId"]))
        yield b"the end"

    refused(api.put(model["uploadUrl"], with_a_confirmation_in_between()), 409, "already_confirmed")
    assert api.get(f"/files/{model['uploadKey']}").content == box()
    assert not any((tmp_path / "incoming").iterdir())


def test_the_url_is_bound_to_its_content_type_and_file(api: Api) -> None:
    first, second = api.create("first", "second")
    for url, content_type in (
        (first["uploadUrl"], "text/plain"),
        (first["uploadUrl"].replace("signature=", "signature=0"), wire.FILE_TYPES["glb"]),
        (first["uploadUrl"].replace("expires=", "expires=9"), wire.FILE_TYPES["glb"]),
        (first["uploadUrl"].replace(first["modelId"], second["modelId"]), wire.FILE_TYPES["glb"]),
        (first["uploadUrl"].partition("?")[0], wire.FILE_TYPES["glb"]),
    ):
        refused(api.put(url, box(), content_type), 403, "signature_does_not_match")
    for model in (first, second):
        refused(api.confirm(model["modelId"]), 409, "not_uploaded")


def test_an_upload_without_a_content_type_is_refused(api: Api) -> None:
    (model,) = api.create("box")
    refused(api.put(model["uploadUrl"], box(), None), 403, "signature_does_not_match")


def test_an_interrupted_upload_leaves_nothing(api: Api) -> None:
    (model,) = api.create("box")

    def breaks_off() -> Iterator[bytes]:
        yield box()[:100]
        raise ConnectionError("the cable")

    with pytest.raises(ConnectionError):
        api.put(model["uploadUrl"], breaks_off(), **{"Content-Length": str(len(box()))})
    refused(api.confirm(model["modelId"]), 409, "not_uploaded")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"models": []},
        {"models": [{"name": "n", "fileName": "f.glb"}]},
        {"models": [{"name": "n", "fileName": "f.doc", "fileType": "doc"}]},
        {"models": [{"name": "", "fileName": "f.glb", "fileType": "glb"}]},
        {"models": [{"name": 7, "fileName": "f.glb", "fileType": "glb"}]},
        {"models": [{"name": "two\nlines", "fileName": "f.glb", "fileType": "glb"}]},
        {"models": [{"name": "\ud800", "fileName": "f.glb", "fileType": "glb"}]},
        ["models"],
    ],
)
def test_a_record_that_is_not_as_documented_is_refused(api: Api, body: object) -> None:
    refused(api.post("/models", body), 422, "invalid_request")


def test_a_body_that_is_not_json_is_refused(api: Api) -> None:
    answer = api.http.post(api.url + "/models", content=b"{", headers={"Content-Type": "application/json"})
    refused(answer, 400, "invalid_json")


def test_what_the_client_calls_its_file_never_names_a_path(api: Api) -> None:
    body = {"models": [{"name": "../../x", "fileName": "../../../etc/passwd", "fileType": "glb"}]}
    (model,) = ok(api.post("/models", body))["models"]
    assert ".." not in model["uploadUrl"] and "passwd" not in model["uploadUrl"]


def test_an_expired_url_says_so_and_a_fresh_one_works(inside: InProcess) -> None:
    api = inside.api
    (model,) = api.create("box")
    inside.clock.now += wire.UPLOAD_URL_SECONDS - 1
    assert api.put(model["uploadUrl"], box()).status_code == 200
    inside.clock.now += 1
    message = refused(api.put(model["uploadUrl"], box()), 403, "request_expired")
    assert wire.UPLOAD_EXPIRED in message and "POST /models" in message
    assert api.put(api.create("box")[0]["uploadUrl"], box()).status_code == 200


def test_a_file_over_the_limit_is_refused_however_it_arrives(inside: InProcess) -> None:
    api, limit = inside.api, inside.studio.upload_limit
    (model,) = api.create("box")
    announced = b"x" * (limit + 1)
    streamed = [b"x" * limit, b"x"]
    endless = (b"x" * limit for _ in range(100))
    for content in (announced, iter(streamed), endless):
        assert f"{limit:,}" in refused(api.put(model["uploadUrl"], content), 413, "file_too_large")
    refused(api.confirm(model["modelId"]), 409, "not_uploaded")
    assert api.put(model["uploadUrl"], b"x" * limit).status_code == 200


def test_without_a_confirmation_a_file_is_not_looked_at(inside: InProcess) -> None:
    api = inside.api
    (waiting,) = api.create("waiting")
    api.put(waiting["uploadUrl"], box())
    assert api.processed(api.upload("confirmed later"))["status"] == "READY"
    assert api.state(waiting["modelId"])["status"] == "PENDING"


def test_the_largest_file_is_one_gigabyte(api: Api) -> None:
    (model,) = api.create("box")
    port = int(api.origin.rpartition(":")[2])
    target = model["uploadUrl"].removeprefix(api.origin)

    def asked(size: int) -> bytes:
        """What a client that asks before it sends, as curl does, is told of a file of that size."""
        with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
            connection.sendall(
                f"PUT {target} HTTP/1.1\r\nHost: studio\r\nContent-Type: {wire.FILE_TYPES['glb']}\r\n"
                f"Content-Length: {size}\r\nExpect: 100-continue\r\n\r\n".encode()
            )
            return connection.recv(4096).partition(b"\r\n")[0]

    assert asked(1024**3) == b"HTTP/1.1 100 Continue"
    assert asked(1024**3 + 1).startswith(b"HTTP/1.1 413 ")
