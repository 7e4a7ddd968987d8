"""Service: the Glossi API over HTTP, seen from the client.

One coroutine for each call of the workflow guide (``Glossi``), errors that tell whether a call was done (``errors``),
uploads and downloads that stream, pacing and retries, the webhook's signature, and the wire's names (``wire``), which
the studio shares. It knows no spec, no state and no plan: what is to be asked, in which order and how many at once in
one call, is decided elsewhere. The names below are loaded when first used: httpx alone costs 80 ms.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glossi_sync.service.answers import (
        ConfirmedModel,
        CreatedModel,
        CreatedProject,
        ModelStatus,
        ModelStatuses,
        Removal,
        RenderedFile,
        RenderJob,
        RetriedRender,
        StartedRender,
        StoredWebhook,
    )
    from glossi_sync.service.calls import MUTATING
    from glossi_sync.service.client import Glossi, NewModel
    from glossi_sync.service.endpoint import Endpoint
    from glossi_sync.service.errors import (
        FileChanged,
        InDoubt,
        InvalidEndpoint,
        InvalidKey,
        NotFound,
        NotSent,
        ReadFailed,
        Refused,
        ServiceError,
        Unauthorized,
        UploadExpired,
    )
    from glossi_sync.service.exchange import Timeouts
    from glossi_sync.service.pacing import Pace
    from glossi_sync.service.parts import Downloaded, Part, WrongContent, tag_of
    from glossi_sync.service.retrying import Patience
    from glossi_sync.service.uploads import LocalFile, ModelFile, RunBlocking, Unreadable

_HOMES = {
    "answers": (
        "ConfirmedModel",
        "CreatedModel",
        "CreatedProject",
        "ModelStatus",
        "ModelStatuses",
        "Removal",
        "RenderJob",
        "RenderedFile",
        "RetriedRender",
        "StartedRender",
        "StoredWebhook",
    ),
    "calls": ("MUTATING",),
    "client": ("Glossi", "NewModel"),
    "parts": ("Downloaded", "Part", "WrongContent", "tag_of"),
    "endpoint": ("Endpoint",),
    "errors": (
        "FileChanged",
        "InDoubt",
        "InvalidEndpoint",
        "InvalidKey",
        "NotFound",
        "NotSent",
        "ReadFailed",
        "Refused",
        "ServiceError",
        "Unauthorized",
        "UploadExpired",
    ),
    "exchange": ("Timeouts",),
    "pacing": ("Pace",),
    "retrying": ("Patience",),
    "uploads": ("LocalFile", "ModelFile", "RunBlocking", "Unreadable"),
}

__all__ = [
    "MUTATING",
    "ConfirmedModel",
    "CreatedModel",
    "CreatedProject",
    "Downloaded",
    "Endpoint",
    "FileChanged",
    "Glossi",
    "InDoubt",
    "InvalidEndpoint",
    "InvalidKey",
    "LocalFile",
    "ModelFile",
    "ModelStatus",
    "ModelStatuses",
    "NewModel",
    "NotFound",
    "NotSent",
    "Pace",
    "Part",
    "Patience",
    "ReadFailed",
    "Refused",
    "Removal",
    "RenderJob",
    "RenderedFile",
    "RetriedRender",
    "RunBlocking",
    "ServiceError",
    "StartedRender",
    "StoredWebhook",
    "Timeouts",
    "Unauthorized",
    "Unreadable",
    "UploadExpired",
    "WrongContent",
    "tag_of",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            value = getattr(import_module(f"{__name__}.{home}"), name)
            globals()[name] = value
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
