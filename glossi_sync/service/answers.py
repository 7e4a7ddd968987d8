"""The service's answers, typed and checked.

A field that is missing or of the wrong type is an error that names it; fields and statuses that nobody has heard of yet
are let through (the API is in beta). Each ``read_…`` function takes the decoded JSON of one call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from glossi_sync.resources import Template
from glossi_sync.service import wire

T = TypeVar("T")


class Malformed(Exception):
    """An answer is not of the documented form; the message names the field.

    ``partial``: of a batch's answer, the entries that are well formed and were asked for.
    """

    def __init__(self, reason: str, partial: tuple[Any, ...] = ()) -> None:
        super().__init__(reason)
        self.partial = partial


@dataclass(frozen=True, slots=True)
class CreatedModel:
    """A model's record and where to upload its file, for one hour (guide, Step 2.1)."""

    model_id: str
    name: str
    upload_url: str
    upload_key: str

    def __repr__(self) -> str:
        return f"CreatedModel(model_id={self.model_id!r}, name={self.name!r}, upload_key={self.upload_key!r})"


@dataclass(frozen=True, slots=True)
class ConfirmedModel:
    """A model whose upload is confirmed and that is being processed (guide, Step 2.3)."""

    model_id: str
    name: str
    status: str
    file_path: str


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """How far a model has come (guide, Step 2.4). A status that is unknown here means: still working."""

    model_id: str
    name: str
    status: str
    ready: bool
    error_message: str | None = None

    @property
    def failed(self) -> bool:
        """Whether processing failed."""
        return self.status == wire.MODEL_FAILED


@dataclass(frozen=True, slots=True)
class ModelStatuses:
    """The status of all the models that were asked about (guide, Step 2.4)."""

    models: tuple[ModelStatus, ...]
    not_found: tuple[str, ...]
    all_ready: bool


@dataclass(frozen=True, slots=True)
class CreatedProject:
    """A project (guide, Step 3)."""

    project_id: str
    name: str
    status: str
    model_ids: tuple[str, ...]
    template_id: str


@dataclass(frozen=True, slots=True)
class StartedRender:
    """A render job that was queued for a project (guide, Step 4)."""

    job_id: str
    status: str
    project_id: str


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """One finished picture or video (guide, Step 5)."""

    id: str
    name: str
    file_path: str
    file_type: str
    is_video: bool


@dataclass(frozen=True, slots=True)
class RenderJob:
    """How far a render job has come (guide, Step 5). A status that is unknown here means: still working."""

    job_id: str
    status: str
    project_id: str
    files: tuple[RenderedFile, ...] = ()
    error_message: str | None = None

    @property
    def completed(self) -> bool:
        """Whether the pictures exist."""
        return self.status == wire.RENDER_COMPLETED

    @property
    def failed(self) -> bool:
        """Whether the job failed, and so can be retried."""
        return self.status == wire.RENDER_FAILED


@dataclass(frozen=True, slots=True)
class RetriedRender:
    """A failed render job that was queued again (guide, "Retrying Failed Renders")."""

    job_id: str
    status: str
    project_id: str
    batch_id: str | None


@dataclass(frozen=True, slots=True)
class StoredWebhook:
    """The webhook as the service keeps it (guide, Step 6). Its ``secret`` is shown in the answer to a PUT alone."""

    id: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    description: str | None = None
    secret: str | None = None

    def __repr__(self) -> str:
        return (
            f"StoredWebhook(id={self.id!r}, url={self.url!r}, events={self.events!r}, enabled={self.enabled!r}, "
            f"description={self.description!r}, secret={'None' if self.secret is None else '***'})"
        )


@dataclass(frozen=True, slots=True)
class Removal:
    """Whether the webhook was removed; where not, why. True in a condition where it was."""

    removed: bool
    reason: str | None = None

    def __bool__(self) -> bool:
        return self.removed


class _Object:
    """A JSON object of an answer, and where in the answer it stands."""

    def __init__(self, value: object, path: str = "") -> None:
        if not isinstance(value, dict):
            raise Malformed(f"{path or 'the answer'} is {_kind(value)}, not an object")
        self._fields: dict[str, Any] = value
        self._prefix = f"{path}." if path else ""

    def text(self, name: str) -> str:
        return _encodable(self._field(name, str, "a string"))

    def text_or_none(self, name: str) -> str | None:
        return None if self._fields.get(name) is None else self.text(name)

    def flag(self, name: str) -> bool:
        return self._field(name, bool, "true or false")

    def texts(self, name: str) -> tuple[str, ...]:
        items = self._field(name, list, "a list")
        for place, item in enumerate(items):
            if not isinstance(item, str):
                raise Malformed(f"{self._prefix}{name}[{place}] is {_kind(item)}, not a string")
        return tuple(map(_encodable, items))

    def each(self, name: str, read: Callable[[_Object], T]) -> tuple[T, ...]:
        """Read every entry of a list. Raises Malformed for the first bad one, with all good ones beside it."""
        good: list[T] = []
        first_wrong: Malformed | None = None
        for place, item in enumerate(self._field(name, list, "a list")):
            try:
                good.append(read(_Object(item, f"{self._prefix}{name}[{place}]")))
            except Malformed as wrong:
                first_wrong = first_wrong or wrong
        if first_wrong is not None:
            raise Malformed(str(first_wrong), partial=tuple(good))
        return tuple(good)

    def each_or_none(self, name: str, read: Callable[[_Object], T]) -> tuple[T, ...]:
        return () if self._fields.get(name) is None else self.each(name, read)

    def _field(self, name: str, kind: type[T], wanted: str) -> T:
        if name not in self._fields:
            raise Malformed(f"{self._prefix}{name} is missing")
        value = self._fields[name]
        if not isinstance(value, kind):
            raise Malformed(f"{self._prefix}{name} is {_kind(value)}, not {wanted}")
        return value


def _encodable(text: str) -> str:
    """Half an emoji, as a service leaves it that cuts names by UTF-16 units, is JSON, but no text to anybody else."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _kind(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "a string"
        case list():
            return "a list"
        case _:
            return "an object"


def read_created_models(answer: object, names: tuple[str, ...]) -> tuple[CreatedModel, ...]:
    """The records in the order of ``names``: by position, or by name where the service answers in another order.

    There is no partial answer: beside a bad entry, nobody can tell whose the good ones are.
    """
    try:
        created = _Object(answer).each(
            "models",
            lambda model: CreatedModel(
                model.text("modelId"), model.text("name"), model.text("uploadUrl"), model.text("uploadKey")
            ),
        )
    except Malformed as malformed:
        raise Malformed(str(malformed)) from None
    if len(created) != len(names):
        raise Malformed(f"models has {len(created)} entries for {len(names)} models")
    answered = [model.name for model in created]
    if answered == list(names) or sorted(answered) != sorted(names):
        return created
    by_name: dict[str, list[CreatedModel]] = {}
    for model in reversed(created):
        by_name.setdefault(model.name, []).append(model)
    return tuple(by_name[name].pop() for name in names)


def read_confirmed_model(answer: object) -> ConfirmedModel:
    """Guide, Step 2.3."""
    model = _Object(answer)
    return ConfirmedModel(model.text("modelId"), model.text("name"), model.text("status"), model.text("filePath"))


def read_model_statuses(answer: object) -> ModelStatuses:
    """Guide, Step 2.4."""
    statuses = _Object(answer)
    return ModelStatuses(
        models=statuses.each(
            "models",
            lambda model: ModelStatus(
                model.text("modelId"),
                model.text("name"),
                model.text("status"),
                model.flag("ready"),
                model.text_or_none("errorMessage"),
            ),
        ),
        not_found=statuses.texts("notFound"),
        all_ready=statuses.flag("allReady"),
    )


def read_templates(answer: object) -> tuple[Template, ...]:
    """Guide, "Finding Available Templates"."""
    return _Object(answer).each(
        "templates",
        lambda template: Template(
            template.text("templateId"), template.text("name"), template.text_or_none("description") or ""
        ),
    )


def read_created_project(answer: object, model_ids: tuple[str, ...]) -> CreatedProject:
    """The one project of these models (guide, Step 3)."""
    try:
        (project,) = _read_projects(answer, (model_ids,))
    except Malformed as malformed:
        raise Malformed(str(malformed)) from None  # of one project there is no part
    return project


def read_created_projects(answer: object, model_ids: tuple[str, ...]) -> tuple[CreatedProject, ...]:
    """A project for each model, in the order of ``model_ids`` (guide, "Creating Multiple Projects at Once")."""
    return _read_projects(answer, tuple((model_id,) for model_id in model_ids))


def _read_projects(answer: object, wanted: tuple[tuple[str, ...], ...]) -> tuple[CreatedProject, ...]:
    """The projects in the order of ``wanted``: the model ids of each one, which an answer may have in any order."""
    return _matched(
        _Object(answer),
        "projects",
        lambda project: CreatedProject(
            project.text("projectId"),
            project.text("name"),
            project.text("status"),
            project.texts("modelIds"),
            project.text("templateId"),
        ),
        tuple(tuple(sorted(model_ids)) for model_ids in wanted),
        lambda project: tuple(sorted(project.model_ids)),
    )


def read_started_renders(answer: object, project_ids: tuple[str, ...]) -> tuple[StartedRender, ...]:
    """The jobs in the order of ``project_ids`` (guide, Step 4)."""
    return _matched(
        _Object(answer),
        "jobs",
        lambda job: StartedRender(job.text("jobId"), job.text("status"), job.text("projectId")),
        project_ids,
        lambda job: job.project_id,
    )


def read_render_job(answer: object) -> RenderJob:
    """Guide, Step 5."""
    job = _Object(answer)
    return RenderJob(
        job_id=job.text("jobId"),
        status=job.text("status"),
        project_id=job.text("projectId"),
        files=job.each_or_none(
            "renders",
            lambda file: RenderedFile(
                file.text("id"),
                file.text("name"),
                file.text("filePath"),
                file.text("fileType"),
                file.flag("isVideo"),
            ),
        ),
        error_message=job.text_or_none("errorMessage"),
    )


def read_retried_render(answer: object) -> RetriedRender:
    """Guide, "Retrying Failed Renders"."""
    job = _Object(answer)
    return RetriedRender(job.text("jobId"), job.text("status"), job.text("projectId"), job.text_or_none("batchId"))


def read_put_webhook(answer: object) -> StoredWebhook:
    """Guide, Step 6: with the secret."""
    return _webhook(_Object(answer), _Object(answer).text_or_none("secret"))


def read_webhook(answer: object) -> StoredWebhook | None:
    """Facts, "Webhooks": without the secret; null or an empty object where there is none."""
    return None if answer in (None, {}) else _webhook(_Object(answer), None)


def _webhook(webhook: _Object, secret: str | None) -> StoredWebhook:
    return StoredWebhook(
        id=webhook.text("id"),
        url=webhook.text("url"),
        events=webhook.texts("events"),
        enabled=webhook.flag("enabled"),
        description=webhook.text_or_none("description"),
        secret=secret,
    )


K = TypeVar("K", str, tuple[str, ...])


def _matched(
    answer: _Object, name: str, read: Callable[[_Object], T], wanted: tuple[K, ...], key: Callable[[T], K]
) -> tuple[T, ...]:
    """The entries of a list in the order of ``wanted``: exactly one for each."""
    malformed: Malformed | None = None
    entries: tuple[T, ...]
    try:
        entries = answer.each(name, read)
    except Malformed as wrong:
        malformed, entries = wrong, wrong.partial
    found: dict[K, list[T]] = {}
    for entry in reversed(entries):
        found.setdefault(key(entry), []).append(entry)
    matched = tuple(found[one].pop() for one in wanted if found.get(one))
    if malformed is not None:
        raise Malformed(str(malformed), partial=matched)
    if not len(matched) == len(entries) == len(wanted):
        raise Malformed(f"{name} does not hold exactly one entry for each that was asked for", partial=matched)
    return matched
