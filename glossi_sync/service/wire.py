"""The wire: every name that the two sides of the Glossi API share, and the shape of every body.

The client (this room) and the studio (``glossi_sync.studio``) are built from this one module, so that a name can be
wrong only on both sides at once, which the guide's own curl commands would show. It imports nothing of glossi_sync.

Sources: the service's workflow guide (the step is named at each body) and its further documentation pages ("facts").
What the documentation leaves open and this module settles is marked **ours**.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Final, Literal, NotRequired, TypedDict

# --- addresses -------------------------------------------------------------------------------------------------------

API_PREFIX: Final = "/api/v1"
"""What an endpoint's URL ends with: ``https://api.glossi.app/api/v1``. The paths below are relative to it."""

MODELS_PATH: Final = "/models"
MODEL_STATUS_PATH: Final = "/models/status"
MODEL_PATH: Final = "/models/{modelId}"
"""**Ours**, the studio only: GET answers everything that the studio knows of a model. See ``ModelDetails``."""
MODEL_CONFIRM_PATH: Final = "/models/{modelId}/confirm"
TEMPLATES_PATH: Final = "/templates"
PROJECTS_PATH: Final = "/projects"
RENDERS_PATH: Final = "/renders"
RENDER_PATH: Final = "/renders/{jobId}"
RENDER_RETRY_PATH: Final = "/renders/{jobId}/retry"
WEBHOOKS_PATH: Final = "/webhooks"
JOBS_PATH: Final = "/jobs"
JOB_PATH: Final = "/jobs/{jobId}"
JOB_CONFIRM_PATH: Final = "/jobs/{jobId}/confirm"
"""The simple workflow (facts, Jobs), which takes the confirmation's path to be this."""

FILES_PATH: Final = "/files/{filePath}"
"""**Ours**, the studio only: a finished file by the ``filePath`` of an answer (its slashes stand as they are), with the
API key, with ``Range``. The hosted service's files lie in its bucket; the guide names no call for them."""

DELIVERIES_PATH: Final = "/studio/deliveries"
"""**Ours**, the studio only: what the workspace's webhook was told, newest first. See ``Deliveries``."""

HEALTH_PATH: Final = "/health"
"""**Ours**, the studio only: at the server's root, not below API_PREFIX, and without an API key. See ``Health``."""

ATTACH_PATH: Final = "/attach"
"""**Ours**, the studio only: below API_PREFIX. An answer that does not end: as long as somebody reads it, a studio that
was started for another process stays. See ``glossi_sync.studio.embedded``."""

# --- headers ---------------------------------------------------------------------------------------------------------

API_KEY_HEADER: Final = "X-API-Key"
"""On every call below API_PREFIX, and never on the signed upload URL (guide, Step 2.2, note)."""

SIGNATURE_HEADER: Final = "X-Glossi-Signature"
"""On a webhook's delivery: hex HMAC-SHA256 of the body with the webhook's secret (guide, "Verify Webhook
Signatures")."""

# --- files -----------------------------------------------------------------------------------------------------------

FileType = Literal["glb", "gltf", "usdz", "usd", "fbx", "obj", "step", "stp", "stl"]

FILE_TYPES: Final = MappingProxyType[str, str](
    {
        "glb": "model/gltf-binary",
        "gltf": "model/gltf+json",
        "usdz": "model/vnd.usdz+zip",
        "usd": "model/vnd.usd",
        "fbx": "application/octet-stream",
        "obj": "model/obj",
        "step": "model/step",
        "stp": "model/step",
        "stl": "model/stl",
    }
)
"""``fileType`` -> the Content-Type of its PUT (facts, Models). The guide gives GLB's (Step 2.2); the others are IANA's
registrations where there is one, **ours** where there is none (``usd``, ``fbx``)."""

MAX_MODEL_BYTES: Final = 1024**3
"""Largest model file: 1 GB (facts, Models), read as 2**30: nothing is refused here that the service may take."""

UPLOAD_URL_SECONDS: Final = 3600
"""How long an ``uploadUrl`` lives (guide, Step 2.1, note)."""

UPLOAD_EXPIRED: Final = "Request has expired"
"""Stands in the body of the 403 that S3 (in XML) and the studio (in JSON) answer to a PUT on an expired URL."""

RenderFileType = Literal["PNG", "MP4", "PRORES"]
"""``fileType`` of a finished render (guide, Step 5: "``PNG``, ``MP4``, ``PRORES``, etc."). Others may come."""

# --- statuses --------------------------------------------------------------------------------------------------------

MODEL_PENDING: Final = "PENDING"
MODEL_ANALYZING: Final = "ANALYZING"
MODEL_READY: Final = "READY"
MODEL_FAILED: Final = "FAILED"

PROJECT_PENDING: Final = "PENDING"

RENDER_QUEUED: Final = "QUEUED"
RENDER_RENDERING: Final = "RENDERING"
RENDER_COMPLETED: Final = "COMPLETED"
RENDER_FAILED: Final = "FAILED"

JOB_AWAITING_UPLOADS: Final = "AWAITING_UPLOADS"
JOB_PROCESSING: Final = "PROCESSING"
JOB_COMPLETE: Final = "COMPLETE"
JOB_FAILED: Final = "FAILED"

DELIVERY_WAITING: Final = "WAITING"
DELIVERY_DELIVERED: Final = "DELIVERED"
DELIVERY_FAILED: Final = "FAILED"

ModelStatus = Literal["PENDING", "ANALYZING", "READY", "FAILED"]
"""Guide, Step 2.4 ("``PENDING``, ``ANALYZING``, ``READY``, etc.") and facts, Models. Others may come."""

ProjectStatus = Literal["PENDING"]
RenderStatus = Literal["QUEUED", "RENDERING", "COMPLETED", "FAILED"]
"""Guide, "Job Statuses"."""

JobStatus = Literal["AWAITING_UPLOADS", "PROCESSING", "COMPLETE", "FAILED"]
"""Facts, Jobs; ``PROCESSING`` is **ours**."""

DeliveryStatus = Literal["WAITING", "DELIVERED", "FAILED"]
"""**Ours**."""

# --- events ----------------------------------------------------------------------------------------------------------

EventName = Literal[
    "model.processed",
    "model.failed",
    "project.created",
    "job.complete",
    "job.failed",
    "render.complete",
    "render.failed",
]

EVENTS: Final[tuple[EventName, ...]] = (
    "model.processed",
    "model.failed",
    "project.created",
    "job.complete",
    "job.failed",
    "render.complete",
    "render.failed",
)
"""Guide, Step 6, "Available Events", in its order."""

# --- models: guide, Steps 2.1 to 2.4 ---------------------------------------------------------------------------------


class NewModel(TypedDict):
    name: str
    fileName: str
    fileType: FileType


class CreateModels(TypedDict):
    """Body of ``POST /models``."""

    models: list[NewModel]


class CreatedModel(TypedDict):
    modelId: str
    name: str
    uploadUrl: str
    uploadKey: str


class CreatedModels(TypedDict):
    """Answer of ``POST /models``: one entry for each model asked for, in the same order."""

    models: list[CreatedModel]


class ConfirmUpload(TypedDict):
    """Body of ``POST /models/{modelId}/confirm``."""

    fileType: FileType


class ConfirmedModel(TypedDict):
    """Answer of ``POST /models/{modelId}/confirm``."""

    modelId: str
    name: str
    status: ModelStatus
    filePath: str


class QueryModels(TypedDict):
    """Body of ``POST /models/status``."""

    modelIds: list[str]


class ModelState(TypedDict):
    modelId: str
    name: str
    status: ModelStatus
    ready: bool
    errorMessage: NotRequired[str]
    """Only where ``status`` is FAILED; **ours**, after the render jobs' field of that name."""


class ModelStates(TypedDict):
    """Answer of ``POST /models/status``. ``allReady`` is false where an id was not found."""

    models: list[ModelState]
    allReady: bool
    notFound: list[str]


class ModelFacts(TypedDict):
    """What is in a model: counts of what its scene shows (triangles, vertices), and of what the file holds."""

    triangles: int
    vertices: int
    materials: int
    textures: int
    animations: int
    variants: list[str]
    """The names of its material variants (KHR_materials_variants)."""
    extensions: list[str]
    """The glTF extensions that it uses."""
    minimum: list[float]
    """The lowest corner of its bounding box, in metres."""
    maximum: list[float]


class ModelDetails(ModelState):
    """Answer of ``GET /models/{modelId}``, **ours**. The last three only where ``status`` is READY.

    ``thumbnailUrl`` wants the API key, as every file does, and is missing where the studio could not draw one.
    """

    fileName: str
    fileType: FileType
    filePath: str
    glbFilePath: NotRequired[str]
    """What is rendered: the upload itself, or what was made of it where it is no GLB."""
    thumbnailUrl: NotRequired[str]
    facts: NotRequired[ModelFacts]


# --- templates: guide, "Finding Available Templates" -----------------------------------------------------------------


class Template(TypedDict):
    templateId: str
    name: str
    description: str


class Templates(TypedDict):
    """Answer of ``GET /templates``; ``?internal=false`` leaves the public ones, ``?public=false`` the workspace's."""

    templates: list[Template]


# --- projects: guide, Step 3 -----------------------------------------------------------------------------------------


class CreateProjects(TypedDict):
    """Body of ``POST /projects``. Without ``createPerModel``: one project of all the models."""

    name: NotRequired[str]
    modelIds: list[str]
    templateId: str
    createPerModel: NotRequired[bool]


class Project(TypedDict):
    projectId: str
    name: str
    status: ProjectStatus
    modelIds: list[str]
    templateId: str


class Projects(TypedDict):
    """Answer of ``POST /projects``."""

    projects: list[Project]


# --- renders: guide, Steps 4 and 5 -----------------------------------------------------------------------------------


class RenderSettings(TypedDict, total=False):
    """The six settings; one left out takes its default in DEFAULT_SETTINGS."""

    renderBookmarks: bool
    renderShots: bool
    renderVariants: bool
    imageQuality: int
    videoQuality: int
    videoResolution: int


DEFAULT_SETTINGS: Final = MappingProxyType[str, bool | int](
    {
        "renderBookmarks": True,
        "renderShots": True,
        "renderVariants": True,
        "imageQuality": 1,
        "videoQuality": 1,
        "videoResolution": 1,
    }
)
"""Guide, "Render Settings Explained"."""


class StartRenders(TypedDict):
    """Body of ``POST /renders``."""

    projectIds: list[str]
    settings: NotRequired[RenderSettings]


class QueuedRender(TypedDict):
    jobId: str
    status: RenderStatus
    projectId: str


class QueuedRenders(TypedDict):
    """Answer of ``POST /renders``: one job for each project, in the same order."""

    jobs: list[QueuedRender]
    totalProjects: int


class RenderedFile(TypedDict):
    id: str
    name: str
    filePath: str
    fileType: str
    isVideo: bool


class RenderJob(TypedDict):
    """Answer of ``GET /renders/{jobId}``. ``renders`` only where COMPLETED, ``errorMessage`` only where FAILED."""

    jobId: str
    status: RenderStatus
    projectId: str
    renders: NotRequired[list[RenderedFile]]
    errorMessage: NotRequired[str]


class RetriedRender(TypedDict):
    """Answer of ``POST /renders/{jobId}/retry``."""

    jobId: str
    status: RenderStatus
    projectId: str
    batchId: str


# --- webhooks: guide, Step 6, and facts ------------------------------------------------------------------------------


class PutWebhook(TypedDict):
    """Body of ``PUT /webhooks``."""

    url: str
    events: list[EventName]
    enabled: NotRequired[bool]
    description: NotRequired[str]


class Webhook(TypedDict):
    """Answer of ``GET /webhooks``: without the secret. 404 where there is none; ``DELETE`` answers 204, then 404."""

    id: str
    url: str
    events: list[EventName]
    enabled: bool
    description: NotRequired[str]


class WebhookWithSecret(Webhook):
    """Answer of ``PUT /webhooks``: the one place where the secret is shown."""

    secret: str


# --- jobs: facts -----------------------------------------------------------------------------------------------------


class NewJobModel(TypedDict):
    fileName: str
    fileType: FileType
    name: NotRequired[str]
    """**Ours**; left out, the model is called as its file is, without the suffix."""


class CreateJob(TypedDict):
    """Body of ``POST /jobs``: with ``createProjects: true`` a project is made of each model, with ``renderSettings``
    it is rendered, too."""

    models: list[NewJobModel]
    templateId: str
    createProjects: NotRequired[bool]
    renderSettings: NotRequired[RenderSettings]


class CreatedJobModel(TypedDict):
    id: str
    fileName: str
    uploadUrl: str
    uploadKey: str


class CreatedJob(TypedDict):
    """Answer of ``POST /jobs``: one entry for each model asked for, in the same order."""

    jobId: str
    status: Literal["AWAITING_UPLOADS"]
    models: list[CreatedJobModel]


class JobModelState(TypedDict):
    """**Ours**, after ``ModelState``."""

    id: str
    name: str
    fileName: str
    status: ModelStatus
    errorMessage: NotRequired[str]


class JobResultPart(TypedDict):
    id: str
    name: str


class JobResultRender(TypedDict):
    """**Ours**: the render job, which ``GET /renders/{jobId}`` tells more of."""

    jobId: str
    status: RenderStatus


class JobResult(TypedDict):
    """What was made of one model. ``render`` only where the job has ``renderSettings``."""

    model: JobResultPart
    project: JobResultPart
    render: NotRequired[JobResultRender]


class Job(TypedDict):
    """Answer of ``GET /jobs/{jobId}`` and of ``POST /jobs/{jobId}/confirm``. ``results`` grows as projects are made;
    ``errorMessage`` only where FAILED."""

    jobId: str
    status: JobStatus
    models: list[JobModelState]
    results: list[JobResult]
    errorMessage: NotRequired[str]


# --- deliveries: guide, "Webhook Payloads" ---------------------------------------------------------------------------
#
# The guide gives the payloads of model.processed, job.complete and render.complete. Those of the others are **ours**,
# after these and after the answers of the calls that tell the same. A timestamp is in UTC, with milliseconds and a Z.


class ModelProcessed(TypedDict):
    modelId: str
    name: str
    status: Literal["READY"]
    glbFilePath: str
    thumbnailUrl: NotRequired[str]


class ModelFailed(TypedDict):
    modelId: str
    name: str
    status: Literal["FAILED"]
    errorMessage: str


class JobComplete(TypedDict):
    jobId: str
    status: Literal["COMPLETE"]
    results: list[JobResult]


class JobFailed(TypedDict):
    """``results``: what was made of the models that did not fail."""

    jobId: str
    status: Literal["FAILED"]
    errorMessage: str
    results: list[JobResult]


class RenderComplete(TypedDict):
    jobId: str
    status: Literal["COMPLETED"]
    projectId: str
    renderIds: list[str]


class RenderFailed(TypedDict):
    jobId: str
    status: Literal["FAILED"]
    projectId: str
    errorMessage: str


class WebhookPayload(TypedDict):
    """A delivery's body. ``data`` is of the event's kind; that of ``project.created`` is a ``Project``."""

    event: EventName
    timestamp: str
    data: ModelProcessed | ModelFailed | Project | JobComplete | JobFailed | RenderComplete | RenderFailed


# --- what was delivered: ours, the studio only -----------------------------------------------------------------------


class DeliveryAttempt(TypedDict):
    """``status`` is the answer's, null where there was none; ``error`` says what was wrong, null where nothing was."""

    at: str
    url: str | None
    status: int | None
    error: str | None
    seconds: float


class Delivery(TypedDict):
    """One delivery. ``nextAttemptAt`` only where WAITING; ``payload`` is the body that is sent."""

    id: str
    event: EventName
    status: DeliveryStatus
    createdAt: str
    nextAttemptAt: NotRequired[str]
    attempts: list[DeliveryAttempt]
    payload: WebhookPayload


class Deliveries(TypedDict):
    """Answer of ``GET /studio/deliveries?limit=50&before=ID``: newest first. ``more``: older ones are there."""

    deliveries: list[Delivery]
    more: bool


# --- errors and health: ours -----------------------------------------------------------------------------------------


class ErrorDetail(TypedDict):
    code: str
    """A word for programs: ``unauthorized``, ``not_found``, ``model_not_ready``, …"""
    message: str
    """A sentence for people."""


class ErrorBody(TypedDict):
    """Body of every answer from 400 on, at the studio. The documentation describes none for the hosted service."""

    error: ErrorDetail


class EngineHealth(TypedDict):
    name: str
    available: bool | None
    """None: not known yet, the check is running."""
    message: NotRequired[str]


class WorkHealth(TypedDict):
    queued: int
    running: int


class Health(TypedDict):
    """Answer of ``GET /health``."""

    status: Literal["ok"]
    version: str
    engine: EngineHealth
    work: WorkHealth
