"""Uploads: the signed URL's own side, which S3 takes at the hosted service (guide, Step 2.2). No API key."""

from __future__ import annotations

from pathlib import Path as FilePath

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection
from starlette.requests import ClientDisconnect

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Studio, TheStudio
from glossi_sync.studio.api.errors import Refusal, documented
from glossi_sync.studio.signing import SignatureError
from glossi_sync.studio.storage import Storage, TooLarge

router = APIRouter(tags=["uploads"])

UPLOADS = "/uploads"

_DRAINED_BYTES = 16 * 1024 * 1024


def upload_url(studio: Studio, request: Request, model: rows.Model) -> str:
    """The model's ``uploadUrl``: at the address under which the client reached the studio, unless it has a public
    one."""
    origin = (studio.public_url or str(request.base_url)).rstrip("/")
    query = studio.signer.query(model.file_path, wire.FILE_TYPES[model.file_type])
    return f"{origin}{UPLOADS}/{model.file_path}?{query}"


@router.put(
    UPLOADS + "/{upload_key:path}",
    response_class=Response,
    responses=documented(
        _403="The signature does not fit the request, or the URL has expired.",
        _404="No such model.",
        _409="The upload is confirmed already.",
        _413="The file is too large.",
    ),
)
async def upload(
    upload_key: str, request: Request, studio: TheStudio, expires: str = Query(""), signature: str = Query("")
) -> Response:
    """Take a model's file. Until the upload is confirmed, it may be sent again."""
    try:
        model_id = await _addressee(upload_key, request, studio, expires, signature)
        file = await studio.storage.receive(request.stream(), studio.upload_limit)
    except ClientDisconnect:
        raise Refusal(400, "upload_interrupted", "the upload was interrupted: PUT the file again") from None
    except (Refusal, TooLarge) as error:
        await _drain(request)
        raise _too_large(studio.upload_limit) if isinstance(error, TooLarge) else error from None
    try:
        await studio.records.write(lambda connection: _place(connection, studio.storage, model_id, file, upload_key))
    finally:
        file.unlink(missing_ok=True)
    return Response(status_code=200)


async def _addressee(upload_key: str, request: Request, studio: Studio, expires: str, signature: str) -> str:
    """The id of the model whose file this is, after every check that can be made before its bytes arrive."""
    content_type = request.headers.get("content-type", "")
    try:
        studio.signer.verify(upload_key, content_type, expires, signature)
    except SignatureError as error:
        raise Refusal(403, error.code, str(error)) from None
    model_id = upload_key.split("/")[-2]
    await studio.records.read(lambda connection: _check_open(connection, model_id, upload_key))
    if int(request.headers.get("content-length", "0")) > studio.upload_limit:
        raise _too_large(studio.upload_limit)
    return model_id


def _check_open(connection: Connection, model_id: str, upload_key: str) -> None:
    model = rows.model_of_path(connection, model_id)
    if model is None or model.file_path != upload_key:
        raise Refusal(404, "model_not_found", "the model of this uploadUrl does not exist (any more)")
    if model.confirmed_at is not None:
        raise Refusal(
            409, "already_confirmed", f"the upload of {model.name!r} is confirmed: its file can no longer be changed"
        )


def _place(connection: Connection, storage: Storage, model_id: str, file: FilePath, upload_key: str) -> None:
    # Inside a write, because writes come one after the other: a confirmation comes before this or after it, never
    # between.
    _check_open(connection, model_id, upload_key)
    storage.place(file, upload_key)


def _too_large(limit: int) -> Refusal:
    return Refusal(413, "file_too_large", f"the file is larger than {limit:,} bytes, the most that a model may have")


async def _drain(request: Request) -> None:
    # Many a client reads no answer before it has sent its body, and would see a broken connection in place of the
    # reason. One that asks first, as curl does with a large file, is told before it sends anything.
    if request.headers.get("expect", "").lower() == "100-continue":
        return
    left = _DRAINED_BYTES
    try:
        async for chunk in request.stream():
            left -= len(chunk)
            if left <= 0:
                return
    except (ClientDisconnect, RuntimeError):
        return
