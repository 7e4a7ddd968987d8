"""Many at once: nobody waits for another's upload, and of a thousand none is forgotten or made twice."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
from small_glb import box
from studio_client import InProcess, eventually, ok

from glossi_sync.service import wire

GLB = {"Content-Type": wire.FILE_TYPES["glb"]}


def client(inside: InProcess) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=inside.api.url,
        headers={wire.API_KEY_HEADER: inside.api.key},
        limits=httpx.Limits(max_connections=None),
        timeout=60,
        trust_env=False,
    )


def records(first: int, count: int) -> dict[str, Any]:
    names = [f"model {number}" for number in range(first, first + count)]
    return {"models": [{"name": name, "fileName": f"{name}.glb", "fileType": "glb"} for name in names]}


def test_a_thousand_models_in_a_hundred_calls_at_once(inside: InProcess) -> None:
    async def record() -> list[dict[str, str]]:
        async with client(inside) as http:
            answers = await asyncio.gather(*(http.post("/models", json=records(i * 10, 10)) for i in range(100)))
        return [model for answer in answers for model in ok(answer)["models"]]

    made = asyncio.run(record())
    assert [model["name"] for model in made] == [f"model {number}" for number in range(1000)]
    assert len({model["modelId"] for model in made}) == len({model["uploadKey"] for model in made}) == 1000
    known = ok(inside.api.post("/models/status", {"modelIds": [model["modelId"] for model in made]}))
    assert known["notFound"] == [] and len(known["models"]) == 1000


def test_polls_are_answered_while_a_hundred_uploads_are_under_way(inside: InProcess) -> None:
    models = ok(inside.api.post("/models", records(0, 100)))["models"]
    ids = [model["modelId"] for model in models]
    content = box()

    async def run() -> None:
        under_way = 0
        all_under_way, go_on = asyncio.Event(), asyncio.Event()

        async def slowly() -> AsyncIterator[bytes]:
            nonlocal under_way
            yield content[:100]
            under_way += 1
            if under_way == len(models):
                all_under_way.set()
            await go_on.wait()
            yield content[100:]

        async with (
            client(inside) as http,
            httpx.AsyncClient(limits=httpx.Limits(max_connections=None), timeout=60) as s3,
        ):
            uploads = [
                asyncio.create_task(s3.put(model["uploadUrl"], content=slowly(), headers=GLB)) for model in models
            ]
            await all_under_way.wait()
            # Not one of them can end before these have been answered.
            polls = await asyncio.gather(*(http.post("/models/status", json={"modelIds": ids}) for _ in range(50)))
            assert {state["status"] for poll in polls for state in ok(poll)["models"]} == {"PENDING"}
            made = ok(await http.post("/models", json=records(100, 1)))
            assert len(made["models"]) == 1 and not any(upload.done() for upload in uploads)
            go_on.set()
            assert {answer.status_code for answer in await asyncio.gather(*uploads)} == {200}
            confirms = [http.post(f"/models/{model_id}/confirm", json={"fileType": "glb"}) for model_id in ids]
            assert {answer.status_code for answer in await asyncio.gather(*confirms)} == {200}

    asyncio.run(run())
    eventually(lambda: ok(inside.api.post("/models/status", {"modelIds": ids}))["allReady"])


def test_renders_started_by_forty_calls_at_once_are_all_rendered_once(inside: InProcess) -> None:
    api = inside.api
    model_id = api.ready()
    settings = {"renderShots": False}
    projects = [api.project(model_id) for _ in range(3)]
    body = {"projectIds": projects, "settings": settings}

    async def start() -> list[str]:
        async with client(inside) as http:
            answers = await asyncio.gather(*(http.post("/renders", json=body) for _ in range(40)))
        return [job["jobId"] for answer in answers for job in ok(answer)["jobs"]]

    jobs = asyncio.run(start())
    assert len(set(jobs)) == 120
    assert {api.finished(job)["status"] for job in jobs} == {"COMPLETED"}
