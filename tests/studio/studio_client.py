"""A client that speaks to a studio as the guide does, and the parts that tests put in place of the slow ones."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import uvicorn
from fastapi import FastAPI
from small_glb import box
from starlette.types import ASGIApp

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Studio, Templates
from glossi_sync.studio.app import create_app
from glossi_sync.studio.embedded import EmbeddedStudio
from glossi_sync.studio.engines import RenderedFile, RenderRequest
from glossi_sync.studio.faults import FaultyDoor
from glossi_sync.studio.processing import ModelFacts, ProcessedModel
from glossi_sync.studio.records import Records
from glossi_sync.studio.storage import FolderStorage
from glossi_sync.studio.tasks import KeptFile, ProcessingTask, RenderTask
from glossi_sync.studio.template import bundled_templates

T = TypeVar("T")

HERE = Path(__file__).parent
REPOSITORY = HERE.parent.parent
SHARED_MODELS = Path(os.environ.get("GLOSSI_TEST_MODELS") or REPOSITORY.parent / "shared" / "data" / "glb")
"""Models that this project did not make; a test that uses them skips where they are not."""

WORKSPACE_TEMPLATE_ID = "0b6f3a3e-8c4e-4d0e-9a55-0d8a1f6f9c01"
WORKSPACE_TEMPLATE = "Our Own Light"


def eventually(question: Callable[[], T | None], seconds: float = 60.0, pause: float = 0.02) -> T:
    """The first answer that is true; a failure where none comes for so long that something must be wrong."""
    give_up = time.monotonic() + seconds
    while not (answer := question()):
        assert time.monotonic() < give_up, "waited in vain"
        time.sleep(pause)
    return answer


def worker_at(path: Path) -> int:
    """The process id of the worker that has begun to render a model with the name ``wait for PATH``."""

    def look() -> int | None:
        try:
            return int(Path(f"{path}.pid").read_text())
        except (FileNotFoundError, ValueError):
            return None

    return eventually(look)


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

    def verbatim(self, method: str, target: str, body: bytes = b"", **headers: str) -> tuple[int, Any]:
        """A request whose target and headers go out letter by letter; its status, and the answer's JSON."""
        connection = http.client.HTTPConnection(self.origin.removeprefix("http://"), timeout=60)
        try:
            headers = {wire.API_KEY_HEADER: self.key, "Content-Type": "application/json", **headers}
            connection.request(method, target, body, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def create(self, *names: str, file_type: str = "glb") -> list[dict[str, str]]:
        models = [{"name": name, "fileName": f"{name}.{file_type}", "fileType": file_type} for name in names]
        return ok(self.post("/models", {"models": models}))["models"]

    def put(
        self,
        upload_url: str,
        content: bytes | Iterable[bytes],
        content_type: str | None = wire.FILE_TYPES["glb"],
        **headers: str,
    ) -> httpx.Response:
        if content_type is not None:
            headers["Content-Type"] = content_type
        # A client of its own: nothing of ours, the API key above all, goes to the signed URL.
        return httpx.put(upload_url, content=content, headers=headers, timeout=60, trust_env=False)

    def confirm(self, model_id: str, file_type: str = "glb") -> httpx.Response:
        return self.post(f"/models/{model_id}/confirm", {"fileType": file_type})

    def upload(self, name: str = "box", content: bytes | None = None) -> str:
        """A confirmed model's id."""
        (model,) = self.create(name)
        assert self.put(model["uploadUrl"], box() if content is None else content).status_code == 200
        ok(self.confirm(model["modelId"]))
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

    def project(self, *model_ids: str, template_id: str | None = None) -> str:
        body = {"modelIds": list(model_ids), "templateId": template_id or self.template_id()}
        return ok(self.post("/projects", body))["projects"][0]["projectId"]

    def new_job(self, files: list[tuple[str, bytes]], *, template_id: str | None = None, **wish: Any) -> str:
        """A job of the simple workflow with a model for each name and content, uploaded and not confirmed; its id."""
        models = [{"name": name, "fileName": "model.glb", "fileType": "glb"} for name, _ in files]
        body = {"models": models, "templateId": template_id or self.template_id(), **wish}
        job = ok(self.post("/jobs", body))
        for model, (_, content) in zip(job["models"], files, strict=True):
            assert self.put(model["uploadUrl"], content).status_code == 200
        return str(job["jobId"])

    def job_state(self, job_id: str) -> dict[str, Any]:
        return ok(self.get(f"/jobs/{job_id}"))

    def job_finished(self, job_id: str) -> dict[str, Any]:
        """The job once it is COMPLETE or FAILED."""
        return eventually(lambda: ((j := self.job_state(job_id))["status"] in {"COMPLETE", "FAILED"} and j) or None)

    def job(self, files: list[tuple[str, bytes]], *, template_id: str | None = None, **wish: Any) -> dict[str, Any]:
        """A finished job."""
        job_id = self.new_job(files, template_id=template_id, **wish)
        ok(self.post(f"/jobs/{job_id}/confirm"))
        return self.job_finished(job_id)

    def start(self, project_id: str, **settings: Any) -> str:
        body = {"projectIds": [project_id], "settings": {"renderShots": False, **settings}}
        return ok(self.post("/renders", body))["jobs"][0]["jobId"]

    def render(self, job_id: str) -> dict[str, Any]:
        return ok(self.get(f"/renders/{job_id}"))

    def rendering(self, job_id: str) -> None:
        """Wait until a worker has the job."""
        eventually(lambda: self.render(job_id)["status"] == wire.RENDER_RENDERING)

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


@dataclass(frozen=True)
class InProcess:
    """A studio that a test can look into: its application, the clock that it goes by, a client."""

    app: FastAPI
    clock: Clock
    api: Api

    @property
    def studio(self) -> Studio:
        studio: Studio = self.app.state.studio
        return studio

    def client(self, key: str) -> AbstractContextManager[Api]:
        return client_of(self.api.url, key)


@contextmanager
def inside_studio(folder: Path, **parts: Any) -> Iterator[InProcess]:
    """A studio in this process, with a small limit for files, and work that is a delay. Beside the client's workspace
    it has a neighbour's, with the key ``glsi_neighbour``. ``parts`` take the place of what ``create_app`` is given."""
    clock = Clock()
    records = Records(f"sqlite:///{folder / 'records.db'}")
    for workspace_id, key in (("workspace", "glsi_test"), ("neighbour", "glsi_neighbour")):
        records.now(lambda c, w=workspace_id: rows.ensure_workspace(c, w, w, clock.now))
        records.now(lambda c, w=workspace_id, k=key: rows.set_key(c, w, "folder", k, clock.now))
    inside: dict[str, Any] = {
        "records": records,
        "storage": FolderStorage(folder),
        "workshop": DelayWorkshop(),
        "templates_": Templates(bundled_templates(), {}),
        "signing_secret": b"s" * 32,
        "clock": clock,
        "upload_limit": 100_000,
    }
    app = create_app(**{**inside, **parts})
    faults = parts.get("faults")
    door = app if faults is None else FaultyDoor(app, faults, app.openapi())
    with listening(door) as url, client_of(url, "glsi_test") as client:
        yield InProcess(app, clock, client)
    records.close()


@contextmanager
def client_of_embedded(studio: EmbeddedStudio) -> Iterator[Api]:
    with studio, client_of(studio.url, studio.api_key) as api:
        yield api


@contextmanager
def listening(app: ASGIApp) -> Iterator[str]:
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

    async def process(self, task: ProcessingTask) -> ProcessedModel:
        await asyncio.sleep(self.seconds)
        return ProcessedModel(ModelFacts(12, 1, 0, 0, (), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)))

    async def render(self, task: RenderTask) -> tuple[KeptFile, ...]:
        await asyncio.sleep(self.seconds)
        return task.carry_out(_one_picture)

    async def close(self) -> None:
        pass


def _one_picture(request: RenderRequest) -> tuple[RenderedFile, ...]:
    (request.folder / "0.png").write_bytes(b"picture")
    return (RenderedFile("Front View - Default", "0.png", "PNG", False),)
