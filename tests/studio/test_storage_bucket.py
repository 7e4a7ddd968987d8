"""Files in a bucket: uploads go there by presigned URLs, are looked at when they are confirmed, and are final then."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from remote_places import Bucket, s3
from small_glb import box
from studio_client import Api, eventually, inside_studio, ok, refused
from studio_processes import served

from glossi_sync.service import wire
from glossi_sync.studio import work as work_module
from glossi_sync.studio.storage import (
    FileLost,
    NotUploaded,
    StorageAway,
    TooLarge,
    UploadReplaced,
    WrongContentType,
    bucket,
)
from glossi_sync.studio.storage.bucket import BucketStorage

GLB = wire.FILE_TYPES["glb"]
KEY = "workspaces/w/models/m/model.glb"
CONTENT = box()


def test_the_upload_url_is_the_buckets_own_and_what_it_took_is_processed(api_elsewhere: Api) -> None:
    api = api_elsewhere
    (model,) = api.create("box")
    url = urlsplit(model["uploadUrl"])
    assert url.path.endswith(f"/studio/incoming/{model['uploadKey']}") and not model["uploadUrl"].startswith(api.origin)
    assert parse_qs(url.query)["X-Amz-Expires"] == [str(wire.UPLOAD_URL_SECONDS)]
    refused(api.confirm(model["modelId"]), 409, "not_uploaded")
    assert api.put(model["uploadUrl"], b"a first try that went wrong").status_code == 200
    assert api.put(model["uploadUrl"], CONTENT).status_code == 200
    assert ok(api.confirm(model["modelId"]))["filePath"] == model["uploadKey"]
    assert api.processed(model["modelId"])["status"] == "READY"
    assert api.get(f"/files/{model['uploadKey']}").content == CONTENT


def test_a_wrong_content_type_is_found_at_the_confirmation_and_mended_by_another_put(api_elsewhere: Api) -> None:
    api = api_elsewhere
    (model,) = api.create("box")
    for wrong in ("text/plain", None):
        api.put(model["uploadUrl"], CONTENT, wrong)
        message = refused(api.confirm(model["modelId"]), 409, "content_type_mismatch")
        assert f"Content-Type: {GLB}" in message
    api.put(model["uploadUrl"], CONTENT)
    ok(api.confirm(model["modelId"]))


def test_what_is_put_after_the_confirmation_changes_nothing(api_elsewhere: Api) -> None:
    api = api_elsewhere
    (model,) = api.create("box")
    api.put(model["uploadUrl"], CONTENT)
    ok(api.confirm(model["modelId"]))
    assert api.put(model["uploadUrl"], b"another file, by a URL that still lives").status_code == 200
    ok(api.confirm(model["modelId"]))
    assert api.processed(model["modelId"])["status"] == "READY"
    assert api.get(f"/files/{model['uploadKey']}").content == CONTENT


def test_files_come_whole_in_ranges_and_not_at_all(api_elsewhere: Api) -> None:
    api = api_elsewhere
    model_id = api.ready()
    job = api.finished(api.start(api.project(model_id)))
    path = f"/files/{job['renders'][0]['filePath']}"
    whole = api.get(path)
    size = len(whole.content)
    assert (whole.status_code, whole.headers["Content-Type"]) == (200, "image/png")
    assert int(whole.headers["Content-Length"]) == size and whole.content.startswith(b"\x89PNG")
    head = api.http.head(api.url + path)
    assert (head.headers["Content-Length"], head.content) == (str(size), b"")
    assert api.get(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304
    for asked, expected in (
        ("0-0", slice(0, 1)),
        ("5-", slice(5, None)),
        ("-7", slice(-7, None)),
        ("3-9", slice(3, 10)),
    ):
        part = api.get(path, headers={"Range": f"bytes={asked}"})
        assert (part.status_code, part.content) == (206, whole.content[expected])
    refused(api.get(path, headers={"Range": f"bytes={size}-"}), 416, "range_not_satisfiable")
    workspace = path.split("/")[3]
    for other in (
        f"workspaces/{workspace}/models",
        f"incoming/workspaces/{workspace}/models/x/model.glb",
        "",
        "%2e%2e",
    ):
        status, answer = api.verbatim("GET", f"{wire.API_PREFIX}/files/{other}")
        assert (status, answer["error"]["code"]) == (404, "file_not_found")
    refused(api.put(f"{api.origin}/uploads/{KEY}?expires=9&signature=9", CONTENT), 404, "not_found")


# --- the storage itself ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Held:
    """A bucket whose server is in this process, and a storage in it."""

    bucket: Bucket
    storage: BucketStorage

    async def put(self, content: bytes, content_type: str = GLB, key: str = KEY) -> None:
        urls = await self.storage.upload_urls([key], 60)
        assert urls is not None
        async with httpx.AsyncClient(trust_env=False) as client:
            (await client.put(urls[0], content=content, headers={"Content-Type": content_type})).raise_for_status()

    async def settle(self, limit: int = 1000) -> None:
        await self.storage.settle(KEY, content_type=GLB, limit=limit)

    async def content(self, key: str = KEY) -> bytes:
        file = await self.storage.find(key)
        assert file is not None
        return b"".join([chunk async for chunk in self.storage.read(key, 0, file.size)])


@pytest.fixture
def held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Held]:
    with s3() as new_bucket:
        made = new_bucket()
        for name, value in made.environment.items():
            monkeypatch.setenv(name, value)
        yield Held(made, BucketStorage(f"{made.url}/pre/fix", working=tmp_path / "working"))


def test_an_upload_is_settled_only_if_it_is_there_of_its_type_and_not_too_large(held: Held) -> None:
    async def work() -> None:
        with pytest.raises(NotUploaded):
            await held.settle()
        await held.put(b"x" * 11, "text/plain")
        with pytest.raises(WrongContentType, match="text/plain"):
            await held.settle()
        await held.put(b"x" * 11)
        with pytest.raises(TooLarge):
            await held.settle(limit=10)
        assert await held.storage.find(KEY) is None
        await held.settle(limit=11)
        assert await held.content() == b"x" * 11
        # What is left over is gone once the confirmation is recorded, and not before: it may have to be repeated.
        await held.settle()
        await held.storage.settled(KEY)
        with pytest.raises(NotUploaded):
            await held.settle()
        assert await held.content() == b"x" * 11

    asyncio.run(work())


@pytest.mark.parametrize("times", [1, 99])
def test_an_upload_that_is_replaced_while_it_is_settled_is_looked_at_again(
    held: Held, monkeypatch: pytest.MonkeyPatch, times: int
) -> None:
    copy = bucket.obstore.copy_async
    copied = 0

    async def replaced_first(*arguments: Any) -> None:
        nonlocal copied
        copied += 1
        if copied <= times:
            # Larger than allowed, after it was found to be small enough.
            await held.put(b"y" * (2000 + copied))
        await copy(*arguments)
        if copied <= times:
            await held.put(b"z" * (10 + copied))

    monkeypatch.setattr(bucket.obstore, "copy_async", replaced_first)

    async def work() -> None:
        await held.put(b"x" * 10)
        if times == 1:
            await held.settle()
            assert await held.content() == b"z" * 11
        else:
            with pytest.raises(UploadReplaced):
                await held.settle()

    asyncio.run(work())


def test_of_two_confirmations_at_once_one_decides_which_upload_is_the_models_file(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle = held.storage.settle
    begun = 0
    first_is_answered = threading.Event()

    async def slowly(key: str, *, content_type: str, limit: int) -> None:
        nonlocal begun
        begun += 1
        if begun == 1:
            await asyncio.sleep(0.3)  # until the other one waits for this one
        else:
            await asyncio.to_thread(first_is_answered.wait, 20)
        await settle(key, content_type=content_type, limit=limit)

    monkeypatch.setattr(held.storage, "settle", slowly)
    with inside_studio(tmp_path, storage=held.storage) as inside, ThreadPoolExecutor(2) as threads:
        api = inside.api
        (model,) = api.create("box")
        api.put(model["uploadUrl"], CONTENT)
        answers = [threads.submit(api.confirm, model["modelId"]) for _ in range(2)]
        eventually(lambda: api.state(model["modelId"])["status"] == "READY")
        api.put(model["uploadUrl"], b"another")
        first_is_answered.set()
        assert [answer.result().status_code for answer in answers] == [200, 200]
        assert api.get(f"/files/{model['uploadKey']}").content == CONTENT


def test_a_worker_fetches_copies_and_puts_files_back(held: Held, tmp_path: Path) -> None:
    depot = held.storage.depot
    made = tmp_path / "made.png"
    made.write_bytes(b"picture")
    keys = [f"workspaces/w/renders/{job}/a/0.png" for job in ("job", "job2")]
    for key in keys:
        depot.put(made, key)
    with depot.working_folder("attempt") as folder:
        assert folder.parent == tmp_path / "working" and folder.name.startswith("attempt")
        assert depot.fetch(keys[0], folder).read_bytes() == b"picture"
        with pytest.raises(FileLost, match="job/a/9.png is not in the studio's storage any more"):
            depot.fetch("workspaces/w/renders/job/a/9.png", folder)
        with pytest.raises(FileNotFoundError):
            depot.put(folder / "nothing", keys[0])
    assert not folder.exists()

    async def work() -> None:
        (tmp_path / "working" / "dead-1").mkdir()
        await held.storage.discard("dead")
        assert not any((tmp_path / "working").iterdir())
        await held.storage.remove_tree("workspaces/w/renders/job")
        assert await held.storage.find(keys[0]) is None
        assert await held.content(keys[1]) == b"picture"

    asyncio.run(work())


@pytest.mark.parametrize("key", ["", "incoming/x", "workspaces", "workspaces/../x", "workspaces//x", "workspaces/a/\0"])
def test_what_is_no_key_is_not_asked_for(held: Held, key: str) -> None:
    before = len(held.bucket.asked)
    assert asyncio.run(held.storage.find(key)) is None
    assert len(held.bucket.asked) == before


def test_a_bucket_that_is_away_for_a_while_costs_time_and_no_job(
    held: Held, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work_module, "_RETRY_AFTER_SECONDS", 0.1)
    with inside_studio(tmp_path, storage=held.storage) as inside:
        api = inside.api
        (model, later) = api.create("box", "later")
        api.put(later["uploadUrl"], CONTENT)
        job = api.start(api.project(api.ready()))
        assert api.finished(job)["status"] == "COMPLETED"
        held.bucket.refuse = lambda method, path: (403, b"")
        answer = api.confirm(model["modelId"])
        refused(answer, 503, "storage_unavailable")
        assert answer.headers["Retry-After"]
        waiting = api.start(api.render(job)["projectId"])
        asked = len(held.bucket.asked)
        while len(held.bucket.asked) < asked + 3:
            assert api.render(waiting)["status"] in {"QUEUED", "RENDERING"}
        held.bucket.refuse = lambda method, path: None
        assert api.finished(waiting)["status"] == "COMPLETED"
        ok(api.confirm(later["modelId"]))
        # A file that somebody removed is no outage.
        held.bucket.remove(f"pre/fix/{later['uploadKey']}")


def test_a_bucket_that_cannot_be_used_is_said_at_the_start(
    tmp_path: Path, new_bucket: Callable[[], Bucket], monkeypatch: pytest.MonkeyPatch
) -> None:
    environment = new_bucket().environment
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StorageAway, match=r"s3://nobody-has-this/x cannot be used: there is no such bucket"):
        BucketStorage("s3://nobody-has-this/x", working=None)
    for url in ("s3://", "s3://b/?x", "gs://bucket", "bucket", "s3://b/a b"):
        with pytest.raises(ValueError, match="write it as s3://BUCKET"):
            BucketStorage(url, working=None)
    with served(tmp_path / "data", "--storage", "s3://nobody-has-this", **environment) as studio:
        status, _, errors = studio.ended()
    assert (status, errors.count("\n")) == (1, 1) and "there is no such bucket" in errors
