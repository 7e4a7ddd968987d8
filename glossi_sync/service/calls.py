"""The calls of the service, as data: how plans count them, whether they change anything, whether asking twice is safe.

Source: the guide, step by step; the in-doubt column of the architecture's table, "The journal's discipline".
"""

from __future__ import annotations

from dataclasses import dataclass

from glossi_sync.service import wire


@dataclass(frozen=True, slots=True)
class Call:
    """One call.

    Attributes:
        name: the call as plans and reports count it.
        method: the HTTP method.
        path: relative to the endpoint, with the wire's placeholders; empty where the service gives the URL itself.
        mutates: whether it changes anything at the service.
        repeatable: whether an asking whose outcome is unknown can be asked again without harm.
    """

    name: str
    method: str
    path: str
    mutates: bool
    repeatable: bool


CREATE_MODELS = Call("POST /models", "POST", wire.MODELS_PATH, mutates=True, repeatable=False)
UPLOAD = Call("PUT upload", "PUT", "", mutates=True, repeatable=True)
CONFIRM_MODEL = Call("POST /models/{id}/confirm", "POST", wire.MODEL_CONFIRM_PATH, mutates=True, repeatable=False)
MODEL_STATUSES = Call("POST /models/status", "POST", wire.MODEL_STATUS_PATH, mutates=False, repeatable=True)
TEMPLATES = Call("GET /templates", "GET", wire.TEMPLATES_PATH, mutates=False, repeatable=True)
CREATE_PROJECTS = Call("POST /projects", "POST", wire.PROJECTS_PATH, mutates=True, repeatable=False)
START_RENDERS = Call("POST /renders", "POST", wire.RENDERS_PATH, mutates=True, repeatable=False)
RENDER = Call("GET /renders/{id}", "GET", wire.RENDER_PATH, mutates=False, repeatable=True)
RETRY_RENDER = Call("POST /renders/{id}/retry", "POST", wire.RENDER_RETRY_PATH, mutates=True, repeatable=False)
PUT_WEBHOOK = Call("PUT /webhooks", "PUT", wire.WEBHOOKS_PATH, mutates=True, repeatable=True)
GET_WEBHOOK = Call("GET /webhooks", "GET", wire.WEBHOOKS_PATH, mutates=False, repeatable=True)
DELETE_WEBHOOK = Call("DELETE /webhooks", "DELETE", wire.WEBHOOKS_PATH, mutates=True, repeatable=False)
"""A second DELETE would be answered 404, and so hide that the first one did the work."""
DOWNLOAD = Call("GET file", "GET", "", mutates=False, repeatable=True)

CALLS = (
    CREATE_MODELS,
    UPLOAD,
    CONFIRM_MODEL,
    MODEL_STATUSES,
    TEMPLATES,
    CREATE_PROJECTS,
    START_RENDERS,
    RENDER,
    RETRY_RENDER,
    PUT_WEBHOOK,
    GET_WEBHOOK,
    DELETE_WEBHOOK,
    DOWNLOAD,
)

MUTATING = frozenset(call.name for call in CALLS if call.mutates)
"""The names of the calls that change something at the service."""
