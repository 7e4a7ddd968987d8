"""Webhooks: the workspace's one webhook (guide, Step 6; service-facts, Webhooks)."""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import APIRouter, Response
from pydantic import AfterValidator, BaseModel, StringConstraints
from sqlalchemy import Connection

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Body, Text, TheStudio, TheWorkspace
from glossi_sync.studio.api.errors import Refusal, documented

router = APIRouter(tags=["webhooks"])


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("must be an http or https URL with a host")
    _ = parts.port
    return url


Url = Annotated[
    str, StringConstraints(max_length=2000, pattern=r"^https?://[^\x00-\x20\x7f]+$"), AfterValidator(_check_url)
]


class PutWebhook(Body):
    url: Url
    events: list[wire.EventName]
    enabled: bool = True
    description: Text | None = None


class Webhook(BaseModel):
    id: str
    url: str
    events: list[wire.EventName]
    enabled: bool
    description: str | None = None


class WebhookWithSecret(Webhook):
    secret: str


@router.put(wire.WEBHOOKS_PATH, response_model_exclude_none=True)
async def put_webhook(body: PutWebhook, studio: TheStudio, workspace_id: TheWorkspace) -> WebhookWithSecret:
    """Make or change the workspace's webhook. It keeps its id and its secret, which is shown here alone.

    Any http or https URL is taken; where the studio may deliver to is judged at each delivery, which then tells.
    """
    now = studio.clock()
    new = rows.Webhook(
        workspace_id=workspace_id,
        webhook_id=studio.new_id(),
        url=body.url,
        secret=secrets.token_hex(32),
        events=list(dict.fromkeys(body.events)),
        enabled=body.enabled,
        description=body.description,
        created_at=now,
        updated_at=now,
    )

    def put(connection: Connection) -> rows.Webhook:
        old = rows.webhook(connection, workspace_id)
        if old is None:
            hook = new
        else:
            hook = replace(new, webhook_id=old.webhook_id, secret=old.secret, created_at=old.created_at)
        rows.put_webhook(connection, hook)
        return hook

    hook = await studio.records.write(put)
    return WebhookWithSecret(**_shown(hook).model_dump(), secret=hook.secret)


@router.get(
    wire.WEBHOOKS_PATH, response_model_exclude_none=True, responses=documented(_404="The workspace has no webhook.")
)
async def get_webhook(studio: TheStudio, workspace_id: TheWorkspace) -> Webhook:
    """The workspace's webhook, without its secret."""
    hook = await studio.records.read(lambda connection: rows.webhook(connection, workspace_id))
    if hook is None:
        raise _none()
    return _shown(hook)


@router.delete(
    wire.WEBHOOKS_PATH,
    status_code=204,
    response_class=Response,
    responses=documented(_404="The workspace has no webhook."),
)
async def delete_webhook(studio: TheStudio, workspace_id: TheWorkspace) -> Response:
    """Remove the workspace's webhook."""
    if not await studio.records.write(lambda connection: rows.delete_webhook(connection, workspace_id)):
        raise _none()
    return Response(status_code=204)


def _shown(hook: rows.Webhook) -> Webhook:
    return Webhook(
        id=hook.webhook_id, url=hook.url, events=hook.events, enabled=hook.enabled, description=hook.description
    )


def _none() -> Refusal:
    return Refusal(404, "webhook_not_found", f"this workspace has no webhook: PUT {wire.WEBHOOKS_PATH} makes one")
