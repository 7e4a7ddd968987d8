"""The ASGI application: the parts of a studio put together, and every family of endpoints over them.

It owns no thread, no process and no clock of its own, so that a simulation can run it whole in one process, on a
virtual clock, through ``httpx.ASGITransport``: hand in records and storage whose runner works inline, a workshop that
is a delay, a clock and ids. ``serve`` hands in the real ones. Work begins and ends with the application's lifespan,
which ``ASGITransport`` does not run: enter ``app.router.lifespan_context(app)`` around it.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import httpx
from fastapi import APIRouter, FastAPI, Security
from fastapi.security import APIKeyHeader

from glossi_sync import __version__
from glossi_sync.service import wire
from glossi_sync.studio import page
from glossi_sync.studio.addresses import Allowed, AllowedTransport
from glossi_sync.studio.api import (
    deliveries,
    errors,
    files,
    health,
    jobs,
    models,
    projects,
    renders,
    templates,
    uploads,
    webhooks,
)
from glossi_sync.studio.api.context import Audience, Studio, Templates
from glossi_sync.studio.api.document import DocumentedApp
from glossi_sync.studio.api.gate import Gate
from glossi_sync.studio.delivering import Deliveries, Sleep
from glossi_sync.studio.events import Events
from glossi_sync.studio.faults import Faults
from glossi_sync.studio.jobs import Jobs
from glossi_sync.studio.records import Records
from glossi_sync.studio.signing import UploadSigner
from glossi_sync.studio.storage import Storage
from glossi_sync.studio.work import Work
from glossi_sync.studio.workshop import Workshop


def new_uuid() -> str:
    return str(uuid.uuid4())


def create_app(
    *,
    records: Records,
    storage: Storage,
    workshop: Workshop,
    templates_: Templates,
    signing_secret: bytes,
    clock: Callable[[], float] = time.time,
    new_id: Callable[[], str] = new_uuid,
    upload_seconds: float = wire.UPLOAD_URL_SECONDS,
    upload_limit: int = wire.MAX_MODEL_BYTES,
    public_url: str | None = None,
    own_url: str = "",
    sleep: Sleep = asyncio.sleep,
    webhook_transport: httpx.AsyncBaseTransport | None = None,
    audience: Audience | None = None,
    faults: Faults | None = None,
) -> FastAPI:
    """The studio as an ASGI application.

    What ``faults`` do to requests is done outside of it, by a ``FaultyDoor`` around it.

    Args:
        signing_secret: 32 random bytes or more; upload URLs are signed with it.
        clock: seconds since the epoch.
        new_id: makes the id of a model, a project, a job, a render, a batch, a webhook, a delivery.
        upload_seconds: how long an ``uploadUrl`` lives.
        upload_limit: the most bytes that a model's file may have.
        public_url: the origin that upload URLs begin with; None: the one under which the client reached the studio.
        own_url: the origin of files' addresses in webhooks, which no client asks for, where there is no ``public_url``.
        sleep: waits for so many seconds of the clock: between attempts to deliver.
        webhook_transport: carries deliveries; None: to this machine's own addresses alone.
    """
    events = Events(new_id, (public_url or own_url).rstrip("/"))
    jobs_ = Jobs(events, new_id)
    deliveries_ = Deliveries(
        records=records,
        clock=clock,
        sleep=sleep,
        transport=webhook_transport or AllowedTransport(Allowed()),
    )
    work = Work(
        records=records,
        storage=storage,
        workshop=workshop,
        templates=templates_,
        clock=clock,
        new_id=new_id,
        faults=faults or Faults(),
        events=events,
        jobs=jobs_,
        deliveries=deliveries_,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await deliveries_.start()
        await work.start()
        try:
            yield
        finally:
            await work.stop()
            await deliveries_.stop()

    app = DocumentedApp(
        title="Glossi studio",
        summary="The Glossi API, on this machine.",
        version=__version__,
        lifespan=lifespan,
        # A path that is nearly right is answered with an error in JSON, as every wrong one, not with an empty redirect.
        redirect_slashes=False,
        # Their viewers come from the internet; the page has one of its own.
        docs_url=None,
        redoc_url=None,
    )
    studio = app.state.studio = Studio(
        records=records,
        storage=storage,
        signer=UploadSigner(signing_secret, clock, upload_seconds),
        templates=templates_,
        work=work,
        events=events,
        jobs=jobs_,
        deliveries=deliveries_,
        clock=clock,
        new_id=new_id,
        upload_limit=upload_limit,
        public_url=public_url,
        audience=audience or Audience(),
    )
    errors.install(app)
    app.add_middleware(Gate, records=records, clock=clock)
    # The gate has checked the key by then; this names it in the OpenAPI document.
    key = Security(APIKeyHeader(name=wire.API_KEY_HEADER, auto_error=False))
    api = APIRouter(
        prefix=wire.API_PREFIX,
        dependencies=[key],
        responses=errors.documented(
            _400="The body is not JSON.", _401="No valid API key.", _422="The request is not as documented."
        ),
    )
    for family in (jobs, models, templates, projects, renders, webhooks, deliveries, files):
        api.include_router(family.router)
    api.include_router(health.attach_router)
    app.include_router(api)
    app.include_router(uploads.router)
    app.include_router(health.health_router)
    page.install(app, studio, page.PageAccess(records, signing_secret, clock))
    return app
