"""The Glossi API: one coroutine for each call of the workflow guide.

Each sends what the guide says and returns a frozen dataclass, or raises a ``ServiceError`` that says whether the call
was done (``errors``). Pacing, retries and counting are the exchange's; batching and waiting are the caller's.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import TracebackType
from typing import Any, Final, Self, TypeVar, cast
from urllib.parse import urlsplit

import httpx

from glossi_sync import __version__
from glossi_sync.resources import RenderSettings, Template, Webhook
from glossi_sync.service import calls, wire
from glossi_sync.service.answers import (
    ConfirmedModel,
    CreatedModel,
    CreatedProject,
    ModelStatuses,
    Removal,
    RenderJob,
    RetriedRender,
    StartedRender,
    StoredWebhook,
    read_confirmed_model,
    read_created_models,
    read_created_project,
    read_created_projects,
    read_model_statuses,
    read_put_webhook,
    read_render_job,
    read_retried_render,
    read_started_renders,
    read_templates,
    read_webhook,
)
from glossi_sync.service.asking import Asking
from glossi_sync.service.calls import Call
from glossi_sync.service.downloads import download
from glossi_sync.service.endpoint import Endpoint, origin_of, quoted_path
from glossi_sync.service.errors import InvalidKey, NotFound, ReadFailed, Refused
from glossi_sync.service.exchange import Assure, Exchange, Observe, Timeouts
from glossi_sync.service.pacing import Pace
from glossi_sync.service.parts import Downloaded
from glossi_sync.service.retrying import Patience
from glossi_sync.service.uploads import ExpectedFile, LocalFile, ModelFile, Progress, RunBlocking, upload

T = TypeVar("T")

_TRANSFERS: Final = Pace(start=16, ceiling=64)


@dataclass(frozen=True, slots=True)
class NewModel:
    """A model to be recorded (guide, Step 2.1)."""

    name: str
    file_name: str
    file_type: str


class Glossi:
    """A client of one service with one key. Use it as an async context manager, or call ``aclose``.

    Args:
        endpoint: where the service is, for example ``https://api.glossi.app/api/v1``.
        api_key: the key; None or empty where the service needs none.
        transport: what carries the requests, in place of the network.
        patience: how long a call waits on trouble.
        pace: how many calls may be under way at once at an origin.
        transfers: the same for uploads and downloads.
        timeouts: seconds without progress.
        rng: where the retries' jitter comes from.
        wall_clock: Unix time, for a Retry-After that is a date. All else goes by the event loop's time.
        observe: told of every request that was sent.
        assure: awaited before a call that must not be made twice is sent late: more than a second after it was decided
            on (it had to wait its turn, is asked again, or the process was paused). What it raises ends the call, which
            then was not sent.
        run_blocking: runs reading and writing of files off the event loop.

    Raises:
        InvalidEndpoint, InvalidKey: they cannot be used.
    """

    def __init__(
        self,
        endpoint: str | Endpoint,
        api_key: str | None = None,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
        patience: Patience | None = None,
        pace: Pace | None = None,
        transfers: Pace = _TRANSFERS,
        timeouts: Timeouts | None = None,
        rng: Random | None = None,
        wall_clock: Callable[[], float] = time.time,
        observe: Observe | None = None,
        assure: Assure | None = None,
        run_blocking: RunBlocking = asyncio.to_thread,
    ) -> None:
        self.endpoint = Endpoint.parse(endpoint) if isinstance(endpoint, str) else endpoint
        self._key = _Key(api_key)
        self._run_blocking = run_blocking
        host = urlsplit(self.endpoint.base).hostname or ""
        self._exchange = Exchange(
            secret=self._key.reveal(),
            transport=transport,
            direct=(host,) if self.endpoint.loopback and ":" not in host else (),
            patience=patience or Patience(),
            pace=pace or Pace(),
            transfers=transfers,
            timeouts=timeouts or Timeouts(),
            rng=rng or Random(),  # noqa: S311  jitter, no secret
            wall_clock=wall_clock,
            observe=observe,
            assure=assure,
        )

    @property
    def calls(self) -> Counter[str]:
        """How many requests were sent, retries included, by the names that plans use."""
        return self._exchange.calls

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close all connections."""
        await self._exchange.aclose()

    def __repr__(self) -> str:
        return f"Glossi({self.endpoint.base!r})"

    # --- models ------------------------------------------------------------------------------------------------------

    async def create_models(self, models: Sequence[NewModel]) -> tuple[CreatedModel, ...]:
        """Record models, many in one call; the answers stand in the order of ``models`` (guide, Step 2.1)."""
        body: wire.CreateModels = {
            "models": [
                {"name": m.name, "fileName": m.file_name, "fileType": cast(wire.FileType, m.file_type)} for m in models
            ]
        }
        names = tuple(model.name for model in models)
        return await self._ask(
            calls.CREATE_MODELS, f"recording {_count(models, 'model')}", lambda a: read_created_models(a, names), body
        )

    async def upload(
        self,
        upload_url: str,
        file: ModelFile | Path,
        *,
        file_type: str,
        size: int,
        sha256: str,
        progress: Progress | None = None,
    ) -> None:
        """PUT a file to its signed URL, without the key (guide, Step 2.2). ``size`` and ``sha256`` are the plan's.

        Raises:
            FileChanged: the file is not what the plan hashed; nothing was stored.
            UploadExpired: the URL is too old; the model needs a new record.
        """
        expected = ExpectedFile(LocalFile(file) if isinstance(file, Path) else file, size, sha256)
        await upload(
            self._exchange, upload_url, expected, file_type, progress=progress, run_blocking=self._run_blocking
        )

    async def confirm_model(self, model_id: str, file_type: str) -> ConfirmedModel:
        """Tell that a model's file is uploaded (guide, Step 2.3)."""
        body: wire.ConfirmUpload = {"fileType": cast(wire.FileType, file_type)}
        return await self._ask(
            calls.CONFIRM_MODEL, f"confirming model {model_id}", read_confirmed_model, body, modelId=model_id
        )

    async def model_statuses(self, model_ids: Sequence[str]) -> ModelStatuses:
        """How far models have come, in one call (guide, Step 2.4)."""
        body: wire.QueryModels = {"modelIds": list(model_ids)}
        doing = f"asking for the status of {_count(model_ids, 'model')}"
        return await self._ask(calls.MODEL_STATUSES, doing, read_model_statuses, body)

    # --- templates and projects --------------------------------------------------------------------------------------

    async def templates(self, *, public: bool = True, internal: bool = True) -> tuple[Template, ...]:
        """The templates for everyone (``public``) and the workspace's own (``internal``) (guide, "Finding …")."""
        query = {name: "false" for name, wanted in (("public", public), ("internal", internal)) if not wanted}
        return await self._ask(calls.TEMPLATES, "listing the templates", read_templates, query=query)

    async def create_project(self, model_ids: Sequence[str], template_id: str, name: str | None) -> CreatedProject:
        """Create one project of all the models; without a ``name`` the service names it (guide, Step 3)."""
        body: wire.CreateProjects = {"modelIds": list(model_ids), "templateId": template_id}
        if name is not None:
            body["name"] = name
        wanted = tuple(model_ids)
        return await self._ask(
            calls.CREATE_PROJECTS,
            f"creating project {name!r}" if name is not None else "creating a project",
            lambda answer: read_created_project(answer, wanted),
            body,
        )

    async def create_projects(self, model_ids: Sequence[str], template_id: str) -> tuple[CreatedProject, ...]:
        """Create a project for each model in one call; the answers stand in the models' order (guide, Step 3).

        Raises:
            InDoubt: among others, where the answer lacks some: its ``partial`` has the CreatedProjects that it names.
        """
        body: wire.CreateProjects = {"modelIds": list(model_ids), "templateId": template_id, "createPerModel": True}
        wanted = tuple(model_ids)
        return await self._ask(
            calls.CREATE_PROJECTS,
            f"creating {_count(model_ids, 'project')}",
            lambda answer: read_created_projects(answer, wanted),
            body,
        )

    # --- renders -----------------------------------------------------------------------------------------------------

    async def start_renders(self, project_ids: Sequence[str], settings: RenderSettings) -> tuple[StartedRender, ...]:
        """Render projects under one group of settings, all six of them sent; in the projects' order (guide, Step 4).

        Raises:
            InDoubt: among others, where the answer lacks some: its ``partial`` has the StartedRenders that it names.
        """
        body: wire.StartRenders = {
            "projectIds": list(project_ids),
            "settings": {
                "renderBookmarks": settings.render_bookmarks,
                "renderShots": settings.render_shots,
                "renderVariants": settings.render_variants,
                "imageQuality": settings.image_quality,
                "videoQuality": settings.video_quality,
                "videoResolution": settings.video_resolution,
            },
        }
        wanted = tuple(project_ids)
        return await self._ask(
            calls.START_RENDERS,
            f"starting {_count(project_ids, 'render')}",
            lambda answer: read_started_renders(answer, wanted),
            body,
        )

    async def render(self, job_id: str) -> RenderJob:
        """How far a render job has come, and its files (guide, Step 5)."""
        return await self._ask(calls.RENDER, f"asking for render job {job_id}", read_render_job, jobId=job_id)

    async def retry_render(self, job_id: str) -> RetriedRender:
        """Queue a failed render job again (guide, "Retrying Failed Renders")."""
        return await self._ask(calls.RETRY_RENDER, f"retrying render job {job_id}", read_retried_render, jobId=job_id)

    # --- webhook -----------------------------------------------------------------------------------------------------

    async def put_webhook(self, webhook: Webhook) -> StoredWebhook:
        """Create or change the workspace's webhook; the answer has its secret (guide, Step 6)."""
        body: wire.PutWebhook = {
            "url": webhook.url,
            "events": [cast(wire.EventName, event) for event in webhook.events],
            "enabled": webhook.enabled,
        }
        if webhook.description is not None:
            body["description"] = webhook.description
        return await self._ask(calls.PUT_WEBHOOK, "setting the webhook", read_put_webhook, body)

    async def get_webhook(self) -> StoredWebhook | None:
        """The workspace's webhook, without its secret; None where there is none (facts, "Webhooks")."""
        try:
            return await self._ask(calls.GET_WEBHOOK, "asking for the webhook", read_webhook)
        except NotFound:
            return None

    async def delete_webhook(self) -> Removal:
        """Remove the workspace's webhook (facts, "Webhooks"); a service that answers 404 or 405 has not done it."""
        try:
            await self._ask(calls.DELETE_WEBHOOK, "removing the webhook", lambda answer: answer)
        except Refused as refused:
            if refused.status == 404:
                return Removal(False, "the service has no webhook")
            if refused.status == 405:
                return Removal(False, "the service does not remove webhooks")
            raise
        return Removal(True)

    # --- files -------------------------------------------------------------------------------------------------------

    async def download(
        self,
        file_path: str,
        destination: Path,
        *,
        below: str | None = None,
        size: int | None = None,
        progress: Progress | None = None,
    ) -> Downloaded:
        """Bring a file home, by the ``file_path`` of an answer or by its URL: resumed, and whole or not at all.

        With ``below``, a URL, the file lies below that; else an http(s) ``file_path`` is a URL itself, and any other
        lies among the studio's files. The key goes along to this service alone.

        Raises:
            OSError: the file cannot be written.
        """
        try:
            url = self._file_url(file_path, below)
        except ValueError as error:
            raise ReadFailed(
                call=calls.DOWNLOAD.name,
                doing=f"downloading {destination.name}",
                where=below or self.endpoint.base,
                happened=f"cannot have it: {error}",
                permanent=True,
            ) from None
        return await download(
            self._exchange,
            url,
            destination,
            key_headers=lambda url: self._key_header() if origin_of(url) == self.endpoint.origin.lower() else {},
            size=size,
            progress=progress,
            run_blocking=self._run_blocking,
        )

    # -----------------------------------------------------------------------------------------------------------------

    def _file_url(self, file_path: str, below: str | None) -> str:
        if below is not None:
            return f"{below.rstrip('/')}/{quoted_path(file_path)}"
        return file_path if file_path.startswith(("http://", "https://")) else self.endpoint.file_url(file_path)

    async def _ask(
        self,
        call: Call,
        doing: str,
        read: Callable[[Any], T],
        body: object = None,
        query: dict[str, str] | None = None,
        **ids: str,
    ) -> T:
        url = self.endpoint.url(call.path, **ids)
        content = None if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

        def build() -> httpx.Request:
            headers = {"User-Agent": _USER_AGENT, "Accept": "application/json", "Accept-Encoding": "gzip, deflate"}
            if content is not None:
                headers["Content-Type"] = "application/json"
            headers |= self._key_header()
            return httpx.Request(call.method, url, params=query or None, headers=headers, content=content)

        return await self._exchange.ask(Asking(call, doing, url, build), read)

    def _key_header(self) -> dict[str, str]:
        key = self._key.reveal()
        return {wire.API_KEY_HEADER: key} if key else {}


_USER_AGENT: Final = f"glossi-sync/{__version__}"


class _Key:
    """The API key, shown by nothing that prints objects."""

    __slots__ = ("_text",)

    def __init__(self, text: str | None) -> None:
        key = (text or "").strip()
        wrong = next((place for place, c in enumerate(key, 1) if not "!" <= c <= "~"), None)
        if wrong is not None:
            raise InvalidKey(
                f"The API key holds a character that no key has, at place {wrong} of {len(key)}: "
                "check GLOSSI_API_KEY (or service.apiKey in the spec)."
            )
        self._text = key or None

    def reveal(self) -> str | None:
        return self._text

    def __repr__(self) -> str:
        return "_Key(***)"


def _count(things: Sequence[object], noun: str) -> str:
    return f"{len(things)} {noun}" if len(things) == 1 else f"{len(things)} {noun}s"
