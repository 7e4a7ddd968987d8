"""Webhook deliveries, for everybody who receives them: check the signature, and read what it says.

    event = webhooks.receive(body, request.headers["X-Glossi-Signature"], secret)
    if isinstance(event.subject, webhooks.RenderFinished) and event.subject.completed: …

``body`` are the bytes that arrived, before anything has parsed them. Sources: the workflow guide, Step 6 ("Webhook
Payloads", "Verify Webhook Signatures"), and service facts, "Webhooks". This module is public and stays as it is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from glossi_sync.errors import UserError
from glossi_sync.service.signature import signed_form
from glossi_sync.service.wire import SIGNATURE_HEADER

__all__ = [
    "SIGNATURE_HEADER",
    "Event",
    "JobFinished",
    "JobResult",
    "Malformed",
    "ModelFinished",
    "NotSigned",
    "ProjectCreated",
    "RenderFinished",
    "parse",
    "receive",
    "verify",
]


class NotSigned(UserError):
    """The signature is not of this body with this secret: whoever sent it does not know the secret."""


class Malformed(UserError):
    """The body is no event; the message says why."""


@dataclass(frozen=True, slots=True)
class ModelFinished:
    """``model.processed`` (``ready``) or ``model.failed``."""

    model_id: str
    status: str
    name: str | None = None
    glb_file_path: str | None = None
    thumbnail_url: str | None = None
    error_message: str | None = None

    @property
    def ready(self) -> bool:
        """Whether the model can be used in a project."""
        return self.status == "READY"


@dataclass(frozen=True, slots=True)
class ProjectCreated:
    """``project.created``."""

    project_id: str
    name: str | None = None
    model_ids: tuple[str, ...] = ()
    template_id: str | None = None


@dataclass(frozen=True, slots=True)
class RenderFinished:
    """``render.complete`` (``completed``) or ``render.failed``. ``GET /renders/{jobId}`` tells the files."""

    job_id: str
    status: str
    project_id: str | None = None
    render_ids: tuple[str, ...] = ()
    error_message: str | None = None

    @property
    def completed(self) -> bool:
        """Whether its pictures and videos exist."""
        return self.status == "COMPLETED"


@dataclass(frozen=True, slots=True)
class JobResult:
    """What a job made of one of its models."""

    model_id: str | None = None
    model_name: str | None = None
    project_id: str | None = None
    project_name: str | None = None


@dataclass(frozen=True, slots=True)
class JobFinished:
    """``job.complete`` (``completed``) or ``job.failed``."""

    job_id: str
    status: str
    results: tuple[JobResult, ...] = ()
    error_message: str | None = None

    @property
    def completed(self) -> bool:
        """Whether the whole job is done. (A job ends in COMPLETE, a render in COMPLETED.)"""
        return self.status == "COMPLETE"


Subject = ModelFinished | ProjectCreated | RenderFinished | JobFinished


@dataclass(frozen=True, slots=True)
class Event:
    """One delivery.

    ``name`` is the event's (``render.complete``), ``at`` when it happened by the service's clock (None where it says
    nothing that can be read), ``subject`` what it is about, None for an event that is not known here or that does not
    say whom it is about, and ``data`` is the payload's own.
    """

    name: str
    at: datetime | None
    subject: Subject | None
    data: Mapping[str, Any] = field(repr=False)


def verify(body: bytes, signature: str, secret: str | bytes) -> bool:
    """Whether ``signature`` (the header ``X-Glossi-Signature``) was made of ``body`` with the webhook's ``secret``.

    Compared in constant time. ``body`` are the bytes that arrived; what has been parsed and spelled again verifies as
    well, as long as it is the same JSON, since the guide's own check spells it again. An empty secret verifies nothing.
    """
    return signed_form(body, signature, secret) is not None


def receive(body: bytes, signature: str, secret: str | bytes) -> Event:
    """Verify a delivery and read it.

    Raises:
        NotSigned: the signature does not fit; answer 401 and do nothing.
        Malformed: it is signed, and no event; answer 400.
    """
    form = signed_form(body, signature, secret)
    if form is None:
        raise NotSigned("the signature is not of this body with this secret")
    return parse(form)


def parse(body: bytes | str) -> Event:
    """Read a delivery that was verified before.

    Raises:
        Malformed: it is no JSON, or no event of the guide's shape.
    """
    try:
        payload = json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed("the body is not JSON") from None
    if not isinstance(payload, dict):
        raise Malformed("the body is not a JSON object")
    name, data = payload.get("event"), payload.get("data")
    if not isinstance(name, str) or not name:
        raise Malformed("the body has no `event`")
    told = data if isinstance(data, dict) else {}
    return Event(name, _moment(payload.get("timestamp")), _subject(name, told), told)


def _subject(name: str, data: Mapping[str, Any]) -> Subject | None:
    of = {"model": "modelId", "project": "projectId", "render": "jobId", "job": "jobId"}.get(name.partition(".")[0], "")
    subject_id = _text(data, of)
    if subject_id is None:
        return None
    match name:
        case "model.processed" | "model.failed":
            return ModelFinished(
                model_id=subject_id,
                status="READY" if name == "model.processed" else "FAILED",
                name=_text(data, "name"),
                glb_file_path=_text(data, "glbFilePath"),
                thumbnail_url=_text(data, "thumbnailUrl"),
                error_message=_text(data, "errorMessage"),
            )
        case "project.created":
            return ProjectCreated(
                project_id=subject_id,
                name=_text(data, "name"),
                model_ids=_texts(data, "modelIds"),
                template_id=_text(data, "templateId"),
            )
        case "render.complete" | "render.failed":
            return RenderFinished(
                job_id=subject_id,
                status="COMPLETED" if name == "render.complete" else "FAILED",
                project_id=_text(data, "projectId"),
                render_ids=_texts(data, "renderIds"),
                error_message=_text(data, "errorMessage"),
            )
        case "job.complete" | "job.failed":
            results = data.get("results")
            return JobFinished(
                job_id=subject_id,
                status="COMPLETE" if name == "job.complete" else "FAILED",
                results=tuple(map(_result, results)) if isinstance(results, list) else (),
                error_message=_text(data, "errorMessage"),
            )
    return None


def _result(result: object) -> JobResult:
    model, project = _part(result, "model"), _part(result, "project")
    return JobResult(_text(model, "id"), _text(model, "name"), _text(project, "id"), _text(project, "name"))


def _part(whole: object, key: str) -> Mapping[str, Any]:
    part = whole.get(key) if isinstance(whole, dict) else None
    return part if isinstance(part, dict) else {}


def _text(data: Mapping[str, Any], key: str) -> str | None:
    value = data.get(key)
    return value if isinstance(value, str) else None


def _texts(data: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = data.get(key)
    return tuple(one for one in value if isinstance(one, str)) if isinstance(value, list) else ()


def _moment(value: object) -> datetime | None:
    try:
        return datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        return None
