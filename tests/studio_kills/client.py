"""Clients under whose hands the server is killed, and the ledger of what it has promised them.

A promise is an answer with a 2xx status, written down before the next request. A request that had no answer is asked
again until it has one; what the unanswered one has made, if anything, is a stray.
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

import httpx
from studio_kills.products import Product, new_product
from studio_kills.studio import call_of

from glossi_sync.service import wire

API = wire.API_PREFIX
PATIENCE = 60
"""Seconds after the last kill in which everything comes to its end."""

_ENDED = {"READY", "FAILED", "COMPLETED", "COMPLETE"}


class Broken(Exception):
    """A promise was not kept."""


@dataclass
class Model:
    """``in_job``: made by a job of the simple workflow, which confirms it."""

    product: Product
    key: str
    url: str
    in_job: bool = False
    uploaded: bool = False
    confirmed: bool = False
    ended: str | None = None
    """The status that it was seen to end with."""


@dataclass
class Render:
    project_id: str
    videos: bool
    batches: list[str] = field(default_factory=list)
    """What answers to retries have said."""
    retried: bool = False
    """A retry has taken effect."""
    completed: dict[str, Any] | None = None
    """The answer that said so first."""


@dataclass
class Job:
    model_ids: tuple[str, ...]
    settings: dict[str, Any] | None
    confirmed: bool = False
    ended: dict[str, Any] | None = None


@dataclass
class Ledger:
    """Everything that was promised, by id."""

    models: dict[str, Model] = field(default_factory=dict)
    projects: dict[str, tuple[str, ...]] = field(default_factory=dict)
    renders: dict[str, Render] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    secret: str = ""
    descriptions: list[str] = field(default_factory=list)
    """What the webhook was told to be described as, the last answered one and those that came after it."""
    unanswered: Counter[str] = field(default_factory=Counter)
    """Requests that had no answer, by their call."""
    unheard: Counter[str] = field(default_factory=Counter)
    """How many models, projects, renders and jobs those requests asked for."""
    requests: int = 0


class Client:
    """All clients of one studio: each method plays one of them once."""

    def __init__(self, origin: str, key: str, ledger: Ledger, rng: Random) -> None:
        limits = httpx.Limits(max_connections=64, max_keepalive_connections=32)
        self._http = httpx.AsyncClient(base_url=origin, trust_env=False, timeout=PATIENCE, limits=limits)
        self._key = {wire.API_KEY_HEADER: key}
        self._ledger = ledger
        self._rng = rng
        self._products = itertools.count(1)
        self._descriptions = itertools.count(1)
        self._template_id = ""
        self.calm_since: float | None = None
        """When the last server began, on the monotonic clock; None: it is still to come."""

    async def close(self) -> None:
        await self._http.aclose()

    def unanswered(self) -> Counter[str]:
        """How many requests had no answer so far, by their call."""
        return self._ledger.unanswered.copy()

    async def begin(self, hook: str) -> None:
        """Before anything else: the template, and the webhook, so that it is told of everything."""
        (self._template_id,) = (
            each["templateId"]
            for each in (await self._done("GET", f"{API}/templates"))["templates"]
            if each["name"] == "Studio Light"
        )
        await self.put_webhook(hook)

    # --- what clients do -------------------------------------------------------------------------------------------------

    async def products(self) -> None:
        """The guide from its beginning to its end, with a handful of models."""
        ledger, rng = self._ledger, self._rng
        models = await self._record([self._product() for _ in range(rng.choice((1, 2, 3, 5, 8)))])
        await asyncio.gather(*map(self._upload, models))
        # Some never get so far: recorded and uploaded is a promise, too.
        confirmed = [model_id for model_id in models if rng.random() > 0.05]
        await asyncio.gather(*map(self._confirm, confirmed))
        await self._processed(confirmed)
        ready = [model_id for model_id in confirmed if ledger.models[model_id].ended == wire.MODEL_READY]
        if not ready:
            return
        projects = await self._project(ready, each=rng.random() < 0.7)
        jobs = await self._start(projects, videos=rng.random() < 0.2)
        if rng.random() < 0.2:
            jobs += await self._start(projects, videos=True)
        await asyncio.gather(*map(self._rendered, jobs))

    async def job(self) -> None:
        """The simple workflow."""
        rng, ledger = self._rng, self._ledger
        products = [self._product() for _ in range(rng.choice((1, 2, 4)))]
        settings = {"renderShots": False} if rng.random() < 0.7 else None
        wish = {"createProjects": True} if settings is None else {"renderSettings": settings}
        body = {
            "models": [{"name": one.name, "fileName": one.file_name, "fileType": one.file_type} for one in products],
            "templateId": self._template_id,
            **wish,
        }
        answer = await self._done("POST", f"{API}/jobs", body, jobs=1, models=len(products))
        for product, made in zip(products, answer["models"], strict=True):
            ledger.models[made["id"]] = Model(product, made["uploadKey"], made["uploadUrl"], in_job=True)
        job = ledger.jobs[answer["jobId"]] = Job(tuple(made["id"] for made in answer["models"]), settings)
        await asyncio.gather(*map(self._upload, job.model_ids))
        await self._done("POST", f"{API}/jobs/{answer['jobId']}/confirm")
        job.confirmed = True
        for model_id in job.model_ids:
            ledger.models[model_id].confirmed = True
        while job.ended is None:
            state = await self._done("GET", f"{API}/jobs/{answer['jobId']}")
            if state["status"] in _ENDED:
                job.ended = state
            await self._pause(f"the job {answer['jobId']} is {state['status']}")

    async def put_webhook(self, hook: str) -> None:
        """It stays what it is, but for what it is described as."""
        description = f"description {next(self._descriptions)}"
        self._ledger.descriptions.append(description)
        body = {"url": hook, "events": list(wire.EVENTS), "enabled": True, "description": description}
        answer = await self._done("PUT", f"{API}/webhooks", body)
        if self._ledger.secret not in ("", answer["secret"]):
            raise Broken(f"the webhook's secret was {self._ledger.secret}, and is {answer['secret']}")
        self._ledger.secret = answer["secret"]
        del self._ledger.descriptions[:-1]

    async def look_around(self) -> None:
        """Somebody reads what there is: a finished file, the deliveries."""
        finished = [one.completed["renders"] for one in self._ledger.renders.values() if one.completed]
        if finished:
            await self._ask("GET", f"{API}/files/{self._rng.choice(finished)[0]['filePath']}")
        await self._done("GET", f"{API}{wire.DELIVERIES_PATH}?limit=20")

    # --- steps -----------------------------------------------------------------------------------------------------------

    def _product(self) -> Product:
        return new_product(next(self._products), self._rng)

    async def _record(self, products: Sequence[Product]) -> list[str]:
        wanted = [{"name": one.name, "fileName": one.file_name, "fileType": one.file_type} for one in products]
        answer = await self._done("POST", f"{API}/models", {"models": wanted}, models=len(wanted))
        for product, made in zip(products, answer["models"], strict=True):
            self._ledger.models[made["modelId"]] = Model(product, made["uploadKey"], made["uploadUrl"])
        return [made["modelId"] for made in answer["models"]]

    async def _upload(self, model_id: str) -> None:
        model = self._ledger.models[model_id]
        headers = {"Content-Type": model.product.media_type}
        answer, _ = await self._ask("PUT", model.url, content=model.product.content, headers=headers)
        _expect_2xx(answer)
        model.uploaded = True

    async def _confirm(self, model_id: str) -> None:
        model = self._ledger.models[model_id]
        await self._done("POST", f"{API}/models/{model_id}/confirm", {"fileType": model.product.file_type})
        model.confirmed = True

    async def _processed(self, model_ids: Sequence[str]) -> None:
        waiting = list(model_ids)
        while waiting:
            answer = await self._done("POST", f"{API}/models/status", {"modelIds": waiting})
            if answer["notFound"]:
                raise Broken(f"models that were confirmed are not there: {answer['notFound']}")
            for state in answer["models"]:
                if state["status"] in _ENDED:
                    self._ledger.models[state["modelId"]].ended = state["status"]
                    waiting.remove(state["modelId"])
            await self._pause(f"models are still not analysed: {waiting}")

    async def _project(self, model_ids: list[str], *, each: bool) -> list[str]:
        body = {"modelIds": model_ids, "templateId": self._template_id, "createPerModel": each}
        answer = await self._done("POST", f"{API}/projects", body, projects=len(model_ids) if each else 1)
        for made in answer["projects"]:
            self._ledger.projects[made["projectId"]] = tuple(made["modelIds"])
        return [made["projectId"] for made in answer["projects"]]

    async def _start(self, project_ids: list[str], *, videos: bool) -> list[str]:
        body = {"projectIds": project_ids, "settings": {"renderShots": videos}}
        answer = await self._done("POST", f"{API}/renders", body, renders=len(project_ids))
        for made in answer["jobs"]:
            self._ledger.renders[made["jobId"]] = Render(made["projectId"], videos)
        return [made["jobId"] for made in answer["jobs"]]

    async def _rendered(self, job_id: str) -> None:
        render = self._ledger.renders[job_id]
        while True:
            state = await self._done("GET", f"{API}/renders/{job_id}")
            if state["status"] == wire.RENDER_COMPLETED:
                render.completed = state
                return
            if state["status"] == wire.RENDER_FAILED:
                if render.retried:
                    return
                await self._retry(job_id, render)
            await self._pause(f"the render job {job_id} is {state['status']}")

    async def _retry(self, job_id: str, render: Render) -> None:
        answer, unanswered = await self._ask("POST", f"{API}/renders/{job_id}/retry")
        if answer.status_code == 409 and unanswered:
            render.retried = True  # by a request whose answer nobody heard
            return
        render.batches.append(_expect_2xx(answer)["batchId"])
        render.retried = True

    # --- requests --------------------------------------------------------------------------------------------------------

    async def _done(self, method: str, path: str, body: Any = None, **wants: int) -> Any:
        """The answer's JSON. ``wants``: how much of what it asks to be made, for the strays."""
        answer, unanswered = await self._ask(method, path, json=body)
        for kind, count in wants.items():
            self._ledger.unheard[kind] += count * unanswered
        return _expect_2xx(answer)

    async def _ask(self, method: str, url: str, **content: Any) -> tuple[httpx.Response, int]:
        """The answer, and how many requests had none before."""
        call = call_of(method, httpx.URL(url).path)
        headers = content.pop("headers", self._key)
        unanswered = 0
        while True:
            self._ledger.requests += 1
            try:
                return await self._http.request(method, url, headers=headers, **content), unanswered
            except httpx.ConnectError:
                self._ledger.requests -= 1  # it was not sent
            except httpx.TransportError:
                unanswered += 1
                self._ledger.unanswered[call] += 1
            self._expect_patience(f"{call} has no answer")
            await asyncio.sleep(self._rng.uniform(0.01, 0.04))

    async def _pause(self, otherwise: str) -> None:
        self._expect_patience(otherwise)
        await asyncio.sleep(self._rng.uniform(0.02, 0.1))

    def _expect_patience(self, otherwise: str) -> None:
        if self.calm_since is not None and time.monotonic() > self.calm_since + PATIENCE:
            raise Broken(f"{otherwise}, {PATIENCE} s after the last kill")


def _expect_2xx(answer: httpx.Response) -> Any:
    if not answer.is_success:
        raise Broken(f"{answer.request.method} {answer.request.url} was answered {answer.status_code}: {answer.text}")
    return answer.json() if answer.content else None
