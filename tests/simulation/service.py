"""The service's side: the studio's real application on records in memory, and the truth about what it holds.

The application is built once for all seeds; each seed gives it empty records, new files, a clock and ids of its own.
"""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import httpx
from fastapi import FastAPI

from glossi_sync.service import wire
from glossi_sync.service.signature import stringify
from glossi_sync.studio import records as rows
from glossi_sync.studio.addresses import Allowed, AllowedTransport
from glossi_sync.studio.api.context import Audience, Studio, Templates
from glossi_sync.studio.app import create_app
from glossi_sync.studio.delivering import Deliveries
from glossi_sync.studio.engines import EngineError, RenderedFile, RenderRequest
from glossi_sync.studio.events import Events, timestamp
from glossi_sync.studio.faults import Faults
from glossi_sync.studio.jobs import Jobs
from glossi_sync.studio.processing import ModelFacts, ProcessedModel, ProcessingError
from glossi_sync.studio.records import Records
from glossi_sync.studio.signing import UploadSigner
from glossi_sync.studio.storage import FolderStorage
from glossi_sync.studio.tasks import KeptFile, ProcessingTask, RenderTask
from glossi_sync.studio.template import bundled_templates
from glossi_sync.studio.work import Work

KEY = "glsi_simulated"
WORKSPACE = "w"
LOST = "lost"
"""The workspace that takes what the service loses: for the one that asks, it does not exist any more."""

FACTS = ModelFacts(12, 1, 0, 0, (), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
SECRET = b"s" * 32


@dataclass(frozen=True, slots=True)
class ModelRow:
    model_id: str
    name: str
    file_type: str
    file_path: str
    status: str
    confirmed: bool


@dataclass(frozen=True, slots=True)
class ProjectRow:
    project_id: str
    name: str
    template_id: str
    model_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class JobRow:
    job_id: str
    project_id: str
    settings: dict[str, Any]
    status: str


@dataclass(frozen=True, slots=True)
class WebhookRow:
    url: str
    events: tuple[str, ...]
    enabled: bool


@dataclass(frozen=True, slots=True)
class Truth:
    """What the service holds at one moment, by id."""

    models: dict[str, ModelRow]
    projects: dict[str, ProjectRow]
    jobs: dict[str, JobRow]
    webhook: WebhookRow | None


@dataclass(slots=True)
class Temper:
    """How the service's work goes: how long it takes, and how often it fails. Seconds and probabilities."""

    processing: float = 1.0
    rendering: float = 1.0
    models_fail: float = 0.0
    renders_fail: float = 0.0
    upload_seconds: float = wire.UPLOAD_URL_SECONDS


@dataclass(slots=True)
class Workshop:
    """A workshop that is a delay, and that fails as the seed says. ``failures`` counts the failures."""

    rng: Random
    temper: Temper
    capacity: int
    failures: int = 0
    engine_name: str = "delay"

    async def check(self) -> None:
        pass

    async def process(self, task: ProcessingTask) -> ProcessedModel:
        await asyncio.sleep(self.temper.processing * self.rng.random() * 2)
        if self.rng.random() < self.temper.models_fail:
            self.failures += 1
            raise ProcessingError("the model is not to the service's taste")
        return ProcessedModel(FACTS)

    async def render(self, task: RenderTask) -> tuple[KeptFile, ...]:
        await asyncio.sleep(self.temper.rendering * self.rng.random() * 2)
        if self.rng.random() < self.temper.renders_fail:
            self.failures += 1
            raise EngineError("the renderer had a bad day")
        return task.carry_out(_one_picture)

    async def close(self) -> None:
        pass


def _one_picture(request: RenderRequest) -> tuple[RenderedFile, ...]:
    (request.folder / "0.png").write_bytes(b"picture")
    return (RenderedFile("Front View - Default", "0.png", "PNG", False),)


async def inline(work: Callable[[], Any]) -> Any:
    return work()


@dataclass(slots=True)
class _Stage:
    """What all seeds of this Python process share."""

    records: Records
    app: FastAPI
    templates: Templates
    raw: Any
    clock: Callable[[], float] = lambda: 0.0

    def now(self) -> float:
        """The time of the seed that runs now."""
        return self.clock()


@cache
def _stage(root: Path) -> _Stage:
    records = Records("sqlite://", run=inline)
    for name in (WORKSPACE, LOST):
        records.now(lambda c, name=name: rows.ensure_workspace(c, name, name, 0.0))
    records.now(lambda c: rows.set_key(c, WORKSPACE, "simulation", KEY, 0.0))
    templates = Templates(bundled_templates(), {})
    connection = records._engine.connect()
    raw = connection.connection.dbapi_connection
    connection.close()
    stage = _Stage(records, FastAPI(), templates, raw)
    stage.app = create_app(
        records=records,
        storage=FolderStorage(root / "unused", run=inline),
        workshop=Workshop(Random(0), Temper(), 1),
        templates_=templates,
        signing_secret=SECRET,
        clock=stage.now,
    )
    return stage


@dataclass(frozen=True, slots=True)
class _HeardEvents(Events):
    """Events that are heard as well, whatever the webhook of the moment asks for."""

    hear: Callable[[str, str], None]

    def _tell(self, connection: Any, workspace_id: str, event: Any, told: Any, now: float) -> None:
        for data in told:
            self.hear(event, stringify({"event": event, "timestamp": timestamp(now), "data": data}))
        Events._tell(self, connection, workspace_id, event, told, now)


class Service:
    """One seed's service. Make it inside the seed's event loop, ``start`` it, ``stop`` it in the end."""

    def __init__(
        self,
        root: Path,
        seed: int,
        *,
        clock: Callable[[], float],
        temper: Temper,
        say: Callable[[str], None] | None = None,
    ) -> None:
        self._stage = stage = _stage(root)
        self._root = root / f"service-{seed}"
        shutil.rmtree(self._root, ignore_errors=True)
        for table in ("deliveries", "renders", "render_jobs", "project_models", "projects", "models", "webhooks"):
            stage.raw.execute(f"DELETE FROM {table}")
        stage.records._writer = asyncio.Lock()
        stage.records._waiting = []
        stage.clock = clock
        self._clock = clock
        self._say = say or (lambda _: None)
        self._ids = Random(f"{seed}/ids")
        self._rng = Random(f"{seed}/service")
        self.temper = temper
        self.workshop = Workshop(self._rng, temper, self._rng.choice((1, 2, 4)))
        self.lost: set[str] = set()
        self.hear: Callable[[str, str], None] = lambda event, body: None
        self._storage = FolderStorage(self._root, run=inline)
        self.asgi = httpx.ASGITransport(app=stage.app)
        self._work: Work | None = None

    def new_id(self) -> str:
        return f"{self._ids.getrandbits(48):012x}"

    async def start(self) -> None:
        """Take up all unfinished work, as the studio's lifespan does. What webhooks are told is put down, not sent."""
        events = _HeardEvents(self.new_id, "", self.hear)
        jobs = Jobs(events, self.new_id)
        deliveries = Deliveries(
            records=self._stage.records,
            clock=self._clock,
            sleep=asyncio.sleep,
            transport=AllowedTransport(Allowed()),
        )
        self._work = Work(
            records=self._stage.records,
            storage=self._storage,
            workshop=self.workshop,
            templates=self._stage.templates,
            clock=self._clock,
            new_id=self.new_id,
            events=events,
            jobs=jobs,
            deliveries=deliveries,
            faults=Faults(),
        )
        self._stage.app.state.studio = Studio(
            records=self._stage.records,
            storage=self._storage,
            signer=UploadSigner(SECRET, self._clock, self.temper.upload_seconds),
            templates=self._stage.templates,
            work=self._work,
            events=events,
            jobs=jobs,
            deliveries=deliveries,
            clock=self._clock,
            new_id=self.new_id,
            upload_limit=wire.MAX_MODEL_BYTES,
            public_url=None,
            audience=Audience(),
        )
        await self._work.start()

    async def stop(self) -> None:
        if self._work is not None:
            await self._work.stop()

    async def restart(self) -> None:
        self._say("the service restarts")
        await self.stop()
        await self.start()

    def clean_up(self) -> None:
        shutil.rmtree(self._root, ignore_errors=True)

    # --- what happens at the service by itself ---------------------------------------------------------------------------

    def lose(self, kind: str, remote_id: str) -> None:
        """A model, project or job is gone, for whatever reason."""
        self._say(f"the service loses {kind} {remote_id}")
        table, column = {
            "model": ("models", "model_id"),
            "project": ("projects", "project_id"),
            "render": ("render_jobs", "job_id"),
        }[kind]
        self._stage.raw.execute(f"UPDATE {table} SET workspace_id = ? WHERE {column} = ?", (LOST, remote_id))
        self.lost.add(remote_id)

    def meddle(self) -> None:
        """Somebody else changes the webhook."""
        self._say("somebody else changes the webhook")
        self._stage.raw.execute("UPDATE webhooks SET url = 'https://elsewhere.test/hook'")

    # --- the truth -------------------------------------------------------------------------------------------------------

    def truth(self) -> Truth:
        raw = self._stage.raw
        members: dict[str, list[str]] = {}
        for project_id, model_id in raw.execute(
            "SELECT project_id, model_id FROM project_models ORDER BY project_id, position"
        ):
            members.setdefault(project_id, []).append(model_id)
        of_ours = f"WHERE workspace_id = '{WORKSPACE}' ORDER BY created_at"
        return Truth(
            models={
                row[0]: ModelRow(*row[:5], confirmed=row[5] is not None)
                for row in raw.execute(
                    f"SELECT model_id, name, file_type, file_path, status, confirmed_at FROM models {of_ours}, model_id"
                )
            },
            projects={
                row[0]: ProjectRow(*row, tuple(members[row[0]]))
                for row in raw.execute(f"SELECT project_id, name, template_id FROM projects {of_ours}, project_id")
            },
            jobs={
                row[0]: JobRow(row[0], row[1], _json(row[2]), row[3])
                for row in raw.execute(
                    f"SELECT job_id, project_id, settings, status FROM render_jobs {of_ours}, job_id"
                )
            },
            webhook=self._webhook(),
        )

    def stored(self, model: ModelRow) -> bytes | None:
        """The file that was uploaded for a model."""
        path = self._storage.local(model.file_path)
        return path.read_bytes() if path.exists() else None

    def _webhook(self) -> WebhookRow | None:
        found = self._stage.raw.execute(
            "SELECT url, events, enabled FROM webhooks WHERE workspace_id = ?", (WORKSPACE,)
        )
        return next((WebhookRow(url, tuple(_json(events)), bool(enabled)) for url, events, enabled in found), None)


def _json(text: Any) -> Any:
    return json.loads(text) if isinstance(text, str) else text
