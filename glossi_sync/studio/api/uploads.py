"""Uploads: to a signed URL, then confirmed (guide, Steps 2.1 to 2.3).

Where the studio's files lie in a bucket, the URL is the bucket's own; else the studio takes the file here, in S3's
place, without an API key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path as FilePath

from fastapi import APIRouter, Query, Request, Response
from sqlalchemy import Connection
from starlette.requests import ClientDisconnect

from glossi_sync.service import wire
from glossi_sync.studio import records as rows
from glossi_sync.studio.api.context import Studio, TheStudio
from glossi_sync.studio.api.errors import Refusal, documented
from glossi_sync.studio.signing import SignatureError
from glossi_sync.studio.storage import FolderStorage, NotUploaded, TooLarge, UploadReplaced, WrongContentType, model_key

router = APIRouter(tags=["uploads"])

UPLOADS = "/uploads"

_DRAINED_BYTES = 16 * 1024 * 1024

_SETTLED_AT_ONCE = 16


def new_model(model_id: str, workspace_id: str, now: float, *, name: str, file_name: str, file_type: str) -> rows.Model:
    """A model whose file is yet to be uploaded."""
    return rows.Model(
        model_id=model_id,
        workspace_id=workspace_id,
        name=name,
        file_name=file_name,
        file_type=file_type,
        file_path=model_key(workspace_id, model_id, file_type),
        status=wire.MODEL_PENDING,
        created_at=now,
    )


async def upload_urls(studio: Studio, request: Request, models: Sequence[rows.Model]) -> list[str]:
    """Each model's ``uploadUrl``: the storage's own, or one at the address under which the client reached the studio,
    unless it has a public one."""
    of_storage = await studio.storage.upload_urls([model.file_path for model in models], studio.signer.lifetime)
    if of_storage is not None:
        return of_storage
    origin = (studio.public_url or str(request.base_url)).rstrip("/")
    queries = [studio.signer.query(model.file_path, wire.FILE_TYPES[model.file_type]) for model in models]
    return [f"{origin}{UPLOADS}/{model.file_path}?{query}" for model, query in zip(models, queries, strict=True)]


@asynccontextmanager
async def settled_uploads(studio: Studio, workspace_id: str, models: Sequence[rows.Model]) -> AsyncIterator[None]:
    """Within the block, what was uploaded for these models of the workspace is final, and can be confirmed in the
    records. Models that are confirmed already are left as they are.

    Raises:
        Refusal: an upload is missing, or not as it must be; nothing can be confirmed.
    """
    ids = sorted({model.model_id for model in models})
    async with AsyncExitStack() as stack:
        # One confirmation of a model at a time, so that a second one does not make another upload final.
        for model_id in ids:
            await stack.enter_async_context(studio.confirming.setdefault(model_id, asyncio.Lock()))
        known = await studio.records.read(lambda connection: rows.models(connection, workspace_id, ids))
        unconfirmed = [model for model in known.values() if model.confirmed_at is None]
        places = asyncio.Semaphore(_SETTLED_AT_ONCE)
        settling = [_settle(studio, model, places) for model in unconfirmed]
        for trouble in await asyncio.gather(*settling, return_exceptions=True):
            if trouble is not None:
                raise trouble
        yield
        await asyncio.gather(*(studio.storage.settled(model.file_path) for model in unconfirmed))


async def _settle(studio: Studio, model: rows.Model, places: asyncio.Semaphore) -> None:
    content_type = wire.FILE_TYPES[model.file_type]
    again = "PUT its file to the uploadUrl"
    try:
        async with places:
            await studio.storage.settle(model.file_path, content_type=content_type, limit=studio.upload_limit)
    except NotUploaded:
        raise Refusal(
            409, "not_uploaded", f"nothing was uploaded yet for the model {model.name!r}: {again} first"
        ) from None
    except WrongContentType as error:
        raise Refusal(
            409,
            "content_type_mismatch",
            f"the file of the model {model.name!r} was uploaded with the Content-Type {str(error)!r}: {again} again,"
            f" with Content-Type: {content_type}",
        ) from None
    except UploadReplaced:
        raise Refusal(
            409, "upload_in_progress", f"the model {model.name!r} is still being uploaded: confirm it afterwards"
        ) from None
    except TooLarge:
        raise _too_large(studio.upload_limit) from None


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
    storage = studio.storage
    try:
        if not isinstance(storage, FolderStorage):
            raise Refusal(404, "not_found", "this studio takes no uploads itself: PUT the file to the uploadUrl")
        model_id = await _addressee(upload_key, request, studio, expires, signature)
        file = await storage.receive(request.stream(), studio.upload_limit)
    except ClientDisconnect:
        raise Refusal(400, "upload_interrupted", "the upload was interrupted: PUT the file again") from None
    except (Refusal, TooLarge) as error:
        await _drain(request)
        raise _too_large(studio.upload_limit) if isinstance(error, TooLarge) else error from None
    try:
        await studio.records.write(lambda connection: _place(connection, storage, model_id, file, upload_key))
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


def _place(connection: Connection, storage: FolderStorage, model_id: str, file: FilePath, upload_key: str) -> None:
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
