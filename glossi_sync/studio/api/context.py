"""What every endpoint is given: the studio it serves, and the workspace that asks."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated
from weakref import WeakValueDictionary

from fastapi import Depends, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from glossi_sync.studio.api.errors import Refusal
from glossi_sync.studio.delivering import Deliveries
from glossi_sync.studio.events import Events
from glossi_sync.studio.jobs import Jobs
from glossi_sync.studio.records import Records
from glossi_sync.studio.signing import UploadSigner
from glossi_sync.studio.storage import Storage
from glossi_sync.studio.template import Template
from glossi_sync.studio.work import Work

MAX_BATCH = 1000
"""Entries of one request's list; more is answered with 413."""


@dataclass(frozen=True, slots=True)
class Templates:
    """The public templates, and each workspace's own, in the order in which they are listed."""

    public: tuple[Template, ...]
    of_workspace: Mapping[str, tuple[Template, ...]]

    def find(self, workspace_id: str, template_id: str) -> Template | None:
        """The template of that id that the workspace may use."""
        everything = (*self.public, *self.of_workspace.get(workspace_id, ()))
        return next((template for template in everything if template.template_id == template_id), None)


@dataclass(slots=True)
class Audience:
    """Who, beside its owner, holds on to an embedded studio (``wire.ATTACH_PATH``)."""

    listeners: int = 0
    closed: asyncio.Event = field(default_factory=asyncio.Event)
    """The studio is about to end: nobody can hold on to it any more."""
    on_change: Callable[[], None] = field(default=lambda: None)

    def change(self, by: int) -> None:
        self.listeners += by
        self.on_change()


@dataclass(frozen=True, slots=True)
class Studio:
    """The parts of one studio, put together by ``app.create_app``."""

    records: Records
    storage: Storage
    signer: UploadSigner
    templates: Templates
    work: Work
    events: Events
    jobs: Jobs
    deliveries: Deliveries
    clock: Callable[[], float]
    new_id: Callable[[], str]
    upload_limit: int
    public_url: str | None
    audience: Audience
    confirming: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)
    """Held while a model, by its id, is confirmed."""


async def _studio(request: Request) -> Studio:
    studio: Studio = request.app.state.studio
    return studio


async def _workspace(request: Request) -> str:
    workspace_id: str = request.state.workspace_id
    return workspace_id


TheStudio = Annotated[Studio, Depends(_studio)]
TheWorkspace = Annotated[str, Depends(_workspace)]
"""The id of the workspace whose key the request carries; ``gate`` has checked it."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def _one_line(text: str) -> str:
    if _CONTROL.search(text):
        raise ValueError("must be one line, without control characters")
    return text


# The constraints come first: they see to it, too, that the text is Unicode.
_one_line_only = AfterValidator(_one_line), Field(json_schema_extra={"pattern": r"^[^\u0000-\u001f\u007f]+$"})
Text = Annotated[str, StringConstraints(min_length=1, max_length=1000), *_one_line_only]
"""A name, a description: one line of at most 1000 characters."""
Id = Annotated[str, StringConstraints(min_length=1, max_length=200), *_one_line_only]
ManyIds = Annotated[list[Id], Field(min_length=1, json_schema_extra={"uniqueItems": True})]
"""Ids, none of them twice; ``check_batch`` sees to that."""


class Body(BaseModel):
    """A request's body: of the documented types exactly. Fields that are not documented are let pass: the API is in
    beta, and a client may know of more than this studio does."""

    model_config = ConfigDict(strict=True)


def check_batch(entries: list[str], of: str) -> None:
    """Refuse a list that is too long, or names the same thing twice."""
    check_length(len(entries), of)
    twice = sorted({entry for entry in entries if entries.count(entry) > 1}) if len(set(entries)) < len(entries) else []
    if twice:
        raise Refusal(422, "invalid_request", f"{of} names {some(twice)} twice")


def check_length(length: int, of: str) -> None:
    if length > MAX_BATCH:
        raise Refusal(
            413, "batch_too_large", f"{of} has {length:,} entries, one request takes {MAX_BATCH:,}: send several"
        )


def some(names: list[str]) -> str:
    """The first few of many names, for a message."""
    return ", ".join(names[:5]) + (f" and {len(names) - 5:,} more" if len(names) > 5 else "")
