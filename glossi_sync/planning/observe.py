"""Observe: what the service says now about objects whose phase can change, or whose loss must be noticed.

Two halves, so that the choice can be tested without a network: ``ask`` picks the questions (pure), ``observe`` puts
them (reads only).
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from glossi_sync.resources import Kind, Phase, Webhook
from glossi_sync.resources.address import WEBHOOK_ADDRESS
from glossi_sync.resources.webhook import PUT
from glossi_sync.service import Glossi, ModelStatus, NotFound, RenderJob
from glossi_sync.spec import Desired
from glossi_sync.state import Object, Realised, RenderedFile

STATUS_BATCH = 500
"""Model ids in one status call."""


class Refresh(StrEnum):
    """How much the service is asked: nothing; what can still change or be lost; finished renders too."""

    NONE = "none"
    LIVE = "live"
    FULL = "full"


@dataclass(frozen=True, slots=True)
class Seen:
    """An object's phase as the service tells it, where that is not what the state says; a render's finished files."""

    phase: Phase
    error: str | None = None
    files: tuple[RenderedFile, ...] | None = None


@dataclass(frozen=True, slots=True)
class Questions:
    """What is to be asked: models and renders by object, and whether the webhook matters."""

    models: tuple[Object, ...] = ()
    renders: tuple[Object, ...] = ()
    webhook: bool = False


@dataclass(frozen=True, slots=True)
class Observed:
    """The answers. ``seen`` holds only what differs from the state; ``webhook`` is None where there is none.

    ``asked_webhook`` tells "there is none" from "nobody asked".
    """

    seen: Mapping[int, Seen] = field(default_factory=dict)
    asked_webhook: bool = False
    webhook: Webhook | None = None


_MODEL_PHASES = frozenset({Phase.RECORDED, Phase.UPLOADED, Phase.CONFIRMED, Phase.READY})
_RENDER_PHASES = frozenset({Phase.QUEUED, Phase.FAILED})


def ask(desired: Mapping[str, Desired], realised: Realised, refresh: Refresh = Refresh.LIVE) -> Questions:
    """Pick the questions: every object that an address of the spec is bound to, or could adopt."""
    if refresh is Refresh.NONE:
        return Questions()
    wanted = {one.digest for one in desired.values()}
    known = [o for o in realised.objects.values() if o.remote_id is not None and o.digest in wanted]
    render_phases = _RENDER_PHASES | {Phase.COMPLETED} if refresh is Refresh.FULL else _RENDER_PHASES
    return Questions(
        models=tuple(o for o in known if o.kind is Kind.MODEL and o.phase in _MODEL_PHASES),
        renders=tuple(o for o in known if o.kind is Kind.RENDER and o.phase in render_phases),
        webhook=WEBHOOK_ADDRESS in desired
        or WEBHOOK_ADDRESS in realised.bindings
        or any(doubt.step == PUT.name for doubt in realised.in_doubt),
    )


async def observe(service: Glossi, questions: Questions) -> Observed:
    """Put the questions to the service, many at a time (its governor holds the pace).

    Raises:
        ServiceError: the service could not be asked.
    """
    async with asyncio.TaskGroup() as group:
        models = [group.create_task(_observe_models(service, part)) for part in _parts(questions.models, STATUS_BATCH)]
        renders = [group.create_task(_observe_render(service, render)) for render in questions.renders]
        webhook = group.create_task(service.get_webhook()) if questions.webhook else None
    seen = {oid: one for task in (*models, *renders) for oid, one in task.result().items()}
    stored = webhook.result() if webhook is not None else None
    return Observed(
        seen=seen,
        asked_webhook=questions.webhook,
        webhook=None
        if stored is None
        else Webhook(url=stored.url, events=stored.events, enabled=stored.enabled, description=stored.description),
    )


def model_phase(known: Phase, status: ModelStatus) -> Phase:
    """The phase that a model's status tells, given the phase that is known already.

    PENDING is said both before and after the confirm, so it teaches nothing; anything later means that the confirm
    has arrived (guide, Step 2.4).
    """
    if status.ready:
        return Phase.READY
    if status.status == "FAILED":
        return Phase.FAILED
    if status.status == "PENDING":
        return known
    return Phase.CONFIRMED


def render_phase(job: RenderJob) -> Phase:
    """The phase that a render job's status tells (guide, "Job Statuses")."""
    return {"COMPLETED": Phase.COMPLETED, "FAILED": Phase.FAILED}.get(job.status, Phase.QUEUED)


async def render_job(service: Glossi, job_id: str) -> RenderJob | None:
    """A render job as the service knows it; None where it does not.

    Raises:
        ServiceError: the service could not be asked.
    """
    try:
        return await service.render(job_id)
    except NotFound:
        return None


def finished_files(job: RenderJob) -> tuple[RenderedFile, ...] | None:
    """The files of a completed job as the state remembers them; None while there are none."""
    if not job.completed:
        return None
    return tuple(RenderedFile(file.id, file.name, file.file_path, file.file_type, file.is_video) for file in job.files)


async def _observe_models(service: Glossi, models: Sequence[Object]) -> dict[int, Seen]:
    answer = await service.model_statuses([model.remote_id for model in models if model.remote_id is not None])
    statuses = {status.model_id: status for status in answer.models}
    seen: dict[int, Seen] = {}
    for model in models:
        status = statuses.get(model.remote_id or "")
        phase = Phase.LOST if status is None else model_phase(model.phase, status)
        if phase is not model.phase:
            seen[model.oid] = Seen(phase, status.error_message if status is not None else None)
    return seen


async def _observe_render(service: Glossi, render: Object) -> dict[int, Seen]:
    job = await render_job(service, render.remote_id or "")
    phase = Phase.LOST if job is None else render_phase(job)
    if phase is render.phase:
        return {}
    if job is None:
        return {render.oid: Seen(phase)}
    return {render.oid: Seen(phase, job.error_message, finished_files(job))}


def _parts(models: Iterable[Object], size: int) -> list[tuple[Object, ...]]:
    whole = tuple(models)
    return [whole[start : start + size] for start in range(0, len(whole), size)]
