"""The page's addresses. Each answers a whole page, or to htmx the part of it that is new."""

from __future__ import annotations

import hashlib
import json
import mimetypes
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from importlib.resources import files as package_files
from typing import Annotated, Any
from urllib.parse import parse_qs

from fastapi import APIRouter, Depends, FastAPI, Query, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from sqlalchemy import Connection

from glossi_sync import __version__
from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Id, Studio, TheStudio
from glossi_sync.studio.api.files import get_file
from glossi_sync.studio.page import queries, reference
from glossi_sync.studio.page.access import SESSION_SECONDS, PageAccess, Visitor
from glossi_sync.studio.page.previews import Previews

router = APIRouter(include_in_schema=False)

CARDS = 36
"""Entries of a page of a list."""
RESULTS = 12
"""Render jobs of a page of results; each has a handful of pictures."""
ACTIVE_SHOWN = 12

_MAX_FORM_BYTES = 4096

_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self';"
        " connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}
_HEADERS_OF_FILES = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}
_LONG = "public, max-age=31536000, immutable"


class SignInNeeded(Exception):
    """Nobody has opened this page in this browser."""


class Missing(Exception):
    """What the address names is not in the visitor's workspace; the message says what it is."""


def install(app: FastAPI, studio: Studio, access: PageAccess) -> None:
    """Put the page into a studio's application."""
    app.state.page_access = access
    app.state.page_previews = Previews(studio.storage)
    app.include_router(router)

    @app.exception_handler(SignInNeeded)
    async def sign_in(request: Request, _: SignInNeeded) -> Response:
        if _is_part(request):
            return Response(status_code=401, headers={"HX-Redirect": "/"})
        return _html(request, "enter.html", 401)

    @app.exception_handler(Missing)
    async def missing(request: Request, what: Missing) -> Response:
        return _html(request, "missing.html", 404, what=str(what))


async def _visitor(request: Request) -> Visitor:
    access: PageAccess = request.app.state.page_access
    visitor = await access.visitor(request.cookies.get(access.cookie, ""))
    if visitor is None:
        raise SignInNeeded
    request.state.visitor = visitor
    return visitor


TheVisitor = Annotated[Visitor, Depends(_visitor)]
Before = Annotated[Id | None, Query()]
Words = Annotated[str, Query(alias="q", max_length=200)]


# --- coming and going ------------------------------------------------------------------------------------------------


@router.get("/")
async def home(request: Request, studio: TheStudio, before: Before = None, ticket: str | None = None) -> Response:
    """What is being made, and what was made last."""
    access: PageAccess = request.app.state.page_access
    if ticket is not None:
        cookie = access.redeem(ticket)
        # Where it was used before, this browser may be the one that used it.
        return RedirectResponse("/", 303) if cookie is None else _entered(request, cookie)
    visitor = await _visitor(request)

    def look(connection: Connection) -> dict[str, Any]:
        found = queries.pictures(connection, visitor.workspace_id, before=before, limit=RESULTS)
        return {"pictures": found, **_live(connection, visitor)}

    shown = await studio.records.read(look)
    part = "parts/gallery_page.html" if before else "parts/gallery.html"
    return _html(request, part if _is_part(request) else "home.html", studio=studio, **shown)


@router.post("/session")
async def enter(request: Request) -> Response:
    """Begin a session with the key in the form."""
    access: PageAccess = request.app.state.page_access
    form = parse_qs((await _body(request)).decode("utf-8", "replace"))
    cookie = await access.enter(form.get("key", [""])[0].strip())
    if cookie is None or request.headers.get("sec-fetch-site", "same-origin") not in {"same-origin", "none"}:
        return _html(request, "enter.html", 401, refused=True)
    return _entered(request, cookie)


@router.post("/session/end")
async def leave(request: Request) -> Response:
    """End the session."""
    access: PageAccess = request.app.state.page_access
    answer = RedirectResponse("/", 303)
    answer.delete_cookie(access.cookie)
    return answer


def _entered(request: Request, cookie: str) -> Response:
    access: PageAccess = request.app.state.page_access
    answer = RedirectResponse("/", 303, headers={"Referrer-Policy": "no-referrer", "Cache-Control": "no-store"})
    answer.set_cookie(
        access.cookie,
        cookie,
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return answer


async def _body(request: Request) -> bytes:
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > _MAX_FORM_BYTES:
            return b""
    return body


# --- what there is ---------------------------------------------------------------------------------------------------


@router.get("/live")
async def live(request: Request, studio: TheStudio, visitor: TheVisitor, done: int = 0) -> Response:
    """The jobs that are being made. Where one was completed since ``done`` of them, the results are told to follow."""
    shown = await studio.records.read(lambda connection: _live(connection, visitor))
    answer = _html(request, "parts/live.html", studio=studio, **shown)
    if shown["counts"].completed != done:
        answer.headers["HX-Trigger"] = "completed"
    return answer


def _live(connection: Connection, visitor: Visitor) -> dict[str, Any]:
    return {
        "counts": queries.counts(connection, visitor.workspace_id),
        "active": queries.active_jobs(connection, visitor.workspace_id, limit=ACTIVE_SHOWN),
    }


@router.get("/models")
async def models(
    request: Request, studio: TheStudio, visitor: TheVisitor, words: Words = "", before: Before = None
) -> Response:
    """The models."""
    found = await studio.records.read(
        lambda c: queries.models(c, visitor.workspace_id, words=words, before=before, limit=CARDS)
    )
    return _html(request, _list(request, "models", before), models=found, words=words)


@router.get("/models/{model_id}")
async def model(request: Request, studio: TheStudio, visitor: TheVisitor, model_id: Id) -> Response:
    """A model: its facts, and the projects that it is in."""

    def look(connection: Connection) -> dict[str, Any]:
        found = rows.models(connection, visitor.workspace_id, [model_id]).get(model_id)
        if found is None:
            raise Missing("model")
        projects = queries.projects_of_model(connection, visitor.workspace_id, model_id, limit=CARDS)
        return {"model": found, "projects": projects}

    shown = await studio.records.read(look)
    return _html(request, "parts/model.html" if _is_part(request) else "model.html", studio=studio, **shown)


@router.get("/projects")
async def projects(
    request: Request, studio: TheStudio, visitor: TheVisitor, words: Words = "", before: Before = None
) -> Response:
    """The projects."""
    found = await studio.records.read(
        lambda c: queries.projects(c, visitor.workspace_id, words=words, before=before, limit=CARDS)
    )
    return _html(request, _list(request, "projects", before), studio=studio, projects=found, words=words)


@router.get("/projects/{project_id}")
async def project(
    request: Request, studio: TheStudio, visitor: TheVisitor, project_id: Id, before: Before = None
) -> Response:
    """A project: its models, its render jobs and their results."""

    def look(connection: Connection) -> dict[str, Any]:
        card = queries.project(connection, visitor.workspace_id, project_id)
        if card is None:
            raise Missing("project")
        jobs = queries.jobs(connection, visitor.workspace_id, project_id=project_id, before=before, limit=RESULTS)
        return {"card": card, "models": queries.all_models(connection, visitor.workspace_id, project_id), "jobs": jobs}

    shown = await studio.records.read(look)
    page = "parts/project_jobs.html" if _is_part(request) else "project.html"
    return _html(request, page, studio=studio, **shown)


@router.get("/renders")
async def renders(request: Request, studio: TheStudio, visitor: TheVisitor, before: Before = None) -> Response:
    """The render jobs: those that are being made, and those that are finished."""
    finished = (wire.RENDER_COMPLETED, wire.RENDER_FAILED)

    def look(connection: Connection) -> dict[str, Any]:
        jobs = queries.jobs(connection, visitor.workspace_id, statuses=finished, before=before, limit=CARDS)
        return {"jobs": jobs, **_live(connection, visitor)}

    shown = await studio.records.read(look)
    return _html(request, _list(request, "renders", before), studio=studio, **shown)


@router.get("/renders/{job_id}")
async def render(request: Request, studio: TheStudio, visitor: TheVisitor, job_id: Id) -> Response:
    """A render job: how far it is, or what it made."""
    card = await studio.records.read(lambda connection: queries.job(connection, visitor.workspace_id, job_id))
    if card is None:
        raise Missing("render job")
    return _html(request, "parts/render.html" if _is_part(request) else "render.html", card=card, studio=studio)


@router.get("/deliveries")
async def deliveries(request: Request, studio: TheStudio, visitor: TheVisitor, before: Before = None) -> Response:
    """What the webhook was told, and what it answered."""

    def look(connection: Connection) -> dict[str, Any]:
        found = rows.deliveries(connection, visitor.workspace_id, limit=CARDS + 1, before=before)
        return {
            "webhook": rows.webhook(connection, visitor.workspace_id),
            "deliveries": found[:CARDS],
            "following": found[CARDS - 1].delivery_id if len(found) > CARDS else None,
        }

    shown = await studio.records.read(look)
    return _html(request, _list(request, "deliveries", before), **shown)


# --- files -----------------------------------------------------------------------------------------------------------


@router.get("/page/files/{file_path:path}")
async def file(request: Request, studio: TheStudio, visitor: TheVisitor, file_path: str) -> Response:
    """A file of the workspace, as the API gives it."""
    answer = await get_file(file_path, request, studio, visitor.workspace_id)
    answer.headers.update(_HEADERS_OF_FILES)
    return answer


@router.get("/page/preview/{file_path:path}")
async def preview(request: Request, studio: TheStudio, visitor: TheVisitor, file_path: str) -> Response:
    """A still of the workspace, as large as a tile."""
    within = file_path.startswith(f"workspaces/{visitor.workspace_id}/")
    found = await studio.storage.find(file_path) if within else None
    previews: Previews = request.app.state.page_previews
    content = found and await previews.of(found)
    if found is None or content is None:
        return Response(status_code=404)
    headers = {**_HEADERS_OF_FILES, "ETag": found.etag, "Cache-Control": "private, max-age=86400"}
    if found.etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type="image/webp")


@router.get("/static/{name}")
async def static(name: str) -> Response:
    """What the page itself loads."""
    known = _assets().get(name)
    if known is None:
        return Response(status_code=404)
    content, media_type, _ = known
    return Response(
        content, media_type=media_type, headers={"Cache-Control": _LONG, "X-Content-Type-Options": "nosniff"}
    )


@router.get("/docs")
async def docs(request: Request) -> Response:
    """The API's reference."""
    access: PageAccess = request.app.state.page_access
    # Whoever looks at a workspace finds the way back to it; the reference itself is for everyone.
    request.state.visitor = await access.visitor(request.cookies.get(access.cookie, ""))
    document = request.app.openapi()
    return _html(request, "docs.html", groups=reference.groups(document), document=document)


# --- HTML ------------------------------------------------------------------------------------------------------------


def _is_part(request: Request) -> bool:
    return "hx-request" in request.headers and "hx-history-restore-request" not in request.headers


def _list(request: Request, name: str, before: str | None) -> str:
    """The template of a list's page; to htmx, its entries from the beginning or those after ``before``."""
    if not _is_part(request):
        return f"{name}.html"
    return f"parts/{name}_page.html" if before else f"parts/{name}.html"


def _html(request: Request, template: str, status: int = 200, **shown: Any) -> HTMLResponse:
    content = (
        _environment()
        .get_template(template)
        .render(visitor=getattr(request.state, "visitor", None), path=request.url.path, now=_now(request), **shown)
    )
    return HTMLResponse(content, status, {**_HEADERS, "Cache-Control": "no-store", "Vary": "HX-Request"})


def _now(request: Request) -> float:
    studio: Studio = request.app.state.studio
    return studio.clock()


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("glossi_sync.studio.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals |= {"asset": _asset, "version": __version__, "statuses": _STATUSES}
    environment.filters |= {
        "ago": _ago,
        "moment": _moment,
        "duration": _duration,
        "number": "{:,}".format,
        "pretty": _pretty,
        "prose": _prose,
    }
    return environment


_STATUSES: Mapping[str, str] = {
    wire.MODEL_PENDING: "waiting",
    wire.MODEL_ANALYZING: "looked at",
    wire.MODEL_READY: "ready",
    wire.MODEL_FAILED: "failed",
    wire.RENDER_QUEUED: "queued",
    wire.RENDER_RENDERING: "rendering",
    wire.RENDER_COMPLETED: "completed",
    wire.DELIVERY_WAITING: "waiting",
    wire.DELIVERY_DELIVERED: "delivered",
}
"""What the page calls a status."""


@cache
def _assets() -> Mapping[str, tuple[bytes, str, str]]:
    """Content, media type and the hash that is in its address, by name."""
    found: dict[str, tuple[bytes, str, str]] = {}
    for one in (package_files("glossi_sync.studio.page") / "static").iterdir():
        content = one.read_bytes()
        media_type = mimetypes.guess_type(one.name)[0] or "application/octet-stream"
        found[one.name] = content, media_type, hashlib.sha256(content).hexdigest()[:12]
    return found


def _asset(name: str) -> str:
    return f"/static/{name}?{_assets()[name][2]}"


def _ago(then: float, now: float) -> str:
    seconds = max(0.0, now - then)
    if seconds < 10:
        return "just now"
    return f"{_duration(seconds)} ago"


def _duration(seconds: float) -> str:
    """The largest unit that it has."""
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    return f"{seconds:.0f} s" if seconds >= 10 else f"{seconds:.1f} s"


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _prose(text: str) -> Markup:
    """A docstring as HTML: what stands between double backticks is code."""
    parts = text.split("``")
    return Markup("").join(Markup("<code>{}</code>").format(part) if i % 2 else part for i, part in enumerate(parts))


def _pretty(text: str) -> str:
    return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
