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

log = logging.getLogger(__name__)


class Refusal(Exception):
    """An answer that is not what was asked for. ``code`` is for programs, ``message`` for people."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers


class ErrorDetail(BaseModel):
    code: str
    message: str


class ErrorAnswer(BaseModel):
    error: ErrorDetail


def documented(**why: str) -> dict[int | str, dict[str, Any]]:
    """OpenAPI's ``responses`` for the statuses that an endpoint refuses with: ``documented(_404="No such job.")``."""
    return {int(name.lstrip("_")): {"model": ErrorAnswer, "description": reason} for name, reason in why.items()}


def error_response(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    body = wire.ErrorBody(error=wire.ErrorDetail(code=code, message=message))
    return JSONResponse(body, status, headers=dict(headers or {}))


def install(app: FastAPI) -> None:
    """Give every error that an endpoint or the framework raises the one shape."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> JSONResponse:
        return error_response(error.status, error.code, error.message, error.headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        mistakes = error.errors()
        if any(mistake["type"] == "json_invalid" for mistake in mistakes):
            return error_response(400, "invalid_json", "the request's body is not valid JSON")
        return error_response(422, "invalid_request", "; ".join(map(_sentence, mistakes[:10])))

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, error: HTTPException) -> JSONResponse:
        status = HTTPStatus(error.status_code)
        message = f"{request.method} {request.url.path}: {status.phrase.lower()}"
        return error_response(status, status.name.lower(), message, error.headers)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        log.error("%s %s failed", request.method, request.url.path, exc_info=error)
        return error_response(500, "internal_error", f"the studio failed: {type(error).__name__}; its log says more")


def _sentence(mistake: Mapping[str, Any]) -> str:
    where = ".".join(str(part) for part in mistake["loc"] if part not in {"body", "query", "path"})
    return f"{where or 'the body'}: {mistake['msg']}"
