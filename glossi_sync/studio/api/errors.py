"""Refusals: every answer from 400 on is ``{"error": {"code", "message"}}`` (``wire.ErrorBody``)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from glossi_sync.service import wire
from glossi_sync.studio.storage import StorageAway

log = logging.getLogger(__name__)


_RETRY_AFTER_SECONDS = 5


class Refusal(HTTPException):
    """An answer that is not what was asked for. ``code`` is for programs, ``message`` for people.

    It is an HTTPException because those alone come through FastAPI's reading of a body unchanged.
    """

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, message, headers)
        self.code = code

    def response(self) -> JSONResponse:
        return _response(self.status_code, self.code, self.detail, self.headers)


class ErrorDetail(BaseModel):
    code: str
    message: str


class ErrorAnswer(BaseModel):
    error: ErrorDetail


def documented(**why: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's ``responses`` for the statuses that an endpoint refuses with: ``documented(_404="No such job.")``."""
    return {int(name.lstrip("_")): {"model": ErrorAnswer, "description": reason} for name, reason in why.items()}


def _response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    body = wire.ErrorBody(error=wire.ErrorDetail(code=code, message=message))
    return JSONResponse(body, status, headers=dict(headers or {}))


def install(app: FastAPI) -> None:
    """Give every error that an endpoint or the framework raises the one shape."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> JSONResponse:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        mistakes = error.errors()
        if any(mistake["type"] == "json_invalid" for mistake in mistakes):
            return _invalid_json()
        if any(mistake["loc"] == ("body",) for mistake in mistakes) and not _says_json(request):
            # FastAPI leaves such a body unread, and would complain that bytes are not an object.
            return _response(
                415,
                "unsupported_media_type",
                "send the request's body as JSON, with the header Content-Type: application/json",
            )
        return _response(422, "invalid_request", "; ".join(map(_sentence, mistakes[:10])))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == HTTPStatus.BAD_REQUEST:
            # FastAPI's own, for a body that no JSON parser takes: not UTF-8, nested too deeply, a number too long.
            return _invalid_json()
        status = HTTPStatus(error.status_code)
        message = f"{request.method} {request.url.path}: {status.phrase.lower()}"
        headers = dict(error.headers or {})
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(request.app.allowed_methods(request.url.path)) or headers.get("Allow", "")
        return _response(status, status.name.lower(), message, headers)

    @app.exception_handler(StorageAway)
    async def away(request: Request, error: StorageAway) -> JSONResponse:
        # Nothing was done: every endpoint looks at the files before it changes a record.
        log.error("%s %s: %s", request.method, request.url.path, error)
        headers = {"Retry-After": str(_RETRY_AFTER_SECONDS)}
        return _response(503, "storage_unavailable", "the studio's storage cannot be used at the moment", headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        # A full disk has a plain name; what a defect calls itself helps nobody but who reads the log.
        reason = (isinstance(error, OSError) and error.strerror) or type(error).__name__
        return _response(500, "internal_error", f"the studio failed: {reason}; its log says more")


def _invalid_json() -> JSONResponse:
    return _response(400, "invalid_json", "the request's body is not valid JSON")


def _says_json(request: Request) -> bool:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return media_type == "application/json" or media_type.endswith("+json")


def _sentence(mistake: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in mistake["loc"] if part not in {"body", "query", "path"})
    return f"{where or 'the body'}: {mistake['msg'].removeprefix('Value error, ')}"
