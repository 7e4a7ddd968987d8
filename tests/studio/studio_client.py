"""A client that speaks to a studio as the guide does, and the parts that tests put in place of the slow ones."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from fastapi import FastAPI
from small_glb import box

from glossi_sync.service import wire
from glossi_sync.studio.embedded import EmbeddedStudio
from glossi_sync.studio.engines import RenderedFile, RenderRequest
from glossi_sync.studio.processing import ModelFacts
from glossi_sync.studio.workshop import ProcessingTask

T = TypeVar("T")

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
SHARED_MODELS = REPOSITORY.parent / "shared" / "data" / "glb"

WORKSPACE_TEMPLATE_ID = "0b6f3a3e-8c4e-4d0e-9a55-0d8a1f6f9c01"
WORKSPACE_TEMPLATE = "Our Own Light"


def eventually(question: Callable[[], T | None], seconds: float = 60.0) -> T:
    """The first answer that is true; a failure where none comes for so long that something must be wrong."""
    give_up = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(0.02)
    return answer


@dataclass(frozen=True)
class Api:
    """A client of one studio: each call of the guide, its answer's JSON, and the waiting between them."""

    http: httpx.Client
    url: str
    key: str

    @property
    def origin(self) -> str:
        return self.url.removesuffix(wire.API_PREFIX)

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.http.get(self.url + path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> httpx.Response:
        content = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json", **options.pop("headers", {})}
        return self.http.post(self.url + path, content=content, headers=headers, **options)

    def create(self, *names: str, file_type: str = "glb") -> list[dict[str, str]]:
        models = [{"name": name, "fileName": f"{name}.{file_type}", "fileType": file_type} for name in names]
        return ok(self.post("/models", {"models": models}))["models"]

    def put(self, upload_url: str, content: bytes, content_type: str = wire.FILE_TYPES["glb"]) -> httpx.Response:
        # A client of its own: nothing of ours, the API key above all, goes to the signed URL.
        return httpx.put(upload_url, content=content, headers={"Content-Type": content_type}, timeout=60)

    def upload(self, name: str = "box", content: bytes | None = None) -> str:
        """A confirmed model's id."""
        (model,) = self.create(name)
        assert self.put(model["uploadUrl"], box() if content is None else content).status_code == 200
        ok(self.post(f"/models/{model['modelId']}/confirm", {"fileType": "glb"}))
        return model["modelId"]

    def state(self, model_id: str) -> dict[str, Any]:
        return ok(self.post("/models/status", {"modelIds": [model_id]}))["models"][0]

    def processed(self, model_id: str) -> dict[str, Any]:
        """The model's state once it is READY or FAILED."""
        return eventually(lambda: ((s := self.state(model_id))["status"] in {"READY", "FAILED"} and s) or None)

    def ready(self, name: str = "box", content: bytes | None = None) -> str:
        model_id = self.upload(name, content)
        state = self.processed(model_id)
        assert state["ready"], state
        return model_id

    def template_id(self) -> str:
        return ok(self.get("/templates"))["templates"][0]["templateId"]

    def project(self, *model_ids: str) -> str:
        body = {"modelIds": list(model_ids), "templateId": self.template_id()}
        return ok(self.post("/projects", body))["projects"][0]["projectId"]

    def start(self, project_id: str, **settings: Any) -> str:
        body = {"projectIds": [project_id], "settings": {"renderShots": False, **settings}}
        return ok(self.post("/renders", body))["jobs"][0]["jobId"]

    def render(self, job_id: str) -> dict[str, Any]:
        return ok(self.get(f"/renders/{job_id}"))

    def finished(self, job_id: str) -> dict[str, Any]:
        """The job once it is COMPLETED or FAILED."""
        return eventually(lambda: ((j := self.render(job_id))["status"] in {"COMPLETED", "FAILED"} and j) or None)


def ok(response: httpx.Response) -> Any:
    assert response.status_code == 200, f"{response.request.method} {response.request.url}: {response.text}"
    return response.json()


def refused(response: httpx.Response, status: int, code: str) -> str:
    """The message of a refusal in the one shape that all have."""
    assert response.status_code == status, f"{response.status_code} {response.text}"
    body = response.json()
    assert set(body) == {"error"} and set(body["error"]) == {"code", "message"}
    assert body["error"]["code"] == code
    return body["error"]["message"]


@contextmanager
def client_of(url: str, key: str) -> Iterator[Api]:
    with httpx.Client(headers={wire.API_KEY_HEADER: key}, timeout=60, trust_env=False) as http:
        yield Api(http, url, key)


@contextmanager
def client_of_embedded(studio: EmbeddedStudio) -> Iterator[Api]:
    with studio, client_of(studio.url, studio.api_key) as api:
        yield api


@contextmanager
def listening(app: FastAPI) -> Iterator[str]:
    """Serve an application from a thread of this process; its endpoint's URL."""
    config = uvicorn.Config(app, port=0, log_config=None, log_level="warning", timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        eventually(lambda: server.started or not thread.is_alive())
        assert server.started
        port = server.servers[0].sockets[0].getsockname()[1]
        yield f"http://127.0.0.1:{port}{wire.API_PREFIX}"
    finally:
        server.should_exit = True
        thread.join()


@dataclass
class Clock:
    """Seconds since the epoch, as a test says."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


class DelayWorkshop:
    """A workshop in which everything succeeds after a while, and nothing is drawn."""

    engine_name = "delay"

    def __init__(self, seconds: float = 0.0, capacity: int = 4) -> None:
        self.seconds = seconds
        self.capacity = capacity

    async def check(self) -> None:
        pass

    async def process(self, task: ProcessingTask) -> ModelFacts:
        await asyncio.sleep(self.seconds)
        return ModelFacts(12, 1, 0, 0, (), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))

    async def render(self, request: RenderRequest) -> tuple[RenderedFile, ...]:
        await asyncio.sleep(self.seconds)
        (request.folder / "0.png").write_bytes(b"picture")
        return (RenderedFile("Front View - Default", "0.png", "PNG", False),)

    async def close(self) -> None:
        pass
