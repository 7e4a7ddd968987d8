"""Health: whether the studio is there and can render, and who holds on to it. The studio's own: see ``wire``."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter, Response
from pydantic import BaseModel
from starlette.types import Receive, Scope, Send

from glossi_sync import __version__
from glossi_sync.service import wire
from glossi_sync.studio.api.context import Audience, TheStudio
from glossi_sync.studio.api.errors import Refusal

health_router = APIRouter(tags=["health"])
attach_router = APIRouter()


class EngineHealth(BaseModel):
    name: str
    available: bool | None
    message: str | None = None


class WorkHealth(BaseModel):
    queued: int
    running: int


class Health(BaseModel):
    status: str
    version: str
    engine: EngineHealth
    work: WorkHealth


@health_router.get(wire.HEALTH_PATH, response_model_exclude_unset=True)
async def health(studio: TheStudio) -> Health:
    """Whether the studio is there, whether its engine can render (null: not known yet), and how much it has to do."""
    return Health(
        status="ok",
        version=__version__,
        engine=EngineHealth(**studio.work.engine_health),
        work=WorkHealth(**studio.work.work_health),
    )


@attach_router.get(wire.ATTACH_PATH, include_in_schema=False)
async def attach(studio: TheStudio) -> Response:
    """An answer that ends with the studio, which keeps an embedded studio from leaving with its first owner."""
    if studio.audience.closed.is_set():
        raise Refusal(503, "closing", "this studio is about to end: start another")
    return _Attachment(studio.audience)


class _Attachment(Response):
    def __init__(self, audience: Audience) -> None:
        super().__init__(media_type="text/plain")
        self._audience = audience

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._audience.change(+1)
        try:
            headers = [(b"content-type", b"text/plain")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"attached\n", "more_body": True})
            ends = [asyncio.create_task(_disconnected(receive)), asyncio.create_task(self._audience.closed.wait())]
            try:
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for end in ends:
                    end.cancel()
            await send({"type": "http.response.body", "body": b""})
        finally:
            self._audience.change(-1)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
